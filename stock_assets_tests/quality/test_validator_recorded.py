"""The validator over everything that was recorded unadjusted: what it finds is what is listed as a fault, and nothing else."""

import csv
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.domain.codes import board_of, is_stock_code
from stock_assets.quality.validator import Evidence, validate
from stock_assets.sources.baostock import translate as baostock
from stock_assets.sources.tushare import translate as tushare

Found = set[tuple[str, str, date]]
RAW_FILES = (
    "k_daily_adjustflag3_2010-2024.csv.gz",
    "k_daily_adjustflag3_2020-2025.csv.gz",
    "k_daily_adjustflag3_sh.600000_1999-2023.csv.gz",
)
# The recorder's word for a fault, and ours.
RULE_OF = {
    "pctChg_inconsistent_with_close_preclose": "pct_chg_inconsistent",
    "move_over_20.6pct(IPO/relisting/no-limit)": "extreme_move",
    "preclose_above_prev_close": "pre_close_above_previous_close",
}
# Right findings that the recorder did not look for, each with its reason.
NOT_LISTED: Found = {
    # A re-listing after 广发证券 took over the shell, +374 %; listed as an extreme move.
    ("beyond_price_limit", "000776.SZ", date(2010, 2, 12)),
    # A re-listing after 盐湖股份's reorganization, +306 %; listed as an extreme move.
    ("beyond_price_limit", "000792.SZ", date(2021, 8, 10)),
    # An ST stock, whose high of 10.77 lies 40 % above its previous close: a fault of the recording.
    ("beyond_price_limit", "600732.SH", date(2017, 6, 6)),
    # Volume and amount hold trades that prices do not: 551.85 CNY on average, 568.62 at the lowest.
    ("mean_price_outside_range", "300896.SZ", date(2020, 12, 9)),
}
# The limit explains the move: the validator tells the cause alone.
EXPLAINED: Found = {("extreme_move", code, day) for rule, code, day in NOT_LISTED if rule == "beyond_price_limit"}


@pytest.fixture(scope="module")
def folder(recorded_data: Path) -> Path:
    return recorded_data / "recorded"


@pytest.fixture(scope="module")
def calendar(recorded_data: Path) -> TradingCalendar:
    sessions = pl.read_csv(recorded_data / "calendar" / "akshare_1.19.5_calendar_json.csv", infer_schema=False)
    days = sessions.to_series().str.replace_all("-", "").str.to_date("%Y%m%d")
    return TradingCalendar.of(days.to_list())


@pytest.fixture(scope="module")
def listed(folder: Path) -> pl.DataFrame:
    """Code, listing and delisting of every stock of BaoStock's list."""
    rows = read(folder / "baostock" / "query_stock_basic_2023-12.csv").filter(pl.col("type") == "1")
    return rows.select(
        ts_code_of("code"),
        pl.col("ipoDate").str.to_date().alias("list_date"),
        pl.col("outDate").str.to_date(strict=False).alias("delist_date"),
    )


@pytest.fixture(scope="module")
def raw_bars(folder: Path) -> pl.DataFrame:
    """All unadjusted bars of BaoStock, each once."""
    bars = pl.concat([baostock_bars(folder / "baostock" / name) for name in RAW_FILES])
    return bars.unique(["ts_code", "trade_date"], keep="first")


@pytest.fixture(scope="module")
def anomalies(folder: Path) -> Iterator[list[dict[str, str]]]:
    with (folder / "ANOMALIES.csv").open(encoding="utf-8", newline="") as lines:
        yield list(csv.DictReader(lines))


def read(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, infer_schema=False).fill_null("")


def ts_code_of(column: str) -> pl.Expr:
    return (pl.col(column).str.slice(3) + "." + pl.col(column).str.slice(0, 2).str.to_uppercase()).alias("ts_code")


def baostock_bars(path: Path) -> pl.DataFrame:
    rows = read(path)
    missing = {"turn", "peTTM", "pbMRQ", "psTTM", "pcfNcfTTM", "isST"} - set(rows.columns)
    return baostock.translate_daily(rows.with_columns(pl.lit("").alias(name) for name in missing)).frame


