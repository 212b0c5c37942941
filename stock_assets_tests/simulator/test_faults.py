import time
from collections.abc import Callable, Iterator
from datetime import date

import pytest

from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.faults import Fault, FaultCounter, FaultPlan, FaultTextError
from stock_assets.simulator.market import SimulatedMarket
from stock_assets.simulator.wire import END_MARK, WireError, decode_response, decode_rows
from stock_assets_tests.simulator.raw_client import RawClient

DAY = "2024-12-20"
Start = Callable[[str], RawClient]


@pytest.fixture
def faulty(server: BaoStockServer) -> Iterator[Start]:
    """Start a logged-in client of a server with these faults."""
    clients: list[RawClient] = []

    def start(faults: str) -> RawClient:
        clients.append(RawClient(server))
        server.faults = FaultPlan.parse(faults)
        return clients[-1]

    yield start
    for client in clients:
        client.socket.close()


def day_rows(client: RawClient) -> list[list[str]]:
    return decode_rows(client.ask_day(DAY).parts[4])


def whole_day(market: SimulatedMarket) -> list[list[str]]:
    return list(market.daily_bars(date.fromisoformat(DAY)))


def test_close_ends_the_connection_without_an_answer(faulty: Start) -> None:
    client = faulty("close:query_trade_dates:2")
    assert client.ask_calendar().parts[0] == "0"
    client.send("33", "query_trade_dates", "anonymous", "1", "2000", "2024-01-01", "2024-01-31")
    assert client.receive() == b""


def test_half_sends_half_the_answer_and_ends_the_connection(faulty: Start) -> None:
    client = faulty("half")
    client.send("98", "query_daily_history_k_AStock", "anonymous", DAY)
    data = client.receive()
    assert len(data) > 1000
    assert not data.endswith(END_MARK)


def test_stall_never_answers(faulty: Start) -> None:
    client = faulty("stall:query_trade_dates")
    client.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.ask_calendar()


def test_late_answers_after_its_time(faulty: Start) -> None:
    client = faulty("late=0.25:query_trade_dates:1")
    started = time.monotonic()
    assert client.ask_calendar().parts[0] == "0"
    assert time.monotonic() - started >= 0.25
    assert client.ask_calendar().parts[0] == "0"


def test_slow_drip_sends_one_byte_at_a_time_and_arrives_whole(faulty: Start) -> None:
    client = faulty("slow_drip=0.0005:query_trade_dates")
    assert client.ask_calendar("2024-01-01", "2024-01-03").parts[0] == "0"
    client.send("33", "query_trade_dates", "anonymous", "1", "2000", "2024-01-01", "2024-01-03")
    assert len(client.socket.recv(65536)) < 20


def test_garbage_has_an_end_mark_and_no_sense(faulty: Start) -> None:
    client = faulty("garbage")
    client.send("33", "query_trade_dates", "anonymous", "1", "2000", "2024-01-01", "2024-01-03")
    data = client.receive()
    assert data.endswith(END_MARK)
    with pytest.raises(WireError):
        decode_response(data)


def test_corrupt_spoils_plain_and_compressed_answers_and_keeps_their_length(
    server: BaoStockServer, faulty: Start
) -> None:
    client = faulty("")
    requests = (
        ("33", "query_trade_dates", "anonymous", "1", "2000", "2024-01-01", "2024-01-31"),
        ("98", "query_daily_history_k_AStock", "anonymous", DAY),
    )
    right: list[bytes] = []
    for request in requests:
        client.send(*request)
        right.append(client.receive())
    server.faults = FaultPlan.parse("corrupt")
    for request, good in zip(requests, right, strict=True):
        client.send(*request)
        data = client.receive()
        assert len(data) == len(good)
        assert sum(a != b for a, b in zip(data, good, strict=True)) == 1
        with pytest.raises(WireError):
            decode_response(data)


def test_other_stock_answers_with_rows_that_were_not_asked_for(faulty: Start) -> None:
    client = faulty("other_stock")
    bars = client.ask_bars("sh.600000", "2024-01-01", "2024-03-01")
    assert bars.parts[7] == "sh.600000"
    assert {row[1] for row in decode_rows(bars.parts[6])}.isdisjoint({"sh.600000"})
    assert {row[0] for row in day_rows(client)} == {"2024-12-19"}
    factors = client.ask("15", "query_adjust_factor", "anonymous", "1", "2000", "sh.600000", "1990-01-01", DAY)
    assert {row[0] for row in decode_rows(factors.parts[6])}.isdisjoint({"sh.600000"})
    assert decode_rows(client.ask_calendar().parts[6])[0][0] == "2024-01-01"


def test_other_method_answers_another_question(faulty: Start) -> None:
    client = faulty("other_method")
    assert client.ask_day(DAY).parts[2] == "query_trade_dates"
    assert client.ask_calendar().parts[2] == "query_stock_basic"


def test_stale_repeats_the_answer_before(faulty: Start) -> None:
    client = faulty("stale:query_history_k_data_plus:2")
    first = client.ask_bars("sh.600000", "2024-01-01", "2024-03-01")
    assert client.ask_bars("sh.600006", "2024-01-01", "2024-03-01") == first


def test_not_logged_in_ends_the_session_until_the_next_login(faulty: Start) -> None:
    client = faulty("not_logged_in:query_trade_dates:1")
    assert [client.ask_calendar().parts[0] for _ in range(2)] == ["10001001", "10001001"]
    client.ask("00", "login", "anonymous", "123456", "0")
    assert client.ask_calendar().parts[0] == "0"


