"""Connections beside the pool, for short statements that stand whatever becomes of the caller's transaction.

They are in autocommit, kept while idle, one to a thread at a time, and never handed over to a forked process.
"""

import os
import threading
from collections.abc import Callable
from typing import TypeVar

import psycopg

from stock_assets.domain.errors import StoreUnavailable
from stock_assets.storage.database import Database

Result = TypeVar("Result")


class SideConnections:
    """The connections of one user of `database`.

    With `idle_in_transaction_seconds` the server ends a transaction in which this process falls silent, so that a stopped
    process cannot hold a row for ever.
    """

    def __init__(self, database: Database, *, idle_in_transaction_seconds: float | None = None) -> None:
        self._database = database
        silence = idle_in_transaction_seconds
        self._settings = "" if silence is None else f"-c idle_in_transaction_session_timeout={silence * 1000:.0f}"
        self._lock = threading.Lock()
        self._idle: list[psycopg.Connection] = []
        self._pid = os.getpid()

    def run(self, work: Callable[[psycopg.Connection], Result]) -> Result:
        """Return `work(connection)`; a connection that died while idle is replaced once.

        The server may have done what was asked although its answer was lost: `work` must bear being done twice.
        """
        connection = self._take()
        if connection is not None:
            try:
                return self._use(connection, work)
            except StoreUnavailable:
                pass
        return self._use(self._database.connect(self._settings), work)

    def close(self) -> None:
        """Close the connections that are not in use."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _use(self, connection: psycopg.Connection, work: Callable[[psycopg.Connection], Result]) -> Result:
        try:
            with self._database.border():
                result = work(connection)
        except BaseException:
            # Interrupted anywhere, even by Ctrl-C, its state is unknown: it must not serve another request.
            connection.close()
            raise
        with self._lock:
            self._idle.append(connection)
        return result

    def _take(self) -> psycopg.Connection | None:
        with self._lock:
            if os.getpid() != self._pid:
                # After a fork the connections are the parent's.
                self._idle, self._pid = [], os.getpid()
            return self._idle.pop() if self._idle else None
