from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.storage import coverage
from stock_assets.storage.bulk_load import load
from stock_assets.storage.coverage import day_counts, expected_codes, missing_bars, store_summary
from stock_assets.storage.database import Database
from stock_assets.storage.ledger import write_entry
from stock_assets.storage.raw import save_answer
from stock_assets.storage.reference import save_securities, save_trading_days
from stock_assets.storage.rejects import save_rejected
from stock_assets.storage.tables import TABLES
from stock_assets_tests.storage.made_up_rows import (
    DAY,
    NOW,
    answer,
    bars,
    entry,
    rejected,
    securities,
    security,
    trading_days,
)

DAYS = [DAY + timedelta(offset) for offset in range(5)]
LISTED = date(2000, 1, 3)


@pytest.fixture
def market(database: Database) -> Database:
    """Five open days and a closed one; 000002 lists on the second, 000003 delists on the fourth, one is in Beijing."""
    rows = [
        security("000001.SZ", LISTED),
        security("000002.SZ", DAYS[1]),
        security("000003.SZ", LISTED, DAYS[3]),
        security("920001.BJ", LISTED, board="bse"),
    ]
    with database.begin() as conn:
        save_trading_days(conn, trading_days(DAYS))
        save_trading_days(conn, trading_days([DAYS[4] + timedelta(days=1)], is_open=False))
        save_securities(conn, securities(rows))
    return database


def _fill(database: Database) -> None:
    frames = [bars(["000001.SZ"], DAYS), bars(["000002.SZ"], DAYS[1:]), bars(["000003.SZ"], DAYS[:3])]
    with database.begin() as conn:
        load(conn, STOCK_DAILY, pl.concat(frames))


def _missing(database: Database, **options: object) -> list[tuple[str, date]]:
    with database.read() as conn:
        found = missing_bars(conn, DAYS[0], DAYS[-1] + timedelta(days=9), **({"exclude_exchanges": ["BJ"]} | options))  # pyright: ignore[reportArgumentType]
    return [(row[0], row[1]) for row in found.rows()]


def test_an_empty_store_misses_every_listed_stock_on_every_open_day(market: Database) -> None:
    expected = [("000001.SZ", day) for day in DAYS]
    expected += [("000002.SZ", day) for day in DAYS[1:]] + [("000003.SZ", day) for day in DAYS[:3]]
    assert sorted(_missing(market)) == sorted(expected)
    assert ("920001.BJ", DAYS[0]) in _missing(market, exclude_exchanges=[])


def test_a_complete_store_misses_nothing(market: Database) -> None:
    _fill(market)
    assert _missing(market) == []


def test_one_missing_bar_is_named(market: Database) -> None:
    _fill(market)
    with market.begin() as conn:
        conn.exec_driver_sql(f"DELETE FROM stock_daily WHERE ts_code = '000002.SZ' AND trade_date = '{DAYS[2]}'")  # noqa: S608
    assert _missing(market) == [("000002.SZ", DAYS[2])]
    assert _missing(market, ts_codes=["000001.SZ"]) == []
    assert _missing(market, ts_codes=["000002.SZ"]) == [("000002.SZ", DAYS[2])]
    assert _missing(market, ts_codes=[]) == []


def test_a_bar_that_was_not_expected_does_not_hide_one_that_is_missing(market: Database) -> None:
    _fill(market)
    with market.begin() as conn:
        conn.exec_driver_sql(f"DELETE FROM stock_daily WHERE ts_code = '000001.SZ' AND trade_date = '{DAYS[3]}'")  # noqa: S608
        load(conn, STOCK_DAILY, bars(["000003.SZ", "920001.BJ", "600999.SH"], [DAYS[3]]))
    assert _missing(market) == [("000001.SZ", DAYS[3])]


def test_a_day_is_expected_from_listing_until_the_day_before_delisting(market: Database) -> None:
    closed = DAYS[4] + timedelta(days=1)
    with market.read() as conn:
        found = [expected_codes(conn, day, exclude_exchanges=["BJ"]) for day in (*DAYS, closed)]
        assert expected_codes(conn, DAYS[3]) == ["000001.SZ", "000002.SZ", "920001.BJ"]
    both = ["000001.SZ", "000002.SZ"]
    assert found == [["000001.SZ", "000003.SZ"], [*both, "000003.SZ"], [*both, "000003.SZ"], both, both, []]


