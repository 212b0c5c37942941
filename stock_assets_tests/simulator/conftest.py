import importlib
import sys
import warnings
from collections.abc import Iterator
from datetime import date
from types import ModuleType

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


@pytest.fixture(scope="session")
def private_baostock() -> dict[str, ModuleType]:
    """A copy of the official client that nobody else's `import baostock` sees, without its printing."""
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "baostock"}
    for name in before:
        del sys.modules[name]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module("baostock")
        private = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "baostock"}
    finally:
        sys.modules.update(before)
    for module in private.values():
        module.__dict__["print"] = lambda *_args, **_options: None  # pyright: ignore[reportUnknownLambdaType]
    return private


@pytest.fixture
def client(private_baostock: dict[str, ModuleType], server: BaoStockServer) -> Iterator[ModuleType]:
    address = private_baostock["baostock.common.contants"]
    address.__dict__.update(BAOSTOCK_SERVER_IP=server.host, BAOSTOCK_SERVER_PORT=server.port)
    official = private_baostock["baostock"]
    assert official.login().error_code == "0"
    yield official
    official.logout()
