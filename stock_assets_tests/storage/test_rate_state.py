"""The stored pace: the statement does what the pure function says, and states survive everybody's death."""

import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stock_assets.domain.errors import StoreUnavailable
from stock_assets.domain.pace import RateState
from stock_assets.sources.pacing import Pace, refused, reserved, succeeded
from stock_assets.storage import rate_state
from stock_assets.storage.database import Database
from stock_assets.storage.rate_state import StoredRates

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
PACE = Pace(200, least_interval_seconds=0.35)


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def rates(database: Database, clock: Clock) -> Iterator[StoredRates]:
    """The store on that clock."""
    rates = StoredRates(database, now=clock)
    yield rates
    rates.close()


def reserve(rates: StoredRates, pace: Pace = PACE, api: str = "daily") -> datetime | None:
    return rates.reserve(
        "tushare", api, interval_seconds=pace.interval_seconds, horizon_seconds=pace.horizon_seconds
    ).slot


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 90_000_000).map(lambda micros: timedelta(microseconds=micros)),
            st.sampled_from(["reserve", "reserve", "reserve", "minute", "hour", "other", "success"]),
        ),
        max_size=25,
    ),
)
def test_the_statement_does_what_the_pure_function_says(
    rates: StoredRates, clock: Clock, steps: list[tuple[timedelta, str]]
) -> None:
    # Every example has an interface of its own.
    name, state = uuid.uuid4().hex, None
    for pause, step in steps:
        clock.time += pause
        if step == "reserve":
            expected = reserved(state, PACE, clock.time, source="tushare", api=name)
            found = rates.reserve(
                "tushare", name, interval_seconds=PACE.interval_seconds, horizon_seconds=PACE.horizon_seconds
            )
            assert (found.slot, found.now, found.state) == (expected.slot, expected.now, expected.state)
            state = expected.state
            continue
        state = state or RateState(source="tushare", api=name, next_at=clock.time)

        def decide(before: RateState, now: datetime, kind: str = step) -> RateState:
            if kind == "success":
                return succeeded(before, PACE, now)
            return refused(before, PACE, now, kind)  # pyright: ignore[reportArgumentType]

        state = decide(state, clock.time)
        assert rates.change("tushare", name, decide) == state


def test_turns_of_one_interface_follow_each_other_and_others_have_their_own(rates: StoredRates, clock: Clock) -> None:
    assert [reserve(rates) for _ in range(3)] == [NOW + timedelta(seconds=0.35 * turn) for turn in range(3)]
    assert reserve(rates, api="adj_factor") == NOW
    clock.time += timedelta(seconds=10)
    assert reserve(rates) == clock.time


def test_a_turn_beyond_the_horizon_is_not_taken(rates: StoredRates) -> None:
    wide = Pace(1)
    assert reserve(rates, wide) == NOW
    assert reserve(rates, wide) is None
    assert reserve(rates, wide) is None
    (state,) = rates.states()
    assert state.next_at == NOW + timedelta(seconds=61.8)


def test_a_turn_is_taken_although_the_callers_work_is_rolled_back(rates: StoredRates, database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.begin():  # noqa: PT012  (the error leaves the transaction)
        reserve(rates)
        raise ZeroDivisionError
    assert reserve(rates) == NOW + timedelta(seconds=0.35)


def test_nobody_waits_for_a_turn_inside_a_transaction(rates: StoredRates, database: Database) -> None:
    for _ in range(5):
        reserve(rates)
    with database.begin() as conn:
        states = conn.execute(
            sa.text(
                "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%rate_state%'"
                " AND pid <> pg_backend_pid()"
            )
        ).all()
    assert {state for (state,) in states} == {"idle"}


def test_threads_take_as_many_different_turns(rates: StoredRates) -> None:
    taken: list[datetime | None] = []

    def take() -> None:
        taken.extend(reserve(rates) for _ in range(20))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(slot for slot in taken if slot) == [NOW + timedelta(seconds=0.35) * turn for turn in range(80)]


def test_the_servers_own_clock_is_read_after_the_row_is_locked(database: Database) -> None:
    rates = StoredRates(database)
    reserve(rates)
    slots: list[datetime | None] = []
    waiting = threading.Thread(target=lambda: slots.append(reserve(rates)))
    with psycopg.connect(database.conninfo()) as other:
        other.execute("SELECT FROM rate_state FOR UPDATE")
        waiting.start()
        other.execute("SELECT pg_sleep(1)")
        row = other.execute("SELECT clock_timestamp()").fetchone()
    waiting.join(10)
    assert row is not None
    assert slots[0] is not None
    assert slots[0] >= row[0]
    rates.close()


def test_changes_of_one_row_follow_each_other_and_none_is_lost(rates: StoredRates) -> None:
    reserve(rates)

    def later(state: RateState, _: datetime) -> RateState:
        return replace(state, next_at=state.next_at + timedelta(seconds=1))

    def change() -> None:
        for _ in range(20):
            rates.change("tushare", "daily", later)

    threads = [threading.Thread(target=change) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert rates.states()[0].next_at == NOW + timedelta(seconds=80.35)


def test_who_falls_silent_with_a_row_in_hand_loses_it(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_state, "_SILENCE_SECONDS", 0.2)
    silent, rates = (StoredRates(database, now=lambda: NOW) for _ in range(2))
    reserve(rates)
    held, done = threading.Event(), threading.Event()

    def fall_silent(state: RateState, _: datetime) -> RateState:
        held.set()
        done.wait(20)
        return replace(state, interval_seconds=9.0)

    def change() -> None:
        with pytest.raises(StoreUnavailable):
            silent.change("tushare", "daily", fall_silent)
        done.set()

    thread = threading.Thread(target=change)
    thread.start()
    assert held.wait(10)
    assert reserve(rates) == NOW + timedelta(seconds=0.35)
    assert not done.is_set()
    done.set()
    thread.join(10)
    assert rates.states()[0].interval_seconds is None
    silent.close()
    rates.close()
