"""The three journeys that bring data, in one process: the steps of the jobs in their order, without Dagster between them.

What Dagster does between steps is done here the same way: a step that fails takes what is made of it along, and a day of
which too little came is followed by nothing.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final, Literal

import polars as pl

from stock_assets.cli.exit_codes import DATA_REFUSED, DONE, exit_code
from stock_assets.domain.completeness import HALF_PUBLISHED
from stock_assets.domain.errors import StillMissing, StockAssetsError
from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.domain.snapshot_tables import CACHE_SNAPSHOT
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.indicators.table import TECHNICAL_DAILY
from stock_assets.pipeline.compute import compute_technicals
from stock_assets.pipeline.daily_sync import LOOK_BACK, DailyJob, days_without_factors, sync_daily
from stock_assets.pipeline.factors import ingest_factors
from stock_assets.pipeline.finance import sync_finance_history, sync_finance_increment
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.pipeline.refresh import ensure_reference
from stock_assets.pipeline.repair import find_gaps, next_repair
from stock_assets.pipeline.snapshot import SnapshotContext, publish_snapshots
from stock_assets.pipeline.technical_context import TechnicalContext
from stock_assets.storage import coverage
from stock_assets_tests.faults.far_ends import SECURITIES, Desk

Journey = Literal["nightly", "repair", "history"]
CHECK: Final = "stock_daily_complete"
_MARKET: Final = (STOCK_DAILY.name, ADJUST_FACTOR.name, TECHNICAL_DAILY.name, CACHE_SNAPSHOT.name)
# As many as the command has: fetched, computed, published.
_ROUNDS: Final = 3


class NotWhole(StockAssetsError):
    """The blocking check of bars: what follows is not run."""


@dataclass(slots=True)
class Run:
    """What became of a run: the first error, and the assets whose steps were done."""

    error: StockAssetsError | None = None
    done: list[str] = field(default_factory=list[str])
    foreign: str = ""

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        if self.foreign:
            return -1
        if isinstance(self.error, NotWhole):
            return DATA_REFUSED
        return DONE if self.error is None else exit_code(self.error)

    def step(self, name: str, work: Callable[[], StockAssetsError | None]) -> bool:
        """Do one step; return whether what is made of it may follow."""
        try:
            error = work()
        except StockAssetsError as raised:
            error = raised
        except Exception as raised:  # noqa: BLE001  that none of these comes is what is shown
            self.foreign = self.foreign or repr(raised)
            return False
        self.error = self.error or error
        if error is None:
            self.done.append(name)
        return error is None


@dataclass(frozen=True, slots=True)
class Steps:
    """The assets' bodies over one store."""

    desk: Desk
    folder: Path

    def reference(self, days: Sequence[date]) -> StockAssetsError | None:
        """Know calendar and securities."""
        ensure_reference(self.desk.market, days)
        return None

    def bars(self, days: Sequence[date], job_type: DailyJob | None) -> StockAssetsError | None:
        """Load bars; without a job type as a repair does."""
        context = self.desk.market
        if job_type is None:
            return ingest_days(context, days, only_due=True).failure()
        is_nightly = job_type == "DAILY_INCREMENTAL"
        return sync_daily(context, days, job_type, refetch=is_nightly).failure()

    def check(self, days: Sequence[date]) -> StockAssetsError | None:
        """Return what blocks what is made of these days' bars."""
        with self.desk.market.database.read() as conn:
            counts = coverage.day_counts(conn, days[0], days[-1]).filter(pl.col("trade_date").is_in(list(days)))
        short = counts.filter(pl.col("present") < HALF_PUBLISHED * pl.col("expected"))
        return None if short.is_empty() and int(counts["present"].sum()) else NotWhole(problem="bars are missing")

    def factors(self, days: Sequence[date], *, is_nightly: bool = False) -> StockAssetsError | None:
        """Load factors; a nightly run brings late ones as well."""
        context = self.desk.market
        if is_nightly:
            late = days_without_factors(context, max(days) - LOOK_BACK, max(days))
            if earlier := [day for day in late if day not in days]:
                ingest_factors(context, earlier)
        return ingest_factors(context, days, refetch=is_nightly).failure()

    def technicals(self, days: Sequence[date]) -> StockAssetsError | None:
        """Compute indicators."""
        context = self.desk.market
        made = TechnicalContext(database=context.database, calendar=context.calendar, now=context.now, run_id="matrix")
        return compute_technicals(made, days).failure()

    def snapshots(self, days: Sequence[date]) -> StockAssetsError | None:
        """Publish snapshots."""
        context = self.desk.market
        made = SnapshotContext(context.database, context.calendar, context.now, "matrix")
        return publish_snapshots(made, days, self.folder).failure()

    def reports(self, days: Sequence[date]) -> StockAssetsError | None:
        """Load the announcements up to the last of the days."""
        return sync_finance_increment(self.desk.finance, days).stopped_by

    def every_report(self) -> StockAssetsError | None:
        """Load the history of reports."""
        report = sync_finance_history(self.desk.finance)
        missing = [*report.failed, *report.need_a_person]
        return report.stopped_by or (StillMissing(item=", ".join(missing)) if missing else None)


