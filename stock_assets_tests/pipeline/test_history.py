"""The engine of long synchronizations: it ends complete, whatever fails, stops or dies on the way."""

import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from stock_assets.cli.exit_codes import exit_code
from stock_assets.domain.errors import AlreadyRunning, RateLimited, Stopped, TaskLost
from stock_assets.pipeline.context import Progress, no_progress
from stock_assets.pipeline.history import SyncOutcome, run_history_sync
from stock_assets.storage import sync_tasks
from stock_assets.storage.database import Database
from stock_assets.storage.sync_tasks import SyncTask
from stock_assets_tests.databases import Server, own_database
from stock_assets_tests.pipeline.counted_work import ROWS_PER_ITEM, CountedWork, make_tables, numbers
from stock_assets_tests.storage.conftest import Process, process

__all__ = ["process"]
NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
ITEMS = 23
RUNNER = """
import signal, sys, threading
from datetime import UTC, datetime
from stock_assets.pipeline.context import Progress, no_progress
from stock_assets.pipeline.history import run_history_sync
from stock_assets.storage.database import Database
from stock_assets_tests.pipeline.counted_work import CountedWork
database, stop = Database(sys.argv[1]), threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
work = CountedWork(database, pause_seconds=float(sys.argv[3]))
print("started", flush=True)
outcome = run_history_sync(database, work, now=lambda: datetime.now(UTC), batch_size=int(sys.argv[2]), stop=stop)
print(outcome.task.status, flush=True)
"""
Start = Callable[..., Process]
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")


@pytest.fixture
def work(database: Database) -> CountedWork:
    """A list of twenty-three numbers."""
    make_tables(database, ITEMS)
    return CountedWork(database)


def run(
    work: CountedWork,
    *,
    batch_size: int = 5,
    max_retries: int = 3,
    config: Mapping[str, object] | None = None,
    stop: threading.Event | None = None,
    progress: Progress = no_progress,
) -> SyncOutcome:
    return run_history_sync(
        work.database, work, now=lambda: NOW, batch_size=batch_size, max_retries=max_retries, config=config, stop=stop,
        progress=progress,
    )  # fmt: skip


def newest(database: Database) -> SyncTask:
    with database.read() as conn:
        task = sync_tasks.latest(conn, "FINANCE_HISTORY")
    assert task is not None
    return task


def calls(database: Database) -> int:
    return numbers(database, "SELECT count(*) FROM called")[0]


def test_a_list_is_worked_to_its_end_and_every_figure_is_true(work: CountedWork) -> None:
    told: list[tuple[int, int, int]] = []

    def progress(*, done: int, total: int, rows: int, label: str, **_counted: object) -> None:
        assert label
        told.append((done, total, rows))

    outcome = run(work, progress=progress, config={"start": "20200101"})
    task = outcome.task
    assert (task.status, task.completed_at, outcome.stopped_by) == ("COMPLETED", NOW, None)
    assert (task.current_offset, task.total_items, task.total_processed) == (ITEMS, ITEMS, ITEMS * ROWS_PER_ITEM)
    assert (task.batch_size, task.attempts, task.config) == (5, 1, {"start": "20200101"})
    assert told == [(done, ITEMS, 3 * done) for done in (5, 10, 15, 20, 23)]
    assert newest(work.database) == task


def test_what_is_there_costs_no_call(work: CountedWork) -> None:
    run(work)
    before = calls(work.database)
    assert run(work).task.status == "COMPLETED"
    assert calls(work.database) == before


def test_an_empty_answer_ends_nothing_and_is_recorded(work: CountedWork) -> None:
    work.silent = frozenset({0, 1, 2, 3, 4, 17})
    outcome = run(work)
    assert outcome.task.status == "FAILED"
    assert outcome.failed == ("000000", "000001", "000002", "000003", "000004", "000017")
    assert outcome.task.current_offset == ITEMS - 6
    assert calls(work.database) == ITEMS
    with work.database.read() as conn:
        assert {record.error_message for record in sync_tasks.open_failures(conn)} == {
            f"{item} has no rows" for item in work.silent
        }