def test_a_day_is_told_by_what_should_be_there_what_is_and_what_the_ledger_says(market: Database) -> None:
    _fill(market)
    with market.begin() as conn:
        load(conn, STOCK_DAILY, bars(["000001.SZ"], [DAYS[1]], is_suspended=True))
        load(conn, STOCK_DAILY, bars(["920001.BJ"], [DAYS[1]]))
        save_rejected(conn, "stock_daily", DAYS, rejected("a", "b", day=DAYS[1]))
        save_rejected(conn, "stock_daily", DAYS, rejected("b", day=DAYS[1]))
        write_entry(conn, entry(trade_date=DAYS[1], rows_expected=3, rows_present=3))
        write_entry(conn, entry(dataset="adjust_factor", trade_date=DAYS[0]))
        conn.exec_driver_sql(f"DELETE FROM stock_daily WHERE ts_code = '000002.SZ' AND trade_date = '{DAYS[4]}'")  # noqa: S608
        found = day_counts(conn, DAYS[0], DAYS[4] + timedelta(days=9), exclude_exchanges=["BJ"])
    columns = ("expected", "present", "unexpected", "suspended", "rejected", "source_has_none", "status")
    assert found.columns == ["trade_date", *columns]
    assert found["trade_date"].to_list() == DAYS
    assert found.select(columns).rows() == [
        (2, 2, 0, 0, 0, 0, None),
        (3, 3, 1, 1, 1, 0, "complete"),
        (3, 3, 0, 0, 0, 0, None),
        (2, 2, 0, 0, 0, 0, None),
        (2, 1, 0, 0, 0, 0, None),
    ]


LIFE = st.tuples(st.integers(-3, 6), st.none() | st.integers(0, 6))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lives=st.lists(LIFE, min_size=1, max_size=5),
    open_days=st.sets(st.sampled_from(DAYS)),
    present=st.sets(st.tuples(st.integers(1, 6), st.sampled_from(DAYS))),
)
def test_what_is_missing_is_what_was_expected_less_what_is_there(
    database: Database,
    lives: list[tuple[int, int | None]],
    open_days: set[date],
    present: set[tuple[int, date]],
) -> None:
    listings = {
        f"{number:06d}.SZ": (
            DAY + timedelta(start),
            None if length is None else DAY + timedelta(start + length),
        )
        for number, (start, length) in enumerate(lives, 1)
    }
    stored = {(f"{number:06d}.SZ", day) for number, day in present}
    expected = {
        (code, day)
        for code, (first, end) in listings.items()
        for day in open_days
        if first <= day and (end is None or day < end)
    }
    with database.engine.connect() as conn:
        save_trading_days(conn, trading_days(open_days))
        save_trading_days(conn, trading_days(set(DAYS) - open_days, is_open=False))
        save_securities(conn, securities([security(code, first, end) for code, (first, end) in listings.items()]))
        load(conn, STOCK_DAILY, pl.concat([STOCK_DAILY.empty(), *(bars([code], [day]) for code, day in stored)]))
        found = missing_bars(conn, DAYS[0], DAYS[-1])
        counts = {row[0]: row[1:4] for row in day_counts(conn, DAYS[0], DAYS[-1]).rows()}
        codes = {(code, day) for day in DAYS for code in expected_codes(conn, day)}
        conn.rollback()
    assert found.rows() == sorted(expected - stored, key=lambda bar: (bar[1], bar[0]))
    assert codes == expected
    for day in open_days:
        due = {code for code, when in expected if when == day}
        there = {code for code, when in stored if when == day}
        assert counts[day] == (len(due), len(due & there), len(there - due))


def test_the_summary_says_how_much_every_table_holds(market: Database) -> None:
    _fill(market)
    with market.begin() as conn:
        baostock = next(table for table in TABLES if table.name == "raw_baostock_daily")
        save_answer(conn, baostock, answer(["sh.600000", "sz.000001"]), fetched_at=NOW, run_id=None)
    with market.read() as conn:
        found = {row["table"]: row for row in store_summary(conn).iter_rows(named=True)}
    assert list(found) == [table.name for table in TABLES]
    assert all(row["bytes"] > 0 for row in found.values())
    shown = ("rows", "is_estimate", "days", "codes", "first_day", "last_day")
    assert tuple(found["stock_daily"][name] for name in shown) == (12, False, 5, 3, DAYS[0], DAYS[4])
    assert tuple(found["raw_baostock_daily"][name] for name in shown) == (2, False, 1, 2, DAY, DAY)
    assert tuple(found["security"][name] for name in shown) == (4, False, None, 4, None, None)
    assert tuple(found["rejected_row"][name] for name in shown) == (0, False, 0, 0, None, None)


def test_a_large_tables_rows_are_the_servers_estimate_and_say_so(
    market: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(market)
    with market.begin() as conn:
        conn.exec_driver_sql("ANALYZE stock_daily")
    monkeypatch.setattr(coverage, "_EXACT_UP_TO", 5)
    with market.read() as conn:
        row = store_summary(conn).row(by_predicate=pl.col("table") == "stock_daily", named=True)
    assert (row["rows"], row["is_estimate"]) == (12, True)
