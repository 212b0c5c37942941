"""Requests counted before they leave, exactly, for all threads and processes of one database.

Every count is a transaction of its own on a connection of its own: work that is rolled back has sent its requests all
the same. One statement looks for a ban, counts against the day's limit and notes the api, in one round trip.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any, LiteralString

import psycopg

from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.errors import Banned, QuotaExhausted, RateLimited
from stock_assets.storage.database import Database
from stock_assets.storage.side_connections import SideConnections

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
    WHERE %(limit_of_api)s::bigint IS NULL OR part.requests < %(limit_of_api)s::bigint
    RETURNING requests
)
SELECT (SELECT until FROM ban), (SELECT requests FROM total), (SELECT requests FROM part)
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
_STANDINGS = """
SELECT source, coalesce(sum(requests) FILTER (WHERE api = '*' AND day = %(day)s), 0)::bigint,
       max(banned_until) FILTER (WHERE banned_until > %(now)s)
FROM source_quota WHERE day = %(day)s OR banned_until > %(now)s GROUP BY source ORDER BY source
"""


@dataclass(frozen=True, slots=True)
class QuotaUsage:
    """What one api of a source was used on one Shanghai day; `*` is the total."""

    api: str
    requests: int
    refusals: int
    banned_until: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a source stands now: requests of the Shanghai day, the day's limit if any, and until when it blocks us, if so."""

    source: str
    requests: int
    limit: int | None
    banned_until: datetime | None


class QuotaLedger:
    """The ledger of requests; a source without an entry in `daily_limits` is counted and never refused.

    `daily_limits` hold for a source as a whole, `daily_limits_of_api` for each of its interfaces.
    """

    def __init__(
        self,
        database: Database,
        *,
        daily_limits: Mapping[str, int],
        now: Callable[[], datetime],
        daily_limits_of_api: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._daily_limits = dict(daily_limits)
        self._daily_limits_of_api = dict(daily_limits_of_api)
        self._now = now
        # An answer may be lost after the server has counted. Counting twice is then the safe side of the error.
        self._connections = SideConnections(database)

    def before_request(self, source: str, api: str) -> None:
        """Count one request; the caller may send it when this returns.

        Errors: `Banned` while the source blocks us, `QuotaExhausted` when the day's limit is reached, `RateLimited` when
        the interface's own is; none of them counts.
        """
        if api.startswith(TOTAL):
            raise ValueError(api)
        facts = self._facts(
            source, api=api, limit=self._daily_limits.get(source), limit_of_api=self._daily_limits_of_api.get(source)
        )
        banned_until, requests, of_api = self._connections.run(lambda connection: _count(connection, facts))
        if of_api is not None:
            return
        if requests is not None:
            until = f"{facts['day'] + timedelta(days=1)} 00:00"
            reason = f"{facts['limit_of_api']} calls today, not called before {until}"
            raise RateLimited(source=source, api=api, period="day", until=until, reason=reason)
        if banned_until is None:
            (banned_until,) = self._connections.run(lambda connection: _one(connection, _RUNNING_BAN, facts))
        if banned_until is not None:
            raise Banned(source=source, until=f"{banned_until.astimezone(SHANGHAI):%Y-%m-%d %H:%M}")
        raise QuotaExhausted(source=source, day=str(facts["day"]), limit=facts["limit"])

    def record_refusal(self, source: str, api: str) -> None:
        """Count one refusal, of the api and of the day."""
        facts = self._facts(source, api=api)
        self._connections.run(lambda connection: connection.execute(_REFUSE, facts, prepare=True))

    def record_ban(self, source: str, until: datetime) -> None:
        """Let no process send anything before `until`; while a ban is running it can only grow longer."""
        facts = self._facts(source, until=until)

        def record(connection: psycopg.Connection) -> None:
            with connection.transaction():
                connection.execute(_LOCK_DAY, facts)
                if connection.execute(_LENGTHEN, facts).rowcount == 0:
                    connection.execute(_KEEP_ENDED, facts)
                    connection.execute(_BAN, facts)

        self._connections.run(record)

    def bans_this_year(self, source: str) -> int:
        """Return how often the source has banned us in this Shanghai year, the running ban included."""
        facts = self._facts(source)
        facts["first_day"] = facts["day"].replace(month=1, day=1)
        return self._connections.run(lambda connection: _one(connection, _BANS, facts))[0]

    def usage(self, source: str, day: date) -> list[QuotaUsage]:
        """Return what each api was used on `day`, the total (`*`) first."""
        facts = self._facts(source) | {"day": day}
        rows = self._connections.run(lambda connection: connection.execute(_USAGE, facts).fetchall())
        return [QuotaUsage(*row) for row in rows]

    def standings(self) -> list[Standing]:
        """Return where each source stands that was asked today or blocks us, by name."""
        rows = self._connections.run(lambda connection: connection.execute(_STANDINGS, self._facts("*")).fetchall())
        return [Standing(source, used, self._daily_limits.get(source), until) for source, used, until in rows]

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._connections.close()

    def _facts(self, source: str, **more: object) -> dict[str, Any]:
        now = self._now()
        return {"source": source, "now": now, "day": now.astimezone(SHANGHAI).date(), **more}


def _count(connection: psycopg.Connection, facts: dict[str, Any]) -> tuple[Any, ...]:
    if facts["limit_of_api"] is None:
        return _one(connection, _COUNT, facts)
    with connection.transaction() as transaction:
        ban, total, part = _one(connection, _COUNT, facts)
        if part is None:
            # The statement has counted the total before it knew of the interface.
            raise psycopg.Rollback(transaction)
    return ban, total, part


def _one(connection: psycopg.Connection, statement: LiteralString, facts: dict[str, Any]) -> tuple[Any, ...]:
    row = connection.execute(statement, facts, prepare=True).fetchone()
    if row is None:
        raise AssertionError(statement)
    return row
