"""The pace on a virtual clock, at the true minute: whatever callers do, no window is ever overfull."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.pace import RateState, RefusalKind
from stock_assets.sources.pacing import GUARD, Pace, healed, refused, reserved, succeeded
from stock_assets_tests.sources.windows import most_in_a_window

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
SOURCE, API = "tushare", "daily"
FULL = Pace(200)


def fresh(next_at: datetime = NOW, **values: object) -> RateState:
    return RateState(source=SOURCE, api=API, next_at=next_at, **values)  # pyright: ignore[reportArgumentType]


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def happened(state: RateState, now: datetime, event: str) -> RateState:
    if event == "success":
        return succeeded(state, FULL, now)
    return refused(state, FULL, now, event)  # pyright: ignore[reportArgumentType]


@given(
    st.integers(1, 40),
    st.one_of(st.just(0.0), st.floats(0.0, 2.0)),
    st.lists(
        # The pause before a caller comes, how late it leaves and how long the way is, and whether it dies first.
        st.tuples(
            st.one_of(st.just(0.0), st.floats(0.0, 90.0)), st.floats(0.0, 0.6), st.floats(0.0, 1.19), st.booleans()
        ),
        min_size=2,
        max_size=120,
    ),
)
def test_no_minute_anywhere_holds_more_arrivals_than_the_limit(
    limit: int, least_seconds: float, callers: list[tuple[float, float, float, bool]]
) -> None:
    pace = Pace(limit, least_interval_seconds=least_seconds)
    state: RateState | None = None
    clock, arrivals = 0.0, list[float]()
    for pause, late, way, dies in callers:
        clock += pause
        turn = reserved(state, pace, later(clock), source=SOURCE, api=API)
        state = turn.state
        if turn.slot is not None and not dies:
            arrivals.append((turn.slot - NOW).total_seconds() + late + way)
    assert most_in_a_window(arrivals, 60.0) <= limit


@settings(max_examples=25)
@given(st.integers(1, 300), st.randoms(use_true_random=False))
def test_callers_that_never_rest_use_more_than_95_of_100(limit: int, chance: object) -> None:
    random = chance.random  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    pace, state, clock, arrivals = Pace(limit), None, 0.0, list[float]()
    while len(arrivals) < 3 * limit + 3:
        turn = reserved(state, pace, later(clock), source=SOURCE, api=API)
        state = turn.state
        if turn.slot is None:
            clock += 1.0
            continue
        slot = (turn.slot - NOW).total_seconds()
        clock = max(clock, slot - 30.0)
        arrivals.append(slot + 1.79 * float(random()))  # pyright: ignore[reportUnknownArgumentType]
    assert most_in_a_window(arrivals, 60.0) <= limit
    span = max(arrivals) - min(arrivals)
    assert len(arrivals) >= 0.95 * limit * span / 60.0


def test_the_law_is_seen_to_break_when_the_spacing_has_no_guard() -> None:
    arrivals = [index * 0.3 + (0.59 if index < 10 else 0.0) for index in range(400)]
    assert most_in_a_window(arrivals, 60.0) > 200


def test_the_spacing_is_the_wider_of_the_limit_and_the_setting() -> None:
    assert Pace(200).interval_seconds == pytest.approx(0.309)
    assert Pace(200, least_interval_seconds=0.35).interval_seconds == 0.35
    assert Pace(50, least_interval_seconds=0.35).interval_seconds == pytest.approx(1.236)


def test_no_turn_is_given_out_beyond_the_horizon() -> None:
    state = fresh(later(60.001))
    turn = reserved(state, FULL, NOW, source=SOURCE, api=API)
    assert turn.slot is None
    assert turn.state is state
    assert reserved(fresh(later(60.0)), FULL, NOW, source=SOURCE, api=API).slot == later(60.0)


def test_a_minute_refusal_closes_a_whole_window_and_then_uses_nine_tenths() -> None:
    state = refused(fresh(later(3.0)), FULL, NOW, "minute")
    assert state.closed_until == later(60 * (1 + GUARD))
    assert state.next_at == state.closed_until
    assert state.is_closed(later(60.0))
    assert state.interval_seconds is not None
    assert math.floor(60 / state.interval_seconds * (1 + GUARD) + 1e-9) <= 0.9 * 200


def test_what_the_text_says_counts_when_it_is_less() -> None:
    told = refused(fresh(), FULL, NOW, "minute", limit=80)
    assert told.learned_limit == 80
    assert told.interval_seconds == pytest.approx(60 * (1 + GUARD) / 72)
    assert refused(fresh(), FULL, NOW, "minute", limit=500).learned_limit == 200


def test_refusals_of_calls_that_had_already_left_lower_the_pace_only_once() -> None:
    first = refused(fresh(), FULL, NOW, "minute")
    echo = refused(first, FULL, later(2.0), "minute")
    assert echo.interval_seconds == first.interval_seconds
    assert echo.closed_until == later(2.0 + 60 * (1 + GUARD))
    again = refused(first, FULL, later(62.0), "minute")
    assert again.interval_seconds is not None
    assert first.interval_seconds is not None
    assert again.interval_seconds > first.interval_seconds / 0.91


@pytest.mark.parametrize(
    ("kind", "until"),
    [
        ("hour", NOW + timedelta(hours=1)),
        ("day", datetime(2026, 3, 3, tzinfo=SHANGHAI)),
        ("permission", datetime(2026, 3, 3, tzinfo=SHANGHAI)),
    ],
)
def test_longer_refusals_close_until_their_window_ends_and_no_shorter_one_opens_it(
    kind: RefusalKind, until: datetime
) -> None:
    closed = refused(fresh(), FULL, NOW, kind)
    assert (closed.closed_until, closed.closed_reason, closed.next_at) == (until, kind, until)
    after = refused(closed, FULL, later(1.0), "minute")
    assert (after.closed_until, after.closed_reason) == (until, kind)
    assert not after.is_closed(until)


def test_errors_halve_the_pace_and_successes_bring_it_back_step_by_step() -> None:
    slow = refused(fresh(), FULL, NOW, "other")
    assert slow.interval_seconds == pytest.approx(2 * FULL.interval_seconds)
    assert not slow.is_closed(NOW)
    steps = 0
    state = slow
    while state.interval_seconds is not None:
        before = state.interval_seconds
        state = succeeded(state, FULL, NOW)
        assert state.interval_seconds is None or state.interval_seconds < before
        steps += 1
    assert steps == 25
    assert state == fresh()


def test_the_pace_never_falls_below_a_tenth_and_a_fixed_pace_does_not_fall_at_all() -> None:
    state = fresh()
    for _ in range(20):
        state = refused(state, FULL, NOW, "other")
    assert state.interval_seconds == pytest.approx(10 * FULL.interval_seconds)
    assert refused(fresh(), Pace(200, is_adaptive=False), NOW, "other") == fresh()


def test_recovery_stops_at_nine_tenths_until_the_refusal_is_a_day_old() -> None:
    state = refused(fresh(), FULL, NOW, "minute")
    state = refused(state, FULL, later(100), "other")
    for _ in range(100):
        state = succeeded(state, FULL, later(200))
    assert state.interval_seconds == pytest.approx(60 * (1 + GUARD) / 180)
    assert succeeded(state, FULL, later(300)) is state
    for _ in range(100):
        state = succeeded(state, FULL, NOW + timedelta(hours=25))
    assert (state.interval_seconds, state.learned_limit, state.refused_at) == (None, None, None)


@given(st.lists(st.sampled_from(["minute", "hour", "day", "permission", "other", "success"]), max_size=40), st.data())
def test_whatever_happens_the_pace_stays_between_a_tenth_of_what_was_learned_and_the_settings(
    events: list[str], data: st.DataObject
) -> None:
    state, now = fresh(), NOW
    for event in events:
        now += timedelta(seconds=data.draw(st.floats(0.0, 100_000.0)))
        state = happened(state, now, event)
        assert state.interval_seconds is None or state.interval_seconds >= FULL.interval_seconds
        assert (state.closed_until is None) == (state.closed_reason is None)
        assert state.closed_until is None or state.next_at >= state.closed_until or not state.is_closed(now)
        assert healed(state, FULL, now) is state


def test_what_a_clock_of_the_future_wrote_holds_nobody_up() -> None:
    ahead = fresh(NOW + timedelta(days=365))
    assert healed(ahead, FULL, NOW).next_at == later(60 * (1 + GUARD))
    closed = fresh(NOW + timedelta(days=365), closed_until=NOW + timedelta(days=365), closed_reason="hour")
    assert healed(closed, FULL, NOW) == fresh(later(60 * (1 + GUARD)))
