"""Which snapshots there are: the rows of `cache_snapshot`, one of each day the current one, and files nobody knows swept.

Whoever publishes or removes holds the day's lock of the ledger, so that a day has one writer at a time.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from pathlib import Path

import polars as pl
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from stock_assets.domain.snapshot_tables import CACHE_SNAPSHOT
from stock_assets.storage import ledger, snapshot_files
from stock_assets.storage.copy_frames import columns_of, copy_out, refusals
from stock_assets.storage.database import Database
from stock_assets.storage.schema import table_of

DATASET = CACHE_SNAPSHOT.name
_ROWS = table_of(DATASET)
# What a publication again may change of a row: which file it is, and whether it is the day's.
_AGAIN = ("is_current", "digest", "bytes", "reason", "run_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRow:
    """One published snapshot; `digest` is the file's, `inputs` JSON, `path` relative to the folder of snapshots."""

    trade_date: date
    snapshot_id: str
    is_current: bool
    digest: str
    bytes: int
    rows: int
    path: str
    inputs: str
    reason: str
    code_version: str
    created_at: datetime
    run_id: str | None


def current(conn: Connection, days: Collection[date]) -> dict[date, SnapshotRow]:
    """Return the current snapshot of each of these days that has one."""
    asked = sa.literal(sorted(days), sa.ARRAY(sa.Date))
    query = sa.select(_ROWS).where(_ROWS.c.is_current, _ROWS.c.trade_date == sa.any_(asked))
    return {row.trade_date: row for row in map(_row, conn.execute(query))}


def find(conn: Connection, snapshot_id: str) -> SnapshotRow | None:
    """Return the snapshot of this name, or None."""
    row = conn.execute(sa.select(_ROWS).where(_ROWS.c.snapshot_id == snapshot_id)).one_or_none()
    return None if row is None else _row(row)


def latest_day(conn: Connection) -> date | None:
    """Return the newest day that has a snapshot, or None."""
    return conn.scalar(sa.select(sa.func.max(_ROWS.c.trade_date)))


def listed(conn: Connection, start: date | None = None, end: date | None = None) -> pl.DataFrame:
    """Return the rows of [start, end] by day, the newest first, and of a day the current one first."""
    query = sql.SQL(
        "SELECT {columns} FROM cache_snapshot WHERE trade_date BETWEEN {start} AND {end}"
        " ORDER BY trade_date DESC, is_current DESC, created_at DESC, snapshot_id"
    ).format(columns=columns_of(CACHE_SNAPSHOT), start=start or date.min, end=end or date.max)
    return copy_out(conn, query, CACHE_SNAPSHOT.schema)


def save(conn: Connection, row: SnapshotRow) -> None:
    """Make `row` the current snapshot of its day; one of the same name that is there already is current again."""
    others = sa.update(_ROWS).where(
        _ROWS.c.trade_date == row.trade_date, _ROWS.c.is_current, _ROWS.c.snapshot_id != row.snapshot_id
    )
    conn.execute(others.values(is_current=False))
    values = {field.name: getattr(row, field.name) for field in fields(row)}
    statement = insert(_ROWS).values(values)
    with refusals(DATASET):
        conn.execute(
            statement.on_conflict_do_update(
                index_elements=list(CACHE_SNAPSHOT.key), set_={name: statement.excluded[name] for name in _AGAIN}
            )
        )


def superfluous(conn: Connection, *, before: date | None, versions: int | None) -> list[SnapshotRow]:
    """Return what settings let go: snapshots of days before `before`, and of each day all but the newest `versions`.

    The current one counts as the newest. None keeps everything.
    """
    place = sa.func.row_number().over(
        partition_by=_ROWS.c.trade_date,
        order_by=[_ROWS.c.is_current.desc(), _ROWS.c.created_at.desc(), _ROWS.c.snapshot_id],
    )
    ranked = sa.select(_ROWS, place.label("place")).subquery()
    is_old = sa.false() if before is None else ranked.c.trade_date < before
    is_one_of_many = sa.false() if versions is None else ranked.c.place > versions
    query = sa.select(ranked).where(is_old | is_one_of_many).order_by(ranked.c.trade_date)
    return [_row(row) for row in conn.execute(query)]


def forget(conn: Connection, rows: Iterable[SnapshotRow]) -> None:
    """Delete rows, and the ledger's lines of days that are left without a current snapshot; the days must be locked."""
    gone = list(rows)
    for row in gone:
        conn.execute(
            sa.delete(_ROWS).where(_ROWS.c.trade_date == row.trade_date, _ROWS.c.snapshot_id == row.snapshot_id)
        )
    days = {row.trade_date for row in gone}
    ledger.delete_entries(conn, DATASET, days - current(conn, days).keys())


def sweep(database: Database, folder: Path) -> list[str]:
    """Remove files that no row knows: what was begun, what was never committed, what was forgotten. Return their paths.

    Reports go with the snapshot that they are about.

    A day that somebody is publishing is left alone, for its file may wait for its row.
    """
    with database.read() as conn:
        known = set(conn.scalars(sa.select(_ROWS.c.path)))
    unknown: dict[date, list[str]] = {}
    for day, path in snapshot_files.found(folder):
        if snapshot_files.snapshot_of(path) not in known:
            unknown.setdefault(day, []).append(path)
    return [path for day, paths in unknown.items() for path in _sweep_day(database, folder, day, paths)]


def _sweep_day(database: Database, folder: Path, day: date, paths: Sequence[str]) -> list[str]:
    with database.begin() as conn:
        if not ledger.try_lock_day(conn, DATASET, day):
            return []
        known = set(conn.scalars(sa.select(_ROWS.c.path).where(_ROWS.c.trade_date == day)))
        return [
            path
            for path in paths
            if snapshot_files.snapshot_of(path) not in known and snapshot_files.remove(folder, path)
        ]


def _row(row: sa.Row[tuple[object, ...]]) -> SnapshotRow:
    # A ranked row has one column more.
    return SnapshotRow(**dict(zip((field.name for field in fields(SnapshotRow)), row, strict=False)))  # pyright: ignore[reportArgumentType]
