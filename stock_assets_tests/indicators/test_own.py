import re
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from stock_assets.indicators.catalog import FAMILIES as OURS
from stock_assets.indicators.catalog import MA
from stock_assets.indicators.compute import compute
from stock_assets.indicators.conventions import DEFAULT
from stock_assets.indicators.family import Family
from stock_assets.indicators.frames import with_technicals
from stock_assets.indicators.own import windowed
from stock_assets.indicators.panel import LOOKBACK, Array
from stock_assets_tests.house.repository import ROOT
from stock_assets_tests.indicators.efficiency import FAMILIES, efficiency
from stock_assets_tests.indicators.made_up_series import made_up_bars, same_bits, whole
from stock_assets_tests.indicators.runs import run


def test_an_indicator_of_ones_own_stands_beside_ours_in_a_frame() -> None:
    close = [10.0, *(10.0 + (-1) ** number * 0.5 for number in range(9)), 12.0, 12.5]
    frame = pl.DataFrame(
        {
            "ts_code": ["600000.SH"] * 12,
            "trade_date": pl.date_range(pl.date(2026, 1, 5), pl.date(2026, 1, 16), eager=True),
            **dict.fromkeys(("open", "high", "low", "close", "pre_close"), close),
            "volume": [100] * 12,
            "is_suspended": [False] * 12,
        }
    )
    found = with_technicals(frame, ["efficiency_10", "ma_5"], families=(*OURS, *FAMILIES))
    # From 10 to 12 by one step of 0.5, eight of 1 and one of 1.5; then from 10.5 to 12.5.
    assert found["efficiency_10"].to_list() == [None] * 10 + [2 / 10, 2 / 10]
    assert found["ma_5"].null_count() == 4


def test_it_keeps_the_law_of_splits() -> None:
    """With a function whose sums NumPy orders as it likes."""

    def spread(close: Array, volume: Array) -> tuple[Array, Array]:
        return close.std(axis=1), np.average(close, axis=1, weights=volume + 1.0)

    family = Family(
        name="spread",
        zh="",
        en="",
        inputs=("close", "volume"),
        indicators=MA.indicators[:2],
        kernel=windowed(spread, rows=30, inputs=("close", "volume")),
        lookback=29,
        source="",
    )
    lengths = [700, 29, 30, 513]
    bars = made_up_bars(lengths, 3)
    expected = compute(bars, whole(lengths), [family], threads=1)
    known = np.full_like(expected, np.nan)
    for low, high in pairwise([0, 5, 260, 261, 262, 300, 1000]):
        known = run(bars, lengths, [(low, high)] * len(lengths), known, DEFAULT, [family])
    assert same_bits(known, expected)
    assert np.isnan(expected[0]).sum() == 29 + 29 + 29 + 29


def test_a_window_longer_than_what_a_run_has_at_hand_is_refused() -> None:
    with pytest.raises(ValueError, match="1 to 251 rows"):
        windowed(efficiency, rows=LOOKBACK + 2, inputs=("close",))


def test_the_example_in_the_docs_is_the_one_that_is_tested() -> None:
    page = (ROOT / "docs" / "indicators.md").read_text(encoding="utf-8")
    example = (ROOT / "stock_assets_tests" / "indicators" / "efficiency.py").read_text(encoding="utf-8")
    assert example in re.findall(r"```python\n(.*?)```", page, re.DOTALL)
