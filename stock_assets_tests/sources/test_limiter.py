"""The pace that the source allows, and the one that a person asked for; on a virtual clock."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from stock_assets.cli.exit_codes import exit_code
from stock_assets.domain.errors import PointsMissing, QuotaExhausted, RateLimited, Stopped
from stock_assets.domain.pace import RateState, RefusalKind, Turn
from stock_assets.sources.limiter import PacedLedger, RateLimiter
from stock_assets.sources.pacing import Pace, reserved

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
PACE = Pace(200, least_interval_seconds=0.35)


class Books:
    """A ledger that remembers what it was told; `first_takes` is what happens while it counts the first request."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self.first_takes: Callable[[], None] | None = None

    def before_request(self, source: str, api: str) -> None:
        self.told.append(("request", source, api))
        if self.first_takes is not None:
            self.first_takes()
            self.first_takes = None

    def record_refusal(self, source: str, api: str) -> None:
        self.told.append(("refusal", source, api))

    def record_ban(self, source: str, until: datetime) -> None:
        self.told.append(("ban", source, until))

    def bans_this_year(self, source: str) -> int:
        return len(source)


class VirtualStore:
    """A store and a clock that moves when somebody sleeps; `on_sleep` is what others do meanwhile."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.states: dict[tuple[str, str], RateState] = {}
        self.asked = 0
        self.on_sleep: Callable[[], None] | None = None

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        if self.on_sleep is not None:
            self.on_sleep()

    def reserve(self, source: str, api: str, *, interval_seconds: float, horizon_seconds: float) -> Turn:
        self.asked += 1
        assert (interval_seconds, horizon_seconds) == (0.35, 60.0)
        turn = reserved(self.states.get((source, api)), PACE, self.now(), source=source, api=api)
        self.states[source, api] = turn.state
        return turn

    def look(self, source: str, api: str) -> Turn:
        self.asked += 1
        return Turn(None, self.now(), self.states[source, api])

    def change(self, source: str, api: str, decide: Callable[[RateState, datetime], RateState]) -> RateState:
        self.asked += 1
        before = self.states.get((source, api)) or RateState(source=source, api=api, next_at=self.now())
        self.states[source, api] = decide(before, self.now())
        return self.states[source, api]


class Bench:
    """A limiter on a virtual store."""

    def __init__(self) -> None:
        self.store = VirtualStore()
        self.books = Books()
        self.stop = threading.Event()
        self.limiter = self.another()

    def another(self) -> RateLimiter:
        """Return the limiter of another process on the same store."""
        return RateLimiter(
            self.store,
            lambda _: PACE,
            ledger=self.books,
            stop=self.stop,
            sleep=self.store.sleep,
            monotonic=lambda: self.store.seconds,
        )

    def call(self) -> float:
        """Return when a call leaves."""
        self.limiter.before_request("tushare", "daily")
        return self.store.seconds


@pytest.fixture
def bench() -> Bench:
    """A limiter that has never been used."""
    return Bench()


def test_calls_of_one_interface_leave_evenly_and_each_is_counted(bench: Bench) -> None:
    assert [bench.call() for _ in range(4)] == pytest.approx([0.0, 0.35, 0.7, 1.05])
    assert bench.books.told == [("request", "tushare", "daily")] * 4


def test_a_call_that_needs_not_wait_asks_the_store_once_and_a_success_at_full_pace_never(bench: Bench) -> None:
    bench.call()
    bench.limiter.record_success("tushare", "daily")
    assert bench.store.asked == 1


def test_a_minute_refusal_is_waited_out_by_everybody(bench: Bench) -> None:
    bench.call()
    bench.limiter.record_refusal("tushare", "daily", "minute")
    other = bench.another()
    other.before_request("tushare", "daily")
    assert bench.store.seconds >= 60.0
    assert ("refusal", "tushare", "daily") in bench.books.told


def test_a_turn_given_before_a_refusal_is_not_used_after_it(bench: Bench) -> None:
    bench.call()
    other = bench.another()

    def others_are_refused() -> None:
        bench.store.on_sleep = None
        other.record_refusal("tushare", "daily", "minute")

    bench.store.on_sleep = others_are_refused
    assert bench.call() >= 60.0


@pytest.mark.parametrize(
    ("kind", "error", "code", "until"),
    [
        ("hour", RateLimited, 75, "2026-03-02 13:00"),
        ("day", RateLimited, 75, "2026-03-03 00:00"),
        ("permission", PointsMissing, 77, "2026-03-03 00:00"),
    ],
)
def test_a_longer_refusal_is_not_waited_out_and_names_its_end(
    bench: Bench, kind: RefusalKind, error: type[Exception], code: int, until: str
) -> None:
    bench.call()
    bench.limiter.record_refusal("tushare", "daily", kind)
    for _ in range(3):
        with pytest.raises(error, match=until) as caught:
            bench.call()
        assert exit_code(caught.value) == code  # pyright: ignore[reportArgumentType]
    assert bench.store.seconds == 0.0
    assert bench.books.told.count(("request", "tushare", "daily")) == 1
    bench.limiter.before_request("tushare", "adj_factor")


def test_who_already_waits_hears_of_a_refusal_for_the_day(bench: Bench) -> None:
    bench.call()

    def others_are_refused() -> None:
        bench.store.on_sleep = None
        bench.another().record_refusal("tushare", "daily", "day")

    bench.store.on_sleep = others_are_refused
    with pytest.raises(RateLimited):
        bench.call()
    assert bench.store.seconds < 1.0


def test_a_closed_interface_opens_when_its_window_ends(bench: Bench) -> None:
    bench.call()
    bench.limiter.record_refusal("tushare", "daily", "day")
    bench.store.seconds = 12 * 3600
    bench.call()
    bench.call()
    assert bench.books.told.count(("request", "tushare", "daily")) == 3


def test_a_missed_turn_stays_unused_and_its_call_is_counted_once(bench: Bench) -> None:
    def held_up() -> None:
        bench.store.seconds += 5.0

    bench.books.first_takes = held_up
    assert bench.call() == pytest.approx(5.0)
    assert bench.books.told == [("request", "tushare", "daily")]
    assert bench.store.states["tushare", "daily"].next_at == NOON + timedelta(seconds=5.35)


def test_a_queue_longer_than_the_horizon_waits_without_turns(bench: Bench) -> None:
    for _ in range(172):
        bench.store.reserve("tushare", "daily", interval_seconds=0.35, horizon_seconds=60.0)
    ahead = bench.store.states["tushare", "daily"].next_at
    assert ahead > NOON + timedelta(seconds=60.0)
    assert bench.call() == pytest.approx((ahead - NOON).total_seconds())


def test_a_quota_that_is_used_up_ends_the_call(bench: Bench) -> None:
    def used_up() -> None:
        raise QuotaExhausted(source="tushare", day="2026-03-02", limit=8000)

    bench.books.first_takes = used_up
    with pytest.raises(QuotaExhausted):
        bench.call()


def test_who_waits_ends_soon_after_it_is_told_to_stop(bench: Bench) -> None:
    bench.call()
    bench.limiter.record_refusal("tushare", "daily", "minute")
    bench.store.on_sleep = bench.stop.set
    with pytest.raises(Stopped) as caught:
        bench.call()
    assert bench.store.seconds <= 0.25
    assert exit_code(caught.value) == 130


def test_ctrl_c_while_waiting_is_not_swallowed(bench: Bench) -> None:
    bench.call()
    bench.limiter.record_refusal("tushare", "daily", "minute")

    def ctrl_c() -> None:
        raise KeyboardInterrupt

    bench.store.on_sleep = ctrl_c
    with pytest.raises(KeyboardInterrupt):
        bench.call()
    assert bench.store.seconds <= 0.25


def test_errors_slow_every_process_down_and_successes_bring_the_pace_back(bench: Bench) -> None:
    bench.call()
    bench.limiter.record_refusal("tushare", "daily", "other")
    other = bench.another()
    bench.call()
    other.before_request("tushare", "daily")
    assert bench.store.seconds == pytest.approx(0.35 + 0.7)
    for _ in range(25):
        other.record_success("tushare", "daily")
    assert bench.store.states["tushare", "daily"].interval_seconds is None
    assert ("refusal", "tushare", "daily") not in bench.books.told


def test_a_clock_that_was_put_back_by_a_year_costs_a_minute(bench: Bench) -> None:
    bench.call()
    ahead = RateState(source="tushare", api="daily", next_at=NOON + timedelta(days=365))
    bench.store.states["tushare", "daily"] = ahead
    assert bench.call() == pytest.approx(61.8, abs=1.0)


def test_requests_pass_no_faster_than_asked_and_are_counted_when_they_pass() -> None:
    now = 100.0
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        waits.append(seconds)
        now += seconds

    books = Books()
    paced = PacedLedger(books, per_minute=30, sleep=sleep, clock=lambda: now)
    for _ in range(4):
        paced.before_request("baostock", "login")
    assert waits == [2.0, 2.0, 2.0]
    assert len(books.told) == 4
    now += 60
    paced.before_request("baostock", "login")
    assert len(waits) == 3


def test_refusals_and_bans_reach_the_ledger_behind() -> None:
    books = Books()
    paced = PacedLedger(books, per_minute=1)
    until = datetime(2026, 1, 1, tzinfo=UTC)
    paced.record_refusal("baostock", "login")
    paced.record_ban("baostock", until)
    assert books.told == [("refusal", "baostock", "login"), ("ban", "baostock", until)]
    assert paced.bans_this_year("abc") == 3
