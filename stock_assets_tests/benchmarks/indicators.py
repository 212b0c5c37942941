"""Indicators of the whole market in memory: ours, TA-Lib stock by stock and pandas groupby, in one run, beside the memory's own speed.

5,400 stocks of 30 to 8,439 bars, 15.1 million rows; the 23 columns that all three can compute. Whatever can be written into
given memory is, and that memory was touched before; the engines take turns, and the best of several rounds counts for all.
"""

import resource
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter, process_time
from typing import Any, NamedTuple

import click
import numpy as np
import pandas as pd
import talib

from stock_assets.indicators.catalog import FAMILIES, families_of
from stock_assets.indicators.compute import column_names, compute
from stock_assets.indicators.panel import LOOKBACK, Array, Bars, Segments

_TALIB: Any = talib
_PANDAS: Any = pd
_COMMON = (
    *(f"ma_{length}" for length in (5, 10, 20, 60, 120, 250)),
    *("ema_12", "ema_26", "dif", "dea", "macd", "kdj_k", "kdj_d", "kdj_j", "rsi_6", "rsi_12", "rsi_24"),
    *("boll_upper", "boll_mid", "boll_lower", "atr_14", "cci_14", "obv"),
)
_IN = 4  # high, low, close, volume: what the columns are computed of
_LONGEST, _SHORTEST, _STOCKS = 8_439, 30, 5_400
_BATCH = 1 << 20


def market(scale: float) -> tuple[Bars, list[int]]:
    """Return made-up bars of the market: random walks in ticks with an ex-date about once a year, and each stock's rows."""
    random = np.random.default_rng(1)
    stocks = max(2, round(_STOCKS * scale))
    # Most stocks are young, and some have been there since 1990: 2,800 rows on average.
    lengths = (_SHORTEST + (_LONGEST - _SHORTEST) * random.beta(1.0, 2.04, stocks)).astype(np.int64)
    rows = int(lengths.sum())
    fields = [np.empty(rows) for _ in Bars._fields]
    begin = 0
    for length in lengths.tolist():
        bars = _stock(length, random)
        for field, values in zip(fields, bars, strict=True):
            field[begin : begin + length] = values
        begin += length
    return Bars(*fields), lengths.tolist()


def _stock(rows: int, random: np.random.Generator) -> Bars:
    returns = np.clip(random.normal(0, 0.025, rows), -0.1, 0.1)
    close = np.maximum(np.round(1500 * np.exp(np.cumsum(returns) - 0.0003 * np.arange(rows))), 100)
    open_ = np.maximum(close + random.integers(-20, 21, rows), 100)
    high, low = (
        np.maximum(open_, close) + random.integers(0, 20, rows),
        np.minimum(open_, close) - random.integers(0, 20, rows),
    )
    factor = np.exp(np.cumsum(np.where(random.random(rows) < 1 / 240, 0.02, 0.0))) / 100
    volume = random.integers(10_000, 10_000_000, rows).astype(np.float64)
    direction = np.sign(np.diff(close, prepend=close[0]))
    return Bars(open_ * factor, high * factor, low * factor, close * factor, volume, close / 100 * volume, direction)


def every_row(lengths: list[int]) -> Segments:
    """Return the segments that compute every row."""
    end = np.cumsum(np.array(lengths, dtype=np.int64))
    begin = end - np.array(lengths, dtype=np.int64)
    return Segments(begin, begin.copy(), end, begin.copy(), np.arange(len(lengths)), np.ones(len(lengths), dtype=bool))


def by_talib(bars: Bars, lengths: list[int], out: Array) -> None:
    """Put the columns into `out`, a stock at a time."""
    begin = 0
    for length in lengths:
        here = slice(begin, begin + length)
        high, low, close, volume = bars.high[here], bars.low[here], bars.close[here], bars.volume[here]
        begin += length
        for row, window in enumerate((5, 10, 20, 60, 120, 250)):
            out[row, here] = _TALIB.SMA(close, window)
        out[6, here], out[7, here] = _TALIB.EMA(close, 12), _TALIB.EMA(close, 26)
        out[8, here], out[9, here], out[10, here] = _TALIB.MACD(close, 12, 26, 9)
        # EMA of 5 rows is SMA(X,3,1) of 通达信.
        k, d = _TALIB.STOCH(high, low, close, 9, 5, 1, 5, 1)
        out[11, here], out[12, here], out[13, here] = k, d, 3 * k - 2 * d
        for row, window in enumerate((6, 12, 24), 14):
            out[row, here] = _TALIB.RSI(close, window)
        out[17, here], out[18, here], out[19, here] = _TALIB.BBANDS(close, 20, 2, 2)
        out[20, here] = _TALIB.ATR(high, low, close, 14)
        out[21, here] = _TALIB.CCI(high, low, close, 14)
        out[22, here] = _TALIB.OBV(close, volume)


