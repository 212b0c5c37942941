import threading
from datetime import date, timedelta

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from psycopg import sql

from stock_assets.domain.contract import Table
from stock_assets.domain.errors import DataRefused
from stock_assets.domain.tables import QUALITY_FINDING, STOCK_DAILY, TRADING_DAY
from stock_assets.storage import copy_frames
from stock_assets.storage.bars import read_bars, rows_of_day
from stock_assets.storage.bulk_load import Counts, load, stage
from stock_assets.storage.copy_frames import RowsExist, columns_of, copy_out
from stock_assets.storage.database import Database
from stock_assets.storage.layout import rows_of
from stock_assets.storage.tables import TABLES
from stock_assets_tests.storage.made_up_rows import (
    BAR,
    DAY,
    LATER,
    NOW,
    bars,
    frame_of,
    trading_days,
    wait_until_blocked,
)

CODES = [f"{number:06d}.SZ" for number in range(1, 6)]
DAYS = [DAY + timedelta(offset) for offset in range(3)]


@pytest.fixture(params=["partitions", "packed", "hypertable"])
def database(request: pytest.FixtureRequest, database: Database) -> Database:
    """A store in each form in which bars are held."""
    if request.param == "hypertable":
        return request.getfixturevalue("timescale_database")
    return request.getfixturevalue("packed_database") if request.param == "packed" else database


def _versions(conn: sa.Connection, table: str = "stock_daily") -> list[tuple[object, ...]]:
    """Where every row lies and which transaction wrote and locked it: any write at all changes this."""
    held = rows_of(conn, table)
    query = sa.text(f"SELECT ctid::text, xmin::text, xmax::text FROM {held} ORDER BY 1")  # noqa: S608
    return [tuple(row) for row in conn.execute(query)]


def _stored(conn: sa.Connection, table: Table) -> pl.DataFrame:
    query = sql.SQL("SELECT {} FROM {}").format(columns_of(table), sql.Identifier(table.name))
    return copy_out(conn, query, table.schema).sort(table.key)


def test_loading_the_same_again_writes_nothing_at_all(database: Database) -> None:
    frame = bars(CODES, DAYS)
    with database.begin() as conn:
        assert load(conn, STOCK_DAILY, frame) == Counts(inserted=15)
    with database.begin() as conn:
        before = _versions(conn)
    with database.begin() as conn:
        assert load(conn, STOCK_DAILY, frame.reverse()) == Counts(unchanged=15)
    with database.begin() as conn:
        assert load(conn, STOCK_DAILY, frame.with_columns(updated_at=pl.lit(LATER))) == Counts(unchanged=15)
        assert _versions(conn) == before
        assert set(_stored(conn, STOCK_DAILY)["updated_at"]) == {NOW}


def test_only_rows_that_differ_are_written_and_they_get_the_new_time(database: Database) -> None:
    with database.begin() as conn:
        load(conn, STOCK_DAILY, bars(CODES, [DAY]))
    second = pl.concat([bars(CODES[:1], [DAY], close=10.75), bars(CODES[1:3], [DAY]), bars(["600000.SH"], [DAY])])
    with database.begin() as conn:
        before = set(_versions(conn))
        counts = load(conn, STOCK_DAILY, second.with_columns(updated_at=pl.lit(LATER)))
        assert counts == Counts(inserted=1, updated=1, unchanged=2)
        assert counts.written == 2
        assert len(before & set(_versions(conn))) == 4
        changed = rows_of_day(conn, DAY).filter(pl.col("updated_at") == LATER)
    assert changed["ts_code"].to_list() == ["000001.SZ", "600000.SH"]
    assert changed["close"].to_list() == [10.75, 10.5]


def test_a_value_that_becomes_null_or_comes_back_is_a_change(database: Database) -> None:
    with database.begin() as conn:
        for pe_ttm, expected in ((1.0, Counts(1)), (None, Counts(0, 1)), (None, Counts(0, 0, 1)), (2.0, Counts(0, 1))):
            assert load(conn, STOCK_DAILY, bars(CODES[:1], [DAY], pe_ttm=pe_ttm)) == expected
            assert rows_of_day(conn, DAY)["pe_ttm"].item() == pe_ttm


def test_rows_of_other_keys_are_left_alone(database: Database) -> None:
    with database.begin() as conn:
        load(conn, STOCK_DAILY, bars(CODES, DAYS))
        load(conn, STOCK_DAILY, bars(CODES[:1], DAYS[:1], close=9.75))
        assert read_bars(conn, None, DAYS[0], DAYS[-1]).height == 15


def test_an_empty_frame_is_no_work(database: Database) -> None:
    with database.begin() as conn:
        assert load(conn, STOCK_DAILY, STOCK_DAILY.empty()) == Counts()


