"""The stocks of a day: those that left included, a security with a new number once, the flags of that day."""

import time
from datetime import date, timedelta

import polars as pl
import pytest

from stock_assets.domain.tables import ADJUST_FACTOR, SECURITY, STOCK_DAILY
from stock_assets.domain.universe import with_lives_cut
from stock_assets.storage.bulk_load import load
from stock_assets.storage.database import Database
from stock_assets.storage.reader import Reader
from stock_assets_tests.storage.made_up_rows import NOW, bars, frame_of, securities, security

OLD, NEW, CHANGED_ON = "000022.SZ", "001872.SZ", date(2018, 12, 26)
BEGAN = date(1993, 5, 5)
DAY = timedelta(days=1)


@pytest.fixture
def market(database: Database) -> Reader:
    """A stock with a new number, one that left, one of Beijing that is known by its newest number alone."""
    told = securities(
        [
            security(OLD, BEGAN, CHANGED_ON, name="深赤湾A", status="delisted"),
            security(NEW, BEGAN, name="招商港口", former_codes=OLD),
            security("000024.SZ", date(1993, 6, 7), date(2015, 12, 30), status="delisted"),
            security("920047.BJ", date(2020, 11, 24), board="bse", former_codes="430047.BJ"),
            security("600000.SH", date(1999, 11, 10)),
        ]
    )
    with database.begin() as conn:
        load(conn, SECURITY, with_lives_cut(told, told.clear()))
        load(conn, STOCK_DAILY, bars([OLD], [CHANGED_ON - DAY], is_st=True, close=20.0, high=20.0))
        load(conn, STOCK_DAILY, bars([NEW], [CHANGED_ON, CHANGED_ON + DAY], is_suspended=True, close=10.0))
        factors = [(OLD, date(2017, 6, 1), 3.0), (NEW, CHANGED_ON + DAY, 2.0)]
        load(
            conn,
            ADJUST_FACTOR,
            frame_of(
                ADJUST_FACTOR,
                [
                    {
                        "ts_code": code,
                        "ex_date": day,
                        "back_adjust_factor": factor,
                        "source": "baostock",
                        "updated_at": NOW,
                    }
                    for code, day, factor in factors
                ],
            ),
        )
    return Reader(database)


def test_a_security_is_counted_once_under_the_code_of_the_day(market: Reader) -> None:
    before, after = market.universe(CHANGED_ON - DAY), market.universe(CHANGED_ON)
    names = ("ts_code", "name", "list_date", "delist_date", "is_st", "is_suspended", "security_code")
    assert before.filter(pl.col("security_code") == NEW).select(names).rows() == [
        (OLD, "深赤湾A", BEGAN, None, True, False, NEW)
    ]
    assert after.filter(pl.col("security_code") == NEW).select(names).rows() == [
        (NEW, "招商港口", BEGAN, None, False, True, NEW)
    ]


def test_a_stock_that_has_left_since_was_there_until_the_day_before(market: Reader) -> None:
    assert "000024.SZ" in market.universe(date(2015, 12, 29))["ts_code"]
    assert "000024.SZ" not in market.universe(date(2015, 12, 30))["ts_code"]
    assert market.universe(date(1990, 12, 19)).is_empty()


def test_a_stock_without_a_bar_of_the_day_is_listed_with_unknown_flags(market: Reader) -> None:
    (row,) = market.universe(date(2021, 1, 4)).filter(pl.col("ts_code") == "920047.BJ").rows(named=True)
    assert (row["is_st"], row["is_suspended"], row["security_code"]) == (None, None, "920047.BJ")


def test_plain_sql_gives_the_same(market: Reader, database: Database) -> None:
    with database.read() as conn:
        found = conn.exec_driver_sql("SELECT ts_code FROM universe('2018-12-26') ORDER BY 1").scalars().all()
    assert list(found) == market.universe(CHANGED_ON)["ts_code"].to_list() == [NEW, "600000.SH"]


@pytest.mark.parametrize("code", [OLD, NEW])
def test_the_bars_of_a_whole_life_are_one_series_whose_prices_go_on(market: Reader, code: str) -> None:
    raw = market.whole_lives([code])
    assert raw.select("ts_code", "trade_date", "close", "traded_as").rows() == [
        (NEW, CHANGED_ON - DAY, 20.0, OLD),
        (NEW, CHANGED_ON, 10.0, NEW),
        (NEW, CHANGED_ON + DAY, 10.0, NEW),
    ]
    adjusted = market.whole_lives([code], adjust="hfq")
    assert adjusted["close"].to_list() == [60.0, 30.0, 60.0]
    forward = market.whole_lives([code], adjust="qfq", anchor=CHANGED_ON + DAY)
    assert forward["close"].to_list() == [10.0, 5.0, 10.0]
    assert market.bars([OLD])["ts_code"].to_list() == [OLD], "and without asking for it, a code is a code"


def test_the_whole_market_of_a_day_takes_less_than_a_second(database: Database) -> None:
    codes = [f"{number:06d}.SH" for number in range(600000, 606000)]
    with database.begin() as conn:
        load(conn, SECURITY, securities([security(code, BEGAN) for code in codes]))
        load(conn, STOCK_DAILY, bars(codes, [CHANGED_ON, CHANGED_ON + DAY]))
    reader = Reader(database)
    reader.universe(CHANGED_ON)
    began = time.perf_counter()
    assert reader.universe(CHANGED_ON)["is_st"].null_count() == 0
    assert time.perf_counter() - began < 1
