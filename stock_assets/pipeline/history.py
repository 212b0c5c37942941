"""A long synchronization: a list of work, done batch by batch, that ends complete however often it is interrupted.

What is still to do is asked of the work list, which reads it from the store: an answer without rows never ends
anything. Every transaction of a batch moves the task's offset too, so that a killed run goes on where its last commit
was. What a batch fetches and writes belongs to the work list; daily bars and finance are two of them.
"""

import threading
from collections.abc import Callable, Collection, Generator, Hashable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from stock_assets.domain.errors import StillMissing, StockAssetsError, Stopped, StoreUnavailable, TaskLost
from stock_assets.pipeline.context import Progress, no_progress
from stock_assets.storage import sync_tasks
from stock_assets.storage.database import Connection, Database
from stock_assets.storage.sync_tasks import JobType, SyncTask, TaskStatus
from stock_assets.units import unit

Item = TypeVar("Item", bound=Hashable)


class WorkList(Protocol[Item]):
    """Work that can be listed: a day, a stock or a quarter at a time."""

    @property
    def job_type(self) -> JobType:
        """The job type of the task; one process at a time works on it."""
        ...

    def remaining(self) -> Sequence[Item]:
        """Every item still to do, in order, read from the store; what is not named is done."""
        ...

    def third_code(self, item: Item) -> str:
        """The item's name in failure records, such as a code or a day; one name for one item."""
        ...

    def work(self, batch: "Batch[Item]") -> None:
        """Fetch what the batch's items need, then write it in transactions that the batch opens.

        Call `batch.failed` for an item of which nothing came, `batch.lacks` for one of which not all came, `batch.later`
        for one that is nobody's failure. Raise when going on is useless; what was committed stays.
        """
        ...


@dataclass(slots=True)
class BatchTransaction(Generic[Item]):
    """One transaction of a batch: write through `connection`, and say with `done` what is whole with it."""

    connection: Connection
    items: list[Item] = field(default_factory=list[Item])
    rows: int = 0

    def done(self, items: Sequence[Item], *, rows: int) -> None:
        """Count these items as done once this is committed, with the rows that were written."""
        self.items += items
        self.rows += rows


class Batch(Generic[Item]):
    """Some items of a work list, and the transactions they are written in.

    `before` items of this attempt were worked on earlier, `total` is how many it has with those still to come.
    """

    def __init__(self, items: Sequence[Item], run: "_Run[Item]", *, before: int, total: int) -> None:
        self.items = tuple(items)
        self.before = before
        self.total = total
        self._run = run
        self._failures: dict[str, str] = {}

    @contextmanager
    def transaction(self) -> Generator[BatchTransaction[Item]]:
        """Give a transaction; offset, total and resolved failures are part of it. Fetch before, never inside.

        Errors: `TaskLost` when the task was taken over meanwhile; nothing is committed then.
        """
        with self._run.database.begin() as conn:
            transaction = BatchTransaction[Item](conn)
            yield transaction
            self._run.record(transaction)
        self._run.count(transaction)

    def failed(self, item: Item, error: StockAssetsError) -> None:
        """Remember that nothing came for an item; it is recorded with the end of the batch."""
        self._failures[self._run.work_list.third_code(item)] = str(error)

    def lacks(self, item: Item, what: str) -> None:
        """Remember what an item lacks though it was answered; recorded at the task's end if it is still to do then."""
        self._run.lacking[self._run.work_list.third_code(item)] = what

    def later(self, item: Item) -> None:
        """Leave an item to another attempt without a record: nobody could have brought it now."""
        self._run.postponed.add(self._run.work_list.third_code(item))

    @property
    def failures(self) -> Mapping[str, str]:
        """The failures so far, by third code."""
        return self._failures


@dataclass(frozen=True, slots=True)
class SyncOutcome:
    """How an attempt ended: the task, the items that failed in it or wait for a person, and what stopped it.

    `postponed` are the items that were left to another attempt, and are no failures.
    """

    task: SyncTask
    failed: tuple[str, ...] = ()
    need_a_person: tuple[str, ...] = ()
    stopped_by: StockAssetsError | None = None
    postponed: tuple[str, ...] = ()


