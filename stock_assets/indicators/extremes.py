"""Highest and lowest prices of the last N rows."""

from stock_assets.indicators.compiled import compiled
from stock_assets.indicators.conventions import Choices
from stock_assets.indicators.panel import Array, Bars, Segments
from stock_assets.indicators.windows import begin_extremes, copied, highest, lowest, space_for, window_rows

_LOOKBACK = 249
# Column, and how far an extreme is widened: no further than to twice as many rows.
_STEPS = (
    (-1, 1, 2), (-1, 2, 4), (-1, 4, 8), (-1, 8, 16), (0, 16, 20),
    (-1, 20, 40), (2, 40, 60), (-1, 60, 120), (-1, 120, 240), (4, 240, 250),
)  # fmt: skip


@compiled
def extremes(bars: Bars, segments: Segments, choices: Choices, _before: Array, out: Array) -> None:
    """Put highest and lowest prices of 20, 60 and 250 rows, in turn, into the rows of `out`."""
    space = space_for(segments, _LOOKBACK, 2)
    for stock in range(len(segments.begin)):
        begin, end, skip, place = window_rows(segments, stock, _LOOKBACK)
        high, low, rows = bars.high[begin:end], bars.low[begin:end], end - begin
        tops, wider, spare, until = high, space[0, :rows], space[1, :rows], place + rows - skip
        for column, width, wide in _STEPS:
            highest(tops, width, wide, wider)
            tops, wider, spare = wider, spare, wider
            if column >= 0:
                copied(tops, skip, out[column, place:until])
        bottoms = low
        for column, width, wide in _STEPS:
            lowest(bottoms, width, wide, wider)
            bottoms, wider, spare = wider, spare, wider
            if column >= 0:
                copied(bottoms, skip, out[column + 1, place:until])
        if skip < _LOOKBACK:
            for number, width in enumerate((20, 60, 250)):
                lead = min(width - 1, rows)
                if lead > skip:
                    begin_extremes(high[:lead], 1, width, choices.windows, wider[:lead])
                    copied(wider[:lead], skip, out[2 * number, place : place + lead - skip])
                    begin_extremes(low[:lead], -1, width, choices.windows, wider[:lead])
                    copied(wider[:lead], skip, out[2 * number + 1, place : place + lead - skip])
