"""Says whether the process of a run is alive: it holds an advisory lock, which ends with the process however that ends."""

import hashlib
from collections.abc import Generator
from contextlib import contextmanager

from stock_assets.storage.database import Database


@contextmanager
def running(database: Database, run_id: str) -> Generator[None]:
    """Hold the lock of a run until the context ends; several holders of one run share it."""
    with database.dedicated() as connection:
        connection.execute("SELECT pg_advisory_lock_shared(%s)", [_key(run_id)])
        yield
        # The end of the connection would do, but the server takes note of that a moment later.
        connection.execute("SELECT pg_advisory_unlock_shared(%s)", [_key(run_id)])


def is_running(database: Database, run_id: str) -> bool:
    """Return whether any process holds the lock of the run."""
    with database.dedicated() as connection:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_key(run_id)]).fetchone()
        return row is None or not row[0]


def _key(run_id: str) -> int:
    digest = hashlib.sha256(f"stock_assets.run.{run_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
