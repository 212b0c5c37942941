"""The ledger: which days of a dataset are loaded, and how well. Written in the transaction of the day's rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Literal

import polars as pl
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from stock_assets.domain.tables import LOAD_LEDGER
from stock_assets.storage import bulk_load
from stock_assets.storage.copy_frames import columns_of, copy_out, refusals
from stock_assets.storage.schema import table_of

Status = Literal["complete", "empty", "partial", "refused"]
CLOSED: tuple[Status, ...] = ("complete", "empty")

# Fewer lines than this are written faster without a table beside theirs.
_ONE_BY_ONE = 8
# Between the names of a day's sources.
_AND = "+"
_LEDGER = table_of(LOAD_LEDGER.name)
# Who wrote it and when says nothing about the day: alone it is no reason to write.
_CIRCUMSTANCES = ("run_id", "started_at", "finished_at")
_CONTENT = [name for name in LOAD_LEDGER.names if name not in LOAD_LEDGER.key and name not in _CIRCUMSTANCES]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One line of the ledger. A line that leaves a gap open (`partial`, `refused`) must say why in `detail`."""

    dataset: str
    trade_date: date
    status: Status
    rows_expected: int | None
    rows_present: int
    rows_rejected: int
    source: str
    digest: str | None = None
    detail: str | None = None
    run_id: str | None = None
    started_at: datetime
    finished_at: datetime


def lock_days(conn: Connection, dataset: str, days: Iterable[date]) -> None:
    """Wait until no other transaction holds one of these days of `dataset`, then hold them until this one ends.

    Every day takes a place in the server's lock table: a few hundred at a time are fine, a whole history is not.
    """
    ordered = sorted({day.toordinal() for day in days})
    # One order for everybody, so that two runs with overlapping days cannot wait for each other.
    numbers = sa.func.unnest(sa.literal(ordered, sa.ARRAY(sa.Integer))).table_valued("number").render_derived("day")
    lock = sa.func.pg_advisory_xact_lock(sa.func.hashtext(dataset), numbers.c.number)
    conn.execute(sa.select(sa.func.count(lock)).select_from(numbers))


def try_lock_day(conn: Connection, dataset: str, day: date) -> bool:
    """Hold this day of `dataset` until the transaction ends, unless another transaction does; return whether it is held."""
    lock = sa.func.pg_try_advisory_xact_lock(sa.func.hashtext(dataset), day.toordinal())
    return bool(conn.scalar(sa.select(lock)))


def delete_entries(conn: Connection, dataset: str, days: Iterable[date]) -> None:
    """Delete the lines of these days: what they spoke of is no longer there, on purpose."""
    asked = sa.literal(sorted(set(days)), sa.ARRAY(sa.Date))
    conn.execute(sa.delete(_LEDGER).where(_LEDGER.c.dataset == dataset, _LEDGER.c.trade_date == sa.any_(asked)))


def write_entry(conn: Connection, entry: LedgerEntry) -> bool:
    """Write the day's line unless the ledger says the same already; return whether it was written.

    A change of run and times alone is not written. Errors: `DataRefused` when the line contradicts itself.
    """
    values = {field.name: getattr(entry, field.name) for field in fields(entry)}
    same = sa.exists().where(
        _LEDGER.c.dataset == entry.dataset,
        _LEDGER.c.trade_date == entry.trade_date,
        *(_LEDGER.c[name].is_not_distinct_from(sa.literal(values[name], _LEDGER.c[name].type)) for name in _CONTENT),
    )
    row = sa.select(*(sa.literal(values[name], _LEDGER.c[name].type) for name in LOAD_LEDGER.names)).where(~same)
    statement = insert(_LEDGER).from_select(LOAD_LEDGER.names, row)
    statement = statement.on_conflict_do_update(
        index_elements=list(LOAD_LEDGER.key),
        set_={name: statement.excluded[name] for name in (*_CONTENT, *_CIRCUMSTANCES)},
    ).returning(_LEDGER.c.status)
    with refusals(LOAD_LEDGER.name):
        return conn.scalar(statement) is not None


def write_entries(conn: Connection, entries: Sequence[LedgerEntry]) -> None:
    """Do what `write_entry` does for lines of days that nobody else writes meanwhile, many of them at once."""
    if len(entries) <= _ONE_BY_ONE:
        for entry in entries:
            write_entry(conn, entry)
        return
    lines = [{name: getattr(entry, name) for name in LOAD_LEDGER.names} for entry in entries]
    frame = LOAD_LEDGER.conform(pl.DataFrame(lines, schema=LOAD_LEDGER.schema))
    bulk_load.load(conn, LOAD_LEDGER, frame, ignore=_CIRCUMSTANCES)


