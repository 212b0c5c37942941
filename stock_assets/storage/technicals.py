"""What indicators are computed from, what is stored of them, and what the ledger says of both.

Rows are written by `bulk_load`; which days are to be computed is decided in `pipeline`.
"""

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

import polars as pl
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import Connection

from stock_assets.domain.contract import Column, Kind, Table
from stock_assets.domain.tables import ADJUST_FACTOR, SECURITY, STOCK_DAILY
from stock_assets.domain.universe import with_first_listing
from stock_assets.indicators.catalog import FAMILIES
from stock_assets.indicators.family import Family
from stock_assets.indicators.table import DIGEST, FORWARD_ADJUSTED, TECHNICAL_DAILY, indicators_of, technical_table
from stock_assets.storage.arrow_session import ArrowSession, arrow, arrow_schema
from stock_assets.storage.copy_frames import copy_out, driver
from stock_assets.storage.database import Database
from stock_assets.storage.schema import definition_of, table_for

_BAR = (
    "ts_code", "trade_date", "open", "high", "low", "close", "pre_close", "volume", "amount", "is_suspended", "is_st",
)  # fmt: skip
_BAR_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, _BAR))
_BAR_SCHEMA = {name: STOCK_DAILY.schema[name] for name in _BAR}
_BAR_KINDS: dict[str, Kind] = {column.name: column.kind for column in STOCK_DAILY.columns if column.name in _BAR}
# The same rows as `indicators.panel.in_series`.
IN_SERIES = "NOT is_suspended AND open > 0 AND high > 0 AND low > 0 AND close > 0"
# What is made of a day's bars is no more complete than they are, and no more than the factors that adjust them.
_LINES = """
    SELECT bars.trade_date,
           CASE WHEN bars.status IN ('complete', 'empty') AND lacks_factors THEN 'partial' ELSE bars.status END,
           bars.rows_present, bars.digest,
           CASE WHEN lacks_factors THEN concat_ws('; ', bars.detail, 'adjustment factors of the day are not all there')
                ELSE bars.detail END,
           bars.source, known.digest
    FROM load_ledger AS bars
    LEFT JOIN load_ledger AS known ON known.dataset = 'technical_daily' AND known.trade_date = bars.trade_date
    LEFT JOIN load_ledger AS factors ON factors.dataset = 'adjust_factor' AND factors.trade_date = bars.trade_date
    CROSS JOIN LATERAL (
        SELECT coalesce(factors.status IN ('partial', 'refused'), false) AS lacks_factors
    ) AS state
    WHERE bars.dataset = 'stock_daily' AND (bars.status <> 'refused' OR bars.rows_present > 0)
    ORDER BY bars.trade_date
"""
_LINE_SCHEMA = {
    "trade_date": pl.Date(), "status": pl.String(), "rows": pl.Int64(), "digest": pl.String(), "detail": pl.String(),
    "source": pl.String(), "known": pl.String(),
}  # fmt: skip
_FACTOR_MARKS = """
    SELECT ex_date, bit_xor(hashfloat8extended(back_adjust_factor, hashtextextended(ts_code, ex_date - date '1990-01-01')))
    FROM adjust_factor GROUP BY ex_date ORDER BY ex_date
"""
_CHANGED_FACTORS = """
    SELECT DISTINCT ts_code FROM (
        SELECT ts_code, ex_date FROM adjust_factor UNION ALL SELECT ts_code, ex_date FROM adjust_factor_history
    ) AS ever WHERE ex_date > {after} AND ex_date <= {day}
"""
# Every stock with indicators, by looking into the key once for each, for there are thousands of rows of a stock; and those
# that should have some.
_KNOWN = """
    WITH RECURSIVE stored AS (
        SELECT min(ts_code) AS ts_code FROM technical_daily
        UNION ALL
        SELECT (SELECT min(ts_code) FROM technical_daily WHERE ts_code > stored.ts_code) FROM stored
        WHERE stored.ts_code IS NOT NULL
    ), known AS (SELECT ts_code FROM stored UNION SELECT ts_code FROM security)
"""
_LAST_BARS = f"""
    {_KNOWN} SELECT bar.* FROM known CROSS JOIN LATERAL (
        SELECT {{columns}} FROM stock_daily WHERE stock_daily.ts_code = known.ts_code AND trade_date <= {{last}}
        AND {IN_SERIES} ORDER BY trade_date DESC LIMIT {{rows}}
    ) AS bar WHERE known.ts_code <> ALL({{but}}::text[])
"""  # noqa: S608  constants of ours
_LAST_VALUES = f"""
    {_KNOWN} SELECT newest.* FROM known CROSS JOIN LATERAL (
        SELECT {{columns}} FROM technical_daily WHERE technical_daily.ts_code = known.ts_code AND trade_date <= {{last}}
        ORDER BY trade_date DESC LIMIT 1
    ) AS newest ORDER BY ts_code
"""  # noqa: S608  constants of ours
_LENGTHS = f"""
    SELECT ts_code, count(*) AS rows FROM stock_daily WHERE trade_date <= {{last}} AND {IN_SERIES}{{among}}
    GROUP BY ts_code ORDER BY ts_code
"""  # noqa: S608  constants of ours
_DELETE_GONE = sa.text(f"""
    DELETE FROM technical_daily AS stored
    WHERE ts_code = ANY(:codes) AND trade_date BETWEEN :first AND :last AND NOT EXISTS (
        SELECT FROM stock_daily AS bar
        WHERE bar.ts_code = stored.ts_code AND bar.trade_date = stored.trade_date AND {IN_SERIES}
    )
""")  # noqa: S608  constants of ours
_ANY_ON = sa.text("SELECT EXISTS (SELECT FROM technical_daily WHERE trade_date BETWEEN :first AND :last)")
_COUNTS = sa.text("""
    SELECT trade_date, count(*) AS rows FROM technical_daily
    WHERE trade_date BETWEEN :first AND :last AND trade_date = ANY(:days) GROUP BY trade_date
""")
_ONE_RUN = "SELECT pg_advisory_lock(hashtext('technical_daily'), hashtext(current_schema()))"


