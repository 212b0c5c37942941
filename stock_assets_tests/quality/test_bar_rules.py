"""Rules on bars: every planted error is found by its own rule, and a clean row passes."""

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.quality.bar_rules import judge_bars
from stock_assets.quality.series_rules import judge_continuity
from stock_assets.sources.baostock.translate import translate_daily

DAY = date(2026, 11, 20)
SECURITIES = pl.DataFrame(
    {"ts_code": ["600000.SH"], "list_date": [date(1999, 11, 10)], "delist_date": [None]},
    schema={"ts_code": pl.String, "list_date": pl.Date, "delist_date": pl.Date},
)
CLEAN: dict[str, str] = {
    "date": "2026-11-20",
    "code": "sh.600000",
    "open": "10.0000",
    "high": "10.5000",
    "low": "9.9000",
    "close": "10.2000",
    "preclose": "10.0000",
    "volume": "1000000",
    "amount": "10150000.0000",
    "adjustflag": "3",
    "turn": "0.500000",
    "tradestatus": "1",
    "pctChg": "2.000000",
    "peTTM": "5.000000",
    "pbMRQ": "0.500000",
    "psTTM": "1.000000",
    "pcfNcfTTM": "-3.000000",
    "isST": "0",
}


def judge(*rows: dict[str, str], securities: pl.DataFrame = SECURITIES) -> Any:  # noqa: ANN401  Judged
    """Return the verdict on raw rows."""
    answer = pl.DataFrame([CLEAN | row for row in rows], schema=dict.fromkeys(CLEAN, pl.String))
    translated = translate_daily(answer)
    return judge_bars(translated.frame, asked_days=[DAY], securities=securities, unreadable=translated.unreadable)


def test_a_clean_row_passes_without_a_finding() -> None:
    judged = judge({})
    assert judged.accepted.height == 1
    assert judged.rejected.is_empty()
    assert judged.findings.is_empty()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"high": "9.0000", "low": "9.9000"}, "high_below_low"),
        ({"high": "10.1000"}, "high_below_open_or_close"),
        ({"low": "10.1000"}, "low_above_open_or_close"),
        ({"volume": "-1"}, "volume_negative"),
        ({"amount": "-0.0100"}, "amount_negative"),
        ({"turn": "-0.100000"}, "turnover_negative"),
        ({"close": ""}, "close_missing"),
        ({"close": "0.0000"}, "price_not_positive"),
        ({"preclose": "-1.0000"}, "price_not_positive"),
        ({"open": "abc"}, "unreadable_value"),
        ({"volume": "12.5"}, "unreadable_value"),
        ({"code": "600000"}, "unreadable_value"),
        ({"date": "20.11.2026"}, "unreadable_value"),
        ({"tradestatus": "2"}, "unreadable_value"),
        ({"code": "sh.600001"}, "unknown_code"),
        ({"code": "sz.399001"}, "unknown_code"),
        ({"date": "2026-11-19"}, "date_not_asked"),
        ({"adjustflag": "2"}, "adjusted_prices"),
    ],
)
def test_a_planted_error_is_refused_by_its_own_rule(change: dict[str, str], rule: str) -> None:
    judged = judge(change)
    assert judged.accepted.is_empty()
    assert judged.rejected["rule"].to_list() == [rule]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"tradestatus": "0"}, "suspended_with_volume"),
        ({"volume": "0"}, "traded_without_volume"),
        ({"volume": ""}, "traded_without_volume"),
        ({"pctChg": "2.100000"}, "pct_chg_inconsistent"),
    ],
)
def test_an_oddity_is_stored_and_found(change: dict[str, str], rule: str) -> None:
    judged = judge(change)
    assert judged.accepted.height == 1
    assert judged.findings["rule"].to_list() == [rule]


def test_a_first_day_is_extreme_and_right() -> None:
    judged = judge({"preclose": "5.0000", "pctChg": "104.000000"})
    assert judged.findings.select("rule", "severity").rows() == [("extreme_move", "info")]


def test_a_bar_after_the_delisting_is_found() -> None:
    gone = SECURITIES.with_columns(delist_date=pl.lit(DAY))
    assert judge({}, securities=gone).findings["rule"].to_list() == ["outside_listing"]


def test_of_equal_copies_one_stays_and_of_contradicting_ones_none() -> None:
    copies = judge({}, {})
    assert copies.accepted.height == 1
    assert copies.rejected["rule"].to_list() == ["duplicate_key"]
    contradicting = judge({}, {"volume": "7"})
    assert contradicting.accepted.is_empty()
    assert contradicting.rejected["rule"].to_list() == ["duplicate_key"] * 2


