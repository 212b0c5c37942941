"""The deletion drill on a full store: what was taken out is named exactly, one repair restores the digest, a second does nothing."""

import os
import random
import tempfile
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import click
import polars as pl
import sqlalchemy as sa

from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.indicators.table import TECHNICAL_DAILY
from stock_assets.pipeline.compute import compute_technicals
from stock_assets.pipeline.factors import ingest_factors
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.pipeline.repair import Gaps, find_gaps
from stock_assets.settings import Settings
from stock_assets.storage.row_digests import digests
from stock_assets.wiring import Installation
from stock_assets_tests.benchmarks.far_end import simulated_source

_TABLES = (STOCK_DAILY, ADJUST_FACTOR, TECHNICAL_DAILY)


@click.command()
@click.option("--stocks", default=300, show_default=True, help="made-up stocks")
@click.option("--years", default=5, show_default=True, help="years of history")
@click.option("--latency", default=0.0, show_default=True, help="milliseconds before each answer")
def repair(stocks: int, years: int, latency: float) -> None:
    """Print what the drill finds, what repairing it costs, and how long each step takes."""
    home = Path(tempfile.mkdtemp(prefix="stock-assets-bench-"))
    with simulated_source(home, stocks=stocks, latency_ms=latency) as address:
        os.environ |= {
            **address,
            "STOCK_ASSETS_HOME": str(home),
            "STOCK_ASSETS_SOURCE": "baostock",
            "LOG_LEVEL": "ERROR",
        }
        os.environ["READINESS_SECOND_LOOK"] = "0"
        with Installation(Settings()) as installation:
            installation.configure_logging()
            _drill(installation, years)


def _drill(installation: Installation, years: int) -> None:
    last = installation.last_final()
    days = installation.calendar.between(last - timedelta(days=365 * years), last)
    began = time.monotonic()
    _bring(installation, days)
    whole = _digest(installation, days)
    click.echo(
        f"loaded: {sum(rows for _, rows, _ in whole[0]):,} bars of {len(days)} days, {time.monotonic() - began:.1f} s"
    )
    bars, factors = _take_out(installation, days)
    began = time.monotonic()
    gaps = _gaps(installation, days)
    seconds = time.monotonic() - began
    is_exact = set(gaps.bars.iter_rows()) == bars and set(gaps.factors.iter_rows()) == factors
    click.echo(
        f"found: {gaps.bars.height:,} bars, {gaps.factors.height} factors, exactly these: {is_exact}; {seconds:.2f} s"
    )
    began = time.monotonic()
    requests = _bring(installation, installation.calendar.between(gaps.days[0], gaps.days[-1]))
    seconds = time.monotonic() - began
    click.echo(f"repaired: {requests} requests, {seconds:.1f} s; digests equal: {_digest(installation, days) == whole}")
    click.echo(f"second look: {len(_gaps(installation, days).days)} days lack anything")


def _bring(installation: Installation, days: Sequence[date]) -> int:
    bars = ingest_days(installation.pipeline(), days, only_due=True)
    factors = ingest_factors(installation.pipeline(), days)
    compute_technicals(installation.technicals(), days)
    return bars.requests + factors.requests


def _gaps(installation: Installation, days: Sequence[date]) -> Gaps:
    with installation.database.read() as conn:
        return find_gaps(conn, days, now=installation.now(), sources=installation.sources_in_use)


def _digest(installation: Installation, days: Sequence[date]) -> list[list[tuple[date, int, str]]]:
    with installation.database.read() as conn:
        return [digests(conn, table, days[0], days[-1]).rows() for table in _TABLES]


def _take_out(installation: Installation, days: Sequence[date]) -> tuple[set[object], set[object]]:
    """Delete 100 rows, three days, one stock's year and one day's factors; return the keys of all that is gone."""
    chance = random.Random(7)  # noqa: S311  repeatable
    with installation.database.begin() as conn:
        held = pl.read_database("SELECT ts_code, trade_date FROM stock_daily", conn)
        stock, year = chance.choice(held["ts_code"].unique().sort().to_list()), days[-1].year - 1
        whole = chance.sample(list(days), 3)
        rows = held.sort("trade_date", "ts_code")
        picked = rows[sorted(chance.sample(range(rows.height), 100))]
        of_stock = rows.filter((pl.col("ts_code") == stock) & (pl.col("trade_date").dt.year() == year))
        gone = pl.concat([picked, rows.filter(pl.col("trade_date").is_in(whole)), of_stock]).unique()
        keys = {"codes": gone["ts_code"].to_list(), "days": gone["trade_date"].to_list()}
        pairs = "SELECT * FROM unnest(CAST(:codes AS text[]), CAST(:days AS date[]))"
        conn.execute(sa.text(f"DELETE FROM stock_daily WHERE (ts_code, trade_date) IN ({pairs})"), keys)  # noqa: S608  our own words
        day = conn.scalar(sa.text("SELECT max(ex_date) FROM adjust_factor WHERE ex_date < :day"), {"day": whole[0]})
        lost = conn.execute(
            sa.text("DELETE FROM adjust_factor WHERE ex_date = :day RETURNING ts_code, ex_date"), {"day": day}
        )
        return set(gone.iter_rows()), set(map(tuple, lost))


if __name__ == "__main__":
    repair()
