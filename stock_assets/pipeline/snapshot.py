"""Snapshots of trading days: made from what is in the store, published once, and let go when settings say so.

A day whose inputs are what they were needs no new snapshot: nothing is written then, neither file nor row.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Final, Literal, TypeVar

import polars as pl

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.domain.errors import InvalidInput
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.indicators.catalog import FAMILIES
from stock_assets.indicators.family import Family
from stock_assets.indicators.table import technical_table
from stock_assets.pipeline.context import DAYS_COUNTED, Progress, no_progress
from stock_assets.pipeline.gaps import check_days
from stock_assets.pipeline.snapshot_columns import BARS, CODE_VERSION, FIGURES, FLAGS, layout_of
from stock_assets.pipeline.snapshot_frame import DayContent, Identity, SnapshotInputs, content_of
from stock_assets.storage import ledger, snapshot_files, snapshots
from stock_assets.storage.database import Connection, Database
from stock_assets.storage.ledger import LedgerEntry
from stock_assets.storage.reader import Reader
from stock_assets.storage.snapshot_inputs import Part, read_days, read_securities
from stock_assets.storage.snapshots import SnapshotRow
from stock_assets.units import Step, UnitOfWork, unit

Verdict = Literal["published", "rewritten", "unchanged", "no_bars", "no_technicals"]
"""What became of a day: a new snapshot, a lost file written again, nothing to do, or nothing that it could be made of."""

RowsT = TypeVar("RowsT")
# Read, locked and committed together; each takes some 15 MB.
_DAYS_AT_A_TIME: Final = 20
# What the log's steps of a day are here.
_STEPS: Final[dict[Step, str]] = {"translate": "make_seconds", "database": "write_seconds"}
_DATASET: Final = snapshots.DATASET
_BARS: Final = Part(STOCK_DAILY, ("ts_code", "source", *FLAGS, *BARS))


@dataclass(frozen=True, slots=True)
class SnapshotContext:
    """Store, calendar and clock of one run, and the indicators that the store has."""

    database: Database
    calendar: TradingCalendar
    now: Callable[[], datetime]
    run_id: str | None = None
    progress: Progress = no_progress
    families: tuple[Family, ...] = FAMILIES


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySnapshot:
    """One day after a run; `row` is its current snapshot, None where there was nothing to make one of."""

    day: date
    verdict: Verdict
    row: SnapshotRow | None
    detail: str | None = None


@dataclass(slots=True)
class SnapshotReport:
    """The days of a run in order, the seconds that reading, making and writing took, and how many lost files were swept."""

    days: list[DaySnapshot] = field(default_factory=list[DaySnapshot])
    split: dict[str, float] = field(default_factory=dict[str, float])
    swept: int = 0

    def add_seconds(self, step: str, seconds: float) -> None:
        """Add to the time of a step."""
        self.split[step] = self.split.get(step, 0.0) + seconds

    def count(self, verdict: Verdict) -> int:
        """Return how many days ended so."""
        return Counter(day.verdict for day in self.days)[verdict]

    @property
    def without(self) -> list[DaySnapshot]:
        """The days of which there is no snapshot because the store lacks what it is made of."""
        return [day for day in self.days if day.row is None]

    def failure(self) -> InvalidInput | None:
        """Return what to do about the days of which there is no snapshot; None where every day has one."""
        if not self.without:
            return None
        first, last = self.without[0], self.without[-1]
        days = str(first.day) if first is last else f"{first.day} … {last.day} ({len(self.without)})"
        if self.count("no_bars"):
            command = f"stock-assets backfill-daily --start {first.day} --end {last.day}"
            return InvalidInput(
                problem=f"no snapshot of {days}, of which the store lacks bars; load them first: `{command}`",
                problem_zh=f"没有 {days} 的快照：存储中缺少行情，请先装载：{command}",
            )
        command = f"stock-assets backfill-technicals --start {first.day} --end {last.day}"
        return InvalidInput(
            problem=f"no snapshot of {days}, of which the store lacks indicators; compute them first: `{command}`",
            problem_zh=f"没有 {days} 的快照：存储中缺少技术指标，请先计算：{command}",
        )


def publish_snapshots(context: SnapshotContext, days: Sequence[date], folder: Path) -> SnapshotReport:
    """Publish a snapshot of each of `days` whose inputs have changed since its last one, below `folder`.

    A few days are read together, whichever process asks for them waits for the other, and each transaction ends with files
    and rows that belong together; killed anywhere, a run leaves whole snapshots and at most files that the next one sweeps.

    Errors: `InvalidInput`, `NotReady` for days that cannot have one; `OSError` when the folder cannot be written.
    """
    ordered = sorted(set(days))
    check_days(context.calendar, context.now(), ordered)
    report = SnapshotReport()
    with unit("snapshot.run", days=len(ordered), first=ordered[0], last=ordered[-1], slow_seconds=float("inf")) as work:
        report.swept = len(snapshots.sweep(context.database, folder))
        for first in range(0, len(ordered), _DAYS_AT_A_TIME):
            _Chunk(context, folder, report, work).publish(ordered[first : first + _DAYS_AT_A_TIME], len(ordered))
        work.add(
            published=report.count("published"), rewritten=report.count("rewritten"), unchanged=report.count("unchanged"),
            without=len(report.without), swept=report.swept,
        )  # fmt: skip
    return report


def prune_snapshots(
    context: SnapshotContext, folder: Path, *, keep_days: int | None = None, keep_versions: int | None = None
) -> list[SnapshotRow]:
    """Let go of snapshots of days more than `keep_days` before today, and of each day all but the newest versions.

    The row goes first, then the file; whoever has the file open reads it to its end. None keeps everything.
    """
    if keep_days is None and keep_versions is None:
        return []
    before = None if keep_days is None else context.now().date() - timedelta(days=keep_days)
    with unit("snapshot.prune") as work:
        with context.database.begin() as conn:
            days = {row.trade_date for row in snapshots.superfluous(conn, before=before, versions=keep_versions)}
            ledger.lock_days(conn, _DATASET, days)
            # Somebody may have published while we waited.
            gone = snapshots.superfluous(conn, before=before, versions=keep_versions)
            gone = [row for row in gone if row.trade_date in days]
            snapshots.forget(conn, gone)
        if gone:
            snapshots.sweep(context.database, folder)
        work.add(snapshots=len(gone))
    return gone


@dataclass(slots=True)
class _Chunk:
    """A few days in one transaction."""

    context: SnapshotContext
    folder: Path
    report: SnapshotReport
    work: UnitOfWork

    def publish(self, days: Sequence[date], total: int) -> None:
        """Publish these days, and add them to the report once they are committed."""
        done: list[DaySnapshot] = []
        with self.context.database.begin() as conn:
            ledger.lock_days(conn, _DATASET, days)
            known = snapshots.current(conn, days)
            of_factors = ledger.statuses(conn, ADJUST_FACTOR.name, days)
            for inputs in self._inputs(days):
                lacks_factors = of_factors.get(inputs.trade_date, "complete") not in ledger.CLOSED
                with unit("snapshot.day", trade_date=inputs.trade_date) as work:
                    done.append(
                        self._day(conn, inputs, known.get(inputs.trade_date), work, lacks_factors=lacks_factors)
                    )
                for step, name in _STEPS.items():
                    seconds = work.split.get(f"{step}_seconds", 0.0)
                    self.report.add_seconds(name, seconds)
                    self.work.record(step, seconds)
        self.report.days += done
        rows = sum(day.row.rows for day in done if day.row is not None)
        done_days, label = len(self.report.days), str(days[-1])
        self.context.progress(done=done_days, total=total, rows=rows, label=label, counted=DAYS_COUNTED)

    def _inputs(self, days: Sequence[date]) -> Iterator[SnapshotInputs]:
        layout = layout_of(self.context.families)
        technicals = Part(technical_table(self.context.families), ("ts_code", *layout.technicals))
        sessions = pl.Series(self.context.calendar.between(date.min, days[-1]), dtype=pl.Date)
        # A session of its own, begun when the days are locked: it sees what those before us have published from.
        with Reader(self.context.database).snapshot() as session:
            securities = self._timed(lambda: read_securities(session))
            days_rows = read_days(session, days, bars=_BARS, technicals=technicals, figures=FIGURES)
            while (rows := self._timed(lambda: next(days_rows, None))) is not None:
                yield SnapshotInputs(
                    trade_date=rows.day,
                    securities=securities,
                    bars=rows.bars,
                    technicals=rows.technicals,
                    factors=rows.factors,
                    reports=rows.reports,
                    sessions=sessions,
                )

    def _timed(self, read: Callable[[], RowsT]) -> RowsT:
        """Return what is read; its time is the run's, for a range is read together."""
        began = perf_counter()
        rows = read()
        seconds = perf_counter() - began
        self.report.add_seconds("read_seconds", seconds)
        self.work.record("database", seconds)
        return rows

    def _day(
        self,
        conn: Connection,
        inputs: SnapshotInputs,
        before: SnapshotRow | None,
        work: UnitOfWork,
        *,
        lacks_factors: bool,
    ) -> DaySnapshot:
        day, started_at = inputs.trade_date, self.context.now()
        with work.step("translate"):
            content = content_of(inputs, layout_of(self.context.families))
            lacking = _lacking(content)
            if lacking is not None:
                work.add(verdict=lacking)
                return DaySnapshot(day=day, verdict=lacking, row=None)
            identity = content.identity()
            detail = _detail(content, lacks_factors=lacks_factors)
        has_same = before is not None and before.snapshot_id == identity.snapshot_id
        if before is not None and has_same and snapshot_files.is_whole(self.folder, before.path, before.digest):
            # What the day lacked may have turned out to be nowhere: then the line alone changes.
            ledger.write_entry(conn, self._line(content, before, inputs.bars, started_at, detail))
            work.add(verdict="unchanged", snapshot_id=before.snapshot_id)
            return DaySnapshot(day=day, verdict="unchanged", row=before, detail=detail)
        row = self._write(content, identity, before, work)
        with work.step("database"):
            if row != before:
                snapshots.save(conn, row)
            ledger.write_entry(conn, self._line(content, row, inputs.bars, started_at, detail))
        is_again = before is not None and before.snapshot_id == row.snapshot_id
        verdict: Verdict = "rewritten" if is_again else "published"
        work.add(verdict=verdict, snapshot_id=row.snapshot_id, rows=row.rows, reason=row.reason)
        return DaySnapshot(day=day, verdict=verdict, row=row, detail=detail)

    def _write(
        self, content: DayContent, identity: Identity, before: SnapshotRow | None, work: UnitOfWork
    ) -> SnapshotRow:
        day, name = content.trade_date, identity.snapshot_id
        inputs = json.dumps(identity.inputs)
        with work.step("translate"):
            frame = content.frame()
            notes = {
                "trade_date": str(day), "snapshot_id": name, "code_version": CODE_VERSION, "inputs": inputs
            }  # fmt: skip
            file = snapshot_files.encode(frame, content.layout.table, notes)
        path = snapshot_files.path_of(day, name)
        with work.step("database"):
            snapshot_files.write(self.folder, path, file)
        digest = snapshot_files.digest_of_file(file)
        if before is not None and (before.snapshot_id, before.digest) == (name, digest):
            return before
        return SnapshotRow(
            trade_date=day,
            snapshot_id=name,
            is_current=True,
            digest=digest,
            bytes=len(file),
            rows=frame.height,
            path=str(path),
            inputs=inputs,
            reason=identity.reason(None if before is None else json.loads(before.inputs)),
            code_version=CODE_VERSION,
            created_at=self.context.now(),
            run_id=self.context.run_id,
        )

    def _line(
        self, content: DayContent, row: SnapshotRow, bars: pl.DataFrame, started_at: datetime, detail: str | None
    ) -> LedgerEntry:
        return LedgerEntry(
            dataset=_DATASET,
            trade_date=content.trade_date,
            status="complete" if detail is None else "partial",
            rows_expected=row.rows,
            rows_present=row.rows - content.without_bar,
            rows_rejected=0,
            source=ledger.joined_sources(bars["source"].unique()),
            digest=row.snapshot_id,
            detail=detail,
            run_id=self.context.run_id,
            started_at=started_at,
            finished_at=self.context.now(),
        )


def _lacking(content: DayContent) -> Literal["no_bars", "no_technicals"] | None:
    if content.bars.is_empty():
        return "no_bars"
    if content.technicals.is_empty() and content.without_technicals:
        return "no_technicals"
    return None


def _detail(content: DayContent, *, lacks_factors: bool) -> str | None:
    """Return what the day's snapshot lacks, None when it is whole."""
    lacks = [
        f"{count} listed stocks without {what}"
        for count, what in ((content.without_bar, "a bar"), (content.without_technicals, "indicators"))
        if count
    ]
    if lacks_factors:
        lacks.append("adjustment factors of the day are not all there")
    return "; ".join(lacks) or None
