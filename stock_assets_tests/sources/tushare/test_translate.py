"""Tushare's spelling ends in `translate`: our names and units, not a digit lost."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.sources.tushare.interfaces import (
    ADJ_FACTOR,
    DAILY,
    DAILY_BASIC,
    STOCK_BASIC,
    SUSPEND_D,
    TRADE_CAL,
    Interface,
)
from stock_assets.sources.tushare.translate import (
    translate_adj_factor,
    translate_daily,
    translate_daily_basic,
    translate_stock_basic,
    translate_suspend_d,
    translate_trade_cal,
)

# As recorded of 000001.SZ; the official page's own sample has the same form.
BAR = {
    "ts_code": "000001.SZ", "trade_date": "20241231", "open": "11.93", "high": "11.99", "low": "11.7", "close": "11.7",
    "pre_close": "11.95", "change": "-0.25", "pct_chg": "-2.0921", "vol": "1475367.33", "amount": "1747242.074",
}  # fmt: skip
BASIC = {
    "ts_code": "920002.BJ", "trade_date": "20251023", "close": "103.69", "turnover_rate": "1.0857",
    "turnover_rate_f": "1.5408", "volume_ratio": "0.88", "pe": None, "pe_ttm": None, "pb": "4.492", "ps": "1.2165",
    "ps_ttm": "1.1158", "dv_ratio": None, "dv_ttm": None, "total_share": "911719.7565", "float_share": "348724.1823",
    "free_share": "245715.3663", "total_mv": "94536221.5515", "circ_mv": "36159210.4627",
}  # fmt: skip
STOCK = {
    **dict.fromkeys(STOCK_BASIC.fields),
    "ts_code": "600000.SH", "name": "浦发银行", "list_status": "L", "list_date": "19991110",
}  # fmt: skip


def frame_of(interface: Interface, *rows: Mapping[str, str | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {name: [row[name] for row in rows] for name in interface.fields},
        schema=dict.fromkeys(interface.fields, pl.String()),
    )


def recorded(path: Path, *columns: str) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert set(columns) <= rows[0].keys()
    return rows


def test_a_bar_reads_in_our_names_and_units() -> None:
    translated = translate_daily(frame_of(DAILY, BAR))
    assert translated.unreadable == ()
    assert translated.frame.row(0, named=True) == {
        "ts_code": "000001.SZ",
        "trade_date": date(2024, 12, 31),
        "open": 11.93,
        "high": 11.99,
        "low": 11.7,
        "close": 11.7,
        "pre_close": 11.95,
        "volume": 147536733,
        "amount": 1747242074.0,
        "turnover_rate": None,
        "pct_chg": -2.0921,
        "is_suspended": False,
        "is_st": None,
        "pe_ttm": None,
        "pb_mrq": None,
        "ps_ttm": None,
        "pcf_ncf_ttm": None,
        "adjust_flag": "3",
        "raw_row": 0,
    }


def test_a_bar_has_the_types_of_its_table_and_nothing_else_but_what_judges_it() -> None:
    schema = dict(translate_daily(frame_of(DAILY, BAR)).frame.schema)
    assert schema.pop("raw_row") == pl.Int64()
    assert schema.pop("adjust_flag") == pl.String()
    assert schema == {name: kind for name, kind in STOCK_DAILY.schema.items() if name not in {"source", "updated_at"}}


@pytest.mark.parametrize(
    ("field", "text", "column"),
    [
        ("open", "1O.7", "open"),
        ("close", "NaN", "close"),
        ("high", "Infinity", "high"),
        ("amount", "1,000", "amount"),
        ("amount", "NaN", "amount"),
        ("amount", "1e999999", "amount"),
        ("vol", "12.345", "volume"),
        ("vol", "--3", "volume"),
        ("vol", "1e30", "volume"),
        ("vol", "NaN", "volume"),
        ("trade_date", "2024123", "trade_date"),
        ("trade_date", "20241301", "trade_date"),
        ("trade_date", "2024-12-31", "trade_date"),
        ("ts_code", "600000", "ts_code"),
        ("ts_code", "sh.600000", "ts_code"),
        ("ts_code", "T00018.SH", "ts_code"),
    ],
)
def test_a_text_that_is_no_value_is_null_and_listed(field: str, text: str, column: str) -> None:
    translated = translate_daily(frame_of(DAILY, BAR, {**BAR, field: text}, BAR))
    assert translated.frame[column].is_null().to_list() == [False, True, False]
    assert translated.unreadable == ((1, column),)
    assert translated.frame["raw_row"].to_list() == [0, 1, 2]


@pytest.mark.parametrize("nothing", [None, ""])
def test_nothing_is_null_and_not_unreadable(nothing: str | None) -> None:
    fields = ("open", "pre_close", "vol", "amount", "pct_chg")
    translated = translate_daily(frame_of(DAILY, {**BAR, **dict.fromkeys(fields, nothing)}))
    assert translated.unreadable == ()
    assert translated.frame.select("open", "pre_close", "volume", "amount", "pct_chg").row(0) == (None,) * 5


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_lots_become_shares_and_thousands_become_yuan_to_the_last_digit(shares: int, money: int) -> None:
    vol, amount = f"{shares // 100}.{shares % 100:02d}", f"{money // 1000}.{money % 1000:03d}"
    row = translate_daily(frame_of(DAILY, {**BAR, "vol": vol, "amount": amount})).frame.row(0, named=True)
    assert row["volume"] == shares
    assert row["amount"] == float(money)


@given(st.decimals(0, 10**8, places=4))
def test_a_shifted_number_is_the_nearest_to_the_exact_one(value: Decimal) -> None:
    row = translate_daily_basic(frame_of(DAILY_BASIC, {**BASIC, "total_mv": str(value)})).frame.row(0, named=True)
    assert row["total_market_value"] == float(Decimal(str(value)) * 10_000)


@pytest.mark.parametrize(("text", "shares"), [("3", 300), ("3.0", 300), ("1.5e3", 150_000), ("0", 0), ("-1", -100)])
def test_every_spelling_of_a_number_of_lots_is_read(text: str, shares: int) -> None:
    assert translate_daily(frame_of(DAILY, {**BAR, "vol": text})).frame["volume"].to_list() == [shares]


def test_valuations_read_in_our_names_and_units_and_a_loss_has_no_ratio() -> None:
    translated = translate_daily_basic(frame_of(DAILY_BASIC, BASIC))
    assert translated.unreadable == ()
    assert translated.frame.row(0, named=True) == {
        "ts_code": "920002.BJ",
        "trade_date": date(2025, 10, 23),
        "turnover_rate": 1.0857,
        "pe_ttm": None,
        "pb_mrq": 4.492,
        "ps_ttm": 1.1158,
        "total_shares": 9117197565.0,
        "float_shares": 3487241823.0,
        "free_shares": 2457153663.0,
        "total_market_value": 945362215515.0,
        "float_market_value": 361592104627.0,
        "raw_row": 0,
    }


def test_factors_read_as_they_are() -> None:
    rows = [{"ts_code": "000001.SZ", "trade_date": "20260320", "adj_factor": text} for text in ("134.5794", "x", None)]
    translated = translate_adj_factor(frame_of(ADJ_FACTOR, *rows))
    assert translated.frame["back_adjust_factor"].to_list() == [134.5794, None, None]
    assert translated.unreadable == ((1, "back_adjust_factor"),)


def test_suspensions_tell_whole_days_from_hours_and_from_returns() -> None:
    def row(kind: str, timing: str | None) -> dict[str, str | None]:
        return {"ts_code": "000001.SZ", "trade_date": "20240105", "suspend_timing": timing, "suspend_type": kind}

    rows = [row("S", None), row("S", "09:30-10:00"), row("R", None), row("X", None)]
    translated = translate_suspend_d(frame_of(SUSPEND_D, *rows))
    assert translated.frame.select("is_suspended", "is_whole_day", "hours").rows() == [
        (True, True, None),
        (True, False, "09:30-10:00"),
        (False, False, None),
        (None, None, None),
    ]
    assert translated.unreadable == ((3, "is_suspended"),)


def test_only_stocks_of_the_list_remain_and_say_when_they_left() -> None:
    left = {"ts_code": "000005.SZ", "name": "ST星源(退)", "list_status": "D", "delist_date": "20240426"}
    frame = frame_of(
        STOCK_BASIC,
        STOCK,
        {**STOCK, **left, "list_date": "19901210"},
        {**STOCK, "ts_code": "T00018.SH", "list_status": "D"},
        {**STOCK, "ts_code": "920748.SH"},
        {**STOCK, "ts_code": "920748.BJ", "name": None, "list_status": "?"},
    )
    assert translate_stock_basic(frame).rows() == [
        ("600000.SH", "浦发银行", date(1999, 11, 10), None, "listed"),
        ("000005.SZ", "ST星源", date(1990, 12, 10), date(2024, 4, 26), "delisted"),
        ("920748.BJ", None, date(1999, 11, 10), None, None),
    ]


def test_calendar_days_keep_their_flag_and_come_oldest_first() -> None:
    rows: list[dict[str, str | None]] = [
        {"exchange": "SSE", "cal_date": "20240102", "is_open": "1", "pretrade_date": "20231229"},
        {"exchange": "SSE", "cal_date": "20240101", "is_open": "0", "pretrade_date": "20231229"},
    ]
    assert translate_trade_cal(frame_of(TRADE_CAL, *rows)).rows() == [
        (date(2024, 1, 1), False),
        (date(2024, 1, 2), True),
    ]


def test_no_rows_translate_to_no_rows() -> None:
    assert translate_daily(frame_of(DAILY)).frame.height == 0
    assert translate_daily_basic(frame_of(DAILY_BASIC)).frame.height == 0
    assert translate_adj_factor(frame_of(ADJ_FACTOR)).frame.height == 0
    assert translate_suspend_d(frame_of(SUSPEND_D)).frame.height == 0
    assert translate_stock_basic(frame_of(STOCK_BASIC)).height == 0
    assert translate_trade_cal(frame_of(TRADE_CAL)).height == 0


@pytest.mark.parametrize("name", ["daily_2020-2024.csv.gz", "daily_20260401.csv.gz"])
def test_recorded_bars_keep_every_digit_in_our_units(recorded_data: Path, name: str) -> None:
    rows = recorded(recorded_data / "recorded" / "tushare" / name, *DAILY.fields)
    translated = translate_daily(frame_of(DAILY, *rows))
    assert translated.unreadable == ()
    frame = translated.frame
    for ours in ("open", "high", "low", "close", "pre_close", "pct_chg"):
        assert [Decimal(str(value)) for value in frame[ours]] == [Decimal(row[ours]) for row in rows], ours
    assert [Decimal(value) for value in frame["volume"]] == [Decimal(row["vol"]) * 100 for row in rows]
    assert [Decimal(repr(value)) for value in frame["amount"]] == [Decimal(row["amount"]) * 1000 for row in rows]
    assert [f"{day:%Y%m%d}" for day in frame["trade_date"]] == [row["trade_date"] for row in rows]


def test_recorded_valuations_of_a_market_day_are_all_read(recorded_data: Path) -> None:
    rows = recorded(recorded_data / "recorded" / "tushare" / "daily_basic_20260401.csv.gz", *DAILY_BASIC.fields)
    translated = translate_daily_basic(frame_of(DAILY_BASIC, *rows))
    assert translated.unreadable == ()
    assert translated.frame["pe_ttm"].null_count() == sum(row["pe_ttm"] == "" for row in rows)
    assert translated.frame.filter(pl.col("ts_code").str.ends_with(".BJ")).height == 294
