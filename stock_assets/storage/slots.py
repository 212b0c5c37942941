"""At most N sessions with a source at once, over all processes of one database.

A slot is an advisory lock of a PostgreSQL session. Whatever ends the process or its connection ends the lock, so that
nothing has to be cleaned up and no slot can be lost.
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

    def _wait(self, connection: psycopg.Connection, source: str, key: int, timeout_seconds: float) -> int:
        limit = self._limits[source]
        begin = time.monotonic()
        while True:
            for slot in range(limit):
                row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", [key, slot]).fetchone()
                if row is not None and row[0]:
                    return slot
            waited = time.monotonic() - begin
            if waited >= timeout_seconds:
                raise SlotsTaken(source=source, limit=limit, waited_seconds=round(waited, 1))
            # Uneven, so that processes that were turned away together do not come back together.
            time.sleep(min(random.uniform(*_POLL_SECONDS), timeout_seconds - waited))  # noqa: S311  (not a secret)


def _key(source: str) -> int:
    digest = hashlib.sha256(f"stock_assets.slots.{source}".encode()).digest()
    return int.from_bytes(digest[:4], "big", signed=True)
