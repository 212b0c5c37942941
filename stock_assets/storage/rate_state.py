"""The pace of every interface, shared by all threads and processes of one database.

A turn is taken by one statement: the row's lock orders those who come at the same moment, and nobody waits inside a
transaction. A process that dies with a turn leaves it unused and nothing else. Times are those of the server's clock,
so that machines and processes agree; a test may bring its own.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from stock_assets.domain.pace import RateState, Turn
from stock_assets.storage.database import Database
from stock_assets.storage.side_connections import SideConnections

# Longer than any honest change of a row takes: a process that is stopped in the middle holds up the others no longer.
_SILENCE_SECONDS = 5.0
_COLUMNS = (
    "source, api, next_at, interval_seconds, closed_until, closed_reason, learned_limit, refused_at"  # of RateState
)
# `DO UPDATE` locks the row first and computes after: the clock is read when the turn is taken, not when it is asked for.
_RESERVE = f"""
    INSERT INTO rate_state AS known (source, api, next_at, updated_at)
    VALUES (%(source)s, %(api)s, coalesce(%(now)s, clock_timestamp()) + %(interval)s * interval '1 s',
            coalesce(%(now)s, clock_timestamp()))
    ON CONFLICT (source, api) DO UPDATE SET
        next_at = greatest(known.next_at, coalesce(%(now)s, clock_timestamp()))
                  + greatest(known.interval_seconds, %(interval)s) * interval '1 s',
        updated_at = coalesce(%(now)s, clock_timestamp())
    WHERE known.next_at <= coalesce(%(now)s, clock_timestamp()) + %(horizon)s * interval '1 s'
    RETURNING next_at - greatest(interval_seconds, %(interval)s) * interval '1 s' AS slot,
              coalesce(%(now)s, clock_timestamp()) AS now, {_COLUMNS}
"""  # noqa: S608  (constant text)
_LOOK = f"""
    SELECT coalesce(%(now)s, clock_timestamp()) AS now, {_COLUMNS}
    FROM rate_state WHERE source = %(source)s AND api = %(api)s
"""  # noqa: S608  (constant text)
_ENSURE = """
    INSERT INTO rate_state (source, api, next_at, updated_at)
    VALUES (%(source)s, %(api)s, coalesce(%(now)s, clock_timestamp()), coalesce(%(now)s, clock_timestamp()))
    ON CONFLICT (source, api) DO NOTHING
"""
_LOCK = "SELECT FROM rate_state WHERE source = %(source)s AND api = %(api)s FOR UPDATE"
_WRITE = """
    UPDATE rate_state
    SET next_at = %(next_at)s, interval_seconds = %(interval_seconds)s, closed_until = %(closed_until)s,
        closed_reason = %(closed_reason)s, learned_limit = %(learned_limit)s, refused_at = %(refused_at)s,
        updated_at = coalesce(%(now)s, clock_timestamp())
    WHERE source = %(source)s AND api = %(api)s
"""


class StoredRates:
    """The rates of all interfaces; `now` replaces the server's clock."""

    def __init__(self, database: Database, *, now: Callable[[], datetime] | None = None) -> None:
        self._connections = SideConnections(database, idle_in_transaction_seconds=_SILENCE_SECONDS)
        self._now = now

    def reserve(self, source: str, api: str, *, interval_seconds: float, horizon_seconds: float) -> Turn:
        """Take the next free turn of an interface, at least `interval_seconds` after the last one.

        The turn has no slot when the next one is further ahead than `horizon_seconds`; then nothing was taken.
        """
        facts = self._facts(source, api) | {"interval": interval_seconds, "horizon": horizon_seconds}

        def take(connection: psycopg.Connection) -> Turn:
            row = _fetch(connection, _RESERVE, facts)
            if row is not None:
                return Turn(row["slot"], row["now"], _state(row))
            row = _must(_fetch(connection, _LOOK, facts))
            return Turn(None, row["now"], _state(row))

        return self._connections.run(take)

    def look(self, source: str, api: str) -> Turn:
        """Return the state as it is now, without a slot; the interface must have been asked for a turn before."""
        facts = self._facts(source, api)
        row = self._connections.run(lambda connection: _must(_fetch(connection, _LOOK, facts)))
        return Turn(None, row["now"], _state(row))

    def change(self, source: str, api: str, decide: Callable[[RateState, datetime], RateState]) -> RateState:
        """Replace the state by `decide(state, now)` while nobody else can change it, and return it.

        `decide` may run more than once, must not wait, and returns the same object for no change.
        """
        facts = self._facts(source, api)

        def replace(connection: psycopg.Connection) -> RateState:
            with connection.transaction():
                connection.execute(_ENSURE, facts, prepare=True)
                connection.execute(_LOCK, facts, prepare=True)
                # After the lock: the clock does not stand still while one waits for it.
                row = _must(_fetch(connection, _LOOK, facts))
                before = _state(row)
                after = decide(before, row["now"])
                if after is not before:
                    connection.execute(_WRITE, {**facts, **_values(after)}, prepare=True)
            return after

        return self._connections.run(replace)

    def states(self) -> list[RateState]:
        """Return every interface that was ever called, in order of source and name."""
        query = f"SELECT {_COLUMNS} FROM rate_state ORDER BY source, api"  # noqa: S608  (constant text)

        def read(connection: psycopg.Connection) -> list[RateState]:
            with connection.cursor(row_factory=dict_row) as cursor:
                return [_state(row) for row in cursor.execute(query).fetchall()]

        return self._connections.run(read)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._connections.close()

    def _facts(self, source: str, api: str) -> dict[str, Any]:
        return {"source": source, "api": api, "now": None if self._now is None else self._now()}


def _fetch(connection: psycopg.Connection, statement: LiteralString, facts: dict[str, Any]) -> dict[str, Any] | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement, facts, prepare=True).fetchone()


def _must(row: dict[str, Any] | None) -> dict[str, Any]:
    if row is None:
        raise AssertionError
    return row


def _state(row: dict[str, Any]) -> RateState:
    return RateState(**{name: row[name] for name in RateState.__slots__})


def _values(state: RateState) -> dict[str, Any]:
    return {name: getattr(state, name) for name in RateState.__slots__}
