"""One evening of the whole market, from process start to committed rows and finished checks.

The first evening makes the store; the second, of the next session, is what users wait for.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import click
from sqlalchemy import text

from stock_assets.settings import Settings
from stock_assets.wiring import Installation
from stock_assets_tests.benchmarks.far_end import simulated_source


@click.command()
@click.option("--stocks", default=9200, show_default=True, help="made-up stocks; about 87 % of them are listed")
@click.option("--latency", default=80.0, show_default=True, help="milliseconds before each answer")
def nightly(stocks: int, latency: float) -> None:
    """Print the seconds of two nightly runs and where they went."""
    # Not below a folder that is closed to others: as root the server runs as an account of its own.
    home = Path(tempfile.mkdtemp(prefix="stock-assets-bench-"))
    with simulated_source(home, stocks=stocks, latency_ms=latency) as address, _kept_server(home):
        environment = {
            **os.environ,
            **address,
            "STOCK_ASSETS_HOME": str(home),
            "STOCK_ASSETS_SOURCE": "baostock",
            "STOCK_ASSETS_LANGUAGE": "en",
        }
        with Installation(Settings()) as installation:
            last = installation.last_final()
            before = installation.calendar.between(last - timedelta(days=20), last)[-2]
        print("| run | total s | API s | translate s | judge s | database s | rows |")
        print("|---|---|---|---|---|---|---|")
        for name, day in (("first evening, empty store", before), ("next evening", last)):
            log = home / "logs" / "stock-assets.log"
            log.unlink(missing_ok=True)
            began = time.monotonic()
            command = [sys.executable, "-m", "stock_assets.cli.main", "nightly", "--date", str(day)]
            subprocess.run(command, env=environment, check=True, capture_output=True)
            seconds = time.monotonic() - began
            run = next(line for line in map(json.loads, log.read_text().splitlines()) if line["event"] == "ingest.run")
            steps = [f"{run.get(f'{step}_seconds', 0.0):.2f}" for step in ("api", "translate", "judge", "database")]
            print(f"| {name} | {seconds:.1f} | {' | '.join(steps)} | {run['rows']} |")


class _kept_server:  # noqa: N801  used as a context manager only
    """Keep the embedded server of a home running, as it is on a machine where the daemon runs."""

    def __init__(self, home: Path) -> None:
        os.environ["STOCK_ASSETS_HOME"] = str(home)
        self._installation = Installation(Settings())

    def __enter__(self) -> None:
        with self._installation.database.read() as conn:
            conn.execute(text("SELECT 1"))

    def __exit__(self, *_: object) -> None:
        self._installation.close()


if __name__ == "__main__":
    nightly()
