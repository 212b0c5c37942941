"""What should be there and what is, at the grain of one stock on one day.

Expected is a bar for every security listed on every open day: from its `list_date` on, until the day before its
`delist_date`. A suspended stock is expected too: its bar says so. `exclude_exchanges` names those a source does not cover.
A bar that no source has is expected no longer (see `asked_gaps`, also for what `sources` means).
"""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any, Final, cast

import polars as pl
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import Connection

from stock_assets.domain.completeness import SourcesInUse
from stock_assets.domain.contract import Table
from stock_assets.domain.tables import SECURITY, STOCK_DAILY, TRADING_DAY
from stock_assets.storage.asked_gaps import proven_gaps
from stock_assets.storage.copy_frames import copy_out, driver
from stock_assets.storage.layout import extent_of
from stock_assets.storage.schema import table_of
from stock_assets.storage.tables import TABLES

LISTED: Final = """
    SELECT ts_code, list_date, coalesce(delist_date, 'infinity') AS delist_date FROM security
    WHERE exchange <> ALL({excluded}::text[]) AND ({codes}::text[] IS NULL OR ts_code = ANY({codes}::text[]))
"""
# Listings and delistings summed up along time: the cost grows with stocks plus days, not with stocks times days.
EXPECTED: Final = """
    SELECT day AS trade_date, listed AS expected FROM (
        SELECT day, is_asked, sum(step) OVER (ORDER BY day, is_asked) AS listed FROM (
            SELECT list_date AS day, 1 AS step, false AS is_asked FROM listed
            UNION ALL SELECT delist_date, -1, false FROM listed
            UNION ALL SELECT trade_date, 0, true FROM trading_day
                      WHERE is_open AND trade_date BETWEEN {start} AND {end}
        ) AS event
    ) AS running WHERE is_asked
"""
# What no source has, by day; only of what is expected and not there.
NONE: Final = """
    SELECT proven.trade_date, count(*) AS none, array_agg(proven.ts_code) AS none_codes
    FROM ({proven}) AS proven JOIN listed ON listed.ts_code = proven.ts_code
        AND proven.trade_date >= list_date AND proven.trade_date < delist_date
    WHERE NOT EXISTS (SELECT FROM stock_daily AS bar
                      WHERE bar.ts_code = proven.ts_code AND bar.trade_date = proven.trade_date)
    GROUP BY proven.trade_date
"""
# Day by day (LATERAL), and only where a day is short, because joining all days at once would read the whole table.
# Only bars that were expected count as present: one that was not must not hide one that is missing.
_MISSING: Final = f"""
    WITH listed AS MATERIALIZED ({LISTED}), expected AS ({EXPECTED}), present AS (
        SELECT bar.trade_date, count(*) AS present FROM stock_daily AS bar JOIN listed
            ON listed.ts_code = bar.ts_code AND bar.trade_date >= list_date AND bar.trade_date < delist_date
        WHERE bar.trade_date BETWEEN {{start}} AND {{end}} GROUP BY bar.trade_date
    ), none AS MATERIALIZED ({NONE}), short AS MATERIALIZED (
        SELECT trade_date, none_codes FROM expected LEFT JOIN present USING (trade_date) LEFT JOIN none USING (trade_date)
        WHERE expected > coalesce(present, 0) + coalesce(none, 0)
    )
    SELECT short.trade_date, gap.ts_codes FROM short CROSS JOIN LATERAL (
        SELECT string_agg(ts_code, ',' ORDER BY ts_code) AS ts_codes FROM (
            SELECT ts_code FROM listed WHERE short.trade_date >= list_date AND short.trade_date < delist_date
            EXCEPT SELECT ts_code FROM stock_daily WHERE stock_daily.trade_date = short.trade_date
            EXCEPT SELECT unnest(short.none_codes)
        ) AS lacking
    ) AS gap
    WHERE gap.ts_codes IS NOT NULL ORDER BY short.trade_date
"""  # noqa: S608  (built from constants)
_DAY_COUNTS: Final = f"""
    WITH listed AS MATERIALIZED ({LISTED}), expected AS ({EXPECTED}), present AS (
        SELECT bar.trade_date, count(listed.ts_code) AS present, count(*) - count(listed.ts_code) AS unexpected,
               count(*) FILTER (WHERE bar.is_suspended) AS suspended
        FROM stock_daily AS bar LEFT JOIN listed
            ON listed.ts_code = bar.ts_code AND bar.trade_date >= list_date AND bar.trade_date < delist_date
        WHERE bar.trade_date BETWEEN {{start}} AND {{end}} GROUP BY bar.trade_date
    ), rejected AS (
        SELECT trade_date, count(*) AS rejected FROM rejected_row
        WHERE dataset = 'stock_daily' AND resolved_at IS NULL AND trade_date BETWEEN {{start}} AND {{end}}
        GROUP BY trade_date
    ), none AS MATERIALIZED ({NONE}),
    ledger AS (SELECT trade_date, status FROM load_ledger WHERE dataset = 'stock_daily')
    SELECT trade_date, expected - coalesce(none, 0), coalesce(present, 0), coalesce(unexpected, 0),
           coalesce(suspended, 0), coalesce(rejected, 0), coalesce(none, 0), status
    FROM expected LEFT JOIN present USING (trade_date) LEFT JOIN rejected USING (trade_date)
         LEFT JOIN none USING (trade_date) LEFT JOIN ledger USING (trade_date)
    ORDER BY trade_date
"""  # noqa: S608  (built from constants)
_ALL_EXPECTED: Final = f"""
    WITH listed AS MATERIALIZED ({LISTED})
    SELECT listed.ts_code, trading_day.trade_date
    FROM trading_day JOIN listed ON listed.list_date <= trading_day.trade_date
         AND (listed.delist_date IS NULL OR trading_day.trade_date < listed.delist_date)
    WHERE trading_day.is_open AND trading_day.trade_date BETWEEN {{start}} AND {{end}}
    ORDER BY trading_day.trade_date, listed.ts_code
"""  # noqa: S608  (built from constants)
# From value to value through an index, instead of reading every row.
_DISTINCT_BY_JUMPS: Final = """
    WITH RECURSIVE jump AS (
        (SELECT {column} FROM {table} ORDER BY {column} LIMIT 1)
        UNION ALL
        SELECT (SELECT next.{column} FROM {table} AS next WHERE next.{column} > jump.{column}
                ORDER BY next.{column} LIMIT 1)
        FROM jump WHERE jump.{column} IS NOT NULL
    )
    SELECT count({column}), min({column}), max({column}) FROM jump
"""
_DISTINCT: Final = "SELECT count(DISTINCT {column}), min({column}), max({column}) FROM {table}"
# Counting more rows than this takes seconds.
_EXACT_UP_TO = 1_000_000
_DAY_COLUMNS = ("trade_date", "ex_date", "date", "dividOperateDate", "day")
_CODE_COLUMNS = ("ts_code", "code")
_SUMMARY = {
    "table": pl.String(),
    "rows": pl.Int64(),
    "is_estimate": pl.Boolean(),
    "days": pl.Int64(),
    "codes": pl.Int64(),
    "first_day": pl.Date(),
    "last_day": pl.Date(),
    "bytes": pl.Int64(),
}


