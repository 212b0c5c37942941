"""Adjustment factors into the store: day by day for a short list of days, stock by stock for a long one.

The bars must agree: if more stocks opened below their last close than factors came, the day stays open.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from stock_assets.domain.answers import Answer, ProvenEmpty, Rows, error_of
from stock_assets.domain.errors import AnswerBroken, StockAssetsError
from stock_assets.domain.tables import ADJUST_FACTOR
from stock_assets.pipeline.context import PipelineContext
from stock_assets.pipeline.fetch import SourceDown, answers_in_order
from stock_assets.pipeline.gaps import check_days
from stock_assets.pipeline.landing import entry_of, note_refusal, rejected_rows, row_texts, save_raw, stamp
from stock_assets.pipeline.refresh import ensure_reference
from stock_assets.pipeline.report import CallFailure, DayOutcome, IngestReport
from stock_assets.quality.factor_rules import judge_factors
from stock_assets.quality.findings import Judged
from stock_assets.storage import bulk_load, ledger, reference, rejects
from stock_assets.storage.database import Connection
from stock_assets.storage.day_state import ex_day_signs
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
    """Fetch and land the factors of `days` that the ledger does not know as loaded; with `refetch`, of all of them.

    Errors: as `ingest_days`.
    """
    check_days(context.calendar, context.now(), days)
    report = IngestReport(_DATASET, len(days))
    with unit("factors.run", days=len(days), first=min(days), last=max(days), slow_seconds=float("inf")) as work:
        ensure_reference(context, days)
        with context.database.read() as conn:
            closed = set[date]() if refetch else ledger.closed_days(conn, _DATASET, min(days), max(days))
            securities = reference.read_securities(conn)
        wanted = sorted(day for day in days if day not in closed)
        if wanted:
            try:
                _Load(context, report, wanted, securities, context.now()).work()
            except SourceDown as down:
                report.stopped_by = down.error
        work.split.update(report.split)
        work.add(requests=report.requests, rows=report.rows_written, days_worked=len(report.outcomes))
    return report


@dataclass(frozen=True, slots=True)
class _Load:
    """One load of the factors of `days`, in order: what it works with, and the report it fills."""

    context: PipelineContext
    report: IngestReport
    days: list[date]
    securities: pl.DataFrame
    started_at: datetime

    def work(self) -> None:
        """Ask whichever way takes fewer requests, and land what comes.

        Errors: `SourceDown` once asking on is useless; what had arrived by then is landed.
        """
        first, last = self.days[0], self.days[-1]
        listed = self.securities.filter(
            (pl.col("list_date") <= last) & (pl.col("delist_date").is_null() | (pl.col("delist_date") > first))
        )
        if listed.height >= len(self.days):
            self._by_day([FactorCall(day, None, day, day) for day in self.days])
        else:
            self._by_code([FactorCall(None, code, first, last) for code in listed["ts_code"].sort()])

    def _by_day(self, calls: list[FactorCall]) -> None:
        for call, answer in self._answers(calls):
            if isinstance(answer, Rows | ProvenEmpty):
                self._land(answer.frame if isinstance(answer, Rows) else self._no_rows(), [call.start])
            else:
                error = self._note_failure(call, answer)
                self.report.outcomes += note_refusal(self.context, _DATASET, [call.start], error, self.started_at)

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
        frame = pl.concat(frames)
        for first in range(0, len(self.days), _DAYS_PER_TRANSACTION):
            chunk = self.days[first : first + _DAYS_PER_TRANSACTION]
            # Ex-dates on days that were not asked belong to other lines of the ledger.
            self._land(self.context.source.factors_on(frame, chunk), chunk, unanswered=unanswered)
        if down is not None:
            raise down

    def _no_rows(self) -> pl.DataFrame:
        return self.context.source.no_factors()

    def _land(self, answer: pl.DataFrame, days: list[date], *, unanswered: int = 0) -> None:
        context = self.context
        with unit("factors.land", "debug", first=days[0], last=days[-1], slow_seconds=context.slow_seconds) as work:
            with work.step("translate"):
                translated = context.source.translate_factors(answer)
            with work.step("judge"):
                judged = judge_factors(
                    translated.frame,
                    asked_days=days,
                    securities=self.securities,
                    unreadable=translated.unreadable,
                )
            with work.step("database"), context.database.begin() as conn:
                self._commit(conn, answer, judged, days, unanswered)
        self.report.add_seconds(work.split)

    def _commit(
        self, conn: Connection, answer: pl.DataFrame, judged: Judged, days: list[date], unanswered: int
    ) -> None:
        context, now = self.context, self.context.now()
        ledger.lock_days(conn, _DATASET, days)
        save_raw(conn, context, context.source.raw_factors(answer), now)
        rows = judged.accepted.drop("raw_row").with_columns(
            pl.lit(context.source.name).alias("source"), stamp(now).alias("updated_at")
        )
        factors = ADJUST_FACTOR.conform(rows)
        self.report.add_counts(bulk_load.load(conn, ADJUST_FACTOR, factors, run_id=context.run_id))
        filed = pl.when(pl.col("trade_date").is_in(days)).then(pl.col("trade_date")).otherwise(pl.lit(days[0]))
        refused = judged.rejected.with_columns(filed.alias("day"), row_texts(answer, judged.rejected["raw_row"]))
        rejects.save_rejected(conn, _DATASET, days, rejected_rows(context, _DATASET, refused, now))
        rejected = rejects.open_counts(conn, _DATASET, days)
        present = dict(rows.group_by("ex_date").len().iter_rows())
        for day in days:
            outcome = self._outcome(conn, day, present.get(day, 0), rejected.get(day, 0), unanswered)
            self.report.outcomes.append(outcome)
            ledger.write_entry(conn, entry_of(context, _DATASET, outcome, started_at=self.started_at, now=now))

    def _outcome(self, conn: Connection, day: date, rows: int, rejected: int, unanswered: int) -> DayOutcome:
        if unanswered:
            return DayOutcome(day, "partial", None, rows, rejected, f"{unanswered} stocks gave no answer")
        if rejected:
            return DayOutcome(day, "partial", None, rows, rejected, f"{rejected} rejected")
        before = self.context.calendar.previous(day)
        signs = ex_day_signs(conn, day, before) if before else 0
        if signs > rows:
            came = f"{rows} factors" if rows else "no factor"
            return DayOutcome(day, "partial", signs, rows, detail=f"{signs} stocks opened ex-right and {came} came")
        return DayOutcome(day, "complete" if rows else "empty", rows, rows)

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
        self.report.failures.append(CallFailure(call.label, error))
        return error
