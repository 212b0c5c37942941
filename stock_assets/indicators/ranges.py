"""Ranges and directions of movement: the true range, its mean, and DMI."""

import numpy as np

from stock_assets.indicators.compiled import compiled, compiled_or, compiled_part
from stock_assets.indicators.conventions import Choices
from stock_assets.indicators.panel import Array, Bars, Segments
from stock_assets.indicators.recursions import MEAN, begun_by_mean, longest_series, series_rows
from stock_assets.indicators.windows import (
    FLAT,
    begin_means,
    begin_sums,
    copied,
    joined,
    put_means,
    space_for,
    sums_of_3,
    sums_of_7,
    window_rows,
)

_ROWS, _LOOKBACK = 14, 25
_WILDER = 1
_WEIGHT = 1 / _ROWS


def _ranges(high: Array, low: Array, close: Array, result: Array) -> None:
    last = close[:-1]
    wide = np.maximum(high[1:] - low[1:], np.abs(last - high[1:]))
    result[1:] = np.maximum(wide, np.abs(last - low[1:]))


@compiled_or(_ranges)
def _put_ranges(high: Array, low: Array, close: Array, result: Array) -> None:
    """Put the true ranges into `result`, from the second row on."""
    tops, bottoms, target = high[1:], low[1:], result[1:]
    for row in range(len(target)):
        top, bottom, last = tops[row], bottoms[row], close[row]
        target[row] = max(top - bottom, abs(last - top), abs(last - bottom))


@compiled
def average_true_range(bars: Bars, segments: Segments, choices: Choices, before: Array, out: Array) -> None:
    """Put the true range and its mean of 14 rows into the rows of `out`."""
    space = np.empty((3, longest_series(segments, _ROWS)))
    for stock in range(len(segments.begin)):
        begin, end, skip = series_rows(segments, stock, _ROWS)
        rows, place, is_new = end - begin, segments.place[stock], segments.is_new[stock]
        ranges, sums, other = space[0, :rows], space[1, :rows], space[2, :rows]
        _put_ranges(bars.high[begin:end], bars.low[begin:end], bars.close[begin:end], ranges)
        if is_new:
            ranges[0] = np.nan
        until = place + rows - skip
        copied(ranges, skip, out[0, place:until])
        mean = out[1, place:until]
        if choices.atr_mean == _WILDER:
            if not is_new:
                _smooth(ranges, skip, before[1, segments.slot[stock]], sums)
            elif choices.seed == MEAN:
                begun_by_mean(ranges, 1, _ROWS, _WEIGHT, sums)
            else:
                begun_by_mean(ranges, 1, 1, _WEIGHT, sums)
            copied(sums, skip, mean)
            continue
        sums_of_7(ranges, sums)
        joined(sums, 7, sums, other)
        if is_new:
            begin_sums(ranges, 1, _ROWS, choices.windows, other)
        put_means(other, _ROWS, skip, mean)
        if is_new:
            begin_means(other, 1, _ROWS, skip, choices.windows, mean)


@compiled_part
def _smooth(ranges: Array, begun: int, mean: float, result: Array) -> None:
    for row in range(begun, len(ranges)):
        mean = _WEIGHT * ranges[row] + (1 - _WEIGHT) * mean
        result[row] = mean


def _directions(high: Array, low: Array, plus: Array, minus: Array) -> None:
    up, down, least = high[1:] - high[:-1], low[:-1] - low[1:], FLAT * high[1:]
    plus[1:] = np.where((up > 0) & (up - down > least), up, 0.0)
    minus[1:] = np.where((down > 0) & (down - up > least), down, 0.0)


@compiled_or(_directions)
def _put_directions(high: Array, low: Array, plus: Array, minus: Array) -> None:
    """Put the upward and downward movements into `plus` and `minus`, from the second row on.

    Only the larger one counts and none where both are the same: as many ticks up as down is the same, whatever rounding and
    the adjustment of prices have left of it.
    """
    tops, bottoms, pluses, minuses = high[1:], low[1:], plus[1:], minus[1:]
    for row in range(len(pluses)):
        up, down = tops[row] - high[row], low[row] - bottoms[row]
        least = FLAT * tops[row]
        pluses[row] = up if up > 0 and up - down > least else 0.0
        minuses[row] = down if down > 0 and down - up > least else 0.0


