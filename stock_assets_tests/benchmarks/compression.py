"""Bytes a bar: a plain table, a hypertable before and after compression, and Parquet of the same rows; then late corrections.

Rows come from the recorded answers, or are made up: prices in cents, volumes that are no round lots, rates of four decimals.
`updated_at` is one time for all rows, as after a load of the whole history, and then one for each trading day, as after
nights. Rows are made frame by frame and never all in memory.
"""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal

import click
import numpy as np
import polars as pl
import sqlalchemy as sa

from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.storage import migrate
from stock_assets.storage.bars import read_bars, rows_of_day
from stock_assets.storage.bulk_load import Counts, load
from stock_assets.storage.database import Database
from stock_assets.storage.full_load import load_whole
from stock_assets.storage.layout import Layout, convert, extent_of, rows_of
from stock_assets.storage.timescale import compress
from stock_assets_tests.benchmarks.made_up_bars import histories, sessions
from stock_assets_tests.benchmarks.stores import checkpoint
from stock_assets_tests.databases import ExternalServer, own_database
from stock_assets_tests.storage.recorded_bars import recorded_bars

Stamps = Literal["one a load", "one a trading day"]
Frames = Callable[[], Iterable[pl.DataFrame]]
_SESSIONS = 2_430  # of ten years
_STOCKS_A_FRAME = 20
_FOREVER = date(2100, 1, 1)
_NIGHT_MS = 600_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of the same rows in every form, and what compressing them took."""

    rows: int
    plain: int
    uncompressed: int
    compressed: int
    parquet: int
    parquet_by_year: int
    seconds: float

    def line(self, stamps: str) -> str:
        """Return a row of the table: bytes a row, and what is saved against the plain table."""
        sizes = (self.plain, self.uncompressed, self.compressed, self.parquet, self.parquet_by_year)
        figures = " | ".join(f"{size / self.rows:.1f}" for size in sizes)
        return f"| {self.rows:,} | {stamps} | {figures} | {1 - self.compressed / self.plain:.1%} | {self.seconds:.1f} |"


def made_up(rows: int) -> Iterator[pl.DataFrame]:
    """Yield about so many bars of ten years in key order."""
    random = np.random.default_rng(1)
    for frame in histories(max(1, rows // _SESSIONS), sessions(_SESSIONS), stocks_a_frame=_STOCKS_A_FRAME):
        odd = frame["volume"].to_numpy() + random.integers(0, 100, frame.height)
        rates = {name: np.round(frame[name].to_numpy(), 4) for name in ("turnover_rate", "pct_chg")}
        yield frame.with_columns(pl.Series("volume", odd), *(pl.Series(name, rate) for name, rate in rates.items()))


def stamped(frames: Iterable[pl.DataFrame], stamps: Stamps) -> Iterator[pl.DataFrame]:
    """Yield frames as one load leaves them, or nights that end within ten minutes after half past six."""
    night = pl.col("trade_date").cast(pl.Datetime("us", "UTC")) + timedelta(hours=18, minutes=30)
    number = pl.col("trade_date").cast(pl.Int64)
    late = pl.duration(milliseconds=number * 7_919_317 % _NIGHT_MS)
    when = pl.lit(datetime(2026, 11, 20, 18, 30, 5, 123000, tzinfo=UTC)) if stamps == "one a load" else night + late
    for frame in frames:
        yield frame.with_columns(when.cast(pl.Datetime("us", "UTC")).alias("updated_at"))


def in_parquet(frames: Iterable[pl.DataFrame]) -> tuple[int, int]:
    """Return the bytes of all rows in one file, and in one file a year, as polars writes them by default."""
    with tempfile.TemporaryDirectory() as folder:
        parts = Path(folder, "parts")
        parts.mkdir()
        for number, frame in enumerate(frames):
            frame.write_parquet(parts / f"{number:06d}.parquet")
        rows, whole = pl.scan_parquet(parts / "*.parquet"), Path(folder, "whole.parquet")
        rows.sink_parquet(whole)
        years = 0
        for year in rows.select(pl.col("trade_date").dt.year().unique()).collect()["trade_date"]:
            file = Path(folder, "year.parquet")
            rows.filter(pl.col("trade_date").dt.year() == year).sink_parquet(file)
            years += file.stat().st_size
        return whole.stat().st_size, years


def filled(database: Database, frames: Frames, layout: Layout, rows: int) -> int:
    """Put all rows into a table of this layout, settle it, and return its bytes."""
    with database.begin() as conn:
        conn.execute(sa.text(f"TRUNCATE {rows_of(conn, STOCK_DAILY.name)}, stock_daily_history"))
        convert(conn, STOCK_DAILY.name, layout)
    load_whole(database, STOCK_DAILY, frames(), rows=rows, run_id="fill", now=datetime.now(UTC))
    with database.dedicated() as connection, database.read() as conn:
        connection.execute(f"VACUUM {rows_of(conn, STOCK_DAILY.name)}".encode())
    checkpoint(database)
    return held(database)


def held(database: Database) -> int:
    """Return the bytes of the bars, indexes included."""
    with database.read() as conn:
        return extent_of(conn, STOCK_DAILY.name)[0]


def compressed(database: Database) -> tuple[int, float]:
    """Compress everything; return the bytes then, and the seconds it took."""
    started = time.perf_counter()
    compress(database, settled=_FOREVER)
    return held(database), time.perf_counter() - started


def corrected(database: Database, rows: pl.DataFrame, title: str) -> None:
    """Load a correction of `rows`, then the same again; print counts and seconds, and what compressing again takes."""
    later = rows.with_columns(pl.col("amount").fill_null(0.0) + rows.height, updated_at=pl.lit(datetime.now(UTC)))
    for expected in (Counts(updated=rows.height), Counts(unchanged=rows.height)):
        started = time.perf_counter()
        with database.begin() as conn:
            counts = load(conn, STOCK_DAILY, later, run_id="late")
        if counts != expected:
            raise AssertionError((counts, expected))
        what = f"{counts.updated:,} / {counts.unchanged:,}"
        click.echo(f"| {title} | {what} | {time.perf_counter() - started:.2f} |")
    size, seconds = compressed(database)
    click.echo(f"| compressed again, {size / 2**20:,.1f} MiB | | {seconds:.2f} |")


def reading(database: Database, day: date, code: str) -> str:
    """Return the best of five reads of a market day and of a stock's history, in milliseconds."""
    best = [float("inf"), float("inf")]
    for _ in range(5):
        with database.read() as conn:
            started = time.perf_counter()
            rows_of_day(conn, day)
            between = time.perf_counter()
            read_bars(conn, [code], date(1990, 1, 1), _FOREVER)
            best = [min(best[0], between - started), min(best[1], time.perf_counter() - between)]
    return " | ".join(f"{seconds * 1000:.1f}" for seconds in best)


