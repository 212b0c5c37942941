from collections.abc import Iterator
from datetime import date

import pytest

from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.market import SimulatedMarket, weekdays


@pytest.fixture(scope="session")
def sessions() -> list[date]:
    return weekdays(date(1990, 12, 19), date(2024, 12, 20))


@pytest.fixture(scope="session")
def market(sessions: list[date]) -> SimulatedMarket:
    return SimulatedMarket(20240102, 300, sessions=sessions)


@pytest.fixture
def server(market: SimulatedMarket) -> Iterator[BaoStockServer]:
    with BaoStockServer(market) as server:
        yield server
