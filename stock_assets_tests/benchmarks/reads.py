"""Reading: one stock's twenty years, one market day, and all rows into Arrow, each beside the same read by pandas.read_sql.

The store is filled by SQL with made-up bars of 20 years; what is measured includes neither the filling nor the connecting.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, cast

import click
import pandas as pd
from psycopg.sql import SQL, Identifier
from sqlalchemy import text

from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.settings import Settings
from stock_assets.storage.database import Database
from stock_assets.storage.layout import convert, layout_of, rows_of
from stock_assets.storage.reader import Reader
from stock_assets.storage.schema import table_of
from stock_assets.wiring import Installation

_read_sql: Any = cast("Any", pd).read_sql
_DAYS = 4_860  # sessions of twenty years
_FILL = f"""
    INSERT INTO stock_daily SELECT lpad((600000 + c)::text, 6, '0') || '.SH', d,
        10 + x, 11 + x, 9 + x, 10.5 + x, 10 + x, (1e6 * x)::bigint, 1e7 * x, x, 5 - x, false, false, 20 * x, x, x, x,
        'made up', now()
    FROM (SELECT (date '2006-01-02' + n * 3 / 2) AS d, n FROM generate_series(0, {_DAYS - 1}) AS n) AS day,
        generate_series(0, :stocks - 1) AS c, LATERAL (SELECT ((n * 7919 + c * 104729) % 9973) / 1000.0 AS x) AS value
    ORDER BY d, c
"""  # noqa: S608  (a constant)
_COLUMNS = ", ".join(column.name for column in table_of("stock_daily").columns)
_SLICE = 1_000_000


@click.command()
@click.option("--rows", default=15_000_000, show_default=True, help="about so many bars")
@click.option("--times", default=5, show_default=True, help="measurements of each read, in turn; the median is printed")
@click.option("--url", help="an empty, migrated store to fill and read; an embedded one by default")
def reads(rows: int, times: int, url: str | None) -> None:
    """Print the medians of three reads and of the same by pandas.read_sql."""
    # Not below a folder that is closed to others: as root the server runs as an account of its own.
    home = Path(tempfile.mkdtemp(prefix="stock-assets-bench-"))
    settings = Settings(home=home) if url is None else Settings(home=home, database_url=url)  # pyright: ignore[reportArgumentType]  pydantic makes it a secret
    with Installation(settings) as installation:
        database = installation.database
        stocks = max(rows // _DAYS, 1)
        began = time.perf_counter()
        with database.begin() as conn:
            # Packed rows are not made by a statement: filled in native partitions, then laid out as they were to be.
            layout = layout_of(conn, STOCK_DAILY.name)
            convert(conn, STOCK_DAILY.name, "partitions")
            conn.execute(text(_FILL), {"stocks": stocks})
            convert(conn, STOCK_DAILY.name, layout)
            held = rows_of(conn, STOCK_DAILY.name)
        with database.dedicated() as connection:
            connection.execute(SQL("VACUUM (ANALYZE) {}").format(Identifier(held)))
        print(
            f"{stocks * _DAYS:,} rows, {stocks:,} stocks, {_DAYS:,} days, filled in {time.perf_counter() - began:.0f} s"
        )
        _compare(database, installation.reader(), stocks * _DAYS, times)


def _compare(database: Database, reader: Reader, rows: int, times: int) -> None:
    code = "600000.SH"
    with database.read() as conn:
        days: list[date] = list(
            conn.scalars(text("SELECT trade_date FROM stock_daily WHERE ts_code = :code ORDER BY 1"), {"code": code})
        )
    day = days[len(days) // 2]
    # A slice of whole days with about as many rows as pandas can hold in reasonable time.
    until = days[min(len(days) - 1, max(_SLICE * len(days) // rows, 1) - 1)]
    part = rows * (days.index(until) + 1) // len(days)

    def sql(condition: str, order: str = " ORDER BY ts_code, trade_date", **values: object) -> Callable[[], int]:
        query = text(f"SELECT {_COLUMNS} FROM stock_daily WHERE {condition}{order}")  # noqa: S608  (ours)

        def read() -> int:
            with database.read() as conn:
                return len(_read_sql(query, conn, params=values))

        return read

    print("| read | rows | reader | pandas.read_sql | times faster |")
    print("|---|---|---|---|---|")
    for name, ours, theirs in (
        (
            "one stock, 20 years",
            lambda: reader.arrow("stock_daily", ts_codes=[code]).num_rows,
            sql("ts_code = :code", code=code),
        ),
        (
            "one market day",
            lambda: reader.arrow("stock_daily", start=day, end=day).num_rows,
            sql("trade_date = :day", day=day),
        ),
    ):
        (found, our_seconds), (same, their_seconds) = _medians(times, ours, theirs)
        if found != same:
            raise AssertionError((found, same))
        figures = f"{our_seconds * 1000:.1f} ms | {their_seconds * 1000:.1f} ms | {their_seconds / our_seconds:.1f}"
        print(f"| {name} | {found:,} | {figures} |")
    whole, of_slice = _medians(
        times,
        lambda: reader.arrow("stock_daily", order="none").num_rows,
        sql("trade_date <= :until", "", until=until),
    )
    ours_rate, their_rate = whole[0] / whole[1], of_slice[0] / of_slice[1]
    print(f"| all rows into Arrow ({part:,} by pandas) | {whole[0]:,} | {ours_rate:,.0f} rows/s | {their_rate:,.0f} rows/s | "
          f"{ours_rate / their_rate:.1f} |")  # fmt: skip
    sorted_, streamed = _medians(times, lambda: reader.arrow("stock_daily").num_rows, lambda: _streamed(reader))
    print(f"| all rows, in key order | {sorted_[0]:,} | {sorted_[0] / sorted_[1]:,.0f} rows/s | | |")
    print(f"| all rows, in key order, streamed | {streamed[0]:,} | {streamed[0] / streamed[1]:,.0f} rows/s | | |")


def _medians(times: int, *reads: Callable[[], int]) -> list[tuple[int, float]]:
    """Return rows and median seconds of each read; they are made in turn, so that a busy moment meets all of them."""
    seconds: list[list[float]] = [[] for _ in reads]
    rows = [0 for _ in reads]
    for _ in range(times + 1):
        for number, read in enumerate(reads):
            began = time.perf_counter()
            rows[number] = read()
            seconds[number].append(time.perf_counter() - began)
    # The first one fills the caches.
    return [(found, statistics.median(taken[1:])) for found, taken in zip(rows, seconds, strict=True)]


def _streamed(reader: Reader) -> int:
    with reader.batches("stock_daily") as stream:
        return sum(batch.num_rows for batch in stream)


if __name__ == "__main__":
    reads()
