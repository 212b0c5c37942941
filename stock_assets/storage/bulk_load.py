"""Bring a frame into its table so that only what really changed is written.

New rows go by COPY straight into their table. The rest goes by COPY into a temporary table beside it; then rows that
differ are updated and missing ones inserted. Loading the same data again writes nothing at all.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl
import sqlalchemy as sa
import structlog
from psycopg import sql
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from stock_assets.domain.contract import Table
from stock_assets.domain.errors import DataRefused
from stock_assets.storage import timescale
from stock_assets.storage.copy_frames import RowsExist, copy_in, driver, refusals
from stock_assets.storage.layout import DAY, held_in, is_lockable, is_parted
from stock_assets.storage.packing import held_names, pack
from stock_assets.storage.schema import table_for

_log = structlog.get_logger(__name__)
# For this transaction: the triggers that keep old versions write the run down, and TimescaleDB may unpack as many
# compressed rows as a late correction of a market day needs (to a server without it the name means nothing). A plan made
# for these days looks into their parts only, a plan for any days into all.
_SETTINGS = sa.text("""
    SELECT set_config('stock_assets.run_id', :run_id, true),
           set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', true),
           set_config('plan_cache_mode', 'force_custom_plan', true)
""")
# Where rows cannot be locked, writers that compare take turns.
_ONE_WRITER = sa.text("SELECT pg_advisory_xact_lock(hashtext('bulk_load'), hashtext(:table))")
# Each further pass is needed only when another writer committed the same new keys in between.
_PASSES = 5


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the rows of a frame; the three add up to its height."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0

    @property
    def written(self) -> int:
        """Return the number of rows that were written."""
        return self.inserted + self.updated

    def __add__(self, other: "Counts") -> "Counts":
        """Return the counts of both together."""
        return Counts(self.inserted + other.inserted, self.updated + other.updated, self.unchanged + other.unchanged)


def load(  # noqa: PLR0913  (each has its default)
    conn: Connection,
    table: Table,
    frame: pl.DataFrame,
    *,
    is_new: bool = False,
    run_id: str | None = None,
    ignore: tuple[str, ...] = ("updated_at",),
) -> Counts:
    """Make `table` hold the rows of `frame`, a conformed frame; rows of other keys are left alone.

    A row whose difference lies only in `ignore` counts as unchanged; when a row is updated, these columns are written
    too. `is_new` says that no key of the frame is there yet, which is faster; where it proves wrong, the rows are
    compared after all. `run_id` stands with the old rows that the database keeps.

    Errors: `DataRefused` when the database's own rules are broken; the transaction is lost then.
    """
    if frame.is_empty():
        return Counts()
    with refusals(table.name):
        conn.execute(_SETTINGS, {"run_id": run_id or ""})
        held = held_in(conn, table)
        if held is not table:
            frame, ignore = pack(frame), held_names(ignore)
        if is_new and _append(conn, held, frame):
            return Counts(inserted=frame.height)
        stage(conn, held, frame)
        return merge_staged(conn, held, frame.height, ignore)


def _append(conn: Connection, table: Table, frame: pl.DataFrame) -> bool:
    try:
        with refusals(table.name), conn.begin_nested():
            copy_in(conn, table.name, frame.select(table.names).sort(table.key))
    except RowsExist as error:
        _log.info("load.not_new", table=table.name, rows=frame.height, reason=str(error))
        return False
    return True


def stage(conn: Connection, table: Table, frame: pl.DataFrame) -> sa.Table:
    """Return a temporary table that holds exactly `frame`; the next call for this table in the transaction empties it."""
    staged = staged_table(table)
    names = {"staged": sql.Identifier(staged.name), "target": sql.Identifier(table.name)}
    columns = sql.SQL(", ").join(map(sql.Identifier, table.names))
    keys = sql.SQL(", ").join(map(sql.Identifier, table.key))
    raw = driver(conn)
    raw.execute(
        sql.SQL(
            "CREATE TEMPORARY TABLE IF NOT EXISTS {staged} ON COMMIT DROP AS SELECT {columns} FROM {target} WITH NO DATA"
        ).format(columns=columns, **names)
    )
    raw.execute(sql.SQL("TRUNCATE {staged}").format(**names))
    copy_in(conn, staged.name, frame.select(table.names).sort(table.key))
    # Without statistics of the keys the planner may read the whole target instead of its index.
    raw.execute(sql.SQL("ANALYZE {staged} ({keys})").format(keys=keys, **names))
    return staged


@cache
def staged_table(table: Table) -> sa.Table:
    """Return the temporary table beside `table`, as SQLAlchemy sees it."""
    columns = (sa.Column(column.name, column.type) for column in table_for(table).columns if not column.identity)
    return sa.Table(f"_tmp_{table.name}", sa.MetaData(), *columns)


def same_key(table: Table, one: sa.FromClause, other: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return the condition that both sides have the same key."""
    return sa.and_(*(one.c[name] == other.c[name] for name in table.key))


