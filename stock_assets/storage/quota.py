"""Requests counted before they leave, exactly, for all threads and processes of one database.

Every count is a transaction of its own on a connection of its own: work that is rolled back has sent its requests all
the same. One statement looks for a ban, counts against the day's limit and notes the api, in one round trip.
"""

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, LiteralString, TypeVar

import psycopg

from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.errors import Banned, QuotaExhausted, StoreUnavailable
from stock_assets.storage.database import Database

Result = TypeVar("Result")
# The row of this api holds the day's total, and the day's newest ban.
TOTAL = "*"

_RUNNING_BAN = "SELECT max(banned_until) FROM source_quota WHERE source = %(source)s AND banned_until > %(now)s"
# `DO UPDATE … WHERE` judges the row as it is once its lock is held, whatever the statement saw before: that is what
# keeps the total below the limit, and lets a ban that is being recorded stop a request that already waits.
_COUNT = """
WITH ban AS (
    SELECT max(banned_until) AS until FROM source_quota WHERE source = %(source)s AND banned_until > %(now)s
), total AS (
    INSERT INTO source_quota AS total (source, api, day, requests, refusals, updated_at)
    SELECT %(source)s, '*', %(day)s, 1, 0, %(now)s
    FROM ban WHERE until IS NULL AND coalesce(%(limit)s::bigint, 1) > 0
    ON CONFLICT (source, api, day) DO UPDATE SET requests = total.requests + 1, updated_at = excluded.updated_at
    WHERE (%(limit)s::bigint IS NULL OR total.requests < %(limit)s::bigint)
      AND (total.banned_until IS NULL OR total.banned_until <= excluded.updated_at)
    RETURNING requests
), part AS (
    INSERT INTO source_quota AS part (source, api, day, requests, refusals, updated_at)
    SELECT %(source)s, %(api)s, %(day)s, 1, 0, %(now)s FROM total
    ON CONFLICT (source, api, day) DO UPDATE SET requests = part.requests + 1, updated_at = excluded.updated_at
)
SELECT (SELECT until FROM ban), (SELECT requests FROM total)
"""
_REFUSE = """
INSERT INTO source_quota AS known (source, api, day, requests, refusals, updated_at)
SELECT %(source)s, api, %(day)s, 0, 1, %(now)s FROM unnest(ARRAY['*', %(api)s::text]) AS api
ON CONFLICT (source, api, day) DO UPDATE SET refusals = known.refusals + 1, updated_at = excluded.updated_at
"""
# The day's total is touched even when nothing about it changes: its lock makes processes that see the ban at the same
# moment follow one another, so that it is counted once.
_LOCK_DAY = """
INSERT INTO source_quota AS known (source, api, day, requests, refusals, updated_at)
VALUES (%(source)s, '*', %(day)s, 0, 0, %(now)s)
ON CONFLICT (source, api, day) DO UPDATE SET updated_at = excluded.updated_at
"""
_LENGTHEN = """
UPDATE source_quota SET banned_until = greatest(banned_until, %(until)s), updated_at = %(now)s
WHERE source = %(source)s AND banned_until > %(now)s
"""
# A second ban on the same day: the one that is over moves to a row of its own, so that both are counted.
_KEEP_ENDED = """
INSERT INTO source_quota (source, api, day, requests, refusals, banned_until, updated_at)
SELECT source, '*' || (SELECT count(*) + 1 FROM source_quota AS kept
                       WHERE kept.source = known.source AND kept.day = known.day AND kept.api LIKE '*_%%'),
       day, 0, 0, banned_until, %(now)s
FROM source_quota AS known
WHERE source = %(source)s AND api = '*' AND day = %(day)s AND banned_until IS NOT NULL
"""
_BAN = """
UPDATE source_quota SET banned_until = %(until)s WHERE source = %(source)s AND api = '*' AND day = %(day)s
"""
_BANS = """
SELECT count(*) FROM source_quota
WHERE source = %(source)s AND banned_until IS NOT NULL AND (day >= %(first_day)s OR banned_until > %(now)s)
"""
_USAGE = """
SELECT api, requests, refusals, banned_until FROM source_quota
WHERE source = %(source)s AND day = %(day)s ORDER BY api
"""


