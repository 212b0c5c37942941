"""The embedded server and all its processes die at once, as when the power goes: what was committed is there, whole."""

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from stock_assets.domain.errors import StockAssetsError
from stock_assets.storage import migrate
from stock_assets.storage.database import Database
from stock_assets.storage.embedded import EmbeddedServer
from stock_assets_tests.faults.stores import new_home, remove_home
from stock_assets_tests.storage.conftest import Process
from stock_assets_tests.storage.filled_store import digest, fill

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
CRASHES = 3
# Commits one day after the other, rows and ledger together, and says each once it is committed.
WRITER = """
import sys
from pathlib import Path
import sqlalchemy as sa
from stock_assets.storage.database import Database
from stock_assets.storage.embedded import EmbeddedServer
database = Database(EmbeddedServer(Path(sys.argv[1])).ensure_running())
first = int(sys.argv[2])
for number in range(first, first + 5000):
    with database.begin() as conn:
        for table in ("stock_daily", "load_ledger"):
            day = f"date '1991-01-01' + {number}"
            columns = [c for c in sa.inspect(conn).get_columns(table) if c["name"] not in ("trade_date", "id")]
            names = ", ".join(c["name"] for c in columns)
            conn.execute(sa.text(f"INSERT INTO {table} (trade_date, {names}) SELECT {day}, {names} FROM {table}"
                                 " WHERE trade_date = '2025-01-01'"))
    print(number, flush=True)
"""
Start = Callable[..., Process]


@pytest.fixture
def home() -> Iterator[Path]:
    folder = new_home()
    yield folder
    remove_home(folder)


def kill_server(home: Path) -> None:
    """Kill the postmaster and all its processes before any of them can do anything about it."""
    postmaster = psutil.Process(EmbeddedServer(home).status().pid)
    postmaster.suspend()
    processes = [postmaster, *postmaster.children()]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            os.kill(process.pid, signal.SIGKILL)
    psutil.wait_procs(processes, timeout=10)


@pytest.mark.slow
def test_every_day_that_was_said_to_be_committed_survives_and_none_is_half_there(home: Path, process: Start) -> None:
    server = EmbeddedServer(home)
    database = Database(server.ensure_running())
    migrate.upgrade(database)
    before = digest(fill(database))
    database.close()
    chance = random.Random(20261122)  # noqa: S311  repeatable, no secret
    said: list[int] = []
    for crash in range(CRASHES):
        writer = process(WRITER, str(home), str(crash * 5000 % 9000))
        said.append(int(writer.line()))
        until = time.monotonic() + chance.uniform(0.2, 1.5)
        while time.monotonic() < until:
            said.append(int(writer.line()))
        kill_server(home)
        assert writer.popen.stdout is not None
        said += [int(line) for line in writer.popen.stdout.read().split()]
        writer.kill()
        database = Database(server.ensure_running())
        with database.read() as conn:
            rows = conn.execute(sa.text("SELECT trade_date - date '1991-01-01', count(*) FROM stock_daily GROUP BY 1"))
            bars = {int(number): int(count) for number, count in rows}
            of_ledger = conn.execute(sa.text("SELECT trade_date - date '1991-01-01' FROM load_ledger")).scalars()
            ledger = {int(number) for number in of_ledger}
        assert set(bars) == ledger
        assert set(bars.values()) == {40}
        assert set(said) <= ledger
        database.close()
    with database.begin() as conn:
        for table in ("stock_daily", "load_ledger"):
            conn.execute(sa.text(f"DELETE FROM {table} WHERE trade_date < '2025-01-01'"))  # noqa: S608  two names
    assert digest(database) == before
    database.close()
    server.release()
    assert len(said) > CRASHES


def test_a_crash_in_the_middle_of_a_transaction_leaves_what_was_there(home: Path) -> None:
    server = EmbeddedServer(home)
    database = Database(server.ensure_running())
    migrate.upgrade(database)
    before = digest(fill(database))
    with suppress(StockAssetsError, DBAPIError), database.begin() as conn:
        conn.execute(sa.text("UPDATE stock_daily SET close = close + 0.5"))
        kill_server(home)
    database.close()
    server.ensure_running()
    assert digest(database) == before
    database.close()
    server.release()
