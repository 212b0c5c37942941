"""A whole installation on a test database, and Dagster's own instance in memory."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from dagster import DagsterInstance

from stock_assets.settings import Settings
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.market import SimulatedMarket
from stock_assets.simulator.tushare_market import SimulatedTushare, beijing_market
from stock_assets.simulator.tushare_server import TushareServer
from stock_assets.sources.exchange_calendar import exchange_calendar
from stock_assets.wiring import Installation

TODAY = date(2026, 11, 20)
FIRST = date(2026, 6, 1)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder; what is kept in it (the calendar's copy) is the same for all tests."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def new_installation(
    home: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Installation]]:
    """Return a function that makes an installation on this test's store; settings are given by environment name."""
    opened: list[Installation] = []

    def make(**environment: str) -> Installation:
        base = {
            "STOCK_ASSETS_HOME": str(home),
            "STOCK_ASSETS_DATABASE_URL": database_url,
            "STOCK_ASSETS_SOURCE": "baostock",
            "STOCK_ASSETS_TODAY": TODAY.isoformat(),
            "STOCK_ASSETS_LANGUAGE": "en",
            "BAOSTOCK_TIMEOUT": "3",
            "LOG_LEVEL": "ERROR",
        }
        for name, value in {**base, **environment}.items():
            monkeypatch.setenv(name, value)
        installation = Installation(Settings())
        opened.append(installation)
        return installation

    yield make
    for installation in opened:
        installation.close()


@pytest.fixture(scope="session")
def market(home: Path) -> SimulatedMarket:
    """Half a year of fifty stocks on the real calendar."""
    return SimulatedMarket(3, 50, sessions=exchange_calendar(home / "cache").between(FIRST, TODAY))


@pytest.fixture
def far_end(market: SimulatedMarket) -> Iterator[BaoStockServer]:
    """The simulated source."""
    with BaoStockServer(market) as server:
        yield server


@pytest.fixture
def installation(new_installation: Callable[..., Installation], far_end: BaoStockServer) -> Installation:
    """An installation that asks the simulated source."""
    return new_installation(BAOSTOCK_HOST=far_end.host, BAOSTOCK_PORT=str(far_end.port))


@pytest.fixture
def tushare(market: SimulatedMarket, home: Path) -> Iterator[TushareServer]:
    """The other simulated source, over the same market and with Beijing's stocks."""
    beijing = beijing_market(3, 50, exchange_calendar(home / "cache").between(FIRST, TODAY))
    with TushareServer(SimulatedTushare(market, beijing, seed=3), points=5000) as server:
        yield server


@pytest.fixture
def both(
    new_installation: Callable[..., Installation], far_end: BaoStockServer, tushare: TushareServer
) -> Installation:
    """An installation that asks both simulated sources."""
    return new_installation(
        STOCK_ASSETS_SOURCE="auto",
        BAOSTOCK_HOST=far_end.host,
        BAOSTOCK_PORT=str(far_end.port),
        TUSHARE_URL=tushare.url,
        TUSHARE_TOKEN=tushare.token,
        TUSHARE_MIN_INTERVAL="0",
        TUSHARE_POINTS="5000",
    )


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    """Dagster's memory of this test."""
    with DagsterInstance.ephemeral() as instance:  # pyright: ignore[reportUnknownMemberType]  Dagster's `settings`
        yield instance
