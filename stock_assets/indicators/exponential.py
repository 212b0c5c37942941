"""Exponential averages of the close: EMA, MACD and TRIX."""

import numpy as np

from stock_assets.indicators.compiled import compiled, compiled_part
from stock_assets.indicators.conventions import Choices
from stock_assets.indicators.panel import Array, Bars, Segments
from stock_assets.indicators.recursions import MEAN, begun_by_mean, put_asked, series_rows, space_for_unasked

_LENGTHS = (5, 10, 20, 30, 60, 120, 250)
_W5, _W10, _W20, _W30, _W60, _W120, _W250 = (2 / (length + 1) for length in _LENGTHS)
_W9, _W12, _W26 = 2 / 10, 2 / 13, 2 / 27


@compiled_part
def _averages(close: Array, begun: int, before: Array, slot: int, out: Array, place: int) -> None:  # noqa: PLR0913
    """Put the averages from row `begun` on into `out`, taking up those of the row before."""
    e5, e10, e20, e30 = before[0, slot], before[1, slot], before[2, slot], before[3, slot]
    e60, e120, e250 = before[4, slot], before[5, slot], before[6, slot]
    for row in range(begun, len(close)):
        price, target = close[row], place + row
        e5 = _W5 * price + (1 - _W5) * e5
        e10 = _W10 * price + (1 - _W10) * e10
        e20 = _W20 * price + (1 - _W20) * e20
        e30 = _W30 * price + (1 - _W30) * e30
        e60 = _W60 * price + (1 - _W60) * e60
        e120 = _W120 * price + (1 - _W120) * e120
        e250 = _W250 * price + (1 - _W250) * e250
        out[0, target] = e5
        out[1, target] = e10
        out[2, target] = e20
        out[3, target] = e30
        out[4, target] = e60
        out[5, target] = e120
        out[6, target] = e250


@compiled
def exponential_averages(bars: Bars, segments: Segments, choices: Choices, before: Array, out: Array) -> None:
    """Put EMA 5, 10, 20, 30, 60, 120 and 250 into the rows of `out`."""
    unasked = space_for_unasked(segments, len(_LENGTHS))
    for stock in range(len(segments.begin)):
        begin, end, skip = series_rows(segments, stock, 0)
        close, place = bars.close[begin:end], segments.place[stock]
        if not segments.is_new[stock]:
            _averages(close, 0, before, segments.slot[stock], out, place)
            continue
        target, offset = (unasked, 0) if skip else (out, place)
        if choices.seed == MEAN:
            for column, length in enumerate(_LENGTHS):
                begun_by_mean(close, 0, length, 2 / (length + 1), target[column, offset : offset + len(close)])
        else:
            target[:, offset] = close[0]
            _averages(close, 1, target, offset, target, offset)
        if skip:
            put_asked(unasked, skip, len(close), out, place)


@compiled_part
def _macd(close: Array, begun: int, before: Array, slot: int, out: Array, place: int) -> None:  # noqa: PLR0913
    fast, slow, signal = before[0, slot], before[1, slot], before[3, slot]
    for row in range(begun, len(close)):
        price, target = close[row], place + row
        fast = _W12 * price + (1 - _W12) * fast
        slow = _W26 * price + (1 - _W26) * slow
        difference = fast - slow
        signal = _W9 * difference + (1 - _W9) * signal
        out[0, target] = fast
        out[1, target] = slow
        out[2, target] = difference
        out[3, target] = signal
        out[4, target] = 2 * (difference - signal)


@compiled
def macd(bars: Bars, segments: Segments, choices: Choices, before: Array, out: Array) -> None:
    """Put EMA 12, EMA 26, DIF, DEA and the bar into the rows of `out`."""
    unasked = space_for_unasked(segments, 5)
    for stock in range(len(segments.begin)):
        begin, end, skip = series_rows(segments, stock, 0)
        close, place = bars.close[begin:end], segments.place[stock]
        if not segments.is_new[stock]:
            _macd(close, 0, before, segments.slot[stock], out, place)
            continue
        target, offset = (unasked, 0) if skip else (out, place)
        if choices.seed == MEAN:
            results = target[:, offset : offset + len(close)]
            begun_by_mean(close, 0, 12, _W12, results[0])
            begun_by_mean(close, 0, 26, _W26, results[1])
            for row in range(len(close)):
                results[2, row] = results[0, row] - results[1, row]
            begun_by_mean(results[2], 25, 9, _W9, results[3])
            for row in range(len(close)):
                results[4, row] = 2 * (results[2, row] - results[3, row])
        else:
            target[:2, offset] = close[0]
            target[2:, offset] = 0.0
            _macd(close, 1, target, offset, target, offset)
        if skip:
            put_asked(unasked, skip, len(close), out, place)


@compiled_part
def _trix(close: Array, begun: int, before: Array, slot: int, out: Array, place: int) -> None:  # noqa: PLR0913
    once, twice, thrice = before[1, slot], before[2, slot], before[3, slot]
    for row in range(begun, len(close)):
        price, target, last = close[row], place + row, thrice
        once = _W12 * price + (1 - _W12) * once
        twice = _W12 * once + (1 - _W12) * twice
        thrice = _W12 * twice + (1 - _W12) * thrice
        out[0, target] = (thrice - last) / last * 100
        out[1, target] = once
        out[2, target] = twice
        out[3, target] = thrice


@compiled
def trix(bars: Bars, segments: Segments, choices: Choices, before: Array, out: Array) -> None:
    """Put TRIX and the three averages behind it into the rows of `out`."""
    unasked = space_for_unasked(segments, 4)
    for stock in range(len(segments.begin)):
        begin, end, skip = series_rows(segments, stock, 0)
        close, place = bars.close[begin:end], segments.place[stock]
        if not segments.is_new[stock]:
            _trix(close, 0, before, segments.slot[stock], out, place)
            continue
        target, offset = (unasked, 0) if skip else (out, place)
        if choices.seed == MEAN:
            results = target[:, offset : offset + len(close)]
            begun_by_mean(close, 0, 12, _W12, results[1])
            begun_by_mean(results[1], 11, 12, _W12, results[2])
            begun_by_mean(results[2], 22, 12, _W12, results[3])
            results[0, 0] = np.nan
            for row in range(1, len(close)):
                results[0, row] = (results[3, row] - results[3, row - 1]) / results[3, row - 1] * 100
        else:
            target[0, offset] = np.nan
            target[1:, offset] = close[0]
            _trix(close, 1, target, offset, target, offset)
        if skip:
            put_asked(unasked, skip, len(close), out, place)