def differ(one: sa.FromClause, other: sa.FromClause, names: list[str]) -> sa.ColumnElement[bool]:
    """Return the condition that both sides differ in one of the columns; two nulls are equal."""
    if not names:
        return sa.false()
    left: sa.ColumnElement[Any] = sa.tuple_(*(one.c[name] for name in names))
    return left.is_distinct_from(sa.tuple_(*(other.c[name] for name in names)))


def merge_staged(conn: Connection, table: Table, height: int, ignore: tuple[str, ...]) -> Counts:
    """Do what `load` does with the `height` rows that `stage` has put beside the table."""
    target, staged = table_for(table), staged_table(table)
    content = [name for name in table.names if name not in table.key]
    stale = sa.and_(
        _span(conn, target, staged),
        same_key(table, target, staged),
        differ(target, staged, [name for name in content if name not in ignore]),
    )
    if not is_lockable(table.name):
        conn.execute(_ONE_WRITER, {"table": table.name})
    update = target.update().values({name: staged.c[name] for name in content}).where(stale)
    inserted = updated = missing = added = 0
    for _ in range(_PASSES):
        reach = _reach(conn, table, target, target.join(staged, stale))
        if reach is not None:
            updated += conn.execute(update.where(reach)).rowcount
        missing, added = insert_missing(conn, table)
        inserted += added
        if missing == added:
            return Counts(inserted, updated, height - inserted - updated)
    raise DataRefused(table=table.name, reason=f"of {missing} missing rows only {added} could be inserted")


def _reach(
    conn: Connection, table: Table, target: sa.Table, stale_rows: sa.FromClause
) -> sa.ColumnElement[bool] | None:
    """Return what else to say of the rows that are to be updated, so that they are found fast; None when there are none."""
    if not is_lockable(table.name):
        return timescale.reach(conn, target, stale_rows)
    # Locking in key order first: two writers that meet wait for each other instead of deadlocking.
    rows = sa.select(sa.literal(1)).select_from(stale_rows).order_by(*(target.c[name] for name in table.key))
    count = sa.select(sa.func.count()).select_from(rows.with_for_update(of=target).subquery())
    return sa.true() if conn.scalar(count) else None


def _span(conn: Connection, target: sa.Table, staged: sa.Table) -> sa.ColumnElement[bool]:
    """Return the condition that a row of a parted table lies among the staged days: the planner looks into no other part."""
    if not is_parted(target.name):
        return sa.true()
    first, last = conn.execute(sa.select(sa.func.min(staged.c[DAY]), sa.func.max(staged.c[DAY]))).one()
    return target.c[DAY].between(first, last)


def insert_missing(conn: Connection, table: Table) -> tuple[int, int]:
    """Return how many staged rows had no counterpart, and how many of them went in before another writer's."""
    target, staged = table_for(table), staged_table(table)
    known = sa.exists().where(_span(conn, target, staged), same_key(table, target, staged))
    missing = sa.select(staged).where(~known).cte("missing")
    rows = sa.select(missing).order_by(*(missing.c[name] for name in table.key))
    added = (
        insert(target).from_select(table.names, rows).on_conflict_do_nothing().returning(sa.literal(1).label("one"))
    ).cte("added")
    counts = sa.select(
        sa.select(sa.func.count()).select_from(missing).scalar_subquery(),
        sa.select(sa.func.count()).select_from(added).scalar_subquery(),
    )
    found, inserted = conn.execute(counts).one()
    return found, inserted
