"""The cache: who waits, who is served, what is loaded, and what is kept."""

import threading
import time
from collections.abc import Callable, Generator, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from structlog.testing import capture_logs

from stock_assets.serve.cache import Cache
from stock_assets.serve.cache_kinds import Expiry, Kind
from stock_assets_tests.serve.made_up_loads import Clock, LaterPool, Loads

TTL, GRACE = 60.0, 30.0


def kind_of(expiry: Expiry = "soft", size: int = 1000) -> Kind[object]:
    return Kind("things", TTL, lambda _value: size, expiry, stale_seconds=GRACE)


SOFT, HARD = kind_of("soft"), kind_of("hard")


@contextmanager
def open_cache(
    clock: Callable[[], float] = time.monotonic, max_bytes: int = 1_000_000, pool: LaterPool | None = None
) -> Generator[Cache]:
    cache = Cache(max_bytes, clock=clock, pool=pool)
    try:
        yield cache
    finally:
        cache.close()


def in_threads(count: int, work: Callable[[int], object], *, seconds: float = 30.0) -> list[object]:
    """Return what `count` threads got that all began at the same moment; an error of theirs is what they got."""
    barrier, got = threading.Barrier(count), [None] * count

    def run(number: int) -> None:
        barrier.wait()
        try:
            got[number] = work(number)  # pyright: ignore[reportArgumentType, reportCallIssue]
        except Exception as error:  # noqa: BLE001  it is what is looked at
            got[number] = error  # pyright: ignore[reportArgumentType, reportCallIssue]

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
        assert not thread.is_alive(), "a reader still waits"
    return list(got)


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def test_a_thousand_readers_of_one_missing_key_make_one_load() -> None:
    loads = Loads(lambda _key: time.sleep(0.2) or object())
    with open_cache() as cache:
        values = in_threads(1000, lambda _: cache.get(SOFT, "a", loads.of("a")))
        assert loads.counts == {"a": 1}
        assert len({id(value) for value in values}) == 1
        stats = cache.stats()
        assert (stats.misses + stats.hits, stats.loads, stats.entries) == (1000, 1, 1)


def test_a_thousand_readers_of_fifty_keys_make_one_load_each() -> None:
    loads = Loads(lambda key: time.sleep(0.02) or f"value of {key}")
    with open_cache() as cache:
        values = in_threads(1000, lambda number: cache.get(SOFT, number % 50, loads.of(number % 50)))
        assert values == [f"value of {number % 50}" for number in range(1000)]
        assert set(loads.counts.values()) == {1}
        assert len(loads.counts) == 50


def test_a_soft_value_is_served_while_one_refresh_runs_and_then_the_new_one() -> None:
    clock, pool = Clock(), LaterPool()
    loads = Loads(lambda key: f"{key} {len(pool.jobs)} {clock.now:.0f}")
    with open_cache(clock, pool=pool) as cache:
        old = cache.get(SOFT, "a", loads.of("a"))
        clock.pass_(TTL - 1)
        assert cache.get(SOFT, "a", loads.of("a")) == old
        assert not pool.jobs
        clock.pass_(1)
        assert [cache.get(SOFT, "a", loads.of("a")) for _ in range(5)] == [old] * 5
        assert len(pool.jobs) == 1
        assert cache.stats().queue_length == 1
        pool.run()
        assert cache.get(SOFT, "a", loads.of("a")) == f"a 0 {clock.now:.0f}"
        stats = cache.stats()
        assert (stats.hits, stats.stale_answers, stats.misses, stats.refreshes) == (2, 5, 1, 1)
        assert stats.hit_rate == pytest.approx(7 / 8)


def test_a_soft_value_is_not_served_for_longer_than_its_grace() -> None:
    clock, pool = Clock(), LaterPool()
    loads = Loads(lambda _key: clock.now)
    with open_cache(clock, pool=pool) as cache:
        old = cache.get(SOFT, "a", loads.of("a"))
        clock.pass_(TTL + GRACE - 0.1)
        assert cache.get(SOFT, "a", loads.of("a")) == old
        clock.pass_(0.1)
        # The refresh still stands in the queue: the reader does it, and the queue finds nothing to do.
        assert cache.get(SOFT, "a", loads.of("a")) == clock.now
        pool.run()
        assert loads.counts == {"a": 2}
        assert cache.stats().queue_length == 0


