"""The refusal table: each text, HTTP fault and malformed body becomes its class, and none becomes an empty answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_assets.cli.exit_codes import exit_code
from stock_assets.domain.answers import Broken, ProvenEmpty, Refused, Rows, closes_gap
from stock_assets.domain.errors import (
    AnswerBroken,
    NotReady,
    Permanent,
    PointsMissing,
    RateLimited,
    RequestRefused,
    SourceError,
    SourceUnavailable,
    StockAssetsError,
    TokenRefused,
    TooManyAddresses,
    Transient,
)
from stock_assets.domain.pace import RefusalKind
from stock_assets.simulator.faults import TUSHARE_KINDS
from stock_assets.simulator.tushare_delivery import HttpReply
from stock_assets.simulator.tushare_server import TushareServer
from stock_assets.sources.tushare import replies
from stock_assets.sources.tushare.client import TushareClient
from stock_assets.sources.tushare.interfaces import DAILY
from stock_assets.sources.tushare.refusals import allowed_calls, error_for, kind_of
from stock_assets.sources.tushare.transport import Deadlines, HttpAnswer
from stock_assets_tests.sources.tushare.conftest import DAY, Scripted, said, success

Of = Callable[..., TushareClient]
Start = Callable[..., Scripted]
_DETAILS = "权限的具体详情访问：https://tushare.pro/document/1?doc_id=108。"

# Texts as they were seen on the live service, with the code that came with them.
TABLE: list[tuple[int, str, type[SourceError], RefusalKind | None, int, int | None]] = [
    (40203, "抱歉，您访问接口(income)频率超限(500次/分钟)", RateLimited, "minute", 75, 500),
    (40203, f"抱歉，您每分钟最多访问该接口200次，{_DETAILS}", RateLimited, "minute", 75, 200),
    (40203, f"抱歉，您每小时最多访问该接口1次，{_DETAILS}", RateLimited, "hour", 75, 1),
    (40203, f"抱歉，您每天最多访问该接口2次，{_DETAILS}", RateLimited, "day", 75, 2),
    (40203, "抱歉，您访问接口(stock_basic)频率超限(1次/小时)", RateLimited, "hour", 75, 1),
    (40203, "抱歉，您访问接口(stock_basic)频率超限(5次/天)", RateLimited, "day", 75, 5),
    (40203, "抱歉，您访问接口(daily)频率超限", RateLimited, "minute", 75, None),
    (40203, f"抱歉，您没有接口(fund_daily)访问权限，{_DETAILS}", PointsMissing, "permission", 77, None),
    (2002, "权限不足", PointsMissing, "permission", 77, None),
    (40203, "您的积分不够", PointsMissing, "permission", 77, None),
    (40101, "您的token不对，请确认。", TokenRefused, None, 77, None),
    (40101, "您上传Token为空", TokenRefused, None, 77, None),
    (40203, "您的IP数量超限，最大数量为2个！", TooManyAddresses, None, 77, None),
    (40203, "您的IP数量超限，最大数量为5个！", TooManyAddresses, None, 77, None),
    (40101, "请指定正确的接口名", RequestRefused, None, 69, None),
    (50101, "必填参数, ts_code", RequestRefused, None, 69, None),
    (50101, "列表个数超过限制1000个", RequestRefused, None, 69, None),
    (-2001, "系统内部错误", AnswerBroken, "other", 69, None),
    (50000, "", AnswerBroken, "other", 69, None),
]


@pytest.mark.parametrize(("code", "text", "kind", "told", "exits", "allowed"), TABLE)
def test_a_refusal_becomes_its_error_and_never_no_rows(
    client_of: Of,
    scripted: Start,
    code: int,
    text: str,
    kind: type[SourceError],
    told: RefusalKind | None,
    exits: int,
    allowed: int | None,
) -> None:
    answer = client_of(scripted(said(code, text))).daily_of_day(DAY)
    assert isinstance(answer, Refused if issubclass(kind, Permanent) else Broken)
    error = answer.error
    assert type(error) is kind
    assert error.facts["code"] == str(code)
    assert text in str(error)
    assert text in error.sentence("zh")
    assert (kind_of(error), exit_code(error), allowed_calls(error)) == (told, exits, allowed)


def test_a_refusal_without_a_text_is_still_one(client_of: Of, scripted: Start) -> None:
    answer = client_of(scripted(said(40203, None))).daily_of_day(DAY)
    assert isinstance(answer, Broken)
    assert answer.error.facts["code"] == "40203"


@given(st.text(), st.sampled_from([row[1] for row in TABLE if row[2] is RateLimited]), st.text())
def test_whatever_stands_around_it_a_rate_refusal_is_no_matter_of_permission(
    before: str, text: str, after: str
) -> None:
    assert isinstance(error_for("40203", before + text + after, api="daily"), RateLimited)


BROKEN_BODIES = {
    "nothing": b"",
    "html": b"<html><body>502</body></html>",
    "half": b'{"code": 0, "data": {"fields": ["a"], "items": [[1',
    "a list": b"[]",
    "a number": b"0",
    "null": b"null",
    "no code": b'{"data": {"fields": [], "items": []}, "msg": ""}',
    "null code": b'{"code": null, "data": {"fields": [], "items": []}}',
    "true for a code": b'{"code": false, "data": {"fields": [], "items": []}}',
    "null data": b'{"code": 0, "data": null, "msg": ""}',
    "no data": b'{"code": 0, "msg": ""}',
    "data as a list": b'{"code": 0, "data": []}',
    "null rows": b'{"code": 0, "data": {"fields": ["ts_code"], "items": null}}',
    "no rows": b'{"code": 0, "data": {"fields": ["ts_code"]}}',
    "null columns": b'{"code": 0, "data": {"fields": null, "items": []}}',
    "no columns": b'{"code": 0, "data": {"fields": [], "items": []}}',
    "numbered columns": b'{"code": 0, "data": {"fields": [1], "items": []}}',
    "short row": b'{"code": 0, "data": {"fields": ["a", "b"], "items": [[1]]}}',
    "long row": b'{"code": 0, "data": {"fields": ["a"], "items": [[1, 2]]}}',
    "null row": b'{"code": 0, "data": {"fields": ["a"], "items": [null]}}',
    "row as an object": b'{"code": 0, "data": {"fields": ["a"], "items": [{"a": 1}]}}',
    "value as a list": b'{"code": 0, "data": {"fields": ["a"], "items": [[[1]]]}}',
    "value as a truth": b'{"code": 0, "data": {"fields": ["a"], "items": [[true]]}}',
    "not utf-8": b'{"code": 0, "data": {"fields": ["a"], "items": [["\xff"]]}}',
    "very deep": b"[" * 100_000,
}


@pytest.mark.parametrize("name", BROKEN_BODIES)
def test_a_malformed_body_is_broken_and_never_no_rows(client_of: Of, scripted: Start, name: str) -> None:
    answer = client_of(scripted(HttpReply(BROKEN_BODIES[name]))).suspend_d_of_day(DAY)
    assert isinstance(answer, Broken)
    assert type(answer.error) is AnswerBroken
    assert exit_code(answer.error) == 69
    # Well-formed as far as it goes: the columns are not those that were asked for.
    if name not in {"no columns", "numbered columns"}:
        with pytest.raises(AnswerBroken):
            replies.read(HttpAnswer(200, "", BROKEN_BODIES[name]), api="suspend_d")


@pytest.mark.parametrize("status", [204, 302, 400, 401, 403, 404, 413, 429, 500, 502, 503, 504])
def test_an_http_error_is_unavailable_even_with_a_body_that_reads_well(
    client_of: Of, scripted: Start, status: int
) -> None:
    body = b"" if status == 204 else success(DAILY.fields, []).body
    answer = client_of(scripted(HttpReply(body, status))).daily_of_day(DAY)
    assert isinstance(answer, Broken)
    assert type(answer.error) is SourceUnavailable
    assert answer.error.facts["status"] == status
    assert exit_code(answer.error) == 69


FAULTS: dict[str, type[StockAssetsError]] = {
    "close": SourceUnavailable,
    "half": SourceUnavailable,
    "stall": SourceUnavailable,
    "reset": SourceUnavailable,
    "late=5": SourceUnavailable,
    "slow_drip=0.05": SourceUnavailable,
    "connect_refused": SourceUnavailable,
    "http=500": SourceUnavailable,
    "html": AnswerBroken,
    "garbage": AnswerBroken,
    "no_json": AnswerBroken,
    "no_code": AnswerBroken,
    "null_data": AnswerBroken,
    "null_rows": AnswerBroken,
    "bad_row": AnswerBroken,
    "duplicate_rows": AnswerBroken,
    "error": AnswerBroken,
    "minute": RateLimited,
    "hour": RateLimited,
    "day": RateLimited,
    "permission": PointsMissing,
    "token": TokenRefused,
    "addresses": TooManyAddresses,
    "parameters": RequestRefused,
    "empty": NotReady,
}
# Rows that look right: only what is known of the market tells that some are missing or whose they are.
UNSEEN_HERE = {"lost_rows", "half_published", "late", "not_a_number", "other_stock"}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_server_becomes_its_error(client_of: Of, server: TushareServer, fault: str) -> None:
    server.faults = fault
    answer = client_of(server, deadlines=Deadlines(0.5, 0.5, 0.8)).daily_of_day(DAY)
    assert isinstance(answer, Refused | Broken)
    assert type(answer.error) is FAULTS[fault]
    assert isinstance(answer, Broken) == isinstance(answer.error, Transient)
    assert not closes_gap(answer)
    assert sum(server.faults_done.values()) == 1


def test_every_kind_of_fault_is_in_the_table() -> None:
    assert {fault.partition("=")[0] for fault in FAULTS} | UNSEEN_HERE == set(TUSHARE_KINDS)


@pytest.mark.parametrize("kind", get_args(RefusalKind))
def test_every_kind_of_refusal_is_told_for_some_text(kind: RefusalKind) -> None:
    assert kind in {row[3] for row in TABLE}


def test_rows_of_another_stock_are_broken(client_of: Of, server: TushareServer) -> None:
    server.faults = "other_stock"
    answer = client_of(server).daily_of_code("600000.SH", DAY, DAY)
    assert isinstance(answer, Broken)
    assert "000999.SZ" in str(answer.error)


def test_no_rows_of_one_stock_are_a_proof_only_with_code_and_columns(client_of: Of, scripted: Start) -> None:
    server = scripted(success(DAILY.fields, []))
    answer = client_of(server).daily_of_code("600000.SH", DAY, DAY)
    assert isinstance(answer, ProvenEmpty)
    server.replies = [success(DAILY.fields[:-1], [])]
    assert isinstance(client_of(server).daily_of_code("600000.SH", DAY, DAY), Broken)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["code", "data", "fields", "items", "msg", "has_more", "x"]), inner, max_size=5
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_json_comes_only_code_0_with_columns_and_whole_rows_is_an_answer(value: object) -> None:
    body = json.dumps(value).encode()
    try:
        reply = replies.read(HttpAnswer(200, "application/json", body), api="daily")
    except SourceError:
        return
    assert '"code": 0' in body.decode() or '"code": "0"' in body.decode()
    assert all(len(row) == len(reply.fields) for row in reply.rows)


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False).map(str), max_size=5))
def test_numbers_keep_every_digit_as_it_was_sent(numbers: list[str]) -> None:
    cells = [number.replace("E+", "E") for number in numbers]
    body = f'{{"code": 0, "data": {{"fields": ["a"], "items": [{",".join(f"[{cell}]" for cell in cells)}]}}}}'
    reply = replies.read(HttpAnswer(200, "", body.encode()), api="daily")
    assert [row[0] for row in reply.rows] == cells


def test_null_and_empty_text_are_two_things(client_of: Of, scripted: Start) -> None:
    row = ["600000.SH", "20240614", None, "", "1.50", 1.5, 2, 3, 4, 5, 6]
    answer = client_of(scripted(success(DAILY.fields, [row]))).daily_of_day(DAY)
    assert isinstance(answer, Rows)
    assert answer.frame.row(0)[2:6] == (None, "", "1.50", "1.5")