def all_of(third_codes: Collection[str]) -> Collection[str]:
    """Say that every item which a list no longer names is done: right for a list that names all there is to do."""
    return third_codes


def run_history_sync(  # noqa: PLR0913  (each has its default)
    database: Database,
    work_list: WorkList[Item],
    *,
    now: Callable[[], datetime],
    batch_size: int = 50,
    max_retries: int = 3,
    config: Mapping[str, object] | None = None,
    settled: Callable[[Collection[str]], Collection[str]] = all_of,
    stop: threading.Event | None = None,
    progress: Progress = no_progress,
) -> SyncOutcome:
    """Find or create the task of the list's job type and config, and work until its list is empty.

    Items that failed before come first; those that failed more than `max_retries` times wait for a person. The task ends
    COMPLETED when the list names nothing but these, PAUSED by `stop`, by Ctrl-C or by `Stopped`, else FAILED; all but
    COMPLETED are gone on with by the next call. What a source does is in the outcome, not raised. Of failures that the
    list does not name, `settled` says which are done: a list for a part of the store knows nothing of the rest.

    Errors: `AlreadyRunning` while another process works on this job type, `TaskLost` when one took over, and whatever is
    no `StockAssetsError`, after the task was marked.
    """
    with sync_tasks.held(database, work_list.job_type):
        with database.begin() as conn:
            task = sync_tasks.take(
                conn, work_list.job_type, batch_size=batch_size, config=config or {}, now=now()
            )  # fmt: skip
        run = _Run(database, work_list, task, now, max_retries, settled, stop or threading.Event(), progress)
        with unit("history.run", job_type=work_list.job_type, slow_seconds=float("inf")) as work:
            outcome = run.to_its_end()
            work.add(status=outcome.task.status, items=run.items, rows=run.rows, failed=len(outcome.failed))
        return outcome