@pytest.mark.parametrize("is_new", [True, False])
def test_every_value_comes_back_as_it_went_in(database: Database, *, is_new: bool) -> None:
    texts = [
        "",
        "\\N",
        "\\.",
        "NULL",
        'a "quoted", one',
        "two\nlines\r\nthree",
        " spaced ",
        "中文，逗号",
        "\t",
        "''",
        "\x01",
    ]
    rows: list[dict[str, object]] = [
        {
            "dataset": "stock_daily",
            "trade_date": DAY,
            "ts_code": f"{number:06d}.SZ",
            "rule": text,
            "severity": "info",
            "detail": text,
            "run_id": None if text == "NULL" else text,
            "found_at": NOW.replace(microsecond=123456),
        }
        for number, text in enumerate(texts)
    ]
    frame = frame_of(QUALITY_FINDING, rows)
    with database.begin() as conn:
        load(conn, QUALITY_FINDING, frame, is_new=is_new)
        assert_frame_equal(_stored(conn, QUALITY_FINDING), frame.sort(QUALITY_FINDING.key), check_exact=True)
        nulls = conn.scalar(sa.text("SELECT count(*) FROM quality_finding WHERE run_id IS NULL"))
    assert nulls == 1


def test_numbers_keep_their_last_bit(database: Database) -> None:
    values = [0.1 + 0.2, 5e-324, 1.7976931348623157e308, 1 / 3, -1e-7, 0.0, 123456789.123456789]
    rows = [BAR | {"ts_code": f"{n:06d}.SZ", "pe_ttm": value, "volume": 2**53 + n} for n, value in enumerate(values)]
    frame = frame_of(STOCK_DAILY, rows)
    with database.begin() as conn:
        load(conn, STOCK_DAILY, frame)
        assert_frame_equal(rows_of_day(conn, DAY), frame, check_exact=True)
        assert load(conn, STOCK_DAILY, frame) == Counts(unchanged=len(values))


def test_a_frame_longer_than_a_block_arrives_whole(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_frames, "BLOCK_ROWS", 4)
    frame = bars(CODES, DAYS)
    with database.begin() as conn:
        assert load(conn, STOCK_DAILY, frame) == Counts(inserted=15)
        assert_frame_equal(read_bars(conn, None, DAYS[0], DAYS[-1]), frame.sort(STOCK_DAILY.key))


def test_rows_that_were_thought_new_and_are_not_are_compared_after_all(database: Database) -> None:
    with database.begin() as conn:
        assert load(conn, STOCK_DAILY, bars(CODES[:2], [DAY]), is_new=True) == Counts(inserted=2)
    with database.begin() as conn:
        load(conn, TRADING_DAY, trading_days(DAYS))
        frame = pl.concat([bars(CODES[:1], [DAY]), bars(CODES[1:], [DAY], close=9.75)])
        assert load(conn, STOCK_DAILY, frame, is_new=True) == Counts(inserted=3, updated=1, unchanged=1)
    with database.begin() as conn:
        assert rows_of_day(conn, DAY)["close"].to_list() == [10.5, 9.75, 9.75, 9.75, 9.75]
        # What the transaction did before is not lost with the attempt.
        assert _stored(conn, TRADING_DAY).height == 3


def test_new_rows_go_straight_into_their_table(database: Database) -> None:
    with database.begin() as conn:
        load(conn, STOCK_DAILY, bars(CODES, DAYS).reverse(), is_new=True)
        held = rows_of(conn, "stock_daily")
        assert conn.scalar(sa.text(f"SELECT to_regclass('_tmp_{held}')")) is None
        in_place = conn.execute(sa.text(f"SELECT ts_code, trade_date FROM {held} ORDER BY ctid")).all()  # noqa: S608
    assert [tuple(row) for row in in_place] == sorted(tuple(row) for row in in_place)


