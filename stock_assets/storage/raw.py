"""What a source said, in its own words, version after version.

A version is appended only when the answer differs from the newest one stored; nothing is ever overwritten or deleted.
"""

from collections.abc import Collection
from datetime import date, datetime

import polars as pl
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from stock_assets.domain.contract import Table
from stock_assets.domain.tables import day_text
from stock_assets.storage.bulk_load import Counts, differ, stage
from stock_assets.storage.copy_frames import copy_in, copy_out, refusals
from stock_assets.storage.schema import table_of

_OURS = ("fetched_at", "run_id")


def save_answer(
    conn: Connection, table: Table, frame: pl.DataFrame, *, fetched_at: datetime, run_id: str | None
) -> Counts:
    """Append the rows of an answer that say something new; `frame` has the source's columns, all text.

    Counted as inserted: rows whose key was never answered before; as updated: new versions of known ones.
    Versions of a key are in the order in which they were saved, even when the clock stands still or goes back. Whoever
    saves holds the days against other writers (`ledger.lock_days`).

    Errors: `DataRefused` when the frame breaks the table's contract.
    """
    ours = pl.lit(fetched_at).dt.convert_time_zone("UTC").cast(pl.Datetime("us", "UTC")).alias("fetched_at")
    frame = table.conform(frame.with_columns(ours, pl.lit(run_id, dtype=pl.String()).alias("run_id")))
    if frame.is_empty():
        return Counts()
    with refusals(table.name):
        if _is_first_answer(conn, table, frame):
            copy_in(conn, table.name, frame.sort(table.key))
            return Counts(inserted=frame.height)
        new, versions = conn.execute(_append(table, stage(conn, table, frame))).one()
    return Counts(new, versions, frame.height - new - versions)


def newest_answers(conn: Connection, table: Table, days: Collection[date]) -> pl.DataFrame:
    """Return what the source last said of these days: its columns, all text as it was sent, in the table's key order.

    A row that a later answer no longer held is still among them: raw tables forget nothing.
    """
    names = table.empty_text().columns
    key = [name for name in table.key if name not in _OURS]
    day = _day_column(table)
    query = sql.SQL(
        "SELECT DISTINCT ON ({key}) {names} FROM {table} WHERE {day} = ANY({days}::text[]) ORDER BY {key}, fetched_at DESC"
    ).format(
        key=sql.SQL(", ").join(map(sql.Identifier, key)),
        names=sql.SQL(", ").join(map(sql.Identifier, names)),
        table=sql.Identifier(table.name),
        day=sql.Identifier(day),
        days=[day_text(day, asked) for asked in days],
    )
    return copy_out(conn, query, dict.fromkeys(names, pl.String()))


def _day_column(table: Table) -> str:
    return table.indexes[0][0]


def _is_first_answer(conn: Connection, table: Table, frame: pl.DataFrame) -> bool:
    """Return whether no row of these days was ever answered: then there is nothing to compare with."""
    day = table_of(table.name).c[_day_column(table)]
    days = sa.literal(frame[day.name].unique().to_list(), sa.ARRAY(sa.Text))
    return not conn.scalar(sa.select(sa.exists().where(day == sa.any_(days))))


def _append(table: Table, staged: sa.Table) -> sa.Select[int, int]:
    target = table_of(table.name)
    key = [name for name in table.key if name not in _OURS]
    content = [name for name in table.names if name not in _OURS and name not in key]
    newest = (
        sa.select(*(target.c[name] for name in (*content, "fetched_at")))
        .where(*(target.c[name] == staged.c[name] for name in key))
        .order_by(target.c.fetched_at.desc())
        .limit(1)
        .lateral("newest")
    )
    is_new = newest.c.fetched_at.is_(None)
    # Never at or before the version it replaces, so that the last one saved is always the newest.
    fetched_at = sa.func.greatest(staged.c.fetched_at, newest.c.fetched_at + sa.text("interval '1 microsecond'"))
    columns = [fetched_at.label(name) if name == "fetched_at" else staged.c[name] for name in table.names]
    changed = (
        sa.select(is_new.label("is_new"), *columns)
        .select_from(staged.outerjoin(newest, sa.true()))
        .where(sa.or_(is_new, differ(newest, staged, content)))
        .cte("changed")
    )
    rows = sa.select(*(changed.c[name] for name in table.names)).order_by(*(changed.c[name] for name in table.key))
    write = insert(target).from_select(table.names, rows).cte("write")
    return (
        sa.select(sa.func.count().filter(changed.c.is_new), sa.func.count().filter(~changed.c.is_new))
        .select_from(changed)
        .add_cte(write)
    )
