"""Daily bars as a list of work: the calls that the planner would make now, worked batch by batch.

What is still to do is read from the store: a call is done when the store lacks none of the bars it was made for. A gap that
has a failure record stays under the record's name until it is filled; all others are planned anew each time, so that many
short days become few calls by stock.
"""

from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial

import polars as pl

from stock_assets.domain.calendar import SHANGHAI, parse_day
from stock_assets.domain.errors import (
    AccessDenied,
    Banned,
    InvalidInput,
    NotReady,
    QuotaExhausted,
    RateLimited,
    SlotsTaken,
    SourceUnavailable,
    StockAssetsError,
)
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.pipeline.context import DAYS_COUNTED, Counted, LandingTransaction, PipelineContext
from stock_assets.pipeline.gaps import Block, Scope, blocks_of_gaps
from stock_assets.pipeline.history import Batch, BatchTransaction
from stock_assets.pipeline.ingest import fill_gaps
from stock_assets.pipeline.refresh import ensure_reference
from stock_assets.pipeline.report import DayOutcome, IngestReport
from stock_assets.pipeline.turns import turns
from stock_assets.pipeline.watch import Watch, name_of
from stock_assets.sources.planner import Call, CodeCall, CostModel, DayCall, plan_daily
from stock_assets.storage import coverage, ledger, sync_tasks
from stock_assets.storage.database import Connection
from stock_assets.storage.sync_tasks import JobType

# Refusals and silences that say nothing of the item that met them.
_OF_THE_SOURCE = (SourceUnavailable, Banned, QuotaExhausted, RateLimited, AccessDenied, SlotsTaken)


@dataclass(frozen=True, slots=True)
class Records:
    """Unresolved failure records, by what they are of."""

    days: frozenset[date]
    codes: frozenset[str]

    @classmethod
    def of(cls, third_codes: Collection[str]) -> "Records":
        """Return the records of these names."""
        days: set[date] = set()
        codes: set[str] = set()
        for name in third_codes:
            try:
                days.add(parse_day(name))
            except InvalidInput:
                codes.add(name)
        return cls(frozenset(days), frozenset(codes))

    def cover(self) -> pl.Expr:
        """Return whether a gap (ts_code, trade_date) has one of these records."""
        return pl.col("trade_date").is_in(list(self.days)) | pl.col("ts_code").is_in(list(self.codes))