def missing_bars(  # noqa: PLR0913  (each has its default)
    conn: Connection,
    start: date,
    end: date,
    *,
    ts_codes: Sequence[str] | None = None,
    exclude_exchanges: Collection[str] = (),
    sources: SourcesInUse | None = None,
) -> pl.DataFrame:
    """Return ts_code and trade_date of every bar of [start, end] that should be there and is not, by day and code."""
    codes = None if ts_codes is None else list(ts_codes)
    proven = proven_gaps(STOCK_DAILY.name, start, end, sources)
    query = sql.SQL(_MISSING).format(start=start, end=end, codes=codes, excluded=list(exclude_exchanges), proven=proven)
    # One line a day: a line for each of millions of gaps would take minutes to read.
    days = copy_out(conn, query, {"trade_date": pl.Date(), "ts_codes": pl.String()})
    gaps = days.select(pl.col("ts_codes").str.split(",").alias("ts_code"), "trade_date")
    return gaps.explode("ts_code")


def expected_bars(
    conn: Connection,
    start: date,
    end: date,
    *,
    ts_codes: Sequence[str] | None = None,
    exclude_exchanges: Collection[str] = (),
) -> pl.DataFrame:
    """Return ts_code and trade_date of every bar of [start, end] that a listing makes expect, by day and code.

    Those that no source has are among them.
    """
    codes = None if ts_codes is None else list(ts_codes)
    query = sql.SQL(_ALL_EXPECTED).format(start=start, end=end, codes=codes, excluded=list(exclude_exchanges))
    return copy_out(conn, query, {"ts_code": pl.String(), "trade_date": pl.Date()})


