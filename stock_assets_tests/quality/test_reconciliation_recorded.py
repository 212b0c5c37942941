"""What was recorded of both sources, compared: which differences there really are, and why."""

from pathlib import Path

import polars as pl
import pytest

from stock_assets.quality.reconciliation import COMPARED, Reconciliation, reconcile
from stock_assets.sources.baostock import translate as baostock
from stock_assets.sources.tushare import translate as tushare

NAMES = ("baostock", "tushare")
MARKET_FILE = "k_daily_adjustflag2_market_2026-03-18_04-01.csv.gz"
# This recording has no column of previous closes.
MARKET_COLUMNS = tuple(name for name in COMPARED if name != "pre_close")
# Listed in March 2026, after the recorder of the Tushare rows had made its list of stocks.
NOT_ON_THE_LIST = {
    "2026-03-20": {"301680.SZ"},
    "2026-04-01": {"001257.SZ", "301680.SZ", "301682.SZ", "301683.SZ", "688781.SH", "688813.SH"},
}
# The BaoStock rows were back-filled on 2026-04-15, forward-adjusted to then: an ex-date lies between for these.
ADJUSTED = {
    "2026-03-20": {
        "001207.SZ", "001309.SZ", "002138.SZ", "002920.SZ", "300033.SZ", "300956.SZ", "301087.SZ", "301203.SZ",
        "600177.SH", "603101.SH", "603682.SH", "688100.SH", "688511.SH",
    },
    "2026-04-01": {
        "001207.SZ", "002920.SZ", "300033.SZ", "300956.SZ", "301087.SZ", "603682.SH", "688100.SH", "688511.SH",
    },
}  # fmt: skip
SUSPENDED = {"2026-03-20": 10, "2026-04-01": 12}
BEIJING = 294


@pytest.fixture(scope="module")
def folder(recorded_data: Path) -> Path:
    return recorded_data / "recorded"


def read(path: Path) -> pl.DataFrame:
    """A recorded file as text."""
    return pl.read_csv(path, infer_schema=False).fill_null("")


def tushare_bars(rows: pl.DataFrame) -> pl.DataFrame:
    """Tushare's rows in our units."""
    translated = tushare.translate_daily(rows)
    assert translated.unreadable == ()
    return translated.frame


def baostock_bars(*files: Path) -> pl.DataFrame:
    """BaoStock's rows in our units; of a day that two recordings have, the first."""
    rows = pl.concat([read(path) for path in files], how="diagonal").unique(["code", "date"], keep="first")
    missing = {"peTTM", "pbMRQ", "psTTM", "pcfNcfTTM", "isST"} - set(rows.columns)
    return baostock.translate_daily(rows.with_columns(pl.lit("").alias(name) for name in missing)).frame