@contextmanager
def one_run_at_a_time(database: Database) -> Generator[None]:
    """Wait until no other process computes indicators into this store, and keep others waiting until the context ends."""
    with database.dedicated() as connection:
        connection.execute(_ONE_RUN)
        yield


def day_lines(conn: Connection) -> pl.DataFrame:
    """Return every day whose bars are loaded, in order, and what the ledger says of them.

    A day whose factors are known not to be all there is partial like one that lacks bars. `known` is the digest of the day's
    indicators, null where they were never computed.
    """
    return copy_out(conn, sql.SQL(_LINES), _LINE_SCHEMA)


def factor_marks(conn: Connection) -> pl.DataFrame:
    """Return for each ex_date a `mark` that is another one when any of its factors is."""
    return copy_out(conn, sql.SQL(_FACTOR_MARKS), {"ex_date": pl.Date(), "mark": pl.Int64()})


def stocks_with_factors(conn: Connection, after: date, day: date) -> set[str]:
    """Return the stocks that have, or ever had, a factor with an ex-date in (after, day]."""
    query = sql.SQL(_CHANGED_FACTORS).format(after=after, day=day)
    return set(copy_out(conn, query, {"ts_code": pl.String()})["ts_code"])


def read_factors(conn: Connection) -> pl.DataFrame:
    """Return ts_code, ex_date and back_adjust_factor of every factor."""
    names = ("ts_code", "ex_date", "back_adjust_factor")
    query = sql.SQL("SELECT {} FROM adjust_factor").format(sql.SQL(", ").join(map(sql.Identifier, names)))
    return copy_out(conn, query, {name: ADJUST_FACTOR.schema[name] for name in names})


def read_facts(conn: Connection) -> pl.DataFrame:
    """Return ts_code, board and first listing day of every security, by code: what limits depend on."""
    names = ("ts_code", "board", "list_date")
    query = sql.SQL("SELECT {} FROM security ORDER BY ts_code").format(sql.SQL(", ").join(map(sql.Identifier, names)))
    facts = copy_out(conn, query, {name: SECURITY.schema[name] for name in names})
    return with_first_listing(facts, facts)


def bars_of_days(conn: Connection, first: date, last: date) -> pl.DataFrame:
    """Return the bars of [first, last] by code and day, with the columns that indicators are computed from."""
    query = sql.SQL("SELECT {} FROM stock_daily WHERE trade_date BETWEEN {} AND {}").format(_BAR_COLUMNS, first, last)
    return copy_out(conn, query, _BAR_SCHEMA).sort("ts_code", "trade_date")


def bars_between(session: ArrowSession, first: date, last: date) -> pl.DataFrame:
    """Return what `bars_of_days` returns, by the way that is faster for many."""
    query = sql.SQL("SELECT {} FROM stock_daily WHERE trade_date BETWEEN {} AND {}").format(_BAR_COLUMNS, first, last)
    return _rows(session, query, _BAR_KINDS).sort("ts_code", "trade_date")


