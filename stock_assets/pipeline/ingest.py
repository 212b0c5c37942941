"""Daily bars into the store: the nightly run, a repair and full history are this one function with three lists of days.

Only gaps are fetched, at the grain (stock, day), by the cheapest plan; a day that is complete costs no call and no
write. Long lists are worked in blocks of bounded size, and every block starts from what the store holds by then, so a
run that was killed goes on where its last transaction ended.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TypeVar

import polars as pl
import structlog

from stock_assets.domain.answers import Answer, CallCost, ProvenEmpty, Rows, closes_gap, error_of
from stock_assets.domain.errors import AnswerBroken, StockAssetsError
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.pipeline.context import DAYS_COUNTED, PipelineContext
from stock_assets.pipeline.fetch import SourceDown, answers_in_order
from stock_assets.pipeline.gaps import Block, Scope, blocks_of_gaps, check_days
from stock_assets.pipeline.lacking import no_gaps, spoken_of_by_day, spoken_of_by_stock
from stock_assets.pipeline.landing import JudgedAnswer, Landing, judge_answer, land_bars, land_nothing, note_refusal
from stock_assets.pipeline.readiness import has_changed, is_new, not_ready, why_not_whole
from stock_assets.pipeline.refresh import ensure_reference, refresh_securities
from stock_assets.pipeline.report import IngestReport
from stock_assets.pipeline.turns import Turn, work_in_turn
from stock_assets.sources.planner import Call, CodeCall, DayCall, plan_daily
from stock_assets.storage import layout, reference
from stock_assets.units import UnitOfWork, unit

SomeCall = TypeVar("SomeCall", CodeCall, DayCall)
_log = structlog.get_logger(__name__)
# Rows landed in one transaction: a whole market day, or several days of a small market.
_ROWS_FOR_NEW_STATISTICS = 50_000
_LANDING_ROWS = 8_000
# Days landed in one transaction: each holds a place in the server's lock table, which has room for a few thousand.
_LANDING_DAYS = 250


def ingest_days(
    context: PipelineContext,
    days: Sequence[date],
    *,
    ts_codes: Sequence[str] | None = None,
    refetch: bool = False,
    only_due: bool = False,
) -> IngestReport:
    """Fetch and land what is missing of `days`; with `refetch`, ask again for all of it and write what differs.

    `days` are sessions; `ts_codes` restricts the work to these stocks; `only_due` leaves out what a source was asked for,
    lacked, and need not be asked for again yet. The report tells every worked day's status, the
    calls that failed and where the time went; a failed call leaves its gap open and never stops the others.

    Errors: `InvalidInput` for a day that is no session, `NotReady` for one that is not published. What a source does is
    in the report, not raised (see `IngestReport.failure`).
    """
    check_days(context.calendar, context.now(), days)
    report = IngestReport(STOCK_DAILY.name, len(days))
    with unit("ingest.run", days=len(days), first=min(days), last=max(days), slow_seconds=float("inf")) as work:
        ensure_reference(context, days)
        fill_gaps(context, report, days, ts_codes, refetch=refetch, only_due=only_due)
        end_run(context, report, work)
    return report


def fill_gaps(  # noqa: PLR0913  (each has its default)
    context: PipelineContext,
    report: IngestReport,
    days: Sequence[date],
    ts_codes: Sequence[str] | None,
    *,
    refetch: bool = False,
    only_due: bool = False,
) -> None:
    """Ask each source in its turn for what is missing of `days`, land what comes, and add it all to the report."""

    def ingest(turn: Turn) -> None:
        part = _Ingest(turn.context, report, turn.scope)
        blocks = blocks_of_gaps(
            context.database,
            days,
            ts_codes,
            refetch=refetch,
            scope=turn.scope,
            due_at=context.now() if only_due else None,
        )
        for block in blocks:
            part.work(block, is_restricted=ts_codes is not None)

    work_in_turn(context, report, ingest)


def end_run(context: PipelineContext, report: IngestReport, work: UnitOfWork) -> None:
    """Say in the run's line what became of it; after many new rows the database looks at them anew."""
    if report.rows_written >= _ROWS_FOR_NEW_STATISTICS:
        with context.database.begin() as conn:
            layout.refresh_statistics(conn, STOCK_DAILY.name)
    work.split.update(report.split)
    work.add(requests=report.requests, rows=report.rows_written, days_worked=len(report.outcomes))


