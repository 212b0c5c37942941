"""Bars and factors of a security over its whole life: the days under each of its codes, put together to one series."""

from collections.abc import Sequence

import polars as pl

from stock_assets.domain.universe import CODE_CHANGES, CodeChange, codes_of, newest_code

TRADED_AS = "traded_as"
"""The column with the code under which the stock traded on the day."""


def all_codes(ts_codes: Sequence[str]) -> list[str]:
    """Return every code that the securities of these codes ever had."""
    return list(dict.fromkeys(code for asked in ts_codes for code in codes_of(asked)))


def one_series(bars: pl.DataFrame) -> pl.DataFrame:
    """Return bars under the newest code of each security, by code and day, with `traded_as`: the code they are stored under.

    `bars` has ts_code, trade_date and anything else. Where a source told a day under two codes, the one in force that day
    stands.
    """
    is_early = pl.lit(value=False)
    for change in _changes_of(bars):
        is_early |= (pl.col("ts_code") == change.new) & (pl.col("trade_date") < change.changed_on)
        is_early |= (pl.col("ts_code") == change.old) & (pl.col("trade_date") >= change.changed_on)
    named = bars.with_columns(
        pl.col("ts_code").replace(_newest(bars)), pl.col("ts_code").alias(TRADED_AS), is_early.alias("is_early")
    )
    whole = named.sort("ts_code", "trade_date", "is_early").unique(
        ["ts_code", "trade_date"], keep="first", maintain_order=True
    )
    return whole.drop("is_early")


def linked_factors(factors: pl.DataFrame) -> pl.DataFrame:
    """Return factors (ts_code, ex_date, back_adjust_factor) under the newest codes, so that prices go on over the change.

    Where the factors of the new code reach back before the change they are the whole life's; else they begin where those of
    the old code ended.
    """
    found = factors
    for change in _changes_of(factors):
        is_old, is_new = pl.col("ts_code") == change.old, pl.col("ts_code") == change.new
        new, old = found.filter(is_new), found.filter(is_old & (pl.col("ex_date") < change.changed_on)).sort("ex_date")
        others = found.filter(~is_old & ~is_new)
        if (new["ex_date"] < change.changed_on).any() or old.is_empty():
            found = pl.concat([others, new])
            continue
        reached = old["back_adjust_factor"][-1]
        renamed = old.with_columns(pl.lit(change.new).alias("ts_code"))
        found = pl.concat([others, renamed, new.with_columns(pl.col("back_adjust_factor") * reached)])
    return found.sort("ts_code", "ex_date")


def _changes_of(rows: pl.DataFrame) -> list[CodeChange]:
    """Return the changes of these codes, earlier ones first."""
    codes = set(rows["ts_code"].unique())
    chosen = [change for change in CODE_CHANGES if change.old in codes]
    return sorted(chosen, key=lambda change: change.changed_on)


def _newest(rows: pl.DataFrame) -> dict[str, str]:
    return {code: newest_code(code) for code in rows["ts_code"].unique()}
