"""One day's snapshot: published from a store, opened cold and warm, beside the same day by SQL and from Parquet files.

The store has some days of the whole market with indicators, factors and reports. Cold is a file that is not in the system's
memory (dropped from it before each reading; the process has read others before); warm in the system's memory is not opened
before by this process; warm in the process is. A frame counts as usable when its values are in memory: one column is summed.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import click
import numpy as np
import pandas as pd
import polars as pl
import sqlalchemy as sa

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.domain.tables import ADJUST_FACTOR, SECURITY, STOCK_DAILY
from stock_assets.indicators.table import DIGEST, TECHNICAL_DAILY
from stock_assets.pipeline.snapshot import SnapshotContext, publish_snapshots
from stock_assets.pipeline.snapshot_columns import FIGURES
from stock_assets.storage.bulk_load import load
from stock_assets.storage.database import Database
from stock_assets.storage.snapshot_reader import OpenedFiles, SnapshotReader
from stock_assets_tests.benchmarks.made_up_bars import UPDATED_AT, bars, codes, sessions
from stock_assets_tests.benchmarks.stores import checkpoint, store

_NOW = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)
_EXES, _REPORTS = 20, 12
_KEY = "ts_code"


@click.command()
@click.option("--stocks", default=5_400, show_default=True, help="stocks in the market")
@click.option("--days", default=20, show_default=True, help="days published in one run")
@click.option("--times", default=15, show_default=True, help="measurements of each reading; the median is printed")
@click.option("--url", help="an empty database; an embedded server by default")
def snapshots(stocks: int, days: int, times: int, url: str | None) -> None:
    """Print how long a snapshot takes to make and to open."""
    with store(url) as database, tempfile.TemporaryDirectory() as folder:
        market = sessions(days + 1)
        _fill(database, stocks, market)
        place = Path(folder)
        context = SnapshotContext(database, TradingCalendar.of(market), lambda: _NOW, "benchmark")
        *others, day = market
        # What is imported on first use is not part of a publication.
        publish_snapshots(context, others[:1], place)
        began = time.perf_counter()
        split = publish_snapshots(context, [day], place).split
        one = time.perf_counter() - began
        again = _seconds(lambda: publish_snapshots(context, [day], place))
        many = _seconds(lambda: publish_snapshots(context, others[1:], place))
        reader = _reader(database, context, place)
        row = reader.row(day)
        width = reader.read(day).width
        print(f"{row.rows:,} stocks x {width} columns, {row.bytes / 1e6:.2f} MB a file")
        print(
            f"published, store to committed row and file: {one * 1000:,.0f} ms; again, unchanged: {again * 1000:,.0f} ms"
        )
        print(
            ", ".join(f"of which {name.removesuffix('_seconds')} {took * 1000:,.0f} ms" for name, took in split.items())
        )
        print(f"{len(others) - 1} days in one run: {many / (len(others) - 1) * 1000:,.0f} ms a day")
        _compare(database, context, place, day, times)


def _compare(database: Database, context: SnapshotContext, folder: Path, day: date, times: int) -> None:
    row = _reader(database, context, folder).row(day)
    file, frame = folder / row.path, _reader(database, context, folder).read(day)
    parquet = folder / "day.parquet"
    frame.write_parquet(parquet, compression="zstd")
    read_pandas: Any = cast("Any", pd).read_parquet
    few = ["ts_code", "close", "rsi_6", "macd", "roe"]
    opened = _reader(database, context, folder)
    readings: dict[str, tuple[Path, Callable[[], pl.DataFrame | None]]] = {
        "snapshot, by id": (file, lambda: _reader(database, context, folder).read(row.snapshot_id)),
        "snapshot, by id, 5 columns": (file, lambda: _reader(database, context, folder).read(row.snapshot_id, few)),
        "polars.read_ipc of the same file": (file, lambda: pl.read_ipc(file)),
        "polars.read_parquet, zstd": (parquet, lambda: pl.read_parquet(parquet)),
        "pandas.read_parquet, zstd": (parquet, lambda: pl.Series(read_pandas(parquet)["close"]).to_frame()),
        "SQL: the same day joined in the database": (file, lambda: _by_sql(database, day)),
    }
    print("| reading | cold ms | warm, system ms | warm, process ms |")
    print("|---|---|---|---|")
    for name, (held, read) in readings.items():
        cold = _median(times, read, before=lambda held=held: _drop(held))
        warm = _median(times, read)
        mine = ""
        if name == "snapshot, by id":
            mine = f"{_median(times, lambda: opened.read(row.snapshot_id)):.3f}"
        print(f"| {name} | {cold:.1f} | {warm:.1f} | {mine} |")
    by_day = _median(times, lambda: opened.read(day))
    print(f"| snapshot, by day: which one is current is asked of the store | | | {by_day:.2f} |")


def _reader(database: Database, context: SnapshotContext, folder: Path) -> SnapshotReader:
    """Return a reader that has opened nothing."""
    return SnapshotReader(database, folder, context.calendar, opened=OpenedFiles(64 << 20))


def _median(times: int, read: Callable[[], object], *, before: Callable[[], None] = lambda: None) -> float:
    """Return the median milliseconds of a reading whose result is used."""
    taken: list[float] = []
    for _ in range(times + 1):
        before()
        began = time.perf_counter()
        found = read()
        if isinstance(found, pl.DataFrame):
            found["close"].sum()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken[1:])


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _drop(path: Path) -> None:
    """Make the system forget a file's content."""
    place = os.open(path, os.O_RDONLY)
    try:
        os.fsync(place)
        os.posix_fadvise(place, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(place)


def _by_sql(database: Database, day: date) -> pl.DataFrame:
    query = sa.text("""
        SELECT * FROM security JOIN stock_daily USING (ts_code) LEFT JOIN technical_daily USING (ts_code, trade_date)
        LEFT JOIN LATERAL (
            SELECT back_adjust_factor FROM adjust_factor AS f
            WHERE f.ts_code = stock_daily.ts_code AND ex_date <= :day ORDER BY ex_date DESC LIMIT 1
        ) AS factor ON true
        LEFT JOIN LATERAL (
            SELECT eps, roe, bps FROM finance_indicator AS r
            WHERE r.ts_code = stock_daily.ts_code AND known_from <= :day AND is_chosen ORDER BY end_date DESC LIMIT 1
        ) AS report ON true
        WHERE trade_date = :day
    """)
    read_sql: Any = cast("Any", pd).read_sql
    with database.read() as conn:
        rows = read_sql(query, conn, params={"day": day})
    return pl.DataFrame({"close": rows["close"].to_numpy()})


def _fill(database: Database, stocks: int, days: list[date]) -> None:
    named, random = codes(stocks), np.random.default_rng(1)
    quotes = bars(named, days)
    values = {
        column.name: {
            "float": lambda: random.normal(20, 9, quotes.height),
            "integer": lambda: random.integers(0, 9, quotes.height),
            "boolean": lambda: random.integers(0, 30, quotes.height) == 0,
        }[column.kind]()
        for column in TECHNICAL_DAILY.columns
        if column.name not in (_KEY, "trade_date", DIGEST)
    }
    technicals = quotes.select(_KEY, "trade_date", pl.lit(1, dtype=pl.Int64).alias(DIGEST)).with_columns(
        **{name: pl.Series(column) for name, column in values.items()}
    )
    updated = pl.lit(UPDATED_AT).cast(pl.Datetime("us", "UTC"))
    listed = pl.DataFrame({_KEY: named}).with_columns(
        name=pl.lit("浦发银行"), exchange=pl.lit("SH"), board=pl.lit("main"), list_date=pl.lit(days[0]),
        delist_date=pl.lit(None, dtype=pl.Date), status=pl.lit("listed"), former_codes=pl.lit(None, dtype=pl.String),
        source=pl.lit("made up"), updated_at=updated,
    )  # fmt: skip
    ex_dates = [days[0] - timedelta(days=200 * number) for number in range(_EXES)]
    factors = pl.DataFrame({_KEY: named}).join(pl.DataFrame({"ex_date": ex_dates}), how="cross").with_columns(
        back_adjust_factor=pl.lit(1.5), source=pl.lit("made up"), updated_at=updated
    )  # fmt: skip
    ends = [
        date(2004 - number // 4, 12 - 3 * (number % 4), 30 if number % 4 in (1, 2) else 31)
        for number in range(_REPORTS)
    ]
    reports = pl.DataFrame({_KEY: named}).join(pl.DataFrame({"end_date": ends}), how="cross")
    reports = reports.with_columns(
        *(pl.lit(None, dtype=kind).alias(name) for name, kind in FINANCE_INDICATOR.schema.items() if name not in reports.columns)
    ).with_columns(
        *(pl.Series(name, np.round(random.normal(9, 5, reports.height), 4)) for name in FIGURES),
        ann_date=pl.col("end_date"), known_from=pl.col("end_date") + pl.duration(days=1), version=pl.lit(1, dtype=pl.Int64),
        ann_date_basis=pl.lit("stated"), is_chosen=pl.lit(value=True), source=pl.lit("made up"), fetched_at=updated,
    )  # fmt: skip
    with database.begin() as conn:
        for table, rows in (
            (SECURITY, listed), (STOCK_DAILY, quotes), (TECHNICAL_DAILY, technicals), (ADJUST_FACTOR, factors),
            (FINANCE_INDICATOR, reports),
        ):  # fmt: skip
            load(conn, table, table.conform(rows), is_new=True)
    with database.dedicated() as connection:
        connection.execute("VACUUM (ANALYZE)")
    checkpoint(database)


if __name__ == "__main__":
    snapshots()
