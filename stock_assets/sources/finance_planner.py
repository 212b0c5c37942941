"""What finance reports cost in requests and time, told before anything is asked, and the cheapest way to a history.

Two ways exist: stock by stock, or, where an account may, one request for each period of the whole market.
"""

from dataclasses import dataclass
from typing import Final, Literal

from stock_assets.sources.finance_base import FinanceCosts

Way = Literal["period", "stock", "increment"]

LOOK_BACK_QUARTERS: Final = 8
"""Asked for again with a new report, where one request holds them all: a company restates up to two years with it."""

LATE_DAYS: Final = 7
"""Calendar days that an increment asks for once more: what the source told late is found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinancePlan:
    """One way to get there. `calls` are questions, `requests` what leaves, at the pace that settings allow."""

    way: Way
    calls: int
    requests: int
    seconds: float

    def quota_percent(self, daily_limit: int | None) -> float | None:
        """Return the share of a day's requests that it takes; None where the source sets no limit."""
        return None if daily_limit is None else self.requests / daily_limit * 100


def look_back(costs: FinanceCosts) -> int:
    """Return how many earlier quarters are asked for with a new report: none where each costs requests of its own."""
    return LOOK_BACK_QUARTERS if costs.reports_per_request > LOOK_BACK_QUARTERS else 0


def history_ways(costs: FinanceCosts, *, stocks: int, quarters: int, batch_size: int) -> list[FinancePlan]:
    """Return every way to a history of so many stocks and quarters, the cheapest first.

    No call holds stocks of two batches.
    """
    batches = [batch_size] * (stocks // batch_size) + [stocks % batch_size]
    together = costs.stocks_per_call(quarters)
    calls = sum(-(-batch // together) for batch in batches)
    requests = sum(costs.requests(batch, quarters) for batch in batches)
    ways = [FinancePlan(way="stock", calls=calls, requests=requests, seconds=requests * costs.request_seconds)]
    if costs.has_market_calls:
        seconds = quarters * costs.market_request_seconds
        ways.append(FinancePlan(way="period", calls=quarters, requests=quarters, seconds=seconds))
    return sorted(ways, key=lambda plan: plan.requests)


def plan_increment(costs: FinanceCosts, *, days: int, published: int, missing: int, quarters: int) -> FinancePlan:
    """Return what an increment costs over so many calendar days on which so many stocks publish.

    `missing` stocks were never asked for and are asked for `quarters` quarters. Where the source does not tell who has
    published, `published` is the number of stocks whose report may be out.
    """
    calls = requests = 0
    seconds = 0.0
    if costs.has_market_calls:
        calls = requests = days + LATE_DAYS
        seconds = requests * costs.market_request_seconds
        published = 0
    elif costs.has_disclosures:
        calls = requests = days + LATE_DAYS
        seconds = requests * costs.request_seconds
    asked = look_back(costs) + 1
    by_stock = costs.requests(published, asked) + costs.requests(missing, quarters)
    calls += -(-published // costs.stocks_per_call(asked)) + -(-missing // costs.stocks_per_call(quarters))
    return FinancePlan(
        way="increment",
        calls=calls,
        requests=requests + by_stock,
        seconds=seconds + by_stock * costs.request_seconds,
    )
