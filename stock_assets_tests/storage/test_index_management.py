"""Indexes that go away for a load come back: after its end, its error, its death, and the next start."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.storage import index_management, migrate
from stock_assets.storage.bulk_load import Counts, load
from stock_assets.storage.database import Database
from stock_assets.storage.full_load import load_whole
from stock_assets.storage.index_management import dropped, pays, restore, without_indexes
from stock_assets.storage.layout import Layout, convert, rows_of
from stock_assets_tests.storage.conftest import Process
from stock_assets_tests.storage.made_up_rows import DAY, NOW, bars

INDEX = "ix_stock_daily_trade_date_ts_code"
CODES = [f"{number:06d}.SZ" for number in range(20)]
DAYS = [DAY - timedelta(days=500 * back) for back in range(6)]
# A load that says when the indexes are away, and then waits to be killed.
DYING = """
import sys
from datetime import UTC, datetime
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.storage import index_management
from stock_assets.storage.database import Database
index_management.WORTH_ROWS = 0
with index_management.without_indexes(
    Database(sys.argv[1]), STOCK_DAILY, rows_coming=10**9, run_id="dying", now=datetime.now(UTC)
):
    print("away", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """It pays at any size in here."""
    monkeypatch.setattr(index_management, "WORTH_ROWS", 0)


@pytest.fixture(params=["plain", "partitions", "hypertable"])
def store(request: pytest.FixtureRequest, database: Database) -> Database:
    """A store with rows, in each layout."""
    layout: Layout = request.param
    if layout == "hypertable":
        database = request.getfixturevalue("timescale_database")
    with database.begin() as conn:
        convert(conn, STOCK_DAILY.name, layout)
        load(conn, STOCK_DAILY, bars(CODES, DAYS), is_new=True)
    return database


def valid_indexes(database: Database) -> dict[str, bool]:
    """Return the indexes of the daily bars and their parts, and whether they can be used."""
    query = """
        SELECT indexrelid::regclass::text, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
        WHERE indrelid = CAST(:held AS regclass)
           OR indrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = CAST(:held AS regclass))
    """
    with database.read() as conn:
        held = {"held": rows_of(conn, STOCK_DAILY.name)}
        return {name: is_valid for name, is_valid in conn.execute(sa.text(query), held)}  # noqa: C416  rows are no pairs to pyright


def kill_while_away(database: Database, process: Callable[..., Process]) -> None:
    """Leave a store whose loader died."""
    dying = process(DYING, database.engine.url.render_as_string(hide_password=False))
    while dying.line() != "away":
        pass
    dying.kill()
    # The server has to notice.
    for _ in range(200):
        with database.read() as conn:
            if not conn.scalar(sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")):
                return
        time.sleep(0.05)


def test_they_are_away_in_the_load_and_back_after_it(store: Database) -> None:
    before = valid_indexes(store)
    with without_indexes(store, STOCK_DAILY, rows_coming=10**6, run_id="run", now=NOW) as is_away:
        assert is_away
        assert INDEX not in valid_indexes(store)
        assert [(index.name, index.table, index.problem) for index in dropped(store)] == [(INDEX, "stock_daily", None)]
        with pytest.raises(AssertionError), store.begin() as conn:
            # The key stays: nothing enters twice.
            assert load(conn, STOCK_DAILY, bars(CODES, DAYS), is_new=True).inserted
    assert dropped(store) == []
    assert len(valid_indexes(store)) == len(before)
    assert all(valid_indexes(store).values())


def test_they_come_back_after_an_error_too(database: Database) -> None:
    before = valid_indexes(database)
    with (
        pytest.raises(ZeroDivisionError),
        without_indexes(database, STOCK_DAILY, rows_coming=10**6, run_id="run", now=NOW),
    ):
        raise ZeroDivisionError
    assert valid_indexes(database) == before
    assert dropped(database) == []


def test_what_a_killed_load_left_is_built_at_the_next_start(store: Database, process: Callable[..., Process]) -> None:
    before = valid_indexes(store)
    kill_while_away(store, process)
    assert INDEX not in valid_indexes(store)
    assert [index.name for index in dropped(store)] == [INDEX]
    restore(store)
    assert dropped(store) == []
    after = valid_indexes(store)
    assert INDEX in after
    assert len(after) == len(before)
    assert all(after.values())


def test_a_build_that_was_killed_half_way_is_finished(database: Database, process: Callable[..., Process]) -> None:
    kill_while_away(database, process)
    with database.begin() as conn:
        conn.execute(sa.text(f"CREATE INDEX {INDEX} ON ONLY stock_daily (trade_date, ts_code)"))
        conn.execute(sa.text("CREATE INDEX half_way ON stock_daily_from_2024 (trade_date, ts_code)"))
        conn.execute(sa.text(f"ALTER INDEX {INDEX} ATTACH PARTITION half_way"))
    assert valid_indexes(database)[INDEX] is False
    restore(database)
    after = valid_indexes(database)
    assert after[INDEX]
    assert "half_way" not in after
    assert all(after.values())


def test_the_next_load_builds_what_is_left_before_it_starts(
    database: Database, process: Callable[..., Process]
) -> None:
    kill_while_away(database, process)
    frames = [bars(CODES, [day]) for day in DAYS]
    seen: list[int] = []
    counts = load_whole(
        database,
        STOCK_DAILY,
        frames,
        rows=120,
        run_id="run",
        now=NOW,
        beside=lambda _, frame: seen.append(frame.height),
    )
    assert counts == Counts(inserted=120)
    assert seen == [20] * 6
    assert dropped(database) == []
    assert valid_indexes(database)[INDEX]
    assert load_whole(database, STOCK_DAILY, frames, rows=120, run_id="run", now=NOW) == Counts(unchanged=120)


def test_the_next_load_finishes_a_build_that_was_killed(database: Database, process: Callable[..., Process]) -> None:
    kill_while_away(database, process)
    with database.begin() as conn:
        conn.execute(sa.text(f"CREATE INDEX {INDEX} ON ONLY stock_daily (trade_date, ts_code)"))
    load_whole(database, STOCK_DAILY, [bars(CODES, DAYS)], rows=120, run_id="run", now=NOW)
    assert dropped(database) == []
    assert all(valid_indexes(database).values())


def test_a_living_load_is_left_alone(database: Database) -> None:
    with without_indexes(database, STOCK_DAILY, rows_coming=10**6, run_id="run", now=NOW):
        restore(database)
        assert INDEX not in valid_indexes(database)
        with without_indexes(database, STOCK_DAILY, rows_coming=10**6, run_id="second", now=NOW) as is_away:
            assert not is_away
        assert INDEX not in valid_indexes(database)
    assert valid_indexes(database)[INDEX]


def test_an_index_that_cannot_be_built_is_an_alarm_and_stays_in_the_record(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    with without_indexes(database, STOCK_DAILY, rows_coming=10**6, run_id="run", now=NOW), database.begin() as conn:
        conn.execute(sa.text(f"CREATE TABLE {INDEX} (in_the_way int)"))
    assert "index.rebuild_failed" in capsys.readouterr().out
    (index,) = dropped(database)
    assert index.problem is not None
    assert "already exists" in index.problem
    with database.begin() as conn:
        conn.execute(sa.text(f"DROP TABLE {INDEX}"))
    restore(database)
    assert dropped(database) == []
    assert valid_indexes(database)[INDEX]


def test_readers_that_hold_the_table_keep_their_indexes(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_management, "_LOCK_TIMEOUT", "200ms")
    with database.read() as reader:
        reader.execute(sa.text("SELECT count(*) FROM stock_daily")).all()
        with without_indexes(database, STOCK_DAILY, rows_coming=10**6, run_id="run", now=NOW) as is_away:
            assert not is_away
            assert valid_indexes(database)[INDEX]
    assert dropped(database) == []


def test_readers_and_writers_go_on_while_lost_indexes_are_built(
    database: Database, process: Callable[..., Process]
) -> None:
    kill_while_away(database, process)
    done = threading.Event()
    with database.engine.connect() as writer:
        # An open writer makes the concurrent build wait; the build must not make others wait.
        load(writer, STOCK_DAILY, bars(CODES[:1], [DAY]))
        builder = threading.Thread(target=lambda: (restore(database), done.set()))
        builder.start()
        time.sleep(0.3)
        with database.begin() as conn:
            assert load(conn, STOCK_DAILY, bars(CODES[1:2], [DAY])) == Counts(inserted=1)
        assert not done.is_set()
        writer.commit()
    builder.join(60)
    assert done.is_set()
    assert valid_indexes(database)[INDEX]


def test_migrating_down_builds_what_is_left(database: Database, process: Callable[..., Process]) -> None:
    kill_while_away(database, process)
    migrate.downgrade(database, "0004")
    assert valid_indexes(database)[INDEX]


@pytest.mark.parametrize(
    ("held", "coming", "expected"), [(0, 2_999_999, False), (0, 3_000_000, True), (15_000_000, 3_000_000, False)]
)
def test_it_is_done_only_where_it_pays(
    monkeypatch: pytest.MonkeyPatch, held: int, coming: int, *, expected: bool
) -> None:
    monkeypatch.undo()
    assert pays(held=held, coming=coming) is expected
