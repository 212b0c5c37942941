"""The pool's laws, on a far end that counts its own sessions."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from stock_assets.domain.errors import SlotsTaken, SourceUnavailable, StoreUnavailable
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.sources.baostock.client import connector
from stock_assets.sources.baostock.pool import BaoStockPool
from stock_assets.sources.meter import metering
from stock_assets_tests.sources.processes import CountedSlots, ended_well
from stock_assets_tests.sources.scripted_server import ScriptedServer, Sent, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stock_assets.simulator.market import SimulatedMarket
    from stock_assets.sources.baostock.session import BaoStockSession

DATES = {"start_date": "2024-01-01", "end_date": "2024-01-10"}


class Clock:
    """Time that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def far_end(market: SimulatedMarket) -> Iterator[BaoStockServer]:
    """A simulated source."""
    with BaoStockServer(market) as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    """Time that stands still until the test moves it."""
    return Clock()


@pytest.fixture
def pool_of(far_end: BaoStockServer, clock: Clock) -> Iterator[Callable[..., BaoStockPool]]:
    """Return a function that makes a pool on the far end; all are closed after the test."""
    pools: list[BaoStockPool] = []

    def make(**options: Any) -> BaoStockPool:  # noqa: ANN401 - handed on as they are
        connect = connector(host=far_end.host, port=far_end.port, timeout_seconds=0.5, clock=clock)
        settings: dict[str, Any] = {"timeout_seconds": 0.3, "clock": clock, **options}
        pool = BaoStockPool(connect, **settings)
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        pool.close()


def settles(is_so: Callable[[], bool], seconds: float = 2.0) -> bool:
    """Return whether something becomes true in time; the far end learns of closed connections a moment later."""
    until = time.monotonic() + seconds
    while not is_so() and time.monotonic() < until:
        time.sleep(0.005)
    return is_so()


def ask(session: BaoStockSession) -> int:
    return len(session.call("query_trade_dates", **DATES).rows)


def test_the_first_session_is_made_at_once_and_kept(
    pool_of: Callable[..., BaoStockPool], far_end: BaoStockServer
) -> None:
    pool = pool_of(timeout_seconds=30.0)
    started = time.monotonic()
    with metering() as meter:
        for _ in range(3):
            with pool.session() as session:
                assert ask(session) == 10
    assert time.monotonic() - started < 1.0
    assert far_end.logins == 1
    assert meter.requests == 4
    assert meter.wait_seconds < 0.1


def test_below_the_cap_nobody_waits(pool_of: Callable[..., BaoStockPool], far_end: BaoStockServer) -> None:
    pool = pool_of(size=3, timeout_seconds=0.0)
    with pool.session() as one, pool.session() as two, pool.session() as three:
        assert len({id(session) for session in (one, two, three)}) == 3
        assert far_end.open_sessions == 3


def test_at_the_cap_waiting_ends_with_an_error_in_time(pool_of: Callable[..., BaoStockPool]) -> None:
    pool = pool_of(timeout_seconds=0.15)
    with pool.session():
        started = time.monotonic()
        with pytest.raises(SlotsTaken) as caught, metering() as meter, pool.session():
            pass
        assert 0.1 < time.monotonic() - started < 0.6
        assert meter.wait_seconds > 0.1
        assert caught.value.facts["limit"] == 1
        assert repr(pool) == "<BaoStockPool 1 in use, 0 idle, cap 1>"
    assert repr(pool) == "<BaoStockPool 0 in use, 1 idle, cap 1>"


def test_a_waiting_thread_gets_the_session_that_comes_back(pool_of: Callable[..., BaoStockPool]) -> None:
    pool = pool_of(timeout_seconds=3.0)
    got: list[int] = []

    def work() -> None:
        with pool.session() as session:
            got.append(id(session))

    with pool.session() as session:
        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(0.05)
        assert got == []
    thread.join(1.0)
    assert got == [id(session)]
    thread.join()


def test_64_threads_never_open_more_than_4_sessions(
    pool_of: Callable[..., BaoStockPool], far_end: BaoStockServer
) -> None:
    pool = pool_of(size=4, timeout_seconds=20.0)
    far_end.latency_seconds = 0.001
    answers: list[int] = []

    def work(number: int) -> None:
        for turn in range(3):
            try:
                with pool.session(is_fresh=(number + turn) % 9 == 0) as session:
                    answers.append(ask(session))
                    if (number + turn) % 7 == 0:
                        raise InterruptedError  # noqa: TRY301 - the block of a lent session ends here
            except InterruptedError:
                pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [10] * 192
    assert far_end.max_open_sessions == 4
    assert repr(pool).startswith("<BaoStockPool 0 in use, ")
    pool.close()
    assert settles(lambda: far_end.open_sessions == 0)


