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


@compiled
def moving_averages(bars: Bars, segments: Segments, choices: Choices, _before: Array, out: Array) -> None:
    """Put MA 5, 10, 20, 30, 60, 120 and 250 into the rows of `out`."""
    space = space_for(segments, _LOOKBACK, 4)
    for stock in range(len(segments.begin)):
        begin, end, skip, place = window_rows(segments, stock, _LOOKBACK)
        close, rows = bars.close[begin:end], end - begin
        until = place + rows - skip
        sums, wider, sums_10, spare = space[0, :rows], space[1, :rows], space[2, :rows], space[3, :rows]
        sums_of_5(close, sums)
        put_means(sums, 5, skip, out[0, place:until])
        joined(sums, 5, sums, sums_10)
        put_means(sums_10, 10, skip, out[1, place:until])
        joined(sums_10, 10, sums_10, wider)
        put_means(wider, 20, skip, out[2, place:until])
        joined(wider, 20, sums_10, sums)
        put_means(sums, 30, skip, out[3, place:until])
        joined(sums, 30, sums, wider)
        put_means(wider, 60, skip, out[4, place:until])
        joined(wider, 60, wider, sums)
        put_means(sums, 120, skip, out[5, place:until])
        joined(sums, 120, sums, wider)
        joined(wider, 240, sums_10, spare)
        put_means(spare, 250, skip, out[6, place:until])
        if skip < _LOOKBACK:
            for column, width in enumerate((5, 10, 20, 30, 60, 120, 250)):
                lead = min(width - 1, rows)
                if lead > skip:
                    begin_sums(close[:lead], 0, width, choices.windows, sums[:lead])
                    means = out[column, place : place + lead - skip]
                    put_means(sums[:lead], width, skip, means)
                    begin_means(sums[:lead], 0, width, skip, choices.windows, means)
