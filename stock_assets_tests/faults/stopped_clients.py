"""Clients that are stopped at a step for certain, and what a store is like afterwards."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.storage import migrate
from stock_assets.storage.database import Database
from stock_assets.storage.layout import layout_of, rows_of
from stock_assets_tests.storage.conftest import Process
from stock_assets_tests.storage.filled_store import address, digest

_INDEXES = """
    SELECT indrelid::regclass::text, indkey::text, indisunique, indisvalid FROM pg_index
    WHERE indrelid = CAST(:held AS regclass)
       OR indrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = CAST(:held AS regclass)) ORDER BY 1, 2
"""
_LEDGER = "SELECT trade_date, rows_present FROM load_ledger ORDER BY 1"
_HELD = "SELECT trade_date, count(*) FROM stock_daily GROUP BY 1 ORDER BY 1"
_WAITING = "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
_SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"


@dataclass(frozen=True, slots=True)
class Step:
    """Where a client dies: the lock that the test holds, and the statement that waits for it.

    A load holds on at frame `stop_at` of its own, so that the lock meets nothing earlier.
    """

    hold: str
    waits_in: str
    stop_at: int | None = None


def state_of(database: Database) -> dict[str, object]:
    """Return all that a crash may not change in the end: bars, ledger, indexes, layout and revision."""
    with database.read() as conn:
        held = {"held": rows_of(conn, STOCK_DAILY.name)}
        return {
            "bars": digest(database),
            "ledger": list(map(tuple, conn.execute(sa.text(_LEDGER)))),
            "old bars": conn.scalar(sa.text("SELECT count(*) FROM stock_daily_history")),
            "indexes": list(map(tuple, conn.execute(sa.text(_INDEXES), held))),
            "layout": layout_of(conn, STOCK_DAILY.name),
            "revision": migrate.current(database),
        }


def rows_and_ledger(database: Database) -> tuple[list[tuple[date, int]], list[tuple[date, int]]]:
    """Return rows by day as they are and as the ledger says."""
    with database.read() as conn:
        held, ledger = ([(day, rows) for day, rows in conn.execute(sa.text(query))] for query in (_HELD, _LEDGER))
    return held, ledger


class Clients:
    """Client processes, one of them always ready before it is needed: their imports take most of the time."""

    def __init__(self) -> None:
        self._next = _start()

    @contextmanager
    def run(self, call: str, database: Database) -> Generator[Process]:
        """Have a process do a call of `storage_clients` on `database`; it does not outlive the block."""
        process, self._next = self._next, _start()
        try:
            tell(process, f"{address(database)} {call}")
            yield process
        finally:
            _end(process)

    def close(self) -> None:
        """End the one that is ready."""
        _end(self._next)


def _start() -> Process:
    return Process("from stock_assets_tests.faults.storage_clients import main; main()")


def _end(process: Process) -> None:
    process.kill()
    for stream in (process.popen.stdin, process.popen.stdout):
        assert stream is not None
        stream.close()


@contextmanager
def held(database: Database, statement: str) -> Generator[None]:
    """Hold a lock; the server may die meanwhile."""
    connection = database.connect()
    try:
        connection.execute("BEGIN")
        connection.execute(statement.encode())
        yield
    finally:
        connection.close()


def wait_until_it_waits_in(database: Database, process: Process, statement: str) -> None:
    """Wait until the client's `statement` waits for a lock, so that it is neither done nor to come."""
    until = time.monotonic() + 60
    with database.dedicated() as connection:
        while True:
            waiting = [str(row[0]).strip() for row in connection.execute(_WAITING).fetchall()]
            if any(query.startswith(statement) for query in waiting):
                return
            assert process.popen.poll() is None, f"it ended with {process.popen.returncode} before {statement}"
            assert time.monotonic() < until, f"it never came to {statement}, but to {waiting}"
            time.sleep(0.02)


def wait_until_it_stops(process: Process) -> None:
    """Read what the client logs until it says that it is there."""
    while process.line() != "here":
        pass


def tell(process: Process, line: str = "") -> None:
    """Send a line to a client; an empty one lets it go on where it has stopped."""
    assert process.popen.stdin is not None
    process.popen.stdin.write(line + "\n")
    process.popen.stdin.flush()


def wait_until_noticed(database: Database, process: Process) -> None:
    """Wait until the server has ended the sessions of a dead client."""
    until = time.monotonic() + 30
    with database.dedicated() as connection:
        while connection.execute(_SESSIONS, [f"stock_assets {process.popen.pid}"]).fetchone() != (0,):
            assert time.monotonic() < until
            time.sleep(0.02)
