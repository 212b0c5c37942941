"""At most N holders at once, over threads and processes."""

import threading
import time
from collections.abc import Callable

import psycopg
import pytest
import sqlalchemy as sa

from stock_assets.domain.errors import SlotsTaken
from stock_assets.storage.database import Database
from stock_assets.storage.slots import AdvisorySlots
from stock_assets_tests.storage.conftest import Process

Start = Callable[..., Process]
HOLDER = """
import sys
from stock_assets.storage.database import Database
from stock_assets.storage.slots import AdvisorySlots
with AdvisorySlots(Database(sys.argv[1]), limits={"baostock": 1}).take("baostock", timeout_seconds=10):
    print("holds", flush=True)
    sys.stdin.read()
"""
# Each holder notes in a table how many hold while it does; more than the limit would show there.
WORKER = """
import sys, threading, time
import psycopg
from stock_assets.storage.database import Database
from stock_assets.storage.slots import AdvisorySlots
url = sys.argv[1]
slots = AdvisorySlots(Database(url), limits={"baostock": 2})
def work():
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(4):
            with slots.take("baostock", timeout_seconds=60):
                connection.execute("WITH me AS (UPDATE held SET n = n + 1 RETURNING n) INSERT INTO seen SELECT n FROM me")
                time.sleep(0.02)
                connection.execute("UPDATE held SET n = n - 1")
threads = [threading.Thread(target=work) for _ in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("done", flush=True)
"""


def take(database: Database, limit: int = 1, *, source: str = "baostock", timeout_seconds: float = 0.0) -> None:
    """Take a slot and give it back at once."""
    with AdvisorySlots(database, limits={source: limit}).take(source, timeout_seconds=timeout_seconds):
        pass


def test_no_more_than_the_limit_hold_a_slot_at_once(database: Database) -> None:
    slots = AdvisorySlots(database, limits={"baostock": 2})
    with slots.take("baostock", timeout_seconds=0) as first, slots.take("baostock", timeout_seconds=0) as second:
        assert {first, second} == {0, 1}
        with pytest.raises(SlotsTaken) as caught, slots.take("baostock", timeout_seconds=0.15):
            pass
    assert caught.value.facts["limit"] == 2
    assert caught.value.facts["source"] == "baostock"
    assert caught.value.facts["waited_seconds"] in {0.1, 0.2}
    take(database, 2)


def test_sources_have_slots_of_their_own(database: Database) -> None:
    with AdvisorySlots(database, limits={"baostock": 1}).take("baostock", timeout_seconds=0):
        take(database, source="tushare")


def test_a_slot_is_free_at_once_after_use_even_after_an_error(database: Database) -> None:
    slots = AdvisorySlots(database, limits={"baostock": 1})
    with database.dedicated() as other:
        for _ in range(20):
            with pytest.raises(ZeroDivisionError), slots.take("baostock", timeout_seconds=0):
                raise ZeroDivisionError
            locks = other.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
            assert locks == (0,)


def test_slots_leave_no_connection_behind(database: Database) -> None:
    for _ in range(5):
        take(database, timeout_seconds=1)
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    deadline = time.monotonic() + 5
    with database.dedicated() as connection:
        while connection.execute(query).fetchone() != (0,):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_waiting_taker_gets_the_slot_when_it_becomes_free(database: Database) -> None:
    slots = AdvisorySlots(database, limits={"baostock": 1})
    got = threading.Event()

    def wait() -> None:
        with slots.take("baostock", timeout_seconds=10):
            got.set()

    thread = threading.Thread(target=wait)
    with slots.take("baostock", timeout_seconds=0):
        thread.start()
        assert not got.wait(0.2)
    assert got.wait(1)
    thread.join(5)


def test_at_most_two_hold_across_three_processes(database_url: str, database: Database, process: Start) -> None:
    with database.begin() as connection:
        connection.execute(sa.text("CREATE TABLE held AS SELECT 0 AS n"))
        connection.execute(sa.text("CREATE TABLE seen (n int)"))
    workers = [process(WORKER, database_url) for _ in range(3)]
    assert [worker.line() for worker in workers] == ["done"] * 3
    with database.read() as connection:
        seen = connection.execute(sa.text("SELECT n, count(*) FROM seen GROUP BY n ORDER BY n")).all()
    assert sum(times for _, times in seen) == 24
    assert [n for n, _ in seen] == [1, 2]


def test_a_killed_holder_frees_its_slot_at_once(database_url: str, database: Database, process: Start) -> None:
    holder = process(HOLDER, database_url)
    assert holder.line() == "holds"
    with pytest.raises(SlotsTaken):
        take(database)
    holder.kill()
    begin = time.monotonic()
    take(database, timeout_seconds=5)
    assert time.monotonic() - begin < 1


def test_a_lost_connection_frees_the_slot_and_the_holder_still_ends_well(database: Database) -> None:
    with AdvisorySlots(database, limits={"baostock": 1}).take("baostock", timeout_seconds=0):
        with database.dedicated() as other:
            other.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'")
        take(database, timeout_seconds=1)


def test_a_slot_is_a_lock_that_an_administrator_can_see(database_url: str, database: Database) -> None:
    with (
        AdvisorySlots(database, limits={"baostock": 1}).take("baostock", timeout_seconds=0),
        psycopg.connect(database_url) as connection,
    ):
        rows = connection.execute("SELECT granted FROM pg_locks WHERE locktype = 'advisory'").fetchall()
    assert rows == [(True,)]


def test_a_holder_sees_that_somebody_waits(database: Database) -> None:
    slots = AdvisorySlots(database, limits={"baostock": 1, "tushare": 1})
    waiter = threading.Thread(target=take, args=(database,), kwargs={"timeout_seconds": 10})
    with slots.take("baostock", timeout_seconds=0):
        assert not slots.is_wanted("baostock")
        waiter.start()
        deadline = time.monotonic() + 5
        while not slots.is_wanted("baostock"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert not slots.is_wanted("tushare")
    waiter.join(5)
    assert not slots.is_wanted("baostock")


def test_a_killed_waiter_waits_no_more(database_url: str, database: Database, process: Start) -> None:
    slots = AdvisorySlots(database, limits={"baostock": 1})
    with slots.take("baostock", timeout_seconds=0):
        waiter = process(HOLDER, database_url)
        deadline = time.monotonic() + 10
        while not slots.is_wanted("baostock"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        waiter.kill()
        while slots.is_wanted("baostock"):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_who_lets_others_in_does_not_take_the_slot_back_first(database_url: str, database: Database) -> None:
    turns: list[str] = []

    def wait() -> None:
        with AdvisorySlots(Database(database_url), limits={"baostock": 1}).take("baostock", timeout_seconds=10):
            turns.append("the one who waited")

    slots = AdvisorySlots(database, limits={"baostock": 1})
    waiter = threading.Thread(target=wait)
    with slots.take("baostock", timeout_seconds=0):
        waiter.start()
        deadline = time.monotonic() + 5
        while not slots.is_wanted("baostock"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    with slots.take("baostock", timeout_seconds=10):
        turns.append("the one who let in")
    waiter.join(5)
    assert turns == ["the one who waited", "the one who let in"]
