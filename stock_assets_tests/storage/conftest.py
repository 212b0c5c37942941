"""Real processes for the laws that hold between processes."""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stock_assets.storage.backup import Backup, make_backup
from stock_assets.storage.database import Database
from stock_assets.storage.layout import convert
from stock_assets_tests.storage.filled_store import fill

ROOT = Path(__file__).resolve().parents[2]


class Process:
    """A Python process that runs `code` and speaks line by line; it is killed with the test at the latest."""

    def __init__(self, code: str, *arguments: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def line(self) -> str:
        """Return the next line it prints; an ended process is an error."""
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline().strip()
        assert line, f"the process ended with {self.popen.wait(10)}"
        return line

    def finish(self) -> int:
        """Let it go on to its end, and return its exit code."""
        assert self.popen.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.popen.stdin.close()
        return self.popen.wait(60)

    def kill(self) -> None:
        """Kill it with -9."""
        self.popen.kill()
        self.popen.wait(10)


@pytest.fixture
def process() -> Iterator[Callable[..., Process]]:
    """Starts processes; none of them outlives the test."""
    started: list[Process] = []

    def start(code: str, *arguments: str) -> Process:
        started.append(Process(code, *arguments))
        return started[-1]

    yield start
    for one in started:
        if one.popen.poll() is None:
            one.kill()
        for stream in (one.popen.stdin, one.popen.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


@pytest.fixture
def packed_database(database: Database) -> Database:
    """A database of this test alone whose bars are packed, as in a hypertable; without TimescaleDB."""
    with database.begin() as conn:
        convert(conn, "stock_daily", "hypertable")
    return database


@pytest.fixture
def store(database: Database) -> Database:
    """A store with bars and their ledger, of this test alone."""
    return fill(database)


@pytest.fixture
def made(store: Database, tmp_path: Path) -> Backup:
    """A backup of that store."""
    return make_backup(store, tmp_path / "store.dump")
