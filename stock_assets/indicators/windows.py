"""Sums and extremes over the last N rows, in one order of operations whatever row comes first.

A sliding sum depends on every row it ever saw. Here the sum over ten rows is the sum over five plus the sum over the five
before, and so on: a value depends on the rows of its own window only, and a run that begins anywhere gives the same bits.
In every array the value of a row stands at the row's place; the rows before the first full window hold nothing of use until
`begin_sums` or `begin_extremes` fills them.
"""

import numpy as np

from stock_assets.indicators.compiled import compiled_or, compiled_part
from stock_assets.indicators.panel import Array, Segments

PARTIAL = 1
"""The choice `partial` of `Conventions.windows`."""

_TEN = 10
FLAT = 1e-9
"""A range below this share of the price is none: a tick is a larger share of any price, what rounding leaves a smaller one."""


@compiled_part
def window_rows(segments: Segments, stock: int, lookback: int) -> tuple[int, int, int, int]:
    """Return begin and end of the rows to look at, the place of the first one to compute among them, and of its result."""
    first = segments.first[stock]
    begin = max(segments.begin[stock], first - lookback)
    return begin, segments.end[stock], first - begin, segments.place[stock]


@compiled_part
def space_for(segments: Segments, lookback: int, arrays: int) -> Array:
    """Return so many arrays as long as the most rows that `window_rows` gives for one stock."""
    longest = 0
    for stock in range(len(segments.begin)):
        begin = max(segments.begin[stock], segments.first[stock] - lookback)
        longest = max(longest, segments.end[stock] - begin)
    return np.empty((arrays, longest))


def _joined(newer: Array, width: int, older: Array, sums: Array) -> None:
    sums[width:] = newer[width:] + older[: max(len(older) - width, 0)]


@compiled_or(_joined)
def joined(newer: Array, width: int, older: Array, sums: Array) -> None:
    """Put the sums over both windows into `sums`: `newer` over the last `width` rows, `older` over the rows before these."""
    # Shifted slices: an index that might be negative would keep the loop from being vectorised, here and elsewhere.
    late, target = newer[width:], sums[width:]
    for row in range(len(target)):
        target[row] = late[row] + older[row]


def _sums_of_3(values: Array, sums: Array) -> None:
    sums[2:] = (values[2:] + values[1:-1]) + values[:-2]


@compiled_or(_sums_of_3)
def sums_of_3(values: Array, sums: Array) -> None:
    """Put the sums over 3 rows into `sums`."""
    target = sums[2:]
    for row in range(len(target)):
        target[row] = (values[row + 2] + values[row + 1]) + values[row]


def _sums_of_5(values: Array, sums: Array) -> None:
    sums[4:] = ((values[4:] + values[3:-1]) + (values[2:-2] + values[1:-3])) + values[:-4]


@compiled_or(_sums_of_5)
def sums_of_5(values: Array, sums: Array) -> None:
    """Put the sums over 5 rows into `sums`."""
    target = sums[4:]
    for row in range(len(target)):
        target[row] = ((values[row + 4] + values[row + 3]) + (values[row + 2] + values[row + 1])) + values[row]


def _sums_of_7(values: Array, sums: Array) -> None:
    newer = (values[6:] + values[5:-1]) + (values[4:-2] + values[3:-3])
    sums[6:] = newer + ((values[2:-4] + values[1:-5]) + values[:-6])


@compiled_or(_sums_of_7)
def sums_of_7(values: Array, sums: Array) -> None:
    """Put the sums over 7 rows into `sums`."""
    target = sums[6:]
    for row in range(len(target)):
        newer = (values[row + 6] + values[row + 5]) + (values[row + 4] + values[row + 3])
        target[row] = newer + ((values[row + 2] + values[row + 1]) + values[row])


@compiled_part
def begin_sums(values: Array, start: int, width: int, windows: int, sums: Array) -> None:
    """Fill `sums` before the first full window of a series whose values begin at row `start`.

    With NaN, or with partial windows with the sums of what there is.
    """
    full = min(start + width - 1, len(values))
    sums[:full] = np.nan
    if windows == PARTIAL:
        total = 0.0
        for row in range(start, full):
            total += values[row]
            sums[row] = total


def _put_means(sums: Array, width: int, skip: int, means: Array) -> None:
    means[:] = sums[skip : skip + len(means)] / width


