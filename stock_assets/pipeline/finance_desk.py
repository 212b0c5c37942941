"""Asks for reports and lands what came: one batch's answers, its progress and the days it makes whole are one transaction.

Whom to ask, and when, is decided by the lists of work.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TypeVar

import polars as pl

from stock_assets.domain.answers import Answer, Broken, Rows, closes_gap, error_of
from stock_assets.domain.errors import StockAssetsError, Stopped
from stock_assets.domain.quarters import periods_between
from stock_assets.pipeline.fetch import ends_everything
from stock_assets.pipeline.finance_context import FinanceContext, FinanceReport
from stock_assets.pipeline.history import Batch
from stock_assets.quality.finance_rules import judge_reports
from stock_assets.storage import finance, finance_days, finance_progress
from stock_assets.storage.database import Connection
from stock_assets.storage.finance import FinanceAnswer, FinanceCounts
from stock_assets.units import unit

Item = TypeVar("Item")


@dataclass(slots=True)
class Came:
    """What came of questions: rows, the stocks that were answered, those that were not, and what ends the asking."""

    frames: list[pl.DataFrame] = field(default_factory=list[pl.DataFrame])
    answered: list[str] = field(default_factory=list[str])
    errors: dict[str, StockAssetsError] = field(default_factory=dict[str, StockAssetsError])
    down: StockAssetsError | None = None


@dataclass(frozen=True, slots=True)
class Landing:
    """One batch's answers, ready to land; `answer` is None when all of them were proven empty."""

    answer: FinanceAnswer | None
    fetched_at: datetime
    announced: frozenset[date] = frozenset()
    reports: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema={"ts_code": pl.String, "end_date": pl.Date})
    )


@dataclass(slots=True)
class Desk:
    """One run's questions and landings; `through` is the day up to which the ledger's lines are written."""

    context: FinanceContext
    report: FinanceReport
    through: date
    started_at: datetime
    _broken: int = 0

    def ask_stocks(self, since: Mapping[str, date]) -> Came:
        """Ask for each stock's reports of periods from its day in `since` on, several stocks together where it pays.

        A list that gets no answer is asked again stock by stock, so that one stock costs no other its answer.
        """
        today, costs, came = self.context.today(), self.context.source.costs, Came()
        together: dict[date, list[str]] = defaultdict(list)
        for code, day in since.items():
            together[day].append(code)
        for day, codes in sorted(together.items()):
            size = costs.stocks_per_call(len(periods_between(day, today)))
            for first in range(0, len(codes), size):
                self._ask_part(codes[first : first + size], day, today, came)
        return came

    def ask(self, api: str, question: Callable[[], Answer]) -> pl.DataFrame | None:
        """Return the rows of one answer about the whole market, None when it was proven empty.

        Errors: what the source did; nobody can go on without this answer.
        """
        if self.context.stop.is_set():
            raise Stopped
        answer = question()
        self.report.add_cost(answer.cost)
        if (error := error_of(answer, source=self.context.source.name, api=api)) is not None:
            raise error
        return answer.frame if isinstance(answer, Rows) else None

    def ready(self, frames: Sequence[pl.DataFrame], *, is_whole: bool = True) -> Landing:
        """Translate and judge what came."""
        fetched_at = self.context.now()
        if not frames:
            return Landing(None, fetched_at)
        source, rows = self.context.source, pl.concat(frames)
        with unit("finance.judge", "debug", rows=rows.height) as work, work.step("translate"):
            translated = source.translate_reports(rows)
            judged = judge_reports(translated.frame, unreadable=translated.unreadable)
            raw = source.raw_reports(rows)
        self.report.add_seconds("translate_seconds", work.split["translate_seconds"])
        answer = FinanceAnswer(
            rows=rows, judged=judged, raw=raw, source=source.name, fetched_at=fetched_at, is_whole=is_whole
        )
        announced = judged.accepted["ann_date"].fill_null(self.context.today())
        return Landing(answer, fetched_at, frozenset(announced), judged.accepted.select("ts_code", "end_date"))

    def land(
        self,
        batch: Batch[Item],
        items: Sequence[Item],
        landing: Landing,
        progress: Callable[[Connection], None],
        *,
        disclosures: pl.DataFrame | None = None,
    ) -> None:
        """Commit an answer with the progress that it means, the days that are whole with it, and the task's offset."""
        with unit("finance.land", items=len(items)) as work:
            with work.step("database"), batch.transaction() as transaction:
                counts = self._land(transaction.connection, landing, progress, disclosures)
                transaction.done(items, rows=counts.written)
            work.add(rows=counts.written, duplicates=counts.duplicates, rejected=counts.rejected)
        self.report.add_counts(counts)
        self.report.items += len(items)
        self.report.add_seconds("database_seconds", work.split["database_seconds"])

    def write_days(self, conn: Connection, touched: Collection[date] = (), *, with_open: bool = False) -> None:
        """Write the ledger's lines of the days that this transaction makes whole, or of all that are to say."""
        context = self.context
        stocks = finance_progress.read_stocks(conn, context.source.name, context.source.costs.exchanges)
        finance_days.write_days(
            conn,
            context.lines(self.through, self.started_at),
            stocks,
            now=context.now(),
            touched=touched,
            with_open=with_open,
        )

    def write_open_days(self) -> None:
        """Write what keeps the days open that are not whole; the end of every run."""
        with self.context.database.begin() as conn:
            finance_progress.lock(conn)
            self.write_days(conn, with_open=True)

    def _land(
        self,
        conn: Connection,
        landing: Landing,
        progress: Callable[[Connection], None],
        disclosures: pl.DataFrame | None,
    ) -> FinanceCounts:
        counts = FinanceCounts()
        finance_progress.lock(conn)
        if landing.answer is not None:
            counts = finance.land(
                conn,
                landing.answer,
                calendar=self.context.calendar,
                run_id=self.context.run_id,
                disclosures=disclosures,
            )
        progress(conn)
        self.write_days(conn, landing.announced if counts.written else ())
        return counts

    def _ask_part(self, codes: Sequence[str], since: date, today: date, came: Came) -> None:
        if came.down is not None:
            return
        if self.context.stop.is_set():
            came.down = Stopped()
            return
        source = self.context.source
        answer = source.reports_of_codes(codes, since, today)
        self.report.add_cost(answer.cost)
        error = error_of(answer, source=source.name, api=", ".join(codes[:3]))
        if error is None and closes_gap(answer):
            self._broken = 0
            came.answered += codes
            if isinstance(answer, Rows):
                came.frames.append(answer.frame)
        elif error is not None:
            self._note(codes, since, today, answer, error, came)

    def _note(  # noqa: PLR0913  (what was asked, and what became of it)
        self, codes: Sequence[str], since: date, today: date, answer: Answer, error: StockAssetsError, came: Came
    ) -> None:
        if ends_everything(answer) or isinstance(error, Stopped):
            came.down = error
            return
        self._broken = self._broken + 1 if isinstance(answer, Broken) else 0
        if self._broken >= self.context.breaks_in_a_row:
            came.down = error
        elif len(codes) > 1:
            for code in codes:
                self._ask_part([code], since, today, came)
            return
        came.errors |= dict.fromkeys(codes, error)
