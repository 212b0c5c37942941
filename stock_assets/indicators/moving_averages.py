"""Simple moving averages of the close."""

from stock_assets.indicators.compiled import compiled
from stock_assets.indicators.conventions import Choices
from stock_assets.indicators.panel import Array, Bars, Segments
from stock_assets.indicators.windows import begin_moving_averages, put_moving_averages, space_for, window_rows

_LOOKBACK = 249
_WIDTHS = (5, 10, 20, 30, 60, 120, 250)
_STEPS = (
    (1, 5, 10, 1),
    (2, 10, 20, 2),
    (3, 20, 30, 0),
    (4, 30, 60, 2),
    (5, 60, 120, 0),
    (-1, 120, 240, 2),
    (6, 240, 250, 0),
)


@compiled
def moving_averages(bars: Bars, segments: Segments, choices: Choices, _before: Array, out: Array) -> None:
    """Put MA 5, 10, 20, 30, 60, 120 and 250 into the rows of `out`."""
    space = space_for(segments, _LOOKBACK, 3)
    for stock in range(len(segments.begin)):
        begin, end, skip, place = window_rows(segments, stock, _LOOKBACK)
        close = bars.close[begin:end]
        put_moving_averages(close, _STEPS, skip, space, out, place)
        if skip < _LOOKBACK:
            begin_moving_averages(close, _WIDTHS, skip, choices.windows, out, place)
