"""How fast one interface may be called, and how refusals, errors and successes change that. Pure: time is an argument.

Calls are spaced evenly, at `window x (1 + guard) / limit`. A call leaves at its turn or at most the grace after it, and
arrives with some jitter; as long as both together stay within the guard, no window of any position holds more than
`limit` arrivals, and 97 in 100 of the limit can be used. A burst at the start would gain nothing and risk a window.
"""

import math
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta

from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.pace import Closing, RateState, RefusalKind, Turn

GUARD = 0.03
"""Part of the window by which it is lengthened: lateness and jitter up to this much cannot overfill a window."""

_GRACE = 0.01
_AFTER_REFUSAL = 0.9
_LOWER, _RAISE, _LEAST = 0.5, 0.02, 0.1
_NEARLY = 1 + 1e-9
_FORGET_AFTER = timedelta(hours=24)
_HOUR = timedelta(hours=1)
# No closing is longer; one that is was written by a clock that has since been put back.
_LONGEST_CLOSING = timedelta(hours=25)


@dataclass(frozen=True, slots=True)
class Pace:
    """What settings allow to one interface: `limit` calls in any `window_seconds`, `least_interval_seconds` apart.

    An adaptive pace also gives way to errors that are no refusals: half as fast after each, a fiftieth of the whole
    faster after each success, never below a tenth.
    """

    limit: int
    window_seconds: float = 60.0
    least_interval_seconds: float = 0.0
    is_adaptive: bool = True

    @property
    def interval_seconds(self) -> float:
        """Seconds between two calls."""
        return max(self.least_interval_seconds, self.interval_of(self.limit))

    @property
    def grace_seconds(self) -> float:
        """How late after its turn a call may still leave; a later one takes a new turn."""
        return self.window_seconds * _GRACE

    @property
    def horizon_seconds(self) -> float:
        """How far ahead turns are given out; beyond it a caller waits without one."""
        return self.window_seconds

    def interval_of(self, calls: float) -> float:
        """Return the spacing at which no window holds more than `calls`."""
        return self.window_seconds * (1 + GUARD) / calls

    def calls_at(self, interval_seconds: float) -> float:
        """Return how many calls a window may hold at a spacing: the inverse of `interval_of`."""
        return self.window_seconds * (1 + GUARD) / interval_seconds


def reserved(state: RateState | None, pace: Pace, now: datetime, *, source: str, api: str) -> Turn:
    """Return the next free turn and the state in which it is taken; `state` is None before the first call.

    No turn is given beyond the horizon. This is what the store's statement does.
    """
    before = state or RateState(source=source, api=api, next_at=now)
    if before.next_at > now + timedelta(seconds=pace.horizon_seconds):
        return Turn(None, now, before)
    slot = max(before.next_at, now)
    spacing = max(pace.interval_seconds, before.interval_seconds or 0.0)
    return Turn(slot, now, replace(before, next_at=slot + timedelta(seconds=spacing)))


def refused(state: RateState, pace: Pace, now: datetime, kind: RefusalKind, *, limit: int | None = None) -> RateState:
    """Return the state after a refusal; `limit` is how many calls a window the source says it allows.

    A minute's refusal closes a whole window, then at most nine tenths of what was in force, or of what the source says,
    are used; refusals that arrive while it is closed answer calls that had already left and only lengthen it. Hours close
    for an hour; days and permissions until midnight in Shanghai.
    """
    if kind == "other":
        return _slower(state, pace, now) if pace.is_adaptive else state
    until = _closed_until(pace, now, kind)
    closed = _longer(state, kind, until, now)
    if kind != "minute":
        return closed
    told = math.inf if limit is None or limit <= 0 else limit
    if state.is_closed(now):
        known = math.inf if state.learned_limit is None else state.learned_limit
        learned = min(known, told)
    else:
        learned = min(pace.calls_at(_interval(state, pace)), told)
    if learned < math.inf:
        closed = replace(closed, learned_limit=max(1, math.floor(learned)), refused_at=now)
    return replace(closed, interval_seconds=max(_interval(state, pace), _ceiling(closed, pace, now)))


def succeeded(state: RateState, pace: Pace, now: datetime) -> RateState:
    """Return the state after a success: a little faster if it was slowed; the same object where nothing changes.

    What a refusal taught is forgotten a day later.
    """
    if state.interval_seconds is None:
        return state
    ceiling = _ceiling(state, pace, now)
    is_old = state.refused_at is None or now - state.refused_at >= _FORGET_AFTER
    calls = pace.calls_at(state.interval_seconds) + _RAISE * pace.calls_at(ceiling)
    interval = max(pace.interval_of(calls), ceiling)
    if is_old and interval <= pace.interval_seconds * _NEARLY:
        return replace(state, interval_seconds=None, learned_limit=None, refused_at=None)
    if interval == state.interval_seconds:
        return state
    return replace(state, interval_seconds=interval)


def healed(state: RateState, pace: Pace, now: datetime) -> RateState:
    """Return the state without what only a clock that was put back can have written; the same object where all is well."""
    if state.closed_until is not None and state.closed_until > now + _LONGEST_CLOSING:
        state = replace(state, closed_until=None, closed_reason=None)
    spacing = max(pace.interval_seconds, state.interval_seconds or 0.0)
    # Another process may pace by other settings, hence the tenfold.
    furthest = now + timedelta(seconds=pace.horizon_seconds + 10 * spacing)
    if state.closed_until is not None:
        furthest = max(furthest, state.closed_until + timedelta(seconds=pace.horizon_seconds + 10 * spacing))
    if state.next_at <= furthest:
        return state
    return replace(state, next_at=now + timedelta(seconds=pace.window_seconds * (1 + GUARD)))


def _slower(state: RateState, pace: Pace, now: datetime) -> RateState:
    slowest = _ceiling(state, pace, now) / _LEAST
    return replace(state, interval_seconds=min(_interval(state, pace) / _LOWER, slowest))


def _ceiling(state: RateState, pace: Pace, now: datetime) -> float:
    """Return the spacing to which successes lead back."""
    if state.learned_limit is None or state.refused_at is None or now - state.refused_at >= _FORGET_AFTER:
        return pace.interval_seconds
    return max(pace.interval_seconds, pace.interval_of(_AFTER_REFUSAL * state.learned_limit))


def _interval(state: RateState, pace: Pace) -> float:
    return max(pace.interval_seconds, state.interval_seconds or 0.0)


def _closed_until(pace: Pace, now: datetime, kind: Closing) -> datetime:
    if kind == "minute":
        return now + timedelta(seconds=pace.window_seconds * (1 + GUARD))
    if kind == "hour":
        return now + _HOUR
    tomorrow = now.astimezone(SHANGHAI).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), tzinfo=SHANGHAI)


def _longer(state: RateState, kind: Closing, until: datetime, now: datetime) -> RateState:
    """Return the state closed until `until`, or for longer where it already was."""
    if state.closed_until is not None and state.is_closed(now) and state.closed_until >= until:
        return state
    return replace(state, closed_until=until, closed_reason=kind, next_at=max(state.next_at, until))
