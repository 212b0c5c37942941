"""Completeness of the whole market: thirty days and 35 years, by day, gap by gap, and as digests by month.

The store is filled by SQL with made-up bars of securities that list and delist over the years; the filling is not measured.
Some rows are taken out again, and what completeness names must be exactly these.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import click
import polars as pl
from psycopg.sql import SQL, Identifier
from sqlalchemy import Connection, text

from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.indicators.table import TECHNICAL_DAILY
from stock_assets.settings import Settings
from stock_assets.storage.completeness import open_gaps, state_counts
from stock_assets.storage.coverage import missing_bars
from stock_assets.storage.database import Database
from stock_assets.storage.layout import Layout, convert, layout_of, rows_of
from stock_assets.storage.row_digests import digests
from stock_assets.wiring import Installation

_SESSIONS = 8_700
_MONTH = 30
_FIRST, _LAST = date(1990, 12, 19), date(2026, 12, 31)
_CALENDAR = """
    INSERT INTO trading_day (trade_date, is_open, source, updated_at)
    SELECT date '1990-12-19' + n * 3 / 2, true, 'made up', now() FROM generate_series(0, :sessions - 1) AS n
"""
# Listed evenly over the years as the market grew: the later, the more; every twentieth is delisted ten years after.
_SECURITIES = """
    INSERT INTO security (ts_code, name, exchange, board, list_date, delist_date, status, source, updated_at)
    SELECT lpad((600000 + c)::text, 6, '0') || '.SH', 'made up', 'SH', 'main', first,
           CASE WHEN c % 20 = 0 THEN first + 3650 END, 'listed', 'made up', now()
    FROM generate_series(0, :stocks - 1) AS c,
         LATERAL (SELECT date '1990-12-19' + (13000 * sqrt(c::float8 / :stocks))::int AS first) AS life
"""
_FILL = """
    INSERT INTO stock_daily SELECT security.ts_code, trade_date, 10 + x, 11 + x, 9 + x, 10.5 + x, 10 + x,
        (1e6 * x)::bigint, 1e7 * x, x, 5 - x, x < 0.2, false, 20 * x, x, x, x, 'made up', now()
    FROM trading_day JOIN security ON list_date <= trade_date AND (delist_date IS NULL OR trade_date < delist_date),
         LATERAL (SELECT (hashtext(ts_code || trade_date) & 8191) / 1000.0 AS x) AS value
    ORDER BY trade_date, security.ts_code
"""
_TECHNICAL = """
    INSERT INTO technical_daily (ts_code, trade_date, bar_number, input_digest)
    SELECT ts_code, trade_date, 1, 1 FROM stock_daily WHERE NOT is_suspended ORDER BY trade_date, ts_code
"""
_LOST = """
    DELETE FROM stock_daily WHERE trade_date IN (SELECT trade_date FROM trading_day ORDER BY trade_date DESC OFFSET 5 LIMIT 1)
        OR (hashtext(ts_code || trade_date || 'lost') & 65535) = 0
"""
_LEDGER = """
    INSERT INTO load_ledger (dataset, trade_date, status, rows_expected, rows_present, rows_rejected, source, started_at,
                             finished_at)
    SELECT 'stock_daily', trade_date, 'complete', 1, 1, 0, 'made up', now(), now() FROM trading_day
"""


@click.command()
@click.option("--rows", default=15_000_000, show_default=True, help="about so many bars in all")
@click.option("--times", default=5, show_default=True, help="measurements of thirty days; the median is printed")
@click.option("--with-technicals", is_flag=True, help="fill and measure the rows of indicators too")
def completeness(rows: int, times: int, *, with_technicals: bool) -> None:
    """Print how long each question takes, and whether what was taken out is what is named."""
    # Not below a folder that is closed to others: as root the server runs as an account of its own.
    home = Path(tempfile.mkdtemp(prefix="stock-assets-bench-"))
    with Installation(Settings(home=home)) as installation:
        database = installation.database
        began = time.perf_counter()
        held, lost = _fill(database, rows, with_technicals=with_technicals)
        print(f"{held:,} bars, filled in {time.perf_counter() - began:.0f} s; {lost:,} taken out")
        with database.read() as conn:
            days = list(
                conn.scalars(text("SELECT trade_date FROM trading_day ORDER BY 1 DESC LIMIT :n"), {"n": _MONTH})
            )
        _measure(database, "30 days", days[-1], days[0], times, with_technicals=with_technicals)
        found = _measure(database, "35 years", _FIRST, _LAST, 1, with_technicals=with_technicals)
        print(f"{found:,} bars named as missing, {'exactly' if found == lost else 'NOT'} those taken out")


def _fill(database: Database, rows: int, *, with_technicals: bool) -> tuple[int, int]:
    # A stock lives half of the sessions on average, some a third.
    stocks = max(int(rows / (_SESSIONS * 0.325)), 1)
    tables = (STOCK_DAILY.name, TECHNICAL_DAILY.name) if with_technicals else (STOCK_DAILY.name,)
    with database.begin() as conn:
        layouts: dict[str, Layout] = {table: layout_of(conn, table) for table in tables}
        for table in tables:
            convert(conn, table, "partitions")
        conn.execute(text(_CALENDAR), {"sessions": _SESSIONS})
        conn.execute(text(_SECURITIES), {"stocks": stocks})
        filled = conn.execute(text(_FILL)).rowcount
        if with_technicals:
            conn.execute(text(_TECHNICAL))
        conn.execute(text(_LEDGER))
        lost = conn.execute(text(_LOST)).rowcount
        for table in tables:
            convert(conn, table, layouts[table])
        held = [rows_of(conn, table) for table in tables]
    with database.dedicated() as connection:
        for name in (*held, "trading_day", "security", "load_ledger"):
            connection.execute(SQL("VACUUM (ANALYZE) {}").format(Identifier(name)))
    return filled, lost


def _measure(database: Database, span: str, start: date, end: date, times: int, *, with_technicals: bool) -> int:
    found = 0

    def gaps(conn: Connection) -> pl.DataFrame:
        nonlocal found
        named = open_gaps(conn, STOCK_DAILY.name, start, end)
        found = named.height
        return named

    asked: dict[str, Callable[[Connection], pl.DataFrame]] = {
        "states by day": lambda conn: state_counts(conn, STOCK_DAILY.name, start, end),
        "every gap by name": gaps,
        "missing bars alone": lambda conn: missing_bars(conn, start, end),
        "digests by month": lambda conn: digests(conn, STOCK_DAILY, start, end),
        "states of factors by day": lambda conn: state_counts(conn, "adjust_factor", start, end),
    }
    if with_technicals:
        asked["states of indicators by day"] = lambda conn: state_counts(conn, TECHNICAL_DAILY.name, start, end)
        asked["every gap of indicators by name"] = lambda conn: open_gaps(conn, TECHNICAL_DAILY.name, start, end)
    for name, ask in asked.items():
        seconds: list[float] = []
        for _ in range(times):
            with database.read() as conn:
                began = time.perf_counter()
                ask(conn)
                seconds.append(time.perf_counter() - began)
        print(f"| {span} | {name} | {statistics.median(seconds):.2f} s |", flush=True)
    return found


if __name__ == "__main__":
    completeness()
