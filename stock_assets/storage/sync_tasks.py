"""The state of long synchronizations: which task there is of each job type, how far it came, and which items failed.

Who works on a job type holds an advisory lock on a session of its own: whatever ends the process frees it. The row says
what the last one did; a row that is RUNNING without a holder is an orphan and is gone on with. A task that was taken
over by somebody else cannot be written any more by whoever had it before (`attempts` tells them apart).
"""

import hashlib
import json
import time
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import polars as pl
import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from stock_assets.domain.errors import AlreadyRunning, TaskLost
from stock_assets.domain.tables import SYNC_FAILURE_RECORDS, SYNC_TASKS
from stock_assets.storage.copy_frames import copy_out
from stock_assets.storage.database import Database
from stock_assets.storage.schema import table_of

JobType = Literal["DAILY_HISTORY", "FINANCE_HISTORY", "DAILY_INCREMENTAL", "FINANCE_INCREMENTAL"]
JOB_TYPES: tuple[JobType, ...] = ("DAILY_INCREMENTAL", "DAILY_HISTORY", "FINANCE_INCREMENTAL", "FINANCE_HISTORY")
TaskStatus = Literal["PENDING", "RUNNING", "COMPLETED", "FAILED", "PAUSED"]
_PATIENCE_SECONDS, _POLL_SECONDS = 1.0, 0.05
_UNFINISHED: tuple[TaskStatus, ...] = ("PENDING", "RUNNING", "PAUSED", "FAILED")