def last_bars(session: ArrowSession, last: date, rows: int, *, but: Sequence[str]) -> pl.DataFrame:
    """Return the newest `rows` bars of each stock's series up to `last`, of all stocks but these, by code and day."""
    query = sql.SQL(_LAST_BARS).format(columns=_BAR_COLUMNS, last=last, rows=rows, but=list(but))
    return _rows(session, query, _BAR_KINDS).sort("ts_code", "trade_date")


def last_values(session: ArrowSession, table: Table, last: date) -> pl.DataFrame:
    """Return the newest row up to `last` of each stock in `table`, by code."""
    columns = sql.SQL(", ").join(map(sql.Identifier, table.names))
    query = sql.SQL(_LAST_VALUES).format(columns=columns, last=last)
    return _rows(session, query, {column.name: column.kind for column in table.columns})


def series_lengths(session: ArrowSession, last: date, ts_codes: Sequence[str] | None = None) -> pl.DataFrame:
    """Return ts_code and the number of `rows` of each series up to `last`, by code; of these codes or (None) of all."""
    among = sql.SQL("") if ts_codes is None else sql.SQL(" AND ts_code = ANY({}::text[])").format(list(ts_codes))
    return _rows(session, sql.SQL(_LENGTHS).format(last=last, among=among), {"ts_code": "text", "rows": "integer"})


def series_of(session: ArrowSession, ts_codes: Sequence[str], last: date) -> pl.DataFrame:
    """Return all bars of these stocks up to `last`, by code and day."""
    query = sql.SQL("SELECT {} FROM stock_daily WHERE ts_code = ANY({}::text[]) AND trade_date <= {}")
    return _rows(session, query.format(_BAR_COLUMNS, list(ts_codes), last), _BAR_KINDS).sort("ts_code", "trade_date")


def stored_marks(session: ArrowSession, first: date, last: date) -> pl.DataFrame:
    """Return of each stock the stored `rows` of [first, last] and a `mark` of their input digests, by code."""
    query = sql.SQL(
        "SELECT ts_code, count(*) AS rows, bit_xor(input_digest) AS mark FROM technical_daily"
        " WHERE trade_date BETWEEN {} AND {} GROUP BY ts_code ORDER BY ts_code"
    )
    return _rows(session, query.format(first, last), {"ts_code": "text", "rows": "integer", "mark": "integer"})


def stored_rows(
    session: ArrowSession, table: Table, ts_codes: Sequence[str], first: date, last: date
) -> pl.DataFrame:  # fmt: skip
    """Return the stored indicators of these stocks on [first, last], by code and day."""
    query = sql.SQL("SELECT {} FROM technical_daily WHERE ts_code = ANY({}::text[]) AND trade_date BETWEEN {} AND {}")
    columns = sql.SQL(", ").join(map(sql.Identifier, table.names))
    kinds: dict[str, Kind] = {column.name: column.kind for column in table.columns}
    return _rows(session, query.format(columns, list(ts_codes), first, last), kinds).sort("ts_code", "trade_date")


