import contextlib
import socket
import threading
import time
from datetime import date
from types import ModuleType

import pytest

from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.base import BAR_FIELDS, FACTOR_FIELDS
from stock_assets.simulator.market import SimulatedMarket
from stock_assets.simulator.wire import decode_response, decode_rows
from stock_assets_tests.simulator.official_client import rows_of
from stock_assets_tests.simulator.raw_client import RawClient

DAY, LAST = date(2024, 1, 2), date(2024, 12, 20)
FOREVER = date(2030, 1, 1)

# The official client leaves sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def test_the_official_client_reads_a_whole_market_day(client: ModuleType, market: SimulatedMarket) -> None:
    result = client.query_daily_history_k_AStock(DAY.isoformat())
    assert rows_of(result) == list(market.daily_bars(DAY))
    assert result.fields == list(BAR_FIELDS)


def test_the_official_client_reads_a_whole_life_over_many_pages(
    client: ModuleType, market: SimulatedMarket, server: BaoStockServer
) -> None:
    for adjust in ("1", "2", "3"):
        result = client.query_history_k_data_plus(
            "sh.600000", ",".join(BAR_FIELDS), "1990-01-01", "2024-12-31", "d", adjust
        )
        rows = rows_of(result)
        assert rows == list(market.stock_bars("sh.600000", adjust, date(1990, 1, 1), LAST, LAST))
        assert len(rows) > 8000
    assert server.requests["query_history_k_data_plus"] == 3 * (len(rows) // 2000 + 1)


def test_exactly_full_pages_cost_one_more_request(
    client: ModuleType, market: SimulatedMarket, server: BaoStockServer
) -> None:
    days = [row[0] for row in market.stock_bars("sh.600000", "3", date(1995, 1, 1), LAST, LAST)[:4000]]
    result = client.query_history_k_data_plus("sh.600000", "date", days[0], days[-1], "d", "3")
    assert rows_of(result) == [[day] for day in days]
    assert server.requests["query_history_k_data_plus"] == 3


def test_the_official_client_reads_the_fields_it_asks_for_in_its_order(
    client: ModuleType, market: SimulatedMarket
) -> None:
    result = client.query_history_k_data_plus("sh.600000", "code, close,date", "2024-01-01", "2024-01-31")
    expected = market.stock_bars("sh.600000", "3", date(2024, 1, 1), date(2024, 1, 31), LAST)
    assert rows_of(result) == [[row[1], row[5], row[0]] for row in expected]


def test_the_official_client_reads_calendar_lists_and_factors(client: ModuleType, market: SimulatedMarket) -> None:
    start, end = date(2020, 1, 1), date(2024, 3, 31)
    assert rows_of(client.query_trade_dates("2020-01-01", "2024-03-31")) == list(market.trade_dates(start, end))
    assert rows_of(client.query_all_stock("2024-01-02")) == list(market.all_stock(DAY))
    assert rows_of(client.query_stock_basic()) == list(market.stock_basic(LAST))
    basic = market.stock_basic(LAST)
    assert rows_of(client.query_stock_basic(code="sh.600000")) == [row for row in basic if row[0] == "sh.600000"]
    assert rows_of(client.query_stock_basic(code_name="银行")) == [row for row in basic if "银行" in row[1]]
    factors = client.query_adjust_factor("sh.600000", "2015-01-01", "2024-12-31")
    assert rows_of(factors) == [row for row in market.adjust_factors("sh.600000", LAST) if row[1] >= "2015-01-01"]
    assert factors.fields == list(FACTOR_FIELDS)
    ex_date = market.adjust_factors("sh.600000", LAST)[-1][1]
    by_day = client.query_daily_adjust_factor(ex_date)
    assert rows_of(by_day) == list(market.daily_adjust_factors(date.fromisoformat(ex_date), LAST))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_trade_date_answer_has_every_calendar_day(sessions: list[date], seed: int) -> None:
    rows = SimulatedMarket(seed, 20, sessions=sessions).trade_dates(date(2024, 1, 1), date(2025, 12, 31))
    assert len(rows) == (sessions[-1] - date(2024, 1, 1)).days + 1
    assert sum(row[1] == "1" for row in rows) == sum(day >= date(2024, 1, 1) for day in sessions)


def test_refusals_have_the_real_servers_codes(server: BaoStockServer) -> None:
    with RawClient(server) as raw:
        assert raw.ask("71", "query_st_stocks", "anonymous", "1", "10000").parts == ("10004020", "错误的消息类型")
        assert raw.ask("35", "query_all_stock", "anonymous").parts == ("10004006", "请求参数个数不正确")
        assert raw.ask_calendar("2024-02-01", "2024-01-01").parts[0] == "10004009"
        assert raw.ask_calendar("20240101", "2024-01-01").parts[0] == "10004007"
        assert raw.ask_day("2").parts[0] == "10004010"
        start, end = "2024-01-01", "2024-01-31"
        for fields, frequency, adjust in (("date,nothing", "d", "3"), ("date", "d", "9"), ("date", "5", "3")):
            asked = ("1", "2000", "sh.600000", fields, start, end, frequency, adjust)
            assert raw.ask("95", "query_history_k_data_plus", "anonymous", *asked).parts[0] == "10004012"
        raw.socket.sendall(b"nonsense\n")
        assert decode_response(raw.receive()).parts[0] == "10004019"


def test_nothing_known_is_success_with_the_empty_string(server: BaoStockServer) -> None:
    with RawClient(server) as raw:
        for day in ("2024-01-06", "2031-01-02"):
            assert raw.ask_day(day).parts[:5] == ("0", "success", "query_daily_history_k_AStock", "anonymous", "")
        assert raw.ask_bars("sh.999999", "2024-01-01", "2024-02-01").parts[6] == ""
        assert raw.ask_bars("sh.600000", "2031-01-01", "2031-02-01").parts[6] == ""


def test_an_answer_repeats_the_request_in_the_recorded_order(server: BaoStockServer) -> None:
    with RawClient(server) as raw:
        parts = raw.ask_bars("sh.600000", "2024-01-01", "2024-01-31", page=1, per_page=500).parts
    assert parts[2:6] == ("query_history_k_data_plus", "anonymous", "1", "500")
    assert parts[7:] == ("sh.600000", "date,code,close", "2024-01-01", "2024-01-31", "d", "3")


def test_who_is_not_logged_in_is_refused(server: BaoStockServer) -> None:
    with RawClient(server, log_in=False) as raw:
        assert raw.ask_calendar().parts == ("10001001", "用户未登录")


def test_a_session_is_forgotten_after_its_time(market: SimulatedMarket) -> None:
    now = [0.0]
    with BaoStockServer(market, session_ttl_seconds=60, clock=lambda: now[0]) as server, RawClient(server) as raw:
        assert raw.ask_calendar().parts[0] == "0"
        now[0] = 61.0
        assert raw.ask_calendar().parts[0] == "10001001"
        assert server.open_sessions == 0


def test_the_request_beyond_the_quota_bans_every_session(market: SimulatedMarket) -> None:
    with BaoStockServer(market, daily_quota=2) as server, RawClient(server) as raw, RawClient(server) as other:
        assert [raw.ask_calendar().parts[0] for _ in range(3)] == ["0", "0", "10001011"]
        assert other.ask_calendar().parts == ("10001011", "黑名单用户，请与管理员联系")
        with RawClient(server, log_in=False) as newcomer:
            assert newcomer.ask("00", "login", "anonymous", "123456", "0").parts[0] == "10001011"
        server.unban()
        assert raw.ask_calendar().parts[0] == "0"


def test_a_session_too_many_is_refused_or_bans(market: SimulatedMarket) -> None:
    with BaoStockServer(market, max_sessions=1) as server, RawClient(server):
        with RawClient(server, log_in=False) as second:
            assert second.ask("00", "login", "anonymous", "123456", "0").parts[0] == "10001005"
        assert (server.logins, server.open_sessions, server.max_open_sessions) == (1, 1, 1)
    with BaoStockServer(market, max_sessions=1, on_too_many="ban") as server, RawClient(server) as first:
        with RawClient(server, log_in=False) as second:
            assert second.ask("00", "login", "anonymous", "123456", "0").parts[0] == "10001011"
        assert first.ask_calendar().parts[0] == "10001011"


def test_sessions_are_counted_until_they_log_out_or_vanish(server: BaoStockServer) -> None:
    with RawClient(server) as first, RawClient(server):
        assert server.open_sessions == 2
        assert first.ask("02", "logout", "anonymous", "20240102000000").parts[:3] == ("0", "success", "logout")
        assert server.open_sessions == 1
    deadline = time.monotonic() + 5
    while server.open_sessions and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (server.open_sessions, server.max_open_sessions, server.logins) == (0, 2, 2)


def test_a_day_that_is_not_ready_has_no_rows_until_it_is(market: SimulatedMarket, sessions: list[date]) -> None:
    yesterday, today = (day.isoformat() for day in sessions[-2:])
    with BaoStockServer(market, last_ready_day=sessions[-2]) as server, RawClient(server) as raw:
        assert raw.ask_day(yesterday).parts[4]
        assert raw.ask_day(today).parts[4] == ""
        assert [row[0] for row in decode_rows(raw.ask_bars("sh.600000", yesterday, today).parts[6])] == [yesterday]
        server.last_ready_day = sessions[-1]
        assert raw.ask_day(today).parts[4]
        assert [row[0] for row in decode_rows(raw.ask_bars("sh.600000", yesterday, today).parts[6])] == [
            yesterday,
            today,
        ]


def test_many_sessions_at_once_get_their_own_answers(server: BaoStockServer, market: SimulatedMarket) -> None:
    codes = [row[0] for row in market.stock_basic(LAST) if row[4] == "1" and row[5] == "1"][:40]
    wrong: list[str] = []

    def ask(mine: list[str]) -> None:
        with RawClient(server) as raw:
            for code in mine:
                rows = decode_rows(raw.ask_bars(code, "2024-01-01", "2024-12-01").parts[6])
                if not rows or {row[1] for row in rows} != {code}:
                    wrong.append(code)

    threads = [threading.Thread(target=ask, args=(codes[place::8],)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert server.max_open_sessions == 8


def test_a_closed_server_leaves_no_thread_and_no_listener(market: SimulatedMarket) -> None:
    with BaoStockServer(market) as server, RawClient(server) as raw:
        assert raw.ask_calendar().parts[0] == "0"
        server.close()
        with contextlib.suppress(ConnectionError):
            assert raw.socket.recv(1) == b""
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("baostock-server")]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port), timeout=1)


def test_a_large_market_is_ready_and_answers_a_day_quickly(sessions: list[date]) -> None:
    started = time.perf_counter()
    market = SimulatedMarket(1, 8000, sessions=sessions)
    with BaoStockServer(market) as server, RawClient(server) as raw:
        ready = time.perf_counter()
        rows = decode_rows(raw.ask_day("2024-12-20").parts[4])
        answered = time.perf_counter()
    assert len(rows) > 6000
    # A tenth of this on a quiet machine: the bound only catches a change of kind.
    assert ready - started < 2.0
    assert answered - ready < 2.0
