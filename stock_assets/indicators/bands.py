"""Bollinger bands."""

import numpy as np

from stock_assets.indicators.compiled import compiled, compiled_or, compiled_part
from stock_assets.indicators.conventions import Choices
from stock_assets.indicators.panel import Array, Bars, Segments
from stock_assets.indicators.windows import PARTIAL, joined, space_for, sums_of_5, window_rows

_ROWS = 20
_SAMPLE = 1


def _squares(close: Array, sums: Array, squares: Array) -> None:
    mean = sums[_ROWS - 1 :] / _ROWS
    found = np.zeros(len(mean))
    for back in range(_ROWS):
        away = close[back : back + len(mean)] - mean
        found += away * away
    squares[_ROWS - 1 :] = found


@compiled_or(_squares)
def _squared_deviations(close: Array, sums: Array, squares: Array) -> None:
    """Put the sums of squared distances from the mean of 20 rows into `squares`."""
    late, target = sums[_ROWS - 1 :], squares[_ROWS - 1 :]
    for row in range(len(target)):
        mean = late[row] / _ROWS
        found = 0.0
        for back in range(_ROWS):
            away = close[row + back] - mean
            found += away * away
        target[row] = found


def _bands(squares: Array, divisor: int, mid: Array, upper: Array, lower: Array) -> None:
    width = 2 * np.sqrt(squares / divisor)
    upper[:] = mid + width
    lower[:] = mid - width


@compiled_or(_bands)
def _put_bands(squares: Array, divisor: int, mid: Array, upper: Array, lower: Array) -> None:
    for row in range(len(mid)):
        width = 2 * np.sqrt(squares[row] / divisor)
        upper[row] = mid[row] + width
        lower[row] = mid[row] - width


def _mids(sums: Array, mid: Array) -> None:
    mid[:] = sums / _ROWS


@compiled_or(_mids)
def _put_mids(sums: Array, mid: Array) -> None:
    for row in range(len(mid)):
        mid[row] = sums[row] / _ROWS


@compiled_part
def _begin(close: Array, skip: int, choices: Choices, out: Array, place: int) -> None:
    """Fill the rows before the first full window."""
    total = 0.0
    for row in range(min(_ROWS - 1, len(close))):
        total += close[row]
        mean = width = np.nan
        if choices.windows == PARTIAL:
            mean = total / (row + 1)
            squares = 0.0
            for other in range(row + 1):
                squares += (close[other] - mean) * (close[other] - mean)
            divisor = row + 1 - choices.deviation
            if divisor > 0:
                width = 2 * np.sqrt(squares / divisor)
        if row >= skip:
            out[0, place + row - skip] = mean + width
            out[1, place + row - skip] = mean
            out[2, place + row - skip] = mean - width


@compiled
def boll(bars: Bars, segments: Segments, choices: Choices, _before: Array, out: Array) -> None:
    """Put upper, middle and lower band into the rows of `out`; the middle has the bits of MA 20."""
    divisor = _ROWS - 1 if choices.deviation == _SAMPLE else _ROWS
    space = space_for(segments, _ROWS - 1, 2)
    for stock in range(len(segments.begin)):
        begin, end, skip, place = window_rows(segments, stock, _ROWS - 1)
        close, rows = bars.close[begin:end], end - begin
        sums, other, until = space[0, :rows], space[1, :rows], place + rows - skip
        sums_of_5(close, other)
        joined(other, 5, other, sums)
        joined(sums, 10, sums, other)
        _squared_deviations(close, other, sums)
        mid = out[1, place:until]
        _put_mids(other[skip:], mid)
        _put_bands(sums[skip:], divisor, mid, out[0, place:until], out[2, place:until])
        if skip < _ROWS - 1:
            _begin(close, skip, choices, out, place)
