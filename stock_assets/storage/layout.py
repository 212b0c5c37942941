"""How the large tables lie on disk: native partitions by trading day, or a hypertable where TimescaleDB is present.

What a table means does not depend on it: columns, rules, indexes, comments, grants, history and functions are the same in
every layout. In a hypertable the table's name is a view, and the rows are held packed in a table of their own: who writes,
measures or compresses asks for it here. Compressing itself belongs to `timescale`.
"""

from collections.abc import Mapping
from datetime import date
from typing import Literal, get_args

import sqlalchemy as sa
import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from stock_assets.domain.contract import Table
from stock_assets.domain.errors import ConfigurationError
from stock_assets.storage.packed_table import (
    create_view,
    drop_packed,
    fill_packed,
    hung_on,
    packed_shape,
    run,
    unpacked_shape,
)
from stock_assets.storage.packing import HELD_IN

Layout = Literal["plain", "partitions", "hypertable"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
# The tables that grow by a market's rows a day.
PARTED = ("stock_daily", "technical_daily")
DAY = "trade_date"
_PACKED = frozenset(held.name for held in HELD_IN.values())
# About as many rows each, small enough for their indexes to stay in memory while a part is loaded, and few, because one
# stock's whole history looks into every one of them. The last one has no end.
FIRST_YEARS = (1990, 2005, 2011, 2015, *range(2018, 2031, 3))
# Four times 360 days: as many as TimescaleDB packs into one batch, which takes a thousand rows of a stock.
CHUNK = "1440 days"

_log = structlog.get_logger(__name__)
_CAN_EXTEND = sa.text("""
    SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') AS is_there,
           EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')
           AND current_setting('shared_preload_libraries') ~ 'timescaledb' AS is_possible
""")
_KIND = sa.text("SELECT relkind::text FROM pg_class WHERE oid = CAST(:name AS regclass)")
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
# What hangs on the rows, and what hangs on the name by which people read them; the two differ in a hypertable.
_OF_ROWS = {
    "key": "SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))"
    " FROM pg_constraint WHERE conrelid = CAST(:name AS regclass) AND contype = 'p'",
    "index": "SELECT replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') FROM pg_index"
    " WHERE indrelid = CAST(:name AS regclass) AND NOT indisprimary ORDER BY indexrelid",
    "trigger": "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = CAST(:name AS regclass) AND NOT tgisinternal"
    " AND tgname NOT LIKE 'ts%blocker'",
}
_OF_NAME = {
    "comment": "SELECT format('COMMENT ON TABLE %s IS %L', oid::regclass, obj_description(oid, 'pg_class')) FROM pg_class"
    " WHERE oid = CAST(:name AS regclass) AND obj_description(oid, 'pg_class') IS NOT NULL",
    "column comment": "SELECT format('COMMENT ON COLUMN %s.%I IS %L', attrelid::regclass, attname,"
    " col_description(attrelid, attnum)) FROM pg_attribute WHERE attrelid = CAST(:name AS regclass) AND attnum > 0"
    " AND col_description(attrelid, attnum) IS NOT NULL",
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
    layouts: dict[str, Layout] = {"p": "partitions", "v": "hypertable"}
    return layouts.get(str(conn.scalar(_KIND, {"name": table})), "plain")


def held_in(conn: Connection, table: Table) -> Table:
    """Return the table that holds the rows of `table`: itself, or the one that holds them packed."""
    is_packed = table.name in PARTED and layout_of(conn, table.name) == "hypertable"
    return HELD_IN[table.name] if is_packed else table


def rows_of(conn: Connection, table: str) -> str:
    """Return the name of the table that holds the rows of `table`."""
    return HELD_IN[table].name if table in PARTED and layout_of(conn, table) == "hypertable" else table


def is_lockable(table: str) -> bool:
    """Return whether single rows of a table can be locked: TimescaleDB locks none that is compressed."""
    return table not in _PACKED


def is_parted(table: str) -> bool:
    """Return whether a table lies in parts by day, so that naming the days spares looking into the others."""
    return table in PARTED or table in _PACKED


def extent_of(conn: Connection, table: str) -> tuple[int, int]:
    """Return the bytes of `table` on disk, indexes included, and its rows as the server estimates them."""
    held = rows_of(conn, table)
    query = _HYPERTABLE_EXTENT if held != table and has_timescale(conn) else _EXTENT
    extent = conn.execute(query, {"name": held}).one()
    return extent.bytes or 0, extent.rows or 0


def refresh_statistics(conn: Connection, table: str) -> None:
    """Let the planner know `table` as a whole: the server's own upkeep looks at its parts only."""
    conn.execute(sa.text(f"ANALYZE {rows_of(conn, table)}"))


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
    before = layout_of(conn, table)
    if before == layout:
        return
    old, new = rows_of(conn, table), HELD_IN[table].name if layout == "hypertable" else table
    conn.execute(sa.text(f"LOCK TABLE {old} IN ACCESS EXCLUSIVE MODE"))
    of_rows = _hanging(conn, _OF_ROWS, old)
    if old != new and any(f"FUNCTION keep_{old}()" not in trigger for trigger in of_rows["trigger"]):
        raise _hindered(table, "a trigger of your own hangs on it")
    of_name = _hanging(conn, _OF_NAME, table)
    for function in list(conn.scalars(_FUNCTIONS, {"name": table})):
        conn.execute(sa.text(f"DROP FUNCTION {function}"))
    _create(conn, table, f"{new}_new", layout)
    _drop(conn, table, before)
    conn.execute(sa.text(f"ALTER TABLE {new}_new RENAME TO {new}"))
    if layout == "hypertable":
        create_view(conn, table)
        of_name["comment"] = [comment.replace(" TABLE ", " VIEW ", 1) for comment in of_name["comment"]]
        # Who may write writes through the view, by a trigger that has no more rights than he.
        of_rows["grant"] = of_name["grant"]
    for statements in of_rows.values():
        for statement in statements:
            run(conn, hung_on(statement, old, new))
    for statements in of_name.values():
        for statement in statements:
            run(conn, statement)
    refresh_statistics(conn, table)


def _hanging(conn: Connection, queries: Mapping[str, str], name: str) -> dict[str, list[str]]:
    return {what: list(conn.scalars(sa.text(query), {"name": name})) for what, query in queries.items()}


def parts_of(conn: Connection, table: str) -> list[str]:
    """Return the native partitions of `table`, oldest first; none in the other layouts."""
    query = (
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = CAST(:name AS regclass) ORDER BY inhrelid"
    )
    return list(conn.scalars(sa.text(query), {"name": table}))


def _create(conn: Connection, table: str, new: str, layout: Layout) -> None:
    """Create `new` with the rows of `table`; key, indexes and what else hangs on it come later."""
    if layout == "hypertable":
        run(conn, f"CREATE TABLE {new} ({packed_shape(conn, table)})")
        # Packed rows need no TimescaleDB, only their compression does.
        if has_timescale(conn):
            chunks = f"by_range('{DAY}', INTERVAL '{CHUNK}')"
            conn.execute(sa.text(f"SELECT create_hypertable('{new}', {chunks}, create_default_indexes => false)"))
        fill_packed(conn, table, new)
        return
    shape = f"LIKE {table} INCLUDING DEFAULTS INCLUDING COMMENTS INCLUDING CONSTRAINTS"
    if layout_of(conn, table) == "hypertable":
        shape = unpacked_shape(conn, table)
    run(conn, f"CREATE TABLE {new} ({shape}){f' PARTITION BY RANGE ({DAY})' if layout == 'partitions' else ''}")
    if layout == "partitions":
        ends = [f"'{date(year, 1, 1)}'" for year in FIRST_YEARS[1:]]
        for year, start, end in zip(FIRST_YEARS, ["MINVALUE", *ends], [*ends, "MAXVALUE"], strict=True):
            bounds = f"FOR VALUES FROM ({start}) TO ({end})"
            conn.execute(sa.text(f"CREATE TABLE {table}_from_{year} PARTITION OF {new} {bounds}"))
    conn.execute(sa.text(f"INSERT INTO {new} SELECT * FROM {table}"))  # noqa: S608  a table of ours


def _drop(conn: Connection, table: str, layout: Layout) -> None:
    try:
        with conn.begin_nested():
            if layout == "hypertable":
                drop_packed(conn, table)
            else:
                conn.execute(sa.text(f"DROP TABLE {table}"))
    except DBAPIError as error:
        raise _hindered(table, " ".join(str(error.orig).split())) from error


def _hindered(table: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        problem=f"table {table} cannot be laid out anew: {reason}; drop what hangs on it, and create it again after",
        problem_zh=f"无法重新组织表 {table}：{reason}；请先删除依赖它的对象，完成后再重建",
    )