def nightly(steps: Steps, day: date) -> Run:
    """Run the nightly job for `day`, without its reports."""
    run = Run()
    if run.step(SECURITIES, lambda: steps.reference([day])):
        _market(run, steps, [day], _MARKET, "DAILY_INCREMENTAL")
    return run


def history(steps: Steps, days: Sequence[date]) -> Run:
    """Run the history of bars, factors and indicators over `days`."""
    run = Run()
    _market(run, steps, days, _MARKET[:3], "DAILY_HISTORY")
    return run


def repair(steps: Steps, days: Sequence[date]) -> Run:
    """Repair what these days lack, as the command does; the first run that fails ends it."""
    run, tried, context = Run(), set[str](), steps.desk.market
    for _ in range(_ROUNDS):
        with context.database.read() as conn:
            gaps = find_gaps(conn, days, now=context.now(), sources=context.in_use)
        chosen = next_repair(gaps)
        if chosen is None or chosen.digest in tried or run.error is not None or run.foreign:
            break
        tried.add(chosen.digest)
        _market(run, steps, context.calendar.between(chosen.first, chosen.last), chosen.assets, None)
    return run


def nightly_reports(steps: Steps, day: date) -> Run:
    """Run the nightly job's step of reports; so does the next night's, which repairs what this one missed."""
    run = Run()
    if run.step(SECURITIES, lambda: steps.reference([day])):
        run.step(FINANCE_INDICATOR.name, lambda: steps.reports([day]))
    return run


def history_of_reports(steps: Steps, day: date) -> Run:
    """Run the history of reports up to `day`."""
    run = Run()
    if run.step(SECURITIES, lambda: steps.reference([day])):
        run.step(FINANCE_INDICATOR.name, steps.every_report)
    return run


def _market(run: Run, steps: Steps, days: Sequence[date], assets: Collection[str], job_type: DailyJob | None) -> None:
    bodies: Mapping[str, Callable[[], StockAssetsError | None]] = {
        STOCK_DAILY.name: lambda: steps.bars(days, job_type),
        CHECK: lambda: steps.check(days),
        ADJUST_FACTOR.name: lambda: steps.factors(days, is_nightly=job_type == "DAILY_INCREMENTAL"),
        TECHNICAL_DAILY.name: lambda: steps.technicals(days),
        CACHE_SNAPSHOT.name: lambda: steps.snapshots(days),
    }
    chosen = {*assets, CHECK} if STOCK_DAILY.name in assets else {*assets}
    for name, body in bodies.items():
        if name in chosen and not run.step(name, body):
            return
