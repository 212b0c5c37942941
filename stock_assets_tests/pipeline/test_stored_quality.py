"""The rules of quality on what a real store holds."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

import polars as pl
import pytest

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.domain.contract import Table
from stock_assets.domain.tables import ADJUST_FACTOR, SECURITY, STOCK_DAILY
from stock_assets.pipeline.compute import compute_technicals
from stock_assets.pipeline.stored_quality import judge_stored
from stock_assets.pipeline.technical_context import TechnicalContext
from stock_assets.quality.catalog import rule_of
from stock_assets.quality.findings import STORED_FINDING_SCHEMA
from stock_assets.storage import bulk_load, ledger, reference
from stock_assets.storage.database import Database
from stock_assets_tests.storage.made_up_rows import entry

NOW = datetime(2026, 11, 21, tzinfo=UTC)
DAYS = [date(2026, 11, 18), date(2026, 11, 19), date(2026, 11, 20)]
CALENDAR = TradingCalendar.of(DAYS)
STAMP = {"source": "baostock", "updated_at": NOW}


@pytest.fixture
def store(database: Database) -> Database:
    """Two stocks over three days, without a fault."""
    codes = ("600000.SH", "000001.SZ")
    securities = [
        {"ts_code": code, "name": code, "exchange": code[7:], "board": "main", "list_date": date(1999, 11, 10),
         "delist_date": None, "status": "listed", "former_codes": None, **STAMP}
        for code in codes
    ]  # fmt: skip
    bars = [
        {"ts_code": code, "trade_date": day, "open": 10.0, "high": 10.5, "low": 9.9, "close": 10.2, "pre_close": pre_close,
         "volume": volume, "amount": volume * 10.15, "turnover_rate": volume / 2e6, "pct_chg": (10.2 / pre_close - 1) * 100,
         "is_suspended": False, "is_st": False, "pe_ttm": 5.0, "pb_mrq": 0.5, "ps_ttm": 1.0, "pcf_ncf_ttm": None, **STAMP}
        for code in codes
        for day, pre_close, volume in zip(DAYS, (10.0, 10.2, 10.2), (1_000_000, 1_100_000, 1_200_000), strict=True)
    ]  # fmt: skip
    with database.begin() as conn:
        reference.save_securities(conn, SECURITY.conform(pl.DataFrame(securities, schema=SECURITY.schema)))
        bulk_load.load(conn, STOCK_DAILY, STOCK_DAILY.conform(pl.DataFrame(bars, schema=STOCK_DAILY.schema)))
    return database


def change(store: Database, **values: float) -> None:
    """Change the newest bar of 600000.SH."""
    with store.begin() as conn:
        sets = ", ".join(f"{name} = {value}" for name, value in values.items())
        conn.exec_driver_sql(
            f"UPDATE stock_daily SET {sets} WHERE ts_code = '600000.SH' AND trade_date = '2026-11-20'"  # noqa: S608
        )


def test_nothing_is_said_of_a_clean_store(store: Database) -> None:
    found = judge_stored(store, CALENDAR, DAYS)
    assert found.schema == STORED_FINDING_SCHEMA
    assert found.rows() == []


def test_what_is_wrong_in_the_store_is_found_with_what_repairs_it(store: Database) -> None:
    change(store, pct_chg=5.0)
    (finding,) = judge_stored(store, CALENDAR, DAYS).iter_rows(named=True)
    assert (finding["dataset"], finding["ts_code"], finding["trade_date"]) == ("stock_daily", "600000.SH", DAYS[-1])
    assert (finding["rule"], finding["severity"]) == ("pct_chg_inconsistent", "warning")
    rule = rule_of(finding["dataset"], finding["rule"])
    assert rule.repair_of(finding["trade_date"], finding["ts_code"]) == "stock-assets nightly --date 2026-11-20"


def test_only_the_asked_days_and_stocks_are_judged(store: Database) -> None:
    change(store, pct_chg=5.0)
    assert judge_stored(store, CALENDAR, DAYS[:2]).is_empty()
    assert judge_stored(store, CALENDAR, DAYS, ts_codes=["000001.SZ"]).is_empty()
    assert judge_stored(store, CALENDAR, DAYS[2:], ts_codes=["600000.SH"]).height == 1


def test_nothing_is_said_of_no_days(store: Database) -> None:
    assert judge_stored(store, CALENDAR, []).rows() == []


def add(store: Database, table: Table, *rows: dict[str, object]) -> None:
    """Put rows into a table."""
    with store.begin() as conn:
        bulk_load.load(conn, table, table.conform(pl.DataFrame(rows, schema=table.schema)))


def closed(store: Database, dataset: str, days: Sequence[date]) -> None:
    """Let the ledger say that these days are whole."""
    with store.begin() as conn:
        for day in days:
            ledger.write_entry(conn, entry(trade_date=day, dataset=dataset))


def test_a_lowered_reference_price_wants_a_factor_where_factors_are_loaded(store: Database) -> None:
    change(store, pre_close=9.7, pct_chg=(10.2 / 9.7 - 1) * 100)
    assert judge_stored(store, CALENDAR, DAYS).is_empty()
    closed(store, ADJUST_FACTOR.name, DAYS)
    (finding,) = judge_stored(store, CALENDAR, DAYS).iter_rows(named=True)
    assert (finding["dataset"], finding["rule"]) == ("adjust_factor", "ex_date_without_factor")
    add(store, ADJUST_FACTOR, {"ts_code": "600000.SH", "ex_date": DAYS[-1], "back_adjust_factor": 10.2 / 9.7, **STAMP})
    assert judge_stored(store, CALENDAR, DAYS).is_empty()


def test_a_bar_between_sessions_is_found_with_the_session_after_it(store: Database) -> None:
    calendar = TradingCalendar.of(DAYS[::2], known_until=DAYS[-1])
    found = judge_stored(store, calendar, [DAYS[-1]], datasets=["stock_daily"])
    assert set(found.select("trade_date", "rule").iter_rows()) == {(DAYS[1], "not_a_session")}
    assert judge_stored(store, calendar, [DAYS[0]]).is_empty()


def test_only_the_asked_datasets_are_told_of(store: Database) -> None:
    change(store, pct_chg=5.0)
    assert judge_stored(store, CALENDAR, DAYS, datasets=["adjust_factor", "finance_indicator"]).is_empty()
    assert judge_stored(store, CALENDAR, DAYS, datasets=["stock_daily"]).height == 1


def test_indicators_are_judged_by_themselves_by_their_bars_and_by_a_sample_computed_again(store: Database) -> None:
    closed(store, STOCK_DAILY.name, DAYS)
    context = TechnicalContext(database=store, calendar=CALENDAR, now=lambda: NOW)
    assert compute_technicals(context, DAYS).outcomes
    assert judge_stored(store, CALENDAR, DAYS, sample=context).is_empty()
    with store.begin() as conn:
        of_day = "WHERE trade_date = '2026-11-20' AND ts_code ="
        conn.exec_driver_sql(f"UPDATE technical_daily SET ema_30 = ema_30 + 1 {of_day} '600000.SH'")  # noqa: S608
        conn.exec_driver_sql(f"UPDATE technical_daily SET rsi_6 = 200 {of_day} '000001.SZ'")  # noqa: S608
    unsampled = {("indicator_out_of_bounds", "000001.SZ")}
    told = judge_stored(store, CALENDAR, DAYS).select("rule", "ts_code")
    assert set(told.iter_rows()) == unsampled
    sampled = judge_stored(store, CALENDAR, DAYS, sample=context)
    assert set(sampled.select("rule", "ts_code").iter_rows()) == unsampled | {
        ("indicator_recomputed_differs", "600000.SH"),
        ("indicator_recomputed_differs", "000001.SZ"),
    }
    commands = {
        rule_of(*key).repair_of(day, code)
        for *key, day, code in sampled.select("dataset", "rule", "trade_date", "ts_code").iter_rows()
    }
    assert "stock-assets backfill-technicals --start 2026-11-20 --end 2026-11-20 --again --codes 600000.SH" in commands
