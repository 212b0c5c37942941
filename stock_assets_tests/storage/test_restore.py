"""The way back: the store of the backup afterwards, or, whatever went wrong, the one that was there."""

import os
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.exc import OperationalError

from stock_assets.domain.errors import BackupFailed, ConfigurationError, StoreInUse
from stock_assets.storage import migrate
from stock_assets.storage.backup import Backup, make_backup, read_backup
from stock_assets.storage.database import Database
from stock_assets.storage.postgres_programs import server_version
from stock_assets.storage.restore import restore
from stock_assets.storage.timescale import compress
from stock_assets_tests.storage.conftest import Process
from stock_assets_tests.storage.filled_store import BARS, address, clear, digest, fill

Start = Callable[..., Process]
STOPPED = """
import sys
from pathlib import Path
from stock_assets.storage import restore as module
from stock_assets.storage.backup import read_backup
from stock_assets.storage.database import Database
from stock_assets.storage.postgres_programs import server_version
step, moment = sys.argv[3:]
really = getattr(module, step)
def stopped(*arguments):
    if moment == "after":
        really(*arguments)
    print("here", flush=True)
    if moment == "at once":
        return really(*arguments)
    sys.stdin.read()
setattr(module, step, stopped)
store = Database(sys.argv[1])
module.restore(read_backup(Path(sys.argv[2]), server_version(store)), store)
"""
# A day beside compressed ones, and one of a chunk that is not compressed.
MORE = """
    INSERT INTO stock_daily (ts_code, trade_date, close, is_suspended, is_st, source, updated_at)
    SELECT '600000.SH', day, 10.001, false, false, 'baostock', now() FROM (VALUES (date '2026-07-01'), ('2030-01-02')) AS days (day)
"""
CHUNKS = """
    SELECT count(*), count(*) FILTER (WHERE is_compressed) FROM timescaledb_information.chunks
    WHERE hypertable_name = 'stock_daily_packed'
"""


def new_databases(database: Database) -> list[str]:
    """Return the databases that a restore of this one has made beside it."""
    query = "SELECT datname FROM pg_database WHERE datname LIKE %s"
    with database.dedicated() as connection:
        return [str(name) for (name,) in connection.execute(query, [f"{database.name}_stock_assets%"]).fetchall()]


