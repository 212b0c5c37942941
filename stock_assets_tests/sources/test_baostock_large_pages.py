"""Large pages save requests, and never rows."""

from collections.abc import Callable
from datetime import date

import pytest

from stock_assets.domain import answers
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.base import Rows
from stock_assets.simulator.market import SimulatedMarket, weekdays
from stock_assets.sources.baostock import session as session_module
from stock_assets.sources.baostock.client import BaoStockClient

SESSIONS = weekdays(date(2024, 1, 2), date(2024, 3, 29))


class CappingMarket(SimulatedMarket):
    """A server that gives at most so many rows a request whatever page size it is asked for, and does not say so."""

    cap = 2000

    def stock_basic(self, as_of: date) -> Rows:
        return super().stock_basic(as_of)[: self.cap]


def test_every_security_comes_in_one_request(client_of: Callable[..., BaoStockClient]) -> None:
    market = SimulatedMarket(5, 3000, sessions=SESSIONS)
    with BaoStockServer(market) as server:
        answer = client_of(server).securities()
        assert isinstance(answer, answers.Rows)
        assert answer.frame.height == len(market.stock_basic(SESSIONS[-1])) > 2000
        assert server.requests["query_stock_basic"] == 1


def test_a_total_that_may_have_been_cut_is_read_again_page_by_page(client_of: Callable[..., BaoStockClient]) -> None:
    market = CappingMarket(5, 3000, sessions=SESSIONS)
    with BaoStockServer(market) as server:
        answer = client_of(server).securities()
        assert isinstance(answer, answers.Rows)
        # One large page of exactly 2,000 rows, then the package's own: a full page and the empty one that ends it.
        assert server.requests["query_stock_basic"] == 3


def test_the_package_keeps_its_own_page_size_for_bars(
    client_of: Callable[..., BaoStockClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "_MOST_PAGES", 9)
    market = SimulatedMarket(7, 60, sessions=weekdays(date(2004, 1, 1), date(2024, 3, 29)))
    with BaoStockServer(market) as server:
        client = client_of(server)
        client.securities()
        answer = client.daily_of_code("600000.SH", date(2004, 1, 1), date(2024, 3, 29))
        assert isinstance(answer, answers.Rows)
        assert server.requests["query_history_k_data_plus"] == answer.frame.height // 2000 + 1
