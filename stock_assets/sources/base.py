"""What every source offers to the pipeline, and what the sources need from below the wiring.

A `MarketSource` answers with `domain.answers` only: it never returns None, an empty frame or a foreign error for a
failure. Its translations turn an all-text answer into business columns and units.
"""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

import polars as pl

from stock_assets.domain.answers import Answer
from stock_assets.domain.codes import Exchange
from stock_assets.domain.contract import Table
from stock_assets.sources.planner import CostModel


@dataclass(frozen=True, slots=True)
class Translated:
    """Business rows of one answer.

    `frame` has the business table's columns (without source, updated_at); `raw_row` (Int64) points to the row of the
    answer it came from; `unreadable` lists (row of the answer, column) that could not be read as what they must be.
    `days` (Date) has the day of every row of the answer, given where some of them became no business row.
    """

    frame: pl.DataFrame
    unreadable: tuple[tuple[int, str], ...] = ()
    days: pl.Series | None = None


class MarketSource(Protocol):
    """A source of the whole market's daily data."""

    @property
    def name(self) -> str:
        """The source's name as it stands in `source` columns."""
        ...

    @property
    def exchanges(self) -> frozenset[Exchange]:
        """The exchanges whose stocks it has."""
        ...

    @property
    def costs(self) -> CostModel:
        """What its calls cost."""
        ...

    def trade_dates(self, start: date, end: date) -> Answer:
        """Every calendar day of [start, end] with its trading flag."""
        ...

    def securities(self) -> Answer:
        """Every security the source knows, delisted ones included."""
        ...

    def daily_of_day(self, day: date) -> Answer:
        """Unadjusted bars of all stocks on one trading day."""
        ...

    def daily_of_code(self, ts_code: str, start: date, end: date) -> Answer:
        """Unadjusted bars of one stock over [start, end], paged."""
        ...

    def factors_of_day(self, day: date) -> Answer:
        """What the source says of adjustment factors on `day`; its ex-dates are told by `translate_factors`."""
        ...

    def factors_of_code(self, ts_code: str, start: date, end: date) -> Answer:
        """What it says of one stock's adjustment factors in [start, end]."""
        ...

    def translate_trade_dates(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Columns trade_date (date), is_open (boolean)."""
        ...

    def translate_securities(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Stocks only: ts_code, name, list_date, delist_date, status."""
        ...

    def translate_daily(self, frame: pl.DataFrame) -> Translated:
        """Bars in our names and units. Rows of the answer that are no bar are left out."""
        ...

    def translate_factors(self, frame: pl.DataFrame) -> Translated:
        """Columns ts_code, ex_date, back_adjust_factor. Rows of the answer that are no ex-date are left out."""
        ...

    def raw_daily(self, frame: pl.DataFrame) -> list[tuple[Table, pl.DataFrame]]:
        """The raw tables that keep an answer about bars, each with its rows word by word."""
        ...

    def raw_factors(self, frame: pl.DataFrame) -> list[tuple[Table, pl.DataFrame]]:
        """The raw tables that keep an answer about factors, each with its rows word by word."""
        ...

    def no_daily(self) -> pl.DataFrame:
        """An answer about bars without rows."""
        ...

    def no_factors(self) -> pl.DataFrame:
        """An answer about factors without rows."""
        ...

    def factors_on(self, frame: pl.DataFrame, days: Collection[date]) -> pl.DataFrame:
        """The rows of an answer about factors that are of these days."""
        ...

    def close(self) -> None:
        """End every session."""
        ...


class RequestLedger(Protocol):
    """Counts requests before they leave, for all processes of this store."""

    def before_request(self, source: str, api: str) -> None:
        """Count one request; raise `QuotaExhausted` or `Banned` when it must not be sent."""
        ...

    def record_refusal(self, source: str, api: str) -> None:
        """Count one refusal."""
        ...

    def record_ban(self, source: str, until: datetime) -> None:
        """Remember that nothing may be sent before `until`."""
        ...

    def bans_this_year(self, source: str) -> int:
        """How often the source has banned us this year, the running ban included."""
        ...


class SessionSlots(Protocol):
    """The number of sessions that all processes together may hold open."""

    def take(self, source: str, *, timeout_seconds: float) -> AbstractContextManager[object]:
        """Hold one slot until the context ends; a process that dies frees its slot.

        Errors: `SlotsTaken` after `timeout_seconds`.
        """
        ...

    def is_wanted(self, source: str) -> bool:
        """Return whether another process waits for a slot."""
        ...


class NoLedger:
    """A `RequestLedger` that counts nothing: for a client used on its own, without a store."""

    def before_request(self, source: str, api: str) -> None:
        """Let every request pass."""

    def record_refusal(self, source: str, api: str) -> None:
        """Forget it."""

    def record_ban(self, source: str, until: datetime) -> None:
        """Forget it."""

    def bans_this_year(self, source: str) -> int:  # noqa: ARG002  the protocol's parameter
        """Return one: a first ban lasts six hours."""
        return 1


Sleep = Callable[[float], None]