@dataclass(slots=True)
class _Ingest:
    """One source's turn: the report it fills, and the securities as last read.

    Where a block has gaps that another source left, these alone land, day by day: what others said of the days stays.
    """

    context: PipelineContext
    report: IngestReport
    scope: Scope
    securities: pl.DataFrame = field(default_factory=pl.DataFrame)

    def work(self, block: Block, *, is_restricted: bool) -> None:
        """Plan, fetch and land one block.

        Errors: `SourceDown` once asking on is useless; what had arrived by then is landed.
        """
        self._read_securities()
        plan = plan_daily(block.gaps, block.rows_of_day, self.context.source.costs)
        codes = _codes_of(block.gaps)
        is_shared = any(code[-2:] in self.scope.shared for code in codes)
        if plan.code_calls:
            self._fetch_codes(plan.code_calls, block, is_shared=is_shared)
        if plan.day_calls:
            only = codes if is_restricted or not self.scope.is_first else None
            self._fetch_days(plan.day_calls, only, block, is_shared=is_shared)

    def _fetch_codes(self, calls: Sequence[CodeCall], block: Block, *, is_shared: bool) -> None:
        """Ask stock by stock, then land what came day by day: one stock's failure never stops the others."""
        started_at = self.context.now()
        frames = [self.context.source.no_daily()]
        answered: list[CodeCall] = []
        down: SourceDown | None = None
        try:
            for call, answer in self._answers(calls):
                if isinstance(answer, Rows):
                    frames.append(answer.frame)
                if isinstance(answer, Rows | ProvenEmpty):
                    answered.append(call)
                else:
                    self._note_failure(call.ts_code, answer)
        except SourceDown as stop:
            down = stop
        codes = tuple(call.ts_code for call in answered)
        gaps = block.gaps.filter(pl.col("ts_code").is_in(codes))
        asked = spoken_of_by_stock(self.context, block.gaps, answered)
        # Stretches cover sessions that nobody asked for: right answers all the same, of which only the asked ones land.
        stretch = self.context.calendar.between(min(call.start for call in calls), max(call.end for call in calls))
        judged = self._judge(pl.concat(frames), stretch)
        if not is_shared:
            days, landed = gaps["trade_date"].unique().sort().to_list(), 0
            for group in _groups(days, judged.rows_of_day()):
                self._land(judged.of_days(group), group, codes, started_at, asked=asked, is_by_stock=True)
                landed += len(group)
                rows, label = self.report.rows_written, str(group[-1])
                self.context.progress(done=landed, total=len(days), rows=rows, label=label, counted=DAYS_COUNTED)
        else:
            self._land_gaps(judged, gaps, started_at, asked=asked)
        if down is not None:
            raise down

    def _land_gaps(
        self, judged: JudgedAnswer, gaps: pl.DataFrame, started_at: datetime, *, asked: pl.DataFrame
    ) -> None:
        """Land what came for gaps alone: together the days on which the same stocks have one; of others what lacks is noted."""
        alike = gaps.group_by("trade_date").agg(pl.col("ts_code").sort()).group_by("ts_code", maintain_order=True)
        for codes, days in alike.agg(pl.col("trade_date").sort()).iter_rows():
            part = judged.of_codes(codes)
            held = part.rows_of_day()
            for group in _groups([day for day in days if day in held], held):
                self._land(part.of_days(group), group, tuple(codes), started_at, asked=asked, is_by_stock=True)
            for group in _groups([day for day in days if day not in held], held):
                none = asked.filter(pl.col("trade_date").is_in(group) & pl.col("ts_code").is_in(codes))
                self.report.add_outcomes(land_nothing(self.context, none, started_at))

    def _fetch_days(
        self, calls: Sequence[DayCall], ts_codes: tuple[str, ...] | None, block: Block, *, is_shared: bool
    ) -> None:
        """Ask day by day and land each day, or a few small ones together, as they come."""
        waiting: dict[date, _Spoken] = {}
        gaps_of_day = {day: gaps for (day,), gaps in block.gaps.partition_by("trade_date", as_dict=True).items()}
        started_at = self.context.now()
        try:
            for call, answer in self._answers(calls):
                gaps = gaps_of_day.get(call.day, no_gaps())
                looked = self._look(call, answer, block)
                if not isinstance(looked, JudgedAnswer):
                    # Of what the first source left open nobody has to have more.
                    is_needed = any(code[-2:] in self.scope.own for code in _codes_of(gaps))
                    self.report.add_failure(str(call.day), looked, is_needed=is_needed)
                    self.report.add_outcomes(
                        note_refusal(self.context, STOCK_DAILY.name, [call.day], looked, started_at)
                    )
                    continue
                judged = looked
                asked = spoken_of_by_day(self.context, gaps, call.day, judged.accepted, block.rows_of_day[call.day])
                if is_shared:
                    codes = _codes_of(gaps)
                    self._land(judged.of_codes(codes), [call.day], codes, started_at, asked=asked)
                    continue
                if ts_codes is not None:
                    judged = judged.of_codes(ts_codes)
                waiting[call.day] = _Spoken(judged, asked)
                held = sum(spoken.judged.answer.height for spoken in waiting.values())
                if held + judged.answer.height > _LANDING_ROWS or len(waiting) == _LANDING_DAYS:
                    self._land_waiting(waiting, ts_codes, started_at)
        finally:
            # Also when the source went down: what arrived is landed.
            self._land_waiting(waiting, ts_codes, started_at)

    def _look(self, call: DayCall, answer: Answer, block: Block) -> JudgedAnswer | StockAssetsError:
        """Return the judged answer, or why it is none: of a new day also that it is not ready, or differs at a second look."""
        if not isinstance(answer, Rows):
            return self._error_of(str(call.day), answer)
        judged = self._judge(answer.frame, [call.day])
        context = self.context
        if not is_new(call.day, context.now()):
            return judged
        reason = why_not_whole(judged, block.rows_of_day[call.day])
        if reason is None and context.await_second_look is not None:
            context.await_second_look()
            second = self._make(call)
            self.report.add_cost(second.cost)
            if not isinstance(second, Rows):
                return self._error_of(str(call.day), second)
            if has_changed(answer, second):
                reason = "a second look differs from the first"
        return judged if reason is None else not_ready(context.source.name, call.day, reason, context.now())

    def _land_waiting(
        self, waiting: "dict[date, _Spoken]", ts_codes: tuple[str, ...] | None, started_at: datetime
    ) -> None:
        if waiting:
            judged = JudgedAnswer.together([spoken.judged for spoken in waiting.values()])
            asked = pl.concat([spoken.asked for spoken in waiting.values()])
            self._land(judged, list(waiting), ts_codes, started_at, asked=asked)
            waiting.clear()

    def _judge(self, answer: pl.DataFrame, days: Sequence[date]) -> JudgedAnswer:
        with unit("ingest.judge", "debug", rows=answer.height) as work:
            judged = judge_answer(self.context, answer, days, self.securities, work)
        self.report.add_seconds(work.split)
        if "unknown_code" in judged.rejected["rule"] and self._learn_new_codes():
            return self._judge(answer, days)
        return judged

    def _learn_new_codes(self) -> bool:
        """Ask for the securities once more in this run: a code nobody knows may have been listed since."""
        before = self.securities.height
        if self.report.securities_refreshed:
            return False
        self.report.securities_refreshed = True
        self.report.requests += refresh_securities(self.context).requests
        self._read_securities()
        return self.securities.height > before

    def _land(  # noqa: PLR0913  what a transaction is made of
        self,
        part: JudgedAnswer,
        days: Sequence[date],
        ts_codes: tuple[str, ...] | None,
        started_at: datetime,
        *,
        asked: pl.DataFrame,
        is_by_stock: bool = False,
    ) -> None:
        landing = Landing(part, tuple(days), ts_codes, started_at, asked, is_by_stock)
        with unit(
            "ingest.land", first=days[0], last=days[-1], days=len(days), slow_seconds=self.context.slow_seconds
        ) as work:
            with work.step("database"):
                outcomes, counts = land_bars(self.context, landing)
            work.add(
                rows=part.accepted.height, inserted=counts.inserted, updated=counts.updated, unchanged=counts.unchanged
            )
        self.report.add_seconds(work.split)
        self.report.add_counts(counts)
        self.report.add_outcomes(outcomes)
        source = self.context.source
        self.report.raw_tables |= {table.name for table, _ in source.raw_daily(source.no_daily())}

    def _answers(self, calls: Sequence[SomeCall]) -> Iterator[tuple[SomeCall, Answer]]:
        context = self.context
        paired = answers_in_order(
            calls, self._make, concurrency=context.concurrency, breaks_in_a_row=context.breaks_in_a_row,
            source=context.source.name,
        )  # fmt: skip
        batch = _Batch(context.batch_size, len(calls))
        with closing(paired):
            for done, (call, answer) in enumerate(paired, start=1):
                self.report.add_cost(answer.cost)
                yield call, answer
                batch.count(done, answer)
                context.progress(done=done, total=len(calls), rows=self.report.rows_written, label=_label(call))

    def _make(self, call: Call) -> Answer:
        source = self.context.source
        with unit("ingest.call", "debug", call=_label(call), slow_seconds=self.context.slow_seconds) as work:
            answer = (
                source.daily_of_day(call.day)
                if isinstance(call, DayCall)
                else source.daily_of_code(call.ts_code, call.start, call.end)
            )
            _record_cost(work.split, answer.cost)
        return answer

    def _note_failure(self, label: str, answer: Answer) -> None:
        self.report.add_failure(label, self._error_of(label, answer))

    def _error_of(self, label: str, answer: Answer) -> StockAssetsError:
        name = self.context.source.name
        return error_of(answer, source=name, api=label) or AnswerBroken(source=name, api=label, reason="no bars at all")

    def _read_securities(self) -> None:
        with self.context.database.read() as conn:
            self.securities = reference.read_securities(conn)


