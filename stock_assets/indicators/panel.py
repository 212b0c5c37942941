"""Bars of many stocks laid out for kernels: one array for each quantity, the rows of a stock side by side and in order of days.

Suspended days and rows without a price are no part of a series: see `conventions` for the other choice.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

LOOKBACK = 250
"""Rows before the first one to compute that a kernel may look at; what it needs of older ones is in its own columns."""

_PRICES = ("open", "high", "low", "close")
# Prices are multiples of it; B shares in Shanghai are priced in thousandths.
_TICKS_PER_CNY, _TICKS_PER_USD = 100, 1000
_IN_USD = "^900.*"


class Bars(NamedTuple):
    """What kernels may look at, one value a row: back-adjusted prices, volume in shares, amount in CNY.

    `direction` is the sign of the day's change, +1, 0 or -1, by the traded close against the exchange's previous close in
    ticks: the sign of a difference of adjusted prices is decided by rounding on some ex-dates.
    """

    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    amount: Array
    direction: Array


class Segments(NamedTuple):
    """Which rows belong to which stock, one entry a stock.

    Rows [begin, end) are the stock's; those from `first` on are to be computed, and the result of `first` stands at `place`.
    With `is_new` the series begins at `begin`; else there are at least LOOKBACK rows before `first`, and column `slot` of
    what was `before` holds the results of the row before `first`.
    """

    begin: Places
    first: Places
    end: Places
    place: Places
    slot: Places
    is_new: Flags

    def part(self, start: int, stop: int) -> "Segments":
        """Return the entries [start, stop)."""
        return Segments(
            self.begin[start:stop],
            self.first[start:stop],
            self.end[start:stop],
            self.place[start:stop],
            self.slot[start:stop],
            self.is_new[start:stop],
        )


def in_series(*, with_suspended: bool = False) -> pl.Expr:
    """Return which rows of daily bars belong to a series."""
    priced = pl.all_horizontal(pl.col(name) > 0 for name in _PRICES).fill_null(value=False)
    return priced if with_suspended else priced & ~pl.col("is_suspended")


def direction() -> pl.Expr:
    """Return the sign of the day's change, by raw `close` against raw `pre_close` in ticks; 0 without a `pre_close`."""
    ticks = pl.when(pl.col("ts_code").str.contains(_IN_USD)).then(_TICKS_PER_USD).otherwise(_TICKS_PER_CNY)
    change = (pl.col("close") * ticks).round() - (pl.col("pre_close") * ticks).round()
    return change.sign().fill_null(0.0)


def bars_of(frame: pl.DataFrame) -> Bars:
    """Return the arrays of a frame in (ts_code, trade_date) order, all of whose rows belong to a series.

    `frame` has raw open, high, low, close, pre_close, volume, amount and the `adjust_factor` that back-adjusts its prices. A
    missing volume or amount counts as 0.
    """
    columns = frame.select(
        *(pl.col(name) * pl.col("adjust_factor") for name in _PRICES),
        pl.col("volume").cast(pl.Float64).fill_null(0.0),
        pl.col("amount").fill_null(0.0),
        direction().alias("direction"),
    )
    # Compiled kernels tell arrays that may be written from those that may not: always the first kind here.
    return Bars(*(np.array(columns[name].to_numpy(), dtype=np.float64) for name in Bars._fields))


def whole_series(ts_codes: pl.Series) -> Segments:
    """Return the segments of rows in (ts_code, trade_date) order that are every stock's whole series."""
    lengths = ts_codes.rle().struct.field("len").to_numpy().astype(np.int64)
    end = np.cumsum(lengths)
    begin = end - lengths
    return Segments(begin, begin.copy(), end, begin.copy(), np.arange(len(begin)), np.ones(len(begin), dtype=np.bool_))
