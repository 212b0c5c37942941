"""Highest and lowest prices of the last N rows."""

from stock_assets.indicators.compiled import compiled
from stock_assets.indicators.conventions import Choices
from stock_assets.indicators.panel import Array, Bars, Segments
from stock_assets.indicators.windows import begin_extremes, copied, highest, lowest, space_for, window_rows

_LOOKBACK = 249


@compiled
def extremes(bars: Bars, segments: Segments, choices: Choices, _before: Array, out: Array) -> None:
    """Put highest and lowest prices of 20, 60 and 250 rows, in turn, into the rows of `out`."""
    space = space_for(segments, _LOOKBACK, 2)
    for stock in range(len(segments.begin)):
        begin, end, skip, place = window_rows(segments, stock, _LOOKBACK)
        high, low, rows = bars.high[begin:end], bars.low[begin:end], end - begin
        one, other, until = space[0, :rows], space[1, :rows], place + rows - skip
        highest(high, 1, 2, one)
        highest(one, 2, 4, other)
        highest(other, 4, 8, one)
        highest(one, 8, 16, other)
        highest(other, 16, 20, one)
        copied(one, skip, out[0, place:until])
        highest(one, 20, 40, other)
        highest(other, 40, 60, one)
        copied(one, skip, out[2, place:until])
        highest(one, 60, 120, other)
        highest(other, 120, 240, one)
        highest(one, 240, 250, other)
        copied(other, skip, out[4, place:until])
        lowest(low, 1, 2, one)
        lowest(one, 2, 4, other)
        lowest(other, 4, 8, one)
        lowest(one, 8, 16, other)
        lowest(other, 16, 20, one)
        copied(one, skip, out[1, place:until])
        lowest(one, 20, 40, other)
        lowest(other, 40, 60, one)
        copied(one, skip, out[3, place:until])
        lowest(one, 60, 120, other)
        lowest(other, 120, 240, one)
        lowest(one, 240, 250, other)
        copied(other, skip, out[5, place:until])
        if skip < _LOOKBACK:
            for number, width in enumerate((20, 60, 250)):
                lead = min(width - 1, rows)
                if lead > skip:
                    begin_extremes(high[:lead], 1, width, choices.windows, one[:lead])
                    copied(one[:lead], skip, out[2 * number, place : place + lead - skip])
                    begin_extremes(low[:lead], -1, width, choices.windows, one[:lead])
                    copied(one[:lead], skip, out[2 * number + 1, place : place + lead - skip])