@pytest.fixture(scope="module")
def five_years(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The bars of seven stocks over 2020 to 2024: BaoStock's and Tushare's."""
    theirs = tushare_bars(read(folder / "tushare" / "daily_2020-2024.csv.gz"))
    ours = baostock_bars(
        folder / "baostock" / "k_daily_adjustflag3_2020-2025.csv.gz",
        folder / "baostock" / "k_daily_adjustflag3_2010-2024.csv.gz",
    )
    asked = pl.col("trade_date").is_between(pl.date(2020, 1, 1), pl.date(2024, 12, 31))
    return ours.filter(asked).join(theirs.select("ts_code").unique(), on="ts_code", how="semi"), theirs


def test_five_years_of_seven_stocks_are_the_same_in_both_sources(five_years: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    """Not one price differs; 8 volumes by up to 7 shares, 7,841 amounts by up to 135 CNY, 22 percentages by 0.0001.

    Tushare writes lots with two decimals and thousands of CNY with three, BaoStock whole shares and CNY.
    """
    result = reconcile(*five_years, names=NAMES)
    assert result.compared == 8_484
    assert result.is_passed
    assert result.left_out == 0
    assert result.counts == {"rounding": {"amount": 7_841, "pct_chg": 22, "volume": 8}}
    off = result.differences.with_columns((pl.col("first") - pl.col("second")).abs().alias("off"))
    most = dict(off.group_by("column").agg(pl.col("off").max()).iter_rows())
    assert most == {"amount": pytest.approx(135.0), "pct_chg": pytest.approx(1e-4), "volume": 7.0}


@pytest.mark.parametrize(("column", "factor"), [("volume", 100), ("amount", 1000)])
def test_a_source_whose_unit_was_not_translated_fails(
    five_years: tuple[pl.DataFrame, pl.DataFrame], column: str, factor: int
) -> None:
    ours, theirs = five_years
    wrong = theirs.with_columns((pl.col(column) / factor).cast(theirs.schema[column]))
    result = reconcile(ours, wrong, names=NAMES)
    assert not result.is_passed
    assert result.counts["unit"] == {column: 8_484}


def test_a_bar_that_is_lost_on_the_way_fails(five_years: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    ours, theirs = five_years
    result = reconcile(ours, theirs.slice(1), names=NAMES)
    assert (result.is_passed, result.counts["real"]) == (False, {"row": 1})
    assert result.worst(1)["column"].to_list() == ["row"]


@pytest.fixture(scope="module", params=list(SUSPENDED))
def market_day(folder: Path, request: pytest.FixtureRequest) -> tuple[str, Reconciliation]:
    day: str = request.param
    theirs = tushare_bars(read(folder / "tushare" / f"daily_{day.replace('-', '')}.csv.gz"))
    rows = read(folder / "baostock" / MARKET_FILE).filter(pl.col("date") == day)
    silent = pl.col("volume") == ""
    ours = baostock.translate_daily(
        rows.with_columns(
            pl.when(silent).then(pl.lit("0")).otherwise(pl.lit("1")).alias("tradestatus"),
            pl.lit("0").alias("isST"),
            *(pl.lit("").alias(name) for name in ("preclose", "peTTM", "pbMRQ", "psTTM", "pcfNcfTTM")),
        )
    ).frame
    result = reconcile(ours, theirs, names=NAMES, columns=MARKET_COLUMNS, exchanges=("SH", "SZ"))
    return day, result


def test_a_market_day_differs_where_the_recordings_do_and_nowhere_else(market_day: tuple[str, Reconciliation]) -> None:
    """No volume and no percentage differs; amounts are rounded to whole CNY. What fails is in the recordings' making."""
    day, result = market_day
    assert result.left_out == BEIJING
    assert result.compared > 5_100
    real = result.differences.filter(pl.col("kind") == "real")
    prices = ("close", "high", "low", "open")
    assert result.counts["real"] == {name: len(ADJUSTED[day]) for name in prices} | {"row": len(NOT_ON_THE_LIST[day])}
    assert set(real.filter(pl.col("column") == "row")["ts_code"]) == NOT_ON_THE_LIST[day]
    assert set(real.filter(pl.col("column") != "row")["ts_code"]) == ADJUSTED[day]
    assert result.counts["suspension"] == {"row": SUSPENDED[day]}
    assert set(result.counts) == {"rounding", "suspension", "real"}
    assert set(result.counts["rounding"]) == {"amount"}
    rounded = result.differences.filter(pl.col("kind") == "rounding")
    assert (rounded["first"] - rounded["second"]).abs().max() == pytest.approx(0.5, abs=1e-6)


def test_the_prices_that_differ_are_adjusted_by_one_ratio_a_stock(market_day: tuple[str, Reconciliation]) -> None:
    _, result = market_day
    prices = result.differences.filter((pl.col("kind") == "real") & (pl.col("column") != "row"))
    ratios = prices.with_columns((pl.col("second") / pl.col("first")).alias("ratio"))
    spread = ratios.group_by("ts_code").agg((pl.col("ratio").max() / pl.col("ratio").min() - 1).alias("spread"))
    assert spread["spread"].max() == pytest.approx(0.0, abs=1e-6)


def test_adjusted_prices_differ_by_the_step_of_tushares_factor(folder: Path) -> None:
    """For the five stocks whose ex-date lies between the two recorded days of factors: the reason, from a third file."""
    factors = [
        read(folder / "tushare" / f"adj_factor_{day}.csv.gz").select(
            "ts_code", pl.col("adj_factor").cast(pl.Float64).alias(day)
        )
        for day in ("20260320", "20260401")
    ]
    steps = (
        factors[0].join(factors[1], on="ts_code").with_columns((pl.col("20260401") / pl.col("20260320")).alias("step"))
    )
    moved = steps.filter((pl.col("step") - 1).abs() > 1e-9)
    assert set(moved["ts_code"]) == ADJUSTED["2026-03-20"] - ADJUSTED["2026-04-01"]
    closes = read(folder / "tushare" / "daily_20260320.csv.gz").select("ts_code", pl.col("close").cast(pl.Float64))
    rows = read(folder / "baostock" / MARKET_FILE).filter(pl.col("date") == "2026-03-20")
    adjusted = rows.select(
        (pl.col("code").str.slice(3) + "." + pl.col("code").str.slice(0, 2).str.to_uppercase()).alias("ts_code"),
        pl.col("close").cast(pl.Float64).alias("adjusted"),
    )
    pair = moved.join(closes, on="ts_code").join(adjusted, on="ts_code")
    off = (pair["close"] / pair["adjusted"] / pair["step"] - 1).abs().max()
    assert off == pytest.approx(0.0, abs=5e-5)


def test_the_sources_factors_have_other_bases_and_the_same_steps(folder: Path) -> None:
    """000858.SZ, nine ex-dates of 2015 to 2023: levels 1.17 times apart throughout, steps within 0.00005."""
    unadjusted, adjusted = (
        read(folder / "tushare" / f"pro_bar_adj-{kind}_2015-2023.csv.gz")
        .filter(pl.col("ts_code") == "000858.SZ")
        .select(
            "ts_code", pl.col("trade_date").str.to_date("%Y%m%d").alias("ex_date"), pl.col("close").cast(pl.Float64)
        )
        for kind in ("None", "hfq")
    )
    daily = (
        unadjusted.join(adjusted, on=["ts_code", "ex_date"], suffix="_hfq")
        .sort("ex_date")
        .select("ts_code", "ex_date", (pl.col("close_hfq") / pl.col("close")).round(4).alias("back_adjust_factor"))
    )
    changed = (daily["back_adjust_factor"] / daily["back_adjust_factor"].shift(1) - 1).abs() > 1e-5
    theirs = daily.filter(changed.fill_null(value=False))
    derived = read(folder / "baostock" / "DERIVED_back_adjust_factor_2012-2023.csv")
    ours = derived.filter(pl.col("code") == "sz.000858").select(
        pl.lit("000858.SZ").alias("ts_code"),
        pl.col("dividOperateDate").str.to_date().alias("ex_date"),
        pl.col("backAdjustFactor_derived").cast(pl.Float64).alias("back_adjust_factor"),
    )
    none = tushare_bars(read(folder / "tushare" / "daily_2020-2024.csv.gz").clear())
    result = reconcile(none, none, (ours.filter(pl.col("ex_date") >= theirs["ex_date"].min()), theirs), names=NAMES)
    assert result.is_passed
    assert result.counts == {"factor": {"back_adjust_factor": 9}}
    lacking = theirs.filter(pl.col("ex_date") != theirs["ex_date"][4])
    assert reconcile(none, none, (ours.filter(pl.col("ex_date").dt.year() > 2014), lacking)).counts["real"] == {
        "back_adjust_factor": 1
    }
