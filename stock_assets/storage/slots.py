"""At most N sessions with a source at once, over all processes of one database.

A slot is an advisory lock of a PostgreSQL session. Whatever ends the process or its connection ends the lock, so that
nothing has to be cleaned up and no slot can be lost. Whoever waits holds a shared lock beside the slots: a holder that
works for hours sees it and can let others in between.
"""

import hashlib
import random
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress

import psycopg

from stock_assets.domain.errors import SlotsTaken
from stock_assets.storage.database import Database

_POLL_SECONDS = (0.02, 0.1)
_WAITING = 1_000_000
_IS_WAITED_FOR = """
    SELECT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND classid = %s::bigint::oid AND objid = %s::oid AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    )
"""


class AdvisorySlots:
    """The slots of every source in `limits`, counted over all processes that use `database`."""

    def __init__(self, database: Database, *, limits: Mapping[str, int]) -> None:
        self._database = database
        self._limits = dict(limits)

    @contextmanager
    def take(self, source: str, *, timeout_seconds: float) -> Generator[int]:
        """Hold one slot of `source` and give its number, from 0; it is free again when the context ends.

        Errors: `SlotsTaken` when none was free for `timeout_seconds`; zero asks once.
        """
        key = _key(source)
        with self._database.dedicated() as connection:
            slot = self._wait(connection, source, key, timeout_seconds)
            try:
                yield slot
            finally:
                # Closing alone frees it too, but only after the server has noticed: the next taker may be waiting now.
                with suppress(psycopg.Error):
                    connection.execute("SELECT pg_advisory_unlock(%s, %s)", [key, slot])

    def is_wanted(self, source: str) -> bool:
        """Return whether anybody waits for a slot of `source`."""
        with self._database.dedicated() as connection:
            return _is_waited_for(connection, _key(source))

    def _wait(self, connection: psycopg.Connection, source: str, key: int, timeout_seconds: float) -> int:
        limit = self._limits[source]
        begin = time.monotonic()
        # Who has just let others in must not be faster than they are.
        if timeout_seconds and _is_waited_for(connection, key):
            time.sleep(min(2 * _POLL_SECONDS[1], timeout_seconds))
        is_waiting = False
        while True:
            for slot in range(limit):
                row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", [key, slot]).fetchone()
                if row is not None and row[0]:
                    if is_waiting:
                        connection.execute("SELECT pg_advisory_unlock_shared(%s, %s)", [key, _WAITING])
                    return slot
            waited = time.monotonic() - begin
            if waited >= timeout_seconds:
                raise SlotsTaken(source=source, limit=limit, waited_seconds=round(waited, 1))
            if not is_waiting:
                connection.execute("SELECT pg_advisory_lock_shared(%s, %s)", [key, _WAITING])
                is_waiting = True
            # Uneven, so that processes that were turned away together do not come back together.
            time.sleep(min(random.uniform(*_POLL_SECONDS), timeout_seconds - waited))  # noqa: S311  (not a secret)


def _is_waited_for(connection: psycopg.Connection, key: int) -> bool:
    row = connection.execute(_IS_WAITED_FOR, [key % 2**32, _WAITING]).fetchone()
    return row is not None and bool(row[0])


def _key(source: str) -> int:
    digest = hashlib.sha256(f"stock_assets.slots.{source}".encode()).digest()
    return int.from_bytes(digest[:4], "big", signed=True)