def by_pandas(bars: Bars, lengths: list[int], out: Array) -> None:
    """Put the columns into `out` by groupby over the stocks."""
    code = np.repeat(np.arange(len(lengths)), lengths)
    frame = _PANDAS.DataFrame(
        {"code": code, "high": bars.high, "low": bars.low, "close": bars.close, "volume": bars.volume}
    )

    def grouped(values: Any) -> Any:  # noqa: ANN401  pandas
        return values.groupby(code, sort=False)

    def flat(values: Any) -> Any:  # noqa: ANN401  pandas
        return values.droplevel(0)

    close, rolling = grouped(frame["close"]), {}
    for row, window in enumerate((5, 10, 20, 60, 120, 250)):
        rolling[window] = flat(close.rolling(window).mean())
        out[row] = rolling[window]
    fast, slow = (flat(close.ewm(span=span, adjust=False).mean()) for span in (12, 26))
    dif = fast - slow
    dea = flat(grouped(dif).ewm(span=9, adjust=False).mean())
    out[6], out[7], out[8], out[9], out[10] = fast, slow, dif, dea, 2 * (dif - dea)
    top, bottom = flat(grouped(frame["high"]).rolling(9).max()), flat(grouped(frame["low"]).rolling(9).min())
    k = flat(grouped((frame["close"] - bottom) / (top - bottom) * 100).ewm(alpha=1 / 3, adjust=False).mean())
    d = flat(grouped(k).ewm(alpha=1 / 3, adjust=False).mean())
    out[11], out[12], out[13] = k, d, 3 * k - 2 * d
    change = close.diff()
    for row, window in enumerate((6, 12, 24), 14):
        gain, move = (
            flat(grouped(part).ewm(alpha=1 / window, adjust=False).mean())
            for part in (change.clip(lower=0), change.abs())
        )
        out[row] = gain / move * 100
    width = 2 * flat(close.rolling(20).std(ddof=0))
    out[17], out[18], out[19] = rolling[20] + width, rolling[20], rolling[20] - width
    last = close.shift()
    ranges = _PANDAS.concat(
        [frame["high"] - frame["low"], (last - frame["high"]).abs(), (last - frame["low"]).abs()], axis=1
    ).max(axis=1)
    out[20] = flat(grouped(ranges).rolling(14).mean())
    typical = (frame["high"] + frame["low"] + frame["close"]) / 3
    mean = flat(grouped(typical).rolling(14).mean())
    # Its rolling windows have no mean deviation; this is the cheapest way to one.
    away = sum((grouped(typical).shift(back) - mean).abs() for back in range(14)) / 14
    out[21] = (typical - mean) / (0.015 * away)
    out[22] = grouped(np.sign(change) * frame["volume"]).cumsum()


def copy_rate(source: Array, target: Array, threads: int) -> float:
    """Return bytes a second, read and written, of copying `source` to `target`."""
    parts = [slice(begin, begin + _BATCH) for begin in range(0, len(source), _BATCH)]

    def copy(part: slice) -> None:
        np.copyto(target[part], source[part])

    with ThreadPoolExecutor(threads) as pool:
        began = perf_counter()
        list(pool.map(copy, parts))
        return 2 * source.nbytes / (perf_counter() - began)


class Taken(NamedTuple):
    """Seconds by the clock, and of the processors."""

    clock: float
    cpu: float

    def scaled(self, factor: float) -> "Taken":
        """Return what `factor` times the work would have taken."""
        return Taken(self.clock * factor, self.cpu * factor)


def _taken(work: Callable[[], object]) -> Taken:
    began, cpu = perf_counter(), process_time()
    work()
    return Taken(perf_counter() - began, process_time() - cpu)


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


@click.command()
@click.option("--scale", default=1.0, show_default=True, help="share of the market's 5,400 stocks")
@click.option("--rounds", default=3, show_default=True, help="measurements of each engine, in turn; the best counts")
@click.option("--threads", default=2, show_default=True, help="threads of ours, and of the copy")
@click.option("--pandas-stocks", default=1350, show_default=True, help="stocks that pandas is given; scaled by rows")
def indicators(scale: float, rounds: int, threads: int, pandas_stocks: int) -> None:
    """Print seconds and ratios of the 23 common columns, then all families over the market and over one night."""
    bars, lengths = market(scale)
    _common_columns(bars, lengths, rounds, threads, pandas_stocks)
    _whole_catalogue(bars, every_row(lengths), rounds, threads)
    _one_night(rounds, threads)


