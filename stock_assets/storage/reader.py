"""Read the store: whole tables and slices into Arrow and polars, streams, adjusted bars, all as of any moment.

A reader cannot write. It does not take part in a writer's transaction either: what a writer reads back before it commits
comes through `bars` and `copy_frames.copy_out`. Codes and days are taken as they are stored; how people write them is
known in `serve`.
"""

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Self

import polars as pl

from stock_assets.domain.adjustment import Adjust
from stock_assets.domain.errors import InvalidInput, StoreUnavailable
from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.domain.whole_life import TRADED_AS, all_codes, linked_factors, one_series
from stock_assets.indicators.catalog import FAMILIES
from stock_assets.indicators.family import Family
from stock_assets.storage.arrow_session import ArrowBatch, ArrowSession, ArrowStream, ArrowTable, arrow
from stock_assets.storage.bars_question import BarsQuestion, whole_history
from stock_assets.storage.database import Database
from stock_assets.storage.selection import Order, Selection, table_named
from stock_assets.storage.technicals_question import PriceLevel, TechnicalsQuestion
from stock_assets.storage.universe import read_universe

# No version is known only after this day.
_EVER = datetime(9999, 12, 30, tzinfo=UTC)


class Reader:
    """Reads of one store, over a connection that is made at the first read and made again when it was lost.

    Threads may share a reader: their reads wait for each other. A stream has a connection of its own, so that other
    reads go on while it is consumed. A child made by `fork` opens a reader of its own. `families` are the indicators of the
    store, with those of one's own.

    Each read sees one state of the store. Errors of every read: `InvalidInput` for what does not exist,
    `StoreUnavailable` when the server cannot be reached or goes away, `ConfigurationError` for a store of another
    revision and for rows that the login may not read.
    """

    def __init__(self, database: Database, *, families: Sequence[Family] = FAMILIES) -> None:
        self._database = database
        self._families = tuple(families)
        self._lock = threading.Lock()
        self._session: ArrowSession | None = None

    @classmethod
    def at(cls, url: str, *, schema: str = "public") -> Self:
        """Return a reader of the store at this address."""
        return cls(Database(url, schema=schema))

    def __enter__(self) -> Self:
        """Return the reader; leaving the context closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the connection; a later read connects anew."""
        with self._lock:
            self._drop()

    def arrow(  # noqa: PLR0913  each narrows the slice
        self,
        table: str,
        *,
        columns: Sequence[str] | None = None,
        ts_codes: Sequence[str] | None = None,
        start: date | None = None,
        end: date | None = None,
        as_of: datetime | None = None,
        order: Order = "key",
    ) -> ArrowTable:
        """Return rows of a business table as a `pyarrow.Table` with the types of its contract.

        Both ends of [start, end] belong to it. `as_of` (aware) gives the rows as they were known then, for stock_daily,
        adjust_factor and finance_indicator. Rows come in key order; `order="none"` leaves that to the server and is faster.
        """
        (found,) = self._read(Selection(table_named(table), columns, ts_codes, start, end, as_of, order))
        return found

    @contextmanager
    def batches(  # noqa: PLR0913  as `arrow`
        self,
        table: str,
        *,
        columns: Sequence[str] | None = None,
        ts_codes: Sequence[str] | None = None,
        start: date | None = None,
        end: date | None = None,
        as_of: datetime | None = None,
        order: Order = "key",
    ) -> Generator[ArrowStream]:
        """Give what `arrow` returns as a `pyarrow.RecordBatchReader`, of which some megabytes are in memory at a time.

        Leaving the context early stops the server's work.
        """
        selection = Selection(table_named(table), columns, ts_codes, start, end, as_of, order)
        with self.snapshot() as session:
            rows = session.batches(selection.query, selection.schema)
            try:
                yield arrow.RecordBatchReader.from_batches(selection.schema, rows)
            finally:
                rows.close()

    @contextmanager
    def snapshot(self) -> Generator[ArrowSession]:
        """Give a session of its own, in which every query sees the same state of the store."""
        session = ArrowSession(self._database)
        try:
            yield session
        finally:
            session.close()

    def bars(  # noqa: PLR0913  as `arrow`
        self,
        ts_codes: Sequence[str] | None = None,
        start: date | None = None,
        end: date | None = None,
        *,
        adjust: Adjust = "none",
        anchor: date | None = None,
        as_of: datetime | None = None,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Return daily bars in key order with the column `adjust_factor` that was applied to the prices.

        `adjust`: `none`, `hfq` (back-adjusted) or `qfq`, forward-adjusted so that prices of `anchor` are raw; only
        `qfq` uses the anchor, and needs it, for without one the same call gives other prices after the next ex-date.
        Bars and factors are of one state of the store, and both as they were known at `as_of`.
        """
        question = BarsQuestion(
            start=start, end=end, adjust=adjust, anchor=anchor, columns=None if columns is None else tuple(columns)
        )
        return question.answer(*map(pl.DataFrame, self._read(*question.selections(ts_codes, as_of))))

    def history(self, ts_code: str) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return every bar of a stock as it is stored, and its factors, both of one state of the store."""
        bars, factors = self._read(*whole_history(ts_code))
        return pl.DataFrame(bars), pl.DataFrame(factors)

    def technicals(  # noqa: PLR0913  as `arrow`
        self,
        ts_codes: Sequence[str] | None = None,
        start: date | None = None,
        end: date | None = None,
        *,
        adjust: PriceLevel = "hfq",
        anchor: date | None = None,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Return technical indicators in key order, one row for each traded day of a stock; null before the first value.

        `adjust`: `hfq`, as they are stored, or `qfq`, in which what scales with prices is divided by the stock's factor in
        force on `anchor`, as for `bars`. Columns that are mere state are given only when they are named.
        """
        question = TechnicalsQuestion(
            start=start,
            end=end,
            adjust=adjust,
            anchor=anchor,
            columns=None if columns is None else tuple(columns),
            families=self._families,
        )
        return question.answer(*map(pl.DataFrame, self._read(*question.selections(ts_codes))))

    def finance(
        self,
        ts_codes: Sequence[str] | None = None,
        start: date | None = None,
        end: date | None = None,
        *,
        as_of: datetime | None = None,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Return of each report the newest version, one row for each stock and period in this order.

        [start, end] are last days of periods. `as_of` (aware) gives what a reader could know on its day in Shanghai; None the
        newest versions stored, one that is known only from the next session included. Every version is in the table.
        """
        (rows,) = self._read(Selection(FINANCE_INDICATOR, columns, ts_codes, start, end, as_of or _EVER))
        return pl.DataFrame(rows)

    def universe(self, day: date) -> pl.DataFrame:
        """Return the stocks that were listed on `day`, by code, those that have left since included, each security once.

        `ts_code` is the code it had that day, `security_code` the one it has now; `list_date` and `delist_date` are of its
        whole life. `name` is the last one told. The flags are of the day's bar, null where the store has none.
        """
        with self.snapshot() as session:
            return read_universe(session, day)

    def whole_lives(  # noqa: PLR0913  as `arrow`
        self,
        ts_codes: Sequence[str],
        start: date | None = None,
        end: date | None = None,
        *,
        adjust: Adjust = "none",
        anchor: date | None = None,
        as_of: datetime | None = None,
    ) -> pl.DataFrame:
        """Return bars as `bars` does, of securities under whatever code they traded: one series each, under its newest code.

        `traded_as` is the code of the day. Adjusted prices go on over a change of the code.
        """
        question = BarsQuestion(start=start, end=end, adjust=adjust, anchor=anchor)
        bars, *factors = map(pl.DataFrame, self._read(*question.selections(all_codes(ts_codes), as_of)))
        whole = one_series(bars)
        answer = question.answer(whole.drop(TRADED_AS), *map(linked_factors, factors))
        return answer.join(whole.select("ts_code", "trade_date", TRADED_AS), on=["ts_code", "trade_date"])

    def _read(self, *selections: Selection) -> list[ArrowTable]:
        """Return one table for each selection, all of one state of the store."""
        with self._lock:
            if self._session is not None:
                try:
                    return _tables(self._session, selections)
                except StoreUnavailable:
                    # The server may have been restarted since the connection was last used.
                    self._drop()
                except BaseException:
                    self._drop()
                    raise
            self._session = ArrowSession(self._database)
            try:
                return _tables(self._session, selections)
            except BaseException:
                self._drop()
                raise

    def _drop(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


def pivot(frame: pl.DataFrame, values: str = "close") -> pl.DataFrame:
    """Return one row per trade_date and one column per ts_code, both in order, of a long frame; null where there is no bar.

    Errors: `InvalidInput` when `frame` lacks one of the three columns.
    """
    missing = [name for name in ("trade_date", "ts_code", values) if name not in frame.columns]
    if missing:
        raise InvalidInput(
            problem=f"the frame has no column {', '.join(missing)}", problem_zh=f"数据中没有列 {'、'.join(missing)}"
        )
    wide = frame.pivot(on="ts_code", index="trade_date", values=values, sort_columns=True)
    return wide.sort("trade_date")


def _tables(session: ArrowSession, selections: Sequence[Selection]) -> list[ArrowTable]:
    found: list[ArrowTable] = []
    for selection in selections:
        batches: list[ArrowBatch] = list(session.batches(selection.query, selection.schema))
        found.append(arrow.Table.from_batches(batches, schema=selection.schema))
    session.end()
    return found