@dataclass(slots=True)
class _Run(Generic[Item]):
    """One attempt at a task. `failed` holds what failed in it, `attempted` every item that was in a batch."""

    database: Database
    work_list: WorkList[Item]
    task: SyncTask
    now: Callable[[], datetime]
    max_retries: int
    settled: Callable[[Collection[str]], Collection[str]]
    stop: threading.Event
    progress: Progress
    failed: dict[str, str] = field(default_factory=dict[str, str])
    lacking: dict[str, str] = field(default_factory=dict[str, str])
    postponed: set[str] = field(default_factory=set[str])
    attempted: dict[str, Item] = field(default_factory=dict[str, Item])
    total: int = 0
    left: int = 0
    items: int = 0
    rows: int = 0

    def to_its_end(self) -> SyncOutcome:
        """Work until nothing is left, or until something stops it."""
        try:
            while todo := self._to_do():
                for first in range(0, len(todo), self.task.batch_size):
                    self._work(todo[first : first + self.task.batch_size])
            self._note_still_missing()
        except Stopped as stopped:
            return self._ended("PAUSED", stopped)
        except TaskLost:
            raise
        except StockAssetsError as error:
            return self._ended("FAILED", error)
        except Exception as error:
            self._mark("FAILED", f"{type(error).__name__}: {error}")
            raise
        except BaseException:
            # Ctrl-C, or a run that its owner ends: what is committed is whole.
            self._mark("PAUSED", None)
            raise
        return self._ended("FAILED" if self.failed or self.postponed else "COMPLETED")

    def record(self, transaction: BatchTransaction[Item]) -> None:
        """Move the task on inside the transaction of its rows."""
        now = self.now()
        codes = [self.work_list.third_code(item) for item in transaction.items]
        conn = transaction.connection
        sync_tasks.resolve_failures(conn, self.task.job_type, codes, now=now)
        sync_tasks.advance(conn, self.task, items=len(codes), rows=transaction.rows, now=now)

    def count(self, transaction: BatchTransaction[Item]) -> None:
        """Tell of a committed transaction."""
        self.items += len(transaction.items)
        self.rows += transaction.rows
        label = self.work_list.third_code(transaction.items[-1]) if transaction.items else ""
        self.progress(done=self.items, total=self.total, rows=self.rows, label=label)

    def _to_do(self) -> list[Item]:
        """Return what this attempt has not tried yet: failures of earlier ones first, without those for a person."""
        remaining = {self.work_list.third_code(item): item for item in self.work_list.remaining()}
        with self.database.read() as conn:
            known = sync_tasks.open_failures(conn, self.task.job_type)
        # Done by some other way, such as a repair or a restored backup. Whoever says so may want a connection too.
        gone = self.settled([record.third_code for record in known if record.third_code not in remaining])
        with self.database.begin() as conn:
            sync_tasks.resolve_failures(conn, self.task.job_type, gone, now=self.now())
            sync_tasks.look_ahead(conn, self.task, remaining=len(remaining), now=self.now())
        waiting = {record.third_code for record in known if record.needs_a_person}
        again = [record.third_code for record in known if record.third_code in remaining]
        order = dict.fromkeys([*again, *remaining])
        todo = [code for code in order if code not in waiting and code not in self.attempted]
        self.total, self.left = self.items + len(todo), len(todo)
        return [remaining[code] for code in todo]

    def _work(self, items: Sequence[Item]) -> None:
        if self.stop.is_set():
            raise Stopped
        before = len(self.attempted)
        batch = Batch(items, self, before=before, total=before + self.left)
        self.left -= len(items)
        self.attempted |= {self.work_list.third_code(item): item for item in items}
        try:
            with unit("history.batch", "debug", items=len(items), slow_seconds=float("inf")):
                self.work_list.work(batch)
        finally:
            self._note(batch.failures)

    def _note_still_missing(self) -> None:
        """Record what was tried without a word of failure and is still to do: an empty answer closes nothing."""
        remaining = {self.work_list.third_code(item) for item in self.work_list.remaining()}
        self.postponed &= remaining
        told = {*self.failed, *self.postponed}
        silent = [code for code in self.attempted if code in remaining and code not in told]
        self._note({code: self.lacking.get(code) or str(StillMissing(item=code)) for code in silent})

    def _note(self, failures: Mapping[str, str]) -> None:
        if not failures:
            return
        self.failed |= failures
        # When the store is gone as well, that error is the one to tell.
        with suppress(StoreUnavailable), self.database.begin() as conn:
            sync_tasks.note_failures(
                conn, self.task.job_type, failures, max_retries=self.max_retries, now=self.now()
            )  # fmt: skip

    def _ended(self, status: TaskStatus, error: StockAssetsError | None = None) -> SyncOutcome:
        task = self._mark(status, self._reason(error))
        postponed = tuple(sorted(self.postponed))
        with suppress(StoreUnavailable), self.database.read() as conn:
            records = sync_tasks.open_failures(conn, self.task.job_type)
            waiting = tuple(record.third_code for record in records if record.needs_a_person)
            return SyncOutcome(task, tuple(self.failed), waiting, error, postponed)
        return SyncOutcome(task, tuple(self.failed), (), error, postponed)

    def _reason(self, error: StockAssetsError | None) -> str | None:
        if error is not None:
            return str(error)
        counts = ((len(self.failed), "failed"), (len(self.postponed), "not there yet"))
        return ", ".join(f"{count} {what}" for count, what in counts if count) or None

    def _mark(self, status: TaskStatus, reason: str | None) -> SyncTask:
        # A task that cannot be marked stays RUNNING without a holder: the next attempt goes on with it all the same.
        with suppress(StoreUnavailable, TaskLost), self.database.begin() as conn:
            self.task = sync_tasks.end(conn, self.task, status, now=self.now(), reason=reason)
        return self.task
