"""How the large tables lie on disk: native partitions by trading day, or a hypertable where TimescaleDB is present.

What a table means does not depend on it: columns, rules, indexes, comments, triggers and functions are the same in every
layout. Compressing a hypertable belongs to `timescale`.
"""

from datetime import date
from typing import Literal, get_args

import sqlalchemy as sa
import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from stock_assets.domain.errors import ConfigurationError

Layout = Literal["plain", "partitions", "hypertable"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
# The tables that grow by a market's rows a day.
PARTED = ("stock_daily",)
DAY = "trade_date"
# About as many rows each, small enough for their indexes to stay in memory while a part is loaded, and few, because one
# stock's whole history looks into every one of them. The last one has no end.
FIRST_YEARS = (1990, 2005, 2011, 2015, *range(2018, 2031, 3))
CHUNK = "2 years"

_log = structlog.get_logger(__name__)
_CAN_EXTEND = sa.text("""
    SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') AS is_there,
           EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')
           AND current_setting('shared_preload_libraries') ~ 'timescaledb' AS is_possible
""")
_KIND = sa.text("SELECT relkind::text FROM pg_class WHERE oid = CAST(:name AS regclass)")
_IS_HYPERTABLE = sa.text("""
    SELECT EXISTS (
        SELECT FROM timescaledb_information.hypertables
        WHERE hypertable_name = :name AND hypertable_schema = current_schema()
    )
""")
# Chunks inherit from their hypertable as partitions do; compressed rows lie elsewhere, which only TimescaleDB knows.
_EXTENT = sa.text("""
    SELECT sum(pg_total_relation_size(oid))::bigint AS bytes, sum(greatest(reltuples, 0))::bigint AS rows FROM pg_class
    WHERE relkind = 'r' AND (oid = CAST(:name AS regclass) OR oid IN (
        SELECT inhrelid FROM pg_inherits WHERE inhparent = CAST(:name AS regclass)
    ))
""")
_HYPERTABLE_EXTENT = sa.text("""
    SELECT hypertable_size(CAST(:name AS regclass)) AS bytes, approximate_row_count(CAST(:name AS regclass)) AS rows
""")
_DEPENDENTS = {
    "trigger": "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = CAST(:name AS regclass) AND NOT tgisinternal"
    " AND tgname NOT LIKE 'ts%blocker'",
    "key": "SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))"
    " FROM pg_constraint WHERE conrelid = CAST(:name AS regclass) AND contype = 'p'",
    "index": "SELECT replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') FROM pg_index"
    " WHERE indrelid = CAST(:name AS regclass) AND NOT indisprimary ORDER BY indexrelid",
    "comment": "SELECT format('COMMENT ON TABLE %s IS %L', oid::regclass, obj_description(oid, 'pg_class')) FROM pg_class"
    " WHERE oid = CAST(:name AS regclass) AND obj_description(oid, 'pg_class') IS NOT NULL",
    "grant": "SELECT format('GRANT %s ON %s TO %s', privilege_type, oid::regclass, CASE grantee WHEN 0 THEN 'PUBLIC'"
    " ELSE quote_ident(pg_get_userbyid(grantee)) END) FROM pg_class CROSS JOIN aclexplode(relacl)"
    " WHERE oid = CAST(:name AS regclass) AND grantee <> relowner",
    "function": "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE prorettype = CAST(:name AS regtype) ORDER BY oid",
    "function comment": "SELECT format('COMMENT ON FUNCTION %s IS %L', oid::regprocedure, obj_description(oid, 'pg_proc'))"
    " FROM pg_proc WHERE prorettype = CAST(:name AS regtype) AND obj_description(oid, 'pg_proc') IS NOT NULL",
}
_FUNCTIONS = sa.text("SELECT oid::regprocedure::text FROM pg_proc WHERE prorettype = CAST(:name AS regtype)")


def layout_of(conn: Connection, table: str) -> Layout:
    """Return how `table` lies on disk."""
    if has_timescale(conn) and conn.scalar(_IS_HYPERTABLE, {"name": table}):
        return "hypertable"
    return "partitions" if conn.scalar(_KIND, {"name": table}) == "p" else "plain"


def is_lockable(conn: Connection, table: str) -> bool:
    """Return whether single rows of `table` can be locked: TimescaleDB locks none that is compressed."""
    return table not in PARTED or layout_of(conn, table) != "hypertable"


def extent_of(conn: Connection, table: str) -> tuple[int, int]:
    """Return the bytes of `table` on disk, indexes included, and its rows as the server estimates them."""
    query = _HYPERTABLE_EXTENT if layout_of(conn, table) == "hypertable" else _EXTENT
    extent = conn.execute(query, {"name": table}).one()
    return extent.bytes or 0, extent.rows or 0


def refresh_statistics(conn: Connection, table: str) -> None:
    """Let the planner know `table` as a whole: the server's own upkeep looks at its parts only."""
    conn.execute(sa.text(f"ANALYZE {table}"))


def has_timescale(conn: Connection) -> bool:
    """Return whether TimescaleDB is at work in this database."""
    return bool(conn.execute(_CAN_EXTEND).one().is_there)


def best_layout(conn: Connection) -> Layout:
    """Return the best layout that this server offers; TimescaleDB is switched on in this database where that is possible."""
    state = conn.execute(_CAN_EXTEND).one()
    if not state.is_there:
        if not state.is_possible:
            return "partitions"
        try:
            with conn.begin_nested():
                conn.execute(sa.text("CREATE EXTENSION IF NOT EXISTS timescaledb"))
        except DBAPIError as error:
            _log.warning("layout.no_timescale", reason=" ".join(str(error.orig).split()))
            return "partitions"
    return "hypertable"


def convert(conn: Connection, table: str, layout: Layout) -> None:
    """Rewrite `table` into `layout`, with everything that hangs on it; nothing happens when it lies that way already.

    Readers and writers of the table wait until the transaction ends.

    Errors: `ConfigurationError` when a view of the user's own hangs on the table.
    """
    if layout_of(conn, table) == layout:
        return
    conn.execute(sa.text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
    again = {what: list(conn.scalars(sa.text(query), {"name": table})) for what, query in _DEPENDENTS.items()}
    for function in list(conn.scalars(_FUNCTIONS, {"name": table})):
        conn.execute(sa.text(f"DROP FUNCTION {function}"))
    _create(conn, table, f"{table}_new", layout)
    conn.execute(sa.text(f"INSERT INTO {table}_new SELECT * FROM {table}"))  # noqa: S608  a table of ours
    _drop(conn, table)
    conn.execute(sa.text(f"ALTER TABLE {table}_new RENAME TO {table}"))
    for statements in again.values():
        for statement in statements:
            # As it is: a colon in it is none of SQLAlchemy's parameters.
            conn.exec_driver_sql(statement.replace("%", "%%"))
    refresh_statistics(conn, table)


def parts_of(conn: Connection, table: str) -> list[str]:
    """Return the native partitions of `table`, oldest first; none in the other layouts."""
    query = (
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = CAST(:name AS regclass) ORDER BY inhrelid"
    )
    return list(conn.scalars(sa.text(query), {"name": table}))


def _create(conn: Connection, table: str, new: str, layout: Layout) -> None:
    like = f"CREATE TABLE {new} (LIKE {table} INCLUDING DEFAULTS INCLUDING COMMENTS INCLUDING CONSTRAINTS)"
    if layout == "partitions":
        conn.execute(sa.text(f"{like} PARTITION BY RANGE ({DAY})"))
        ends = [f"'{date(year, 1, 1)}'" for year in FIRST_YEARS[1:]]
        for year, start, end in zip(FIRST_YEARS, ["MINVALUE", *ends], [*ends, "MAXVALUE"], strict=True):
            bounds = f"FOR VALUES FROM ({start}) TO ({end})"
            conn.execute(sa.text(f"CREATE TABLE {table}_from_{year} PARTITION OF {new} {bounds}"))
        return
    conn.execute(sa.text(like))
    if layout == "hypertable":
        chunks = f"by_range('{DAY}', INTERVAL '{CHUNK}')"
        conn.execute(sa.text(f"SELECT create_hypertable('{new}', {chunks}, create_default_indexes => false)"))


def _drop(conn: Connection, table: str) -> None:
    try:
        with conn.begin_nested():
            conn.execute(sa.text(f"DROP TABLE {table}"))
    except DBAPIError as error:
        reason = " ".join(str(error.orig).split())
        raise ConfigurationError(
            problem=f"table {table} cannot be laid out anew: {reason}; drop what hangs on it, and create it again after",
            problem_zh=f"无法重新组织表 {table}：{reason}；请先删除依赖它的对象，完成后再重建",
        ) from error
