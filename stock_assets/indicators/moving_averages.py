"""Simple moving averages of the close."""

from stock_assets.indicators.compiled import compiled
from stock_assets.indicators.conventions import Choices
from stock_assets.indicators.panel import Array, Bars, Segments
from stock_assets.indicators.windows import (
    begin_means,
    begin_sums,
    joined,
    put_means,
    space_for,
    sums_of_5,
    window_rows,
)

_LOOKBACK = 249
_TEN = 10
# Column, and how far a sum is widened: by itself, or by the sum over ten rows.
_STEPS = ((2, 10, 20), (3, 20, 30), (4, 30, 60), (5, 60, 120), (0, 120, 240), (6, 240, 250))


@compiled
def moving_averages(bars: Bars, segments: Segments, choices: Choices, _before: Array, out: Array) -> None:
    """Put MA 5, 10, 20, 30, 60, 120 and 250 into the rows of `out`."""
    space = space_for(segments, _LOOKBACK, 4)
    for stock in range(len(segments.begin)):
        begin, end, skip, place = window_rows(segments, stock, _LOOKBACK)
        close, rows = bars.close[begin:end], end - begin
        until = place + rows - skip
        sums_5, sums_10 = space[0, :rows], space[1, :rows]
        sums_of_5(close, sums_5)
        put_means(sums_5, 5, skip, out[0, place:until])
        joined(sums_5, 5, sums_5, sums_10)
        put_means(sums_10, 10, skip, out[1, place:until])
        sums, wider, spare = sums_10, space[2, :rows], space[3, :rows]
        for column, width, wide in _STEPS:
            joined(sums, width, sums_10 if wide - width == _TEN else sums, wider)
            sums, wider, spare = wider, spare, wider
            if column:
                put_means(sums, wide, skip, out[column, place:until])
        if skip < _LOOKBACK:
            for column, width in enumerate((5, 10, 20, 30, 60, 120, 250)):
                lead = min(width - 1, rows)
                if lead > skip:
                    begin_sums(close[:lead], 0, width, choices.windows, sums_5)
                    means = out[column, place : place + lead - skip]
                    put_means(sums_5, width, skip, means)
                    begin_means(sums_5[:lead], 0, width, skip, choices.windows, means)
