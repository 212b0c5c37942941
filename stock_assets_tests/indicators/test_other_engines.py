"""TA-Lib and pandas, where they mean the same as we do. What is compared is said row by row, counted from 1."""

from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import talib

from stock_assets.indicators.catalog import FAMILIES
from stock_assets.indicators.compute import column_names, compute
from stock_assets.indicators.conventions import DEFAULT, Conventions
from stock_assets.indicators.panel import Array, Bars
from stock_assets_tests.indicators.made_up_series import whole

ROWS = 1500
TALIB: Any = talib
SERIES: Any = pd.Series


def moving_bars() -> Bars:
    """One stock whose price moves every day."""
    random = np.random.default_rng(29)
    close = 20 * np.exp(np.cumsum(random.normal(0, 0.02, ROWS)))
    open_ = close * (1 + random.normal(0, 0.01, ROWS))
    high = np.maximum(close, open_) * (1 + random.random(ROWS) / 50)
    low = np.minimum(close, open_) * (1 - random.random(ROWS) / 50)
    volume = random.integers(1, 10**8, ROWS).astype(np.float64)
    return Bars(open_, high, low, close, volume, close * volume, np.sign(np.diff(close, prepend=close[0])))


BARS = moving_bars()
HIGH, LOW, CLOSE, VOLUME = BARS.high, BARS.low, BARS.close, BARS.volume


def ours(conventions: Conventions) -> dict[str, Array]:
    values = compute(BARS, whole([ROWS]), FAMILIES, conventions=conventions, threads=1)
    return dict(zip(column_names(FAMILIES), values, strict=True))


@pytest.fixture(scope="module")
def default() -> dict[str, Array]:
    return ours(DEFAULT)


@pytest.fixture(scope="module")
def as_talib() -> dict[str, Array]:
    return ours(Conventions(seed="mean", atr_mean="wilder"))


def same(mine: Array, other: object, first: int, *, scale: float | None = None) -> None:
    """Both agree to 1e-9, relative or of `scale`, from row `first` to the last one."""
    expected = np.asarray(other, dtype=np.float64)[first - 1 :]
    size = np.abs(expected) if scale is None else scale
    assert len(expected) > ROWS // 2
    assert np.all(np.abs(mine[first - 1 :] - expected) <= 1e-9 * size)


@pytest.mark.parametrize("length", [5, 10, 20, 30, 60, 120, 250])
def test_moving_averages(default: dict[str, Array], as_talib: dict[str, Array], length: int) -> None:
    same(default[f"ma_{length}"], TALIB.SMA(CLOSE, length), length)
    same(default[f"ema_{length}"], SERIES(CLOSE).ewm(span=length, adjust=False).mean(), 1)
    same(as_talib[f"ema_{length}"], TALIB.EMA(CLOSE, length), length)


def test_macd(default: dict[str, Array], as_talib: dict[str, Array]) -> None:
    fast, slow = (SERIES(CLOSE).ewm(span=length, adjust=False).mean() for length in (12, 26))
    same(default["dif"], fast - slow, 1, scale=20)
    same(default["dea"], (fast - slow).ewm(span=9, adjust=False).mean(), 1, scale=20)
    # TA-Lib begins its fast mean with rows 15 to 26, ours with 1 to 12: the difference has faded by row 200.
    dif, dea, bar = TALIB.MACD(CLOSE, 12, 26, 9)
    for name, theirs in (("dif", dif), ("dea", dea), ("macd", 2 * bar)):
        same(as_talib[name], theirs, 200, scale=20)
    same(as_talib["ema_26"], TALIB.EMA(CLOSE, 26), 26)
    same(as_talib["dea"][25:], TALIB.EMA(as_talib["dif"][25:], 9), 9, scale=20)
    assert [int(np.isnan(as_talib[name]).sum()) for name in ("ema_12", "dif", "dea", "macd")] == [11, 25, 33, 33]


def test_trix(default: dict[str, Array], as_talib: dict[str, Array]) -> None:
    mean = SERIES(CLOSE)
    for number in (1, 2, 3):
        mean = mean.ewm(span=12, adjust=False).mean()
        same(default[f"trix_ema_{number}"], mean, 1)
    same(default["trix_12"], mean.pct_change() * 100, 2, scale=1)
    same(as_talib["trix_12"], TALIB.TRIX(CLOSE, 12), 35, scale=1)


def test_kdj(default: dict[str, Array]) -> None:
    top, bottom = SERIES(HIGH).rolling(9).max(), SERIES(LOW).rolling(9).min()
    k = ((SERIES(CLOSE) - bottom) / (top - bottom) * 100).ewm(alpha=1 / 3, adjust=False).mean()
    d = k.ewm(alpha=1 / 3, adjust=False).mean()
    for name, theirs in (("kdj_k", k), ("kdj_d", d), ("kdj_j", 3 * k - 2 * d)):
        same(default[name], theirs, 9, scale=100)


