"""Daily bars by the engine of long synchronizations: history, and the increment that looks back and repairs itself.

`ingest.ingest_days` loads the same days without a task of its own and beside others; here one process at a time works on
a job type, what fails is recorded and retried, and progress is kept.
"""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from stock_assets.domain.errors import AlreadyRunning, StockAssetsError, TaskLost
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.pipeline.alarm import tell_crash, tell_outcome
from stock_assets.pipeline.context import PipelineContext
from stock_assets.pipeline.daily_work import DailyWork, Records, gaps_of_codes
from stock_assets.pipeline.gaps import check_days
from stock_assets.pipeline.history import SyncOutcome, run_history_sync
from stock_assets.pipeline.ingest import end_run
from stock_assets.pipeline.report import IngestReport
from stock_assets.storage import ledger, sync_tasks
from stock_assets.units import unit

DailyJob = Literal["DAILY_HISTORY", "DAILY_INCREMENTAL"]
JOB_TYPES: tuple[DailyJob, ...] = ("DAILY_HISTORY", "DAILY_INCREMENTAL")
LOOK_BACK = timedelta(days=30)
"""How far an increment looks back for what earlier ones missed."""


@dataclass(frozen=True, slots=True)
class DailySync:
    """What became of a synchronization: its report over `asked` and the days looked back at, and how its task ended."""

    asked: frozenset[date]
    report: IngestReport
    outcome: SyncOutcome

    def failure(self) -> StockAssetsError | None:
        """Return what makes it a failed run: as `IngestReport.failure`, where days looked back at count for nothing."""
        return self.report.failure(self.asked)


def sync_daily(  # noqa: PLR0913  (each has its default)
    context: PipelineContext,
    days: Sequence[date],
    job_type: DailyJob = "DAILY_HISTORY",
    *,
    ts_codes: Sequence[str] | None = None,
    refetch: bool = False,
    only_records: bool = False,
    batch_size: int = 50,
    max_retries: int = 3,
    stop: threading.Event | None = None,
) -> DailySync:
    """Fetch and land what is missing of `days` as one task of `job_type`; an increment looks back a month as well.

    With `refetch` the days are asked again whole, with `only_records` nothing is asked but what has a failure record.
    Errors: as `ingest_days`, and `AlreadyRunning` and `TaskLost` as `run_history_sync`.
    """
    check_days(context.calendar, context.now(), days)
    asked = frozenset(days)
    worked = sorted(asked | looked_back_at(context, max(days), job_type))
    report = IngestReport(STOCK_DAILY.name, len(worked))
    codes = None if ts_codes is None else tuple(ts_codes)
    work_list = DailyWork(
        context, job_type, worked, codes, report, again=set(asked) if refetch else set(), only_records=only_records
    )
    with unit("ingest.run", days=len(worked), first=worked[0], last=worked[-1], slow_seconds=float("inf")) as work:
        try:
            outcome = run_history_sync(
                context.database, work_list, now=context.now, batch_size=batch_size, max_retries=max_retries,
                config={"only": "failures"} if only_records else _config(context, days, job_type, ts_codes),
                settled=work_list.settled, stop=stop,
            )  # fmt: skip
        except (AlreadyRunning, TaskLost):
            raise
        except Exception as error:
            tell_crash(context.notify, job_type, error)
            raise
        end_run(context, report, work)
    report.stopped_by = outcome.stopped_by or report.stopped_by
    tell_outcome(context.notify, outcome)
    return DailySync(asked, report, outcome)


def looked_back_at(context: PipelineContext, last: date, job_type: DailyJob) -> set[date]:
    """Return the days that an increment takes along: of the last month since the store's first day, and of failures."""
    if job_type != "DAILY_INCREMENTAL":
        return set()
    with context.database.read() as conn:
        known = ledger.known_days(conn, STOCK_DAILY.name)
    if not known:
        return set()
    recent = context.calendar.between(max(last - LOOK_BACK, min(known)), last)
    failed: Collection[date] = days_of_records(context, job_type)
    return {*recent, *(day for day in failed if day <= last)}


def days_without_factors(context: PipelineContext, first: date, last: date) -> list[date]:
    """Return the days of [first, last] whose bars are in and whose factors are not, in order."""
    with context.database.read() as conn:
        with_bars = ledger.closed_days(conn, STOCK_DAILY.name, first, last)
        with_factors = ledger.closed_days(conn, ADJUST_FACTOR.name, first, last)
    return sorted(with_bars - with_factors)


def days_of_records(context: PipelineContext, job_type: DailyJob) -> list[date]:
    """Return the sessions that the unresolved failure records of a job type are about, in order."""
    with context.database.read() as conn:
        records = Records.of([record.third_code for record in sync_tasks.open_failures(conn, job_type)])
        gaps = gaps_of_codes(conn, records.codes)
    return sorted(day for day in {*records.days, *gaps["trade_date"]} if context.calendar.is_session(day))


def _config(
    context: PipelineContext, days: Sequence[date], job_type: DailyJob, ts_codes: Sequence[str] | None
) -> dict[str, object]:
    """Return what a task is made for. A history up to the newest day is the same task tomorrow."""
    first, last = min(days), max(days)
    is_open_ended = job_type == "DAILY_HISTORY" and last == context.last_final()
    ends = {} if is_open_ended else {"end": last.isoformat()}
    codes = {} if ts_codes is None else {"codes": sorted(ts_codes)}
    return {"start": first.isoformat(), **ends, **codes}
