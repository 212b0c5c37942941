"""Adjustment factors into the store: day by day for a short list of days, stock by stock for a long one.

How an answer lands is in `factor_landing`.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from stock_assets.domain.answers import Answer, ProvenEmpty, Rows, error_of
from stock_assets.domain.calendar import FIRST_SESSION
from stock_assets.domain.codes import Exchange
from stock_assets.domain.errors import AnswerBroken, StockAssetsError
from stock_assets.domain.tables import ADJUST_FACTOR
from stock_assets.pipeline import factor_levels
from stock_assets.pipeline.context import PipelineContext
from stock_assets.pipeline.factor_landing import FactorLanding, land_factors
from stock_assets.pipeline.fetch import SourceDown, answers_in_order
from stock_assets.pipeline.gaps import check_days
from stock_assets.pipeline.landing import note_refusal
from stock_assets.pipeline.open_factors import OpenFactors
from stock_assets.pipeline.refresh import ensure_reference
from stock_assets.pipeline.report import IngestReport
from stock_assets.pipeline.turns import Turn, work_in_turn
from stock_assets.quality.factor_rules import judge_factors
from stock_assets.storage import bars, completeness, ledger, reference
from stock_assets.storage.database import Connection
from stock_assets.units import unit

_DATASET = ADJUST_FACTOR.name
_DAYS_PER_TRANSACTION = 60


@dataclass(frozen=True, slots=True)
class FactorCall:
    """One request: the whole market's factors of `day`, or one stock's over [start, end]."""

    day: date | None
    ts_code: str | None
    start: date
    end: date

    @property
    def label(self) -> str:
        """What is asked, for people."""
        return str(self.day) if self.ts_code is None else self.ts_code


def ingest_factors(context: PipelineContext, days: Sequence[date], *, refetch: bool = False) -> IngestReport:
    """Fetch and land the factors of `days` that the ledger does not know as loaded, or that have fewer factors than it says.

    With `refetch` all days are asked for.

    Errors: as `ingest_days`.
    """
    check_days(context.calendar, context.now(), days)
    report = IngestReport(_DATASET, len(days))
    with unit("factors.run", days=len(days), first=min(days), last=max(days), slow_seconds=float("inf")) as work:
        ensure_reference(context, days)
        with context.database.read() as conn:
            closed = {} if refetch else _closed(conn, context, min(days), max(days))
            securities = reference.read_securities(conn)
        still_open = OpenFactors.of(days, closed, securities, (context.source, *context.fallbacks))

        def load(turn: Turn) -> None:
            parts = still_open.within(turn.scope)
            if parts:
                _Load(turn, report, still_open, parts, securities, context.now()).work()

        work_in_turn(context, report, load)
        work.split.update(report.split)
        work.add(requests=report.requests, rows=report.rows_written, days_worked=len(report.outcomes))
    return report


def _closed(conn: Connection, context: PipelineContext, first: date, last: date) -> dict[date, set[str]]:
    """Return of each day that needs no request the sources that closed it."""
    closed = ledger.closing_sources(conn, _DATASET, first, last)
    counts = completeness.state_counts(conn, _DATASET, first, last, sources=context.in_use)
    for day in counts.filter(pl.col("missing") > 0)["trade_date"]:
        closed.pop(day, None)
    return closed


@dataclass(frozen=True, slots=True)
class _Load:
    """One source's turn: days in order with the exchanges it is asked for, and the report it fills."""

    turn: Turn
    report: IngestReport
    still_open: OpenFactors
    parts: dict[date, frozenset[Exchange]]
    securities: pl.DataFrame
    started_at: datetime

    @property
    def context(self) -> PipelineContext:
        """The context with this source."""
        return self.turn.context

    def work(self) -> None:
        """Ask whichever way takes fewer requests, and land what comes.

        Errors: `SourceDown` once asking on is useless; what had arrived by then is landed.
        """
        days = list(self.parts)
        first, last = days[0], days[-1]
        listed = self.securities.filter(
            (pl.col("list_date") <= last)
            & (pl.col("delist_date").is_null() | (pl.col("delist_date") > first))
            & pl.col("exchange").is_in(self._exchanges(days))
        )
        if listed.height >= len(days) * self.context.source.costs.parts_of_factors:
            self._by_day([FactorCall(day, None, day, day) for day in days])
        else:
            self._by_code([FactorCall(None, code, first, last) for code in listed["ts_code"].sort()])

    def _by_day(self, calls: list[FactorCall]) -> None:
        for call, answer in self._answers(calls):
            if isinstance(answer, Rows | ProvenEmpty):
                self._land(answer.frame if isinstance(answer, Rows) else self._no_rows(), [call.start])
            else:
                error = self._note_failure(call, answer)
                self.report.add_outcomes(
                    note_refusal(self.context, _DATASET, [call.start], error, self.started_at)
                )  # fmt: skip

    def _by_code(self, calls: list[FactorCall]) -> None:
        frames = [self._no_rows()]
        unanswered = len(calls)
        down: SourceDown | None = None
        try:
            for call, answer in self._answers(calls):
                if isinstance(answer, Rows):
                    frames.append(answer.frame)
                if isinstance(answer, Rows | ProvenEmpty):
                    unanswered -= 1
                else:
                    self._note_failure(call, answer)
        except SourceDown as stop:
            down = stop
        frame, days = pl.concat(frames), list(self.parts)
        for first in range(0, len(days), _DAYS_PER_TRANSACTION):
            chunk = days[first : first + _DAYS_PER_TRANSACTION]
            # Ex-dates on days that were not asked belong to other lines of the ledger.
            self._land(self.context.source.factors_on(frame, chunk), chunk, unanswered=unanswered)
        if down is not None:
            raise down

    def _land(self, answer: pl.DataFrame, days: list[date], *, unanswered: int = 0) -> None:
        context = self.context
        with unit("factors.land", "debug", first=days[0], last=days[-1], slow_seconds=context.slow_seconds) as work:
            with work.step("translate"):
                translated = context.source.translate_factors(answer)
            with work.step("judge"):
                judged = judge_factors(
                    self._asked_of(translated.frame),
                    asked_days=days,
                    securities=self.securities,
                    unreadable=translated.unreadable,
                )
            factors, without_level = self._on_level(judged.accepted)
            landing = FactorLanding(
                answer=answer,
                factors=factors,
                rejected=judged.rejected,
                days=tuple(days),
                ts_codes=self._spoken_of(days),
                unanswered=unanswered,
                without_level=dict(without_level.group_by("ex_date").len().iter_rows()),
                left={day: frozenset(self.still_open.exchanges[day] - self.parts[day]) for day in days},
                sources={day: self.still_open.answered[day] | {context.source.name} for day in days},
                started_at=self.started_at,
            )
            with work.step("database"):
                outcomes, counts = land_factors(context, landing)
        self.report.add_seconds(work.split)
        self.report.add_counts(counts)
        self.report.raw_tables |= {table.name for table, _ in context.source.raw_factors(self._no_rows())}
        self.report.add_outcomes([outcome for outcome, _ in outcomes])
        for outcome, is_answered in outcomes:
            if is_answered:
                self.still_open.close(outcome.day, self.parts[outcome.day], context.source.name)

    def _asked_of(self, factors: pl.DataFrame) -> pl.DataFrame:
        """Return the factors without those of exchanges that another source has answered for."""
        theirs = [
            code is not None
            and day in self.parts
            and code[-2:] in self.context.source.exchanges
            and code[-2:] not in self.parts[day]
            for code, day in factors.select("ts_code", "ex_date").iter_rows()
        ]
        return factors.filter(~pl.Series(theirs, dtype=pl.Boolean))

    def _on_level(self, factors: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return factors on the level of the stored ones, and those whose level could not be found out."""
        if factors.is_empty():
            return factors, factors
        source = self.context.source
        with self.context.database.read() as conn:
            stored = bars.read_factors(conn, factors["ts_code"].unique().to_list())
        series: dict[str, pl.DataFrame] = {}
        lost: list[str] = []
        for code in factor_levels.of_two_sources(stored, factors, source.name):
            answer = source.factors_of_code(code, FIRST_SESSION, self.context.last_final())
            self.report.add_cost(answer.cost)
            if isinstance(answer, Rows):
                series[code] = source.translate_factors(answer.frame).frame
            else:
                self._note_failure(FactorCall(None, code, FIRST_SESSION, self.context.last_final()), answer)
                lost.append(code)
        is_lost = pl.col("ts_code").is_in(lost)
        kept = factors.filter(~is_lost)
        return factor_levels.on_stored_level(kept, stored, series), factors.filter(is_lost)

    def _spoken_of(self, days: list[date]) -> list[str] | None:
        """Return the stocks that this source was asked about, or None for all."""
        asked = self._exchanges(days)
        if self.turn.scope.is_first and asked == self.context.source.exchanges:
            return None
        return self.securities.filter(pl.col("exchange").is_in(asked))["ts_code"].to_list()

    def _exchanges(self, days: list[date]) -> frozenset[Exchange]:
        return frozenset[Exchange]().union(*(self.parts[day] for day in days))

    def _no_rows(self) -> pl.DataFrame:
        return self.context.source.no_factors()

    def _answers(self, calls: list[FactorCall]) -> Iterator[tuple[FactorCall, Answer]]:
        context = self.context
        paired = answers_in_order(
            calls,
            self._make,
            concurrency=context.concurrency,
            breaks_in_a_row=context.breaks_in_a_row,
            source=context.source.name,
        )
        with closing(paired):
            for done, (call, answer) in enumerate(paired, start=1):
                self.report.add_cost(answer.cost)
                yield call, answer
                context.progress(done=done, total=len(calls), rows=self.report.rows_written, label=call.label)

    def _make(self, call: FactorCall) -> Answer:
        if call.ts_code is None:
            return self.context.source.factors_of_day(call.start)
        return self.context.source.factors_of_code(call.ts_code, call.start, call.end)

    def _note_failure(self, call: FactorCall, answer: Answer) -> StockAssetsError:
        name = self.context.source.name
        error = error_of(answer, source=name, api="adjust_factor") or AnswerBroken(
            source=name, api="adjust_factor", reason="no verdict"
        )
        self.report.add_failure(call.label, error)
        return error