@pytest.mark.parametrize("length", [6, 12, 24])
def test_rsi(default: dict[str, Array], as_talib: dict[str, Array], length: int) -> None:
    change = SERIES(CLOSE).diff()
    gain, move = (part.ewm(alpha=1 / length, adjust=False).mean() for part in (change.clip(lower=0), change.abs()))
    same(default[f"rsi_{length}"], gain / move * 100, 2, scale=100)
    same(as_talib[f"rsi_{length}"], TALIB.RSI(CLOSE, length), length + 1)
    assert np.isnan(as_talib[f"rsi_{length}"]).sum() == length


def test_bollinger_bands(default: dict[str, Array]) -> None:
    bands = TALIB.BBANDS(CLOSE, 20, 2, 2)
    for name, theirs in zip(("boll_upper", "boll_mid", "boll_lower"), bands, strict=True):
        same(default[name], theirs, 20)
    sample = ours(Conventions(deviation="sample"))
    same(sample["boll_upper"], SERIES(CLOSE).rolling(20).mean() + 2 * SERIES(CLOSE).rolling(20).std(ddof=1), 20)


def test_true_range(default: dict[str, Array], as_talib: dict[str, Array]) -> None:
    ranges = TALIB.TRANGE(HIGH, LOW, CLOSE)
    same(default["true_range"], ranges, 2)
    same(default["atr_14"], SERIES(ranges).rolling(14).mean(), 15)
    same(as_talib["atr_14"], TALIB.ATR(HIGH, LOW, CLOSE, 14), 15)
    assert np.isnan(as_talib["atr_14"]).sum() == 14
    from_first = ours(Conventions(atr_mean="wilder"))["atr_14"]
    same(from_first, SERIES(ranges).ewm(alpha=1 / 14, adjust=False).mean(), 2)


def test_commodity_channel_index_and_williams(default: dict[str, Array]) -> None:
    same(default["cci_14"], TALIB.CCI(HIGH, LOW, CLOSE, 14), 14, scale=100)
    for length in (10, 6):
        same(default[f"wr_{length}"], -TALIB.WILLR(HIGH, LOW, CLOSE, length), length, scale=100)


def test_momentum_and_bias(default: dict[str, Array]) -> None:
    same(default["roc_12"], TALIB.ROC(CLOSE, 12), 13, scale=100)
    same(default["mtm_12"], TALIB.MOM(CLOSE, 12), 13, scale=20)
    for length in (6, 12, 24):
        same(default[f"bias_{length}"], (CLOSE / TALIB.SMA(CLOSE, length) - 1) * 100, length, scale=100)


def test_directional_movement(default: dict[str, Array]) -> None:
    """TA-Lib's DMI has Wilder's means; its movements of single days and its true range are those that we sum."""
    plus, minus = TALIB.PLUS_DM(HIGH, LOW, 1), TALIB.MINUS_DM(HIGH, LOW, 1)
    ranges = SERIES(TALIB.TRANGE(HIGH, LOW, CLOSE)).rolling(14).sum()
    pdi, mdi = (SERIES(moves).rolling(14).sum() * 100 / ranges for moves in (plus, minus))
    adx = ((mdi - pdi).abs() / (mdi + pdi) * 100).rolling(6).mean()
    for name, theirs, first in (
        ("dmi_pdi", pdi, 15),
        ("dmi_mdi", mdi, 15),
        ("dmi_adx", adx, 20),
        ("dmi_adxr", (adx + adx.shift(6)) / 2, 26),
    ):
        same(default[name], theirs, first, scale=100)


def test_volume(default: dict[str, Array]) -> None:
    # TA-Lib begins with the first volume, ours with its sign: differences are compared.
    same(np.diff(default["obv"]), np.diff(TALIB.OBV(CLOSE, VOLUME)), 1)
    for length in (5, 10, 20, 60):
        same(default[f"volume_ma_{length}"], TALIB.SMA(VOLUME, length), length)
    same(default["volume_ratio"], SERIES(VOLUME) / SERIES(VOLUME).rolling(5).mean().shift(1), 6)
    sign, volume = SERIES(BARS.direction), SERIES(VOLUME)
    rising, falling, still = (volume.where(sign == want, 0.0).rolling(26).sum() for want in (1, -1, 0))
    same(default["vr_26"], (2 * rising + still) / (2 * falling + still) * 100, 26)
    same(default["psy_12"], (sign > 0).rolling(12).sum() / 12 * 100, 12)


@pytest.mark.parametrize("length", [20, 60, 250])
def test_extremes(default: dict[str, Array], length: int) -> None:
    for name, theirs in (("high", TALIB.MAX(HIGH, length)), ("low", TALIB.MIN(LOW, length))):
        assert np.array_equal(default[f"{name}_{length}"], cast("Array", theirs), equal_nan=True)
