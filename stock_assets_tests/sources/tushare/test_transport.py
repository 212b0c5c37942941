"""Connections: kept between calls, given up in time whatever the server does, encrypted first."""

from __future__ import annotations

import gzip
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpcore
import pytest
import trustme

from stock_assets.domain.answers import Broken, ProvenEmpty, Rows
from stock_assets.domain.errors import ConfigurationError, SourceUnavailable
from stock_assets.simulator.tushare_delivery import HttpReply
from stock_assets.simulator.tushare_market import SimulatedTushare
from stock_assets.simulator.tushare_server import TushareServer
from stock_assets.sources.tushare import transport
from stock_assets.sources.tushare.api import DEFAULT_ADDRESSES, addresses_of
from stock_assets.sources.tushare.client import TushareClient
from stock_assets.sources.tushare.interfaces import SUSPEND_D
from stock_assets.sources.tushare.transport import Deadlines
from stock_assets_tests.sources.tushare.conftest import DAY, Scripted, said, success

Of = Callable[..., TushareClient]
Start = Callable[..., Scripted]


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def encrypted(market: SimulatedTushare, authority: trustme.CA) -> Iterator[TushareServer]:
    """The same server behind a certificate of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - the library names a type it may not find
    with TushareServer(market, ssl_context=context) as server:
        yield server


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)  # pyright: ignore[reportUnknownMemberType] - as above
    return context


def is_rows(client: TushareClient) -> bool:
    return isinstance(client.daily_of_day(DAY), Rows)


def test_many_calls_use_one_connection(client_of: Of, server: TushareServer) -> None:
    client = client_of(server)
    for back in range(10):
        client.suspend_d_of_day(DAY - timedelta(days=back))
    assert (server.requests["suspend_d"], server.connections) == (10, 1)


def test_threads_share_few_connections_and_get_their_own_answers(client_of: Of, server: TushareServer) -> None:
    client = client_of(server)
    days = [DAY - timedelta(days=7 * back) for back in range(24)]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(client.daily_of_day, days))
    assert [isinstance(answer, Rows) and set(answer.frame["trade_date"]) for answer in answers] == [
        {f"{day:%Y%m%d}"} for day in days
    ]
    assert server.connections <= 4


def test_a_connection_that_was_closed_meanwhile_is_made_again(client_of: Of, server: TushareServer) -> None:
    client = client_of(server, attempts=2)
    assert is_rows(client)
    server.drop_connections()
    assert is_rows(client)
    assert server.connections == 2


@pytest.mark.parametrize("api", ["daily", "suspend_d"])
def test_a_server_that_drips_is_given_up_when_the_whole_call_is_over(
    client_of: Of, server: TushareServer, api: str
) -> None:
    # Each byte comes in good time and all of them would take a minute; the short answer is over within its headers.
    server.faults = f"slow_drip=0.05:{api}"
    client = client_of(server, deadlines=Deadlines(connect_seconds=1.0, idle_seconds=1.0, total_seconds=0.6))
    answer = client.daily_of_day(DAY) if api == "daily" else client.suspend_d_of_day(DAY)
    assert isinstance(answer, Broken)
    assert type(answer.error) is SourceUnavailable
    assert "whole call" in str(answer.error)


def test_a_server_that_says_nothing_is_given_up_after_the_idle_time(client_of: Of, server: TushareServer) -> None:
    server.faults = "stall"
    answer = client_of(server, deadlines=Deadlines(1.0, 0.2, 60.0)).daily_of_day(DAY)
    assert isinstance(answer, Broken)
    assert "silent" in str(answer.error)


def test_a_call_that_was_given_up_leaves_no_connection_to_the_next_one(client_of: Of, server: TushareServer) -> None:
    server.faults = "late=1:daily:1"
    client = client_of(server, deadlines=Deadlines(1.0, 0.2, 60.0))
    assert isinstance(client.daily_of_day(DAY), Broken)
    other = DAY - timedelta(days=1)
    answer = client.daily_of_day(other)
    assert isinstance(answer, Rows)
    assert set(answer.frame["trade_date"]) == {f"{other:%Y%m%d}"}
    assert server.connections == 2


def test_a_compressed_answer_is_the_same(client_of: Of, server: TushareServer) -> None:
    plain, zipped = HttpReply(b"x" * 2000).raw(is_zipped=False), HttpReply(b"x" * 2000).raw(is_zipped=True)
    assert len(zipped) < len(plain)
    assert is_rows(client_of(server))


class _Zipped(HttpReply):
    """Says that its body is compressed, whatever it is."""

    def raw(self, *, is_zipped: bool) -> bytes:
        assert is_zipped
        return b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(self.body) + self.body


EMPTY = gzip.compress(success(SUSPEND_D.fields, []).body)


@pytest.mark.parametrize("body", [b"hello", b"", EMPTY[:-12], EMPTY[:-1]], ids=["text", "nothing", "cut", "cut short"])
def test_a_body_that_is_not_wholly_compressed_is_broken(client_of: Of, scripted: Start, body: bytes) -> None:
    answer = client_of(scripted(_Zipped(body))).suspend_d_of_day(DAY)
    assert isinstance(answer, Broken)
    assert "decompressed" in str(answer.error)


def test_a_whole_compressed_body_is_an_answer(client_of: Of, scripted: Start) -> None:
    assert isinstance(client_of(scripted(_Zipped(EMPTY))).suspend_d_of_day(DAY), ProvenEmpty)


class _Patient(httpcore.NetworkStream):
    """Keeps how long it was allowed to wait."""

    def __init__(self) -> None:
        self.allowed: list[float | None] = []

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.allowed.append(timeout)
        return b"x" * max_bytes

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        assert buffer
        self.allowed.append(timeout)


def test_no_piece_of_a_call_may_take_longer_than_what_is_left_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("stock_assets.sources.tushare.transport.time.monotonic", lambda: now)
    inner = _Patient()
    stream = transport.DeadlineStream(inner)
    with transport.ending_in(10.0):
        stream.write(b"x", 4.0)
        now = 108.0
        stream.read(1, 4.0)
        stream.read(1, None)
        assert inner.allowed == [4.0, 2.0, 2.0]
        now = 110.0
        with pytest.raises(httpcore.ReadTimeout):
            stream.read(1, 4.0)
        with pytest.raises(httpcore.WriteTimeout):
            stream.write(b"x", 4.0)
    assert len(inner.allowed) == 3


def test_the_encrypted_address_comes_first_and_the_plain_one_is_never_asked(
    client_of: Of, encrypted: TushareServer, server: TushareServer, trusting: ssl.SSLContext
) -> None:
    client = client_of(encrypted, addresses=[encrypted.url, server.url], ssl_context=trusting)
    assert is_rows(client)
    assert is_rows(client)
    assert (encrypted.requests["daily"], encrypted.connections, server.connections) == (2, 1, 0)


def test_without_an_encrypted_address_the_plain_one_is_asked_and_kept(client_of: Of, server: TushareServer) -> None:
    # https is tried first and finds a server that does not speak it.
    client = client_of(server, addresses=addresses_of(server.url.removeprefix("http://")))
    assert is_rows(client)
    tried = server.connections
    assert is_rows(client)
    assert (server.requests["daily"], tried, server.connections) == (2, 2, 2)


def test_an_address_that_answers_with_a_page_makes_way_until_one_has_answered(
    client_of: Of, scripted: Start, server: TushareServer
) -> None:
    page = scripted(HttpReply(b"<html>", 404, "text/html"))
    client = client_of(server, addresses=[page.url, server.url])
    assert is_rows(client)
    assert is_rows(client)
    assert (page.requests["daily"], server.requests["daily"]) == (1, 2)


def test_an_address_that_has_answered_is_kept_when_it_fails_later(
    client_of: Of, encrypted: TushareServer, server: TushareServer, trusting: ssl.SSLContext
) -> None:
    client = client_of(encrypted, addresses=[encrypted.url, server.url], ssl_context=trusting)
    assert is_rows(client)
    encrypted.close()
    assert isinstance(client.daily_of_day(DAY), Broken)
    assert server.connections == 0


@pytest.mark.parametrize(
    "refusal", [said(40101, "您的token不对，请确认。"), said(50000, "系统繁忙")], ids=["known", "unknown"]
)
def test_a_refusal_is_an_answer_and_asks_no_other_address(
    client_of: Of, scripted: Start, server: TushareServer, refusal: HttpReply
) -> None:
    refusing = scripted(refusal)
    client_of(server, addresses=[refusing.url, server.url]).daily_of_day(DAY)
    assert (refusing.requests["daily"], server.connections) == (1, 0)


def test_a_certificate_of_another_authority_is_not_trusted(client_of: Of, encrypted: TushareServer) -> None:
    answer = client_of(encrypted).daily_of_day(DAY)
    assert isinstance(answer, Broken)
    assert answer.error.facts["stage"] == "connect"
    assert encrypted.requests.total() == 0


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        (None, DEFAULT_ADDRESSES),
        ("", DEFAULT_ADDRESSES),
        ("https://a.example/x/", ("https://a.example/x",)),
        ("http://127.0.0.1:80/dataapi", ("http://127.0.0.1:80/dataapi",)),
        ("a.example:8000", ("https://a.example:8000", "http://a.example:8000")),
    ],
)
def test_an_address_without_a_scheme_is_tried_encrypted_first(url: str | None, addresses: tuple[str, ...]) -> None:
    assert addresses_of(url) == addresses


@pytest.mark.parametrize("url", ["ftp://a.example", "https://", "://x"])
def test_what_is_no_address_is_a_matter_of_settings(url: str) -> None:
    with pytest.raises(ConfigurationError, match="TUSHARE_URL"):
        addresses_of(url)


def test_a_bare_address_is_posted_to_as_it_is(client_of: Of, server: TushareServer) -> None:
    assert is_rows(client_of(server, addresses=[server.url.removesuffix("/dataapi")]))


def test_nothing_is_left_open(client_of: Of, server: TushareServer) -> None:
    client = client_of(server)
    assert is_rows(client)
    client.close()
    before = threading.active_count()
    server.close()
    assert threading.active_count() <= before
