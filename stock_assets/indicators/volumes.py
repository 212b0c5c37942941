"""Volume: on-balance volume, the ratio of rising to falling volume, its means, and today's against them."""

import numpy as np

from stock_assets.indicators.compiled import compiled, compiled_or, compiled_part
from stock_assets.indicators.conventions import Choices
from stock_assets.indicators.panel import Array, Bars, Segments
from stock_assets.indicators.recursions import series_rows
from stock_assets.indicators.windows import (
    begin_means,
    begin_moving_averages,
    begin_sums,
    joined,
    put_means,
    put_moving_averages,
    space_for,
    sums_of_3,
    window_rows,
)

_RATIO_ROWS = 26
_LONGEST = 60
_WIDTHS = (5, 10, 20, 60)
_STEPS = ((1, 5, 10, 1), (2, 10, 20, 2), (-1, 20, 30, 3), (3, 30, 60, 2))


@compiled
def on_balance_volume(bars: Bars, segments: Segments, _choices: Choices, before: Array, out: Array) -> None:
    """Put OBV into the row of `out`."""
    for stock in range(len(segments.begin)):
        begin, end, skip = series_rows(segments, stock, 0)
        place = segments.place[stock] - skip
        total = 0.0 if segments.is_new[stock] else before[0, segments.slot[stock]]
        for row in range(skip):
            total += bars.direction[begin + row] * bars.volume[begin + row]
        for row in range(skip, end - begin):
            total += bars.direction[begin + row] * bars.volume[begin + row]
            out[0, place + row] = total


def _weighed(volume: Array, direction: Array, sign: int, result: Array) -> None:
    result[:] = volume * (1 + sign * direction)


@compiled_or(_weighed)
def _put_weighed(volume: Array, direction: Array, sign: int, result: Array) -> None:
    """Put twice the volume of days in the direction of `sign`, and once that of days without one, into `result`."""
    for row in range(len(result)):
        result[row] = volume[row] * (1 + sign * direction[row])


def _ratios(values: Array, bases: Array, scale: float, result: Array) -> None:
    result[:] = np.where(bases > 0, scale * values / bases, np.nan)


@compiled_or(_ratios)
def _put_ratios(values: Array, bases: Array, scale: float, result: Array) -> None:
    """Put `scale` times the ratio into `result`; NaN where there is nothing to compare with."""
    for row in range(len(result)):
        ratio = scale * values[row] / bases[row]
        result[row] = ratio if bases[row] > 0 else np.nan


@compiled_part
def _sums_of_26(values: Array, spare: Array, sums: Array) -> None:
    """Put the sums over 26 rows into `sums`."""
    sums_of_3(values, sums)
    joined(sums, 3, sums, spare)
    joined(spare, 6, spare, sums)
    joined(values, 1, sums, spare)
    joined(spare, 13, spare, sums)


@compiled
def volume_direction_ratio(bars: Bars, segments: Segments, choices: Choices, _before: Array, out: Array) -> None:
    """Put VR 26 into the row of `out`."""
    space = space_for(segments, _RATIO_ROWS - 1, 4)
    for stock in range(len(segments.begin)):
        begin, end, skip, place = window_rows(segments, stock, _RATIO_ROWS - 1)
        volume, direction, rows = bars.volume[begin:end], bars.direction[begin:end], end - begin
        values, rising, falling, spare = space[0, :rows], space[1, :rows], space[2, :rows], space[3, :rows]
        for sign, sums in ((1, rising), (-1, falling)):
            _put_weighed(volume, direction, sign, values)
            _sums_of_26(values, spare, sums)
            if skip < _RATIO_ROWS - 1:
                begin_sums(values, 0, _RATIO_ROWS, choices.windows, sums)
        _put_ratios(rising[skip:], falling[skip:], 100.0, out[0, place : place + rows - skip])


@compiled
def volume_averages(bars: Bars, segments: Segments, choices: Choices, _before: Array, out: Array) -> None:
    """Put the mean volumes of 5, 10, 20 and 60 rows, and the volume ratio, into the rows of `out`."""
    space = space_for(segments, _LONGEST - 1, 4)
    for stock in range(len(segments.begin)):
        begin, end, skip, place = window_rows(segments, stock, _LONGEST - 1)
        volume, rows = bars.volume[begin:end], end - begin
        put_moving_averages(volume, _STEPS, skip, space, out, place)
        sums, means, is_begin = space[0, :rows], space[1, :rows], skip < _LONGEST - 1
        if is_begin:
            begin_moving_averages(volume, _WIDTHS, skip, choices.windows, out, place)
            begin_sums(volume, 0, 5, choices.windows, sums)
            out[4, place] = np.nan
        put_means(sums, 5, 0, means)
        if is_begin:
            begin_means(sums, 0, 5, 0, choices.windows, means)
        late, until = max(1 - skip, 0), place + rows - skip
        _put_ratios(volume[skip + late :], means[skip + late - 1 : rows - 1], 1.0, out[4, place + late : until])