def columns_between(  # noqa: PLR0913  each narrows the slice
    session: ArrowSession,
    table: Table,
    columns: Sequence[str],
    first: date,
    last: date,
    ts_codes: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Return these columns of the indicators stored for [first, last], of these stocks or (None) of all, in no order."""
    query = sql.SQL("SELECT {} FROM technical_daily WHERE trade_date BETWEEN {} AND {}").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), first, last
    )
    if ts_codes is not None:
        query += sql.SQL(" AND ts_code = ANY({}::text[])").format(list(ts_codes))
    kinds: dict[str, Kind] = {column.name: column.kind for column in table.columns}
    return _rows(session, query, {name: kinds[name] for name in columns})


def every_row(table: Table) -> sql.Composed:
    """Return the query of the whole table, in no order."""
    return sql.SQL("SELECT {} FROM technical_daily").format(sql.SQL(", ").join(map(sql.Identifier, table.names)))


def digests_on(conn: Connection, day: date) -> pl.DataFrame:
    """Return ts_code and input_digest of the indicators stored for a day."""
    query = sql.SQL("SELECT ts_code, input_digest FROM technical_daily WHERE trade_date = {}").format(day)
    return copy_out(conn, query, {"ts_code": pl.String(), DIGEST: pl.Int64()})


def delete_gone(conn: Connection, ts_codes: Iterable[str], first: date, last: date) -> int:
    """Delete indicators of these stocks on [first, last] whose bar is no part of a series any more; return how many."""
    return conn.execute(_DELETE_GONE, {"codes": sorted(ts_codes), "first": first, "last": last}).rowcount


def has_rows(conn: Connection, first: date, last: date) -> bool:
    """Return whether any indicators are stored for [first, last]."""
    return bool(conn.scalar(_ANY_ON, {"first": first, "last": last}))


def stored_codes(conn: Connection, first: date, last: date) -> set[str]:
    """Return the stocks of which indicators are stored for [first, last]."""
    query = sql.SQL("SELECT DISTINCT ts_code FROM technical_daily WHERE trade_date BETWEEN {} AND {}")
    return set(copy_out(conn, query.format(first, last), {"ts_code": pl.String()})["ts_code"])


def rows_by_day(conn: Connection, days: Sequence[date]) -> dict[date, int]:
    """Return how many rows are stored for each of these days that has any."""
    found = conn.execute(_COUNTS, {"first": min(days), "last": max(days), "days": list(days)})
    return {row.trade_date: row.rows for row in found}


def ensure_columns(database: Database, families: Sequence[Family]) -> list[str]:
    """Add the columns of indicators of one's own to table and view where they are missing; return their names.

    Errors: `ConfigurationError` when the login may not change the table.
    """
    own = [family for family in families if family not in FAMILIES]
    if not own:
        return []
    with database.read() as conn:
        known = _columns(conn, TECHNICAL_DAILY.name)
    table = technical_table(families)
    missing = [column for column in table.columns if column.name not in known]
    if missing:
        with database.begin() as conn:
            _add(conn, table, missing)
            _widen_view(conn, families)
    return [column.name for column in missing]


def _add(conn: Connection, table: Table, missing: Sequence[Column]) -> None:
    columns = table_for(table).c
    for column in missing:
        definition = sql.SQL(definition_of(columns[column.name]))  # pyright: ignore[reportArgumentType]  from a contract
        driver(conn).execute(sql.SQL("ALTER TABLE technical_daily ADD COLUMN IF NOT EXISTS {}").format(definition))
        name = sql.Identifier(column.name)
        driver(conn).execute(
            sql.SQL("COMMENT ON COLUMN technical_daily.{} IS {}").format(name, sql.Literal(column.comment))
        )


def _widen_view(conn: Connection, families: Sequence[Family]) -> None:
    """Append what the view lacks: PostgreSQL replaces a view by one that begins with the same columns."""
    shown = _columns(conn, FORWARD_ADJUSTED)
    more = [one for one in indicators_of(families) if not one.is_state and one.name not in shown]
    if not more:
        return
    body = conn.scalar(sa.text("SELECT pg_get_viewdef(CAST(:name AS regclass))"), {"name": FORWARD_ADJUSTED})
    extra = [
        sql.SQL("stored.{0} / COALESCE(latest.back_adjust_factor, 1.0) AS {0}" if one.basis == "price" else "stored.{0}")
        .format(sql.Identifier(one.name))
        for one in more
    ]  # fmt: skip
    select, _, source = str(body).partition("\n   FROM ")
    query = sql.SQL("CREATE OR REPLACE VIEW {} AS {}, {} FROM {}").format(
        sql.Identifier(FORWARD_ADJUSTED),
        sql.SQL(select),  # pyright: ignore[reportArgumentType]  the server's own text
        sql.SQL(", ").join(extra),
        sql.SQL(source),  # pyright: ignore[reportArgumentType]  as above
    )
    driver(conn).execute(query)
    for one in more:
        comment = one.column.comment.replace("back-adjusted", "forward-adjusted")
        name = sql.Identifier(FORWARD_ADJUSTED, one.name)
        driver(conn).execute(sql.SQL("COMMENT ON COLUMN {} IS {}").format(name, sql.Literal(comment)))


def _columns(conn: Connection, name: str) -> set[str]:
    query = sa.text("SELECT attname FROM pg_attribute WHERE attrelid = CAST(:name AS regclass) AND attnum > 0")
    return set(conn.scalars(query, {"name": name}))


def _rows(session: ArrowSession, query: sql.Composable, kinds: dict[str, Kind]) -> pl.DataFrame:
    schema = arrow_schema(kinds)
    table: Any = arrow.Table.from_batches(list(session.batches(query, schema)), schema=schema)
    return pl.DataFrame(table)
