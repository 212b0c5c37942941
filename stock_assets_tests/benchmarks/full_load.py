"""A whole table of bars, generated, loaded and committed: with the secondary index in place, and with it away.

Beside them the same load into one table without partitions, index in place: what is there before anybody has measured.

Histories come some stocks at a time, as a computation over the market brings them: the order in which the secondary index
is the dearest. The limit is ready-made COPY data of the first frame, sent again and again into a table without any index.
"""

import resource
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import click
import polars as pl
import sqlalchemy as sa
from psycopg import sql

from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.storage import index_management
from stock_assets.storage.copy_frames import columns_of, driver
from stock_assets.storage.database import Database
from stock_assets.storage.full_load import load_whole
from stock_assets.storage.layout import Layout, convert, rows_of
from stock_assets_tests.benchmarks.loads import binary
from stock_assets_tests.benchmarks.made_up_bars import bars, codes, histories, sessions
from stock_assets_tests.benchmarks.stores import checkpoint, store

_SESSIONS = 4_860  # of twenty years
_STOCKS = 5_400
_NEVER = 10**12
_HOW: dict[str, tuple[Layout, int]] = {
    "one table, index kept": ("plain", _NEVER),
    "partitions, index kept": ("partitions", _NEVER),
    "partitions, index away": ("partitions", 0),
}
"""Layout, and the number of rows from which on the index is taken away."""


def limit(database: Database, rows: int) -> float:
    """Return the seconds that a client's COPY of `rows` needs at least: unlogged, no index, no rule."""
    frame = bars(codes(10), sessions(_SESSIONS)).sort(STOCK_DAILY.key)
    parts = binary(frame)
    columns = columns_of(STOCK_DAILY)
    with database.begin() as conn:
        conn.execute(sa.text("CREATE UNLOGGED TABLE bare (LIKE stock_daily)"))
    started = time.perf_counter()
    with database.begin() as conn, driver(conn).cursor() as cursor:
        for _ in range(max(1, rows // frame.height)):
            with cursor.copy(sql.SQL("COPY bare ({}) FROM STDIN (FORMAT binary)").format(columns)) as copy:
                for part in parts:
                    copy.write(part)
    seconds = time.perf_counter() - started
    with database.begin() as conn:
        conn.execute(sa.text("DROP TABLE bare"))
    return seconds


@click.command()
@click.option("--rows", default=15_000_000, show_default=True)
@click.option("--order", type=click.Choice(["histories", "days"]), default="histories", show_default=True)
@click.option("--how", type=click.Choice(list(_HOW)), multiple=True, default=list(_HOW))
@click.option("--url", help="an empty database; an embedded server by default")
def full_load(rows: int, order: str, how: tuple[str, ...], url: str | None) -> None:
    """Print seconds, rates, the ratios to the last, and the peak memory of this process."""
    taken: dict[str, float] = {}
    with store(url) as database:
        for way in how:
            layout, index_management.WORTH_ROWS = _HOW[way]
            with database.begin() as conn:
                conn.execute(sa.text(f"TRUNCATE {rows_of(conn, STOCK_DAILY.name)}"))
                convert(conn, "stock_daily", layout)
            checkpoint(database)
            frames = _by_stocks(rows) if order == "histories" else _by_weeks(rows)
            started = time.perf_counter()
            counts = load_whole(database, STOCK_DAILY, frames, rows=rows, run_id="run", now=datetime.now(UTC))
            taken[way] = time.perf_counter() - started
            rate = counts.inserted / taken[way]
            click.echo(f"{order}, {way}: {counts.inserted:,} rows in {taken[way]:.0f} s, {rate:,.0f} rows/s")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        click.echo(f"peak memory of the loader: {peak:,.0f} MiB")
        click.echo(f"limit: {rows / limit(database, min(rows, 3_000_000)) * min(1, 3_000_000 / rows):,.0f} rows/s")
    *others, last = taken
    for other in others:
        click.echo(f"{last} against {other}: {taken[other] / taken[last]:.2f} x")


def _by_stocks(rows: int) -> Iterator[pl.DataFrame]:
    """Yield ten stocks a frame."""
    return histories(rows // _SESSIONS, sessions(_SESSIONS), stocks_a_frame=10)


def _by_weeks(rows: int) -> Iterator[pl.DataFrame]:
    """Yield two weeks of the market a frame."""
    days = sessions(rows // _STOCKS)
    for first in range(0, len(days), 10):
        yield bars(codes(_STOCKS), days[first : first + 10], seed=first)


if __name__ == "__main__":
    full_load()
