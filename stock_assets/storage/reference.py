"""The trading calendar and the list of securities, as stored. Rows that a later answer no longer holds are kept."""

from dataclasses import dataclass
from datetime import date

import polars as pl
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import Connection

from stock_assets.domain.contract import Table
from stock_assets.domain.tables import SECURITY, TRADING_DAY
from stock_assets.storage.bulk_load import Counts, load
from stock_assets.storage.copy_frames import columns_of, copy_out
from stock_assets.storage.schema import table_of


def save_trading_days(conn: Connection, frame: pl.DataFrame) -> Counts:
    """Make the calendar hold these days."""
    return load(conn, TRADING_DAY, frame)


def read_trading_days(conn: Connection) -> pl.DataFrame:
    """Return the whole calendar in order of days, closed ones included."""
    return _all(conn, TRADING_DAY)


@dataclass(frozen=True, slots=True)
class CalendarState:
    """The stored calendar in a few numbers; `disagreements` are the days on which exchange and source differ."""

    days: int
    sessions: int
    last_day: date | None
    disagreements: tuple[date, ...]


def calendar_state(conn: Connection) -> CalendarState:
    """Return the calendar's extent without reading its thirteen thousand days."""
    days = table_of(TRADING_DAY.name).c
    extent = sa.select(sa.func.count(), sa.func.count().filter(days.is_open), sa.func.max(days.trade_date))
    differ = sa.select(days.trade_date).where(~days.sources_agree).order_by(days.trade_date)
    return CalendarState(*conn.execute(extent).one(), disagreements=tuple(conn.scalars(differ)))


def save_securities(conn: Connection, frame: pl.DataFrame) -> Counts:
    """Make the list hold these securities; one that vanished from the source stays as it was."""
    return load(conn, SECURITY, frame)


def read_securities(conn: Connection) -> pl.DataFrame:
    """Return every security ever listed, by code."""
    return _all(conn, SECURITY)


def first_listing(conn: Connection) -> date | None:
    """Return the day from which on any known security is listed; None when none is known."""
    return conn.scalar(sa.select(sa.func.min(table_of(SECURITY.name).c.list_date)))


def _all(conn: Connection, table: Table) -> pl.DataFrame:
    order = sql.SQL(", ").join(map(sql.Identifier, table.key))
    query = sql.SQL("SELECT {columns} FROM {table} ORDER BY {order}")
    query = query.format(columns=columns_of(table), table=sql.Identifier(table.name), order=order)
    return copy_out(conn, query, table.schema)