def test_a_session_that_is_being_closed_still_counts() -> None:
    slow_logout = Sent(plain("03", "0", "success", "logout", "anonymous", "20260422163818112"), pause=0.2)
    with ScriptedServer({"logout": slow_logout}) as far_end:
        pool = BaoStockPool(connector(host=far_end.host, port=far_end.port, timeout_seconds=2.0))

        def fail() -> None:
            with pytest.raises(ValueError, match="mine"), pool.session():
                raise ValueError("mine")

        thread = threading.Thread(target=fail)
        thread.start()
        assert settles(lambda: far_end.requests["logout"] == 1)
        assert repr(pool) == "<BaoStockPool 0 in use, 0 idle, cap 1>"
        with pool.session():
            assert settles(lambda: far_end.open_connections == 1, seconds=0.05)
        thread.join()
        pool.close()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_a_failed_block_costs_its_session_and_not_the_seat(
    pool_of: Callable[..., BaoStockPool], far_end: BaoStockServer, error: type[BaseException]
) -> None:
    pool = pool_of()
    for _ in range(3):
        with pytest.raises(error), pool.session() as session:  # noqa: PT012 - a lent session ends with the error
            ask(session)
            raise error
    assert repr(pool) == "<BaoStockPool 0 in use, 0 idle, cap 1>"
    with pool.session() as session:
        assert ask(session) == 10
    assert (far_end.logins, far_end.open_sessions) == (4, 1)


def test_a_task_killed_in_the_middle_of_an_answer_leaves_the_pool_usable(
    pool_of: Callable[..., BaoStockPool], far_end: BaoStockServer
) -> None:
    pool = pool_of()
    far_end.latency_seconds = 0.2
    inside = threading.Event()

    def work() -> None:
        with pytest.raises(SystemExit), pool.session() as session:  # noqa: PT012 - killed anywhere inside
            inside.set()
            while True:
                ask(session)

    victim = threading.Thread(target=work)
    victim.start()
    assert inside.wait(2)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(victim.ident or 0), ctypes.py_object(SystemExit))
    victim.join(5)
    assert not victim.is_alive()
    far_end.latency_seconds = 0.0
    with pool.session() as session:
        assert ask(session) == 10
    assert settles(lambda: far_end.open_sessions == 1)


def test_a_failed_login_gives_the_seat_back(pool_of: Callable[..., BaoStockPool], far_end: BaoStockServer) -> None:
    slots = CountedSlots(1)
    pool = pool_of(slots=slots)
    far_end.refuse_connections()
    for _ in range(2):
        with pytest.raises(SourceUnavailable), pool.session():
            pass
    assert slots.taken == 0
    far_end.accept_connections()
    with pool.session() as session:
        assert ask(session) == 10


def test_closing_leaves_no_session_and_waits_for_none(
    pool_of: Callable[..., BaoStockPool], far_end: BaoStockServer
) -> None:
    pool = pool_of(size=3)
    with pool.session():
        with pool.session(), pool.session():
            pass
        started = time.monotonic()
        pool.close()
        assert time.monotonic() - started < 0.5
        assert far_end.open_sessions == 1
        with pytest.raises(RuntimeError, match="closed"), pool.session():
            pass
    assert far_end.open_sessions == 0
    assert repr(pool) == "<BaoStockPool 0 in use, 0 idle, cap 3, closed>"


def test_an_old_session_is_replaced_by_age_since_login(
    pool_of: Callable[..., BaoStockPool], far_end: BaoStockServer, clock: Clock
) -> None:
    pool = pool_of(ttl_seconds=3600.0)
    for clock.now in (0.0, 1800.0, 3599.0):
        with pool.session() as session:
            ask(session)
    assert far_end.logins == 1
    clock.now = 3600.0
    with pool.session() as session:
        assert ask(session) == 10
    assert (far_end.logins, far_end.requests["logout"], far_end.max_open_sessions) == (2, 1, 1)


