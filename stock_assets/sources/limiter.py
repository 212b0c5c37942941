"""Who may send a request, and when: the only room that waits.

`RateLimiter` keeps every interface of a source within its limit, over all processes that share a store, and learns from
what the source answers. `PacedLedger` is a slower pace by the user's wish, of this process alone. How the pace changes
is decided in `pacing`; what a refusal's text means is known to the source's client.
"""

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import structlog

from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.errors import PointsMissing, RateLimited, Stopped
from stock_assets.domain.pace import RateState, RefusalKind, Turn
from stock_assets.sources.base import RequestLedger, Sleep
from stock_assets.sources.pacing import Pace, healed, refused, succeeded

_log = structlog.get_logger(__name__)
# Short naps: on Windows, and in a thread that is not the main one, a long sleep hears nothing.
_NAP_SECONDS = 0.25
_WORTH_A_LINE_SECONDS = 10.0


class RateStore(Protocol):
    """Where the pace is kept, so that all threads and processes see one (see `domain.pace`)."""

    def reserve(self, source: str, api: str, *, interval_seconds: float, horizon_seconds: float) -> Turn:
        """Take the next free turn, or none where it is further ahead than `horizon_seconds`."""
        ...

    def look(self, source: str, api: str) -> Turn:
        """Return the state as it is now, without a slot."""
        ...

    def change(self, source: str, api: str, decide: Callable[[RateState, datetime], RateState]) -> RateState:
        """Replace the state by `decide(state, now)` while nobody else can change it, and return it."""
        ...