def test_a_hard_value_is_never_served_after_its_time() -> None:
    clock, pool = Clock(), LaterPool()
    loads = Loads(lambda _key: clock.now)
    with open_cache(clock, pool=pool) as cache:
        cache.get(HARD, "a", loads.of("a"))
        clock.pass_(TTL)
        assert cache.get(HARD, "a", loads.of("a")) == clock.now
        assert (cache.stats().misses, cache.stats().stale_answers, len(pool.jobs)) == (2, 0, 0)


def test_mass_expiry_makes_at_most_five_threads_and_one_refresh_per_key() -> None:
    clock = Clock()
    loads = Loads()
    with open_cache(clock) as cache:
        for key in range(200):
            cache.get(SOFT, key, loads.of(key))
        loads.threads.clear()
        loads.work = lambda key: time.sleep(0.005) or f"new {key}"
        clock.pass_(TTL)
        before = threading.active_count()
        values = in_threads(300, lambda _: [cache.get(SOFT, key, loads.of(key)) for key in range(200)])
        assert not any(isinstance(value, Exception) for value in values)
        wait_until(lambda: cache.stats().queue_length + cache.stats().refreshing == 0)
        assert set(loads.counts.values()) == {2}
        assert loads.most_of_a_key == 1
        assert len(loads.threads) <= 5
        assert all(name.startswith("stock-assets-refresh") for name in loads.threads)
        assert threading.active_count() - before <= 5
        assert cache.stats().misses == 200
        assert [cache.get(SOFT, key, loads.of(key)) for key in range(200)] == [f"new {key}" for key in range(200)]


def test_a_failed_load_is_told_to_all_who_wait_and_not_kept() -> None:
    problem = ValueError("no such thing")

    def fail(_key: Hashable) -> object:
        time.sleep(0.1)
        raise problem

    loads = Loads(fail)
    with open_cache() as cache:
        errors = in_threads(50, lambda _: cache.get(SOFT, "a", loads.of("a")))
        assert errors == [problem] * 50
        assert loads.counts == {"a": 1}
        loads.work = lambda _key: "it is back"
        assert cache.get(SOFT, "a", loads.of("a")) == "it is back"
        assert (cache.stats().load_failures, cache.stats().loads) == (1, 1)


def test_an_error_does_not_grow_with_those_who_are_told() -> None:
    def fail(_key: Hashable) -> object:
        time.sleep(0.1)
        raise ValueError

    with open_cache() as cache:
        errors = in_threads(200, lambda _: cache.get(SOFT, "a", Loads(fail).of("a")))
    assert isinstance(errors[0], ValueError)
    depth, trace = 0, errors[0].__traceback__
    while trace is not None:
        depth, trace = depth + 1, trace.tb_next
    assert depth < 20


def test_a_failed_refresh_keeps_the_old_value_and_is_not_tried_by_every_reader() -> None:
    clock, pool = Clock(), LaterPool()
    loads = Loads(lambda _key: "old")
    with open_cache(clock, pool=pool) as cache, capture_logs() as lines:
        cache.get(SOFT, "a", loads.of("a"))

        def fail(_key: Hashable) -> object:
            raise ValueError

        loads.work = fail
        clock.pass_(TTL)
        for _ in range(3):
            assert cache.get(SOFT, "a", loads.of("a")) == "old"
            pool.run()
        assert loads.counts == {"a": 2}
        assert (cache.stats().refresh_failures, cache.stats().refresh_failure_rate) == (1, 1.0)
        clock.pass_(10)
        cache.get(SOFT, "a", loads.of("a"))
        pool.run()
        assert loads.counts == {"a": 3}
    told = [line for line in lines if line["event"] == "cache.round"]
    assert [line["log_level"] for line in told] == ["warning", "warning"]
    assert isinstance(told[0]["problem"], ValueError)


def test_a_load_that_was_interrupted_is_taken_up_by_one_who_waits() -> None:
    has_begun, may_end = threading.Event(), threading.Event()

    def interrupted() -> object:
        has_begun.set()
        may_end.wait(10)
        raise KeyboardInterrupt

    loads = Loads()
    with open_cache() as cache, ThreadPoolExecutor(3) as threads:
        first = threads.submit(cache.get, SOFT, "a", interrupted)
        has_begun.wait(10)
        others = [threads.submit(cache.get, SOFT, "a", loads.of("a")) for _ in range(2)]
        wait_until(lambda: cache.stats().misses == 3)
        may_end.set()
        assert [other.result(10) for other in others] == ["value of a"] * 2
        assert isinstance(first.exception(10), KeyboardInterrupt)
    assert loads.counts == {"a": 1}