def _shares(moves: Array, ranges: Array, price: Array, result: Array) -> None:
    result[:] = np.where(ranges > FLAT * price, moves * 100 / ranges, np.nan)


@compiled_or(_shares)
def _put_shares(moves: Array, ranges: Array, price: Array, result: Array) -> None:
    """Put the movements in percent of the ranges into `result`; NaN where nothing has moved."""
    for row in range(len(result)):
        share = moves[row] * 100 / ranges[row]
        result[row] = share if ranges[row] > FLAT * price[row] else np.nan


def _differences(plus: Array, minus: Array, result: Array) -> None:
    both = plus + minus
    result[:] = np.where(both > FLAT, np.abs(minus - plus) / both * 100, np.nan)


@compiled_or(_differences)
def _put_differences(plus: Array, minus: Array, result: Array) -> None:
    """Put the difference of both directions in percent of their sum into `result`; NaN where there is neither."""
    for row in range(len(result)):
        both = plus[row] + minus[row]
        difference = abs(minus[row] - plus[row]) / both * 100
        result[row] = difference if both > FLAT else np.nan


def _midpoints(values: Array, skip: int, result: Array) -> None:
    earlier = min(6, skip)
    result[6 - earlier :] = (values[skip + 6 - earlier :] + values[skip - earlier : max(len(values) - 6, 0)]) / 2


@compiled_or(_midpoints)
def _put_midpoints(values: Array, skip: int, result: Array) -> None:
    """Put the mean of a value and the one 6 rows before into `result`, as far as there is one."""
    earlier = min(6, skip)
    target, late, early = result[6 - earlier :], values[skip + 6 - earlier :], values[skip - earlier :]
    for row in range(len(target)):
        target[row] = (late[row] + early[row]) / 2


@compiled
def directional_movement(bars: Bars, segments: Segments, choices: Choices, _before: Array, out: Array) -> None:
    """Put PDI, MDI, ADX and ADXR into the rows of `out`."""
    space = space_for(segments, _LOOKBACK, 7)
    for stock in range(len(segments.begin)):
        begin, end, skip, place = window_rows(segments, stock, _LOOKBACK)
        rows, is_begin = end - begin, skip < _LOOKBACK
        high, low, close = bars.high[begin:end], bars.low[begin:end], bars.close[begin:end]
        ranges, plus, minus, spare = space[0, :rows], space[1, :rows], space[2, :rows], space[3, :rows]
        _put_ranges(high, low, close, ranges)
        _put_directions(high, low, plus, minus)
        for number in range(3):
            values, sums = space[number, :rows], space[4 + number, :rows]
            sums_of_7(values, spare)
            joined(spare, 7, spare, sums)
            if is_begin:
                begin_sums(values, 1, _ROWS, choices.windows, sums)
        sums, until = space[4, :rows], place + rows - skip
        for number in (1, 2):
            _put_shares(space[4 + number, :rows], sums, close, space[number, :rows])
            copied(space[number, :rows], skip, out[number - 1, place:until])
        _put_differences(plus, minus, ranges)
        sums_of_3(ranges, spare)
        joined(spare, 3, spare, sums)
        first = 1 if choices.windows else _ROWS
        if is_begin:
            begin_sums(ranges, first, 6, choices.windows, sums)
        means = space[1, :rows]
        put_means(sums, 6, 0, means)
        if is_begin:
            begin_means(sums, first, 6, 0, choices.windows, means)
        copied(means, skip, out[2, place:until])
        adxr = out[3, place:until]
        adxr[: min(max(6 - skip, 0), rows - skip)] = np.nan
        _put_midpoints(means, skip, adxr)