def day_counts(
    conn: Connection,
    start: date,
    end: date,
    *,
    exclude_exchanges: Collection[str] = (),
    sources: SourcesInUse | None = None,
) -> pl.DataFrame:
    """Return one row per open day of [start, end]: how many bars there should be and are, and the ledger's status.

    `present` counts expected bars only, so that expected - present are missing; `unexpected` counts the others (of
    unknown codes, outside a listing, of an excluded exchange). `rejected` counts open rejected rows. `source_has_none`
    counts bars of listed stocks that no source has: they are not among the expected ones. `status` is null for a day the
    ledger does not know.
    """
    proven = proven_gaps(STOCK_DAILY.name, start, end, sources)
    query = sql.SQL(_DAY_COUNTS).format(
        start=start, end=end, codes=None, excluded=list(exclude_exchanges), proven=proven
    )
    counts = {
        name: pl.Int64()
        for name in ("expected", "present", "unexpected", "suspended", "rejected", "source_has_none")
    }  # fmt: skip
    return copy_out(conn, query, {"trade_date": pl.Date(), **counts, "status": pl.String()})


def expected_codes(conn: Connection, day: date, *, exclude_exchanges: Collection[str] = ()) -> list[str]:
    """Return the codes that should have a bar on `day`, in order; none when the exchanges are closed."""
    security, trading_day = table_of(SECURITY.name), table_of(TRADING_DAY.name)
    is_open = sa.exists().where(trading_day.c.trade_date == day, trading_day.c.is_open)
    query = sa.select(security.c.ts_code).where(
        is_open,
        security.c.list_date <= day,
        sa.or_(security.c.delist_date.is_(None), security.c.delist_date > day),
        security.c.exchange.not_in(list(exclude_exchanges)),
    )
    return list(conn.scalars(query.order_by(security.c.ts_code)))


def store_summary(conn: Connection) -> pl.DataFrame:
    """Return one row per table: rows, distinct days and codes, first and last day, bytes on disk with indexes.

    Cheap enough for a status page: `rows` of a large table is the server's estimate, and `is_estimate` says so.
    """
    return pl.DataFrame([_summary_of(conn, table) for table in TABLES], schema=_SUMMARY, orient="row")


def _summary_of(conn: Connection, table: Table) -> tuple[object, ...]:
    name = sql.Identifier(table.name)
    size_on_disk, rows = extent_of(conn, table.name)
    is_estimate = rows > _EXACT_UP_TO
    if not is_estimate:
        (rows,) = _one(conn, sql.SQL("SELECT count(*) FROM {}").format(name))
    days, first, last = _distinct(conn, table, _DAY_COLUMNS)
    codes, _, _ = _distinct(conn, table, _CODE_COLUMNS)
    return table.name, rows, is_estimate, days, codes, _day(first), _day(last), size_on_disk


def _distinct(conn: Connection, table: Table, candidates: tuple[str, ...]) -> tuple[Any, ...]:
    column = next((name for name in candidates if name in table.names), None)
    if column is None:
        return None, None, None
    leads_an_index = column in {names[0] for names in (table.key, *table.indexes)}
    query = sql.SQL(_DISTINCT_BY_JUMPS if leads_an_index else _DISTINCT)
    return _one(conn, query.format(column=sql.Identifier(column), table=sql.Identifier(table.name)))


def _one(conn: Connection, query: sql.Composed) -> tuple[Any, ...]:
    row = driver(conn).execute(query).fetchone()
    if row is None:
        raise TypeError(query)
    return row


def _day(value: object) -> date | None:
    # Raw tables keep days as the source wrote them.
    try:
        return date.fromisoformat(value) if isinstance(value, str) else cast("date | None", value)
    except ValueError:
        return None
