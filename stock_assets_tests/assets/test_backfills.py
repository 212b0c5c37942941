"""A backfill as the button on an asset's page starts it: one run, and whole days wherever it is cancelled."""

import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from dagster import DagsterInstance

from stock_assets.automation.jobs import DAILY
from stock_assets.definitions import build_definitions
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.base import Rows
from stock_assets.simulator.market import SimulatedMarket
from stock_assets.sources.exchange_calendar import exchange_calendar
from stock_assets.storage import bars, ledger
from stock_assets.wiring import Installation
from stock_assets_tests.assets.conftest import FIRST, TODAY
from stock_assets_tests.assets.test_runs import run
from stock_assets_tests.web_pages import eventually, running_pages

BY_DAY = "query_daily_history_k_AStock"
# More stocks than days, so that it is asked for day by day; of so many stocks bars land about sixty days at a time.
STOCKS, ENOUGH_REQUESTS = 150, 75
RUN_SECONDS = 90.0


class SlowMarket(SimulatedMarket):
    """A market whose source takes its time for each day."""

    pause_seconds = 0.05

    def daily_bars(self, day: date) -> Rows:
        """Wait, and tell."""
        time.sleep(self.pause_seconds)
        return super().daily_bars(day)


@pytest.fixture
def slow_end(home: Path) -> Iterator[BaoStockServer]:
    """A source that takes its time."""
    sessions = exchange_calendar(home / "cache").between(FIRST, TODAY)
    with BaoStockServer(SlowMarket(3, STOCKS, sessions=sessions)) as server:
        yield server


def stored_days(installation: Installation) -> dict[date, list[str]]:
    """Return the stocks that each day has a bar of; days without any are left out."""
    with installation.database.read() as conn:
        stored = bars.read_bars(conn, None, FIRST, TODAY)
    return dict(stored.group_by("trade_date").agg("ts_code").iter_rows())


@pytest.mark.slow
def test_a_backfill_from_the_page_is_one_run_and_leaves_whole_days_when_it_is_cancelled(
    new_installation: Callable[..., Installation], slow_end: BaoStockServer, home: Path, instance: DagsterInstance
) -> None:
    assert isinstance(slow_end.market, SlowMarket)
    # Its settings are those of this process's environment, which the pages inherit.
    installation = new_installation(BAOSTOCK_HOST=slow_end.host, BAOSTOCK_PORT=str(slow_end.port))
    days = [str(day) for day in installation.calendar.between(FIRST, TODAY)]
    with running_pages(home, {}, options=["--skip-integrity-check"]) as pages:
        started = pages.launch([STOCK_DAILY.name, "raw_baostock_daily"], days)
        eventually(
            lambda: slow_end.requests[BY_DAY], is_enough=lambda sent: sent >= ENOUGH_REQUESTS, seconds=RUN_SECONDS
        )
        # Dagster looks for what is cancelled every half minute.
        slow_end.market.pause_seconds = 1.5
        pages.cancel(started)
        cancelled = eventually(
            lambda: pages.backfill(started), is_enough=lambda seen: seen.is_over, seconds=RUN_SECONDS
        )
        assert (cancelled.status, cancelled.runs) == ("CANCELED", ("CANCELED",))

        sent, landed = slow_end.requests[BY_DAY], stored_days(installation)
        assert sent < len(days)
        assert 0 < len(landed) < len(days)
        slow_end.market.pause_seconds = 0.0
        assert {day: len(codes) for day, codes in landed.items()} == {
            day: len(slow_end.market.daily_bars(day)) for day in landed
        }
        with installation.database.read() as conn:
            assert set(landed) == ledger.known_days(conn, STOCK_DAILY.name)

    span = (days[0], days[-1])
    assert run(build_definitions(installation), instance, DAILY, span, refetch=False).success
    # What had landed is not asked for again.
    assert slow_end.requests[BY_DAY] - sent == len(days) - len(landed)
    assert {str(day) for day in stored_days(installation)} == set(days)
