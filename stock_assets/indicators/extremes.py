"""Highest and lowest prices of the last N rows."""

import numpy as np

from stock_assets.indicators.compiled import compiled, compiled_or, compiled_part
from stock_assets.indicators.conventions import Choices
from stock_assets.indicators.panel import Array, Bars, Segments
from stock_assets.indicators.windows import begin_extremes, copied, highest, lowest, space_for, window_rows

_LOOKBACK = 249
# So few rows to compute that looking at every row of their windows takes less than widening windows step by step.
_FEW = 4
# Column, and how far an extreme is widened: no further than to twice as many rows.
_STEPS = (
    (-1, 1, 2), (-1, 2, 4), (-1, 4, 8), (-1, 8, 16), (0, 16, 20),
    (-1, 20, 40), (2, 40, 60), (-1, 60, 120), (-1, 120, 240), (4, 240, 250),
)  # fmt: skip


def _row_of(values: Array, sign: int, lanes: Array, result: Array) -> None:  # noqa: ARG001  room for the other
    for place, width in enumerate((20, 60, 250)):
        result[place] = sign * np.max(sign * values[-width:])


@compiled_or(_row_of)
def _put_row(values: Array, sign: int, lanes: Array, result: Array) -> None:
    """Put the extremes of the last 20, 60 and 250 of so many values into `result`: highest (sign 1) or lowest (-1).

    Ten rows at a time, each compared with its like in the ten rows before, so that none waits for its neighbour; and from the
    oldest row on, as memory is read fastest.
    """
    begin = 0
    for part, stop in enumerate((190, 230, 250)):
        lanes[:] = -np.inf
        for block in range(begin, stop, 10):
            tenth = values[block : block + 10]
            for lane in range(10):
                lanes[lane] = max(lanes[lane], sign * tenth[lane])
        begin = stop
        extreme = lanes[0]
        for lane in range(1, 10):
            extreme = max(extreme, lanes[lane])
        result[2 - part] = extreme
    result[1] = max(result[0], result[1])
    result[2] = max(result[1], result[2])
    for place in range(3):
        result[place] *= sign


@compiled_part
def _put_widened(values: Array, sign: int, skip: int, spare: Array, out: Array, place: int) -> None:  # noqa: PLR0913
    """Put the extremes of all rows from `skip` on into every other row of `out`: windows widened step by step."""
    rows, column = len(values), 0 if sign > 0 else 1
    until, extremes = place + rows - skip, values
    target, other = spare[0, :rows], spare[1, :rows]
    for step, width, wide in _STEPS:
        if sign > 0:
            highest(extremes, width, wide, target)
        else:
            lowest(extremes, width, wide, target)
        extremes, target, other = target, other, target
        if step >= 0:
            copied(extremes, skip, out[step + column, place:until])


@compiled_part
def _put_few(values: Array, sign: int, out: Array, place: int) -> None:
    """Put the extremes of the rows after the first 249 into every other row of `out`, each by looking at its windows."""
    lanes, found, column = np.empty(10), np.empty(3), 0 if sign > 0 else 1
    for row in range(_LOOKBACK, len(values)):
        _put_row(values[row - _LOOKBACK : row + 1], sign, lanes, found)
        for number in range(3):
            out[2 * number + column, place + row - _LOOKBACK] = found[number]


@compiled_part
def _begin(values: Array, sign: int, skip: int, windows: int, spare: Array, out: Array, place: int) -> None:  # noqa: PLR0913
    """Fill the rows before the first full windows."""
    for number, width in enumerate((20, 60, 250)):
        lead = min(width - 1, len(values))
        if lead > skip:
            begin_extremes(values[:lead], sign, width, windows, spare[0, :lead])
            column = 2 * number + (0 if sign > 0 else 1)
            copied(spare[0, :lead], skip, out[column, place : place + lead - skip])


@compiled
def extremes(bars: Bars, segments: Segments, choices: Choices, _before: Array, out: Array) -> None:
    """Put highest and lowest prices of 20, 60 and 250 rows, in turn, into the rows of `out`."""
    spare = space_for(segments, _LOOKBACK, 2)
    for stock in range(len(segments.begin)):
        begin, end, skip, place = window_rows(segments, stock, _LOOKBACK)
        for sign in (1, -1):
            values = bars.high[begin:end] if sign > 0 else bars.low[begin:end]
            if skip == _LOOKBACK and len(values) - skip <= _FEW:
                _put_few(values, sign, out, place)
                continue
            _put_widened(values, sign, skip, spare, out, place)
            if skip < _LOOKBACK:
                _begin(values, sign, skip, choices.windows, spare, out, place)
