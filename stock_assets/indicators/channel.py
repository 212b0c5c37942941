"""The commodity channel index."""

import numpy as np

from stock_assets.indicators.compiled import compiled, compiled_or, compiled_part
from stock_assets.indicators.conventions import Choices
from stock_assets.indicators.panel import Array, Bars, Segments
from stock_assets.indicators.windows import FLAT, PARTIAL, copied, joined, space_for, sums_of_7, window_rows

_ROWS = 14
_SCALE = 0.015


def _typicals(high: Array, low: Array, close: Array, result: Array) -> None:
    result[:] = (high + low + close) / 3


@compiled_or(_typicals)
def _put_typicals(high: Array, low: Array, close: Array, result: Array) -> None:
    for row in range(len(result)):
        result[row] = (high[row] + low[row] + close[row]) / 3


def _indices(typical: Array, sums: Array, result: Array) -> None:
    mean = sums[_ROWS - 1 :] / _ROWS
    away = np.zeros(len(mean))
    for back in range(_ROWS):
        away += np.abs(typical[back : back + len(mean)] - mean)
    deviation = away / _ROWS
    index = (typical[_ROWS - 1 :] - mean) / (_SCALE * deviation)
    result[_ROWS - 1 :] = np.where(deviation > FLAT * mean, index, np.nan)


@compiled_or(_indices)
def _put_indices(typical: Array, sums: Array, result: Array) -> None:
    """Put the indices into `result`; NaN where the price has not moved in 14 rows."""
    late, target, price = sums[_ROWS - 1 :], result[_ROWS - 1 :], typical[_ROWS - 1 :]
    for row in range(len(target)):
        mean = late[row] / _ROWS
        away = 0.0
        for back in range(_ROWS):
            away += abs(typical[row + back] - mean)
        deviation = away / _ROWS
        index = (price[row] - mean) / (_SCALE * deviation)
        target[row] = index if deviation > FLAT * mean else np.nan


@compiled_part
def _begin(typical: Array, windows: int, result: Array) -> None:
    """Fill the rows before the first full window."""
    total = 0.0
    for row in range(min(_ROWS - 1, len(typical))):
        total += typical[row]
        result[row] = np.nan
        if windows == PARTIAL:
            mean = total / (row + 1)
            away = 0.0
            for other in range(row + 1):
                away += abs(typical[other] - mean)
            deviation = away / (row + 1)
            if deviation > FLAT * mean:
                result[row] = (typical[row] - mean) / (_SCALE * deviation)


@compiled
def cci(bars: Bars, segments: Segments, choices: Choices, _before: Array, out: Array) -> None:
    """Put CCI 14 into the row of `out`."""
    space = space_for(segments, _ROWS - 1, 4)
    for stock in range(len(segments.begin)):
        begin, end, skip, place = window_rows(segments, stock, _ROWS - 1)
        rows = end - begin
        typical, sums, other, found = space[0, :rows], space[1, :rows], space[2, :rows], space[3, :rows]
        _put_typicals(bars.high[begin:end], bars.low[begin:end], bars.close[begin:end], typical)
        sums_of_7(typical, other)
        joined(other, 7, other, sums)
        _put_indices(typical, sums, found)
        if skip < _ROWS - 1:
            _begin(typical, choices.windows, found)
        copied(found, skip, out[0, place : place + rows - skip])
