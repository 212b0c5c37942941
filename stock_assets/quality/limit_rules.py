"""Bars against the price limits of their board and day."""

from typing import Final

import polars as pl

from stock_assets.domain.calendar import FIRST_SESSION, TradingCalendar
from stock_assets.domain.price_limits import with_listed_sessions, with_price_limits
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.quality.findings import FINDING_SCHEMA
from stock_assets.quality.marks import Mark, findings_of, told

_NOISE: Final = 1e-6


def judge_limits(bars: pl.DataFrame, *, securities: pl.DataFrame, calendar: TradingCalendar) -> pl.DataFrame:
    """Return findings on traded bars whose high or low is beyond the limit price (see `domain.price_limits`).

    `securities` has ts_code, board and list_date. Nothing is said where a limit is not known. Of 106,000 recorded bars with a
    limit four are beyond it: two re-listings, the first day of a delisting period, and 600732.SH on 2017-06-06, whose high is
    that of no day.
    """
    if bars.is_empty():
        return pl.DataFrame(schema=FINDING_SCHEMA)
    known = bars.filter(~pl.col("is_suspended")).join(
        securities.select("ts_code", "board", "list_date"), on="ts_code", how="inner", maintain_order="left"
    )
    sessions = calendar.between(FIRST_SESSION, bars["trade_date"].max())  # pyright: ignore[reportArgumentType]  a date
    limits = with_price_limits(with_listed_sessions(known, sessions))
    is_beyond = (pl.col("high") > pl.col("limit_up_price") + _NOISE) | (
        pl.col("low") < pl.col("limit_down_price") - _NOISE
    )
    seen = told("pre_close", "high", "limit_up_price", "low", "limit_down_price")
    return findings_of(limits, STOCK_DAILY.name, [Mark("beyond_price_limit", is_beyond, seen)])
