"""Secondary indexes out of the way while a whole table is loaded, and back whatever happens.

What is dropped is written down in the same transaction. A process that dies leaves the record, and `restore` builds the
indexes when the next load starts. Primary keys stay: nothing enters twice while the indexes are away.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg
import sqlalchemy as sa
import structlog
from psycopg import sql
from sqlalchemy.exc import DBAPIError, OperationalError

from stock_assets.domain.contract import Table
from stock_assets.domain.tables import DROPPED_INDEX
from stock_assets.storage.database import Database
from stock_assets.storage.layout import extent_of, layout_of, parts_of, rows_of
from stock_assets.storage.schema import table_of

_log = structlog.get_logger(__name__)
_RECORD = table_of(DROPPED_INDEX.name)
# Below this the gain is lost in the noise (`benchmarks.full_load`).
WORTH_ROWS = 3_000_000
# A table that holds more than this share of what is coming is faster with its indexes in place.
_HELD_SHARE = 0.1
# Readers that hold the table for longer than this keep their indexes.
_LOCK_TIMEOUT = "5s"
_PATIENCE_SECONDS = 3600.0
_MEMORY = "512MB"
_SECONDARY = sa.text("""
    SELECT indexrelid::regclass::text AS name, replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') AS definition
    FROM pg_index WHERE indrelid = CAST(:name AS regclass) AND NOT indisunique ORDER BY 1
""")
_INVALID = """
    SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid AND indrelid IN (
        SELECT %(name)s::regclass::oid UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = %(name)s::regclass
    )
"""


def pays(*, held: int, coming: int) -> bool:
    """Return whether loading `coming` rows into a table of `held` rows is faster without its secondary indexes."""
    return coming >= WORTH_ROWS and held <= coming * _HELD_SHARE


@dataclass(frozen=True, slots=True)
class DroppedIndex:
    """An index that is away, the statement that builds it, and why it could not be built last time."""

    name: str
    table: str
    definition: str
    problem: str | None


@contextmanager
def without_indexes(
    database: Database, table: Table, *, rows_coming: int, run_id: str | None, now: datetime
) -> Generator[bool]:
    """Load in here with the secondary indexes away, where that pays; give whether it does.

    They are back at the end, after an error too. An index that cannot be built again is logged as an error and stays in
    the record. One process at a time does this to a table; for a second one the indexes simply are where they are.
    """
    with database.dedicated() as guard:
        is_ours = _take(guard, table.name)
        if is_ours:
            # As at a start: what is left may be half built.
            restore_locked(database, table.name, is_concurrent=True)
        with database.read() as conn:
            _, held = extent_of(conn, table.name)
        is_away = is_ours and pays(held=held, coming=rows_coming) and _drop_all(database, table, run_id, now)
        try:
            yield is_away
        finally:
            if is_away:
                restore_locked(database, table.name)


def restore(database: Database) -> None:
    """Build what a process that died has left dropped; readers and writers go on meanwhile.

    Tables that a living process is loading are left to it. Errors are logged, not raised: a load does not depend on it.
    """
    for table in sorted({index.table for index in dropped(database)}):
        with database.dedicated() as guard:
            if _take(guard, table):
                restore_locked(database, table, is_concurrent=True)


def dropped(database: Database) -> list[DroppedIndex]:
    """Return every index that is away."""
    columns = (_RECORD.c.index_name, _RECORD.c.table_name, _RECORD.c.definition, _RECORD.c.problem)
    with database.read() as conn:
        return [DroppedIndex(*row) for row in conn.execute(sa.select(*columns).order_by(_RECORD.c.index_name))]


def restore_locked(database: Database, table: str, *, is_concurrent: bool = False) -> None:
    """Build the indexes of `table` that the record names; the caller holds the table's guard."""
    for index in dropped(database):
        if index.table != table:
            continue
        record = _RECORD.c.index_name == index.name
        started = time.monotonic()
        try:
            if is_concurrent:
                _build_concurrently(database, table, index.name, index.definition)
            with database.begin() as conn:
                if not is_concurrent:
                    conn.execute(sa.text(f"SET LOCAL maintenance_work_mem = '{_MEMORY}'"))
                    conn.exec_driver_sql(index.definition)
                conn.execute(_RECORD.delete().where(record))
        except (psycopg.Error, DBAPIError) as error:
            reason = " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
            _log.error("index.rebuild_failed", index=index.name, table=table, reason=reason)
            with database.begin() as conn:
                conn.execute(_RECORD.update().where(record).values(problem=reason))
        else:
            seconds = round(time.monotonic() - started, 1)
            _log.info("index.rebuilt", index=index.name, table=table, total_seconds=seconds)