def read_entries(conn: Connection, dataset: str, start: date, end: date) -> pl.DataFrame:
    """Return the lines of `dataset` for [start, end] in order of days."""
    query = sql.SQL(
        "SELECT {columns} FROM load_ledger WHERE dataset = {dataset} AND trade_date BETWEEN {start} AND {end}"
        " ORDER BY trade_date"
    ).format(columns=columns_of(LOAD_LEDGER), dataset=dataset, start=start, end=end)
    return copy_out(conn, query, LOAD_LEDGER.schema)


def closed_days(conn: Connection, dataset: str, start: date, end: date) -> set[date]:
    """Return the days of [start, end] that need no further request: complete, or proven empty."""
    query = sa.select(_LEDGER.c.trade_date).where(
        _LEDGER.c.dataset == dataset, _LEDGER.c.trade_date.between(start, end), _LEDGER.c.status.in_(CLOSED)
    )
    return set(conn.scalars(query))


def begun_at(conn: Connection) -> datetime | None:
    """Return when the first of the runs began that the ledger still names; None for an empty ledger."""
    return conn.scalar(sa.select(sa.func.min(_LEDGER.c.started_at)))


def known_days(conn: Connection, dataset: str) -> set[date]:
    """Return every day that somebody asked for, whatever came of it."""
    return set(conn.scalars(sa.select(_LEDGER.c.trade_date).where(_LEDGER.c.dataset == dataset)))


def statuses(conn: Connection, dataset: str, days: Iterable[date]) -> dict[date, str]:
    """Return the status of each of these days that has a line."""
    asked = sa.literal(sorted(set(days)), sa.ARRAY(sa.Date))
    query = sa.select(_LEDGER.c.trade_date, _LEDGER.c.status).where(
        _LEDGER.c.dataset == dataset, _LEDGER.c.trade_date == sa.any_(asked)
    )
    return {row.trade_date: row.status for row in conn.execute(query)}


def closed_rows(conn: Connection, dataset: str, days: Iterable[date]) -> dict[date, int]:
    """Return how many rows each of these days had when its line was closed; days without such a line are left out."""
    asked = sa.literal(sorted(set(days)), sa.ARRAY(sa.Date))
    query = sa.select(_LEDGER.c.trade_date, _LEDGER.c.rows_present).where(
        _LEDGER.c.dataset == dataset, _LEDGER.c.trade_date == sa.any_(asked), _LEDGER.c.status.in_(CLOSED)
    )
    return {row.trade_date: row.rows_present for row in conn.execute(query)}


def sources(conn: Connection) -> set[str]:
    """Return every source that this store was ever loaded from."""
    names = conn.scalars(sa.select(_LEDGER.c.source).distinct())
    return {name for joined in names for name in sources_of(joined)}


def joined_sources(names: Iterable[str]) -> str:
    """Return the ledger's word for a day that several sources made, such as `baostock+tushare`."""
    return _AND.join(sorted(set(names)))


def sources_of(joined: str) -> set[str]:
    """Return the sources that a line of the ledger names."""
    return set(joined.split(_AND))


def closing_sources(conn: Connection, dataset: str, start: date, end: date) -> dict[date, set[str]]:
    """Return of each closed day of [start, end] the sources that made it."""
    query = sa.select(_LEDGER.c.trade_date, _LEDGER.c.source).where(
        _LEDGER.c.dataset == dataset, _LEDGER.c.trade_date.between(start, end), _LEDGER.c.status.in_(CLOSED)
    )
    return {row.trade_date: sources_of(row.source) for row in conn.execute(query)}


def summary(conn: Connection) -> pl.DataFrame:
    """Return one row per dataset: days by status, first and last closed day, rows present."""
    query = sql.SQL("""
        SELECT dataset,
               count(*) FILTER (WHERE status = 'complete'),
               count(*) FILTER (WHERE status = 'empty'),
               count(*) FILTER (WHERE status = 'partial'),
               count(*) FILTER (WHERE status = 'refused'),
               min(trade_date) FILTER (WHERE status IN ('complete', 'empty')),
               max(trade_date) FILTER (WHERE status IN ('complete', 'empty')),
               sum(rows_present)
        FROM load_ledger GROUP BY dataset ORDER BY dataset
    """)
    counts = {name: pl.Int64() for name in ("complete", "empty", "partial", "refused")}
    schema = {"dataset": pl.String(), **counts, "first_day": pl.Date(), "last_day": pl.Date(), "rows": pl.Int64()}
    return copy_out(conn, query, schema)