def test_what_failed_comes_first_the_next_time_and_is_resolved_when_it_is_done(work: CountedWork) -> None:
    work.fails = {19: 1, 7: 1}
    assert run(work).failed == ("000007", "000019")
    with work.database.begin() as conn:
        conn.execute(sa.text("INSERT INTO wanted SELECT generate_series(-3, -1)"))
    outcome = run(work)
    assert numbers(work.database, "SELECT item FROM called ORDER BY id")[ITEMS:] == [7, 19, -3, -2, -1]
    assert (outcome.task.status, outcome.failed) == ("COMPLETED", ())
    assert outcome.task.attempts == 2
    with work.database.read() as conn:
        assert sync_tasks.open_failures(conn) == []
        rates = sync_tasks.failure_rates(conn)
    assert rates.rows() == [("FINANCE_HISTORY", 2, 2, 0, 0, 0.0)]


def test_after_enough_retries_an_item_waits_for_a_person_who_can_send_it_again(work: CountedWork) -> None:
    work.fails = {7: 99}
    statuses = [run(work, max_retries=2).task.status for _ in range(3)]
    assert statuses == ["FAILED"] * 3
    outcome = run(work, max_retries=2)
    assert (outcome.task.status, outcome.need_a_person) == ("COMPLETED", ("000007",))
    assert calls(work.database) == ITEMS + 2
    with work.database.begin() as conn:
        assert sync_tasks.failure_rates(conn)["needs_a_person"].to_list() == [1]
        assert sync_tasks.retry_again(conn, "FINANCE_HISTORY") == 1
    work.fails = {}
    assert run(work).task.status == "COMPLETED"
    assert work.remaining() == []


def test_an_item_that_was_done_some_other_way_is_resolved_without_a_call(work: CountedWork) -> None:
    work.fails = {7: 1}
    run(work)
    with work.database.begin() as conn:
        conn.execute(sa.text("INSERT INTO got VALUES (7, 0)"))
    before = calls(work.database)
    assert run(work).task.status == "COMPLETED"
    assert calls(work.database) == before
    with work.database.read() as conn:
        assert sync_tasks.open_failures(conn) == []


def test_what_is_late_is_no_failure_and_keeps_the_task_open(work: CountedWork) -> None:
    work.late = frozenset({22})
    for _ in range(6):
        outcome = run(work)
        assert (outcome.task.status, outcome.failed, outcome.postponed) == ("FAILED", (), ("000022",))
        assert outcome.task.error_message == "1 not there yet"
    with work.database.read() as conn:
        assert sync_tasks.open_failures(conn) == []
    work.late = frozenset()
    assert run(work).task.status == "COMPLETED"


def test_a_list_of_a_part_leaves_the_records_of_the_rest_alone(work: CountedWork) -> None:
    work.fails = {7: 1, 19: 1}
    run(work)
    with work.database.begin() as conn:
        conn.execute(sa.text("DELETE FROM wanted WHERE item > 10"))
    before = calls(work.database)
    outcome = run_history_sync(
        work.database, work, now=lambda: NOW, config={"upto": 10}, settled=lambda codes: set(codes) - {"000019"}
    )
    assert outcome.task.status == "COMPLETED"
    assert calls(work.database) == before + 1
    with work.database.read() as conn:
        assert [record.third_code for record in sync_tasks.open_failures(conn)] == ["000019"]


def test_a_refusal_that_ends_everything_leaves_a_task_that_is_gone_on_with(work: CountedWork) -> None:
    work.error = RateLimited(source="tushare", api="fina_indicator", reason="day", period="day")
    outcome = run(work)
    assert isinstance(outcome.stopped_by, RateLimited)
    assert (outcome.task.status, outcome.task.current_offset) == ("FAILED", 0)
    assert outcome.task.error_message == str(work.error)
    assert outcome.failed == ()
    work.error = None
    again = run(work)
    assert (again.task.id, again.task.status, again.task.error_message) == (outcome.task.id, "COMPLETED", None)


