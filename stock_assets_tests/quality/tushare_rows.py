"""Tushare's recorded `daily` rows in our units, written here with nothing of the package: a second way to the same bars."""

import polars as pl


def translate_tushare(rows: pl.DataFrame) -> pl.DataFrame:
    """Lots to shares, thousands to CNY; Tushare has a row only for a stock that traded."""
    prices = ("open", "high", "low", "close", "pre_close", "pct_chg")
    return rows.select(
        "ts_code",
        pl.col("trade_date").str.to_date("%Y%m%d"),
        *(pl.col(name).cast(pl.Float64) for name in prices),
        (pl.col("vol").cast(pl.Float64) * 100).round().cast(pl.Int64).alias("volume"),
        (pl.col("amount").cast(pl.Float64) * 1000).alias("amount"),
        pl.lit(value=False).alias("is_suspended"),
    )