@dataclass(frozen=True, slots=True)
class _Spoken:
    """A day's answer, and the gaps that it has spoken about."""

    judged: JudgedAnswer
    asked: pl.DataFrame


@dataclass(slots=True)
class _Batch:
    """Says after every so many calls how many of them were answered and how long they took."""

    size: int
    total: int
    answered: int = 0
    began: float = field(default_factory=time.monotonic)

    def count(self, done: int, answer: Answer) -> None:
        """Count a call; log at the end of each batch."""
        self.answered += closes_gap(answer)
        if done % self.size and done != self.total:
            return
        calls = done % self.size or self.size
        batches = -(-self.total // self.size)
        if batches > 1:
            _log.info(
                "ingest.batch",
                batch=f"{-(-done // self.size)}/{batches}",
                answered=f"{self.answered}/{calls}",
                total_seconds=round(time.monotonic() - self.began, 1),
            )
        self.answered, self.began = 0, time.monotonic()


def _codes_of(gaps: pl.DataFrame, day: date | None = None) -> tuple[str, ...]:
    """Return the stocks that have a gap, on `day` where one is given."""
    chosen = gaps if day is None else gaps.filter(pl.col("trade_date") == day)
    return tuple(chosen["ts_code"].unique().sort().to_list())


def _label(call: Call) -> str:
    return str(call.day) if isinstance(call, DayCall) else call.ts_code


def _record_cost(split: dict[str, float], cost: CallCost) -> None:
    split["pool_wait_seconds"] = cost.wait_seconds
    split["api_seconds"] = cost.api_seconds


def _groups(days: Sequence[date], rows: dict[date, int]) -> Iterator[list[date]]:
    """Cut days into groups that land in one transaction each."""
    group: list[date] = []
    held = 0
    for day in days:
        if group and (held + rows.get(day, 0) > _LANDING_ROWS or len(group) == _LANDING_DAYS):
            yield group
            group, held = [], 0
        group.append(day)
        held += rows.get(day, 0)
    if group:
        yield group