def test_a_copy_that_fails_is_told_and_its_rows_go_in_all_the_same(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(copy_frames, "BLOCK_ROWS", 4)
    frame = bars(CODES, DAYS, pe_ttm=None)
    with database.begin() as conn:
        # PostgreSQL copies into no view, but inserts into one.
        conn.execute(sa.text("CREATE VIEW door AS SELECT * FROM stock_daily"))
        copy_frames.copy_in(conn, "door", frame)
        assert_frame_equal(_stored(conn, STOCK_DAILY), frame.sort(STOCK_DAILY.key), check_exact=True)
    said = capsys.readouterr().out
    assert said.count("copy.fallback") == 4
    assert "cannot copy to view" in said


def test_a_value_that_no_column_can_hold_is_refused_by_name(database: Database) -> None:
    with pytest.raises(DataRefused, match="stock_daily"), database.begin() as conn:
        load(conn, STOCK_DAILY, bars(CODES[:1], [DAY], source="zero\x00byte"))


def test_a_row_that_breaks_a_rule_of_the_database_is_refused_by_name(database: Database) -> None:
    impossible = bars(CODES[:1], [DAY], high=1.0)
    for is_new in (False, True):
        with pytest.raises(DataRefused, match="ck_stock_daily_high") as caught, database.begin() as conn:
            load(conn, STOCK_DAILY, impossible, is_new=is_new)
        assert not isinstance(caught.value, RowsExist)


def test_the_waiting_room_holds_the_last_frame_only_and_goes_with_the_transaction(database: Database) -> None:
    with database.begin() as conn:
        stage(conn, TRADING_DAY, trading_days(DAYS))
        staged = stage(conn, TRADING_DAY, trading_days(DAYS[:1]))
        assert conn.scalar(sa.select(sa.func.count()).select_from(staged)) == 1
    with database.begin() as conn:
        assert conn.scalar(sa.text("SELECT to_regclass('_tmp_trading_day')")) is None


def test_every_table_with_a_key_can_wait_beside_its_target(database: Database) -> None:
    with database.begin() as conn:
        for table in (table for table in TABLES if table.key):
            staged = stage(conn, table, table.empty())
            assert staged.columns.keys() == table.names
            assert conn.execute(sa.select(staged)).all() == []


ROWS = st.dictionaries(
    st.tuples(st.sampled_from(CODES), st.sampled_from(DAYS)),
    st.tuples(st.sampled_from([None, 0.0, 1.5, 2.5]), st.sampled_from(["", "a", "b"]), st.sampled_from([NOW, LATER])),
    max_size=8,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(loads=st.lists(ROWS, min_size=1, max_size=5))
def test_whatever_is_loaded_in_whatever_order_the_last_writer_stands_and_the_counts_add_up(
    database: Database, loads: list[dict[tuple[str, date], tuple[float | None, str, object]]]
) -> None:
    stored: dict[tuple[str, date], tuple[float | None, str, object]] = {}
    with database.engine.connect() as conn:
        for rows_by_key in loads:
            rows = [
                BAR | {"ts_code": code, "trade_date": day, "ps_ttm": ratio, "source": source, "updated_at": at}
                for (code, day), (ratio, source, at) in rows_by_key.items()
            ]
            counts = load(conn, STOCK_DAILY, frame_of(STOCK_DAILY, rows), run_id="run")
            new = {key for key in rows_by_key if key not in stored}
            changed = {key for key in rows_by_key if key in stored and stored[key][:2] != rows_by_key[key][:2]}
            assert counts == Counts(len(new), len(changed), len(rows_by_key) - len(new) - len(changed))
            stored |= {key: rows_by_key[key] for key in new | changed}
            found = read_bars(conn, None, DAYS[0], DAYS[-1])
            columns = found.select("ts_code", "trade_date", "ps_ttm", "source").rows()
            assert {(row[0], row[1]): row[2:] for row in columns} == {key: row[:2] for key, row in stored.items()}
        conn.rollback()


def test_two_writers_of_one_day_wait_for_each_other_and_the_last_one_stands(database: Database) -> None:
    """Both find the day empty; the second is stopped by the first one's keys, and must then update them."""
    mine, yours = bars(CODES, [DAY], close=10.25), bars(CODES, [DAY], close=10.75)
    results: list[Counts] = []

    def write_yours() -> None:
        with database.begin() as conn:
            results.append(load(conn, STOCK_DAILY, yours))

    second = threading.Thread(target=write_yours)
    with database.begin() as conn:
        assert load(conn, STOCK_DAILY, mine) == Counts(inserted=5)
        second.start()
        wait_until_blocked(database)
    second.join(30)
    assert results == [Counts(updated=5)]
    with database.read() as conn:
        assert rows_of_day(conn, DAY)["close"].to_list() == [10.75] * 5


def test_many_writers_of_one_day_lose_and_double_nothing(database: Database) -> None:
    results: list[Counts] = []
    start = threading.Barrier(4)

    def write(number: int) -> None:
        frame = bars([f"{code:06d}.SZ" for code in range(number * 50, number * 50 + 100)], [DAY])
        start.wait()
        with database.begin() as conn:
            results.append(load(conn, STOCK_DAILY, frame))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 4
    assert sum(counts.inserted for counts in results) == 250
    assert sum(counts.unchanged for counts in results) == 150
    with database.read() as conn:
        assert rows_of_day(conn, DAY).height == 250