def _drop_all(database: Database, table: Table, run_id: str | None, now: datetime) -> bool:
    try:
        with database.begin() as conn:
            conn.execute(sa.text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
            found = conn.execute(_SECONDARY, {"name": rows_of(conn, table.name)}).all()
            for name, definition in found:
                facts = {"index_name": name, "table_name": table.name, "definition": definition}
                conn.execute(_RECORD.insert().values(**facts, run_id=run_id, dropped_at=now))
                conn.exec_driver_sql(f"DROP INDEX {name}")
    except OperationalError as error:
        if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
            raise
        _log.info("index.kept", table=table.name, reason="readers hold the table")
        return False
    _log.info("index.dropped", table=table.name, index=", ".join(row.name for row in found))
    return bool(found)


def _take(guard: psycopg.Connection, table: str) -> bool:
    """Hold the table's guard until the connection ends, unless another process holds it."""
    row = guard.execute("SELECT pg_try_advisory_lock(hashtext('dropped_index'), hashtext(%s))", [table]).fetchone()
    return bool(row and row[0])


def _build_concurrently(database: Database, table: str, name: str, definition: str) -> None:
    with database.read() as conn:
        layout, parts, held = layout_of(conn, table), parts_of(conn, table), rows_of(conn, table)
    with database.dedicated() as connection:
        # What a build that was killed left behind.
        for (broken,) in connection.execute(_INVALID, {"name": held}).fetchall():
            _patiently(connection, f"DROP INDEX IF EXISTS {broken}")
        if layout == "plain":
            connection.execute(_words(definition.replace("CREATE INDEX", "CREATE INDEX CONCURRENTLY IF NOT EXISTS", 1)))
        elif layout == "hypertable":
            started = definition.replace("CREATE INDEX", "CREATE INDEX IF NOT EXISTS", 1)
            connection.execute(_words(f"{started} WITH (timescaledb.transaction_per_chunk)"))
        else:
            _build_by_part(connection, table, name, definition, parts)


def _build_by_part(connection: psycopg.Connection, table: str, name: str, definition: str, parts: list[str]) -> None:
    """Build an index part by part and join them: PostgreSQL builds none of a whole partitioned table concurrently."""
    how = definition.partition(" USING ")[2]
    _patiently(connection, f"CREATE INDEX IF NOT EXISTS {name} ON ONLY {table} USING {how}")
    for part in parts:
        of_part = f"{part}_{how.partition('(')[2].rstrip(')').replace(', ', '_')}_idx"
        connection.execute(_words(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {of_part} ON {part} USING {how}"))
        _patiently(connection, f"ALTER INDEX {name} ATTACH PARTITION {of_part}")


def _patiently(connection: psycopg.Connection, statement: str) -> None:
    """Run a statement of an instant that needs the table's writers to be away; who comes meanwhile goes first."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            with connection.transaction():
                connection.execute("SET LOCAL lock_timeout = '200ms'")
                connection.execute(_words(statement))
        except psycopg.errors.LockNotAvailable:
            if time.monotonic() > until:
                raise
            time.sleep(0.3)
        else:
            return


def _words(statement: str) -> sql.SQL:
    """Return a statement made of the server's own definitions and of names in our contracts."""
    return sql.SQL(statement)  # pyright: ignore[reportArgumentType]