def _common_columns(bars: Bars, lengths: list[int], rounds: int, threads: int, pandas_stocks: int) -> None:
    rows, segments, families = sum(lengths), every_row(lengths), families_of(_COMMON)
    names, sample = column_names(families), lengths[:pandas_stocks]
    few = Bars(*(field[: sum(sample)].copy() for field in bars))
    # Ones, so that all memory has been touched: zeros would be handed out when they are written to.
    out, few_out = np.ones((len(names), rows)), np.ones((len(_COMMON), sum(sample)))
    compute(few, every_row(sample), FAMILIES, threads=1)  # compiled, or read from disk
    before = _peak_mib()
    compute(bars, segments, families, out=out, threads=threads)
    extra = _peak_mib() - before

    def our_work() -> object:
        return compute(bars, segments, families, out=out, threads=threads)

    rates: list[float] = []
    ours: list[Taken] = []
    theirs: list[Taken] = []
    pandas: list[Taken] = []
    for _ in range(rounds):
        rates.append(copy_rate(out[0], out[1], threads))
        ours.append(_taken(our_work))
        theirs.append(_taken(lambda: by_talib(bars, lengths, out)))
        pandas.append(_taken(lambda: by_pandas(few, sample, few_out)).scaled(rows / sum(sample)))
    limit = rows * (_IN + len(_COMMON)) * 8 / max(rates)
    print(f"{rows:,} rows, {len(lengths):,} stocks, {threads} threads; copying: {max(rates) / 1e9:.1f} GB/s")
    print(f"ours writes {len(names)} columns: the {len(_COMMON)}, and what their families have besides")
    print("| engine | s | CPU s | times ours | times the limit |")
    print("|---|---|---|---|---|")
    best = min(taken.clock for taken in ours)
    for name, taken in (
        ("ours", ours),
        ("TA-Lib, stock by stock", theirs),
        (f"pandas groupby, {len(sample):,} stocks, scaled by rows", pandas),
    ):
        clock, cpu = min(each.clock for each in taken), min(each.cpu for each in taken)
        print(f"| {name} | {clock:.3f} | {cpu:.2f} | {clock / best:.1f} | {clock / limit:.1f} |")
    print(f"| memory | {limit:.3f} | | {limit / best:.1f} | 1.0 |")
    print(f"memory beyond bars and results: {extra:.0f} MiB")


def _whole_catalogue(bars: Bars, segments: Segments, rounds: int, threads: int) -> None:
    """Print the seconds of all families, the result's memory touched before."""
    out = np.ones((len(column_names(FAMILIES)), len(bars.close)))
    spent: dict[str, float] = {}
    best = min(
        _taken(lambda: compute(bars, segments, FAMILIES, out=out, threads=threads, seconds=spent)).clock
        for _ in range(rounds)
    )
    dearest = sorted(spent, key=lambda name: -spent[name])[:4]
    print(f"all {len(FAMILIES)} families, {len(out)} columns: {best:.3f} s; the dearest: {', '.join(dearest)}")


def _one_night(rounds: int, threads: int) -> None:
    """Print the milliseconds of one new row of every stock, with the rows before it at hand, all families."""
    rows = LOOKBACK + 1
    random = np.random.default_rng(2)
    stocks = [_stock(rows, random) for _ in range(_STOCKS)]
    bars = Bars(*(np.concatenate(field) for field in zip(*stocks, strict=True)))
    number = np.arange(_STOCKS, dtype=np.int64)
    earlier = Segments(
        number * rows, number * rows, number * rows + LOOKBACK, number * LOOKBACK, number, np.ones(_STOCKS, dtype=bool)
    )
    before = np.ascontiguousarray(compute(bars, earlier, FAMILIES, threads=threads)[:, LOOKBACK - 1 :: LOOKBACK])
    begin = number * rows
    tonight = Segments(begin, begin + LOOKBACK, begin + rows, number, number, np.zeros(_STOCKS, dtype=bool))
    out = np.ones((len(before), _STOCKS))
    taken = [
        _taken(lambda: compute(bars, tonight, FAMILIES, before=before, out=out, threads=threads))
        for _ in range(20 * rounds)
    ]
    clock, cpu = (min(each) * 1000 for each in zip(*taken, strict=True))
    figures = f"{clock:.1f} ms, {np.median([each.clock for each in taken]) * 1000:.1f} in the middle, CPU {cpu:.1f} ms"
    print(f"one night, {_STOCKS:,} stocks, all families: {figures}")


if __name__ == "__main__":
    indicators()