_TASKS = table_of(SYNC_TASKS.name)
_FAILURES = table_of(SYNC_FAILURE_RECORDS.name)
_IS_OPEN = _FAILURES.c.resolved_at.is_(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncTask:
    """One task. `current_offset` counts items done, `total_processed` rows written, both over all its attempts.

    `total_items` is the offset plus what was still to do when last looked at, null before the first look. `config` is
    what the task was made for; two tasks of one job type with different configs are different tasks.
    """

    id: int
    job_type: JobType
    status: TaskStatus
    current_offset: int
    total_items: int | None
    batch_size: int
    total_processed: int
    attempts: int
    started_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    error_message: str | None
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncFailureRecord:
    """One item that failed: `third_code` names it; after `max_retries` failed retries it waits for a person."""

    id: int
    job_type: JobType
    third_code: str
    error_message: str
    retry_count: int
    max_retries: int
    last_attempt_at: datetime
    resolved_at: datetime | None

    @property
    def needs_a_person(self) -> bool:
        """Return whether it is not tried again by itself."""
        return self.resolved_at is None and self.retry_count >= self.max_retries


@contextmanager
def held(database: Database, job_type: JobType) -> Generator[None]:
    """Be the only one of all processes that works on `job_type` until the context ends or this process dies.

    Errors: `AlreadyRunning` when another one does.
    """
    key = _key(job_type)
    with database.dedicated() as connection:
        _lock(connection, key, job_type)
        try:
            yield
        finally:
            # Closing alone frees it too, but only after the server has noticed: the next run may begin now.
            with suppress(psycopg.Error):
                connection.execute("SELECT pg_advisory_unlock(%s)", [key])


def is_held(database: Database, job_type: JobType) -> bool:
    """Return whether a living process works on `job_type`."""
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND ((classid::bigint << 32) | objid::bigint) = %s AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"  # noqa: E501  (one query)
    with database.dedicated() as connection:
        row = connection.execute(query, [_key(job_type)]).fetchone()
        return row is not None and row[0] > 0


def take(
    conn: Connection, job_type: JobType, *, batch_size: int, config: Mapping[str, object], now: datetime
) -> SyncTask:
    """Return the newest unfinished task of this config, or a new one, set to RUNNING; the caller is its `held` holder.

    Another task of the type that a dead process left RUNNING becomes PAUSED: it can be gone on with later.
    """
    told = _told(config)
    orphans = sa.update(_TASKS).where(_TASKS.c.job_type == job_type, _TASKS.c.status == "RUNNING")
    conn.execute(orphans.values(status="PAUSED", updated_at=now))
    unfinished = (
        sa.select(_TASKS.c.id)
        .where(_TASKS.c.job_type == job_type, _TASKS.c.status.in_(_UNFINISHED), _TASKS.c.config == told)
        .order_by(_TASKS.c.id.desc())
        .limit(1)
    )
    known = conn.scalar(unfinished)
    if known is None:
        new = insert(_TASKS).values(
            job_type=job_type, status="PENDING", current_offset=0, batch_size=batch_size, total_processed=0, attempts=0,
            started_at=now, updated_at=now, config=told,
        )  # fmt: skip
        known = conn.scalar(new.returning(_TASKS.c.id))
    resumed = sa.update(_TASKS).where(_TASKS.c.id == known).values(
        status="RUNNING", batch_size=batch_size, attempts=_TASKS.c.attempts + 1, updated_at=now, error_message=None
    )  # fmt: skip
    return _task(conn.execute(resumed.returning(*_TASKS.c)).mappings().one())


def advance(conn: Connection, task: SyncTask, *, items: int, rows: int, now: datetime) -> None:
    """Add what this transaction brings to the task's offset and total.

    Errors: `TaskLost` when somebody else has taken the task over; the transaction must not be committed then.
    """
    _write(
        conn, task, now,
        current_offset=_TASKS.c.current_offset + items, total_processed=_TASKS.c.total_processed + rows,
    )  # fmt: skip


def look_ahead(conn: Connection, task: SyncTask, *, remaining: int, now: datetime) -> SyncTask:
    """Write down how many items are still to do, and return the task as it is.

    Errors: `TaskLost`.
    """
    return _write(conn, task, now, total_items=_TASKS.c.current_offset + remaining)


def end(conn: Connection, task: SyncTask, status: TaskStatus, *, now: datetime, reason: str | None = None) -> SyncTask:
    """Set how the attempt ended and return the task; `reason` is for people.

    Errors: `TaskLost`.
    """
    completed_at = now if status == "COMPLETED" else None
    return _write(conn, task, now, status=status, completed_at=completed_at, error_message=reason)


def latest(conn: Connection, job_type: JobType) -> SyncTask | None:
    """Return the newest task of a job type."""
    query = sa.select(*_TASKS.c).where(_TASKS.c.job_type == job_type).order_by(_TASKS.c.id.desc()).limit(1)
    row = conn.execute(query).mappings().first()
    return None if row is None else _task(row)


def note_failures(
    conn: Connection, job_type: JobType, messages: Mapping[str, str], *, max_retries: int, now: datetime
) -> None:
    """Record that these items failed, by `third_code`; an item that is open already has one more failed retry."""
    if not messages:
        return
    rows = [
        {
            "job_type": job_type,
            "third_code": code,
            "error_message": message,
            "retry_count": 0,
            "max_retries": max_retries,
            "last_attempt_at": now,
        }
        for code, message in sorted(messages.items())
    ]
    statement = insert(_FAILURES).values(rows)
    conn.execute(
        statement.on_conflict_do_update(
            index_elements=["job_type", "third_code"],
            index_where=_IS_OPEN,
            set_={
                "error_message": statement.excluded.error_message,
                "retry_count": _FAILURES.c.retry_count + 1,
                "max_retries": statement.excluded.max_retries,
                "last_attempt_at": statement.excluded.last_attempt_at,
            },
        )
    )


def resolve_failures(conn: Connection, job_type: JobType, third_codes: Collection[str], *, now: datetime) -> int:
    """Close the open records of items that were done since; return how many there were."""
    chosen = sa.literal(sorted(third_codes), sa.ARRAY(sa.Text))
    closing = sa.update(_FAILURES).where(
        _FAILURES.c.job_type == job_type, _IS_OPEN, _FAILURES.c.third_code == sa.any_(chosen)
    )
    return conn.execute(closing.values(resolved_at=now)).rowcount


def open_failures(conn: Connection, job_type: JobType | None = None) -> list[SyncFailureRecord]:
    """Return the unresolved records, those first that failed last longest ago."""
    query = sa.select(*_FAILURES.c).where(_IS_OPEN)
    if job_type is not None:
        query = query.where(_FAILURES.c.job_type == job_type)
    rows = conn.execute(query.order_by(_FAILURES.c.last_attempt_at, _FAILURES.c.id))
    return [SyncFailureRecord(**row) for row in rows.mappings()]


def retry_again(conn: Connection, job_type: JobType, third_codes: Collection[str] | None = None) -> int:
    """Let open records be tried again as if for the first time; return how many. None means all of the job type."""
    again = sa.update(_FAILURES).where(_FAILURES.c.job_type == job_type, _IS_OPEN)
    if third_codes is not None:
        again = again.where(_FAILURES.c.third_code == sa.any_(sa.literal(sorted(third_codes), sa.ARRAY(sa.Text))))
    return conn.execute(again.values(retry_count=0)).rowcount


def failure_rates(conn: Connection) -> pl.DataFrame:
    """Return one row per job type that ever failed: records, resolved, unresolved, needs_a_person, failed_percent.

    `failed_percent` is the unresolved records against the items done and open, over all tasks of the type.
    """
    query = sql.SQL("""
        SELECT job_type, count(*), count(resolved_at), count(*) FILTER (WHERE resolved_at IS NULL),
               count(*) FILTER (WHERE resolved_at IS NULL AND retry_count >= max_retries),
               100.0 * count(*) FILTER (WHERE resolved_at IS NULL) / nullif(count(*) FILTER (WHERE resolved_at IS NULL)
               + coalesce((SELECT sum(current_offset) FROM sync_tasks AS task WHERE task.job_type = failed.job_type), 0), 0)
        FROM sync_failure_records AS failed GROUP BY job_type ORDER BY job_type
    """)
    counts = {name: pl.Int64() for name in ("records", "resolved", "unresolved", "needs_a_person")}
    return copy_out(conn, query, {"job_type": pl.String(), **counts, "failed_percent": pl.Float64()})


def _write(conn: Connection, task: SyncTask, now: datetime, **values: object) -> SyncTask:
    ours = sa.update(_TASKS).where(
        _TASKS.c.id == task.id, _TASKS.c.attempts == task.attempts, _TASKS.c.status == "RUNNING"
    )
    row = conn.execute(ours.values(updated_at=now, **values).returning(*_TASKS.c)).mappings().first()
    if row is None:
        raise TaskLost(job_type=task.job_type)
    return _task(row)


def _task(row: sa.RowMapping) -> SyncTask:
    values: dict[str, Any] = dict(row)
    values["config"] = json.loads(values["config"])
    return SyncTask(**values)


def _told(config: Mapping[str, object]) -> str:
    return json.dumps(dict(config), ensure_ascii=False, sort_keys=True)


def _lock(connection: psycopg.Connection, key: int, job_type: JobType) -> None:
    # The server needs a moment to notice that a process has died.
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [key]).fetchone()
        if row is not None and row[0]:
            return
        if time.monotonic() >= until:
            raise AlreadyRunning(job_type=job_type)
        time.sleep(_POLL_SECONDS)


def _key(job_type: JobType) -> int:
    digest = hashlib.sha256(f"stock_assets.sync.{job_type}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
