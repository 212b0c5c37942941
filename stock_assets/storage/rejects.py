"""What quality refused, and what it found worth a look, day by day.

A rejected row is never deleted: once a later answer of the same day no longer holds it, it is resolved. Findings describe
the rows as stored now, so those of a day are replaced as a whole.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import Connection

from stock_assets.domain.contract import Table
from stock_assets.domain.errors import DataRefused
from stock_assets.domain.tables import QUALITY_FINDING, REJECTED_ROW
from stock_assets.storage.bulk_load import Counts, insert_missing, merge_staged, same_key, stage
from stock_assets.storage.copy_frames import columns_of, copy_out, refusals
from stock_assets.storage.schema import table_of


@dataclass(frozen=True, slots=True)
class RejectedCounts:
    """What became of the rejected rows of some days; `resolved` ones are no longer in the answer."""

    new: int = 0
    reopened: int = 0
    unchanged: int = 0
    resolved: int = 0


def save_rejected(
    conn: Connection,
    dataset: str,
    days: Iterable[date],
    frame: pl.DataFrame,
    *,
    ts_codes: Sequence[str] | None = None,
) -> RejectedCounts:
    """Make `frame` the open rejected rows of these days of `dataset`; a row that comes back is opened again.

    With `ts_codes` only the rows of these stocks are spoken of: what other stocks have on these days stays as it is.

    Errors: `DataRefused` when the frame holds rows of another dataset or day.
    """
    of_days = _of_days(REJECTED_ROW, dataset, days, frame, ts_codes)
    target = table_of(REJECTED_ROW.name)
    with refusals(REJECTED_ROW.name):
        staged = stage(
            conn, REJECTED_ROW, frame.with_columns(resolved_at=pl.lit(None, REJECTED_ROW.schema["resolved_at"]))
        )
        same = same_key(REJECTED_ROW, target, staged)
        reopened = conn.execute(
            target.update().values(resolved_at=None).where(same, target.c.resolved_at.is_not(None))
        ).rowcount
        resolved = conn.execute(
            target.update()
            .values(resolved_at=sa.func.now())
            .where(of_days, target.c.resolved_at.is_(None), ~sa.exists().where(same))
        ).rowcount
        _, new = insert_missing(conn, REJECTED_ROW)
    return RejectedCounts(new, reopened, frame.height - new - reopened, resolved)


def add_rejected(conn: Connection, dataset: str, days: Iterable[date], frame: pl.DataFrame) -> RejectedCounts:
    """Add rejected rows of these days of `dataset`, for an answer that does not speak of all their rows: none is resolved.

    Errors: `DataRefused` when the frame holds rows of another dataset or day.
    """
    _of_days(REJECTED_ROW, dataset, days, frame, None)
    target = table_of(REJECTED_ROW.name)
    with refusals(REJECTED_ROW.name):
        staged = stage(
            conn, REJECTED_ROW, frame.with_columns(resolved_at=pl.lit(None, REJECTED_ROW.schema["resolved_at"]))
        )
        again = sa.and_(same_key(REJECTED_ROW, target, staged), target.c.resolved_at.is_not(None))
        reopened = conn.execute(target.update().values(resolved_at=None).where(again)).rowcount
        _, new = insert_missing(conn, REJECTED_ROW)
    return RejectedCounts(new, reopened, frame.height - new - reopened)


def save_findings(
    conn: Connection,
    dataset: str,
    days: Iterable[date],
    frame: pl.DataFrame,
    *,
    ts_codes: Sequence[str] | None = None,
) -> Counts:
    """Make `frame` all findings of these days of `dataset`; equal ones are not touched. Deleted ones are not counted.

    With `ts_codes` only the findings of these stocks are spoken of.

    Errors: `DataRefused` when the frame holds rows of another dataset or day.
    """
    of_days = _of_days(QUALITY_FINDING, dataset, days, frame, ts_codes)
    target = table_of(QUALITY_FINDING.name)
    with refusals(QUALITY_FINDING.name):
        staged = stage(conn, QUALITY_FINDING, frame)
        conn.execute(target.delete().where(of_days, ~sa.exists().where(same_key(QUALITY_FINDING, target, staged))))
        return merge_staged(conn, QUALITY_FINDING, frame.height, ("run_id", "found_at"))


def read_rejected(conn: Connection, start: date, end: date) -> pl.DataFrame:
    """Return the rejected rows of [start, end], resolved ones included."""
    return _read(conn, REJECTED_ROW, start, end)


def read_findings(conn: Connection, start: date, end: date) -> pl.DataFrame:
    """Return the findings of [start, end]."""
    return _read(conn, QUALITY_FINDING, start, end)


def open_counts(conn: Connection, dataset: str, days: Iterable[date]) -> dict[date, int]:
    """Return how many unresolved rejected rows each of these days has; days without any are left out."""
    target = table_of(REJECTED_ROW.name)
    asked = sa.literal(sorted(set(days)), sa.ARRAY(sa.Date))
    query = (
        sa.select(target.c.trade_date, sa.func.count().label("rows"))
        .where(target.c.dataset == dataset, target.c.trade_date == sa.any_(asked), target.c.resolved_at.is_(None))
        .group_by(target.c.trade_date)
    )
    return {row.trade_date: row.rows for row in conn.execute(query)}


def _of_days(
    table: Table, dataset: str, days: Iterable[date], frame: pl.DataFrame, ts_codes: Sequence[str] | None
) -> sa.ColumnElement[bool]:
    asked = sorted(set(days))
    inside = (pl.col("dataset") == dataset) & pl.col("trade_date").is_in(asked)
    if not frame.select(inside.all()).item():
        raise DataRefused(table=table.name, reason=f"rows outside the {len(asked)} days of {dataset} being saved")
    target = table_of(table.name)
    of_days = sa.and_(target.c.dataset == dataset, target.c.trade_date == sa.any_(sa.literal(asked, sa.ARRAY(sa.Date))))
    if ts_codes is None:
        return of_days
    return sa.and_(of_days, target.c.ts_code == sa.any_(sa.literal(list(ts_codes), sa.ARRAY(sa.Text))))


def _read(conn: Connection, table: Table, start: date, end: date) -> pl.DataFrame:
    query = sql.SQL(
        "SELECT {columns} FROM {table} WHERE trade_date BETWEEN {start} AND {end} ORDER BY trade_date, dataset, {key}"
    ).format(
        columns=columns_of(table),
        table=sql.Identifier(table.name),
        start=start,
        end=end,
        key=sql.SQL(", ").join(sql.Identifier(name) for name in table.key if name not in {"dataset", "trade_date"}),
    )
    return copy_out(conn, query, table.schema)
