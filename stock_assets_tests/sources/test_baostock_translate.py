from __future__ import annotations

import csv
import gzip
import time
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl
import pytest

from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.sources.baostock.translate import (
    source_code,
    translate_daily,
    translate_factors,
    translate_securities,
    translate_trade_dates,
)
from stock_assets.sources.baostock.verify import DAILY_FIELDS, FACTOR_FIELDS, SECURITY_FIELDS
from stock_assets_tests.sources import answers

if TYPE_CHECKING:
    from pathlib import Path


def text_frame(names: tuple[str, ...], *rows: list[str]) -> pl.DataFrame:
    return pl.DataFrame([list(row) for row in rows], schema=dict.fromkeys(names, pl.String()), orient="row")


def bar(**changes: str) -> list[str]:
    """Return the official page's bar with some of the source's fields changed."""
    return [changes.get(name, value) for name, value in zip(DAILY_FIELDS, answers.BAR, strict=True)]


def recorded(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_a_bar_reads_in_our_names_and_units() -> None:
    translated = translate_daily(text_frame(DAILY_FIELDS, bar()))
    assert translated.unreadable == ()
    assert translated.frame.row(0, named=True) == {
        "ts_code": "600000.SH",
        "trade_date": date(2026, 2, 5),
        "open": 10.7,
        "high": 10.78,
        "low": 10.64,
        "close": 10.74,
        "pre_close": 10.68,
        "volume": 4465487,
        "amount": 47925519.19,
        "turnover_rate": 0.3925,
        "pct_chg": 0.5618,
        "is_suspended": False,
        "is_st": False,
        "pe_ttm": 21.493688,
        "pb_mrq": 0.962863,
        "ps_ttm": 2.226877,
        "pcf_ncf_ttm": -58.658491,
        "adjust_flag": "3",
        "raw_row": 0,
    }


def test_a_bar_has_the_types_of_its_table_and_nothing_else_but_what_judges_it() -> None:
    schema = dict(translate_daily(text_frame(DAILY_FIELDS, bar())).frame.schema)
    assert schema.pop("raw_row") == pl.Int64()
    assert schema.pop("adjust_flag") == pl.String()
    assert schema == {name: kind for name, kind in STOCK_DAILY.schema.items() if name not in {"source", "updated_at"}}


def test_empty_texts_are_nulls_and_not_unreadable() -> None:
    empty = dict.fromkeys(("volume", "amount", "turn", "pctChg", "peTTM", "pbMRQ", "psTTM", "pcfNcfTTM"), "")
    translated = translate_daily(text_frame(DAILY_FIELDS, bar(tradestatus="0", **empty)))
    row = translated.frame.row(0, named=True)
    assert translated.unreadable == ()
    assert row["is_suspended"] is True
    assert [row[name] for name in ("volume", "amount", "turnover_rate", "pct_chg", "pe_ttm", "pcf_ncf_ttm")] == [
        None
    ] * 6


@pytest.mark.parametrize(
    ("field", "text", "column"),
    [
        ("open", "1O.7", "open"),
        ("close", "nan", "close"),
        ("high", "inf", "high"),
        ("amount", "1,000", "amount"),
        ("volume", "12.5", "volume"),
        ("volume", "--3", "volume"),
        ("volume", "1e6", "volume"),
        ("volume", "99999999999999999999", "volume"),
        ("tradestatus", "2", "is_suspended"),
        ("isST", "yes", "is_st"),
        ("date", "2026-2-5", "trade_date"),
        ("date", "2026-02-30", "trade_date"),
        ("date", "20260205", "trade_date"),
        ("code", "600000", "ts_code"),
        ("code", "SH.600000", "ts_code"),
        ("code", "sh.60000a", "ts_code"),
        ("code", "of.159001", "ts_code"),
        ("code", "sh.600000 ", "ts_code"),
    ],
)
def test_a_text_that_is_no_value_is_null_and_listed(field: str, text: str, column: str) -> None:
    translated = translate_daily(text_frame(DAILY_FIELDS, bar(), bar(**{field: text}), bar()))
    assert translated.frame[column].is_null().to_list() == [False, True, False]
    assert translated.unreadable == ((1, column),)
    assert translated.frame["raw_row"].to_list() == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("1234", 1234), ("1234.0000", 1234), ("1234.", 1234), ("-3", -3)]
)
def test_whole_volumes_read_in_both_spellings(text: str, value: int) -> None:
    assert translate_daily(text_frame(DAILY_FIELDS, bar(volume=text))).frame["volume"].to_list() == [value]


def test_no_rows_translate_to_no_rows() -> None:
    assert translate_daily(text_frame(DAILY_FIELDS)).frame.height == 0
    assert translate_factors(text_frame(FACTOR_FIELDS)).frame.height == 0
    assert translate_securities(text_frame(SECURITY_FIELDS)).height == 0


