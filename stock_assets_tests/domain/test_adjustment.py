"""Adjusted prices on read."""

from datetime import date
from itertools import pairwise

import polars as pl
import pytest

from stock_assets.domain.adjustment import adjust_bars

DAYS = [date(2026, 1, day) for day in (5, 6, 7, 8)]
BARS = pl.DataFrame(
    {
        "ts_code": ["600000.SH"] * 4 + ["600001.SH"] * 4,
        "trade_date": DAYS * 2,
        "close": [10.0, 10.0, 5.0, 5.5, 1.0, 2.0, 3.0, 4.0],
        "pre_close": [10.0, 10.0, 5.0, 5.0, 1.0, 1.0, 2.0, 3.0],
        "volume": [1, 2, 3, 4] * 2,
    }
)
FACTORS = pl.DataFrame(
    {
        "ts_code": ["600000.SH", "600000.SH"],
        "ex_date": [date(2020, 1, 2), date(2026, 1, 7)],
        "back_adjust_factor": [1.5, 3.0],
    }
)


def close(adjust: str, anchor: date | None = None) -> list[float]:
    """Return the first stock's adjusted closes."""
    adjusted = adjust_bars(BARS, FACTORS, adjust, anchor=anchor)  # pyright: ignore[reportArgumentType]
    return adjusted.filter(pl.col("ts_code") == "600000.SH")["close"].to_list()


def test_back_adjusted_prices_use_the_factor_in_force_on_their_day() -> None:
    assert close("hfq") == [15.0, 15.0, 15.0, 16.5]


def test_forward_adjusted_prices_are_raw_on_the_anchor() -> None:
    assert close("qfq") == [5.0, 5.0, 5.0, 5.5]
    assert close("qfq", date(2026, 1, 6)) == [10.0, 10.0, 10.0, 11.0]


def test_returns_are_the_same_however_prices_are_adjusted() -> None:
    back, forward = close("hfq"), close("qfq")
    assert [b / a for a, b in pairwise(back)] == pytest.approx([b / a for a, b in pairwise(forward)])


def test_a_stock_without_factors_and_raw_prices_stay_as_they_are() -> None:
    other = adjust_bars(BARS, FACTORS, "hfq").filter(pl.col("ts_code") == "600001.SH")
    assert other["close"].to_list() == [1.0, 2.0, 3.0, 4.0]
    assert adjust_bars(BARS, FACTORS, "none")["close"].to_list() == BARS["close"].to_list()
    assert other["volume"].to_list() == [1, 2, 3, 4]