def test_every_row_ends_in_exactly_one_place() -> None:
    judged = judge({}, {"high": "1.0000"}, {"code": "x"}, {}, {"date": "2026-11-19"})
    rows = judged.accepted["raw_row"].to_list() + judged.rejected["raw_row"].to_list()
    assert sorted(rows) == [0, 1, 2, 3, 4]


def read_recorded(path: Path) -> pl.DataFrame:
    """Return a recorded file as an answer, absent columns empty."""
    frame = pl.read_csv(path, infer_schema=False).with_columns(pl.all().fill_null(""))
    return frame.with_columns(pl.lit("").alias(name) for name in CLEAN if name not in frame.columns).select(list(CLEAN))


def securities_of(answer: pl.DataFrame) -> pl.DataFrame:
    """Return every code of an answer as listed for ever."""
    codes = translate_daily(answer).frame["ts_code"].unique().drop_nulls()
    return pl.DataFrame({"ts_code": codes}).with_columns(
        list_date=pl.lit(date(1990, 1, 1)), delist_date=pl.lit(None, pl.Date)
    )


FILES = [
    "k_daily_adjustflag3_2010-2024.csv.gz",
    "k_daily_adjustflag3_2020-2025.csv.gz",
    "k_daily_adjustflag3_sh.600000_1999-2023.csv.gz",
    "k_daily_adjustflag1_2012-2023.csv.gz",
    "k_daily_adjustflag2_2000-2020_special.csv.gz",
    "k_daily_adjustflag2_market_2003-11-17.csv.gz",
    "k_daily_adjustflag2_market_2020-08-17_24.csv.gz",
    "k_daily_adjustflag2_market_2026-03-18_04-01.csv.gz",
]
# The recorder's name of a fault -> the rule that finds it row by row.
RULE_OF = {
    "ohlc_violation": {"high_below_low", "high_below_open_or_close", "low_above_open_or_close"},
    "pctChg_inconsistent_with_close_preclose": {"pct_chg_inconsistent"},
    "move_over_20.6pct(IPO/relisting/no-limit)": {"extreme_move"},
    "tradestatus0_with_volume": {"suspended_with_volume"},
    "tradestatus1_without_volume": {"traded_without_volume"},
}


@pytest.mark.parametrize("name", FILES)
def test_every_listed_fault_of_the_recorded_bars_is_found(name: str, recorded_data: Path) -> None:
    folder = recorded_data / "recorded"
    answer = read_recorded(folder / "baostock" / name).with_columns(adjustflag=pl.lit("3"))
    translated = translate_daily(answer)
    days = translated.frame["trade_date"].unique().to_list()
    judged = judge_bars(
        translated.frame, asked_days=days, securities=securities_of(answer), unreadable=translated.unreadable
    )
    told = pl.concat(
        [
            judged.findings.select("ts_code", "trade_date", "rule"),
            judged.rejected.select("ts_code", "trade_date", "rule"),
        ]
    )
    found = {(code, str(day), rule) for code, day, rule in told.iter_rows()}
    listed = pl.read_csv(folder / "ANOMALIES.csv", infer_schema=False).filter(
        (pl.col("file") == name) & pl.col("kind").is_in(list(RULE_OF))
    )
    for kind, code, day in listed.select("kind", "code", "date").iter_rows():
        ts_code = f"{code[3:]}.{code[:2].upper()}"
        assert any((ts_code, day, rule) in found for rule in RULE_OF[kind]), (kind, code, day)


def test_a_reference_price_above_the_last_close_is_found_in_the_recorded_bars(recorded_data: Path) -> None:
    path = recorded_data / "recorded" / "baostock" / "k_daily_adjustflag3_2010-2024.csv.gz"
    bars = translate_daily(read_recorded(path)).frame
    calendar = TradingCalendar.of(bars["trade_date"].unique().to_list())
    nothing = pl.DataFrame(schema={"ts_code": pl.String, "trade_date": pl.Date, "close": pl.Float64})
    found = judge_continuity(bars, nothing, calendar)
    assert ("600028.SH", date(2013, 5, 21)) in set(found.select("ts_code", "trade_date").iter_rows())
    assert found.height < 20


def test_the_last_stored_bar_counts_as_predecessor_only_when_it_is_of_the_session_before() -> None:
    calendar = TradingCalendar.of([date(2026, 11, 18), date(2026, 11, 19), DAY])
    bars = judge({}).accepted
    for day, expected in ((date(2026, 11, 19), 1), (date(2026, 11, 18), 0)):
        previous = pl.DataFrame({"ts_code": ["600000.SH"], "trade_date": [day], "close": [9.5]})
        assert judge_continuity(bars, previous, calendar).height == expected
