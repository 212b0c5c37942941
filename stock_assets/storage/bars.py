"""Read daily bars and adjustment factors. They are written by `bulk_load.load`; adjusting prices does not belong here."""

from collections.abc import Collection, Sequence
from datetime import date

import polars as pl
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import Connection

from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.storage.copy_frames import columns_of, copy_out
from stock_assets.storage.schema import table_of

_BARS = table_of(STOCK_DAILY.name)
_PREVIOUS = {"ts_code": pl.String(), "close": pl.Float64(), "trade_date": pl.Date()}
# The market's previous session answers for almost every code. The rest (suspended without a row, delisted) is looked up
# code by code through the primary key, whose size does not matter then.
_PREVIOUS_CLOSES = """
    WITH recent AS MATERIALIZED (
        SELECT ts_code, close, trade_date FROM stock_daily
        WHERE trade_date = (SELECT max(trade_date) FROM stock_daily WHERE trade_date < {day})
    ), others AS (
        SELECT ts_code FROM security EXCEPT SELECT ts_code FROM recent
    )
    SELECT ts_code, close, trade_date FROM recent
    UNION ALL
    SELECT last.* FROM others CROSS JOIN LATERAL (
        SELECT bar.ts_code, bar.close, bar.trade_date FROM stock_daily AS bar
        WHERE bar.ts_code = others.ts_code AND bar.trade_date < {day} ORDER BY bar.trade_date DESC LIMIT 1
    ) AS last
    ORDER BY ts_code
"""


def read_bars(conn: Connection, ts_codes: Sequence[str] | None, start: date, end: date) -> pl.DataFrame:
    """Return the bars of [start, end] in key order, of these codes or (None) of all."""
    query = sql.SQL("SELECT {columns} FROM stock_daily WHERE trade_date BETWEEN {start} AND {end}").format(
        columns=columns_of(STOCK_DAILY), start=start, end=end
    )
    return copy_out(conn, query + _of(ts_codes) + sql.SQL(" ORDER BY ts_code, trade_date"), STOCK_DAILY.schema)


def rows_of_day(conn: Connection, day: date) -> pl.DataFrame:
    """Return all bars of one day, by code."""
    return read_bars(conn, None, day, day)


def turnover(conn: Connection, start: date, end: date) -> pl.DataFrame:
    """Return trade_date and amount, the turnover of the whole market in CNY, of each day of [start, end] with bars."""
    query = sql.SQL(
        "SELECT trade_date, sum(amount) FROM stock_daily WHERE trade_date BETWEEN {start} AND {end}"
        " GROUP BY trade_date ORDER BY trade_date"
    ).format(start=start, end=end)
    return copy_out(conn, query, {"trade_date": pl.Date(), "amount": pl.Float64()})


def previous_closes(conn: Connection, day: date) -> pl.DataFrame:
    """Return ts_code, close and trade_date of every security's last bar before `day`, by code.

    A code that is in no list of securities counts only when it traded on the market's previous session.
    """
    return copy_out(conn, sql.SQL(_PREVIOUS_CLOSES).format(day=day), _PREVIOUS)


def read_factors(
    conn: Connection, ts_codes: Sequence[str] | None, start: date | None = None, end: date | None = None
) -> pl.DataFrame:
    """Return the adjustment factors with ex-dates in [start, end] in key order; an open end is no limit."""
    query = sql.SQL("SELECT {columns} FROM adjust_factor WHERE true").format(columns=columns_of(ADJUST_FACTOR))
    query += _of(ts_codes)
    if start is not None:
        query += sql.SQL(" AND ex_date >= {}").format(start)
    if end is not None:
        query += sql.SQL(" AND ex_date <= {}").format(end)
    return copy_out(conn, query + sql.SQL(" ORDER BY ts_code, ex_date"), ADJUST_FACTOR.schema)


def factor_counts(conn: Connection, days: Collection[date]) -> dict[date, int]:
    """Return how many adjustment factors there are of each of these ex-dates that has any."""
    factors = table_of(ADJUST_FACTOR.name).c
    asked = sa.literal(sorted(days), sa.ARRAY(sa.Date))
    query = sa.select(factors.ex_date, sa.func.count()).where(factors.ex_date == sa.any_(asked))
    return {day: count for day, count in conn.execute(query.group_by(factors.ex_date))}  # noqa: C416  rows are no pairs to a type checker


def _of(ts_codes: Sequence[str] | None) -> sql.Composable:
    return sql.SQL("") if ts_codes is None else sql.SQL(" AND ts_code = ANY({})").format(list(ts_codes))
