"""Where the close stands in the range of the last N rows: KDJ and Williams %R."""

import numpy as np

from stock_assets.indicators.compiled import compiled, compiled_or, compiled_part
from stock_assets.indicators.conventions import Choices
from stock_assets.indicators.panel import Array, Bars, Segments
from stock_assets.indicators.recursions import longest_series, put_asked, series_rows, space_for_unasked
from stock_assets.indicators.windows import FLAT, PARTIAL, begin_extremes, highest, lowest, space_for, window_rows

_FIFTY, _ZERO = 1, 2
_WEIGHT = 1 / 3
_KDJ_LOOKBACK, _WR_LOOKBACK = 8, 9


def _extremes_of_6(high: Array, low: Array, top: Array, bottom: Array) -> None:
    rows = max(len(high) - 5, 0)
    highs, lows = high[5:], low[5:]
    for back in (4, 3, 2, 1, 0):
        highs, lows = np.maximum(highs, high[back : back + rows]), np.minimum(lows, low[back : back + rows])
    top[5:], bottom[5:] = highs, lows


@compiled_or(_extremes_of_6)
def _put_extremes_of_6(high: Array, low: Array, top: Array, bottom: Array) -> None:
    """Put the highest high and the lowest low of 6 rows into `top` and `bottom`."""
    tops, bottoms = top[5:], bottom[5:]
    for row in range(len(tops)):
        tops[row] = max(high[row + 5], high[row + 4], high[row + 3], high[row + 2], high[row + 1], high[row])
    for row in range(len(bottoms)):
        bottoms[row] = min(low[row + 5], low[row + 4], low[row + 3], low[row + 2], low[row + 1], low[row])


def _stances(top: Array, bottom: Array, price: Array, over: Array, result: Array) -> None:
    spread = top - bottom
    result[:] = np.where(spread > FLAT * top, (price - over) / spread * 100, np.nan)


@compiled_or(_stances)
def _put_stances(top: Array, bottom: Array, price: Array, over: Array, result: Array) -> None:
    """Put how far `price` is above `over`, in percent of the range from `bottom` to `top`; NaN where there is no range."""
    for row in range(len(result)):
        spread = top[row] - bottom[row]
        stance = (price[row] - over[row]) / spread * 100
        result[row] = stance if spread > FLAT * top[row] else np.nan


@compiled_part
def _fill_flat(top: Array, bottom: Array, flat_range: int, result: Array) -> None:
    """Put the number that was chosen where there is no range."""
    number = 50.0 if flat_range == _FIFTY else 0.0
    for row in range(len(result)):
        if top[row] - bottom[row] <= FLAT * top[row]:
            result[row] = number


@compiled_part
def _smooth(stances: Array, begun: int, k: float, d: float, out: Array, place: int) -> None:  # noqa: PLR0913
    """Put K, D and J into `out`, from row `begun` on; a row without a range leaves K and D as they were."""
    for row in range(begun, len(stances)):
        stance, target = stances[row], place + row
        # NaN, the only number that differs from itself, is no range here, and no K yet there.
        if stance == stance:  # noqa: PLR0124
            k = _WEIGHT * stance + (1 - _WEIGHT) * k if k == k else stance  # noqa: PLR0124
            d = _WEIGHT * k + (1 - _WEIGHT) * d if d == d else k  # noqa: PLR0124
        out[0, target] = k
        out[1, target] = d
        out[2, target] = 3 * k - 2 * d


@compiled
def kdj(bars: Bars, segments: Segments, choices: Choices, before: Array, out: Array) -> None:
    """Put K, D and J into the rows of `out`."""
    unasked = space_for_unasked(segments, 3)
    space = np.empty((4, longest_series(segments, _KDJ_LOOKBACK)))
    for stock in range(len(segments.begin)):
        begin, end, skip = series_rows(segments, stock, _KDJ_LOOKBACK)
        place, rows = segments.place[stock], end - begin
        high, low = bars.high[begin:end], bars.low[begin:end]
        top, bottom, spare, stances = space[0, :rows], space[1, :rows], space[2, :rows], space[3, :rows]
        _put_extremes_of_6(high, low, spare, stances)
        highest(spare, 6, 9, top)
        lowest(stances, 6, 9, bottom)
        if segments.is_new[stock]:
            begin_extremes(high, 1, 9, choices.windows, top)
            begin_extremes(low, -1, 9, choices.windows, bottom)
        _put_stances(top, bottom, bars.close[begin:end], bottom, stances)
        if choices.flat_range:
            _fill_flat(top, bottom, choices.flat_range, stances)
        if not segments.is_new[stock]:
            slot = segments.slot[stock]
            _smooth(stances, skip, before[0, slot], before[1, slot], out, place - skip)
            continue
        target, offset = (unasked, 0) if skip else (out, place)
        lead = 0 if choices.windows == PARTIAL else min(8, rows)
        target[:, offset : offset + lead] = np.nan
        seed = 50.0 if choices.kdj_seed == _FIFTY else np.nan
        _smooth(stances, lead, seed, seed, target, offset)
        if skip:
            put_asked(unasked, skip, rows, out, place)


@compiled_part
def _put_williams(top: Array, bottom: Array, close: Array, flat_range: int, result: Array) -> None:
    _put_stances(top, bottom, top, close, result)
    if flat_range:
        _fill_flat(top, bottom, flat_range, result)


@compiled
def williams(bars: Bars, segments: Segments, choices: Choices, _before: Array, out: Array) -> None:
    """Put WR 10 and 6 into the rows of `out`."""
    space = space_for(segments, _WR_LOOKBACK, 4)
    for stock in range(len(segments.begin)):
        begin, end, skip, place = window_rows(segments, stock, _WR_LOOKBACK)
        rows = end - begin
        high, low = bars.high[begin:end], bars.low[begin:end]
        top, bottom, top_6, bottom_6 = space[0, :rows], space[1, :rows], space[2, :rows], space[3, :rows]
        _put_extremes_of_6(high, low, top_6, bottom_6)
        highest(top_6, 6, 10, top)
        lowest(bottom_6, 6, 10, bottom)
        if skip < _WR_LOOKBACK:
            begin_extremes(high, 1, 10, choices.windows, top)
            begin_extremes(low, -1, 10, choices.windows, bottom)
            begin_extremes(high, 1, 6, choices.windows, top_6)
            begin_extremes(low, -1, 6, choices.windows, bottom_6)
        close = bars.close[begin + skip : end]
        until = place + rows - skip
        _put_williams(top[skip:], bottom[skip:], close, choices.flat_range, out[0, place:until])
        _put_williams(top_6[skip:], bottom_6[skip:], close, choices.flat_range, out[1, place:until])