@dataclass(slots=True)
class DailyWork:
    """The gaps of `days`, or of `ts_codes` on them; the days of `again` are asked whole once, whatever is there.

    With `only_records` nothing is asked but what has a failure record. `report` is filled on the way.
    """

    context: PipelineContext
    job_type: JobType
    days: Collection[date]
    ts_codes: tuple[str, ...] | None
    report: IngestReport
    again: set[date] = field(default_factory=set[date])
    only_records: bool = False
    _short: set[date] | None = None
    _records: Records = field(default_factory=lambda: Records.of(()))
    _waiting: Records = field(default_factory=lambda: Records.of(()))
    _whole: set[date] = field(default_factory=set[date])

    def remaining(self) -> Sequence[Call]:
        """Return the calls that would fill what is missing now; a day that landed whole in this run is not looked at again."""
        if self._short is None:
            ensure_reference(self.context, sorted(self.days))
            self._short = set(self.days)
        with self.context.database.read() as conn:
            known = sync_tasks.open_failures(conn, self.job_type)
        self._records = Records.of([record.third_code for record in known])
        self._waiting = Records.of([record.third_code for record in known if record.needs_a_person])
        calls: dict[str, Call] = {}
        if self._short:
            self._short = self._plan(sorted(self._short), calls)
        for day in self.again:
            calls.setdefault(day.isoformat(), DayCall(day, 0))
        self._whole = {call.day for call in calls.values() if isinstance(call, DayCall)}
        return list(calls.values())

    def third_code(self, item: Call) -> str:
        """Return the call's day or stock."""
        return name_of(item)

    def settled(self, third_codes: Collection[str]) -> set[str]:
        """Return which of these records, that the list does not name, lack nothing any more.

        The ledger says it of a day, the gaps on all days that the ledger knows say it of a stock.
        """
        records = Records.of(third_codes)
        with self.context.database.read() as conn:
            statuses = ledger.statuses(conn, STOCK_DAILY.name, records.days)
            lacking = gaps_of_codes(conn, records.codes)
        done = {day.isoformat() for day in records.days if statuses.get(day) in ledger.CLOSED}
        return done | (records.codes - set(lacking["ts_code"].unique()))

    def work(self, batch: Batch[Call]) -> None:
        """Make the batch's calls, those for stocks first, and land what comes.

        Errors: what brought the last source down.
        """
        codes = [item for item in batch.items if isinstance(item, CodeCall)]
        days = [item for item in batch.items if isinstance(item, DayCall)]
        if codes:
            first, last = min(call.start for call in codes), max(call.end for call in codes)
            # Days that are fetched whole bring these stocks too.
            short = [day for day in sorted(self._short or ()) if first <= day <= last and day not in self._whole]
            self._fill(batch, codes, short, tuple(call.ts_code for call in codes))
        for is_again in (False, True):
            chosen = [call for call in days if (call.day in self.again) is is_again]
            if chosen:
                self._fill(batch, chosen, sorted(call.day for call in chosen), self.ts_codes, is_again=is_again)

    def _plan(self, days: Sequence[date], calls: dict[str, Call]) -> set[date]:
        """Add the calls for the gaps of `days`; return the days that have any which do not wait for a person.

        Those that wait are named once, which says that they are still there, and looked at no more in this run.
        """
        seen: set[date] = set()
        for turn in turns(self.context):
            if turn.scope.own:
                scope, costs = Scope(turn.scope.own), turn.context.source.costs
                for block in blocks_of_gaps(self.context.database, days, self.ts_codes, scope=scope):
                    waits = self._waiting.cover()
                    seen.update(block.gaps.filter(~waits)["trade_date"].unique())
                    for call in self._calls(block, costs):
                        _add(calls, call)
        return seen

    def _calls(self, block: Block, costs: CostModel) -> Sequence[Call]:
        records, gaps = self._records, block.gaps
        has_day = pl.col("trade_date").is_in(list(records.days))
        has_code = records.cover() & ~has_day
        days = gaps.filter(has_day)["trade_date"].unique().sort()
        stretches = gaps.filter(has_code).group_by("ts_code", maintain_order=True).agg(
            pl.col("trade_date").min().alias("start"), pl.col("trade_date").max().alias("end"), pl.len()
        )  # fmt: skip
        rest = gaps.clear() if self.only_records else gaps.filter(~records.cover())
        return [
            *(CodeCall(*stretch) for stretch in stretches.iter_rows()),
            *(DayCall(day, block.rows_of_day[day]) for day in days),
            *plan_daily(rest, block.rows_of_day, costs).calls,
        ]

    def _fill(
        self,
        batch: Batch[Call],
        items: Sequence[Call],
        days: list[date],
        ts_codes: tuple[str, ...] | None,
        *,
        is_again: bool = False,
    ) -> None:
        if not days:
            return
        watch = self._watch(items, days, ts_codes)
        failures_before = len(self.report.failures)
        before = batch.before + batch.items.index(items[0])

        def progress(*, done: int, total: int, rows: int, label: str, counted: Counted | None = None) -> None:
            del total
            if counted == DAYS_COUNTED:
                # A task counts its calls; it lands them every few.
                return
            done = before + min(done, len(items))
            self.context.progress(done=done, total=batch.total, rows=rows, label=label, counted=counted)

        transaction = partial(self._transaction, batch, watch)
        context = replace(self.context, transaction=transaction, progress=progress)
        fill_gaps(context, self.report, days, ts_codes, refetch=is_again)
        self.again.difference_update(days)
        errors = {failure.label: failure.error for failure in self.report.failures[failures_before:]}
        for name, item in watch.calls.items():
            self._note(batch, item, errors.get(name), watch)
        down = self.report.handed_on
        if all(source.name in down for source in (self.context.source, *self.context.fallbacks)):
            raise self.report.stopped_by or next(iter(down.values()))

    def _watch(self, items: Sequence[Call], days: Sequence[date], ts_codes: tuple[str, ...] | None) -> Watch:
        with self.context.database.read() as conn:
            gaps = coverage.missing_bars(
                conn, days[0], days[-1], ts_codes=ts_codes, sources=self.context.in_use
            )  # fmt: skip
        # What a stock with a record of its own lacks is asked for under its name.
        named = {call.ts_code for call in items if isinstance(call, CodeCall)}
        gaps = gaps.filter(
            pl.col("trade_date").is_in(days) & ~pl.col("ts_code").is_in(list(self._records.codes - named))
        )
        return Watch.over(items, gaps, is_whole_market=ts_codes is None)

    def _note(self, batch: Batch[Call], item: Call, error: StockAssetsError | None, watch: Watch) -> None:
        """Say of an item that is not done whether it failed, lacks something, or could not be had now."""
        is_of_the_source = error is None or isinstance(error, _OF_THE_SOURCE)
        is_early = isinstance(error, NotReady) or self._is_late(item, watch)
        if is_early or (self.report.handed_on and is_of_the_source):
            batch.later(item)
        elif error is not None and not is_of_the_source:
            batch.failed(item, error)
        elif text := str(error or "") or watch.text(item):
            # With the end of the task only: the source may turn out to be down.
            batch.lacks(item, text)

    def _is_late(self, item: Call, watch: Watch) -> bool:
        """Return whether an item is of today alone: what it lacks may still be published."""
        today = self.context.now().astimezone(SHANGHAI).date()
        days = {item.day} if isinstance(item, DayCall) else watch.lacking_days(item)
        return days == {today}

    @contextmanager
    def _transaction(self, batch: Batch[Call], watch: Watch) -> Generator[LandingTransaction]:
        with batch.transaction() as transaction:
            landing = _Landing(transaction, watch)
            yield landing
        for outcome in landing.outcomes:
            if outcome.status == "complete" and self._short is not None:
                self._short.discard(outcome.day)


