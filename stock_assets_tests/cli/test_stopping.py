"""Real processes: stopped in the middle, on a terminal and without one; started without paying for what is not needed."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from pydantic import SecretStr

from stock_assets.domain.answers import Rows
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.sources.tushare.client import TushareClient
from stock_assets.storage import coverage
from stock_assets.wiring import Installation
from stock_assets_tests.assets.conftest import TODAY
from stock_assets_tests.cli.conftest import Call, Start

BARS = "query_daily_history_k_AStock"
# Fewer days than stocks: day by day is the cheaper way.
FIRST = date(2026, 10, 9)
LOAD = ("history", "daily", "--start", str(FIRST))
# Bounds against a hang on a busy machine, no measure of speed.
SECONDS_TO_STOP = 40.0


def wait_for(condition: Callable[[], bool], seconds: float = 180.0) -> None:
    """Wait until something has happened."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


def held_days(installation: Installation) -> tuple[int, int]:
    """Return how many days have bars, and how many of them are whole."""
    with installation.database.read() as conn:
        counts = coverage.day_counts(conn, FIRST, TODAY).filter(pl.col("present") > 0)
    return counts.height, counts.filter(pl.col("present") == pl.col("expected")).height


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_ctrl_c_at_a_terminal_leaves_one_line_and_whole_days_and_the_next_call_goes_on(
    installation: Installation, far_end: BaoStockServer, start: Start, call: Call
) -> None:
    far_end.latency_seconds = 0.15
    master, slave = os.openpty()
    process = start(LOAD, output=slave, COLUMNS="80", TERM="xterm", LOG_LEVEL="")
    os.close(slave)
    os.set_blocking(master, False)
    seen = bytearray()

    def text() -> str:
        try:
            while chunk := os.read(master, 65536):
                seen.extend(chunk)
        except OSError:
            pass
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode(errors="ignore"))

    wait_for(lambda: re.search(r"[1-9]\d*/\d+ +\d+%.*left \d:\d\d:\d\d", text()) is not None)
    process.send_signal(signal.SIGINT)
    stopped = time.monotonic()
    wait_for(lambda: text() != "" and process.poll() is not None, SECONDS_TO_STOP + 5)
    assert time.monotonic() - stopped < SECONDS_TO_STOP
    assert process.returncode == 130
    assert "preparing" in text()
    # A terminal shows no INFO lines of the log among the bar's.
    assert "INFO" not in text()
    assert "WARNING" not in text()
    assert text().rstrip().splitlines()[-1].startswith("stopped; what was committed is kept")
    os.close(master)
    wait_for(lambda: far_end.open_sessions == 0, 5)
    held, whole = held_days(installation)
    assert held == whole >= 1
    far_end.latency_seconds = 0.0
    asked = far_end.requests[BARS]
    said = call(*LOAD)
    assert said.code == 0, said.err
    days = len(installation.calendar.between(FIRST, TODAY))
    assert far_end.requests[BARS] - asked == days - whole
    assert held_days(installation) == (days, days)


@pytest.mark.slow
def test_sigterm_ends_a_load_within_seconds_though_the_source_stalls(
    new_installation: Callable[..., Installation], far_end: BaoStockServer, start: Start
) -> None:
    installation = new_installation(BAOSTOCK_HOST=far_end.host, BAOSTOCK_PORT=str(far_end.port), BAOSTOCK_TIMEOUT="300")
    far_end.faults = f"stall:{BARS}:4"
    process = start(LOAD)
    wait_for(lambda: far_end.requests[BARS] >= 4)
    process.send_signal(signal.SIGTERM)
    stopped = time.monotonic()
    out, err = process.communicate(timeout=90)
    assert time.monotonic() - stopped < SECONDS_TO_STOP
    assert (process.returncode, out) == (130, b"")
    *lines, last = err.decode().splitlines()
    assert last == "stopped; what was committed is kept, and the same command goes on from there"
    assert [line for line in lines if " calls, " not in line] == []
    held, whole = held_days(installation)
    assert held == whole


@pytest.mark.usefixtures("no_store")
@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["--help"], {"dagster", "polars", "sqlalchemy", "psycopg", "pandas", "numpy", "pydantic"}),
        (["status"], {"dagster", "baostock", "pandas", "exchange_calendars"}),
    ],
    ids=["help", "status"],
)
def test_a_command_starts_without_importing_what_it_does_not_need(arguments: list[str], unwanted: set[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "stock_assets.cli.main", *arguments]
    said = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False, env=dict(os.environ))
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in said.stderr.splitlines()}
    assert "click" in imported
    assert imported & unwanted == set()


@pytest.mark.usefixtures("no_store")
def test_other_programs_can_use_the_simulated_sources_by_what_it_prints(start: Start, tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb+") as out:
        process = start(["simulate", "--stocks", "20"], output=out)
        wait_for(lambda: b"TOKEN=" in (tmp_path / "out").read_bytes())
        printed = dict(re.findall(r"(\w+)=(\S+)", (tmp_path / "out").read_text(encoding="utf-8")))
        code = "import socket, os; socket.create_connection((os.environ['BAOSTOCK_HOST'], int(os.environ['BAOSTOCK_PORT'])), 5)"
        assert subprocess.run([sys.executable, "-c", code], env={**os.environ, **printed}, check=False).returncode == 0
        client = TushareClient(SecretStr(printed["TUSHARE_TOKEN"]), addresses=[printed["TUSHARE_URL"]])
        assert isinstance(client.stock_basic(), Rows)
        client.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
