"""Connections of a night with a history load beside it: counted by the server, far below what settings allow."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest

from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.market import SimulatedMarket
from stock_assets.sources.exchange_calendar import exchange_calendar
from stock_assets.storage.capacity import needed_by_a_run
from stock_assets.storage.database import Database
from stock_assets_tests.databases import Server, own_database

pytestmark = pytest.mark.slow
TODAY = date(2026, 7, 31)
LONGEST_SECONDS = 300.0
# The store's own name, and that of Dagster's database beside it. The sampler counts everybody but itself.
_SESSIONS = """
    SELECT application_name, count(*) FROM pg_stat_activity
    WHERE starts_with(datname, %s) AND pid <> pg_backend_pid() GROUP BY 1
"""


@dataclass
class Peaks:
    """The most sessions at one moment: of all, and by the name that each process gives to its own."""

    together: int = 0
    by_name: Counter[str] = field(default_factory=Counter[str])
    samples: int = 0


@contextmanager
def sampled(database: Database) -> Generator[Peaks]:
    """Count the sessions fifty times a second."""
    peaks, stop = Peaks(), threading.Event()

    def sample() -> None:
        with database.beside("postgres").dedicated() as connection:
            while not stop.wait(0.02):
                now = {
                    str(name): int(count) for name, count in connection.execute(_SESSIONS, [database.name]).fetchall()
                }
                peaks.together = max(peaks.together, sum(now.values()))
                peaks.by_name |= Counter(now)
                peaks.samples += 1

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peaks
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(("pool", "overflow"), [(10, 20), (1, 0)], ids=["as by default", "a pool of one"])
def test_a_night_with_a_backfill_beside_it_never_waits_for_the_pool(
    server: Server, migrated_template: str, tmp_path: Path, pool: int, overflow: int
) -> None:
    sessions = exchange_calendar(tmp_path / "cache").between(date(2026, 1, 1), TODAY)
    with (
        BaoStockServer(SimulatedMarket(7, 300, sessions=sessions), latency_seconds=0.02) as far_end,
        own_database(server, migrated_template) as url,
    ):
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("STOCK_", "DAGSTER"))}
        environment |= {
            "STOCK_ASSETS_HOME": str(tmp_path),
            "STOCK_ASSETS_DATABASE_URL": url,
            "STOCK_ASSETS_SOURCE": "baostock",
            "STOCK_ASSETS_TODAY": TODAY.isoformat(),
            "STOCK_ASSETS_LANGUAGE": "en",
            "BAOSTOCK_HOST": far_end.host,
            "BAOSTOCK_PORT": str(far_end.port),
            "DB_POOL_SIZE": str(pool),
            "DB_MAX_OVERFLOW": str(overflow),
        }

        def start(name: str, *arguments: str) -> "subprocess.Popen[bytes]":
            with (tmp_path / name).open("wb") as said:
                return subprocess.Popen(
                    [sys.executable, "-m", "stock_assets.cli.main", *arguments],
                    cwd=tmp_path, env={**environment, "PGAPPNAME": name}, stdout=said, stderr=said,
                )  # fmt: skip

        database = Database(url)
        with sampled(database) as peaks:
            processes = {"history": start("history", "history", "daily", "--start", "2026-06-01")}
            until = time.monotonic() + LONGEST_SECONDS
            while far_end.requests.total() == 0 and time.monotonic() < until:
                time.sleep(0.05)
            processes["nightly"] = start("nightly", "nightly")
            codes = {name: process.wait(LONGEST_SECONDS) for name, process in processes.items()}
        said = "".join((tmp_path / name).read_text(encoding="utf-8") for name in processes)
        assert codes == {"history": 0, "nightly": 0}, said
        assert "DB_POOL_SIZE" not in said
        most = needed_by_a_run(1)
        assert peaks.samples > 50
        for name, process in processes.items():
            # Dagster's own sessions have the name of the environment.
            assert 1 < peaks.by_name[f"stock_assets {process.pid}"] + peaks.by_name[name] <= most, peaks
        assert peaks.together <= 2 * most, peaks
        print(f"pool {pool}+{overflow}: {peaks}")  # noqa: T201  the figures
