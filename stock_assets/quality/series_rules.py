"""Rules that compare a bar with the one before it."""

import polars as pl

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.quality.findings import FINDING_SCHEMA

_HALF_TICK = 0.005


def judge_continuity(bars: pl.DataFrame, previous: pl.DataFrame, calendar: TradingCalendar) -> pl.DataFrame:
    """Return findings on the step from each bar's predecessor to the bar.

    `bars` has ts_code, trade_date, pre_close, close; `previous` the last stored bar of each stock before the first day of
    `bars` (ts_code, trade_date, close). A step is judged only where the predecessor is of the session just before.
    `pre_close_above_previous_close`: an ex-date can only lower the reference price.
    """
    before = previous.select("ts_code", "trade_date", "close", pl.lit(None, dtype=pl.Float64).alias("pre_close"))
    rows = pl.concat([before, bars.select("ts_code", "trade_date", "close", "pre_close")]).sort("ts_code", "trade_date")
    days = rows["trade_date"].unique().sort()
    sessions = pl.DataFrame(
        {"trade_date": days, "session_before": [calendar.previous(day) for day in days.to_list()]},
        schema={"trade_date": pl.Date, "session_before": pl.Date},
    )
    steps = rows.with_columns(
        pl.col("close").shift(1).over("ts_code").alias("close_before"),
        pl.col("trade_date").shift(1).over("ts_code").alias("day_before"),
    ).join(sessions, on="trade_date", how="left")
    return (
        steps.filter(
            (pl.col("day_before") == pl.col("session_before"))
            & (pl.col("pre_close") > pl.col("close_before") + _HALF_TICK)
        )
        .select(
            "trade_date",
            "ts_code",
            pl.lit("pre_close_above_previous_close").alias("rule"),
            pl.lit("warning").alias("severity"),
            pl.concat_str(
                pl.lit("previous close "),
                pl.col("close_before").cast(pl.String),
                pl.lit(", pre_close "),
                pl.col("pre_close").cast(pl.String),
            ).alias("detail"),
        )
        .cast(FINDING_SCHEMA)
    )
