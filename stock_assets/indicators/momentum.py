"""How far the price has come: BIAS, ROC and MTM of the close, PSY of the days' directions."""

import numpy as np

from stock_assets.indicators.compiled import compiled, compiled_or
from stock_assets.indicators.conventions import Choices
from stock_assets.indicators.panel import Array, Bars, Segments
from stock_assets.indicators.windows import (
    begin_means,
    begin_sums,
    joined,
    put_means,
    space_for,
    sums_of_3,
    window_rows,
)

_LOOKBACK = 23
_BACK = 12
_PSY_LOOKBACK = 11


def _distances(price: Array, base: Array, result: Array) -> None:
    result[:] = (price - base) / base * 100


@compiled_or(_distances)
def _put_distances(price: Array, base: Array, result: Array) -> None:
    """Put how far `price` is above `base`, in percent of it, into `result`."""
    for row in range(len(result)):
        result[row] = (price[row] - base[row]) / base[row] * 100


def _changes(price: Array, base: Array, result: Array) -> None:
    result[:] = price - base


@compiled_or(_changes)
def _put_changes(price: Array, base: Array, result: Array) -> None:
    for row in range(len(result)):
        result[row] = price[row] - base[row]


@compiled
def bias(bars: Bars, segments: Segments, choices: Choices, _before: Array, out: Array) -> None:
    """Put BIAS 6, 12 and 24 into the rows of `out`."""
    space = space_for(segments, _LOOKBACK, 3)
    for stock in range(len(segments.begin)):
        begin, end, skip, place = window_rows(segments, stock, _LOOKBACK)
        close, rows = bars.close[begin:end], end - begin
        sums, wider, means = space[0, :rows], space[1, :rows], space[2, : rows - skip]
        until = place + rows - skip
        sums_of_3(close, sums)
        for column, width in enumerate((6, 12, 24)):
            joined(sums, width // 2, sums, wider)
            put_means(wider, width, skip, means)
            if skip < width - 1:
                # The sums over fewer rows are still needed as they are: `means` serves both.
                lead = min(width - 1, rows)
                first = np.zeros(lead)
                begin_sums(close[:lead], 0, width, choices.windows, first)
                put_means(first, width, skip, means[: lead - skip])
                begin_means(first, 0, width, skip, choices.windows, means)
            _put_distances(close[skip:], means, out[column, place:until])
            sums, wider = wider, sums


@compiled
def momentum(bars: Bars, segments: Segments, _choices: Choices, _before: Array, out: Array) -> None:
    """Put ROC 12 and MTM 12 into the rows of `out`."""
    for stock in range(len(segments.begin)):
        begin, end, skip, place = window_rows(segments, stock, _BACK)
        until = place + end - begin - skip
        lead = min(max(_BACK - skip, 0), until - place)
        out[:2, place : place + lead] = np.nan
        price, base = bars.close[begin + skip + lead : end], bars.close[begin + skip + lead - _BACK : end]
        if place + lead < until:
            _put_distances(price, base[: len(price)], out[0, place + lead : until])
            _put_changes(price, base[: len(price)], out[1, place + lead : until])


def _risen(direction: Array, result: Array) -> None:
    result[:] = direction > 0


@compiled_or(_risen)
def _put_risen(direction: Array, result: Array) -> None:
    for row in range(len(result)):
        result[row] = 1.0 if direction[row] > 0 else 0.0


def _percents(shares: Array) -> None:
    shares *= 100


@compiled_or(_percents)
def _in_percent(shares: Array) -> None:
    for row in range(len(shares)):
        shares[row] *= 100


@compiled
def psychological_line(bars: Bars, segments: Segments, choices: Choices, _before: Array, out: Array) -> None:
    """Put PSY 12 into the row of `out`."""
    space = space_for(segments, _PSY_LOOKBACK, 3)
    for stock in range(len(segments.begin)):
        begin, end, skip, place = window_rows(segments, stock, _PSY_LOOKBACK)
        rows = end - begin
        risen, sums, wider, share = (
            space[0, :rows],
            space[1, :rows],
            space[2, :rows],
            out[0, place : place + rows - skip],
        )
        _put_risen(bars.direction[begin:end], risen)
        sums_of_3(risen, sums)
        joined(sums, 3, sums, wider)
        joined(wider, 6, wider, sums)
        if skip < _PSY_LOOKBACK:
            begin_sums(risen, 0, 12, choices.windows, sums)
        put_means(sums, 12, skip, share)
        if skip < _PSY_LOOKBACK:
            begin_means(sums, 0, 12, skip, choices.windows, share)
        _in_percent(share)
