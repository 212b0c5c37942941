from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_assets.domain.quarters import (
    deadline_of,
    first_day_of,
    newest_open,
    opened_on,
    period_of,
    periods_between,
    quarters_before,
)

DAYS = st.dates(date(1990, 1, 1), date(2060, 1, 1))


@given(DAYS)
def test_every_day_is_in_exactly_one_quarter(day: date) -> None:
    period = period_of(day)
    assert first_day_of(period) <= day <= period
    assert period_of(period + timedelta(1)) > period == period_of(first_day_of(period))
    assert quarters_before(day, 0) == first_day_of(period)
    assert period_of(quarters_before(day, 1)) == first_day_of(period) - timedelta(1)


@given(DAYS, st.integers(0, 3000))
def test_the_periods_of_a_range_are_those_that_end_in_it(start: date, days: int) -> None:
    end = start + timedelta(days)
    every = [start + timedelta(offset) for offset in range(days + 1)]
    assert periods_between(start, end) == [day for day in every if period_of(day) == day]


@given(DAYS)
def test_the_newest_open_period_is_the_last_that_has_opened(day: date) -> None:
    period = newest_open(day)
    assert opened_on(period) <= day < opened_on(period_of(period + timedelta(1)))


@pytest.mark.parametrize(
    ("period", "deadline"),
    [
        (date(2023, 12, 31), date(2024, 4, 30)),
        (date(2024, 3, 31), date(2024, 4, 30)),
        (date(2024, 6, 30), date(2024, 8, 31)),
        (date(2024, 9, 30), date(2024, 10, 31)),
    ],
)
def test_deadlines_are_the_statutory_ones(period: date, deadline: date) -> None:
    assert deadline_of(period) == deadline
