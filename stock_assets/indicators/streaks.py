"""Counts of rows: rising and falling ones in a row, and all of the series."""

from stock_assets.indicators.compiled import compiled
from stock_assets.indicators.conventions import Choices
from stock_assets.indicators.panel import Array, Bars, Segments
from stock_assets.indicators.recursions import series_rows


@compiled
def streaks(bars: Bars, segments: Segments, _choices: Choices, before: Array, out: Array) -> None:
    """Put rising days, falling days and the number of the bar into the rows of `out`."""
    for stock in range(len(segments.begin)):
        begin, end, skip = series_rows(segments, stock, 0)
        place, slot = segments.place[stock] - skip, segments.slot[stock]
        up = down = number = 0.0
        if not segments.is_new[stock]:
            up, down, number = before[0, slot], before[1, slot], before[2, slot]
        for row in range(end - begin):
            direction = bars.direction[begin + row]
            up = up + 1 if direction > 0 else 0.0
            down = down + 1 if direction < 0 else 0.0
            number += 1
            if row >= skip:
                out[0, place + row] = up
                out[1, place + row] = down
                out[2, place + row] = number