def wait_until_alone(database: Database) -> None:
    """Wait until the server has noticed that a killed process is gone."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    until = time.monotonic() + 10
    with database.dedicated() as connection:
        while connection.execute(query).fetchone() != (0,) and time.monotonic() < until:
            time.sleep(0.02)


def test_a_restored_store_is_the_one_that_was_backed_up(store: Database, made: Backup) -> None:
    before = digest(store)
    assert before[0] == BARS
    clear(store)
    restore(read_backup(made.path, server_version(store)), store)
    assert digest(store) == before
    assert migrate.current(store) == made.revision == migrate.head()
    assert new_databases(store) == []
    with store.dedicated() as connection:
        row = connection.execute("SELECT reltuples FROM pg_class WHERE relname = 'stock_daily'").fetchone()
    assert row == (BARS,)


def test_a_store_that_others_use_is_not_replaced(store: Database, made: Backup) -> None:
    before = digest(store)
    with store.dedicated(), pytest.raises(StoreInUse, match=rf"in use \(stock_assets {os.getpid()}\)"):
        restore(made, store)
    assert digest(store) == before
    assert new_databases(store) == []


def test_tables_of_others_are_never_taken_away(store: Database, made: Backup) -> None:
    with store.begin() as conn:
        conn.execute(sa.text("CREATE SCHEMA desk"))
        conn.execute(sa.text("CREATE TABLE desk.notes AS SELECT 1 AS n"))
    with pytest.raises(ConfigurationError, match=r"desk\.notes"):
        restore(made, store)
    with store.dedicated() as connection:
        assert connection.execute("SELECT n FROM desk.notes").fetchone() == (1,)


def test_a_backup_of_a_newer_program_is_refused(store: Database, tmp_path: Path) -> None:
    with store.begin() as conn:
        conn.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    newer = make_backup(store, tmp_path / "newer.dump")
    with pytest.raises(ConfigurationError, match="9999"):
        restore(newer, store)


def test_a_restore_that_fails_leaves_the_store_as_it_was(store: Database, made: Backup) -> None:
    before = digest(store)
    whole = made.path.read_bytes()
    # Spoilt after it was looked at.
    made.path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BackupFailed, match="pg_restore failed and the store was left as it is"):
        restore(made, store)
    assert digest(store) == before
    assert new_databases(store) == []


@pytest.mark.parametrize(
    ("step", "moment", "is_replaced"),
    [("_fill", "before", False), ("_fill", "after", False), ("_swap", "after", True)],
)
def test_a_restore_that_is_killed_leaves_one_whole_store_and_the_next_one_works(
    store: Database, made: Backup, process: Start, step: str, moment: str, *, is_replaced: bool
) -> None:
    backed_up = digest(store)
    with store.begin() as conn:
        conn.execute(sa.text("DELETE FROM stock_daily WHERE ts_code < '000020.SZ'"))
    changed = digest(store)
    store.close()
    victim = process(STOPPED, address(store), str(made.path), step, moment)
    assert victim.line() == "here"
    victim.kill()
    assert new_databases(store) != []
    assert digest(store) == (backed_up if is_replaced else changed)
    wait_until_alone(store)
    restore(made, store)
    assert digest(store) == backed_up
    assert new_databases(store) == []


@pytest.mark.slow
def test_a_restore_that_is_killed_while_pg_restore_works_leaves_a_whole_store(
    store: Database, made: Backup, process: Start
) -> None:
    whole = digest(store)
    for hundredths in (2, 5, 10, 20, 30, 40, 60, 80):
        store.close()
        wait_until_alone(store)
        victim = process(STOPPED, address(store), str(made.path), "_fill", "at once")
        assert victim.line() == "here"
        time.sleep(hundredths / 100)
        # Its pg_restore is left to itself on purpose: the next restore has to cope with it.
        victim.kill()
        assert digest(store) == whole
    wait_until_alone(store)
    restore(made, store)
    assert digest(store) == whole
    assert new_databases(store) == []


def test_nobody_commits_days_into_a_store_that_is_about_to_go(store: Database, made: Backup, process: Start) -> None:
    store.close()
    victim = process(STOPPED, address(store), str(made.path), "_fill", "before")
    assert victim.line() == "here"
    with pytest.raises(OperationalError, match="lock timeout"), store.begin() as conn:  # noqa: PT012  the statement that waits
        conn.execute(sa.text("SET LOCAL lock_timeout = '100ms'"))
        conn.execute(sa.text("DELETE FROM load_ledger"))
    assert victim.finish() == 1
    assert digest(store)[0] == BARS


def test_of_two_restores_at_once_one_is_refused(store: Database, made: Backup, process: Start) -> None:
    store.close()
    first = process(STOPPED, address(store), str(made.path), "_fill", "before")
    assert first.line() == "here"
    with pytest.raises(StoreInUse, match="db restore"):
        restore(made, store)
    first.kill()


def test_rights_and_settings_of_the_database_outlive_a_restore(store: Database, made: Backup) -> None:
    role = sql.Identifier(f"{store.name}_reader")
    name = sql.Identifier(store.name)
    with store.dedicated() as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
        connection.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(name))
        connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, role))
        connection.execute(sql.SQL("ALTER DATABASE {} SET search_path = desk, public").format(name))
        connection.execute(sql.SQL("GRANT SELECT ON stock_daily TO {}").format(role))
    query = """
        SELECT (SELECT array_agg(one::text ORDER BY one::text) FROM unnest(datacl) AS one), setconfig,
            has_table_privilege(%s, 'stock_daily', 'SELECT')
        FROM pg_database JOIN pg_db_role_setting ON setdatabase = pg_database.oid WHERE datname = current_database()
    """
    reader = f"{store.name}_reader"
    try:
        with store.dedicated() as connection:
            before = connection.execute(query, [reader]).fetchone()
        granted = make_backup(store, made.path.with_name("granted.dump"))
        restore(granted, store)
        with store.dedicated() as connection:
            assert connection.execute(query, [reader]).fetchone() == before
        assert before is not None
        assert before[-1] is True
    finally:
        with store.dedicated() as connection:
            connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
            connection.execute(sql.SQL("DROP ROLE {}").format(role))


@pytest.fixture
def compressed(timescale_database: Database) -> Database:
    """A store whose bars are a hypertable, most of it compressed."""
    fill(timescale_database)
    compress(timescale_database, settled=date(2030, 1, 1))
    with timescale_database.dedicated() as connection:
        connection.execute(MORE)
    return timescale_database


def test_compressed_chunks_come_back_compressed(compressed: Database, tmp_path: Path) -> None:
    before = digest(compressed)
    with compressed.dedicated() as connection:
        chunks = connection.execute(CHUNKS).fetchone()
    assert chunks == (3, 2)
    made = make_backup(compressed, tmp_path / "store.dump")
    assert made.needs_timescale
    clear(compressed)
    restore(made, compressed)
    assert digest(compressed) == before
    with compressed.dedicated() as connection:
        assert connection.execute(CHUNKS).fetchone() == chunks
        assert connection.execute("SHOW timescaledb.restoring").fetchone() == ("off",)
        # It is a hypertable to write into, not only one to read.
        connection.execute(
            "UPDATE stock_daily SET close = 10 WHERE ts_code = '000001.SZ' AND trade_date = '2025-01-01'"
        )
        connection.execute("SELECT decompress_chunk(chunk) FROM show_chunks('stock_daily_packed') AS chunk LIMIT 1")
    assert new_databases(compressed) == []


def test_a_backup_with_timescaledb_is_refused_by_a_server_without(
    compressed: Database, store: Database, tmp_path: Path
) -> None:
    made = make_backup(compressed, tmp_path / "store.dump")
    before = digest(store)
    with pytest.raises(ConfigurationError, match="does not have"):
        restore(read_backup(made.path, server_version(store)), store)
    assert digest(store) == before


def test_a_store_moves_to_an_older_server(made: Backup, store: Database, timescale_database: Database) -> None:
    moved = read_backup(made.path, server_version(timescale_database))
    restore(moved, timescale_database)
    assert digest(timescale_database) == digest(store)