def test_factors_read_from_the_backward_column() -> None:
    row = [answers.CODE, "2023-07-21", "0.936211", "11.949786", "11.949787"]
    translated = translate_factors(text_frame(FACTOR_FIELDS, row, [*row[:3], "x", "1"]))
    assert translated.frame["back_adjust_factor"].to_list() == [11.949786, None]
    assert translated.unreadable == ((1, "back_adjust_factor"),)
    schema = dict(translated.frame.schema)
    assert schema.pop("raw_row") == pl.Int64()
    assert schema == {name: kind for name, kind in ADJUST_FACTOR.schema.items() if name not in {"source", "updated_at"}}


def test_only_stocks_of_the_list_remain() -> None:
    frame = text_frame(
        SECURITY_FIELDS,
        ["sh.600000", "浦发银行", "1999-11-10", "", "1", "1"],
        ["sh.600001", "邯郸钢铁", "1998-01-22", "2009-12-29", "1", "0"],
        ["sh.000001", "上证综合指数", "1991-07-15", "", "2", "1"],
        ["sh.000002", "wrong pair", "1991-07-15", "", "1", "1"],
        ["of.159001", "a fund", "2013-03-29", "", "1", "1"],
        ["sz.301234", "", "2023-03-29", "", "1", "1"],
    )
    assert translate_securities(frame).rows() == [
        ("600000.SH", "浦发银行", date(1999, 11, 10), None, "listed"),
        ("600001.SH", "邯郸钢铁", date(1998, 1, 22), date(2009, 12, 29), "delisted"),
        ("301234.SZ", None, date(2023, 3, 29), None, "listed"),
    ]


def test_calendar_days_keep_their_flag() -> None:
    frame = text_frame(("calendar_date", "is_trading_day"), ["2024-01-01", "0"], ["2024-01-02", "1"])
    assert translate_trade_dates(frame).rows() == [(date(2024, 1, 1), False), (date(2024, 1, 2), True)]


def test_our_codes_go_out_in_the_sources_spelling() -> None:
    assert [source_code(code) for code in ("600000.SH", "000001.SZ")] == ["sh.600000", "sz.000001"]


def test_recorded_bars_keep_every_digit(recorded_data: Path) -> None:
    rows = recorded(recorded_data / "recorded/baostock/k_daily_adjustflag3_2020-2025.csv.gz")[::23]
    frame = pl.DataFrame({name: [row[name] for row in rows] for name in DAILY_FIELDS})
    translated = translate_daily(frame)
    assert translated.unreadable == ()
    numbers = {
        "open": "open", "high": "high", "low": "low", "close": "close", "pre_close": "preclose", "volume": "volume",
        "amount": "amount", "turnover_rate": "turn", "pct_chg": "pctChg", "pe_ttm": "peTTM", "pb_mrq": "pbMRQ",
        "ps_ttm": "psTTM", "pcf_ncf_ttm": "pcfNcfTTM",
    }  # fmt: skip
    for ours, theirs in numbers.items():
        values = translated.frame[ours].to_list()
        assert [None if value is None else Decimal(str(value)) for value in values] == [
            Decimal(row[theirs]) if row[theirs] else None for row in rows
        ], ours
    assert [f"{code[-2:].lower()}.{code[:6]}" for code in translated.frame["ts_code"]] == [row["code"] for row in rows]
    assert [str(day) for day in translated.frame["trade_date"]] == [row["date"] for row in rows]
    assert [("0" if flag else "1") for flag in translated.frame["is_suspended"]] == [row["tradestatus"] for row in rows]
    assert [("1" if flag else "0") for flag in translated.frame["is_st"]] == [row["isST"] for row in rows]


def test_the_recorded_list_of_securities_holds_the_stocks_of_both_exchanges(recorded_data: Path) -> None:
    rows = recorded(recorded_data / "recorded/baostock/query_stock_basic_2020-09.csv.gz")
    translated = translate_securities(pl.DataFrame({name: [row[name] for row in rows] for name in SECURITY_FIELDS}))
    assert translated.height == sum(row["type"] == "1" for row in rows)
    assert translated["ts_code"].n_unique() == translated.height
    assert translated["list_date"].null_count() == 0
    assert translated.filter(pl.col("status").is_null()).height == 0
    assert (translated["delist_date"].is_null() == (translated["status"] == "listed")).all()


def test_a_market_day_is_translated_in_an_instant() -> None:
    frame = text_frame(DAILY_FIELDS, *answers.bars_of_day(8000))
    times: list[float] = []
    for _ in range(5):
        started = time.perf_counter()
        translate_daily(frame)
        times.append(time.perf_counter() - started)
    assert min(times) < 0.03