def test_data_and_progress_are_one_transaction(work: CountedWork) -> None:
    def break_down(items: object) -> None:
        if 7 in items:  # pyright: ignore[reportOperatorIssue]
            raise ZeroDivisionError

    work.before_commit = break_down
    with pytest.raises(ZeroDivisionError):
        run(work)
    task = newest(work.database)
    assert (task.status, task.current_offset, task.total_processed) == ("FAILED", 5, 15)
    assert numbers(work.database, "SELECT count(DISTINCT item) FROM got") == [5]


def test_a_stop_pauses_between_batches_and_the_next_run_goes_on_with_the_same_task(work: CountedWork) -> None:
    stop = threading.Event()
    work.before_commit = lambda items: stop.set() if 7 in items else None
    outcome = run(work, stop=stop)
    assert (outcome.task.status, outcome.task.current_offset) == ("PAUSED", 10)
    assert isinstance(outcome.stopped_by, Stopped)
    again = run(work)
    assert (again.task.id, again.task.status, again.task.attempts) == (outcome.task.id, "COMPLETED", 2)
    assert calls(work.database) == ITEMS


def test_ctrl_c_inside_a_batch_pauses_and_is_passed_on(work: CountedWork) -> None:
    def ctrl_c(items: object) -> None:
        if 7 in items:  # pyright: ignore[reportOperatorIssue]
            raise KeyboardInterrupt

    work.before_commit = ctrl_c
    with pytest.raises(KeyboardInterrupt):
        run(work)
    assert (newest(work.database).status, newest(work.database).current_offset) == ("PAUSED", 5)


def test_another_config_is_another_task_and_both_are_finished_in_their_turn(work: CountedWork) -> None:
    work.error = RateLimited(source="tushare", api="fina_indicator", reason="day", period="day")
    first = run(work, config={"start": "20200101"}).task
    second = run(work, config={"start": "20100101"}).task
    assert second.id != first.id
    work.error = None
    assert run(work, config={"start": "20200101"}).task.id == first.id
    assert run(work, config={"start": "20100101"}).task.id == second.id


def test_a_second_run_of_one_type_is_refused_while_another_type_runs(work: CountedWork) -> None:
    refused: list[BaseException] = []

    def try_again(_: object) -> None:
        work.before_commit = None
        assert sync_tasks.is_held(work.database, "FINANCE_HISTORY")
        with pytest.raises(AlreadyRunning) as caught:
            run(CountedWork(work.database))
        refused.append(caught.value)
        with sync_tasks.held(work.database, "DAILY_HISTORY"):
            pass

    work.before_commit = try_again
    assert run(work).task.status == "COMPLETED"
    assert exit_code(refused[0]) == 75  # pyright: ignore[reportArgumentType]
    assert not sync_tasks.is_held(work.database, "FINANCE_HISTORY")


def test_the_database_itself_refuses_two_running_tasks_of_one_type(work: CountedWork) -> None:
    insert = (
        "INSERT INTO sync_tasks"
        " (job_type, status, current_offset, batch_size, total_processed, attempts, started_at, updated_at, config)"
        " VALUES ('FINANCE_HISTORY', 'RUNNING', 0, 5, 0, 1, now(), now(), '{}')"
    )
    with work.database.begin() as conn:
        conn.execute(sa.text(insert))
    with pytest.raises(IntegrityError), work.database.begin() as conn:
        conn.execute(sa.text(insert))


def test_who_lost_its_hold_can_commit_nothing_more(work: CountedWork) -> None:
    def lose_the_hold(_: object) -> None:
        work.before_commit = None
        with work.database.dedicated() as connection:
            connection.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'")
        with sync_tasks.held(work.database, "FINANCE_HISTORY"), work.database.begin() as conn:
            sync_tasks.take(conn, "FINANCE_HISTORY", batch_size=5, config={}, now=NOW)

    work.before_commit = lose_the_hold
    with pytest.raises(TaskLost):
        run(work)
    assert numbers(work.database, "SELECT count(*) FROM got") == [0]
    assert run(work).task.status == "COMPLETED"