@compiled_or(_put_means)
def put_means(sums: Array, width: int, skip: int, means: Array) -> None:
    """Put the means of sums over `width` rows, of the rows from `skip` on, into `means`."""
    late = sums[skip:]
    for row in range(len(means)):
        means[row] = late[row] / width


@compiled_part
def begin_means(sums: Array, start: int, width: int, skip: int, windows: int, means: Array) -> None:  # noqa: PLR0913
    """Divide by the rows there are, before the first full window of a series whose values begin at row `start`."""
    if windows == PARTIAL:
        for row in range(max(start, skip), min(start + width - 1, len(sums))):
            means[row - skip] = sums[row] / (row + 1 - start)


@compiled_part
def put_moving_averages(  # noqa: PLR0913
    values: Array, steps: tuple[tuple[int, int, int, int], ...], skip: int, space: Array, out: Array, place: int
) -> None:
    """Put the mean of 5 rows, and those of longer windows, into the columns of `out` from `place` on.

    A step is column, or -1; the width so far and that to come, by as much or by the ten rows of the first step; and the array
    of `space` to put the sums into: 1 for the first step, and 0 only where the sums over 5 rows are not needed any more.
    """
    rows, until, last = len(values), place + len(values) - skip, 0
    sums_of_5(values, space[0, :rows])
    put_means(space[0, :rows], 5, skip, out[0, place:until])
    for column, width, wide, target in steps:
        older = 1 if wide - width == _TEN else last
        joined(space[last, :rows], width, space[older, :rows], space[target, :rows])
        last = target
        if column >= 0:
            put_means(space[target, :rows], wide, skip, out[column, place:until])


@compiled_part
def begin_moving_averages(  # noqa: PLR0913
    values: Array, widths: tuple[int, ...], skip: int, windows: int, out: Array, place: int
) -> None:
    """Fill the rows before the first full windows, a column for each of `widths`."""
    for column, width in enumerate(widths):
        lead = min(width - 1, len(values))
        if lead > skip:
            sums = np.empty(lead)
            begin_sums(values[:lead], 0, width, windows, sums)
            means = out[column, place : place + lead - skip]
            put_means(sums, width, skip, means)
            begin_means(sums, 0, width, skip, windows, means)


def _highest(highs: Array, width: int, wider: int, result: Array) -> None:
    result[wider - 1 :] = np.maximum(highs[wider - 1 :], highs[width - 1 : len(highs) - (wider - width)])


@compiled_or(_highest)
def highest(highs: Array, width: int, wider: int, result: Array) -> None:
    """Put the highest of `wider` rows into `result`; `highs` are those of `width` rows, at least half as many."""
    late, early, target = highs[wider - 1 :], highs[width - 1 :], result[wider - 1 :]
    for row in range(len(target)):
        target[row] = max(late[row], early[row])


def _lowest(lows: Array, width: int, wider: int, result: Array) -> None:
    result[wider - 1 :] = np.minimum(lows[wider - 1 :], lows[width - 1 : len(lows) - (wider - width)])


@compiled_or(_lowest)
def lowest(lows: Array, width: int, wider: int, result: Array) -> None:
    """Put the lowest of `wider` rows into `result`; `lows` are those of `width` rows, at least half as many."""
    late, early, target = lows[wider - 1 :], lows[width - 1 :], result[wider - 1 :]
    for row in range(len(target)):
        target[row] = min(late[row], early[row])


@compiled_part
def begin_extremes(values: Array, sign: int, width: int, windows: int, result: Array) -> None:
    """Fill the rows of a series before its first full window: NaN, or the highest (sign 1) or lowest (-1) there was."""
    full = min(width - 1, len(values))
    result[:full] = np.nan
    if windows == PARTIAL and full > 0:
        extreme = values[0]
        for row in range(full):
            if (values[row] - extreme) * sign > 0:
                extreme = values[row]
            result[row] = extreme


def _copied(values: Array, skip: int, target: Array) -> None:
    target[:] = values[skip:]


@compiled_or(_copied)
def copied(values: Array, skip: int, target: Array) -> None:
    """Put the values from row `skip` on into `target`."""
    late = values[skip:]
    for row in range(len(target)):
        target[row] = late[row]
