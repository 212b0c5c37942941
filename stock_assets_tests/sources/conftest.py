"""Sessions, clients and far ends with deadlines short enough for tests."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from stock_assets.simulator.market import SimulatedMarket
from stock_assets.sources.baostock.client import BaoStockClient
from stock_assets.sources.baostock.guard import Deadlines
from stock_assets.sources.baostock.session import BaoStockSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Protocol

    class FarEnd(Protocol):
        host: str
        port: int


SHORT = Deadlines(connect_seconds=1.0, idle_seconds=1.0, total_seconds=2.0, close_seconds=0.5)
WEEKDAYS = tuple(
    day for day in (date(2024, 1, 1) + timedelta(days=number) for number in range(120)) if day.weekday() < 5
)


def no_sleep(_seconds: float) -> None:
    """Do not wait."""


def _with(options: dict[str, Any], **defaults: object) -> dict[str, Any]:
    return {**defaults, **options}


@pytest.fixture(scope="session")
def market() -> SimulatedMarket:
    """A small market of some months."""
    return SimulatedMarket(7, 60, sessions=WEEKDAYS)


@pytest.fixture
def open_session() -> Iterator[Callable[..., BaoStockSession]]:
    """Return a function that logs in to a far end; what it opened is closed after the test."""
    opened: list[BaoStockSession] = []

    def open_one(far_end: FarEnd, **options: Any) -> BaoStockSession:  # noqa: ANN401 - handed on as they are
        session = BaoStockSession(host=far_end.host, port=far_end.port, **_with(options, deadlines=SHORT))
        opened.append(session)
        session.login()
        return session

    yield open_one
    for session in opened:
        session.close()


@pytest.fixture
def client_of() -> Callable[..., BaoStockClient]:
    """Return a function that makes a client without a pool for a far end; it never sleeps between attempts."""

    def make(far_end: FarEnd, **options: Any) -> BaoStockClient:  # noqa: ANN401 - handed on as they are
        return BaoStockClient(
            host=far_end.host, port=far_end.port, **_with(options, timeout_seconds=1.0, sleep=no_sleep)
        )

    return make
