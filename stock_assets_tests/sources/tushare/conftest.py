"""A small market, servers that say whatever a test wants, and clients that do not wait."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any

import pytest
from pydantic import SecretStr

from stock_assets.domain.answers import Answer
from stock_assets.simulator.market import SimulatedMarket, weekdays
from stock_assets.simulator.tushare_delivery import HttpReply
from stock_assets.simulator.tushare_market import SimulatedTushare, beijing_market
from stock_assets.simulator.tushare_server import TOKEN, TushareServer
from stock_assets.sources.tushare.client import TushareClient
from stock_assets.sources.tushare.transport import Deadlines

DAY = date(2024, 6, 14)
FIRST, LAST = date(2021, 1, 4), date(2024, 6, 28)
SEED = 7
SHORT = Deadlines(connect_seconds=2.0, idle_seconds=2.0, total_seconds=5.0)
CODE = "600000.SH"
YEAR_END = date(2023, 12, 31)

CALLS: dict[str, Callable[[TushareClient], Answer]] = {
    "stock_basic": lambda client: client.stock_basic(),
    "trade_cal": lambda client: client.trade_cal(FIRST, LAST),
    "daily": lambda client: client.daily_of_day(DAY),
    "daily of a code": lambda client: client.daily_of_code(CODE, FIRST, LAST),
    "adj_factor": lambda client: client.adj_factor_of_day(DAY),
    "adj_factor of a code": lambda client: client.adj_factor_of_code(CODE, FIRST, LAST),
    "daily_basic": lambda client: client.daily_basic_of_day(DAY),
    "daily_basic of a code": lambda client: client.daily_basic_of_code(CODE, FIRST, LAST),
    "suspend_d": lambda client: client.suspend_d(FIRST, LAST),
    "fina_indicator": lambda client: client.fina_indicator(CODE, FIRST, LAST),
    "fina_indicator of codes": lambda client: client.fina_indicator(["000001.SZ", CODE], FIRST, LAST),
    "fina_indicator_vip": lambda client: client.fina_indicator_vip_of_period(YEAR_END),
    "fina_indicator_vip of a day": lambda client: client.fina_indicator_vip_of_day(date(2024, 4, 25)),
    "disclosure_date": lambda client: client.disclosure_date(YEAR_END),
    "disclosure_date of a day": lambda client: client.disclosure_date_of_day(date(2024, 4, 25)),
}


class Scripted(TushareServer):
    """A server that answers with what it is given, the last answer again and again."""

    def __init__(self, market: SimulatedTushare, replies: Sequence[HttpReply], **options: Any) -> None:  # noqa: ANN401
        super().__init__(market, **options)
        self.replies = list(replies)
        self.bodies: list[dict[str, Any]] = []

    def reply(self, body: bytes) -> tuple[HttpReply, None]:
        said = json.loads(body)
        self.bodies.append(said)
        self.requests[said["api_name"]] += 1
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0], None


def no_sleep(_seconds: float) -> None:
    """Do not wait."""


@pytest.fixture(scope="session")
def market() -> SimulatedTushare:
    """Three years and a half of sixty stocks and a few of Beijing's."""
    sessions = weekdays(FIRST, LAST)
    return SimulatedTushare(SimulatedMarket(SEED, 60, sessions=sessions), beijing_market(SEED, 60, sessions), seed=SEED)


@pytest.fixture
def server(market: SimulatedTushare) -> Iterator[TushareServer]:
    """The simulated server, for an account that may ask for everything."""
    with TushareServer(market, points=5000) as server:
        yield server


@pytest.fixture
def scripted(market: SimulatedTushare) -> Iterator[Callable[..., Scripted]]:
    """Return a function that starts a server which says what it is told to."""
    started: list[Scripted] = []

    def start(*replies: HttpReply, **options: Any) -> Scripted:  # noqa: ANN401
        server = Scripted(market, replies, **options)
        server.open()
        started.append(server)
        return server

    yield start
    for server in started:
        server.close()


@pytest.fixture
def client_of() -> Iterator[Callable[..., TushareClient]]:
    """Return a function that makes a client of a server; it never sleeps between attempts."""
    made: list[TushareClient] = []

    def make(server: TushareServer, **options: Any) -> TushareClient:  # noqa: ANN401
        usual: dict[str, Any] = {"addresses": [server.url], "attempts": 1, "deadlines": SHORT, "sleep": no_sleep}
        client = TushareClient(SecretStr(options.pop("token", TOKEN)), **{**usual, **options})
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


def success(fields: Sequence[str], rows: Sequence[Sequence[object]], **more: object) -> HttpReply:
    """Return a successful answer."""
    data = {"fields": list(fields), "items": [list(row) for row in rows], "has_more": False, "count": 0, **more}
    return said(0, "", data)


def said(code: object, text: str | None, data: object = None) -> HttpReply:
    """Return an answer with this code and text."""
    return HttpReply(json.dumps({"request_id": "1", "code": code, "data": data, "msg": text}).encode())