def test_who_asks_after_a_drop_never_gets_what_was_loaded_before_it() -> None:
    """A load under way when its key is dropped is for those who asked before; still only one runs at a time."""
    may_end, state = threading.Event(), ["old"]

    def read(_key: Hashable) -> object:
        seen = state[0]
        if seen == "old":
            may_end.wait(10)
        return seen

    loads = Loads(read)
    with open_cache() as cache, ThreadPoolExecutor(4) as threads:
        before = threads.submit(cache.get, SOFT, "a", loads.of("a"))
        wait_until(lambda: loads.counts["a"] == 1)
        state[0] = "new"
        cache.drop(cache.names())
        after = [threads.submit(cache.get, SOFT, "a", loads.of("a")) for _ in range(3)]
        wait_until(lambda: cache.stats().misses == 4)
        assert loads.counts == {"a": 1}
        may_end.set()
        assert before.result(10) == "old"
        assert [value.result(10) for value in after] == ["new"] * 3
        assert cache.get(SOFT, "a", loads.of("a")) == "new"
    assert (loads.counts["a"], loads.most_of_a_key) == (2, 1)


def test_a_queued_refresh_of_a_dropped_value_is_not_made() -> None:
    clock, pool = Clock(), LaterPool()
    loads = Loads()
    with open_cache(clock, pool=pool) as cache:
        cache.get(SOFT, "a", loads.of("a"))
        clock.pass_(TTL)
        cache.get(SOFT, "a", loads.of("a"))
        cache.invalidate(SOFT, "a")
        pool.run()
        assert loads.counts == {"a": 1}
        assert (cache.stats().entries, cache.stats().bytes, cache.stats().invalidations) == (0, 0, 1)


def test_the_longest_unused_goes_first_and_too_large_a_value_drives_nobody_out() -> None:
    loads = Loads()
    with open_cache(max_bytes=4000) as cache:
        for key in ("a", "b"):
            cache.get(SOFT, key, loads.of(key))
        cache.get(SOFT, "a", loads.of("a"))
        cache.get(SOFT, "c", loads.of("c"))
        assert {key for _, key in cache.names()} == {"a", "c"}
        assert cache.get(kind_of(size=4001), "giant", loads.of("giant")) == "value of giant"
        assert {key for _, key in cache.names()} == {"a", "c"}
        stats = cache.stats()
        assert (stats.evictions, stats.too_large, stats.entries) == (1, 1, 2)


@pytest.mark.parametrize(("grown", "kept"), [(1400, {"a", "b", "c"}), (5000, {"b", "c"})])
def test_a_value_that_grew_makes_room_for_itself_only_and_one_that_grew_too_large_is_gone(
    grown: int, kept: set[str]
) -> None:
    clock, pool, size = Clock(), LaterPool(), [1000]
    kind = Kind[object]("things", TTL, lambda _value: size[0], "soft", stale_seconds=GRACE)
    with open_cache(clock, 5000, pool) as cache:
        for key in ("a", "b", "c"):
            cache.get(kind, key, object)
        clock.pass_(TTL)
        size[0] = grown
        cache.get(kind, "a", object)
        pool.run()
        assert {key for _, key in cache.names()} == kept
        assert cache.stats().evictions == 0


def test_kinds_do_not_see_each_other() -> None:
    other = Kind[object]("others", TTL, lambda _value: 1)
    with open_cache() as cache:
        assert cache.get(SOFT, "a", lambda: 1) == 1
        assert cache.get(other, "a", lambda: 2) == 2


def test_what_is_prefetched_is_there_and_a_reader_does_not_wait_behind_the_queue() -> None:
    pool, loads = LaterPool(), Loads()
    with open_cache(pool=pool) as cache:
        for key in ("a", "b", "a"):
            cache.prefetch(SOFT, key, loads.of(key))
        assert cache.get(SOFT, "b", loads.of("b")) == "value of b"
        pool.run()
        assert cache.get(SOFT, "a", loads.of("a")) == "value of a"
        cache.prefetch(SOFT, "a", loads.of("a"))
        pool.run()
        assert loads.counts == {"a": 1, "b": 1}


