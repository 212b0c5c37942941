"""Who has no Tushare token: a few stocks' reports of two years from BaoStock, and the finance command on any day."""

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from stock_assets.domain.quarters import periods_between
from stock_assets.pipeline.finance import sync_finance_history
from stock_assets.pipeline.refresh import refresh_securities
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.market import SimulatedMarket
from stock_assets.wiring import Installation
from stock_assets_tests.assets.conftest import TODAY
from stock_assets_tests.cli.conftest import Call

CODES = ["600000.SH", "000001.SZ"]
SINCE = date(2024, 10, 1)
PERIODS = periods_between(SINCE, TODAY)


@pytest.fixture
def loaded_reports(new_installation: Callable[..., Installation], far_end: BaoStockServer) -> Installation:
    """A store with the reports of two stocks, read from the day on which they were loaded."""
    installation = new_installation(BAOSTOCK_HOST=far_end.host, BAOSTOCK_PORT=str(far_end.port))
    refresh_securities(installation.pipeline())
    report = sync_finance_history(installation.finance(since=SINCE), CODES)
    assert (report.stopped_by, report.failed, report.rejected) == (None, (), 0)
    asked = [period for period in PERIODS if period < TODAY]
    assert installation.finance(since=SINCE).source.costs.requests(len(CODES), len(asked)) >= report.requests - 1
    return installation


def as_of(call: Call, code: str, *asked: str) -> list[dict[str, Any]]:
    return json.loads(call("finance", code, *asked, "--format", "json").out)


def test_a_day_shows_what_baostock_had_published_before_it_in_percent(
    call: Call, loaded_reports: Installation, market: SimulatedMarket
) -> None:
    calendar = loaded_reports.calendar
    seen: set[int] = set()
    for code in CODES:
        source_code = f"{code[7:].lower()}.{code[:6]}"
        rows = [row for period in PERIODS for row in market.quarterly("query_profit_data", source_code, period, TODAY)]
        published = [(row[2], date.fromisoformat(row[1]), round(float(row[3]) * 100, 8)) for row in rows]
        for day in (date(2024, 12, 31), date(2025, 4, 30), date(2025, 9, 1), published[-1][1], date(2026, 11, 20)):
            expected = [(end, roe) for end, announced, roe in published if calendar.next(announced) <= day]
            found = [(row["end_date"], row["roe"]) for row in as_of(call, code, "--as-of", str(day))]
            assert found == expected
            seen.add(len(found))
    assert {0, len(PERIODS) - 1} <= seen


def test_every_row_says_who_said_it_and_has_what_baostock_has_alone(call: Call, loaded_reports: Installation) -> None:
    rows = as_of(call, "600000")
    assert len(rows) >= len(PERIODS) - 1
    assert {row["source"] for row in rows} == {"baostock"}
    assert all(row["debt_to_assets"] is not None and row["eps"] is None for row in rows)
    used = {usage.api: usage.requests for usage in loaded_reports.quota.usage("baostock", TODAY)}
    assert used["query_dupont_data"] == len(rows) + len(as_of(call, "000001"))
