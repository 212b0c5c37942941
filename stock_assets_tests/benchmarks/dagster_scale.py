"""Dagster's pages, daemon and sensors over 35 years: how long they take and how much memory they hold.

All trading days of all daily assets are made by one backfill, as the button on the page starts it; then the pages are started
anew on what is there, and asked what they ask.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import click
import psutil

from stock_assets.domain.calendar import FIRST_SESSION
from stock_assets.sources.exchange_calendar import exchange_calendar
from stock_assets_tests.web_pages import Backfill, Pages, eventually, running_pages

ASSETS = ("raw_baostock_daily", "stock_daily", "adjust_factor", "technical_daily")
_LOAD = """
from stock_assets.definitions import build_definitions
from stock_assets.wiring import Installation
build_definitions(Installation()).resolve_all_job_defs()
"""
_PARTITIONS = """
query($path: [String!]!) {
  assetNodeOrError(assetKey: {path: $path}) {
    ... on AssetNode {
      partitionStats { numMaterialized numPartitions numFailed }
      assetPartitionStatuses { __typename ... on TimePartitionStatuses { ranges { status startKey endKey } } }
    }
  }
}
"""
_NODES = "{ assetNodes { assetKey { path } partitionDefinition { type } } }"
_SENSORS = """
{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } sensors { name sensorType } } } } }
"""
_TICK = """
mutation($sensor: SensorSelector!) {
  sensorDryRun(selectorData: $sensor, cursor: null) {
    __typename
    ... on DryRunInstigationTick { evaluationResult { skipReason error { message } runRequests { runKey } } }
    ... on PythonError { message }
  }
}
"""


@click.command()
@click.option("--stocks", default=20, show_default=True, help="made-up stocks")
@click.option("--first", default=FIRST_SESSION.isoformat(), show_default=True, help="first trading day")
@click.option("--most-seconds", default=3600, show_default=True, help="longest backfill")
def dagster_scale(stocks: int, first: str, most_seconds: int) -> None:
    """Print seconds and megabytes."""
    # Not below a folder that is closed to others: as root the server runs as an account of its own.
    home = Path(tempfile.mkdtemp(prefix="stock-assets-bench-"))
    calendar = exchange_calendar(home / "cache")
    days = [str(day) for day in calendar.between(date.fromisoformat(first), date(2026, 11, 20))]
    settings = {
        "STOCK_ASSETS_HOME": str(home),
        "STOCK_ASSETS_SOURCE": "simulated",
        "STOCK_ASSETS_TODAY": "2026-11-20",
        "STOCK_ASSETS_LANGUAGE": "en",
        "SIMULATED_STOCKS": str(stocks),
        "LOG_LEVEL": "WARNING",
    }
    print("| what | |")
    print("|---|---|")
    for name in ("code location, first import", "code location, again"):
        print(f"| {name} | {_seconds(lambda: _load(settings)):.1f} s |")
    with running_pages(home, settings, options=["--skip-integrity-check"]) as pages:
        done, seconds = _backfill(pages, days, most_seconds)
        print(
            f"| backfill of {len(days):,} days x {len(ASSETS)} assets | {seconds:.0f} s, {len(done.runs)} run, {done.status} |"
        )
    began = time.monotonic()
    # As anybody runs them: the sensor that repairs looks at the last month.
    with running_pages(home, settings) as pages:
        print(f"| pages ready after the start | {time.monotonic() - began:.1f} s |")
        for name in ASSETS:
            again = [_seconds(lambda name=name: pages.ask(_PARTITIONS, path=[name])) for _ in range(3)]
            print(f"| partitions of {name}, first and later | {again[0]:.2f} s, {min(again[1:]):.2f} s |")
        everything = [
            node["assetKey"]["path"] for node in pages.ask(_NODES)["assetNodes"] if node["partitionDefinition"]
        ]
        print(
            f"| partitions of all {len(everything)} assets | "
            f"{_seconds(lambda: [pages.ask(_PARTITIONS, path=path) for path in everything]):.2f} s |"
        )
        for line in _ticks(pages):
            print(line)
        time.sleep(60)
        for line in _memory(pages):
            print(line)


def _backfill(pages: Pages, days: list[str], most_seconds: float) -> tuple[Backfill, float]:
    began = time.monotonic()
    started = pages.launch(ASSETS, days)
    done = eventually(lambda: pages.backfill(started), is_enough=lambda seen: seen.is_over, seconds=most_seconds)
    return done, time.monotonic() - began


def _ticks(pages: Pages) -> list[str]:
    lines: list[str] = []
    for repository in pages.ask(_SENSORS)["repositoriesOrError"]["nodes"]:
        where = {"repositoryName": repository["name"], "repositoryLocationName": repository["location"]["name"]}
        for sensor in repository["sensors"]:
            if sensor["sensorType"] != "STANDARD":
                continue
            selector = {**where, "sensorName": sensor["name"]}
            again = [_seconds(lambda selector=selector: _tick(pages, selector)) for _ in range(2)]
            lines.append(f"| one tick of {sensor['name']}, first and second | {again[0]:.2f} s, {again[1]:.2f} s |")
    return lines


def _tick(pages: Pages, selector: dict[str, str]) -> None:
    answer = pages.ask(_TICK, sensor=selector)["sensorDryRun"]
    assert answer["__typename"] == "DryRunInstigationTick", answer
    assert answer["evaluationResult"]["error"] is None, answer


def _memory(pages: Pages) -> list[str]:
    sizes: dict[str, list[int]] = {}
    for process in pages.family():
        try:
            words = " ".join(process.cmdline())
            name = next((one for one in ("dagster-webserver", "dagster-daemon") if one in words), "code servers")
            if "postgres" not in process.name():
                sizes.setdefault(name, []).append(process.memory_info().rss >> 20)
        except psutil.NoSuchProcess:
            continue
    return [f"| resident memory of {name} | {' + '.join(map(str, held))} MB |" for name, held in sorted(sizes.items())]


def _load(settings: dict[str, str]) -> None:
    subprocess.run([sys.executable, "-c", _LOAD], env={**os.environ, **settings}, check=True)


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


if __name__ == "__main__":
    dagster_scale()
