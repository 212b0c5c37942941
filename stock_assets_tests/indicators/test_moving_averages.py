from datetime import date, timedelta

import numpy as np
import polars as pl

from stock_assets.indicators.catalog import MA
from stock_assets.indicators.compute import compute
from stock_assets.indicators.frames import with_technicals
from stock_assets.indicators.panel import LOOKBACK, Bars, Segments


def _bars(close: np.ndarray) -> Bars:
    nothing = np.zeros_like(close)
    return Bars(close, close, close, close, nothing, nothing, nothing)


def _segment(begin: int, first: int, end: int, *, is_new: bool) -> Segments:
    here = np.zeros(1, dtype=np.int64)
    return Segments(here + begin, here + first, here + end, here, here, np.array([is_new]))


def test_a_mean_of_the_last_row_from_its_context_has_the_bits_of_the_whole_series() -> None:
    close = np.random.default_rng(1).normal(20, 1, 700)
    whole = compute(_bars(close), _segment(0, 0, 700, is_new=True), [MA], threads=1)
    for first in (600, 699):
        part = compute(_bars(close), _segment(first - LOOKBACK, first, 700, is_new=False), [MA], threads=1)
        assert part.tobytes() == np.ascontiguousarray(whole[:, first:]).tobytes()


def test_a_suspended_day_is_no_row_of_the_series() -> None:
    days = [date(2026, 1, 5) + timedelta(days=number) for number in range(7)]
    close = [10.0, 11.0, 12.0, 12.0, 13.0, 14.0, 15.0]
    frame = pl.DataFrame(
        {
            "ts_code": ["600000.SH"] * 7,
            "trade_date": days,
            **dict.fromkeys(("open", "high", "low", "close", "pre_close"), close),
            "volume": [100, 100, 100, 0, 100, 100, 100],
            "is_suspended": [False, False, False, True, False, False, False],
        }
    )
    assert with_technicals(frame, ["ma_5"])["ma_5"].to_list() == [None, None, None, None, None, 12.0, 13.0]
