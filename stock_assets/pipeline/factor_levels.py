"""Factors of two sources on one level: each stock's series keeps the level it began with.

A back-adjustment factor counts from a stock's first day, and two sources may differ in an old event, so that all later
factors of one are the other's times a constant. What matters is the step at each ex-date: a factor of another source than
the stored ones is multiplied by that constant, so that no step is made up and nothing stored is rewritten.
"""

from collections.abc import Mapping
from datetime import date
from typing import Final

import polars as pl

# The constant, not the factor, is rounded: whichever stored factor it was found at, it comes out the same.
_DIGITS: Final = 10
_BEFORE_THE_FIRST: Final = 1.0


def of_two_sources(stored: pl.DataFrame, new: pl.DataFrame, source: str) -> list[str]:
    """Return the stocks of `new` (ts_code, ex_date …) of which `stored` has factors of another source, in order.

    Stored factors that `new` replaces do not count.
    """
    others = stored.filter(pl.col("source") != source).join(new, on=["ts_code", "ex_date"], how="anti")
    return new.join(others, on="ts_code", how="semi")["ts_code"].unique().sort().to_list()


def on_stored_level(new: pl.DataFrame, stored: pl.DataFrame, series: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return `new` with the factors of the stocks in `series` on the level of the stored ones; the others as they are.

    `series` has, by stock, all of the source's own factors (ex_date, back_adjust_factor).
    """
    if not series:
        return new
    base = stored.join(new, on=["ts_code", "ex_date"], how="anti").sort("ts_code", "ex_date")
    scales = [
        _scale(base.filter(pl.col("ts_code") == code), series[code].sort("ex_date"), ex_date) if code in series else 1.0
        for code, ex_date in new.select("ts_code", "ex_date").iter_rows()
    ]
    return new.with_columns(pl.col("back_adjust_factor") * pl.Series(scales, dtype=pl.Float64))


def _scale(base: pl.DataFrame, own: pl.DataFrame, ex_date: date) -> float:
    """Return what the source's own factor is to be multiplied with: the ratio at the nearest stored factor, earlier first."""
    earlier = base.filter(pl.col("ex_date") < ex_date).tail(1)
    nearest = earlier if earlier.height else base.head(1)
    if nearest.is_empty():
        return 1.0
    in_force = own.filter(pl.col("ex_date") <= nearest["ex_date"][0])["back_adjust_factor"].tail(1)
    theirs = in_force[0] if len(in_force) else _BEFORE_THE_FIRST
    return float(f"{nearest['back_adjust_factor'][0] / theirs:.{_DIGITS}g}")
