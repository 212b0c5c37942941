"""A whole pipeline on a small simulated market: real wire, real client, real store, a clock that stands still."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial

import pytest

from stock_assets.domain.calendar import SHANGHAI, TradingCalendar
from stock_assets.pipeline.context import PipelineContext
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.market import SimulatedMarket, weekdays
from stock_assets.sources.baostock.client import BaoStockClient, connector
from stock_assets.sources.baostock.pool import BaoStockPool
from stock_assets.sources.retry import RetryPolicy
from stock_assets.storage.database import Database

SESSIONS = weekdays(date(2025, 1, 2), date(2025, 12, 31))
TODAY = datetime(2025, 12, 31, 20, 0, tzinfo=SHANGHAI)


def no_sleep(seconds: float) -> None:
    """Go on at once."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """The far end, and what the verbs are given."""

    server: BaoStockServer
    context: PipelineContext

    @property
    def database(self) -> Database:
        """The store."""
        return self.context.database

    def at(self, now: datetime) -> "Workshop":
        """Return the same workshop at another time."""
        return replace(self, context=replace(self.context, now=lambda: now))


@pytest.fixture(scope="session")
def market() -> SimulatedMarket:
    """A year of sixty stocks."""
    return SimulatedMarket(11, 60, sessions=SESSIONS)


@pytest.fixture
def new_workshop(market: SimulatedMarket, database: Database) -> Iterator[Callable[..., Workshop]]:
    """Return a function that opens a workshop on this test's store; `timeout_seconds` is the client's."""
    opened: list[Callable[[], None]] = []

    def open_one(*, timeout_seconds: float = 0.6, **server_options: object) -> Workshop:
        server = BaoStockServer(market, **server_options)  # pyright: ignore[reportArgumentType]
        server.open()
        pool = BaoStockPool(
            connector(host=server.host, port=server.port, timeout_seconds=timeout_seconds), timeout_seconds=2.0
        )
        opened.extend([pool.close, server.close])
        source = BaoStockClient(pool, retry=RetryPolicy(attempts=3, sleep=no_sleep), now=lambda: TODAY)
        context = PipelineContext(
            source=source,
            database=database,
            calendar=TradingCalendar.of(SESSIONS),
            now=lambda: TODAY,
            run_id="test-run",
        )
        return Workshop(server, context)

    yield partial(open_one)
    for close in opened:
        close()


@pytest.fixture
def workshop(new_workshop: Callable[..., Workshop]) -> Workshop:
    """A workshop without faults."""
    return new_workshop()
