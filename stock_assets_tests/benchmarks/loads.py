"""A million bars, new and again: our load beside the usual batches, beside ready-made COPY, beside ON CONFLICT.

Every path writes the same rows into the same table, `stock_daily` in native partitions with its rules, key and index, and
ends with a commit: the other ways know no packed rows. The usual batches are so slow that a slice of the rows is enough for their rate.
"""

import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Any, cast

import click
import pgpq as _pgpq
import polars as pl
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import create_async_engine

from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.storage.bulk_load import load, stage
from stock_assets.storage.copy_frames import columns_of, driver
from stock_assets.storage.database import Database
from stock_assets.storage.layout import convert
from stock_assets.storage.schema import table_of
from stock_assets_tests.benchmarks.made_up_bars import bars, codes, sessions
from stock_assets_tests.benchmarks.stores import checkpoint, store, wal_bytes

_pgpq_any: Any = cast("Any", _pgpq)
_TABLE = table_of(STOCK_DAILY.name)
_MOST_PARAMETERS = 32_767  # of one statement on asyncpg
_USUAL_BATCH = 5_000
_WRITES = sa.text("""
    SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables
    WHERE relname ~ '^(stock_daily|_hyper)'
""")


def batches(frame: pl.DataFrame, url: str) -> float:
    """Insert `frame` the usual way, with SQLAlchemy on asyncpg, and return the seconds."""

    async def run() -> float:
        address = sa.make_url(url).set(drivername="postgresql+asyncpg")
        engine = create_async_engine(address)
        size = min(_USUAL_BATCH, _MOST_PARAMETERS // len(STOCK_DAILY.names))
        rows = frame.to_dicts()
        started = time.perf_counter()
        async with engine.begin() as conn:
            for first in range(0, len(rows), size):
                statement = insert(_TABLE).values(rows[first : first + size])
                changed = {name: statement.excluded[name] for name in STOCK_DAILY.names if name not in STOCK_DAILY.key}
                await conn.execute(statement.on_conflict_do_update(index_elements=list(STOCK_DAILY.key), set_=changed))
        seconds = time.perf_counter() - started
        await engine.dispose()
        return seconds

    return asyncio.run(run())


def binary(frame: pl.DataFrame) -> list[bytes]:
    """Return `frame` as COPY wants it."""
    rows: Any = cast("Any", frame).to_arrow(compat_level=pl.CompatLevel.oldest())
    encoder = _pgpq_any.ArrowToPostgresBinaryEncoder(rows.schema)
    parts = [encoder.write_header()]
    parts += [encoder.write_batch(batch) for batch in rows.to_batches(max_chunksize=50_000)]
    return [*parts, encoder.finish()]


def copy_ready(database: Database, parts: list[bytes]) -> float:
    """Send ready-made COPY data and return the seconds: as fast as a client can be."""
    started = time.perf_counter()
    with (
        database.begin() as conn,
        driver(conn).cursor() as cursor,
        cursor.copy(
            sql.SQL("COPY stock_daily ({}) FROM STDIN (FORMAT binary)").format(columns_of(STOCK_DAILY))
        ) as copy,
    ):
        for part in parts:
            copy.write(part)
    return time.perf_counter() - started


def ours(database: Database, frame: pl.DataFrame, *, is_new: bool) -> float:
    """Load a frame and return the seconds to the commit."""
    started = time.perf_counter()
    with database.begin() as conn:
        load(conn, STOCK_DAILY, frame, is_new=is_new, run_id="run")
    return time.perf_counter() - started


def on_conflict(database: Database, frame: pl.DataFrame) -> float:
    """Stage a frame and upsert it with ON CONFLICT DO UPDATE, and return the seconds."""
    changed = ", ".join(f"{name} = excluded.{name}" for name in STOCK_DAILY.names if name not in STOCK_DAILY.key)
    started = time.perf_counter()
    with database.begin() as conn:
        staged = stage(conn, STOCK_DAILY, frame)
        upsert = f"INSERT INTO stock_daily SELECT * FROM {staged.name} ORDER BY ts_code, trade_date"  # noqa: S608
        conn.execute(sa.text(f"{upsert} ON CONFLICT (ts_code, trade_date) DO UPDATE SET {changed}"))
    return time.perf_counter() - started


def empty(database: Database) -> None:
    """Take every bar out."""
    with database.begin() as conn:
        conn.execute(sa.text("TRUNCATE stock_daily, stock_daily_history"))
    checkpoint(database)


def writes(database: Database) -> int:
    """Return how many rows were ever written, as the server counts them."""
    with database.dedicated() as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        connection.execute("SELECT pg_stat_clear_snapshot()")
        time.sleep(1.1)
    with database.read() as conn:
        return int(conn.execute(_WRITES).scalar_one())


@click.command()
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--usual-rows", default=20_000, show_default=True, help="rows for the usual batches")
@click.option("--times", default=3, show_default=True, help="rounds, every path in turn in each; medians are printed")
@click.option("--url", help="an empty database; an embedded server by default")
def loads(rows: int, usual_rows: int, times: int, url: str | None) -> None:
    """Print the rates and the ratios."""
    days = sessions(250)
    frame = bars(codes(rows // len(days)), days)
    ready = binary(frame.sort(STOCK_DAILY.key))
    seconds: dict[str, list[float]] = {"limit": [], "new": [], "again": [], "upsert": [], "usual": []}
    with store(url) as database:
        address = database.engine.url.render_as_string(hide_password=False)
        written = wal = 0
        with database.begin() as conn:
            convert(conn, STOCK_DAILY.name, "partitions")

        def measure(name: str, work: Callable[[], float], share: float = 1.0) -> None:
            seconds[name].append(work() / share)

        for _ in range(times):
            empty(database)
            measure("limit", lambda: copy_ready(database, ready))
            empty(database)
            measure("usual", lambda: batches(frame.head(usual_rows), address), usual_rows / frame.height)
            empty(database)
            measure("new", lambda: ours(database, frame, is_new=True))
            with database.dedicated() as connection:
                connection.execute("VACUUM ANALYZE stock_daily")
            checkpoint(database)
            written, wal = writes(database), wal_bytes(database)
            measure("again", lambda: ours(database, frame, is_new=False))
            wal = wal_bytes(database) - wal
            written = writes(database) - written
            checkpoint(database)
            measure("upsert", lambda: on_conflict(database, frame))
        with database.read() as conn:
            version = str(conn.execute(sa.text("SHOW server_version")).scalar_one())
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    click.echo(f"PostgreSQL {version}, {frame.height:,} rows, {times} rounds")
    for name, value in medians.items():
        click.echo(
            f"{name:>8} {value:8.2f} s {frame.height / value:12,.0f} rows/s   {[round(one, 2) for one in seconds[name]]}"
        )
    click.echo(f"new against the usual batches: {medians['usual'] / medians['new']:.0f} x")
    click.echo(f"new against ready-made COPY:   {medians['limit'] / medians['new']:.2f} of it")
    click.echo(
        f"again against ON CONFLICT:     {medians['upsert'] / medians['again']:.1f} x; {written} rows written, {wal:,} bytes of WAL"
    )


if __name__ == "__main__":
    loads()