def test_a_session_that_the_server_ended_while_idle_is_replaced(
    pool_of: Callable[..., BaoStockPool], far_end: BaoStockServer
) -> None:
    pool = pool_of()
    with pool.session() as session:
        ask(session)
    port = far_end.port
    far_end.close()
    far_end.port = port
    far_end.open()
    with pool.session() as session:
        assert ask(session) == 10
    assert far_end.logins == 2


def test_a_fresh_session_is_one_that_nobody_used(pool_of: Callable[..., BaoStockPool], far_end: BaoStockServer) -> None:
    pool = pool_of()
    with pool.session() as used:
        pass
    with pool.session(is_fresh=True) as fresh:
        assert fresh is not used
    assert (far_end.logins, far_end.max_open_sessions) == (2, 1)


def test_slots_are_held_as_long_as_the_session_lives(pool_of: Callable[..., BaoStockPool], clock: Clock) -> None:
    slots = CountedSlots(1)
    first, second = pool_of(slots=slots, ttl_seconds=10.0), pool_of(slots=slots)
    with first.session():
        pass
    with pytest.raises(SlotsTaken), second.session():
        pass
    clock.now = 11.0
    with first.session():
        assert (slots.taken, slots.most) == (1, 1)
    first.release_idle()
    assert slots.taken == 0
    with second.session() as session:
        assert ask(session) == 10


def test_a_long_load_lets_others_in_between_calls(pool_of: Callable[..., BaoStockPool], clock: Clock) -> None:
    slots = CountedSlots(1)
    pool = pool_of(slots=slots, turn_seconds=10.0)
    slots.is_waited_for = True
    with pool.session():
        pass
    assert slots.taken == 1, "its turn has just begun"
    clock.now = 10.0
    with pool.session():
        assert slots.taken == 1
    assert slots.taken == 0
    slots.is_waited_for = False
    with pool.session():
        clock.now = 30.0
    assert slots.taken == 1, "nobody waits"


def test_a_store_that_cannot_be_asked_costs_the_session_and_not_the_seat(
    pool_of: Callable[..., BaoStockPool], clock: Clock
) -> None:
    slots = CountedSlots(1)
    pool = pool_of(slots=slots, turn_seconds=10.0)
    slots.error = StoreUnavailable(reason="gone")
    with pool.session():
        clock.now = 10.0
    assert (slots.taken, repr(pool)) == (0, "<BaoStockPool 0 in use, 0 idle, cap 1>")
    slots.error = None
    with pool.session() as session:
        assert ask(session) == 10


def test_a_wait_for_other_processes_is_told_and_ends(pool_of: Callable[..., BaoStockPool]) -> None:
    slots = CountedSlots(1)
    with slots.take("baostock", timeout_seconds=0), capture_logs() as lines:
        with pytest.raises(SlotsTaken), pool_of(slots=slots, slot_wait_seconds=100.0).session():
            pass
        with pytest.raises(SlotsTaken), pool_of(slots=slots, slot_wait_seconds=0.0).session():
            pass
    assert [(line["event"], line["at_most_seconds"]) for line in lines] == [("source.waiting", 97.0)]


def test_sessions_that_lay_idle_are_logged_out_at_the_next_use(
    pool_of: Callable[..., BaoStockPool], far_end: BaoStockServer, clock: Clock
) -> None:
    pool = pool_of(size=3, idle_seconds=60.0)
    with pool.session(), pool.session(), pool.session():
        pass
    clock.now = 61.0
    with pool.session() as session:
        assert ask(session) == 10
        assert far_end.open_sessions == 1
    assert repr(pool) == "<BaoStockPool 0 in use, 1 idle, cap 3>"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_starts_with_sessions_of_its_own(
    pool_of: Callable[..., BaoStockPool], far_end: BaoStockServer
) -> None:
    pool = pool_of(size=2)
    with pool.session() as session:
        pass
    child = os.fork()
    if child == 0:
        is_right = False
        try:
            with pool.session() as own:
                is_right = own is not session and ask(own) == 10
            pool.close()
        finally:
            # Whatever happened: the child must never go on as a second test run.
            os._exit(0 if is_right else 1)
    assert ended_well(child)
    assert (far_end.logins, far_end.requests["logout"]) == (2, 1)
    with pool.session() as same:
        assert same is session
        assert ask(same) == 10


def test_a_pool_needs_room_for_one() -> None:
    with pytest.raises(ValueError, match="room"):
        BaoStockPool(connector(), size=0)
