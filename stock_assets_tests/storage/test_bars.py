from datetime import date, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.storage.bars import (
    previous_closes,
    read_bars,
    read_factors,
)
from stock_assets.storage.bulk_load import load
from stock_assets.storage.database import Database
from stock_assets.storage.reference import (
    read_securities,
    read_trading_days,
    save_securities,
    save_trading_days,
)
from stock_assets_tests.storage.made_up_rows import (
    DAY,
    LATER,
    NOW,
    bars,
    frame_of,
    securities,
    security,
    trading_days,
)

DAYS = [DAY + timedelta(offset) for offset in range(4)]
LISTED = date(2000, 1, 3)


@pytest.fixture
def filled(database: Database) -> Database:
    """Four days; 000002 stops after the first, 000003 begins on the third, 000004 misses the third."""
    frames = [
        bars(["000001.SZ", "600000.SH"], DAYS),
        bars(["000002.SZ"], DAYS[:1], close=9.75),
        bars(["000003.SZ"], DAYS[2:]),
        bars(["000004.SZ"], [DAYS[0], DAYS[1], DAYS[3]], close=10.25),
    ]
    with database.begin() as conn:
        codes = [f"{number:06d}.SZ" for number in range(1, 7)] + ["600000.SH"]
        save_securities(conn, securities([security(code, LISTED) for code in codes]))
        load(conn, STOCK_DAILY, pl.concat(frames))
    return database


def test_bars_come_in_key_order_within_the_days_that_were_asked(filled: Database) -> None:
    with filled.read() as conn:
        found = read_bars(conn, None, DAYS[1], DAYS[2])
        assert found.schema == pl.Schema(STOCK_DAILY.schema)
        assert found.select("ts_code", "trade_date").rows() == [
            ("000001.SZ", DAYS[1]),
            ("000001.SZ", DAYS[2]),
            ("000003.SZ", DAYS[2]),
            ("000004.SZ", DAYS[1]),
            ("600000.SH", DAYS[1]),
            ("600000.SH", DAYS[2]),
        ]
        assert_frame_equal(found, STOCK_DAILY.conform(found))


def test_only_the_asked_codes_are_read(filled: Database) -> None:
    with filled.read() as conn:
        found = read_bars(conn, ["600000.SH", "000002.SZ", "999999.SH"], DAYS[0], DAYS[3])
        assert found["ts_code"].to_list() == ["000002.SZ"] + ["600000.SH"] * 4
        assert read_bars(conn, [], DAYS[0], DAYS[3]).equals(STOCK_DAILY.empty())
        assert read_bars(conn, ["'; DROP TABLE stock_daily; --"], DAYS[0], DAYS[3]).is_empty()


@pytest.mark.parametrize("day", [*DAYS, DAYS[3] + timedelta(days=10)])
def test_the_previous_close_is_the_last_bar_before_the_day_however_long_ago(filled: Database, day: date) -> None:
    with filled.read() as conn:
        found = previous_closes(conn, day)
        before = read_bars(conn, None, DAYS[0], day - timedelta(days=1))
    expected = before.group_by("ts_code").last().select("ts_code", "close", "trade_date").sort("ts_code")
    assert_frame_equal(found, expected)


def test_before_the_first_bar_there_is_no_previous_close(database: Database) -> None:
    with database.read() as conn:
        assert previous_closes(conn, DAY).is_empty()


def test_a_code_that_no_list_knows_has_a_previous_close_when_it_traded_last_session(database: Database) -> None:
    with database.begin() as conn:
        load(conn, STOCK_DAILY, bars(["000009.SZ"], DAYS[:1]))
        assert previous_closes(conn, DAYS[1]).rows() == [("000009.SZ", 10.5, DAYS[0])]


def test_factors_are_read_by_code_and_ex_date(database: Database) -> None:
    common = {"source": "baostock", "updated_at": NOW}
    rows = [
        {"ts_code": code, "ex_date": day, "back_adjust_factor": 1.0 + number} | common
        for code in ("000001.SZ", "600000.SH")
        for number, day in enumerate(DAYS)
    ]
    frame = frame_of(ADJUST_FACTOR, rows)
    with database.begin() as conn:
        load(conn, ADJUST_FACTOR, frame.reverse())
        assert_frame_equal(read_factors(conn, None), frame)
        assert_frame_equal(read_factors(conn, ["600000.SH"], DAYS[1], DAYS[2]), frame[5:7])
        assert read_factors(conn, None, start=DAYS[3])["back_adjust_factor"].to_list() == [4.0, 4.0]
        assert read_factors(conn, None, end=DAYS[0])["back_adjust_factor"].to_list() == [1.0, 1.0]
        assert read_factors(conn, []).is_empty()


def test_the_calendar_comes_back_as_it_was_saved(database: Database) -> None:
    frame = pl.concat([trading_days(DAYS[2:], is_open=False), trading_days(DAYS[:2])])
    with database.begin() as conn:
        assert save_trading_days(conn, frame).inserted == 4
        assert_frame_equal(read_trading_days(conn), frame.sort("trade_date"))
        assert save_trading_days(conn, frame.with_columns(updated_at=pl.lit(LATER))).unchanged == 4


def test_a_security_that_vanishes_from_a_later_answer_is_kept(database: Database) -> None:
    both = securities([security("000001.SZ", LISTED), security("600000.SH", LISTED)])
    delisted = securities([security("600000.SH", LISTED, DAY, status="delisted")])
    with database.begin() as conn:
        save_securities(conn, both)
        assert save_securities(conn, delisted).updated == 1
        assert read_securities(conn).select("ts_code", "status").rows() == [
            ("000001.SZ", "listed"),
            ("600000.SH", "delisted"),
        ]
