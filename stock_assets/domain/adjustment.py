"""Adjusted prices, computed on read.

Back-adjusted (后复权, `hfq`): raw price x factor of the last ex-date on or before the day; 1.0 before the first one.
Forward-adjusted (前复权, `qfq`) with anchor A: back-adjusted price / factor in force on A, so that prices of A are raw.
"""

from datetime import date
from typing import Literal

import polars as pl

Adjust = Literal["none", "qfq", "hfq"]
PRICES = ("open", "high", "low", "close", "pre_close")


def adjust_bars(
    bars: pl.DataFrame, factors: pl.DataFrame, adjust: Adjust, *, anchor: date | None = None
) -> pl.DataFrame:
    """Return `bars` with adjusted prices and the column `adjust_factor` that was applied.

    `bars` has ts_code, trade_date and prices; `factors` ts_code, ex_date, back_adjust_factor and must reach back to the
    first ex-date. `anchor` (qfq only) defaults to the last day of each stock in `bars`. `pre_close` is adjusted with the
    factor of its own day: on an ex-date it already is the reference price. Volume and amount stay raw.
    """
    if adjust == "none":
        return bars.with_columns(pl.lit(1.0).alias("adjust_factor"))
    ordered = bars.sort("ts_code", "trade_date")
    applied = in_force(ordered.select("ts_code", "trade_date"), factors)
    if adjust == "qfq":
        last = ordered.group_by("ts_code", maintain_order=True).agg(pl.col("trade_date").last())
        if anchor is not None:
            last = last.with_columns(pl.lit(anchor).alias("trade_date"))
        anchors = last.select("ts_code", in_force(last, factors).alias("anchor_factor"))
        divisor = ordered.select("ts_code").join(anchors, on="ts_code", how="left", maintain_order="left")
        applied = applied / divisor["anchor_factor"]
    return ordered.with_columns(applied.alias("adjust_factor")).with_columns(
        pl.col(name) * pl.col("adjust_factor") for name in PRICES if name in ordered.columns
    )


def in_force(days: pl.DataFrame, factors: pl.DataFrame) -> pl.Series:
    """Return the factor in force on each (ts_code, trade_date) of `days`, in any order; 1.0 before the first ex-date.

    `factors` as for `adjust_bars`.
    """
    known = factors.select("ts_code", pl.col("ex_date").alias("trade_date"), "back_adjust_factor").sort("trade_date")
    numbered = days.with_row_index("position").sort("trade_date")
    joined = numbered.join_asof(known, on="trade_date", by="ts_code", strategy="backward", check_sortedness=False)
    return joined.sort("position")["back_adjust_factor"].fill_null(1.0)
