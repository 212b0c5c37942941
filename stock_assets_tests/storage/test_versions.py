"""Nothing is overwritten: every replaced row stays, with the time it was true in the store."""

import uuid
from datetime import datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from sqlalchemy.exc import ProgrammingError

from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.storage import migrate
from stock_assets.storage.bulk_load import Counts, load
from stock_assets.storage.database import Database
from stock_assets.storage.layout import rows_of
from stock_assets_tests.databases import Server, own_database
from stock_assets_tests.storage.made_up_rows import DAY, LATER, NOW, bars, frame_of

CODES = ["000001.SZ", "000002.SZ", "600000.SH"]
SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)


@pytest.fixture(params=["partitions", "packed", "hypertable"])
def database(request: pytest.FixtureRequest, database: Database) -> Database:
    """A store in each form in which bars are held."""
    if request.param == "hypertable":
        return request.getfixturevalue("timescale_database")
    return request.getfixturevalue("packed_database") if request.param == "packed" else database


def closes(conn: sa.Connection, moment: datetime | None = None) -> dict[str, float]:
    """Return the closes by code, of now or as the store knew them at `moment`."""
    source = "stock_daily" if moment is None else "stock_daily_as_of(:moment)"
    rows = conn.execute(sa.text(f"SELECT ts_code, close FROM {source}"), {"moment": moment} if moment else {}).all()  # noqa: S608
    found = {row.ts_code: float(row.close) for row in rows}
    assert len(rows) == len(found)
    return found


def kept(conn: sa.Connection, table: str = "stock_daily") -> list[sa.Row[tuple[object, ...]]]:
    """Return the old versions in the order in which they were replaced."""
    return list(conn.execute(sa.text(f"SELECT * FROM {table}_history ORDER BY valid_to")))  # noqa: S608


def close_of(codes: list[str], close: float, at: datetime) -> pl.DataFrame:
    """Return one bar for each code, as loaded at a time."""
    return bars(codes, [DAY], close=close, updated_at=at)


def test_a_correction_leaves_the_old_row_with_its_time_and_the_run_that_replaced_it(database: Database) -> None:
    with database.begin() as conn:
        load(conn, STOCK_DAILY, close_of(CODES, 10.5, NOW), is_new=True, run_id="first")
    with database.begin() as conn:
        frame = pl.concat([close_of(CODES[:1], 9.75, LATER), close_of(CODES[1:], 10.5, LATER)])
        assert load(conn, STOCK_DAILY, frame, run_id="second") == Counts(updated=1, unchanged=2)
        (old,) = kept(conn)
        assert (old.ts_code, old.close, old.pe_ttm) == (CODES[0], 10.5, -3.25)
        assert (old.valid_from, old.valid_to, old.run_id) == (NOW, LATER, "second")
        assert closes(conn) == closes(conn, LATER) == {CODES[0]: 9.75, CODES[1]: 10.5, CODES[2]: 10.5}
        assert closes(conn, NOW) == closes(conn, LATER - TICK) == dict.fromkeys(CODES, 10.5)
        assert closes(conn, NOW - TICK) == {}


def test_a_factor_that_is_corrected_is_kept_too(database: Database) -> None:
    row = {"ts_code": CODES[0], "ex_date": DAY, "source": "baostock"}
    with database.begin() as conn:
        for factor, at in ((1.5, NOW), (1.75, LATER)):
            load(conn, ADJUST_FACTOR, frame_of(ADJUST_FACTOR, [row | {"back_adjust_factor": factor, "updated_at": at}]))
        (old,) = kept(conn, "adjust_factor")
        assert (old.back_adjust_factor, old.valid_from, old.valid_to, old.run_id) == (1.5, NOW, LATER, None)
        then = sa.text("SELECT back_adjust_factor FROM adjust_factor_as_of(:moment)")
        assert [conn.scalar(then, {"moment": at}) for at in (NOW, LATER)] == [1.5, 1.75]


def test_loading_the_same_again_keeps_nothing(database: Database) -> None:
    with database.begin() as conn:
        load(conn, STOCK_DAILY, close_of(CODES, 10.5, NOW))
        assert load(conn, STOCK_DAILY, close_of(CODES, 10.5, LATER)) == Counts(unchanged=3)
        conn.execute(sa.text("UPDATE stock_daily SET close = close"))
        assert kept(conn) == []


def test_a_run_whose_clock_stands_still_or_goes_back_still_makes_one_version_after_the_other(
    database: Database,
) -> None:
    with database.begin() as conn:
        for close, at in ((1.0, LATER), (2.0, LATER), (3.0, NOW)):
            load(
                conn, STOCK_DAILY, bars(CODES[:1], [DAY], open=None, low=0.5, close=close, updated_at=at), run_id="run"
            )
        assert [(old.close, old.valid_from, old.valid_to) for old in kept(conn)] == [
            (1.0, LATER, LATER + TICK),
            (2.0, LATER + TICK, LATER + 2 * TICK),
        ]
        assert closes(conn, LATER) == {CODES[0]: 1.0}
        assert closes(conn) == closes(conn, LATER + 2 * TICK) == {CODES[0]: 3.0}