def gaps_of_codes(conn: Connection, ts_codes: Collection[str]) -> pl.DataFrame:
    """Return ts_code and trade_date of what these stocks lack on the days that the ledger knows."""
    known = ledger.known_days(conn, STOCK_DAILY.name)
    if not ts_codes or not known:
        return pl.DataFrame(schema={"ts_code": pl.String, "trade_date": pl.Date})
    gaps = coverage.missing_bars(conn, min(known), max(known), ts_codes=sorted(ts_codes))
    return gaps.filter(pl.col("trade_date").is_in(list(known)))


def _add(calls: dict[str, Call], call: Call) -> None:
    """Add a call; one stock's stretches become one, and one day's calls too."""
    name = name_of(call)
    known = calls.get(name)
    if isinstance(known, CodeCall) and isinstance(call, CodeCall):
        start, end = min(known.start, call.start), max(known.end, call.end)
        calls[name] = CodeCall(call.ts_code, start, end, known.rows + call.rows)
    elif known is None:
        calls[name] = call


@dataclass(slots=True)
class _Landing:
    """A batch's transaction as landing knows it."""

    transaction: BatchTransaction[Call]
    watch: Watch
    outcomes: list[DayOutcome] = field(default_factory=list[DayOutcome])

    @property
    def connection(self) -> Connection:
        """The connection to write through."""
        return self.transaction.connection

    def landed(self, outcomes: Sequence[DayOutcome], lacking: Mapping[date, Collection[str]], *, rows: int) -> None:
        """Count the items that are whole with these days."""
        self.outcomes += outcomes
        self.transaction.done(self.watch.landed(outcomes, lacking), rows=rows)
