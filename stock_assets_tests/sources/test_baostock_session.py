"""Every way in which the official package was seen to hang, lie or keep silent; see also `test_baostock_frames`."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from stock_assets.domain.errors import (
    AccessDenied,
    AnswerBroken,
    Banned,
    QuotaExhausted,
    RequestRefused,
    SessionExpired,
    SourceUnavailable,
)
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.sources.baostock.guard import Deadlines, GuardedSocket
from stock_assets.sources.baostock.private_copy import PrivateCopy
from stock_assets.sources.baostock.session import BaoStockSession, Reply
from stock_assets.sources.baostock.verify import DAILY_FIELDS
from stock_assets_tests.sources import answers
from stock_assets_tests.sources.processes import ended_well
from stock_assets_tests.sources.scripted_server import ScriptedServer, Sent, Step, plain, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from stock_assets.simulator.market import SimulatedMarket

    OpenSession = Callable[..., BaoStockSession]

K_DATA = "query_history_k_data_plus"
HASTY = Deadlines(connect_seconds=1.0, idle_seconds=0.2, total_seconds=1.0, close_seconds=0.3)
DATES = {"start_date": "2024-01-01", "end_date": "2024-01-10"}


def k_data(session: BaoStockSession, code: str = answers.CODE, start: str = "2010-01-01") -> Reply:
    return session.call(
        K_DATA,
        code=code,
        fields=",".join(DAILY_FIELDS),
        start_date=start,
        end_date="2025-12-31",
        frequency="d",
        adjustflag="3",
    )


def assert_dead(session: BaoStockSession, far_end: ScriptedServer) -> None:
    """The connection is gone, and a later call neither uses it nor sends anything."""
    sent = far_end.requests.total()
    assert not session.is_usable
    with pytest.raises(SourceUnavailable):
        session.call("query_trade_dates", **DATES)
    assert far_end.requests.total() == sent
    assert far_end.wait_until_left()


@pytest.mark.parametrize(
    "step",
    [
        Sent(closes=True),
        Sent(answers.daily_of_day(answers.bars_of_day(50))[:400], closes=True),
        Sent(answers.trade_dates(["query_trade_dates", "anonymous", "1", "2000", *DATES.values()])[:60], closes=True),
    ],
    ids=["before the answer", "in a compressed answer", "in a plain answer"],
)
def test_an_answer_cut_off_by_the_server_ends_the_session(open_session: OpenSession, step: Sent) -> None:
    with ScriptedServer({"query_trade_dates": step, "query_daily_history_k_AStock": step}) as far_end:
        session = open_session(far_end)
        is_day = step.data[8:10] == b"99"
        api, arguments = (
            ("query_daily_history_k_AStock", {"date": "2026-02-05"}) if is_day else ("query_trade_dates", DATES)
        )
        started = time.monotonic()
        with pytest.raises(SourceUnavailable, match="closed before the answer"):
            session.call(api, **arguments)
        assert time.monotonic() - started < 0.6
        assert_dead(session, far_end)


def test_a_connection_closed_while_idle_is_noticed_before_anything_is_sent(open_session: OpenSession) -> None:
    with ScriptedServer({"query_trade_dates": answers.trade_dates}) as far_end:
        session = open_session(far_end)
        assert session.is_quiet
        far_end.drop_connections()
        assert far_end.wait_until_left()
        assert not session.is_quiet
        with pytest.raises(SourceUnavailable, match="while idle"):
            session.call("query_trade_dates", **DATES)
        assert far_end.requests["query_trade_dates"] == 0
        assert_dead(session, far_end)


def test_bytes_that_nobody_asked_for_end_the_session(open_session: OpenSession) -> None:
    with ScriptedServer({"query_trade_dates": answers.trade_dates}) as far_end:
        session = open_session(far_end)
        far_end.say_unasked(answers.daily_of_day(answers.bars_of_day(2)))
        time.sleep(0.05)
        with pytest.raises(SourceUnavailable, match="disturbed while idle"):
            session.call("query_trade_dates", **DATES)
        assert_dead(session, far_end)


def test_silence_ends_after_the_idle_deadline(open_session: OpenSession) -> None:
    with ScriptedServer({"query_trade_dates": Sent(pause=0.0)}) as far_end:
        session = open_session(far_end, deadlines=Deadlines(idle_seconds=0.2, total_seconds=5.0))
        started = time.monotonic()
        with pytest.raises(SourceUnavailable, match="no answer in time"):
            session.call("query_trade_dates", **DATES)
        assert 0.15 < time.monotonic() - started < 1.0
        assert_dead(session, far_end)


def test_a_slow_drip_ends_at_the_total_deadline(open_session: OpenSession) -> None:
    whole = answers.daily_of_day(answers.bars_of_day(50))
    with ScriptedServer({"query_daily_history_k_AStock": Sent(whole, pause=0.05, drop=5)}) as far_end:
        session = open_session(far_end, deadlines=Deadlines(idle_seconds=0.3, total_seconds=0.4, close_seconds=0.2))
        started = time.monotonic()
        with pytest.raises(SourceUnavailable, match=r"no (whole )?answer"):
            session.call("query_daily_history_k_AStock", date="2026-02-05")
        assert 0.35 < time.monotonic() - started < 1.0
        assert_dead(session, far_end)


def test_a_refused_connection_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(SourceUnavailable, match=r"(?i)refused"):
        BaoStockSession(host="127.0.0.1", port=port).login()


def test_a_name_that_cannot_be_resolved_is_said_within_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_arguments: object, **_options: object) -> list[Any]:
        time.sleep(0.5)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    session = BaoStockSession(host="unknown.invalid", deadlines=Deadlines(connect_seconds=0.1))
    started = time.monotonic()
    with pytest.raises(SourceUnavailable, match="not resolved in time"):
        session.login()
    assert time.monotonic() - started < 0.4


def test_a_later_address_of_the_host_is_tried(monkeypatch: pytest.MonkeyPatch, open_session: OpenSession) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed_port = listener.getsockname()[1]
    with ScriptedServer({}) as far_end:
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in (closed_port, far_end.port)
        ]

        def resolve(*_arguments: object, **_options: object) -> list[Any]:
            return found

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        assert open_session(far_end).is_usable


def test_a_late_answer_never_reaches_the_next_request(open_session: OpenSession) -> None:
    late = Sent(answers.daily_of_day(answers.bars_of_day(3)), pause=0.4)
    with ScriptedServer({"query_daily_history_k_AStock": [late, answers.daily_of_day([])]}) as far_end:
        session = open_session(far_end, deadlines=HASTY)
        with pytest.raises(SourceUnavailable):
            session.call("query_daily_history_k_AStock", date="2026-02-05")
        time.sleep(0.3)
        with pytest.raises(SourceUnavailable):
            session.call("query_daily_history_k_AStock", date="2026-02-06")
        assert far_end.requests["query_daily_history_k_AStock"] == 1


@pytest.mark.parametrize(
    ("second_page", "sentence"),
    [
        (Sent(closes=True), "closed before"),
        (Sent(pause=0.0), "no answer in time"),
        (refusal("10005001", "系统级别错误"), "10005001"),
        (refusal("10001001", "用户未登录"), "no longer logged in"),
        (b"garbage of some length" * 3 + b"<![CDATA[]]>\n", "the bytes are no frame"),
    ],
    ids=["closed", "silent", "error", "not logged in", "garbage"],
)
def test_a_lost_page_is_told_with_the_rows_that_came(
    open_session: OpenSession, second_page: Step, sentence: str
) -> None:
    right = answers.paged(answers.bars_of_code(4500))

    def answer(body: list[str]) -> Step:
        return right(body) if body[2] == "1" else second_page

    with ScriptedServer({K_DATA: answer}) as far_end:
        reply = k_data(open_session(far_end, deadlines=HASTY))
        assert len(reply.rows) == 2000
        assert reply.lost is not None
        assert sentence in str(reply.lost)


def test_a_server_that_lowers_the_page_size_is_noticed(open_session: OpenSession) -> None:
    right = answers.paged(answers.bars_of_code(1200), page_rows=500)
    with ScriptedServer({"query_history_k_data_plus": right}) as far_end:
        reply = k_data(open_session(far_end))
        assert len(reply.rows) == 500
        assert isinstance(reply.lost, AnswerBroken)


def test_a_server_that_ignores_the_page_is_not_asked_for_ever(open_session: OpenSession) -> None:
    right = answers.paged(answers.bars_of_code(2000))

    def first_page(body: list[str]) -> Step:
        return right([*body[:2], "1", *body[3:]])

    def first_rows_as_another_page(body: list[str]) -> Step:
        return right([*body[:2], "1", *body[3:]], page=body[2])

    for answer in (first_page, first_rows_as_another_page):
        with ScriptedServer({K_DATA: answer}) as far_end:
            reply = k_data(open_session(far_end))
            assert len(reply.rows) == 2000
            assert isinstance(reply.lost, AnswerBroken)
            assert far_end.requests[K_DATA] == 2


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (1, 1), (1999, 1), (2000, 2), (2001, 2), (4000, 3), (4889, 3)])
def test_pages_are_read_to_the_end(open_session: OpenSession, count: int, requests: int) -> None:
    rows = answers.bars_of_code(count)
    with ScriptedServer({"query_history_k_data_plus": answers.paged(rows)}) as far_end:
        reply = k_data(open_session(far_end))
        assert (reply.rows, reply.lost) == (rows, None)
        assert far_end.requests["query_history_k_data_plus"] == requests


@pytest.mark.parametrize("count", [1999, 2000, 2001, 4000])
def test_a_market_day_is_never_paged(open_session: OpenSession, count: int) -> None:
    rows = answers.bars_of_day(count)
    with ScriptedServer({"query_daily_history_k_AStock": answers.daily_of_day(rows)}) as far_end:
        reply = open_session(far_end).call("query_daily_history_k_AStock", date="2026-02-05")
        assert (reply.rows, reply.lost) == (rows, None)
        assert [body[2] for body in far_end.bodies if body[0] == "query_daily_history_k_AStock"] == ["2026-02-05"]


def test_two_threads_on_one_session_never_get_each_others_answers(
    market: SimulatedMarket, open_session: OpenSession
) -> None:
    codes = [row[1] for row in market.daily_bars(market.last_session)[:2]]
    wrong: list[str] = []
    with BaoStockServer(market, latency_seconds=0.002) as far_end:
        session = open_session(far_end)

        def ask(code: str) -> None:
            for _ in range(20):
                wrong.extend(row[1] for row in k_data(session, code).rows if row[1] != code)

        threads = [threading.Thread(target=ask, args=(code,)) for code in codes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_cannot_use_the_parents_session(open_session: OpenSession) -> None:
    with ScriptedServer({"query_trade_dates": answers.trade_dates}) as far_end:
        session = open_session(far_end)
        child = os.fork()
        if child == 0:
            is_right = False
            try:
                session.call("query_trade_dates", **DATES)
            except SourceUnavailable:
                is_right = not session.is_usable
                session.close()
            finally:
                # Whatever happened: the child must never go on as a second test run.
                os._exit(0 if is_right else 1)
        assert ended_well(child)
        assert (far_end.requests["query_trade_dates"], far_end.requests["logout"]) == (0, 0)
        assert session.call("query_trade_dates", **DATES).rows


@pytest.mark.parametrize("api", ["query_trade_dates", "query_hs300_stocks"])
def test_without_a_login_nothing_is_sent(api: str) -> None:
    with ScriptedServer({}) as far_end:
        session = BaoStockSession(host=far_end.host, port=far_end.port)
        with pytest.raises(SessionExpired):
            session.call(api)
        assert far_end.connections == 0


def test_an_argument_that_the_package_refuses_with_none_is_an_error(open_session: OpenSession) -> None:
    with ScriptedServer({}) as far_end:
        session = open_session(far_end)
        with pytest.raises(RequestRefused, match="日期格式不正确"):
            k_data(session, start="2024-1-x")
        assert session.is_usable


@pytest.mark.parametrize(
    ("code", "error"),
    [("10001011", Banned), ("10001002", AccessDenied), ("10005001", SourceUnavailable)],
)
def test_a_failed_login_leaves_no_connection(code: str, error: type[Exception]) -> None:
    with ScriptedServer({"login": refusal(code), "query_trade_dates": answers.trade_dates}) as far_end:
        session = BaoStockSession(host=far_end.host, port=far_end.port)
        with pytest.raises(error):
            session.login()
        with pytest.raises((SessionExpired, SourceUnavailable)):
            session.call("query_trade_dates", **DATES)
        assert far_end.wait_until_left()
        assert far_end.requests == {"login": 1}


def test_a_forgotten_login_ends_the_session(open_session: OpenSession) -> None:
    with ScriptedServer({"query_trade_dates": refusal("10001001", "用户未登录")}) as far_end:
        session = open_session(far_end)
        with pytest.raises(SessionExpired):
            session.call("query_trade_dates", **DATES)
        assert not session.is_usable


def test_what_the_package_cannot_parse_is_a_broken_answer(open_session: OpenSession) -> None:
    head = ("0", "success", "query_trade_dates", "anonymous", "1", "2000")
    spoiled = plain("34", *head, '{"record":[["2024-01-01"', *DATES.values(), "calendar_date, is_trading_day")
    with ScriptedServer({"query_trade_dates": spoiled}) as far_end:
        session = open_session(far_end)
        with pytest.raises(AnswerBroken, match="cannot be read"):
            session.call("query_trade_dates", **DATES)
        assert not session.is_usable


def test_every_frame_asks_the_hook_first_and_a_refusal_sends_nothing(open_session: OpenSession) -> None:
    asked: list[str] = []

    def hook(api: str) -> None:
        asked.append(api)
        if asked[-3:] == [K_DATA] * 3:
            raise QuotaExhausted(source="baostock", day="2026-02-05", limit=2)

    with ScriptedServer({"query_history_k_data_plus": answers.paged(answers.bars_of_code(4500))}) as far_end:
        session = open_session(far_end, before_request=hook)
        reply = k_data(session)
        assert isinstance(reply.lost, QuotaExhausted)
        assert session.is_usable
        session.close()
        assert asked == ["login", *["query_history_k_data_plus"] * 3, "logout"]
        assert far_end.requests == {"login": 1, "query_history_k_data_plus": 2, "logout": 1}


def test_a_login_that_the_hook_refuses_does_not_even_connect() -> None:
    def hook(_api: str) -> None:
        raise Banned(source="baostock", until="tomorrow")

    with ScriptedServer({}) as far_end:
        with pytest.raises(Banned):
            BaoStockSession(host=far_end.host, port=far_end.port, before_request=hook).login()
        assert far_end.connections == 0


@pytest.mark.parametrize(
    "step", [Sent(), Sent(closes=True), refusal("10001010")], ids=["silent", "closing", "refusing"]
)
def test_closing_is_short_and_never_raises(open_session: OpenSession, step: Step) -> None:
    with ScriptedServer({"logout": step}) as far_end:
        session = open_session(far_end, deadlines=Deadlines(close_seconds=0.2))
        started = time.monotonic()
        session.close()
        session.close()
        assert time.monotonic() - started < 0.6
        assert far_end.wait_until_left()
        assert far_end.requests["logout"] == 1


def test_an_interrupted_answer_ends_the_connection(open_session: OpenSession, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer({"query_trade_dates": answers.trade_dates}) as far_end:
        session = open_session(far_end)

        def interrupted(*_arguments: object) -> bytes:
            raise KeyboardInterrupt

        monkeypatch.setattr(GuardedSocket, "_chunk", interrupted)
        with pytest.raises(KeyboardInterrupt):
            session.call("query_trade_dates", **DATES)
        monkeypatch.undo()
        assert_dead(session, far_end)


def test_nothing_is_printed(open_session: OpenSession, capfd: pytest.CaptureFixture[str]) -> None:
    whole = answers.trade_dates(["query_trade_dates", "anonymous", "1", "2000", *DATES.values()])
    with ScriptedServer({"query_trade_dates": [whole, Sent(closes=True)]}) as far_end:
        session = open_session(far_end)
        session.call("query_trade_dates", **DATES)
        with pytest.raises(SourceUnavailable):
            session.call("query_trade_dates", **DATES)
    with pytest.raises(SourceUnavailable):
        open_session(far_end)
    assert capfd.readouterr() == ("", "")


def test_copies_share_nothing_and_leave_no_trace() -> None:
    before = {name for name in sys.modules if name.partition(".")[0] in {"baostock", "pandas"}}
    one, other = PrivateCopy(), PrivateCopy()
    name = "baostock.common.context"
    assert one.module(name) is not other.module(name)
    vars(one.module(name))["user_id"] = "somebody"
    assert "user_id" not in vars(other.module(name))
    assert before == {name for name in sys.modules if name.partition(".")[0] in {"baostock", "pandas"}}


KEY = "bs-" + "0" * 29 + "0"


def test_a_key_is_sent_to_the_key_holders_host_and_shown_nowhere(open_session: OpenSession) -> None:
    with ScriptedServer({"query_trade_dates": refusal("10001015", f"key {KEY} may not")}) as far_end:
        session = open_session(far_end, api_key=KEY)
        assert far_end.bodies[0][3] == KEY
        with pytest.raises(AccessDenied) as caught:
            session.call("query_trade_dates", **DATES)
        assert KEY not in repr(session) + str(caught.value) + repr(caught.value.facts)
        assert "***" in str(caught.value)


def test_a_key_chooses_the_host_by_the_packages_own_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(host: str, *_arguments: object, **_options: object) -> None:
        asked.append(host)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for key in (KEY, None):
        with pytest.raises(SourceUnavailable, match="cannot be resolved"):
            BaoStockSession(api_key=key).login()
    assert asked == ["vip-api.baostock.com", "public-api.baostock.com"]


def test_a_malformed_key_is_refused_before_it_is_sent() -> None:
    with ScriptedServer({}) as far_end:
        with pytest.raises(AccessDenied):
            BaoStockSession(host=far_end.host, port=far_end.port, api_key="bs-short").login()
        assert far_end.connections == 0
