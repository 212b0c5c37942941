"""Technical indicators from the store to committed rows: some nights, and a whole history beside the plain COPY of its rows."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import click
import numpy as np
import polars as pl
import psutil
import sqlalchemy as sa
import structlog

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.domain.tables import ADJUST_FACTOR, SECURITY, STOCK_DAILY
from stock_assets.indicators.table import TECHNICAL_DAILY
from stock_assets.pipeline.compute import compute_technicals
from stock_assets.pipeline.technical_check import compare_recomputed
from stock_assets.pipeline.technical_context import TechnicalContext, TechnicalReport
from stock_assets.storage import bulk_load
from stock_assets.storage.copy_frames import copy_in
from stock_assets.storage.database import Database
from stock_assets.storage.full_load import load_whole
from stock_assets.storage.reader import Reader
from stock_assets_tests.benchmarks.made_up_bars import UPDATED_AT, bars, codes, histories, sessions
from stock_assets_tests.benchmarks.stores import checkpoint, store
from stock_assets_tests.storage.made_up_rows import frame_of, security

_LINES = """
    INSERT INTO load_ledger (dataset, trade_date, status, rows_expected, rows_present, rows_rejected, source, digest,
        started_at, finished_at)
    SELECT 'stock_daily', trade_date, 'complete', count(*), count(*), 0, 'made up', md5(sum(close)::text), now(), now()
    FROM stock_daily WHERE trade_date > :after GROUP BY trade_date
"""
_STOCKS_A_FRAME = 200


def fill(database: Database, stocks: int, days: Sequence[date]) -> None:
    """Load bars of all days, one factor for each stock and 240 days, the securities and the ledger's lines."""
    names, random = codes(stocks), np.random.default_rng(2)
    events = [
        {"ts_code": code, "ex_date": days[place], "back_adjust_factor": 1 + number / 50, "source": "made up",
         "updated_at": UPDATED_AT}
        for code in names
        for number, place in enumerate(range(int(random.integers(0, 240)), len(days), 240), start=1)
    ]  # fmt: skip
    with database.begin() as conn:
        bulk_load.load(conn, SECURITY, frame_of(SECURITY, [security(code, days[0]) for code in names]))
        bulk_load.load(conn, ADJUST_FACTOR, frame_of(ADJUST_FACTOR, events), is_new=True)
    frames = histories(stocks, days, stocks_a_frame=_STOCKS_A_FRAME)
    load_whole(database, STOCK_DAILY, frames, rows=stocks * len(days), run_id=None, now=UPDATED_AT)
    _write_lines(database, date(1990, 1, 1))


def _write_lines(database: Database, after: date) -> None:
    with database.begin() as conn:
        conn.execute(sa.text(_LINES), {"after": after})


def add_day(database: Database, stocks: int, day: date, seed: int) -> None:
    """Load the bars of one more day."""
    with database.begin() as conn:
        bulk_load.load(conn, STOCK_DAILY, bars(codes(stocks), [day], seed=seed), is_new=True)
    _write_lines(database, _before(day))


def _before(day: date) -> date:
    return date.fromordinal(day.toordinal() - 1)


def copy_alone(database: Database, frame: pl.DataFrame, rows: int) -> float:
    """Return the seconds that COPY of so many of these rows needs, encoded as a load does, into a table like theirs."""
    with database.begin() as conn:
        conn.execute(
            sa.text("CREATE TABLE bare (LIKE technical_daily); ALTER TABLE bare ADD PRIMARY KEY (ts_code, trade_date)")
        )
    sent, shift, seconds = 0, 0, 0.0
    while sent < rows:
        # Keys move on, as those of the next stocks do.
        shift += 1
        moved = frame.with_columns(pl.col("ts_code") + f"{shift:05d}")
        started = perf_counter()
        with database.begin() as conn:
            copy_in(conn, "bare", moved)
        seconds += perf_counter() - started
        sent += moved.height
    with database.begin() as conn:
        conn.execute(sa.text("DROP TABLE bare"))
    return seconds * rows / sent


def _line(name: str, report: TechnicalReport, seconds: float) -> None:
    split = {step: report.split.get(f"{step}_seconds", 0.0) for step in ("read", "compute", "write", "keep")}
    kernels = sum(report.family_seconds.values())
    print(
        f"| {name} | {report.inserted:,} | {seconds:.3f} | {split['read']:.3f} | {split['compute']:.3f} | "
        f"{kernels:.4f} | {split['write']:.3f} | {split['keep']:.3f} |",
        flush=True,
    )


@click.command()
@click.option("--stocks", default=5_400, show_default=True)
@click.option("--rows", default=1_500_000, show_default=True, help="bars in the store before the first night")
@click.option("--nights", default=6, show_default=True)
@click.option("--database", "url", help="an empty database; a server of its own by default")
def technicals(stocks: int, rows: int, nights: int, url: str | None) -> None:
    """Print what a whole computation and some nights take, and where the time goes."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    days = sessions(rows // stocks + nights)
    calendar, process = TradingCalendar.of(days), psutil.Process()
    with store(url) as database, TemporaryDirectory() as folder:
        fill(database, stocks, days[:-nights])
        context = TechnicalContext(
            database=database, calendar=calendar, now=lambda: UPDATED_AT, ring=Path(folder) / "ring"
        )
        # Kernels are loaded before anything is measured, as in a process that has run before.
        compute_technicals(context, days[:1])
        with database.begin() as conn:
            conn.execute(sa.text("TRUNCATE technical_daily; DELETE FROM load_ledger WHERE dataset = 'technical_daily'"))
        checkpoint(database)
        before = process.memory_info().rss
        print(
            "| run | rows | total s | read s | compute s | of it kernels, CPU s | write s | ring s |\n|---|---|---|---|---|---|---|---|"
        )
        started = perf_counter()
        report = compute_technicals(context, days[:-nights])
        _line("whole history", report, perf_counter() - started)
        grown = (process.memory_info().rss - before) >> 20
        for number, day in enumerate(days[-nights:], start=1):
            add_day(database, stocks, day, seed=number)
            checkpoint(database)
            started = perf_counter()
            report = compute_technicals(context, [day])
            _line(
                f"night {number}{', ring made of the store' if number == 1 else ''}", report, perf_counter() - started
            )
        started = perf_counter()
        found = compare_recomputed(context, days[-1:])
        print(f"\ncheck of a night: {perf_counter() - started:.1f} s, {found.cells:,} values, equal: {found.is_equal}")
        with database.read() as conn:
            size = conn.scalar(sa.text("SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits"
                                       " WHERE inhparent = 'technical_daily'::regclass"))  # fmt: skip
        print(f"table with indexes: {int(size or 0) / 1e9:.2f} GB; memory after the whole computation: +{grown} MB")
        with Reader(database) as reader:
            sample = reader.technicals(codes(60), columns=TECHNICAL_DAILY.names)
        seconds = copy_alone(database, sample, report.inserted + rows)
        print(
            f"COPY of as many rows alone, key and no other index: {seconds:.1f} s ({rows / seconds / 1000:.0f}k rows/s)"
        )


if __name__ == "__main__":
    technicals()
