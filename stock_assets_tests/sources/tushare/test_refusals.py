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
from stock_assets_tests.sources.tushare.bad_answers import BODIES, STATUSES, TEXTS
from stock_assets_tests.sources.tushare.conftest import CALLS, DAY, Scripted, said, success

Of = Callable[..., TushareClient]
Start = Callable[..., Scripted]

# What each text becomes: error, what a limiter is told, exit code, calls allowed.
BECOMES: list[tuple[type[SourceError], RefusalKind | None, int, int | None]] = [
    (RateLimited, "minute", 75, 500),
    (RateLimited, "minute", 75, 200),
    (RateLimited, "minute", 75, None),
    (RateLimited, "hour", 75, 1),
    (RateLimited, "hour", 75, 1),
    (RateLimited, "day", 75, 5),
    (RateLimited, "day", 75, 2),
    (PointsMissing, "permission", 77, None),
    (PointsMissing, "permission", 77, None),
    (PointsMissing, "permission", 77, None),
    (TokenRefused, None, 77, None),
    (TokenRefused, None, 77, None),
    (TooManyAddresses, None, 77, None),
    (TooManyAddresses, None, 77, None),
    (RequestRefused, None, 69, None),
    (RequestRefused, None, 69, None),
    (RequestRefused, None, 69, None),
    (AnswerBroken, "other", 69, None),
    (AnswerBroken, "other", 69, None),
]
TABLE = [(*text, *becomes) for text, becomes in zip(TEXTS, BECOMES, strict=True)]


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
    words = text.removesuffix("。")
    assert words in str(error)
    assert words in error.sentence("zh")
    assert "。。" not in error.sentence("zh")
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


@pytest.mark.parametrize("name", BODIES)
def test_a_malformed_body_is_broken_and_never_no_rows(client_of: Of, scripted: Start, name: str) -> None:
    body = BODIES[name][1]
    answer = client_of(scripted(HttpReply(body))).suspend_d_of_day(DAY)
    assert isinstance(answer, Broken)
    assert type(answer.error) is AnswerBroken
    assert exit_code(answer.error) == 69
    # Well-formed as far as it goes: the columns are not those that were asked for.
    if name not in {"no columns", "numbered columns", "other columns"}:
        with pytest.raises(AnswerBroken):
            replies.read(HttpAnswer(200, "", body), api="suspend_d")


@pytest.mark.parametrize("status", [204, *STATUSES])
def test_an_http_error_is_unavailable_even_with_a_body_that_reads_well(
    client_of: Of, scripted: Start, status: int
) -> None:
    body = b"" if status == 204 else success(DAILY.fields, []).body
    answer = client_of(scripted(HttpReply(body, status))).daily_of_day(DAY)
    assert isinstance(answer, Broken)
    assert type(answer.error) is SourceUnavailable
    assert answer.error.facts["status"] == status
    assert exit_code(answer.error) == 69


@pytest.mark.parametrize("call", CALLS)
def test_whatever_is_asked_no_bad_answer_closes_a_gap(client_of: Of, scripted: Start, call: str) -> None:
    bad = [said(*text) for text in TEXTS] + [HttpReply(b"{}", status) for status in STATUSES]
    bad += [HttpReply(body) for _, body in BODIES.values()]
    server = scripted(*bad)
    client = client_of(server)
    for number, _ in enumerate(bad, 1):
        answer = CALLS[call](client)
        assert isinstance(answer, Refused | Broken), number
        assert exit_code(answer.error) in {69, 75, 77}
        assert server.requests.total() == number


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
    assert str(answer.error).isprintable()
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