def tushare_bars(path: Path) -> pl.DataFrame:
    """A day's rows; Tushare has none of suspended stocks."""
    return tushare.translate_daily(read(path)).frame.with_columns(pl.col("is_suspended").fill_null(value=False))


def securities_of(bars: pl.DataFrame, listed: pl.DataFrame) -> pl.DataFrame:
    """The list, with the stocks that it is too old for as listed since their first bar, if that is no first session."""
    newer = bars.join(listed, on="ts_code", how="anti").group_by("ts_code").agg(
        pl.col("trade_date").min().alias("list_date"), pl.lit(None, dtype=pl.Date).alias("delist_date")
    )  # fmt: skip
    known = pl.concat([listed, newer])
    stocks = [code for code in known["ts_code"] if is_stock_code(code)]
    boards = pl.DataFrame({"ts_code": stocks, "board": [board_of(code) for code in stocks]})
    return known.join(boards, on="ts_code")


def found_in(bars: pl.DataFrame, listed: pl.DataFrame, calendar: TradingCalendar, **more: object) -> Found:
    days = sorted(bars["trade_date"].unique())
    findings = validate(
        Evidence(days=days, calendar=calendar, securities=securities_of(bars, listed), bars=bars, **more)  # pyright: ignore[reportArgumentType]
    )
    return set(findings.select("rule", "ts_code", "trade_date").iter_rows())


def test_105_000_traded_bars_raise_no_alarm_that_is_no_listed_fault(
    raw_bars: pl.DataFrame, listed: pl.DataFrame, calendar: TradingCalendar, anomalies: list[dict[str, str]]
) -> None:
    known = {
        (RULE_OF[row["kind"]], f"{row['code'][3:]}.{row['code'][:2].upper()}", date.fromisoformat(row["date"]))
        for row in anomalies
        if row["file"] in RAW_FILES and row["kind"] in RULE_OF
    }
    assert found_in(raw_bars, listed, calendar) == known - EXPLAINED | NOT_LISTED
    assert raw_bars.filter(~pl.col("is_suspended")).height == 105_295
    # The other kinds of fault in these files are of suspended rows, counted by day when they land, and of absent rows.
    others = {row["kind"] for row in anomalies if row["file"] in RAW_FILES} - set(RULE_OF)
    assert others == {"suspended_volume_zero", "suspended_volume_empty_string", "missing_sessions"}


@pytest.mark.parametrize(
    ("name", "without_limit"),
    [
        ("daily_2020-2024.csv.gz", set[str]()),
        ("pro_bar_adj-None_2015-2023.csv.gz", set[str]()),
        # The first day of its delisting period (退市整理期), on which there is no limit.
        ("daily_20260320.csv.gz", {"300391.SZ"}),
        ("daily_20260401.csv.gz", set[str]()),
    ],
)
def test_recorded_days_of_the_other_source_raise_none_either(
    name: str, without_limit: set[str], folder: Path, listed: pl.DataFrame, calendar: TradingCalendar
) -> None:
    bars = tushare_bars(folder / "tushare" / name)
    moved = bars.filter((pl.col("pct_chg").abs() > 20.6) & ~pl.col("ts_code").is_in(list(without_limit)))
    expected = {("extreme_move", code, day) for code, day in moved.select("ts_code", "trade_date").iter_rows()}
    expected |= {("beyond_price_limit", code, bars["trade_date"][0]) for code in without_limit}
    assert found_in(bars, listed, calendar) == expected


def test_prices_that_were_adjusted_before_they_came_are_found_row_by_row(
    folder: Path, listed: pl.DataFrame, calendar: TradingCalendar
) -> None:
    """Of 25,400 recorded bars in 2023-02 those of four stocks had an ex-date before they were recorded, a month later."""
    bars = tushare_bars(folder / "tushare" / "pro_bar_qfq_market_20230213_17.csv.gz")
    found = {(rule, code) for rule, code, _ in found_in(bars, listed, calendar) if rule != "extreme_move"}
    assert found == {("price_off_tick", code) for code in ("000651.SZ", "002803.SZ", "301059.SZ", "600666.SH")}


