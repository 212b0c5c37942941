"""Indicators of a frame of daily bars: frame in, frame out."""

from collections.abc import Sequence

import polars as pl

from stock_assets.indicators.catalog import FAMILIES, families_of
from stock_assets.indicators.compute import column_names, compute
from stock_assets.indicators.conventions import DEFAULT, Conventions
from stock_assets.indicators.family import Family
from stock_assets.indicators.panel import bars_of, in_series, whole_series

_KEY = ["ts_code", "trade_date"]


def with_technicals(
    bars: pl.DataFrame,
    columns: Sequence[str],
    *,
    families: Sequence[Family] = FAMILIES,
    conventions: Conventions = DEFAULT,
) -> pl.DataFrame:
    """Return `bars` in (ts_code, trade_date) order with these columns of the catalog; null where there is no value.

    `bars` has ts_code, trade_date, open, high, low, close, pre_close, volume, is_suspended and, where prices are adjusted,
    the `adjust_factor` that was applied to them (as `Reader.bars` gives it); amount may be absent. Every stock's series is
    taken to begin with its first row here. Rows of suspended days and rows without a price are null.

    Errors: `KeyError` names a column that the catalog does not know.
    """
    chosen = families_of(columns, families)
    ordered = bars.sort(_KEY)
    factor = pl.col("adjust_factor") if "adjust_factor" in bars.columns else pl.lit(1.0)
    prices = [pl.col(name) / factor for name in ("open", "high", "low", "close", "pre_close")]
    amount = pl.col("amount") if "amount" in bars.columns else pl.lit(None, dtype=pl.Float64).alias("amount")
    series = (
        ordered.filter(in_series(with_suspended=conventions.suspended == "keep"))
        .select(*_KEY, *prices, "volume", amount, factor.alias("adjust_factor"))
    )  # fmt: skip
    values = compute(bars_of(series), whole_series(series["ts_code"]), chosen, conventions=conventions)
    names = column_names(chosen)
    found = pl.DataFrame(
        {name: pl.Series(values[names.index(name)]).fill_nan(None) for name in columns},
        schema_overrides=dict.fromkeys(columns, pl.Float64),
    )
    return ordered.join(
        pl.concat([series.select(_KEY), found], how="horizontal"), on=_KEY, how="left", maintain_order="left"
    )