def test_closing_waits_for_the_refreshes_under_way_forgets_the_rest_and_ends_every_thread() -> None:
    clock, may_end = Clock(), threading.Event()
    loads = Loads()
    cache = Cache(1_000_000, clock=clock)
    before = threading.active_count()
    for key in range(20):
        cache.get(SOFT, key, loads.of(key))
    loads.work = lambda _key: may_end.wait(10)
    clock.pass_(TTL)
    for key in range(20):
        cache.get(SOFT, key, loads.of(key))
    wait_until(lambda: cache.stats().refreshing == 5)
    closing = threading.Thread(target=cache.close)
    closing.start()
    time.sleep(0.05)
    assert closing.is_alive()
    may_end.set()
    closing.join(10)
    assert not closing.is_alive()
    assert threading.active_count() == before
    assert sum(loads.counts.values()) == 25
    assert (cache.stats().entries, cache.stats().bytes) == (0, 0)


def test_a_closed_cache_loads_for_each_reader() -> None:
    loads = Loads()
    with open_cache() as cache:
        cache.close()
        assert in_threads(5, lambda _: cache.get(SOFT, "a", loads.of("a"))) == ["value of a"] * 5
        cache.prefetch(SOFT, "b", loads.of("b"))
    assert loads.counts == {"a": 5}


def test_readers_drops_and_closing_at_once_never_leave_anybody_waiting() -> None:
    kind = Kind[object]("things", 0.002, lambda _value: 300, "soft", stale_seconds=0.002)
    loads = Loads(lambda key: time.sleep(0.001) or key)
    cache = Cache(5000)

    def work(number: int) -> object:
        for turn in range(100):
            key = (number + turn) % 12
            assert cache.get(kind, key, loads.of(key)) == key
            if turn % 10 == 0:
                cache.drop(cache.names())
            if number == 0 and turn == 80:
                cache.close()
        return None

    assert in_threads(40, work, seconds=60) == [None] * 40
    cache.close()


def test_no_key_is_ever_loaded_twice_at_once() -> None:
    kind = Kind[object]("things", 0.002, lambda _value: 300, "soft", stale_seconds=0.004)
    loads = Loads(lambda key: time.sleep(0.001) or key)
    with open_cache(max_bytes=5000) as cache:

        def work(number: int) -> object:
            for turn in range(100):
                key = (number + turn) % 12
                cache.get(kind, key, loads.of(key))
                if turn % 10 == 0:
                    cache.drop(cache.names())
            return None

        assert in_threads(40, work, seconds=60) == [None] * 40
        assert cache.stats().refreshes > 0
    assert loads.most_of_a_key == 1


def test_a_round_of_refreshing_leaves_one_warning_and_one_line_with_hit_rate_and_time() -> None:
    clock, pool = Clock(), LaterPool()
    loads = Loads(lambda _key: clock.pass_(0.5))
    with open_cache(clock, pool=pool) as cache, capture_logs() as lines:
        for key in range(3):
            cache.get(SOFT, key, loads.of(key))
        clock.pass_(TTL)
        for key in (0, 1, 2, 0):
            cache.get(SOFT, key, loads.of(key))
        pool.run()
    stale, told = lines
    assert (stale["event"], stale["log_level"], stale["kind"]) == ("cache.stale", "warning", "things")
    assert (told["event"], told["log_level"]) == ("cache.round", "info")
    assert (told["refreshed"], told["failed"], told["stale_answers"]) == (3, 0, 4)
    assert (told["hit_rate"], told["total_seconds"]) == (1.0, 1.5)


def test_waits_for_the_lock_are_counted() -> None:
    with open_cache() as cache:
        cache.get(SOFT, "a", lambda: 1)
        with cache._lock:  # pyright: ignore[reportPrivateUsage]  nobody else can hold it for long
            reader = threading.Thread(target=lambda: cache.get(SOFT, "a", lambda: 1))
            reader.start()
            time.sleep(0.05)
        reader.join(10)
        stats = cache.stats()
    assert stats.lock_waits == 1
    assert stats.lock_wait_seconds == stats.longest_lock_wait_seconds > 0.03
