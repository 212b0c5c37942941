"""What recursive means have in common: where they take up a series, and how they begin one.

A value is `weight * x + (1 - weight) * y`, y being the row before: two multiplications and a sum, with constants, so that the
processor works at several of them at once. A run from any row takes y from the columns of the row before, to the same bits.
"""

import numpy as np

from stock_assets.indicators.compiled import compiled_part
from stock_assets.indicators.panel import Array, Segments

MEAN = 1
"""The choice `mean` of `Conventions.seed`."""


@compiled_part
def series_rows(segments: Segments, stock: int, lookback: int) -> tuple[int, int, int]:
    """Return begin and end of the rows to look at, all of them for a new series, and the place of the first to compute."""
    first = segments.first[stock]
    begin = segments.begin[stock] if segments.is_new[stock] else first - lookback
    return begin, segments.end[stock], first - begin


@compiled_part
def longest_series(segments: Segments, lookback: int) -> int:
    """Return the most rows that `series_rows` gives for one stock."""
    longest = 0
    for stock in range(len(segments.begin)):
        begin, end, _ = series_rows(segments, stock, lookback)
        longest = max(longest, end - begin)
    return longest


@compiled_part
def space_for_unasked(segments: Segments, columns: int) -> Array:
    """Return room for the results of series that are new and of which only later rows are asked for."""
    longest = 0
    for stock in range(len(segments.begin)):
        if segments.is_new[stock] and segments.first[stock] > segments.begin[stock]:
            longest = max(longest, segments.end[stock] - segments.begin[stock])
    return np.empty((columns, longest))


@compiled_part
def put_asked(results: Array, skip: int, rows: int, out: Array, place: int) -> None:
    """Copy the rows from `skip` on from the room of `space_for_unasked` to where they belong."""
    for column in range(len(out)):
        for row in range(skip, rows):
            out[column, place + row - skip] = results[column, row]


@compiled_part
def begun_by_mean(values: Array, start: int, length: int, weight: float, result: Array) -> None:
    """Put the recursive mean that begins with the mean of its first `length` values into `result`; NaN before."""
    seed = start + length - 1
    result[:seed] = np.nan
    if seed >= len(values):
        return
    total = 0.0
    for row in range(start, seed + 1):
        total += values[row]
    mean = total / length
    result[seed] = mean
    for row in range(seed + 1, len(values)):
        mean = weight * values[row] + (1 - weight) * mean
        result[row] = mean