def middle(frames: Iterable[pl.DataFrame]) -> tuple[int, date, str]:
    """Return the number of rows, a day in the middle, and a code that has it."""
    rows, days, code = 0, list[date](), ""
    for frame in frames:
        rows += frame.height
        code = str(frame["ts_code"].max())
        days = frame.filter(pl.col("ts_code") == code)["trade_date"].to_list()
    return rows, days[len(days) // 2], code


def late(database: Database, day: date, code: str) -> None:
    """Correct one stock on a day, and then the whole market on it."""
    with database.read() as conn:
        rows = rows_of_day(conn, day)
    click.echo("\n| late correction | updated / unchanged | s |\n|---|---|---|")
    corrected(database, rows.filter(pl.col("ts_code") == code), "one stock, one day")
    corrected(database, rows, f"{rows.height:,} stocks, one day")


@click.command()
@click.option("--url", required=True, help="a database on a server with TimescaleDB; one beside it is made and dropped")
@click.option("--rows", default=1_000_000, show_default=True, help="about so many made-up bars")
@click.option("--recorded", type=click.Path(exists=True, path_type=Path), help="the folder of recorded data, instead")
def compression(url: str, rows: int, recorded: Path | None) -> None:
    """Print bytes a row in every form, then reads, then what late corrections cost."""
    whole = None if recorded is None else recorded_bars(recorded)
    with own_database(ExternalServer(url), "template0") as address:
        database = Database(address)
        with database.dedicated() as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
            # Nothing is compressed but by what is measured.
            connection.execute("SELECT _timescaledb_functions.stop_background_workers()")
        migrate.upgrade(database)
        click.echo(
            "| rows | updated_at | plain + indexes | hypertable | compressed | Parquet | by year | saved | compress s |"
        )
        click.echo("|---|---|---|---|---|---|---|---|---|")
        made: Frames = (lambda: made_up(rows)) if whole is None else (lambda: [whole])
        count, day, code = middle(made())
        plain = filled(database, made, "plain", count)
        reads = f"| plain | {reading(database, day, code)} |"
        every: tuple[Stamps, ...] = ("one a load", "one a trading day")
        for stamps in every:
            frames: Frames = lambda stamps=stamps: stamped(made(), stamps)  # noqa: E731  pyright knows its type so
            uncompressed = filled(database, frames, "hypertable", count)
            size, seconds = compressed(database)
            click.echo(Sizes(count, plain, uncompressed, size, *in_parquet(frames()), seconds).line(stamps))
        click.echo("\n| read, ms | one market day | one stock |\n|---|---|---|")
        click.echo(f"{reads}\n| compressed | {reading(database, day, code)} |")
        late(database, day, code)
        database.close()


if __name__ == "__main__":
    compression()