@pytest.fixture(scope="module")
def shared(server: Server, migrated_template: str) -> Iterator[Database]:
    """One store for all examples of this file."""
    with own_database(server, migrated_template) as url:
        database = Database(url)
        make_tables(database, 12)
        yield database
        database.close()


@settings(max_examples=20)
@given(
    fails=st.dictionaries(st.integers(0, 11), st.integers(1, 5)),
    batch_size=st.integers(1, 13),
    max_retries=st.integers(0, 3),
)
def test_whatever_fails_in_whatever_order_everything_is_done_or_waits_for_a_person(
    shared: Database, fails: dict[int, int], batch_size: int, max_retries: int
) -> None:
    with shared.begin() as conn:
        conn.execute(sa.text("TRUNCATE got, called, sync_tasks, sync_failure_records"))
    work = CountedWork(shared, fails=dict(fails))
    outcomes: list[SyncOutcome] = []
    while not outcomes or outcomes[-1].task.status != "COMPLETED":
        outcomes.append(run(work, batch_size=batch_size, max_retries=max_retries))
        task = outcomes[-1].task
        done = numbers(shared, "SELECT count(DISTINCT item) FROM got")[0]
        assert (task.current_offset, task.total_processed) == (done, ROWS_PER_ITEM * done)
        assert len(outcomes) <= max_retries + 2
    hopeless = [item for item, times in sorted(fails.items()) if times > max_retries]
    assert len({outcome.task.id for outcome in outcomes}) == 1
    assert [int(code) for code in sorted(outcomes[-1].need_a_person)] == hopeless
    assert work.remaining() == hopeless
    made = Counter(numbers(shared, "SELECT item FROM called"))
    assert made == {
        item: min(fails.get(item, 0), max_retries + 1) + (fails.get(item, 0) <= max_retries) for item in range(12)
    }


@posix
@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_complete_and_wastes_at_most_a_batch_each_time(
    database_url: str, database: Database, process: Start
) -> None:
    items, batch_size, kills = 150, 10, 6
    make_tables(database, items)
    chance = random.Random(20260302)  # noqa: S311  repeatable, no secret
    for _ in range(kills):
        runner = process(RUNNER, database_url, str(batch_size), "0.01")
        assert runner.line() == "started"
        wanted, until = calls(database) + chance.randint(1, 22), time.monotonic() + 60
        while calls(database) < wanted and runner.popen.poll() is None:
            assert time.monotonic() < until
            time.sleep(chance.uniform(0.0, 0.02))
        runner.kill()
        task = newest(database)
        done = numbers(
            database, "SELECT count(*) FROM (SELECT item FROM got GROUP BY item HAVING count(*) = 3) AS whole"
        )
        assert [task.current_offset, task.total_processed] == [done[0], 3 * done[0]]
    last = process(RUNNER, database_url, str(batch_size), "0")
    said = [last.line()]
    while said[-1] not in {"COMPLETED", "FAILED", "PAUSED"}:
        said.append(last.line())
    assert said[-1] == "COMPLETED"
    task = newest(database)
    assert (task.attempts, task.current_offset, task.total_processed) == (kills + 1, items, 3 * items)
    wasted = calls(database) - items
    print(f"{kills} kills, {wasted} calls wasted of {items}")  # noqa: T201  the drill's figures
    assert wasted <= kills * batch_size


@posix
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_pauses_a_process_and_the_next_one_goes_on(
    database_url: str, database: Database, process: Start, sign: signal.Signals
) -> None:
    make_tables(database, 40)
    runner = process(RUNNER, database_url, "4", "0.05")
    until = time.monotonic() + 60
    while calls(database) < 6:
        assert time.monotonic() < until
        time.sleep(0.01)
    runner.popen.send_signal(sign)
    runner.popen.wait(30)
    task = newest(database)
    assert task.status == "PAUSED"
    assert 0 < task.current_offset < 40
    outcome = run(CountedWork(database))
    assert (outcome.task.id, outcome.task.status) == (task.id, "COMPLETED")
