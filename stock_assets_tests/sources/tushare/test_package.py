"""The official package makes our requests, and it is otherwise left alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import tushare
from hypothesis import given
from hypothesis import strategies as st

from stock_assets.sources.tushare.package import data_api
from stock_assets.sources.tushare.transport import HttpAnswer
from stock_assets_tests.sources.tushare.conftest import Scripted, said

Start = Callable[..., Scripted]
URL = "http://127.0.0.1:1/dataapi"


def official(url: str) -> Any:  # noqa: ANN401 - the package has no types
    """Return the package's own client, sent to another address."""
    pro: Any = tushare.pro_api("tok")
    pro._DataApi__http_url = url
    return pro


def made_here(api: str, fields: str, params: Mapping[str, Any]) -> tuple[str, Mapping[str, object]]:
    return data_api("tok", URL, lambda url, body: (url, body))(api, fields, **params)


def made_by_the_package(
    monkeypatch: pytest.MonkeyPatch, api: str, fields: str, params: Mapping[str, Any]
) -> tuple[str, Mapping[str, object]]:
    sent: list[tuple[str, Mapping[str, object]]] = []

    def post(url: str, *, json: Mapping[str, object], timeout: float) -> None:
        assert timeout == 30
        sent.append((url, json))

    monkeypatch.setattr("tushare.pro.client.requests.post", post)
    official(URL).query(api, fields, **params)
    return sent[0]


@given(
    st.sampled_from(["daily", "fina_indicator"]),
    st.sampled_from(["", "ts_code,close"]),
    st.dictionaries(st.sampled_from(["ts_code", "trade_date", "limit"]), st.none() | st.text(max_size=8)),
)
def test_a_request_is_the_packages_own(api: str, fields: str, params: dict[str, str | None]) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert made_here(api, fields, params) == made_by_the_package(monkeypatch, api, fields, params)


def test_the_bytes_on_the_wire_hold_the_packages_body_and_path(scripted: Start) -> None:
    server = scripted(said(0, "", {"fields": [], "items": []}))
    official(server.url).daily(trade_date="20240105", fields="ts_code")
    from stock_assets.sources.tushare.transport import Deadlines, Transport

    transport = Transport(Deadlines())

    def post(url: str, body: Mapping[str, object]) -> HttpAnswer:
        return transport.post(url, json.dumps(body).encode(), api="daily")

    data_api("tok", server.url, post)("daily", "ts_code", trade_date="20240105")
    transport.close()
    assert server.bodies[0] == server.bodies[1]


def test_our_client_imports_neither_the_package_nor_what_it_drags_along() -> None:
    code = (
        "import sys, stock_assets.sources.tushare.client;"
        "from stock_assets.sources.tushare.package import data_api;"
        "print(data_api('t', 'http://x', lambda u, b: u)('daily', ''));"
        "print(sorted({'tushare', 'pandas', 'requests', 'bs4', 'lxml'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == ["http://x/daily", "[]"]


def test_two_accounts_do_not_share_anything() -> None:
    def body_only(_url: str, body: Mapping[str, object]) -> Mapping[str, object]:
        return body

    one, two = data_api("one", URL, body_only), data_api("two", "http://other", body_only)
    assert [one("daily")["token"], two("daily")["token"], one("daily")["token"]] == ["one", "two", "one"]
    assert two("daily")["params"] == {"ts_type_name": "http://other"}


def test_what_the_transport_raises_passes_through() -> None:
    def fail(_url: str, _body: Mapping[str, object]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        data_api("t", URL, fail)("daily")