class RateLimiter:
    """The one limiter of a source's interfaces. Safe in threads; every process makes its own over the same store.

    `pace_of` says what settings allow an interface; `ledger` counts each request that may leave, and the refusals.
    Once `stop` is set, whoever waits gets `Stopped`. `sleep` and `monotonic` (seconds) are arguments for tests.
    """

    def __init__(  # noqa: PLR0913  (each has its default)
        self,
        store: RateStore,
        pace_of: Callable[[str], Pace],
        *,
        ledger: RequestLedger,
        stop: threading.Event | None = None,
        sleep: Sleep = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._pace_of = pace_of
        self._ledger = ledger
        self._stop = stop or threading.Event()
        self._sleep = sleep
        self._monotonic = monotonic
        self._last_seen: dict[tuple[str, str], RateState] = {}

    def before_request(self, source: str, api: str) -> None:
        """Wait for this request's turn and count it; the caller sends it at once when this returns.

        A minute's refusal is waited out. Errors: `RateLimited` while the interface is closed for its hour or day,
        `PointsMissing` for the rest of the day on which it was not permitted, `Stopped`, and those of the ledger.
        """
        pace = self._pace_of(api)
        is_counted = False
        while True:
            asked_at = self._monotonic()
            turn = self._store.reserve(
                source, api, interval_seconds=pace.interval_seconds, horizon_seconds=pace.horizon_seconds
            )
            self._last_seen[source, api] = turn.state
            if turn.slot is None:
                self._wait_for_a_slot(turn, pace)
                continue
            leave_by = self._wait_until(turn.slot, turn, asked_at, pace)
            if not is_counted:
                self._ledger.before_request(source, api)
                is_counted = True
            # Counting may have taken long, and calls that were held up together would leave together.
            if self._monotonic() <= leave_by:
                return

    def record_refusal(self, source: str, api: str, kind: RefusalKind, *, limit: int | None = None) -> None:
        """Learn from a refusal, for all processes; `limit` is the number of calls a minute that its text allows.

        `other` is an error that is no refusal: it slows an adaptive pace down and is not counted.
        """
        pace = self._pace_of(api)
        state = self._store.change(source, api, lambda state, now: refused(state, pace, now, kind, limit=limit))
        before = self._last_seen.get((source, api))
        self._last_seen[source, api] = state
        self._tell(before, state)
        if kind != "other":
            self._ledger.record_refusal(source, api)

    def record_success(self, source: str, api: str) -> None:
        """Learn from an answer, for all processes; nothing is asked of the store while the pace is the settings' own."""
        known = self._last_seen.get((source, api))
        if known is None or known.interval_seconds is None:
            return
        pace = self._pace_of(api)
        state = self._store.change(source, api, lambda state, now: succeeded(state, pace, now))
        self._last_seen[source, api] = state
        if state.interval_seconds is None:
            _log.info("limiter.recovered", source=source, api=api)

    def _wait_for_a_slot(self, turn: Turn, pace: Pace) -> None:
        """Wait until turns are given out again.

        Errors: as of `before_request`.
        """
        _refuse_closed(turn)
        state = turn.state
        if healed(state, pace, turn.now) is not state:
            state = self._store.change(state.source, state.api, lambda state, now: healed(state, pace, now))
        ahead = (state.next_at - turn.now).total_seconds() - pace.horizon_seconds
        if ahead > _WORTH_A_LINE_SECONDS:
            _log.info("limiter.waiting", source=state.source, api=state.api, at_most_seconds=round(ahead, 1))
        # At least a little: what is ahead may have been a moment ago.
        self._nap(max(ahead, pace.grace_seconds))

    def _wait_until(self, slot: datetime, turn: Turn, asked_at: float, pace: Pace) -> float:
        """Wait for the slot and return until when, on this process's clock, the request may leave.

        A moment in the past means that the slot was missed, or that the interface was closed meanwhile: it stays unused.
        Errors: as of `before_request`.
        """
        while turn.now < slot:
            self._nap((slot - turn.now).total_seconds())
            # The store's clock is the one that counts, and others may have been refused.
            asked_at = self._monotonic()
            turn = self._store.look(turn.state.source, turn.state.api)
        _refuse_closed(turn)
        if turn.state.is_closed(turn.now):
            return float("-inf")
        return asked_at + (slot - turn.now).total_seconds() + pace.grace_seconds

    def _nap(self, seconds: float) -> None:
        pause(seconds, stop=self._stop, sleep=self._sleep, monotonic=self._monotonic)

    def _tell(self, before: RateState | None, state: RateState) -> None:
        facts = {"source": state.source, "api": state.api}
        if state.closed_until is not None and (before is None or before.closed_until != state.closed_until):
            until = f"{state.closed_until.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}"
            _log.warning("limiter.closed", **facts, reason=state.closed_reason, until=until)
        if state.interval_seconds is not None and (before is None or before.interval_seconds != state.interval_seconds):
            _log.warning("limiter.slowed", **facts, calls_a_minute=round(60 / state.interval_seconds, 1))


def pause(
    seconds: float,
    *,
    stop: threading.Event,
    sleep: Sleep = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Wait so long.

    Errors: `Stopped` as soon as `stop` is set.
    """
    until = monotonic() + seconds
    while True:
        if stop.is_set():
            raise Stopped
        rest = until - monotonic()
        if rest <= 0:
            return
        sleep(min(rest, _NAP_SECONDS))


def _refuse_closed(turn: Turn) -> None:
    """Raise when the interface is closed for longer than one waits."""
    state = turn.state
    if not state.is_closed(turn.now) or state.closed_until is None or state.closed_reason == "minute":
        return
    until = f"{state.closed_until.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
    if state.closed_reason == "permission":
        raise PointsMissing(source=state.source, api=state.api, reason=f"refused before, not asked again until {until}")
    raise RateLimited(
        source=state.source, api=state.api, period=state.closed_reason, until=until, reason=f"not called before {until}"
    )


class PacedLedger:
    """A `RequestLedger` that lets requests pass no faster than `per_minute`, in the order in which they come.

    Only this process is paced; the count before the request and the ban stay the business of the ledger behind it.
    """

    def __init__(
        self,
        ledger: RequestLedger,
        *,
        per_minute: float,
        sleep: Sleep = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._spacing_seconds = 60.0 / per_minute
        self._sleep = sleep
        self._clock = clock
        self._lock = threading.Lock()
        self._next_at = float("-inf")

    def before_request(self, source: str, api: str) -> None:
        """Wait for this request's turn, then count it."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next_at)
            self._next_at = turn + self._spacing_seconds
        if turn > now:
            self._sleep(turn - now)
        self._ledger.before_request(source, api)

    def record_refusal(self, source: str, api: str) -> None:
        """Count one refusal."""
        self._ledger.record_refusal(source, api)

    def record_ban(self, source: str, until: datetime) -> None:
        """Remember that nothing may be sent before `until`."""
        self._ledger.record_ban(source, until)

    def bans_this_year(self, source: str) -> int:
        """Return how often the source has banned us this year."""
        return self._ledger.bans_this_year(source)
