"""Made-up bars of some stocks: random walks in ticks, with flat stretches, limit days and ex-dates."""

import numpy as np

from stock_assets.indicators.panel import Array, Bars, Segments


def made_up_bars(lengths: list[int], seed: int) -> Bars:
    """Return the bars of stocks with these numbers of rows, side by side."""
    random = np.random.default_rng(seed)
    return Bars(*(np.concatenate(field) for field in zip(*(_stock(rows, random) for rows in lengths), strict=True)))


def _stock(rows: int, random: np.random.Generator) -> Bars:
    returns = random.normal(0, 0.02, rows)
    # A limit day now and then, and stretches in which nothing moves, some of them at the very beginning.
    returns[random.random(rows) < 0.02] = 0.1
    returns[random.random(rows) < 0.02] = -0.1
    is_flat = np.zeros(rows, dtype=bool)
    for begin in random.integers(-10, max(rows, 1), rows // 150 + 1):
        is_flat[max(begin, 0) : begin + int(random.integers(1, 60))] = True
    returns[is_flat] = 0.0
    close = np.maximum(np.round(1000 * np.exp(np.cumsum(returns))), 1.0)
    wide = np.where(is_flat, 0, random.integers(0, 30, rows))
    open_ = np.maximum(close + np.where(is_flat, 0, random.integers(-20, 20, rows)), 1)
    high, low = np.maximum(close, open_) + wide, np.maximum(np.minimum(close, open_) - wide, 1)
    factor = np.exp(np.cumsum(np.where(random.random(rows) < 0.01, random.random(rows) / 20, 0.0)))
    volume = random.integers(0, 10_000_000, rows).astype(np.float64)
    direction = np.sign(np.diff(close, prepend=close[0]))
    open_, high, low, close = (price / 100 * factor for price in (open_, high, low, close))
    return Bars(open_, high, low, close, volume, close * volume, direction)


def whole(lengths: list[int]) -> Segments:
    """Return the segments that compute every row of series of these lengths."""
    end = np.cumsum(np.array(lengths, dtype=np.int64))
    begin = end - np.array(lengths, dtype=np.int64)
    return Segments(begin, begin.copy(), end, begin.copy(), np.arange(len(lengths)), np.ones(len(lengths), dtype=bool))


def same_bits(one: Array, other: Array) -> bool:
    """Return whether both hold the same bits, whatever the layout; any NaN is as good as any other."""
    return bool(np.array_equal(one, other, equal_nan=True)) and bool(np.array_equal(np.signbit(one), np.signbit(other)))
