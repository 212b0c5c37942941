"""Questions in, whole answers out: what was cut off is asked again more narrowly, and nothing is lost on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stock_assets.domain.answers import Answer, Broken, ProvenEmpty, Refused, Rows, Truncated
from stock_assets.domain.errors import AnswerBroken, NotReady, RateLimited, RequestRefused, SourceUnavailable
from stock_assets.domain.pace import RefusalKind
from stock_assets.simulator.tushare_base import SERVICES
from stock_assets.simulator.tushare_server import TushareServer
from stock_assets.sources.tushare import interfaces
from stock_assets.sources.tushare.client import TushareClient
from stock_assets.sources.tushare.interfaces import DAILY, INTERFACES
from stock_assets.sources.tushare.limits import NoLimiter
from stock_assets.sources.tushare.questions import windows
from stock_assets_tests.sources.tushare.conftest import CALLS, CODE, DAY, FIRST, LAST, YEAR_END, Scripted, said, success

Of = Callable[..., TushareClient]
Start = Callable[..., Scripted]


class HeardLimiter(NoLimiter):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []

    def before_request(self, source: str, api: str) -> None:
        self.heard.append(("before", source, api))

    def record_refusal(self, source: str, api: str, kind: RefusalKind, *, limit: int | None = None) -> None:
        self.heard.append((kind, source, api, limit))

    def record_success(self, source: str, api: str) -> None:
        self.heard.append(("success", source, api))


def rows_of(answer: Answer) -> pl.DataFrame:
    assert isinstance(answer, Rows), answer
    return answer.frame


@pytest.mark.parametrize("name", CALLS)
def test_every_call_brings_text_in_all_the_columns_of_its_interface(
    client_of: Of, server: TushareServer, name: str
) -> None:
    answer = CALLS[name](client_of(server))
    frame = rows_of(answer)
    (api,) = server.requests
    assert frame.columns == list(INTERFACES[api].fields) == list(SERVICES[api].fields)
    assert set(frame.dtypes) == {pl.String()}
    assert answer.cost.requests == server.requests[api]


@pytest.mark.parametrize("name", [name for name in CALLS if INTERFACES[name.split()[0]].cap])
def test_an_answer_that_was_cut_off_is_whole_in_the_end_and_never_paged_where_pages_are_unsound(
    client_of: Of, server: TushareServer, name: str
) -> None:
    whole = rows_of(CALLS[name](client_of(server)))
    api = name.split(maxsplit=1)[0]
    asked = server.requests[api]
    server.caps = {api: max(8, whole.height // 3)}
    if api != "disclosure_date":
        server.unstable_paging = frozenset({api})
    split = rows_of(CALLS[name](client_of(server, caps=server.caps)))
    assert server.requests[api] - asked > 1
    assert Counter(split.rows()) == Counter(whole.rows())


def test_a_market_day_beyond_the_cap_costs_one_more_request_and_a_list_of_codes(
    client_of: Of, server: TushareServer
) -> None:
    whole = rows_of(client_of(server).daily_of_day(DAY))
    server.requests.clear()
    server.caps = {"daily": whole.height - 5}
    client = client_of(server, caps=server.caps)
    first = client.daily_of_day(DAY)
    client.daily_of_day(DAY - timedelta(days=1))
    assert set(rows_of(first).rows()) == set(whole.rows())
    assert first.cost.requests == 3
    assert server.requests == {"daily": 4, "stock_basic": 1}


def test_rows_in_the_number_of_the_cap_are_not_taken_for_all_whatever_the_answer_says(
    client_of: Of, scripted: Start
) -> None:
    row = [CODE, f"{DAY:%Y%m%d}", 1, 1, 1, 1, 1, 0, 0, 1, 1]
    server = scripted(success(DAILY.fields, [row], has_more=False))
    answer = client_of(server, caps={"daily": 1}).daily_of_code(CODE, DAY, DAY)
    assert isinstance(answer, Truncated)
    assert answer.frame.height == 1


def test_a_cap_that_has_shrunk_is_seen_by_the_answers_own_word(client_of: Of, server: TushareServer) -> None:
    whole = rows_of(client_of(server).daily_of_code(CODE, FIRST, LAST))
    server.caps = {"daily": 100}
    assert rows_of(client_of(server).daily_of_code(CODE, FIRST, LAST)).rows() == whole.rows()


def test_a_list_that_an_interface_does_not_honour_is_found_out(client_of: Of, server: TushareServer) -> None:
    whole = rows_of(client_of(server).daily_of_day(DAY))
    deaf = {"daily": replace(SERVICES["daily"], takes_lists=False)}
    server.caps = {"daily": whole.height - 5}
    with patch.dict("stock_assets.simulator.tushare_answers.SERVICES", deaf):
        answer = client_of(server, caps=server.caps).daily_of_day(DAY)
    assert isinstance(answer, Broken)
    assert "lists of codes" in str(answer.error)


def test_rows_that_a_narrower_answer_has_lost_are_found_out(client_of: Of, server: TushareServer) -> None:
    # The first answer is cut off and whole as far as it goes; the later ones have lost a tenth.
    server.faults = "lost_rows:fina_indicator:%2"
    server.caps = {"fina_indicator": 20}
    answer = client_of(server, caps=server.caps).fina_indicator(CODE, FIRST, LAST)
    assert isinstance(answer, Broken)
    assert "narrower" in str(answer.error)


def test_pages_that_do_not_hold_together_are_broken(client_of: Of, server: TushareServer) -> None:
    server.unstable_paging = frozenset({"disclosure_date"})
    server.caps = {"disclosure_date": 10}
    answer = client_of(server, caps=server.caps).disclosure_date(YEAR_END)
    assert isinstance(answer, Broken)
    assert "two pages" in str(answer.error)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(cap=st.integers(1, 60), back=st.integers(1, 250))
def test_whatever_the_cap_a_stocks_history_is_whole_and_newest_first(
    client_of: Of, server: TushareServer, cap: int, back: int
) -> None:
    start = LAST - timedelta(days=back)
    server.caps = {}
    whole = rows_of(client_of(server).adj_factor_of_code(CODE, start, LAST))
    server.caps = {"adj_factor": cap}
    answer = client_of(server, caps=server.caps).adj_factor_of_code(CODE, start, LAST)
    if cap == 1:
        # A single row is as many as one day may have: nothing can show that no other exists.
        assert isinstance(answer, Truncated)
        return
    assert rows_of(answer).rows() == whole.rows()


@given(start=st.dates(date(1990, 1, 1), date(2030, 1, 1)), length=st.integers(-3, 9000), days=st.integers(1, 4000))
def test_windows_cover_every_day_once_newest_first(start: date, length: int, days: int) -> None:
    end = start + timedelta(days=length)
    found = windows(start, end, days)
    assert all((last - first).days < days for first, last in found)
    covered = [
        first + timedelta(days=ahead) for first, last in reversed(found) for ahead in range((last - first).days + 1)
    ]
    assert covered == [start + timedelta(days=ahead) for ahead in range(max(length + 1, 0))]


def test_an_empty_market_day_is_not_ready_and_proves_nothing(client_of: Of, server: TushareServer) -> None:
    server.last_ready_day = DAY - timedelta(days=1)
    for answer in (client_of(server).daily_of_day(DAY), client_of(server).daily_basic_of_day(DAY)):
        assert isinstance(answer, Refused)
        assert isinstance(answer.error, NotReady)
    server.last_factor_day = DAY
    rows_of(client_of(server).adj_factor_of_day(DAY))


def test_a_stock_without_rows_and_a_day_without_suspensions_are_proven_empty(
    client_of: Of, server: TushareServer
) -> None:
    client = client_of(server)
    assert isinstance(client.daily_of_code("600999.SH", FIRST, LAST), ProvenEmpty)
    assert isinstance(client.suspend_d_of_day(date(2024, 6, 15)), ProvenEmpty)
    assert isinstance(client.fina_indicator(CODE, date(2024, 1, 1), date(2024, 1, 2)), ProvenEmpty)


@pytest.mark.parametrize("code", ["920748.SH", "600000", "sh.600000", "000300.SH", "", "600000.SH,000001.SZ"])
def test_a_code_of_no_exchange_is_refused_here_because_the_source_would_say_that_it_has_nothing(
    client_of: Of, server: TushareServer, code: str
) -> None:
    client = client_of(server)
    for answer in (client.daily_of_code(code, FIRST, LAST), client.fina_indicator([CODE, code], FIRST, LAST)):
        assert isinstance(answer, Refused)
        assert isinstance(answer.error, RequestRefused)
    assert server.connections == 0


def test_a_market_without_stocks_is_broken(client_of: Of, server: TushareServer) -> None:
    server.faults = "empty"
    assert isinstance(client_of(server).stock_basic(), Broken)


def test_a_calendar_with_a_hole_is_broken(client_of: Of, server: TushareServer) -> None:
    server.faults = "lost_rows:trade_cal"
    assert isinstance(client_of(server).trade_cal(FIRST, LAST), Broken)


def test_what_may_pass_is_tried_again_and_what_is_refused_is_not(client_of: Of, server: TushareServer) -> None:
    server.faults = "http=502:daily:1,reset:daily:2"
    client = client_of(server, attempts=3)
    answer = client.daily_of_day(DAY)
    rows_of(answer)
    assert (server.requests["daily"], answer.cost.requests) == (3, 3)
    server.faults = "permission"
    client.daily_of_day(DAY)
    assert server.requests["daily"] == 4


def test_the_limiter_is_asked_before_every_request_and_hears_how_it_ended(client_of: Of, server: TushareServer) -> None:
    limiter = HeardLimiter()
    server.faults = "http=502:daily:1,minute:daily:2"
    rows_of(client_of(server, attempts=3, limiter=limiter).daily_of_day(DAY))
    before = ("before", "tushare", "daily")
    assert limiter.heard == [
        before,
        ("other", "tushare", "daily", None),
        before,
        ("minute", "tushare", "daily", 1),
        before,
        ("success", "tushare", "daily"),
    ]


@pytest.mark.parametrize("fault", ["token", "addresses", "parameters"])
def test_a_refusal_of_the_token_or_the_request_says_nothing_about_the_pace(
    client_of: Of, server: TushareServer, fault: str
) -> None:
    limiter = HeardLimiter()
    server.faults = fault
    assert isinstance(client_of(server, attempts=3, limiter=limiter).daily_of_day(DAY), Refused)
    assert limiter.heard == [("before", "tushare", "daily")]


@pytest.mark.parametrize(
    ("fault", "requests"), [("minute", 3), ("hour", 1), ("day", 1), ("permission", 1), ("token", 1)]
)
def test_only_a_minutes_limit_is_asked_again_and_only_behind_a_limiter(
    client_of: Of, server: TushareServer, fault: str, requests: int
) -> None:
    server.faults = fault
    assert isinstance(client_of(server, attempts=5, limiter=HeardLimiter()).daily_of_day(DAY), Refused)
    assert server.requests["daily"] == requests
    assert isinstance(client_of(server, attempts=5).daily_of_day(DAY), Refused)
    assert server.requests["daily"] == requests + 1


def test_a_limiter_that_will_not_wait_is_obeyed_at_once_and_nothing_is_sent(
    client_of: Of, server: TushareServer
) -> None:
    class Closed(HeardLimiter):
        def before_request(self, source: str, api: str) -> None:
            super().before_request(source, api)
            raise RateLimited(source=source, api=api, period="minute", reason="closed")

    limiter = Closed()
    answer = client_of(server, limiter=limiter).daily_of_day(DAY)
    assert isinstance(answer, Refused)
    assert isinstance(answer.error, RateLimited)
    assert limiter.heard == [("before", "tushare", "daily")]
    assert server.connections == 0


def test_a_source_that_is_not_there_is_unavailable_and_nothing_is_counted(client_of: Of, server: TushareServer) -> None:
    client = client_of(server, attempts=2)
    server.close()
    answer = client.daily_of_day(DAY)
    assert isinstance(answer, Broken)
    assert isinstance(answer.error, SourceUnavailable)
    assert answer.cost.requests == 0


def test_all_fields_are_named_so_that_hidden_ones_come_too(client_of: Of, scripted: Start) -> None:
    server = scripted(said(50101, "必填参数, ts_code"))
    client_of(server).fina_indicator(CODE, FIRST, LAST)
    fields = server.bodies[0]["fields"].split(",")
    assert len(fields) == len(set(fields)) == 167
    assert {"q_profit_yoy", "inv_turn", "rd_exp", "update_flag"} <= set(fields)


def test_a_row_that_comes_twice_is_broken_but_two_versions_of_a_report_are_not(
    client_of: Of, server: TushareServer
) -> None:
    server.faults = "duplicate_rows"
    assert isinstance(client_of(server).adj_factor_of_day(DAY), Broken)
    rows_of(client_of(server).fina_indicator(CODE, FIRST, LAST))


def test_caps_are_those_that_the_made_up_server_has() -> None:
    assert {name: interface.cap for name, interface in INTERFACES.items()} == {
        name: service.cap for name, service in SERVICES.items()
    }
    assert interfaces.FINA_INDICATOR.fields == interfaces.FINA_INDICATOR_VIP.fields


def test_an_answer_of_other_columns_is_broken(client_of: Of, scripted: Start) -> None:
    answer = client_of(scripted(success([*DAILY.fields, "more"], []))).suspend_d_of_day(DAY)
    assert isinstance(answer, Broken)
    assert isinstance(answer.error, AnswerBroken)
