"""Which calls fetch a list of gaps most cheaply.

Two ways exist: one request brings a whole market day, or one request (per 2,000 rows) brings one stock's stretch of
days. The plan with fewer requests wins, because requests are what a source counts and bans for; between equals the
quicker one. Mixed plans take the emptiest days whole and the rest stock by stock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl


@dataclass(frozen=True, slots=True)
class DayCall:
    """The whole market on one day; `rows` is how many rows should come."""

    day: date
    rows: int


@dataclass(frozen=True, slots=True)
class CodeCall:
    """One stock over [start, end]; `rows` is at most how many rows should come."""

    ts_code: str
    start: date
    end: date
    rows: int


Call = DayCall | CodeCall


@dataclass(frozen=True, slots=True)
class CostModel:
    """What a request costs. The defaults were measured against the simulator with 80 ms latency.

    `parts` is how many interfaces make one answer about bars, `parts_of_factors` one about a day's factors.
    """

    request_seconds: float = 0.085
    row_seconds: float = 0.00002
    page_rows: int = 2000
    parts: int = 1
    parts_of_factors: int = 1

    def requests(self, call: Call) -> int:
        """Return the requests of a call; a full last page costs one more, answered empty."""
        return self.parts * (1 if isinstance(call, DayCall) else call.rows // self.page_rows + 1)

    def seconds(self, call: Call) -> float:
        """Return the expected seconds of a call, one after another."""
        return self.requests(call) * self.request_seconds + call.rows * self.row_seconds


@dataclass(frozen=True, slots=True)
class Plan:
    """Calls in the order in which they should be made: stock by stock first, then days in order."""

    calls: tuple[Call, ...]
    requests: int
    seconds: float

    @classmethod
    def of(cls, calls: tuple[Call, ...], costs: CostModel) -> "Plan":
        """Return the plan of these calls with its price."""
        return cls(calls, sum(map(costs.requests, calls)), sum(map(costs.seconds, calls)))

    @property
    def day_calls(self) -> tuple[DayCall, ...]:
        """The calls that bring whole days."""
        return tuple(call for call in self.calls if isinstance(call, DayCall))

    @property
    def code_calls(self) -> tuple[CodeCall, ...]:
        """The calls that bring one stock each."""
        return tuple(call for call in self.calls if isinstance(call, CodeCall))


def plan_daily(gaps: pl.DataFrame, rows_of_day: Mapping[date, int], costs: CostModel) -> Plan:
    """Return the cheapest plan that fetches every gap.

    `gaps` has ts_code, trade_date; `rows_of_day` how many rows a whole-market answer of each day has.
    """
    if gaps.is_empty():
        return Plan((), 0, 0.0)
    plans = [_plan_with(gaps, whole, rows_of_day, costs) for whole in _candidates(gaps)]
    return min(plans, key=lambda plan: (plan.requests, plan.seconds))


def by_day(gaps: pl.DataFrame, rows_of_day: Mapping[date, int], costs: CostModel) -> Plan:
    """Return the plan that takes every day with a gap whole."""
    return _plan_with(gaps, set(gaps["trade_date"].unique().to_list()), rows_of_day, costs)


def by_code(gaps: pl.DataFrame, rows_of_day: Mapping[date, int], costs: CostModel) -> Plan:
    """Return the plan that asks stock by stock."""
    return _plan_with(gaps, set(), rows_of_day, costs)


def _candidates(gaps: pl.DataFrame) -> list[set[date]]:
    """Return sets of days to take whole: all with at least n gaps, for a few n, and none."""
    counts = gaps.group_by("trade_date").len()
    levels = sorted(counts["len"].unique().to_list())
    step = max(1, len(levels) // 12)
    chosen = sorted({*levels[::step], levels[0]})
    sets: list[set[date]] = [set()]
    sets.extend(set(counts.filter(pl.col("len") >= level)["trade_date"].to_list()) for level in chosen)
    return sets


def _plan_with(gaps: pl.DataFrame, whole: set[date], rows_of_day: Mapping[date, int], costs: CostModel) -> Plan:
    rest = gaps.filter(~pl.col("trade_date").is_in(sorted(whole))) if whole else gaps
    stretches = (
        rest.group_by("ts_code")
        .agg(pl.col("trade_date").min().alias("start"), pl.col("trade_date").max().alias("end"))
        .sort("ts_code")
    )
    sessions = sorted(rows_of_day)
    position = {day: index for index, day in enumerate(sessions)}
    codes = tuple(
        CodeCall(code, start, end, position[end] - position[start] + 1) for code, start, end in stretches.iter_rows()
    )
    days = tuple(DayCall(day, rows_of_day[day]) for day in sorted(whole))
    return Plan.of((*codes, *days), costs)
