"""Tushare as a market source: an answer about bars is made of three interfaces, and of last closes where nothing traded.

Whatever one of the calls was refused, lost or cut off decides the whole: a day without its suspensions would look like a
day on which bars are missing. How the parts become one answer and rows of ours is in `joined`.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import fields, replace
from datetime import date, datetime, timedelta
from typing import Final

import polars as pl

from stock_assets.domain.answers import Answer, CallCost, ProvenEmpty, Rows
from stock_assets.domain.codes import EXCHANGES, Exchange
from stock_assets.domain.contract import Table
from stock_assets.domain.tables import day_text
from stock_assets.sources.base import Translated
from stock_assets.sources.planner import CostModel
from stock_assets.sources.tushare import joined, translate
from stock_assets.sources.tushare.client import TushareClient
from stock_assets.sources.tushare.interfaces import (
    ADJ_FACTOR,
    DAILY,
    DAILY_BASIC,
    STOCK_BASIC,
    SUSPEND_D,
    TRADE_CAL,
    Interface,
)
from stock_assets.sources.tushare.transport import SOURCE

# Looked back for the last close of a suspended stock; few are suspended longer, and then all of its history is asked.
_USUAL_SUSPENSION: Final = timedelta(days=400)
_FIRST_SESSION: Final = date(1990, 12, 19)
# No two sessions lie further apart.
_LONGEST_HOLIDAY: Final = timedelta(days=40)
_NAMES_LAST_SECONDS: Final = 600.0
_PARTS: Final = (DAILY, DAILY_BASIC, SUSPEND_D)
# A window of one stock has fewer rows than an answer may have.
_ROWS_OF_CODE: Final = 6000
_REQUEST_SECONDS: Final = 0.1


class TushareSource:
    """A `MarketSource` on Tushare, the Beijing exchange included.

    A day of bars costs three calls, one for the list of stocks once in ten minutes, and one for each suspended stock.
    No method raises for what the source did or failed to do: that is in the answer.
    """

    def __init__(
        self,
        client: TushareClient,
        *,
        name: str = SOURCE,
        interval_seconds: float = 0.35,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect nothing yet; `name` is what the rows' `source` says, where the far end is not Tushare itself.

        `interval_seconds` is the pace of one interface, for the plan: calls of several interfaces wait side by side.
        """
        self._client = client
        self._name = name
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._known_stocks: tuple[float, pl.DataFrame] | None = None
        self._sessions_before: dict[date, date | None] = {}

    @property
    def name(self) -> str:
        """The source's name as it stands in `source` columns."""
        return self._name

    @property
    def exchanges(self) -> frozenset[Exchange]:
        """All three."""
        return EXCHANGES

    @property
    def costs(self) -> CostModel:
        """Three interfaces for bars, and a day's factors beside those of the session before."""
        seconds = max(_REQUEST_SECONDS, self._interval_seconds / len(_PARTS))
        return CostModel(request_seconds=seconds, page_rows=_ROWS_OF_CODE, parts=len(_PARTS), parts_of_factors=2)

    def trade_dates(self, start: date, end: date) -> Answer:
        """Return every calendar day of [start, end] that the source knows, with its trading flag."""
        return self._client.trade_cal(start, end)

    def securities(self) -> Answer:
        """Return every stock, delisted and paused ones included."""
        return self._client.stock_basic()

    def daily_of_day(self, day: date) -> Answer:
        """Return unadjusted bars of all stocks on one trading day, suspended ones included."""
        client = self._client
        return _whole(
            lambda parts: self._bars(
                parts,
                parts.rows(DAILY, client.daily_of_day(day)),
                parts.rows(DAILY_BASIC, client.daily_basic_of_day(day)),
                parts.rows(SUSPEND_D, client.suspend_d_of_day(day)),
            )
        )

    def daily_of_code(self, ts_code: str, start: date, end: date) -> Answer:
        """Return unadjusted bars of one stock over [start, end], suspended days included."""
        client = self._client
        return _whole(
            lambda parts: self._bars(
                parts,
                parts.rows(DAILY, client.daily_of_code(ts_code, start, end)),
                parts.rows(DAILY_BASIC, client.daily_basic_of_code(ts_code, start, end)),
                parts.rows(SUSPEND_D, client.suspend_d(start, end, ts_code=ts_code)),
            )
        )

    def factors_of_day(self, day: date) -> Answer:
        """Return every stock's factor on `day` beside that of the session before; an ex-date is where they differ."""

        def ask(parts: "_Parts") -> pl.DataFrame:
            factors = parts.rows(ADJ_FACTOR, self._client.adj_factor_of_day(day))
            session = self._session_before(day, parts)
            if session is None:
                return joined.join_factors(factors, factors.clear())
            return joined.join_factors(factors, parts.rows(ADJ_FACTOR, self._client.adj_factor_of_day(session)))

        return _whole(ask)

    def factors_of_code(self, ts_code: str, start: date, end: date) -> Answer:
        """Return one stock's factor on each session of [start, end] beside the one before."""

        def ask(parts: "_Parts") -> pl.DataFrame:
            answer = self._client.adj_factor_of_code(ts_code, start - _LONGEST_HOLIDAY, end)
            sessions = joined.in_sequence(parts.rows(ADJ_FACTOR, answer))
            return sessions.filter(pl.col("trade_date") >= day_text("trade_date", start))

        return _whole(ask)

    def translate_trade_dates(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return columns trade_date (date), is_open (boolean)."""
        return translate.translate_trade_cal(frame)

    def translate_securities(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return stocks only: ts_code, name, list_date, delist_date, status."""
        return translate.translate_stock_basic(frame)

    def translate_daily(self, frame: pl.DataFrame) -> Translated:
        """Return bars in our names and units; valuations and suspensions without a bar give none."""
        return joined.translate_bars(frame)

    def translate_factors(self, frame: pl.DataFrame) -> Translated:
        """Return columns ts_code, ex_date, back_adjust_factor; sessions without a change give none."""
        return joined.translate_ex_dates(frame)

    def raw_daily(self, frame: pl.DataFrame) -> list[tuple[Table, pl.DataFrame]]:
        """Return what each of the three interfaces said, for its raw table."""
        return joined.raw_bars(frame)

    def raw_factors(self, frame: pl.DataFrame) -> list[tuple[Table, pl.DataFrame]]:
        """Return the factor of every session, for its raw table."""
        return joined.raw_factors(frame)

    def no_daily(self) -> pl.DataFrame:
        """Return an answer about bars without rows."""
        return joined.empty_bars()

    def no_factors(self) -> pl.DataFrame:
        """Return an answer about factors without rows."""
        return joined.empty_factors()

    def factors_on(self, frame: pl.DataFrame, days: Collection[date]) -> pl.DataFrame:
        """Return the rows of an answer about factors that are of these days."""
        return joined.factors_on(frame, days)

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _bars(
        self, parts: "_Parts", daily: pl.DataFrame, basic: pl.DataFrame, suspensions: pl.DataFrame
    ) -> pl.DataFrame:
        bars = joined.join_bars(daily, basic, suspensions, self._stocks(parts))
        halted = joined.without_bar(bars)
        if halted.is_empty():
            return bars
        known = daily.select("ts_code", "trade_date", "close")
        first = halted.group_by("ts_code", maintain_order=True).agg(pl.col("trade_date").min())
        earlier = [self._last_bar(code, day, parts) for code, day in first.iter_rows()]
        return joined.with_last_closes(bars, _last_closes(halted, pl.concat([known, *earlier])))

    def _last_bar(self, ts_code: str, day: str, parts: "_Parts") -> pl.DataFrame:
        """Return the close of the last bar before `day`, or no row for a stock that had not traded yet."""
        end = datetime.strptime(day, "%Y%m%d").date() - timedelta(days=1)  # noqa: DTZ007  a day has no zone
        for start in (end - _USUAL_SUSPENSION, _FIRST_SESSION):
            bars = parts.rows(DAILY, self._client.daily_of_code(ts_code, start, end))
            if bars.height:
                break
        return bars.select("ts_code", "trade_date", "close").top_k(1, by="trade_date")

    def _stocks(self, parts: "_Parts") -> pl.DataFrame:
        """Return ts_code and name of every stock, not older than some minutes."""
        known = self._known_stocks
        if known is None or self._clock() >= known[0]:
            until = self._clock() + _NAMES_LAST_SECONDS
            known = until, translate.translate_stock_basic(parts.rows(STOCK_BASIC, self._client.stock_basic()))
            self._known_stocks = known
        return known[1]

    def _session_before(self, day: date, parts: "_Parts") -> date | None:
        """Return the session before `day`, or None for the first one; what is past does not change."""
        if day not in self._sessions_before:
            answer = self._client.trade_cal(day - _LONGEST_HOLIDAY, day - timedelta(days=1))
            days = translate.translate_trade_cal(parts.rows(TRADE_CAL, answer))
            self._sessions_before[day] = days.filter(pl.col("is_open"))["trade_date"].max()  # pyright: ignore[reportArgumentType]
        return self._sessions_before[day]


class _Parts:
    """What was asked for one answer: the cost of all of it, and the proofs of what was empty."""

    def __init__(self) -> None:
        self.cost = CallCost()
        self.proofs: list[str] = []

    def rows(self, interface: Interface, answer: Answer) -> pl.DataFrame:
        """Return the rows of a part; raise `_Unanswered` unless it is whole."""
        self.cost = CallCost(
            *(getattr(self.cost, field.name) + getattr(answer.cost, field.name) for field in fields(CallCost))
        )
        if isinstance(answer, Rows):
            return answer.frame
        if isinstance(answer, ProvenEmpty):
            self.proofs.append(answer.proof)
            return pl.DataFrame(schema=dict.fromkeys(interface.fields, pl.String()))
        raise _Unanswered(answer)


class _Unanswered(Exception):
    """A part that is not whole."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


def _whole(ask: Callable[[_Parts], pl.DataFrame]) -> Answer:
    """Return the verdict on an answer of several parts: the worst of theirs."""
    parts = _Parts()
    try:
        frame = ask(parts)
    except _Unanswered as stop:
        return replace(stop.answer, cost=parts.cost)
    return Rows(frame, parts.cost) if frame.height else ProvenEmpty("; ".join(parts.proofs), parts.cost)


def _last_closes(halted: pl.DataFrame, closes: pl.DataFrame) -> pl.DataFrame:
    """Return `row` and `last_close`: of each suspended day the close of the last bar before it, as it was sent."""
    earlier = closes.with_columns(_as_day()).sort("trade_date")
    return (
        halted.with_columns(_as_day())
        .sort("trade_date")
        .join_asof(earlier, on="trade_date", by="ts_code", strategy="backward", check_sortedness=False)
        .select("row", pl.col("close").alias("last_close"))
    )


def _as_day() -> pl.Expr:
    return pl.col("trade_date").str.to_date("%Y%m%d")
