"""Simple moving averages of the close."""

from stock_assets.indicators.compiled import compiled
from stock_assets.indicators.conventions import Choices
from stock_assets.indicators.panel import Array, Bars, Segments
from stock_assets.indicators.windows import joined, put_means, sums_of_5

_LONGEST = 250


@compiled
def moving_averages(bars: Bars, segments: Segments, choices: Choices, _before: Array, out: Array) -> None:
    """Put MA 5, 10, 20, 30, 60, 120 and 250 into the rows of `out`."""
    for stock in range(len(segments.begin)):
        first, end = segments.first[stock], segments.end[stock]
        begin = max(segments.begin[stock], first - (_LONGEST - 1))
        close, skip = bars.close[begin:end], first - begin
        place = segments.place[stock]
        means = out[:, place : place + end - first]
        sums = sums_of_5(close)
        put_means(sums, 5, skip, close, choices.windows, means[0])
        sums = joined(sums, 5, sums)
        put_means(sums, 10, skip, close, choices.windows, means[1])
        sums_10, sums = sums, joined(sums, 10, sums)
        put_means(sums, 20, skip, close, choices.windows, means[2])
        sums = joined(sums, 20, sums_10)
        put_means(sums, 30, skip, close, choices.windows, means[3])
        sums = joined(sums, 30, sums)
        put_means(sums, 60, skip, close, choices.windows, means[4])
        sums = joined(sums, 60, sums)
        put_means(sums, 120, skip, close, choices.windows, means[5])
        sums = joined(sums, 120, sums)
        put_means(joined(sums, 240, sums_10), 250, skip, close, choices.windows, means[6])
