"""The token is in the bodies of requests and nowhere else."""

from __future__ import annotations

import copy
import io
import logging
import pickle
import traceback
from collections.abc import Callable

import pytest
import structlog

from stock_assets.domain.answers import Broken, Refused
from stock_assets.simulator.tushare_delivery import HttpReply
from stock_assets.simulator.tushare_server import TushareServer
from stock_assets.sources.tushare.client import TushareClient
from stock_assets_tests.sources.tushare.conftest import DAY, Scripted, said

Of = Callable[..., TushareClient]
Start = Callable[..., Scripted]
TOKEN = "5ec2e7" * 9


@pytest.fixture
def everything_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Return what was logged at any level, by us and by the libraries below."""
    ours = io.StringIO()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(ours), cache_logger_on_first_use=False)
    caplog.set_level(logging.DEBUG)
    for name in ("httpcore", "httpcore.http11", "httpcore.connection"):
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
        logging.getLogger(name).setLevel(logging.DEBUG)
    return lambda: ours.getvalue() + caplog.text


ECHOES = {
    "refusal": said(40101, f"您的token不对，请确认。{TOKEN}"),
    "unknown code": said(50000, f"token={TOKEN}"),
    "code": said(f"1{TOKEN}", "?"),
    "page": HttpReply(f"<html>{TOKEN}</html>".encode(), content_type="text/html"),
    "status": HttpReply(TOKEN.encode(), 500),
}


@pytest.mark.parametrize("echo", ECHOES)
def test_a_token_that_the_server_repeats_is_masked_in_errors_and_logs(
    client_of: Of, scripted: Start, everything_logged: Callable[[], str], echo: str
) -> None:
    server = scripted(ECHOES[echo])
    answer = client_of(server, token=TOKEN).daily_of_day(DAY)
    assert server.bodies[0]["token"] == TOKEN
    assert isinstance(answer, Refused | Broken)
    shown = [
        str(answer),
        repr(answer),
        str(answer.error),
        answer.error.sentence("zh"),
        repr(answer.error.facts),
        "".join(traceback.format_exception(answer.error)),
        pickle.dumps(answer.error).decode("latin-1"),
        everything_logged(),
    ]
    assert [text for text in shown if TOKEN in text] == []


@pytest.mark.parametrize("fault", ["close", "reset", "half", "garbage", "no_json", "connect_refused", "bad_row"])
def test_no_failure_shows_the_token(
    client_of: Of, server: TushareServer, everything_logged: Callable[[], str], fault: str
) -> None:
    server.faults = fault
    server.token = TOKEN
    answer = client_of(server, token=TOKEN).daily_of_day(DAY)
    assert isinstance(answer, Broken)
    cause = "".join(traceback.format_exception(answer.error))
    assert TOKEN not in cause + repr(answer) + everything_logged()
    assert "fetch" in everything_logged()


def _member(part: object, name: str) -> object:
    return None if name.startswith("__") else getattr(part, name, None)


def test_neither_the_client_nor_its_parts_show_the_token(client_of: Of, server: TushareServer) -> None:
    parts: list[object] = [client_of(server, token=TOKEN)]
    for part in parts:
        if isinstance(part, tuple):
            parts += part
        elif type(part).__module__.startswith("stock_assets"):
            parts += [
                value for name in (*vars(type(part)), *getattr(part, "__dict__", ())) if (value := _member(part, name))
            ]
    assert len(parts) > 10
    assert [type(part) for part in parts if TOKEN in repr(part) or TOKEN in str(part)] == []


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_the_token_and_its_connections_are_not_copied(
    client_of: Of, server: TushareServer, copied: Callable[[object], object]
) -> None:
    with pytest.raises(TypeError):
        copied(client_of(server))
