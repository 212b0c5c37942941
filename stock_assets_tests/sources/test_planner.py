"""The planner: the fewest requests that fetch every gap."""

from datetime import date, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from stock_assets.sources.planner import CodeCall, CostModel, DayCall, Plan, by_code, by_day, plan_daily

COSTS = CostModel()
DAYS = [date(2026, 1, 5) + timedelta(days=number) for number in range(60)]
CODES = [f"{600000 + number}.SH" for number in range(40)]
ROWS = dict.fromkeys(DAYS, 5400)


def gaps(pairs: list[tuple[str, date]]) -> pl.DataFrame:
    """Return gaps as a frame."""
    return pl.DataFrame(pairs, schema={"ts_code": pl.String, "trade_date": pl.Date}, orient="row")


def covered(plan: Plan, pairs: set[tuple[str, date]]) -> set[tuple[str, date]]:
    """Return the gaps that a plan's calls bring."""
    days = {call.day for call in plan.day_calls}
    stretches = {call.ts_code: (call.start, call.end) for call in plan.code_calls}
    return {
        (code, day)
        for code, day in pairs
        if day in days or (code in stretches and stretches[code][0] <= day <= stretches[code][1])
    }


def test_a_whole_market_day_is_one_request() -> None:
    plan = plan_daily(gaps([(code, DAYS[0]) for code in CODES]), ROWS, COSTS)
    assert plan.calls == (DayCall(DAYS[0], 5400),)
    assert plan.requests == 1


def test_a_gap_of_one_stock_is_not_a_whole_market_call() -> None:
    plan = plan_daily(gaps([(CODES[0], DAYS[0])]), ROWS, COSTS)
    assert plan.calls == (CodeCall(CODES[0], DAYS[0], DAYS[0], 1),)
    assert plan.seconds < by_day(gaps([(CODES[0], DAYS[0])]), ROWS, COSTS).seconds


def test_a_year_of_one_stock_is_one_request_not_sixty() -> None:
    plan = plan_daily(gaps([(CODES[0], day) for day in DAYS]), ROWS, COSTS)
    assert plan.requests == 1
    assert by_day(gaps([(CODES[0], day) for day in DAYS]), ROWS, COSTS).requests == len(DAYS)


def test_two_empty_days_and_one_stocks_hole_are_a_mixed_plan() -> None:
    pairs = [(code, day) for code in CODES for day in DAYS[:2]] + [(CODES[7], day) for day in DAYS[10:50]]
    plan = plan_daily(gaps(pairs), ROWS, COSTS)
    assert plan.requests == 3
    assert [call.day for call in plan.day_calls] == DAYS[:2]
    assert [call.ts_code for call in plan.code_calls] == [CODES[7]]


def test_a_stretch_of_exactly_full_pages_costs_one_request_more() -> None:
    assert COSTS.requests(CodeCall(CODES[0], DAYS[0], DAYS[0], 1999)) == 1
    assert COSTS.requests(CodeCall(CODES[0], DAYS[0], DAYS[0], 2000)) == 2
    assert COSTS.requests(CodeCall(CODES[0], DAYS[0], DAYS[0], 8700)) == 5


def test_nothing_missing_is_nothing_to_do() -> None:
    assert plan_daily(gaps([]), ROWS, COSTS) == Plan((), 0, 0.0)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.tuples(st.sampled_from(CODES), st.sampled_from(DAYS)), min_size=1, max_size=200))
def test_every_plan_fetches_every_gap_and_none_is_cheaper_than_the_chosen(pairs: set[tuple[str, date]]) -> None:
    frame = gaps(sorted(pairs))
    chosen = plan_daily(frame, ROWS, COSTS)
    for plan in (chosen, by_day(frame, ROWS, COSTS), by_code(frame, ROWS, COSTS)):
        assert covered(plan, pairs) == pairs
        assert (chosen.requests, chosen.seconds) <= (plan.requests, plan.seconds)
