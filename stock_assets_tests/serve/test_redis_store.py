"""A Redis behind the cache: what it spares, and that reads go on without it. The server is a real one."""

import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, cast

import pytest
import redis
from polars.testing import assert_frame_equal
from structlog.testing import capture_logs

from stock_assets.domain.errors import ConfigurationError
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.serve import Store, open_store
from stock_assets.serve.cache import Cache
from stock_assets.serve.cache_kinds import Kind
from stock_assets.serve.redis_store import RedisStore
from stock_assets.serve.stock_history import HistoryBytes, StockHistory, history_bytes
from stock_assets.storage import ledger
from stock_assets.storage.bulk_load import load
from stock_assets.wiring import Installation
from stock_assets_tests.assets.conftest import home, new_installation
from stock_assets_tests.serve.conftest import RedisServer
from stock_assets_tests.serve.made_up_loads import Clock, Loads
from stock_assets_tests.serve.test_cached_reads import CODES, DAYS, factor, line, reads_of
from stock_assets_tests.storage.made_up_rows import bars, frame_of

__all__ = ["home", "new_installation"]

Client: TypeAlias = Any

WORDS = Kind[str]("words", 60.0, len)


class Utf8:
    def pack(self, value: str) -> bytes:
        return value.encode()

    def unpack(self, data: bytes) -> str:
        return data.decode()


class OneProcess:
    """The cache of one process, before the same Redis and the same store as the others'."""

    def __init__(self, url: str, state: list[str]) -> None:
        self.clock = Clock()
        self.loads = Loads(lambda key: f"{key} of {state[0]}")
        self.redis = RedisStore(url, state=lambda: state[0], packing={"words": Utf8()}, clock=self.clock)
        self.cache = Cache(1_000_000, behind=self.redis)

    def get(self, key: str) -> str:
        return self.cache.get(WORDS, (key,), cast("Callable[[], str]", self.loads.of(key)))

    def close(self) -> None:
        self.cache.close()


@contextmanager
def processes(url: str, count: int = 2, state: list[str] | None = None) -> Generator[list[OneProcess]]:
    opened = [OneProcess(url, state or ["1"]) for _ in range(count)]
    try:
        yield opened
    finally:
        for process in opened:
            process.close()


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[Client]:
    with cast("Any", redis).Redis.from_url(redis_server.url) as client:
        yield client


def test_what_one_process_loaded_spares_the_others_the_load(redis_server: RedisServer) -> None:
    with processes(redis_server.url) as (first, second):
        assert [first.get("a"), second.get("a"), second.get("a")] == ["a of 1"] * 3
        assert (first.loads.counts, second.loads.counts) == ({"a": 1}, {})
        assert (second.cache.stats().behind_hits, second.cache.stats().hits) == (1, 1)


def test_a_value_of_redis_is_fresh_for_the_rest_of_its_time_only(redis_server: RedisServer, client: Client) -> None:
    kind = Kind[str]("words", 60.0, len, "hard")
    clock = Clock()
    behind = RedisStore(redis_server.url, state=lambda: "1", packing={"words": Utf8()})
    cache = Cache(1_000_000, behind=behind, clock=clock)
    client.set("stock_assets:1:1:words:a", b"from redis", px=20_000)
    assert cache.get(kind, ("a",), lambda: "loaded") == "from redis"
    client.delete("stock_assets:1:1:words:a")
    clock.pass_(19)
    assert cache.get(kind, ("a",), lambda: "loaded") == "from redis"
    clock.pass_(1.1)
    assert cache.get(kind, ("a",), lambda: "loaded") == "loaded"
    assert 59_000 < client.pttl("stock_assets:1:1:words:a") <= 60_000
    cache.close()


def test_a_value_of_another_state_of_the_store_is_not_found(redis_server: RedisServer) -> None:
    state = ["1"]
    with processes(redis_server.url, state=state) as (first, second):
        first.get("a")
        state[0] = "2"
        assert second.get("a") == "a of 2"


def test_what_is_invalidated_is_gone_for_all(redis_server: RedisServer, client: Client) -> None:
    with processes(redis_server.url) as (first, second):
        first.get("a")
        first.cache.invalidate(WORDS, ("a",))
        assert client.dbsize() == 0
        second.get("a")
        assert second.loads.counts == {"a": 1}


def test_a_load_under_way_when_its_key_is_invalidated_leaves_nothing_behind(
    redis_server: RedisServer, client: Client
) -> None:
    with processes(redis_server.url, 1) as (process,):

        def load() -> str:
            process.cache.invalidate(WORDS, ("a",))
            return "too old"

        assert process.cache.get(WORDS, ("a",), load) == "too old"
        assert client.dbsize() == 0
        assert process.get("a") == "a of 1"