def test_banned_and_errors_have_their_codes(faulty: Start) -> None:
    client = faulty("banned:query_trade_dates:1,error:query_trade_dates:2,error=10001006:query_trade_dates:3")
    assert [client.ask_calendar().parts[0] for _ in range(4)] == ["10001011", "10005001", "10001006", "0"]


def test_lost_rows_are_missing_and_the_rest_is_right(faulty: Start, market: SimulatedMarket) -> None:
    rows, whole = day_rows(faulty("lost_rows")), whole_day(market)
    assert len(rows) == len(whole) - len(whole) // 10
    assert all(row in whole for row in rows)


def test_lost_rows_can_hit_one_page_alone(faulty: Start) -> None:
    client = faulty("lost_rows:query_history_k_data_plus@2")
    pages = [client.ask_bars("sh.600000", "1990-01-01", DAY, page=page).parts[6] for page in (1, 2)]
    assert [len(decode_rows(page)) for page in pages] == [2000, 1800]


def test_empty_is_success_without_rows(faulty: Start) -> None:
    parts = faulty("empty").ask_day(DAY).parts
    assert (parts[0], parts[4]) == ("0", "")


def test_half_published_is_the_beginning_of_the_day(faulty: Start, market: SimulatedMarket) -> None:
    rows, whole = day_rows(faulty("half_published")), whole_day(market)
    assert rows == whole[: int(len(whole) * 0.27)]


def test_duplicate_rows_come_twice(faulty: Start, market: SimulatedMarket) -> None:
    rows, whole = day_rows(faulty("duplicate_rows")), whole_day(market)
    assert len(rows) > len(whole)
    assert {tuple(row) for row in rows} == {tuple(row) for row in whole}


def test_a_bad_row_has_a_value_too_few(faulty: Start) -> None:
    lengths = [len(row) for row in day_rows(faulty("bad_row"))]
    assert lengths.count(17) == 1
    assert lengths.count(18) == len(lengths) - 1


def test_connect_refused_closes_the_listener_for_a_while(server: BaoStockServer, faulty: Start) -> None:
    client = faulty("connect_refused=0.3:query_trade_dates:1")
    client.send("33", "query_trade_dates", "anonymous", "1", "2000", "2024-01-01", "2024-01-03")
    assert client.receive() == b""
    with pytest.raises(OSError, match="refused"):
        RawClient(server)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            with RawClient(server) as again:
                assert again.ask_calendar().parts[0] == "0"
                return
        except ConnectionRefusedError:
            time.sleep(0.05)
    pytest.fail("the listener did not come back")


def test_a_spoiled_answer_is_not_remembered(server: BaoStockServer, faulty: Start, market: SimulatedMarket) -> None:
    client = faulty("half_published:query_daily_history_k_AStock:1")
    assert len(day_rows(client)) < len(whole_day(market))
    assert day_rows(client) == whole_day(market)
    assert server.faults_done == {"half_published": 1}


def test_faults_meet_the_requests_that_they_name() -> None:
    def meets(text: str, requests: int = 12) -> list[int]:
        counter = FaultCounter(FaultPlan.parse(text, seed=1))
        return [number for number in range(1, requests + 1) if counter.next("query_all_stock", 1)]

    assert meets("close") == list(range(1, 13))
    assert meets("close:*:3") == [3]
    assert meets("close:query_all_stock:%5") == [5, 10]
    assert meets("close:*:<2") == [1, 2]
    assert meets("close:query_all_stock@2") == []
    assert meets("close:query_trade_dates") == []
    by_chance = meets("close:*:~0.3", requests=1000)
    assert 200 < len(by_chance) < 400
    assert by_chance == meets("close:*:~0.3", requests=1000)


def test_the_first_fault_that_meets_a_request_wins_and_both_count() -> None:
    counter = FaultCounter(FaultPlan.parse("stall:*:2,close:*:%2"))
    kinds = [fault.kind if (fault := counter.next("login", None)) else None for _ in range(4)]
    assert kinds == [None, "stall", None, "close"]


def test_a_plan_is_read_from_its_text() -> None:
    plan = FaultPlan.parse("stall:query_history_k_data_plus:3, late=2.5:login:%7,error=10001006:*@2:~0.5")
    assert plan.faults == (
        Fault("stall", "query_history_k_data_plus", nth=3),
        Fault("late", "login", every=7, argument=2.5),
        Fault("error", page=2, probability=0.5, argument=10001006),
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("explode", "no kind 'explode'; there are close, half"),
        ("close=3", "close takes no argument"),
        ("late=soon", "'soon' is not a number"),
        ("close:query-x", "'query-x' is no method"),
        ("close:*@x", "'x' is no page number"),
        ("close:*@", "'' is no page number"),
        ("close:*:sometimes", "'sometimes' is none of"),
        ("close:*:0", "'0' is none of"),
        ("close:*:~1.5", "'~1.5' is none of"),
        ("close:*:1:2", "more than kind:method:when"),
    ],
)
def test_a_wrong_plan_is_refused_with_the_reason(text: str, complaint: str) -> None:
    with pytest.raises(FaultTextError, match="fault") as caught:
        FaultPlan.parse(f"empty,{text}")
    assert complaint in str(caught.value)
    assert repr(text) in str(caught.value)