def test_a_change_by_hand_is_kept_and_dated_now(database: Database) -> None:
    before = NOW - timedelta(days=3650)
    with database.begin() as conn:
        load(conn, STOCK_DAILY, close_of(CODES, 10.5, before), run_id="run")
    with database.begin() as conn:
        conn.execute(sa.text("UPDATE stock_daily SET close = 10 WHERE ts_code = :code"), {"code": CODES[0]})
        conn.execute(sa.text("DELETE FROM stock_daily WHERE ts_code = :code"), {"code": CODES[1]})
        now = conn.execute(sa.text("SELECT clock_timestamp()")).scalar_one()
        assert [(old.ts_code, old.close, old.run_id) for old in kept(conn)] == [(c, 10.5, None) for c in CODES[:2]]
        assert all(now - SECOND * 60 < old.valid_to <= now for old in kept(conn))
        assert closes(conn) == closes(conn, now) == {CODES[0]: 10, CODES[2]: 10.5}
        assert closes(conn, before) == dict.fromkeys(CODES, 10.5)


def test_a_row_that_is_deleted_and_comes_again_with_the_same_time_makes_versions_that_do_not_overlap(
    database: Database,
) -> None:
    with database.begin() as conn:
        for _ in range(3):
            load(conn, STOCK_DAILY, close_of(CODES[:1], 10.5, NOW))
            load(conn, STOCK_DAILY, close_of(CODES[:1], 9.75, NOW), run_id="run")
            conn.execute(sa.text("DELETE FROM stock_daily"))
        versions = kept(conn)
        assert [old.close for old in versions] == [10.5, 9.75] * 3
        assert all(one.valid_to <= other.valid_from for one, other in pairwise(versions))


def test_rows_of_a_run_that_is_rolled_back_leave_no_version(database: Database) -> None:
    with database.begin() as conn:
        load(conn, STOCK_DAILY, close_of(CODES, 10.5, NOW))
    with database.engine.connect() as conn:
        load(conn, STOCK_DAILY, close_of(CODES, 10.25, LATER))
        conn.rollback()
        assert kept(conn) == []


HISTORIES = st.lists(
    st.tuples(st.integers(0, 3), st.dictionaries(st.sampled_from(CODES), st.sampled_from([10.0, 10.25, 10.5]))),
    min_size=1,
    max_size=6,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=HISTORIES)
def test_the_store_of_any_moment_is_what_had_been_loaded_by_then(
    database: Database, history: list[tuple[int, dict[str, float]]]
) -> None:
    """Loads at rising times, several of them at one: the last of a moment stands."""
    now, known, states = NOW, dict[str, float](), dict[datetime, dict[str, float]]()
    with database.engine.connect() as conn:
        for pause, loaded in history:
            now += pause * SECOND
            frames = [STOCK_DAILY.empty(), *(close_of([code], close, now) for code, close in loaded.items())]
            load(conn, STOCK_DAILY, pl.concat(frames), run_id="run")
            known = known | loaded
            # Versions of one moment follow each other by microseconds.
            states[now + 100 * TICK] = known
        assert closes(conn) == known
        for moment, state in states.items():
            assert closes(conn, moment) == state
        conn.rollback()


def test_the_past_of_one_stock_is_read_through_indexes(database: Database) -> None:
    days = [DAY - timedelta(days=back) for back in range(400)]
    codes = [f"{number:06d}.SZ" for number in range(60)]
    with database.begin() as conn:
        load(conn, STOCK_DAILY, bars(codes, days), is_new=True)
        load(conn, STOCK_DAILY, bars(codes, days, close=10.0))
        held = rows_of(conn, "stock_daily")
    with database.dedicated() as connection:
        connection.execute(f"VACUUM ANALYZE {held}".encode())
        connection.execute("VACUUM ANALYZE stock_daily_history")
    with database.read() as conn:
        query = "EXPLAIN SELECT * FROM stock_daily_as_of(now()) WHERE ts_code = '000007.SZ'"
        plan = "\n".join(conn.scalars(sa.text(query)))
    # Parts without a row are read whole, which costs nothing.
    for large in ("stock_daily_from_2024", "stock_daily_packed", "stock_daily_history"):
        assert f"Seq Scan on {large}" not in plan, plan
    assert plan.count("Index Cond") >= 2, plan


def test_readers_have_a_role_that_sees_every_table_and_changes_none(database: Database) -> None:
    with database.begin() as conn:
        load(conn, STOCK_DAILY, close_of(CODES, 10.5, NOW))
        conn.execute(sa.text("CREATE TABLE later (a int)"))
    with database.engine.connect() as conn:
        conn.execute(sa.text("SET ROLE stock_assets_reader"))
        for source in ("stock_daily", "stock_daily_as_of(now())", "stock_daily_history", "load_ledger", "later"):
            conn.execute(sa.text(f"SELECT * FROM {source}")).all()  # noqa: S608
        for change in ("DELETE FROM stock_daily", "UPDATE stock_daily SET close = 1", "CREATE TABLE mine (a int)"):
            with pytest.raises(ProgrammingError, match="permission denied"), conn.begin_nested():
                conn.execute(sa.text(change))


def test_a_server_on_which_the_user_may_make_no_role_is_migrated_all_the_same(server: Server) -> None:
    name = f"plain_{uuid.uuid4().hex[:12]}"
    with Database(server.url()).dedicated() as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'plain'").format(sql.Identifier(name)))
        try:
            with own_database(server, owner=name) as url:
                plain = Database(
                    sa.make_url(url).set(username=name, password="plain").render_as_string(hide_password=False)
                )
                migrate.upgrade(plain)
                assert not migrate.pending(plain)
                migrate.downgrade(plain, "base")
                plain.close()
        finally:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
