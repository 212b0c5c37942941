"""What Tushare computed of real prices, recorded, beside what our kernels compute of the same prices."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from stock_assets.indicators.catalog import FAMILIES, families_of
from stock_assets.indicators.compute import column_names, compute
from stock_assets.indicators.panel import Array, Bars, bars_of, whole_series

# Their column, ours. They write three decimals.
TRUTH = {
    "macd_dif": "dif",
    "macd_dea": "dea",
    "macd": "macd",
    "kdj_k": "kdj_k",
    "kdj_d": "kdj_d",
    "kdj_j": "kdj_j",
    "rsi_6": "rsi_6",
    "rsi_12": "rsi_12",
    "rsi_24": "rsi_24",
    "boll_upper": "boll_upper",
    "boll_mid": "boll_mid",
    "boll_lower": "boll_lower",
    "cci": "cci_14",
}
TOLERANCE = 0.001
PRICES = ("open", "high", "low", "close")


def factors(folder: Path, name: str) -> pl.DataFrame:
    """Recorded rows of stk_factor, in key order."""
    rows = pl.read_csv(folder / "tushare" / name, schema_overrides={"trade_date": pl.String})
    return rows.with_columns(pl.col("trade_date").str.to_date("%Y%m%d")).sort("ts_code", "trade_date")


def bars(prices: pl.DataFrame, suffix: str = "") -> Bars:
    columns = (prices[name + suffix].cast(pl.Float64).to_numpy().copy() for name in PRICES)
    nothing = np.zeros(prices.height)
    return Bars(*columns, volume=nothing, amount=nothing, direction=nothing)  # pyright: ignore[reportCallIssue]


def indicators(series: Bars, ts_codes: pl.Series) -> dict[str, Array]:
    families = families_of(TRUTH.values())
    return dict(zip(column_names(families), compute(series, whole_series(ts_codes), families, threads=1), strict=True))


@pytest.fixture(scope="module")
def folder(recorded_data: Path) -> Path:
    return recorded_data / "recorded"


@pytest.mark.parametrize("code", ["600519.SH", "600036.SH", "002594.SZ"])
def test_every_recorded_value_of_three_stocks_is_ours(folder: Path, code: str) -> None:
    rows = factors(folder, f"by_stock/stk_factor_{code}.csv.gz")
    ours = indicators(bars(rows, "_qfq"), rows["ts_code"])
    # Their series began long before: what is left of its beginning has faded after 350 days.
    off = {name: float(np.abs(ours[mine] - rows[name].to_numpy())[-150:].max()) for name, mine in TRUTH.items()}
    assert rows.height == 500
    assert {name: worst for name, worst in off.items() if not worst <= TOLERANCE} == {}


@pytest.fixture(scope="module")
def three_years(folder: Path) -> pl.DataFrame:
    """BaoStock's forward-adjusted bars of 36 stocks, in key order; none of them had an ex-date between the recordings."""
    names = ("k_daily_adjustflag2_2023-06_2026-03", "k_daily_adjustflag2_2026-03-02_04-30_same_stocks")
    files = [pl.read_csv(folder / "baostock" / f"{name}.csv.gz", infer_schema=False) for name in names]
    both = files[0].join(files[1], on=["code", "date"], suffix="_later")
    assert both.filter(pl.col("close").cast(pl.Float64) != pl.col("close_later").cast(pl.Float64)).is_empty()
    rows = pl.concat(files, how="diagonal").unique(["code", "date"], keep="first")
    is_traded = (pl.col("tradestatus").fill_null("1") == "1") & (pl.col("volume").fill_null("") != "")
    code = pl.col("code")
    return (
        rows.filter(is_traded, code != "sh.000001")
        .select(
            pl.concat_str(code.str.slice(3), pl.lit("."), code.str.slice(0, 2).str.to_uppercase()).alias("ts_code"),
            pl.col("date").str.to_date().alias("trade_date"),
            *PRICES,
        )
        .sort("ts_code", "trade_date")
    )


@pytest.mark.parametrize("day", ["20260320", "20260401"])
def test_a_recorded_market_day_is_ours_for_every_stock_whose_bars_were_recorded(
    folder: Path, three_years: pl.DataFrame, day: str
) -> None:
    """Bars that reach back far enough are there for 36 stocks; all of them agree, so that no miss has to be explained."""
    ours = indicators(bars(three_years), three_years["ts_code"])
    mine = three_years.select("ts_code", "trade_date").with_columns(
        pl.Series(f"our_{name}", values) for name, values in ours.items()
    )
    theirs = factors(folder, f"stk_factor_{day}.csv.gz")
    both = mine.join(theirs, on=["ts_code", "trade_date"])
    off = both.select(
        "ts_code", *((pl.col(name) - pl.col(f"our_{mine}")).abs().alias(name) for name, mine in TRUTH.items())
    )
    missed = off.filter(~pl.all_horizontal(pl.col(name) <= TOLERANCE for name in TRUTH))
    assert both.height == 36
    assert missed.is_empty(), missed


@pytest.mark.parametrize("code", ["600519.SH", "600036.SH", "002594.SZ"])
def test_back_adjusted_values_become_forward_adjusted_ones_by_the_latest_factor(folder: Path, code: str) -> None:
    """Over real factors, with their ex-dates and the day on which Tushare's was off."""
    rows = factors(folder, f"by_stock/stk_factor_{code}.csv.gz").rename(
        {"vol": "volume", "adj_factor": "adjust_factor"}
    )
    latest = rows["adjust_factor"][-1]
    assert rows["adjust_factor"].n_unique() > 3
    segments, names = whole_series(rows["ts_code"]), column_names(FAMILIES)
    back = compute(bars_of(rows), segments, FAMILIES, threads=1)
    forward_bars = rows.with_columns(pl.col("adjust_factor") / latest)
    forward = dict(zip(names, compute(bars_of(forward_bars), segments, FAMILIES, threads=1), strict=True))
    basis = {indicator.name: indicator.basis for family in FAMILIES for indicator in family.indicators}
    # A small difference of two prices is as exact as the prices are.
    price = rows["close"].to_numpy()
    for name, values in zip(names, back, strict=True):
        expected = forward[name]
        assert np.array_equal(np.isnan(values), np.isnan(expected)), name
        here = ~np.isnan(expected)
        if basis[name] == "price":
            off = np.abs(values[here] / latest - expected[here]) / price[here]
            assert off.max() < 1e-12, name
        else:
            off = np.abs(values[here] - expected[here])
            assert off.max() < 1e-9, name