def test_recorded_factors_of_baostock_fit_its_reference_prices(
    folder: Path, raw_bars: pl.DataFrame, listed: pl.DataFrame, calendar: TradingCalendar
) -> None:
    factors = read(folder / "baostock" / "DERIVED_back_adjust_factor_2012-2023.csv").select(
        ts_code_of("code"),
        pl.col("dividOperateDate").str.to_date().alias("ex_date"),
        pl.col("backAdjustFactor_derived").cast(pl.Float64).alias("back_adjust_factor"),
    )
    known = pl.col("trade_date").is_between(date(2012, 6, 12), date(2023, 6, 30))
    bars = raw_bars.filter(known).join(factors, on="ts_code", how="semi")
    found = found_in(bars, listed, calendar, factors=factors, factor_days=bars["trade_date"].unique().to_list())
    assert {one for one in found if one[0] != "extreme_move"} == {
        # ANOMALIES: adj1_factor_jump_without_ex_day, 2020-12-31, seen at the next ex-date of the derived file.
        ("factor_falls", "000001.SZ", date(2021, 5, 14)),
        # ANOMALIES: ex_day_without_adj1_factor_change and preclose_above_prev_close.
        ("pre_close_above_previous_close", "600028.SH", date(2013, 5, 21)),
        ("factor_unchanged", "600028.SH", date(2013, 5, 21)),
        # ANOMALIES: pctChg_inconsistent_with_close_preclose.
        ("pct_chg_inconsistent", "001965.SZ", date(2017, 12, 25)),
    }


def test_recorded_factors_of_tushare_fall_on_one_day_as_listed(
    folder: Path,
    raw_bars: pl.DataFrame,
    listed: pl.DataFrame,
    calendar: TradingCalendar,
    anomalies: list[dict[str, str]],
) -> None:
    parts: list[pl.DataFrame] = []
    for path in sorted((folder / "tushare" / "by_stock").glob("adj_factor_*.csv")):
        rows = read(path).select(
            "ts_code",
            pl.col("trade_date").str.to_date("%Y%m%d").alias("ex_date"),
            pl.col("adj_factor").cast(pl.Float64).alias("back_adjust_factor"),
        )
        changed = pl.col("back_adjust_factor").ne_missing(pl.col("back_adjust_factor").shift(1))
        parts.append(rows.sort("ex_date").filter(changed))
    factors = pl.concat(parts)
    bars = raw_bars.join(factors, on="ts_code", how="semi").filter(pl.col("trade_date") > date(2023, 9, 24))
    found = found_in(bars, listed, calendar, factors=factors, factor_days=bars["trade_date"].unique().to_list())
    falls = {
        ("factor_falls", row["code"], date.fromisoformat(row["date"]))
        for row in anomalies
        if row["kind"] == "adj_factor_decreases"
    }
    assert found == falls
    assert len(falls) == 3


def test_recorded_reports_raise_no_alarm(folder: Path, calendar: TradingCalendar) -> None:
    from stock_assets.domain.finance_tables import FINANCE_INDICATOR

    parts: list[pl.DataFrame] = []
    for path in sorted((folder / "tushare" / "by_stock").glob("fina_indicator_*.csv")):
        rows = read(path)
        days = {name: pl.col(name).str.to_date("%Y%m%d") for name in ("ann_date", "end_date")}
        values = [name for name in FINANCE_INDICATOR.names if name in rows.columns and name not in {"ts_code", *days}]
        parts.append(
            rows.select("ts_code", *days.values(), *(pl.col(name).cast(pl.Float64, strict=False) for name in values))
        )
    reports = pl.concat(parts, how="diagonal_relaxed").with_columns(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("version"),
        pl.col("ann_date").dt.offset_by("30d").alias("known_from"),
    )
    missing = {name: kind for name, kind in FINANCE_INDICATOR.schema.items() if name not in reports.columns}
    reports = reports.with_columns(pl.lit(None, dtype=kind).alias(name) for name, kind in missing.items())
    assert reports.height == 39
    days = calendar.between(date(2022, 1, 1), date(2026, 12, 31))
    nobody = pl.DataFrame(
        schema={"ts_code": pl.String, "board": pl.String, "list_date": pl.Date, "delist_date": pl.Date}
    )
    assert validate(Evidence(days=days, calendar=calendar, securities=nobody, reports=reports)).rows() == []
