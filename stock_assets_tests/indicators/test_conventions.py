"""Each choice of `Conventions`, by numbers from elsewhere: worked by hand, or TA-Lib's (see `test_other_engines`)."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from stock_assets.indicators.catalog import FAMILIES
from stock_assets.indicators.compute import column_names, compute
from stock_assets.indicators.conventions import DEFAULT, Conventions
from stock_assets.indicators.frames import with_technicals
from stock_assets.indicators.panel import Array, Bars
from stock_assets_tests.indicators.made_up_series import whole


def indicators(
    close: list[float],
    conventions: Conventions = DEFAULT,
    *,
    high: list[float] | None = None,
    low: list[float] | None = None,
    direction: list[float] | None = None,
    volume: list[float] | None = None,
) -> dict[str, Array]:
    price = np.array(close)
    bars = Bars(
        price,
        price if high is None else np.array(high),
        price if low is None else np.array(low),
        price,
        np.zeros(len(price)) if volume is None else np.array(volume),
        price,
        np.zeros(len(price)) if direction is None else np.array(direction),
    )
    values = compute(bars, whole([len(close)]), FAMILIES, conventions=conventions, threads=1)
    return dict(zip(column_names(FAMILIES), values, strict=True))


def close_to(values: Array, expected: list[float]) -> bool:
    return bool(np.allclose(values, expected, rtol=1e-12, atol=1e-12, equal_nan=True))


NAN = float("nan")


def test_a_recursive_mean_begins_with_its_first_value_or_with_the_mean_of_its_first_ones() -> None:
    close = [10.0, 13.0, 10.0, 16.0, 11.0, 15.0]
    # A third of the close and two thirds of the day before: 10, 11, 10.667, 12.444, …
    assert close_to(indicators(close)["ema_5"][:4], [10, 11, 32 / 3, 112 / 9])
    # The mean of five is 12; then a third of 15 and two thirds of 12.
    assert close_to(indicators(close, Conventions(seed="mean"))["ema_5"], [NAN, NAN, NAN, NAN, 12, 13])


def test_k_and_d_begin_with_the_first_rsv_or_with_fifty() -> None:
    low, high = [10.0] * 10, [20.0] * 10
    close = [12.0] * 8 + [18.0, 15.0]  # RSV 80, then 50
    ours = indicators(close, high=high, low=low)
    assert close_to(ours["kdj_k"][7:], [NAN, 80, 70])
    assert close_to(ours["kdj_d"][7:], [NAN, 80, 230 / 3])
    assert close_to(ours["kdj_j"][7:], [NAN, 80, 210 - 460 / 3])
    textbook = indicators(close, Conventions(kdj_seed="fifty"), high=high, low=low)
    assert close_to(textbook["kdj_k"][7:], [NAN, 60, 170 / 3])
    assert close_to(textbook["kdj_d"][7:], [NAN, 160 / 3, 490 / 9])


@pytest.mark.parametrize(
    ("conventions", "k", "wr"),
    [
        (Conventions(), [80, 80], [NAN, NAN]),
        (Conventions(flat_range="fifty"), [70, 190 / 3], [50, 50]),
        (Conventions(flat_range="zero"), [160 / 3, 320 / 9], [0, 0]),
    ],
    ids=["keep", "fifty", "zero"],
)
def test_without_a_range_k_stays_or_rsv_is_a_chosen_number(
    conventions: Conventions, k: list[float], wr: list[float]
) -> None:
    # The only range is in the first row; in the tenth it has left the window of nine, in the eleventh that of ten.
    high, low, close = [20.0] + [18.0] * 10, [10.0] + [18.0] * 10, [18.0] * 11
    ours = indicators(close, conventions, high=high, low=low)
    assert close_to(ours["kdj_k"][8:], [80, *k])
    assert close_to(ours["wr_6"][[6, 10]], wr)
    assert close_to(ours["wr_10"][[9]], [20])
    assert close_to(ours["wr_10"][[10]], wr[:1])


def test_a_window_of_too_few_rows_has_no_value_or_one_of_what_there_is() -> None:
    close, high, low = [10.0, 12.0, 8.0, 10.0], [11.0, 13.0, 12.0, 11.0], [9.0, 10.0, 8.0, 9.0]
    direction, volume = [1.0, 1.0, -1.0, 0.0], [100.0, 200.0, 300.0, 400.0]
    columns = (
        "ma_5",
        "boll_upper",
        "bias_6",
        "atr_14",
        "cci_14",
        "wr_6",
        "kdj_k",
        "psy_12",
        "vr_26",
        "high_20",
        "low_250",
    )
    full = indicators(close, high=high, low=low, direction=direction, volume=volume)
    assert all(np.isnan(full[name]).all() for name in (*columns, "dmi_pdi", "dmi_adx", "volume_ma_5", "volume_ratio"))
    partial = indicators(close, Conventions(windows="partial"), high=high, low=low, direction=direction, volume=volume)
    assert close_to(partial["ma_5"], [10, 11, 10, 10])
    assert close_to(partial["ma_250"], [10, 11, 10, 10])
    # The squares of the distances from the mean are 0; 1, 1; 0, 4, 4; 0, 4, 4, 0.
    assert close_to(partial["boll_upper"], [10, 13, 10 + 2 * (8 / 3) ** 0.5, 10 + 2 * 2**0.5])
    assert close_to(partial["bias_6"], [0, 100 / 11, -20, 0])
    # True ranges from the second row on: 3, 4, 3.
    assert close_to(partial["atr_14"], [NAN, 3, 3.5, 10 / 3])
    # Typical prices 10, 35/3, 28/3, 10.
    assert close_to(partial["cci_14"][:2], [NAN, (35 / 3 - 65 / 6) / (0.015 * 5 / 6)])
    assert close_to(partial["wr_6"], [50, 25, 100, 60])
    assert close_to(
        partial["kdj_k"], [50, 2 / 3 * 50 + 25, 2 / 3 * (2 / 3 * 50 + 25), 4 / 9 * (2 / 3 * 50 + 25) + 40 / 3]
    )
    assert close_to(partial["psy_12"], [100, 100, 200 / 3, 50])
    assert close_to(partial["vr_26"], [NAN, NAN, 100, 100])
    assert close_to(partial["high_20"], [11, 13, 13, 13])
    assert close_to(partial["low_250"], [9, 9, 8, 8])
    # Upward 2, downward 2 of a range of 4, then neither: highs and lows fall back by as much as they had come.
    assert close_to(partial["dmi_pdi"], [NAN, 200 / 3, 200 / 7, 20])
    assert close_to(partial["dmi_mdi"], [NAN, 0, 200 / 7, 20])
    assert close_to(partial["dmi_adx"], [NAN, 100, 50, 100 / 3])
    assert close_to(partial["volume_ma_5"], [100, 150, 200, 250])
    assert close_to(partial["volume_ratio"], [NAN, 2, 2, 2])


def test_the_deviation_is_of_a_population_or_of_a_sample() -> None:
    close = [10.0, 12.0] * 10
    assert close_to(indicators(close)["boll_upper"][19:], [13])
    assert close_to(indicators(close, Conventions(deviation="sample"))["boll_upper"][19:], [11 + 2 * (20 / 19) ** 0.5])


def test_atr_is_a_simple_mean_or_wilders() -> None:
    high, low, close = [11.0] * 15 + [25.0], [9.0] * 15 + [9.0], [10.0] * 16
    # Fourteen ranges of 2, then one of 16.
    assert close_to(indicators(close, high=high, low=low)["atr_14"][14:], [2, 3])
    assert close_to(indicators(close, Conventions(atr_mean="wilder"), high=high, low=low)["atr_14"][:3], [NAN, 2, 2])
    seeded = indicators(close, Conventions(atr_mean="wilder", seed="mean"), high=high, low=low)["atr_14"]
    assert close_to(seeded[13:], [NAN, 2, 3])
    # A second range of 16: the simple mean counts it as much as the first, Wilder's less.
    high, low, close = [*high, 25.0], [*low, 9.0], [*close, 10.0]
    assert close_to(indicators(close, high=high, low=low)["atr_14"][16:], [4])
    assert close_to(indicators(close, Conventions(atr_mean="wilder"), high=high, low=low)["atr_14"][16:], [3 + 13 / 14])


def test_suspended_days_are_left_out_or_kept() -> None:
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
    kept = with_technicals(frame, ["ma_5", "bar_number"], conventions=Conventions(suspended="keep"))
    assert kept["ma_5"].to_list() == [None] * 4 + [11.6, 12.4, 13.2]
    dropped = with_technicals(frame, ["ma_5", "bar_number"])
    assert dropped["ma_5"].to_list() == [None] * 5 + [12.0, 13.0]
    assert dropped["bar_number"].to_list() == [1, 2, 3, None, 4, 5, 6]


FLAT_FROM_THE_BEGINNING = {
    # A price that has never moved, and volumes that neither rise nor fall: 0/0.
    "kdj_k", "kdj_d", "kdj_j", "rsi_6", "rsi_12", "rsi_24", "cci_14", "wr_10", "wr_6",
    "dmi_pdi", "dmi_mdi", "dmi_adx", "dmi_adxr",
}  # fmt: skip


@pytest.mark.parametrize("price", [10.0, 10.3, 0.07, 1234.567])
def test_a_price_that_never_moved_has_no_value_where_there_is_nothing_to_compute(price: float) -> None:
    rows = 260
    flat = indicators([price] * rows, volume=[100.0] * rows)
    assert {name for name, values in flat.items() if np.isnan(values[-1])} == FLAT_FROM_THE_BEGINNING
    assert close_to(flat["vr_26"][25:], [100] * (rows - 25))
    silent = indicators([price] * rows)
    assert {"vr_26", "volume_ratio"} <= {name for name, values in silent.items() if np.isnan(values[-1])}
    rising = indicators([price] * rows, volume=[100.0] * rows, direction=[1.0] * rows)
    assert np.isnan(rising["vr_26"]).all()


def test_a_flat_stretch_does_not_poison_the_rows_after_it() -> None:
    """As soon as its windows have passed the stretch, a column is as if the stretch had not been, and no row is empty."""
    random = np.random.default_rng(13)
    close = np.round(2000 * np.exp(np.cumsum(random.normal(0, 0.02, 500)))) / 100
    direction, volume = np.sign(np.diff(close, prepend=20.0)), random.integers(1, 10**6, 500).astype(np.float64)
    moving = Bars(close, close + 0.3, close - 0.2, close, volume, close, direction)
    flat = Bars(*(field.copy() for field in moving))
    for field in (flat.open, flat.high, flat.low, flat.close):
        field[100:160] = close[99]
    flat.volume[100:160] = flat.direction[100:160] = 0
    names = column_names(FAMILIES)
    before, after = (compute(bars, whole([500]), FAMILIES, threads=1) for bars in (moving, flat))
    values, undisturbed = (dict(zip(names, rows, strict=True)) for rows in (after, before))
    # DMI is the last to have a value again: after 14 rows, 6 and 6 more.
    gone = {name for name, row in values.items() if np.isnan(row[160 + 14 + 6 + 6 :]).any()}
    assert gone == {"ma_250", "high_250", "low_250"}
    assert all(np.isfinite(values[name][250:]).all() for name in gone)
    recursive = ("ema_", "dif", "dea", "macd", "kdj_", "rsi_", "trix_", "obv", "bar_number")
    for name in names:
        here, there = values[name][160 + 250 :], undisturbed[name][160 + 250 :]
        if name.startswith(recursive):
            assert np.isfinite(here).all(), name
        else:
            assert np.array_equal(here, there), name
    # What is left of it in recursive means fades.
    assert np.abs(values["kdj_k"][450:] - undisturbed["kdj_k"][450:]).max() < 1e-9
    assert np.abs(values["rsi_6"][450:] - undisturbed["rsi_6"][450:]).max() < 1e-9


def test_a_tie_of_upward_and_downward_movement_is_one_whatever_the_factor() -> None:
    """One tick up and one tick down, day after day: neither direction counts, on any level of adjusted prices."""
    ticks = np.arange(40)
    for factor in (1.0, 7.3201, 0.3313, 119.960):
        high, low = (1000 + ticks) / 100 * factor, (990 - ticks) / 100 * factor
        close = list(9.95 * factor * np.ones(40))
        found = indicators(close, high=high.tolist(), low=low.tolist())
        assert close_to(found["dmi_pdi"][14:], [0] * 26)
        assert close_to(found["dmi_mdi"][14:], [0] * 26)


def test_signs_come_from_the_exchanges_previous_close_and_never_from_adjusted_prices() -> None:
    """On an ex-date the close stands at the reference price: no rise, though the adjusted price moved by rounding."""
    frame = pl.DataFrame(
        {
            "ts_code": ["600000.SH"] * 4,
            "trade_date": [date(2026, 1, 5) + timedelta(days=number) for number in range(4)],
            **{name: [10.0, 10.5, 9.97, 9.98] for name in ("open", "high", "low", "close")},
            "pre_close": [9.9, 10.0, 9.97, 9.97],
            "volume": [100, 200, 400, 800],
            "is_suspended": [False] * 4,
        }
    )
    factor = pl.Series([1.0, 1.0, 10.5 / 9.97 * (1 + 2**-50), 10.5 / 9.97 * (1 + 2**-50)])
    prices = ("open", "high", "low", "close", "pre_close")
    adjusted = frame.with_columns(*(pl.col(name) * factor for name in prices), factor.alias("adjust_factor"))
    found = with_technicals(adjusted, ["obv", "up_days", "down_days"])
    assert found["obv"].to_list() == [100, 300, 300, 1100]
    assert found["up_days"].to_list() == [1, 2, 0, 1]
    assert found["down_days"].to_list() == [0, 0, 0, 0]
