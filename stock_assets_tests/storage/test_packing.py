"""Packed bars come back to the last bit, whatever is in them, on any PostgreSQL."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from stock_assets.domain.errors import DataRefused
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.storage.bars import read_bars
from stock_assets.storage.bulk_load import Counts, load
from stock_assets.storage.copy_frames import driver
from stock_assets.storage.database import Database
from stock_assets.storage.packing import PACKED, PRICES, RATES, SCALED, pack, packing
from stock_assets_tests.benchmarks import made_up_bars
from stock_assets_tests.storage.made_up_rows import BAR, DAY, LATER, NOW, bars, frame_of
from stock_assets_tests.storage.recorded_bars import recorded_bars

ODD = [3.0000001, 1e17, 0.1 + 0.2, 5e-324, 1.7976931348623157e308, 1 / 3, 1e-7, -0.0, 2.0**42 / 100, 1e9, 1.1 * 1.1]
CENTS = st.integers(0, 10**6).map(lambda number: number / 100)
MILLIONTHS = st.none() | st.integers(-(10**11), 10**11).map(lambda number: number / 1e6)
ANY = (
    st.sampled_from(ODD)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(0, 10**7).map(lambda n: n / 1000)
)
POSITIVE = (*PRICES, "amount", "turnover_rate")
MOMENTS = st.datetimes(datetime(1990, 12, 19), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  as it wants them


@st.composite
def possible_bars(draw: st.DrawFn) -> dict[str, object]:
    """Return a bar that breaks no rule of the market: usual values, and at most one other, which nothing else hides."""
    row: dict[str, float | None] = {name: draw(MILLIONTHS) for name in RATES}
    row |= {name: draw(st.none() | CENTS) for name in ("open", "high", "pre_close", "amount")} | {"close": draw(CENTS)}
    row |= draw(st.dictionaries(st.sampled_from([*row]), ANY, max_size=1))
    unsigned = {name: abs(value) for name, value in row.items() if value is not None and name in POSITIVE}
    traded = [unsigned[name] for name in ("open", "high", "close") if name in unsigned]
    return BAR | row | unsigned | {"high": max(traded), "low": min(traded), "updated_at": draw(MOMENTS)}


def on_days(rows: list[dict[str, object]]) -> pl.DataFrame:
    """Return rows as a conformed frame, one a day."""
    return frame_of(STOCK_DAILY, [row | {"trade_date": DAY + timedelta(days=day)} for day, row in enumerate(rows)])


def packed_rows(conn: Connection, query: str) -> pl.DataFrame:
    """Return packed rows through the driver, which reads every double to its last bit."""
    found = driver(conn).execute(f"{query} ORDER BY ts_code, trade_date".encode()).fetchall()
    return pl.DataFrame(found, schema=PACKED.schema, orient="row")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(possible_bars(), min_size=1, max_size=30))
@example(
    rows=[BAR | {"close": 3.0000001, "low": 1.0}, BAR | {"pe_ttm": 1e17}, BAR | {"pct_chg": -0.0, "pre_close": None}]
)
@example(rows=[BAR | {"pct_chg": -9.9999, "pre_close": 0.001, "low": 0.0}, BAR | {"high": 12.345}])
def test_bars_of_any_values_come_back_and_polars_and_sql_pack_them_alike(
    packed_database: Database, rows: list[dict[str, object]]
) -> None:
    frame = on_days(rows)
    with packed_database.engine.connect() as conn:
        assert load(conn, STOCK_DAILY, frame) == Counts(inserted=frame.height)
        back = read_bars(conn, None, DAY, DAY + timedelta(days=40))
        assert_frame_equal(back, frame, check_exact=True)
        names = ", ".join(PACKED.names)
        by_polars = packed_rows(conn, f"SELECT {names} FROM stock_daily_packed")  # noqa: S608  names of ours
        by_sql = packed_rows(conn, f"SELECT * FROM ({packing(PACKED.names, 'stock_daily')}) AS packed")  # noqa: S608
        assert_frame_equal(by_polars, by_sql, check_exact=True)
        later = frame.with_columns(pl.col("updated_at") + timedelta(microseconds=1001))
        assert load(conn, STOCK_DAILY, later) == Counts(unchanged=frame.height)
        conn.rollback()


def test_a_market_of_made_up_bars_comes_back_and_is_packed_by_sql_as_by_polars(packed_database: Database) -> None:
    """So many rows that a foretold change which is rounded in another way is found."""
    frame = made_up_bars.bars(made_up_bars.codes(20), made_up_bars.sessions(1500))
    with packed_database.engine.connect() as conn:
        load(conn, STOCK_DAILY, frame, is_new=True)
        assert conn.scalar(sa.text("SELECT count(*) FROM stock_daily_packed WHERE exact IS NOT NULL")) == 0
        held = ", ".join(PACKED.names)
        packed = f"SELECT {held} FROM ({packing(PACKED.names, 'stock_daily')}) AS packed"  # noqa: S608  names of ours
        assert conn.execute(sa.text(f"{packed} EXCEPT ALL SELECT {held} FROM stock_daily_packed")).all() == []  # noqa: S608
        back = read_bars(conn, None, frame["trade_date"].min(), frame["trade_date"].max())  # pyright: ignore[reportArgumentType]  days
        assert_frame_equal(back, frame.sort(STOCK_DAILY.key), check_exact=True)
        conn.rollback()


def test_usual_bars_are_whole_numbers_and_nothing_else() -> None:
    held = pack(on_days([BAR, BAR | {"high": 11.001}, BAR | {"pct_chg": None, "close": 10.0, "pre_close": 8.0}]))
    assert held["exact"].null_count() == 3
    assert held["price_scale"].to_list() == [100, 1000, 100]
    assert held["high"].to_list() == [1100, 11001, 1100]
    assert held["pe_ttm"].to_list() == [-3_250_000] * 3
    # 10.5 after 10.0 is five percent.
    assert held["pct_chg"].to_list() == [0, 0, None]
    assert held["updated_at"].to_list() == [int(NOW.timestamp() * 1000)] * 3


def test_every_price_in_cents_and_every_rate_in_millionths_is_held_as_a_whole_number() -> None:
    """Long columns: arithmetic libraries treat them in another way than short ones."""
    numbers = range(300_000)
    cents = pl.Series([number / 100 for number in numbers], dtype=pl.Float64)
    millionths = pl.Series([(number - 100_000) / 1e6 for number in numbers], dtype=pl.Float64)
    frame = pl.concat([on_days([BAR])] * len(numbers)).with_columns(
        **dict.fromkeys(PRICES, cents), **dict.fromkeys(RATES, millionths)
    )
    held = pack(frame)
    assert held["exact"].null_count() == len(numbers)
    assert held["close"].to_list() == list(numbers)
    assert held["pe_ttm"].to_list() == [number - 100_000 for number in numbers]


def test_a_value_that_no_whole_number_holds_is_kept_as_it_is_with_its_row() -> None:
    held = pack(on_days([BAR | {"pe_ttm": 1 / 3}]))
    assert held.select(SCALED).row(0) == (None,) * len(SCALED)
    assert held["exact"].to_list() == [[BAR[name] if name != "pe_ttm" else 1 / 3 for name in SCALED]]


def test_a_frame_without_rows_is_packed_too() -> None:
    assert pack(STOCK_DAILY.empty()).schema == PACKED.schema


def test_every_recorded_bar_is_held_in_whole_numbers_and_comes_back(
    packed_database: Database, recorded_data: Path
) -> None:
    frame = recorded_bars(recorded_data)
    assert frame.height == 106_891
    held = pack(frame)
    assert held["exact"].null_count() == held.height
    with packed_database.engine.connect() as conn:
        load(conn, STOCK_DAILY, frame, is_new=True)
        back = read_bars(conn, None, frame["trade_date"].min(), frame["trade_date"].max())  # pyright: ignore[reportArgumentType]  days
        assert_frame_equal(back, frame, check_exact=True)
        conn.rollback()


@pytest.mark.parametrize(
    "wrong",
    [
        {"high": 9.0},
        {"high": 10.2},
        {"low": 10.2},
        {"low": 10.0000000001},
        {"close": -1.0, "low": -1.0},
        {"high": 1e300, "low": 2e300},
        {"amount": float("nan")},
        {"pe_ttm": float("inf")},
        {"pe_ttm": float("nan")},
        {"volume": -1},
        {"close": None},
        {"trade_date": DAY.replace(year=1990)},
        {"ts_code": "600000.XX"},
    ],
    ids=str,
)
def test_an_impossible_bar_is_refused_packed_too(packed_database: Database, wrong: dict[str, object]) -> None:
    # Not by the contract, which comes before, and not by the view, which packs by itself.
    frame = pl.DataFrame([BAR | wrong], schema=STOCK_DAILY.schema, orient="row")
    with pytest.raises(DataRefused, match="ck_stock_daily_"), packed_database.begin() as conn:
        load(conn, STOCK_DAILY, frame, is_new=True)
    columns, values = ", ".join(BAR), ", ".join(f":{name}" for name in BAR)
    insert = sa.text(f"INSERT INTO stock_daily ({columns}) VALUES ({values})")  # noqa: S608  names of ours
    with pytest.raises(IntegrityError, match="ck_stock_daily_"), packed_database.begin() as conn:
        conn.execute(insert, BAR | wrong)


def test_people_write_through_the_view_and_every_replaced_row_is_kept(packed_database: Database) -> None:
    with packed_database.begin() as conn:
        load(conn, STOCK_DAILY, bars(["000001.SZ", "000002.SZ"], [DAY]))
        rest = ", ".join(STOCK_DAILY.names[1:])
        copied = f"SELECT '000003.SZ', {rest} FROM stock_daily WHERE ts_code = '000001.SZ'"  # noqa: S608  names of ours
        conn.execute(sa.text(f"INSERT INTO stock_daily {copied}"))
        assert conn.execute(sa.text("UPDATE stock_daily SET close = 10.123456 WHERE ts_code < '000003'")).rowcount == 2
        assert conn.execute(sa.text("DELETE FROM stock_daily WHERE ts_code = '000002.SZ'")).rowcount == 1
        found = conn.execute(sa.text("SELECT ts_code, close, pe_ttm FROM stock_daily ORDER BY 1")).all()
        assert [tuple(row) for row in found] == [("000001.SZ", 10.123456, -3.25), ("000003.SZ", 10.5, -3.25)]
        kept = conn.execute(sa.text("SELECT ts_code, close FROM stock_daily_history ORDER BY 1, valid_to")).all()
        assert [tuple(row) for row in kept] == [("000001.SZ", 10.5), ("000002.SZ", 10.5), ("000002.SZ", 10.123456)]
        assert load(conn, STOCK_DAILY, bars(["000001.SZ"], [DAY], close=10.123456, updated_at=LATER)) == Counts(
            unchanged=1
        )