@pytest.mark.parametrize("data", [b"\xff\xfe", b""])
def test_bytes_that_are_of_no_use_are_loaded_over(redis_server: RedisServer, client: Client, data: bytes) -> None:
    frames = StockHistory(bars(["600000.SH"], DAYS), ADJUST_FACTOR.empty())
    kind = Kind[StockHistory]("stock", 60.0, history_bytes)

    behind = RedisStore(redis_server.url, state=lambda: "1", packing={"stock": HistoryBytes()})
    cache = Cache(10_000_000, behind=behind)
    client.set("stock_assets:1:1:stock:a", data, px=60_000)
    assert cache.get(kind, ("a",), lambda: frames) is frames
    assert len(client.get("stock_assets:1:1:stock:a")) > 1000
    cache.close()


def test_reads_go_on_while_redis_is_down_with_one_warning_and_no_further_tries(redis_server: RedisServer) -> None:
    with processes(redis_server.url, 1) as (process,), capture_logs() as lines:
        process.get("a")
        redis_server.stop()
        assert [process.get(key) for key in "abcdef"] == [f"{key} of 1" for key in "abcdef"]
        assert process.redis.failures == 1
        process.clock.pass_(30)
        process.get("g")
        assert process.redis.failures == 2
        redis_server.start()
        process.clock.pass_(30)
        process.get("h")
        assert process.redis.failures == 2
        with processes(redis_server.url, 1) as (other,):
            other.get("h")
            assert not other.loads.counts
    told = [found for found in lines if found["event"] == "cache.redis_down"]
    assert [found["log_level"] for found in told] == ["warning"]
    assert "geheim" not in str(told)


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be stopped there and go on")
def test_a_redis_that_says_nothing_delays_one_read_by_half_a_second(redis_server: RedisServer) -> None:
    with processes(redis_server.url, 1) as (process,):
        process.get("a")
        with redis_server.silent():
            began = time.monotonic()
            for key in "bcdefgh":
                assert process.get(key) == f"{key} of 1"
            assert time.monotonic() - began < 2
            assert process.redis.failures == 1


def test_a_redis_that_is_full_is_done_without(redis_server: RedisServer, client: Client) -> None:
    client.config_set("maxmemory", "1")
    client.config_set("maxmemory-policy", "noeviction")
    with processes(redis_server.url, 1) as (process,):
        assert process.get("a") == "a of 1"
        assert process.redis.failures == 1


@pytest.mark.parametrize("url", ["http://geheim@host", "geheim", "redis://:geheim@host:port/0"])
def test_an_address_that_cannot_be_one_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="CACHE_REDIS_URL") as caught:
        RedisStore(url, state=str, packing={})
    assert "geheim" not in f"{caught.value}{caught.value.sentence('zh')}{caught.value.facts}"


def test_without_the_package_the_setting_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigurationError, match="uv sync --extra redis"):
        RedisStore("redis://host", state=str, packing={})


@pytest.fixture
def installation(
    new_installation: Callable[..., Installation], tmp_path: Path, redis_server: RedisServer
) -> Installation:
    installation = new_installation(
        STOCK_ASSETS_HOME=str(tmp_path),
        CACHE_CHECK_SECONDS="0",
        CACHE_REDIS_URL=redis_server.url,
        CACHE_WARM_STOCKS="0",
    )
    with installation.database.begin() as conn:
        load(conn, STOCK_DAILY, bars(CODES, DAYS))
        load(conn, ADJUST_FACTOR, frame_of(ADJUST_FACTOR, [factor("600000.SH", DAYS[2], 1.25)]))
        ledger.write_entry(conn, line(DAYS[0]))
    return installation


def asked_of(store: Store) -> list[Any]:
    return [
        store.bars("600000", adjust="hfq"),
        store.bars("000001", DAYS[1], DAYS[3], adjust="qfq", anchor=DAYS[2]),
        store.bars(None, DAYS[3], DAYS[3]),
        store.bars(None, DAYS[3], DAYS[3], adjust="qfq", anchor=DAYS[4]),
    ]


def test_stores_of_two_processes_share_their_answers_until_the_store_changes(installation: Installation) -> None:
    with open_store() as plain, open_store(cache=True) as first, open_store(cache=True) as second:
        expected = asked_of(plain)
        for store in (first, second):
            for found, wanted in zip(asked_of(store), expected, strict=True):
                assert_frame_equal(found, wanted, check_exact=True)
        assert reads_of(first).stats().behind_hits == 0
        assert reads_of(second).stats().behind_hits == 4
        with installation.database.begin() as conn:
            load(conn, STOCK_DAILY, bars(["600000.SH"], [DAYS[3]], close=12.25, high=12.5))
            ledger.write_entry(conn, line(DAYS[3]))
        expected = asked_of(plain)
        for store in (second, first):
            for found, wanted in zip(asked_of(store), expected, strict=True):
                assert_frame_equal(found, wanted, check_exact=True)
