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
        bottoms[row] = min(low[row + 5], low[row + 4], low[row + 3], low[row + 2], low[row + 1], low[row])


def _stances_of_9(high: Array, low: Array, close: Array, flat: float, result: Array) -> None:
    if len(high) > _KDJ_LOOKBACK:
        top, bottom = np.empty_like(high), np.empty_like(low)
        _put_extremes_of_6(high, low, top, bottom)
        top, bottom = np.maximum(top[8:], top[5:-3]), np.minimum(bottom[8:], bottom[5:-3])
        _stances(top, bottom, close[8:], bottom, flat, result[8:])


@compiled_or(_stances_of_9)
def _put_stances_of_9(high: Array, low: Array, close: Array, flat: float, result: Array) -> None:
    """Put how far the close is above the lowest low, in percent of the range of 9 rows; `flat` where there is no range."""
    late, price = result[_KDJ_LOOKBACK:], close[_KDJ_LOOKBACK:]
    for row in range(len(late)):
        top, bottom = high[row], low[row]
        for later in range(1, 9):
            top, bottom = max(top, high[row + later]), min(bottom, low[row + later])
        spread = top - bottom
        stance = (price[row] - bottom) / spread * 100
        late[row] = stance if spread > FLAT * top else flat


def _stances(top: Array, bottom: Array, price: Array, over: Array, flat: float, result: Array) -> None:  # noqa: PLR0913
    spread = top - bottom
    stance = np.where(spread > FLAT * top, (price - over) / spread * 100, flat)
    result[:] = np.where(np.isnan(spread), np.nan, stance)


@compiled_or(_stances)
def _put_stances(top: Array, bottom: Array, price: Array, over: Array, flat: float, result: Array) -> None:  # noqa: PLR0913
    """Put how far `price` is above `over`, in percent of the range from `bottom` to `top`; `flat` where there is no range."""
    for row in range(len(result)):
        spread = top[row] - bottom[row]
        stance = (price[row] - over[row]) / spread * 100
        stance = stance if spread > FLAT * top[row] else flat
        # NaN, the only number that differs from itself: there is no window yet.
        result[row] = stance if spread == spread else np.nan  # noqa: PLR0124


@compiled_part
def _flat_number(flat_range: int) -> float:
    return 50.0 if flat_range == _FIFTY else 0.0 if flat_range == _ZERO else np.nan


@compiled_part
def _smooth(stances: Array, begun: int, k: float, d: float, out: Array, place: int) -> None:  # noqa: PLR0913
    """Put K, D and J into `out`, from row `begun` on; a row without a range leaves K and D as they were."""
    # NaN, the only number that differs from itself, is no K yet, or no range.
    while k != k and begun < len(stances):  # noqa: PLR0124
        k = d = stances[begun]
        out[0, place + begun] = k
        out[1, place + begun] = d
        out[2, place + begun] = 3 * k - 2 * d
        begun += 1
    for row in range(begun, len(stances)):
        stance, target = stances[row], place + row
        if stance == stance:  # noqa: PLR0124
            k = _WEIGHT * stance + (1 - _WEIGHT) * k
            d = _WEIGHT * k + (1 - _WEIGHT) * d
        out[0, target] = k
        out[1, target] = d
        out[2, target] = 3 * k - 2 * d


@compiled_part
def _begin_stances(high: Array, low: Array, close: Array, windows: int, flat: float, result: Array) -> None:  # noqa: PLR0913
    """Fill the rows of a series before its first window of 9 rows."""
    top, bottom = high[0], low[0]
    for row in range(min(_KDJ_LOOKBACK, len(result))):
        top, bottom = max(top, high[row]), min(bottom, low[row])
        result[row] = np.nan
        if windows == PARTIAL:
            spread = top - bottom
            result[row] = (close[row] - bottom) / spread * 100 if spread > FLAT * top else flat


@compiled
def kdj(bars: Bars, segments: Segments, choices: Choices, before: Array, out: Array) -> None:
    """Put K, D and J into the rows of `out`."""
    unasked = space_for_unasked(segments, 3)
    space = np.empty(longest_series(segments, _KDJ_LOOKBACK))
    flat = _flat_number(choices.flat_range)
    for stock in range(len(segments.begin)):
        begin, end, skip = series_rows(segments, stock, _KDJ_LOOKBACK)
        place, rows = segments.place[stock], end - begin
        high, low, close = bars.high[begin:end], bars.low[begin:end], bars.close[begin:end]
        stances = space[:rows]
        _put_stances_of_9(high, low, close, flat, stances)
        if not segments.is_new[stock]:
            slot = segments.slot[stock]
            _smooth(stances, skip, before[0, slot], before[1, slot], out, place - skip)
            continue
        _begin_stances(high, low, close, choices.windows, flat, stances)
        target, offset = (unasked, 0) if skip else (out, place)
        lead = 0 if choices.windows == PARTIAL else min(_KDJ_LOOKBACK, rows)
        target[:, offset : offset + lead] = np.nan
        seed = 50.0 if choices.kdj_seed == _FIFTY else np.nan
        _smooth(stances, lead, seed, seed, target, offset)
        if skip:
            put_asked(unasked, skip, rows, out, place)


@compiled
def williams(bars: Bars, segments: Segments, choices: Choices, _before: Array, out: Array) -> None:
    """Put WR 10 and 6 into the rows of `out`."""
    space = space_for(segments, _WR_LOOKBACK, 4)
    flat = _flat_number(choices.flat_range)
    for stock in range(len(segments.begin)):
        begin, end, skip, place = window_rows(segments, stock, _WR_LOOKBACK)
        rows, until = end - begin, place + end - begin - skip
        high, low, close = bars.high[begin:end], bars.low[begin:end], bars.close[begin:end]
        _put_extremes_of_6(high, low, space[2, :rows], space[3, :rows])
        highest(space[2, :rows], 6, 10, space[0, :rows])
        lowest(space[3, :rows], 6, 10, space[1, :rows])
        for column, width in enumerate((10, 6)):
            top, bottom = space[2 * column, :rows], space[2 * column + 1, :rows]
            if skip < _WR_LOOKBACK:
                begin_extremes(high, 1, width, choices.windows, top)
                begin_extremes(low, -1, width, choices.windows, bottom)
            late = top[skip:]
            _put_stances(late, bottom[skip:], late, close[skip:], flat, out[column, place:until])
