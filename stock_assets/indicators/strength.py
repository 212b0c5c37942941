"""The relative strength index of the close."""

import numpy as np

from stock_assets.indicators.compiled import compiled, compiled_or, compiled_part
from stock_assets.indicators.conventions import Choices
from stock_assets.indicators.panel import Array, Bars, Segments
from stock_assets.indicators.recursions import MEAN, begun_by_mean, put_asked, series_rows, space_for_unasked

_LENGTHS = (6, 12, 24)
_W6, _W12, _W24 = (1 / length for length in _LENGTHS)


@compiled_part
def _means(close: Array, begun: int, before: Array, slot: int, out: Array, place: int) -> None:  # noqa: PLR0913
    """Put the mean gains and moves from row `begun` on into `out`, taking up those of the row before."""
    gain_6, gain_12, gain_24 = before[3, slot], before[4, slot], before[5, slot]
    move_6, move_12, move_24 = before[6, slot], before[7, slot], before[8, slot]
    last = close[begun - 1]
    for row in range(begun, len(close)):
        price, target = close[row], place + row
        change = price - last
        last = price
        gain, move = max(change, 0.0), abs(change)
        gain_6 = _W6 * gain + (1 - _W6) * gain_6
        gain_12 = _W12 * gain + (1 - _W12) * gain_12
        gain_24 = _W24 * gain + (1 - _W24) * gain_24
        move_6 = _W6 * move + (1 - _W6) * move_6
        move_12 = _W12 * move + (1 - _W12) * move_12
        move_24 = _W24 * move + (1 - _W24) * move_24
        out[3, target] = gain_6
        out[4, target] = gain_12
        out[5, target] = gain_24
        out[6, target] = move_6
        out[7, target] = move_12
        out[8, target] = move_24


def _indices(gains: Array, moves: Array, result: Array) -> None:
    result[:] = np.where(moves > 0, gains / moves * 100, np.nan)


@compiled_or(_indices)
def _put_indices(gains: Array, moves: Array, result: Array) -> None:
    """Put the indices into `result`; no value as long as the price has not moved at all."""
    for row in range(len(result)):
        index = gains[row] / moves[row] * 100
        result[row] = index if moves[row] > 0 else np.nan


@compiled_part
def _begin_by_means(close: Array, out: Array, place: int) -> None:
    gains, moves = np.zeros(len(close)), np.zeros(len(close))
    for row in range(1, len(close)):
        change = close[row] - close[row - 1]
        gains[row], moves[row] = max(change, 0.0), abs(change)
    for number, length in enumerate(_LENGTHS):
        begun_by_mean(gains, 1, length, 1 / length, out[3 + number, place : place + len(close)])
        begun_by_mean(moves, 1, length, 1 / length, out[6 + number, place : place + len(close)])


@compiled
def rsi(bars: Bars, segments: Segments, choices: Choices, before: Array, out: Array) -> None:
    """Put RSI 6, 12 and 24 and the means behind them into the rows of `out`."""
    unasked = space_for_unasked(segments, 9)
    for stock in range(len(segments.begin)):
        begin, end, skip = series_rows(segments, stock, 1)
        close, place = bars.close[begin:end], segments.place[stock]
        target, offset, until = out, place, place + len(close)
        if not segments.is_new[stock]:
            _means(close, 1, before, segments.slot[stock], out, place - 1)
            until -= 1
        else:
            if skip:
                target, offset, until = unasked, 0, len(close)
            if choices.seed == MEAN:
                _begin_by_means(close, target, offset)
            else:
                target[3:, offset] = np.nan
                if len(close) > 1:
                    change = close[1] - close[0]
                    target[3:6, offset + 1] = max(change, 0.0)
                    target[6:, offset + 1] = abs(change)
                    _means(close, 2, target, offset + 1, target, offset)
        for column in range(3):
            _put_indices(
                target[3 + column, offset:until], target[6 + column, offset:until], target[column, offset:until]
            )
        if skip and segments.is_new[stock]:
            put_asked(unasked, skip, len(close), out, place)