@dataclass(frozen=True, slots=True)
class QuotaUsage:
    """What one api of a source was used on one Shanghai day; `*` is the total."""

    api: str
    requests: int
    refusals: int
    banned_until: datetime | None


class QuotaLedger:
    """The ledger of requests; a source without an entry in `daily_limits` is counted and never refused."""

    def __init__(self, database: Database, *, daily_limits: Mapping[str, int], now: Callable[[], datetime]) -> None:
        self._database = database
        self._daily_limits = dict(daily_limits)
        self._now = now
        self._lock = threading.Lock()
        self._idle: list[psycopg.Connection] = []
        self._pid = os.getpid()

    def before_request(self, source: str, api: str) -> None:
        """Count one request; the caller may send it when this returns.

        Errors: `Banned` while the source blocks us, `QuotaExhausted` when the day's limit is reached; neither counts.
        """
        if api.startswith(TOTAL):
            raise ValueError(api)
        facts = self._facts(source, api=api, limit=self._daily_limits.get(source))
        banned_until, requests = self._run(lambda connection: _one(connection, _COUNT, facts))
        if requests is not None:
            return
        if banned_until is None:
            (banned_until,) = self._run(lambda connection: _one(connection, _RUNNING_BAN, facts))
        if banned_until is not None:
            raise Banned(source=source, until=f"{banned_until.astimezone(SHANGHAI):%Y-%m-%d %H:%M}")
        raise QuotaExhausted(source=source, day=str(facts["day"]), limit=facts["limit"])

    def record_refusal(self, source: str, api: str) -> None:
        """Count one refusal, of the api and of the day."""
        facts = self._facts(source, api=api)
        self._run(lambda connection: connection.execute(_REFUSE, facts, prepare=True))

    def record_ban(self, source: str, until: datetime) -> None:
        """Let no process send anything before `until`; while a ban is running it can only grow longer."""
        facts = self._facts(source, until=until)

        def record(connection: psycopg.Connection) -> None:
            with connection.transaction():
                connection.execute(_LOCK_DAY, facts)
                if connection.execute(_LENGTHEN, facts).rowcount == 0:
                    connection.execute(_KEEP_ENDED, facts)
                    connection.execute(_BAN, facts)

        self._run(record)

    def bans_this_year(self, source: str) -> int:
        """Return how often the source has banned us in this Shanghai year, the running ban included."""
        facts = self._facts(source)
        facts["first_day"] = facts["day"].replace(month=1, day=1)
        return self._run(lambda connection: _one(connection, _BANS, facts))[0]

    def usage(self, source: str, day: date) -> list[QuotaUsage]:
        """Return what each api was used on `day`, the total (`*`) first."""
        facts = self._facts(source) | {"day": day}
        rows = self._run(lambda connection: connection.execute(_USAGE, facts).fetchall())
        return [QuotaUsage(*row) for row in rows]

    def close(self) -> None:
        """Close the connections that are not in use."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _facts(self, source: str, **more: object) -> dict[str, Any]:
        now = self._now()
        return {"source": source, "now": now, "day": now.astimezone(SHANGHAI).date(), **more}

    def _run(self, work: Callable[[psycopg.Connection], Result]) -> Result:
        """Return `work(connection)`; a connection that died while idle is replaced once.

        An answer may be lost after the server has counted. Counting twice is then the safe side of the error.
        """
        connection = self._take()
        if connection is not None:
            try:
                return self._use(connection, work)
            except StoreUnavailable:
                pass
        return self._use(self._database.connect(), work)

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


def _one(connection: psycopg.Connection, statement: LiteralString, facts: dict[str, Any]) -> tuple[Any, ...]:
    row = connection.execute(statement, facts, prepare=True).fetchone()
    if row is None:
        raise AssertionError(statement)
    return row
