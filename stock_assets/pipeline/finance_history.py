"""The lists of work of a history of reports: stock by stock, or period by period where one call brings the whole market.

Both read what is left from the progress in the store, so that an answer without rows ends nothing and a killed run goes
on after its last transaction.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from stock_assets.domain.errors import AnswerBroken
from stock_assets.domain.quarters import deadline_of, first_day_of, periods_between
from stock_assets.pipeline.finance_desk import Desk
from stock_assets.pipeline.history import Batch
from stock_assets.storage import finance_progress
from stock_assets.storage.database import Connection
from stock_assets.storage.sync_tasks import JobType

_DAY = timedelta(days=1)


def stocks_to_ask(stocks: pl.DataFrame, since: date, through: date, ts_codes: Collection[str] | None) -> pl.DataFrame:
    """Return the stocks whose reports are wanted from `since` on and not all there, in order of codes."""
    lives = (pl.col("list_date") <= through) & (pl.col("delist_date").is_null() | (pl.col("delist_date") > since))
    unknown = pl.col("first_period").is_null() | (pl.col("first_period") > since)
    named = pl.lit(value=True) if ts_codes is None else pl.col("ts_code").is_in(list(ts_codes))
    return stocks.filter(lives & unknown & named).sort("ts_code")


@dataclass(slots=True)
class ByStock:
    """Every stock of which not all wanted periods were asked for."""

    desk: Desk
    ts_codes: Collection[str] | None = None
    job_type: JobType = "FINANCE_HISTORY"

    def remaining(self) -> Sequence[str]:
        """Return the stocks still to ask for."""
        context = self.desk.context
        with context.database.read() as conn:
            stocks = finance_progress.read_stocks(conn, context.source.name, context.source.costs.exchanges)
        return stocks_to_ask(stocks, context.since, self.desk.through, self.ts_codes)["ts_code"].to_list()

    def third_code(self, item: str) -> str:
        """Return the stock."""
        return item

    def work(self, batch: Batch[str]) -> None:
        """Ask for every stock of the batch, then land all that came in one transaction."""
        context, through = self.desk.context, self.desk.through
        came = self.desk.ask_stocks(dict.fromkeys(batch.items, context.since))
        for code, error in came.errors.items():
            batch.failed(code, error)
        landing = self.desk.ready(came.frames)

        def note(conn: Connection) -> None:
            asked = context.asked(landing.fetched_at)
            finance_progress.save(
                conn, asked, came.answered, first_period=context.since, known_through=through
            )  # fmt: skip

        if came.answered:
            self.desk.land(batch, came.answered, landing, note)
        if came.down is not None:
            raise came.down


@dataclass(slots=True)
class ByPeriod:
    """Every period that was not asked for, the newest first: each one reaches further back for the whole market."""

    desk: Desk
    job_type: JobType = "FINANCE_HISTORY"

    def remaining(self) -> Sequence[date]:
        """Return the periods still to ask for."""
        context = self.desk.context
        wanted = stocks_to_ask(self._stocks(), context.since, self.desk.through, None)
        if wanted.is_empty():
            return []
        newest = None if wanted["first_period"].null_count() else wanted["first_period"].max()
        periods = periods_between(context.since, context.today())
        if isinstance(newest, date):
            periods = [period for period in periods if period < newest]
        return periods[::-1]

    def third_code(self, item: date) -> str:
        """Return the period."""
        return item.isoformat()

    def work(self, batch: Batch[date]) -> None:
        """Ask for one period after another and land each in its own transaction."""
        for period in batch.items:
            self._work(batch, period)

    def _work(self, batch: Batch[date], period: date) -> None:
        context, through = self.desk.context, self.desk.through
        frame = self.desk.ask(str(period), lambda: context.source.reports_of_period(period))
        if frame is None and deadline_of(period) < context.today():
            # No quarter was ever without reports.
            raise AnswerBroken(source=context.source.name, api=str(period), reason="a market without any report")
        landing = self.desk.ready([] if frame is None else [frame])
        codes = stocks_to_ask(self._stocks(), context.since, through, None)["ts_code"].to_list()
        is_newest = period == periods_between(context.since, context.today())[-1]
        first_day = max(context.since, first_day_of(period))

        def note(conn: Connection) -> None:
            asked = context.asked(landing.fetched_at)
            if is_newest:
                finance_progress.begin(conn, asked, codes, first_period=first_day, known_through=through)
            finance_progress.save_period(conn, asked, codes, first_day=first_day, next_day=period + _DAY)

        self.desk.land(batch, [period], landing, note)

    def _stocks(self) -> pl.DataFrame:
        context = self.desk.context
        with context.database.read() as conn:
            return finance_progress.read_stocks(conn, context.source.name, context.source.costs.exchanges)
