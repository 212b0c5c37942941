"""Bollinger bands."""

import numpy as np

from stock_assets.indicators.compiled import compiled, compiled_or, compiled_part
from stock_assets.indicators.conventions import Choices
from stock_assets.indicators.panel import Array, Bars, Segments
from stock_assets.indicators.windows import PARTIAL, space_for, window_rows

_ROWS = 20
_SAMPLE = 1


def _begun(close: Array, sums: Array, squares: Array) -> None:
    last, rows = close[4:], len(close)
    total = ((last + close[3 : rows - 1]) + (close[2 : rows - 2] + close[1 : rows - 3])) + close[: max(rows - 4, 0)]
    mean, found = total / 5, np.zeros(len(total))
    for back in range(5):
        away = close[back : back + len(mean)] - mean
        found += away * away
    sums[4:], squares[4:] = total, found


@compiled_or(_begun)
def _put_squares_of_5(close: Array, sums: Array, squares: Array) -> None:
    """Put the sums over 5 rows into `sums`, and those of the squared distances from the mean of the 5 into `squares`."""
    late, found = sums[4:], squares[4:]
    for row in range(len(late)):
        total = ((close[row + 4] + close[row + 3]) + (close[row + 2] + close[row + 1])) + close[row]
        mean, square = total / 5, 0.0
        for back in range(5):
            away = close[row + back] - mean
            square += away * away
        late[row] = total
        found[row] = square


def _squares(sums: Array, squares: Array, width: int, wider: Array, result: Array) -> None:
    if len(sums) > width:
        apart = sums[width:] - sums[:-width]
        wider[width:] = sums[width:] + sums[:-width]
        result[width:] = (squares[width:] + squares[:-width]) + apart * apart / (2 * width)


@compiled_or(_squares)
def _join_squares(sums: Array, squares: Array, width: int, wider: Array, result: Array) -> None:
    """Put sums and squared distances of twice as many rows into `wider` and `result`.

    The distances from the mean of both halves are those from each half's own, and what the two means are apart: as exact as
    subtracting one mean from every row, and much less work.
    """
    late, more = sums[width:], squares[width:]
    target, found = wider[width:], result[width:]
    for row in range(len(target)):
        apart = late[row] - sums[row]
        target[row] = late[row] + sums[row]
        found[row] = (more[row] + squares[row]) + apart * apart / (2 * width)


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
    space = space_for(segments, _ROWS - 1, 4)
    for stock in range(len(segments.begin)):
        begin, end, skip, place = window_rows(segments, stock, _ROWS - 1)
        close, rows = bars.close[begin:end], end - begin
        sums, squares, wider, more = space[0, :rows], space[1, :rows], space[2, :rows], space[3, :rows]
        _put_squares_of_5(close, sums, squares)
        for width in (5, 10):
            _join_squares(sums, squares, width, wider, more)
            sums, squares, wider, more = wider, more, sums, squares
        until = place + rows - skip
        mid = out[1, place:until]
        _put_mids(sums[skip:], mid)
        _put_bands(squares[skip:], divisor, mid, out[0, place:until], out[2, place:until])
        if skip < _ROWS - 1:
            _begin(close, skip, choices, out, place)
