"""The cache against a model that a reader can check by eye: any order of reading, waiting, failing and dropping."""

from collections import OrderedDict
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from stock_assets.serve.cache import Cache
from stock_assets.serve.cache_kinds import Kind
from stock_assets_tests.serve.made_up_loads import Clock, LaterPool

TTL, GRACE, RETRY = 10.0, 5.0, 10.0
KEYS = st.sampled_from("abcdef")
OVERHEAD = 512


@dataclass
class Held:
    version: int
    size: int
    loaded_at: float
    retry_at: float = 0.0


class CacheModel(RuleBasedStateMachine):
    """Versions count up with every load; a key's size is its own and may change."""

    @initialize(max_bytes=st.integers(600, 6000), is_soft=st.booleans())
    def begin(self, max_bytes: int, is_soft: bool) -> None:  # noqa: FBT001  Hypothesis passes it by name
        self.clock, self.pool = Clock(), LaterPool()
        self.max_bytes, self.grace = max_bytes, GRACE if is_soft else 0.0
        self.kind = Kind[tuple[int, int]]("k", TTL, lambda value: value[1], "soft" if is_soft else "hard", GRACE)
        self.cache = Cache(max_bytes, clock=self.clock, pool=self.pool)
        self.sizes = dict.fromkeys("abcdef", 100)
        self.version = 0
        self.loads = 0
        self.is_failing = False
        # The model: what is held, the longest unused first, and the refreshes that wait for their turn.
        self.held: OrderedDict[str, Held] = OrderedDict()
        self.queued: list[str] = []
        self.evictions = 0

    def load(self, key: str) -> tuple[int, int]:
        self.loads += 1
        if self.is_failing:
            raise ValueError(key)
        self.version += 1
        return self.version, self.sizes[key]

    def keep(self, key: str) -> None:
        """What the model does with a value that was just loaded."""
        size = self.sizes[key] + OVERHEAD
        self.held.pop(key, None)
        if size <= self.max_bytes:
            while sum(held.size for held in self.held.values()) + size > self.max_bytes:
                self.held.popitem(last=False)
                self.evictions += 1
            self.held[key] = Held(self.version, size, self.clock.now)

    @rule(key=KEYS)
    def read(self, key: str) -> None:
        held = self.held.get(key)
        age = 0.0 if held is None else self.clock.now - held.loaded_at
        loads = self.loads
        if held is not None and age < TTL + self.grace:
            self.held.move_to_end(key)
            assert self.cache.get(self.kind, key, lambda: self.load(key))[0] == held.version
            assert self.loads == loads
            if age >= TTL and key not in self.queued and self.clock.now >= held.retry_at:
                self.queued.append(key)
            return
        self.held.pop(key, None)
        if key in self.queued:
            self.queued.remove(key)
        try:
            version, _ = self.cache.get(self.kind, key, lambda: self.load(key))
        except ValueError:
            assert self.is_failing
        else:
            assert version == self.version
            self.keep(key)
        assert self.loads == loads + 1

    @rule()
    def refresh(self) -> None:
        loads, expected = self.loads, len(self.queued)
        first = self.version
        self.pool.run()
        assert self.loads - loads == expected
        for number, key in enumerate(self.queued, start=1):
            if self.is_failing:
                if key in self.held:
                    self.held[key].retry_at = self.clock.now + RETRY
            else:
                self.version = first + number
                self.keep(key)
        self.queued = []

    @rule(seconds=st.floats(0.5, 20))
    def wait(self, seconds: float) -> None:
        self.clock.pass_(seconds)

    @rule(key=KEYS, size=st.integers(0, 7000))
    def grow(self, key: str, size: int) -> None:
        self.sizes[key] = size

    @rule(is_failing=st.booleans())
    def break_or_mend(self, is_failing: bool) -> None:  # noqa: FBT001  as above
        self.is_failing = is_failing

    @rule(key=KEYS)
    def drop(self, key: str) -> None:
        self.cache.invalidate(self.kind, key)
        self.held.pop(key, None)
        if key in self.queued:
            self.queued.remove(key)

    @precondition(lambda self: not self.queued)
    @rule(key=KEYS)
    def prefetch(self, key: str) -> None:
        self.cache.prefetch(self.kind, key, lambda: self.load(key))
        held = self.held.get(key)
        if held is not None and self.clock.now - held.loaded_at >= TTL + self.grace:
            del self.held[key]
            held = None
        if held is None:
            self.queued.append(key)
        else:
            self.held.move_to_end(key)

    @invariant()
    def holds_what_the_model_holds_within_its_bytes(self) -> None:
        if not hasattr(self, "cache"):
            return
        stats = self.cache.stats()
        assert stats.bytes <= self.max_bytes
        assert stats.bytes == sum(held.size for held in self.held.values())
        assert stats.entries == len(self.held)
        assert stats.evictions == self.evictions
        names = [str(key) for _, key in self.cache.names()]
        assert sorted(names) == sorted([*self.held, *self.queued])

    def teardown(self) -> None:
        if hasattr(self, "cache"):
            self.cache.close()


TestCacheModel = CacheModel.TestCase
TestCacheModel.settings = settings(max_examples=200, stateful_step_count=40)
