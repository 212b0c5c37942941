"""Verdicts: what the client says about everything a far end can do to it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from stock_assets.domain.answers import Answer, Broken, ProvenEmpty, Refused, Rows, Truncated
from stock_assets.domain.errors import (
    AccessDenied,
    AnswerBroken,
    Banned,
    NotReady,
    QuotaExhausted,
    RequestRefused,
    SessionExpired,
    SlotsTaken,
    SourceUnavailable,
)
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.market import SimulatedMarket
from stock_assets.sources.baostock.client import BaoStockClient, connector
from stock_assets.sources.baostock.pool import BaoStockPool
from stock_assets.sources.baostock.verify import DAILY_FIELDS
from stock_assets_tests.sources import answers
from stock_assets_tests.sources.processes import CountedSlots
from stock_assets_tests.sources.scripted_server import ScriptedServer, Sent, Step, compressed, plain, record, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from stock_assets.sources.base import MarketSource

    ClientOf = Callable[..., BaoStockClient]

NOW = datetime(2026, 2, 5, 12, tzinfo=UTC)
CODE = "600000.SH"
DAY_API = "query_daily_history_k_AStock"
K_DATA = "query_history_k_data_plus"


class Books:
    """A ledger that remembers what it was told, and refuses after `limit` requests."""

    def __init__(self, *, limit: int | None = None, bans: int = 0) -> None:
        self.limit, self.bans = limit, bans
        self.requests: list[tuple[str, str]] = []
        self.refusals: list[str] = []
        self.banned_until: list[datetime] = []

    def before_request(self, source: str, api: str) -> None:
        if self.limit is not None and len(self.requests) >= self.limit:
            raise QuotaExhausted(source=source, day="2026-02-05", limit=self.limit)
        self.requests.append((source, api))

    def record_refusal(self, source: str, api: str) -> None:  # noqa: ARG002 - the protocol's signature
        self.refusals.append(api)

    def record_ban(self, source: str, until: datetime) -> None:  # noqa: ARG002 - the protocol's signature
        self.banned_until.append(until)

    def bans_this_year(self, source: str) -> int:  # noqa: ARG002 - the protocol's signature
        return self.bans + bool(self.banned_until)


def of_day(client: BaoStockClient) -> Answer:
    return client.daily_of_day(answers.DAY)


def of_code(client: BaoStockClient) -> Answer:
    return client.daily_of_code(CODE, answers.FIRST, answers.LAST)


# --- right answers ---


@pytest.fixture(scope="module")
def long_market() -> SimulatedMarket:
    """A market with more days than two pages hold."""
    days = (date(2004, 1, 1) + timedelta(days=number) for number in range(6500))
    return SimulatedMarket(3, 12, sessions=[day for day in days if day.weekday() < 5])


def every_call(market: SimulatedMarket) -> list[Callable[[MarketSource], Answer]]:
    last, first = market.last_session, market.last_session - timedelta(days=6000)
    code = market.daily_bars(last)[0][1]
    ts_code = f"{code[3:]}.{code[:2].upper()}"
    ex_dates = (date.fromisoformat(row[1]) for code in market.codes for row in market.adjust_factors(code, last))
    ex_date = next(day for day in ex_dates if market.daily_adjust_factors(day, last))
    return [
        lambda client: client.trade_dates(first, last),
        lambda client: client.securities(),
        lambda client: client.daily_of_day(last),
        lambda client: client.daily_of_code(ts_code, first, last),
        lambda client: client.factors_of_code(ts_code, first, last),
        lambda client: client.factors_of_day(ex_date),
    ]


def test_with_and_without_a_pool_every_call_gives_the_same_rows(
    long_market: SimulatedMarket, client_of: ClientOf
) -> None:
    with BaoStockServer(long_market) as far_end:
        alone = client_of(far_end, timeout_seconds=5)
        pool = BaoStockPool(connector(host=far_end.host, port=far_end.port, timeout_seconds=5))
        pooled = BaoStockClient(pool)
        for call in every_call(long_market):
            one, other = call(alone), call(pooled)
            assert isinstance(one, Rows)
            assert isinstance(other, Rows)
            assert one.frame.equals(other.frame)
            assert one.cost.requests >= other.cost.requests + 1
        pages = far_end.requests[K_DATA]
        assert pages == 6
        assert far_end.open_sessions == 1
        pooled.close()
        assert far_end.open_sessions == 0


def test_bars_are_the_sources_own_text(market: SimulatedMarket, client_of: ClientOf) -> None:
    with BaoStockServer(market) as far_end:
        client = client_of(far_end, timeout_seconds=5)
        answer = client.daily_of_day(market.last_session)
        assert isinstance(answer, Rows)
        assert tuple(answer.frame.columns) == DAILY_FIELDS
        assert [list(row) for row in answer.frame.rows()] == market.daily_bars(market.last_session)


@pytest.mark.parametrize("count", [2000, 4000])
def test_a_whole_number_of_pages_loses_no_row(client_of: ClientOf, count: int) -> None:
    with ScriptedServer({K_DATA: answers.paged(answers.bars_of_code(count))}) as far_end:
        answer = client_of(far_end).daily_of_code(CODE, answers.FIRST, answers.FIRST + timedelta(days=count))
        assert isinstance(answer, Rows)
        assert answer.frame.height == count


def test_the_cost_counts_every_frame_of_the_call(client_of: ClientOf) -> None:
    books = Books()
    script = {K_DATA: answers.paged(answers.bars_of_code(4500))}
    with ScriptedServer(script) as far_end, capture_logs() as events:
        answer = of_code(client_of(far_end, ledger=books))
        assert answer.cost.requests == far_end.requests.total() == len(books.requests) == 5
        assert books.requests[0] == ("baostock", "login")
        assert answer.cost.api_seconds > 0
        assert [(event["event"], event["api"], event["rows"], event["ts_code"]) for event in events] == [
            ("fetch", K_DATA, 4500, CODE)
        ]
        assert {"wait_seconds", "api_seconds"} <= set(events[0])


# --- nothing to tell ---


def test_a_market_day_without_rows_is_not_ready(client_of: ClientOf) -> None:
    with ScriptedServer({DAY_API: answers.daily_of_day([])}) as far_end:
        answer = of_day(client_of(far_end))
        assert isinstance(answer, Refused)
        assert isinstance(answer.error, NotReady)
        assert answer.error.facts["trade_date"] == answers.DAY
        assert far_end.requests[DAY_API] == 1


def test_a_code_without_rows_is_proven_empty_because_the_request_is_echoed(client_of: ClientOf) -> None:
    with ScriptedServer({K_DATA: answers.paged([])}) as far_end:
        answer = of_code(client_of(far_end))
        assert isinstance(answer, ProvenEmpty)
        assert answers.CODE in answer.proof


def test_factors_of_a_day_without_rows_are_empty_and_the_proof_says_how_far(client_of: ClientOf) -> None:
    with ScriptedServer({"query_daily_adjust_factor": answers.factors_of_day([])}) as far_end:
        answer = client_of(far_end).factors_of_day(answers.DAY)
        assert isinstance(answer, ProvenEmpty)
        assert "does not echo the day" in answer.proof


def test_a_market_without_securities_is_not_believed(client_of: ClientOf) -> None:
    fields = "code, code_name, ipoDate, outDate, type, status"
    frame = plain("46", "0", "success", "query_stock_basic", "anonymous", "1", "2000", "", "", "", fields)
    with ScriptedServer({"query_stock_basic": frame}) as far_end:
        assert isinstance(client_of(far_end).securities(), Broken)


def test_a_beijing_stock_is_refused_without_asking(client_of: ClientOf) -> None:
    with ScriptedServer({}) as far_end:
        client = client_of(far_end)
        for answer in (
            client.daily_of_code("920748.BJ", answers.FIRST, answers.LAST),
            client.factors_of_code("920748.BJ", answers.FIRST, answers.LAST),
        ):
            assert isinstance(answer, Refused)
            assert isinstance(answer.error, RequestRefused)
        assert far_end.connections == 0


# --- rows that were not asked for ---

ROW = answers.bars_of_day(1)[0]
EVIL_DAYS = {
    "another day's rows": answers.daily_of_day(answers.bars_of_day(5, answers.DAY + timedelta(days=1))),
    "one row of another day": answers.daily_of_day(
        [*answers.bars_of_day(5), *answers.bars_of_day(1, answers.DAY - timedelta(days=1))]
    ),
    "a short row": answers.daily_of_day([ROW, ROW[:-1]]),
    "a long row": answers.daily_of_day([ROW, [*ROW, "1"]]),
    "rows all too short": answers.daily_of_day([ROW[:-1]]),
    "a missing column": answers.daily_of_day([ROW[:-1]], fields=DAILY_FIELDS[:-1]),
    "an unknown column": answers.daily_of_day([[*ROW, "1"]], fields=[*DAILY_FIELDS, "more"]),
    "a column twice": answers.daily_of_day([ROW], fields=[*DAILY_FIELDS[:-1], "date"]),
    "a number for a text": answers.daily_of_day([[*ROW[:-1], 0]]),  # type: ignore[list-item]
    "a null for a text": answers.daily_of_day([[*ROW[:-1], None]]),  # type: ignore[list-item]
    "another method": answers.daily_of_day([ROW], method="query_daily_history_k_ETF"),
    "garbage": b"\x00\x01garbage" * 9 + b"<![CDATA[]]>\n",
}


@pytest.mark.parametrize("frame", EVIL_DAYS.values(), ids=EVIL_DAYS)
def test_a_day_that_was_not_asked_for_is_broken(client_of: ClientOf, frame: bytes) -> None:
    with ScriptedServer({DAY_API: frame}) as far_end:
        answer = of_day(client_of(far_end))
        assert isinstance(answer, Broken)
        assert isinstance(answer.error, AnswerBroken)
        assert far_end.requests[DAY_API] == 3


@pytest.mark.parametrize(
    "rows",
    [
        answers.bars_of_code(5, "sh.600001"),
        [*answers.bars_of_code(5), *answers.bars_of_code(1, "sz.000001")],
        [["2009-12-31", answers.CODE, *answers.BAR[2:]]],
        [["2026-01-01", answers.CODE, *answers.BAR[2:]]],
        [["yesterday", answers.CODE, *answers.BAR[2:]]],
    ],
    ids=["another stock", "one row of another stock", "before", "after", "no date"],
)
def test_bars_that_were_not_asked_for_are_broken_and_their_session_is_not_used_again(
    rows: list[list[str]],
) -> None:
    with ScriptedServer({K_DATA: answers.paged(rows)}) as far_end:
        pool = BaoStockPool(connector(host=far_end.host, port=far_end.port, timeout_seconds=1.0))
        answer = of_code(BaoStockClient(pool, sleep=lambda _seconds: None))
        assert isinstance(answer, Broken)
        assert far_end.requests[K_DATA] == far_end.connections == 3
        assert repr(pool) == "<BaoStockPool 0 in use, 0 idle, cap 1>"


def test_rows_of_a_right_answer_may_stand_in_other_columns_order(client_of: ClientOf) -> None:
    turned = answers.daily_of_day([ROW[::-1]], fields=DAILY_FIELDS[::-1])
    with ScriptedServer({DAY_API: turned}) as far_end:
        answer = of_day(client_of(far_end))
        assert isinstance(answer, Rows)
        assert answer.frame.select(DAILY_FIELDS).row(0) == tuple(ROW)


def test_a_calendar_with_a_hole_is_broken(client_of: ClientOf) -> None:
    def holed(body: list[str]) -> bytes:
        rows = record([["2024-01-01", "0"], ["2024-01-03", "1"]])
        return plain("34", "0", "success", *body[:4], rows, *body[4:], "calendar_date, is_trading_day")

    with ScriptedServer({"query_trade_dates": holed}) as far_end:
        answer = client_of(far_end).trade_dates(date(2024, 1, 1), date(2024, 1, 3))
        assert isinstance(answer, Broken)


FAULTS: list[tuple[str, str, type[Any]]] = [
    ("close", DAY_API, Broken),
    ("half", DAY_API, Broken),
    ("stall", DAY_API, Broken),
    ("garbage", DAY_API, Broken),
    ("corrupt", DAY_API, Broken),
    ("corrupt", "query_stock_basic", Broken),
    ("corrupt", "login", Broken),
    ("bad_row", DAY_API, Broken),
    ("other_stock", DAY_API, Broken),
    ("other_stock", K_DATA, Broken),
    ("other_method", DAY_API, Broken),
    ("other_method", "query_trade_dates", Broken),
    ("slow_drip=0.05", DAY_API, Broken),
    ("late=0.8", DAY_API, Broken),
    ("close", "login", Broken),
    ("close", "logout", Rows),
    ("stall", "logout", Rows),
    ("banned", DAY_API, Refused),
    ("not_logged_in", DAY_API, Broken),
    ("error", DAY_API, Broken),
    ("error=10004012", DAY_API, Refused),
]


@pytest.mark.parametrize(("fault", "method", "expected"), FAULTS)
def test_no_fault_of_the_far_end_passes_for_rows(
    market: SimulatedMarket, client_of: ClientOf, fault: str, method: str, expected: type[Any]
) -> None:
    with BaoStockServer(market) as far_end:
        client = client_of(far_end, timeout_seconds=0.3, attempts=2)
        day, code = market.last_session, market.daily_bars(market.last_session)[0][1]
        calls: dict[str, Callable[[], Answer]] = {
            K_DATA: lambda: client.daily_of_code(f"{code[3:]}.{code[:2].upper()}", date(2024, 1, 1), day),
            "query_stock_basic": client.securities,
            "query_trade_dates": lambda: client.trade_dates(date(2024, 1, 1), day),
        }
        call = calls.get(method, lambda: client.daily_of_day(day))
        assert isinstance(call(), Rows)
        far_end.faults = f"{fault}:{method}"  # type: ignore[assignment]
        assert isinstance(call(), expected)
        far_end.faults = None  # type: ignore[assignment]
        far_end.unban()
        assert isinstance(call(), Rows)


# --- lost pages ---


def test_a_page_that_stays_lost_makes_the_answer_truncated(client_of: ClientOf) -> None:
    right = answers.paged(answers.bars_of_code(4500))

    def answer(body: list[str]) -> Step:
        return right(body) if body[2] != "2" else Sent(closes=True)

    with ScriptedServer({K_DATA: answer}) as far_end:
        verdict = of_code(client_of(far_end))
        assert isinstance(verdict, Truncated)
        assert verdict.frame.height == 2000
        assert "closed" in verdict.reason
        assert [body[2] for body in far_end.bodies if body[0] == K_DATA] == ["1", "2"] * 3


def test_a_page_that_comes_at_the_next_attempt_makes_the_answer_whole(client_of: ClientOf) -> None:
    right = answers.paged(answers.bars_of_code(4500))
    lost = [Sent(closes=True)]

    def answer(body: list[str]) -> Step:
        return lost.pop() if body[2] == "2" and lost else right(body)

    with ScriptedServer({K_DATA: answer}) as far_end:
        verdict = of_code(client_of(far_end))
        assert isinstance(verdict, Rows)
        assert verdict.frame.height == 4500


def test_a_foreign_second_page_is_broken(client_of: ClientOf) -> None:
    right, foreign = answers.paged(answers.bars_of_code(4500)), answers.bars_of_code(1000, "sz.000001")
    head = ("0", "success", K_DATA, "anonymous")

    def answer(body: list[str]) -> Step:
        return right(body) if body[2] == "1" else compressed("96", *head, body[2], "2000", record(foreign), *body[4:])

    with ScriptedServer({K_DATA: answer}) as far_end:
        assert isinstance(of_code(client_of(far_end)), Broken)


# --- errors and retries ---


def test_a_transient_failure_is_retried_on_a_new_connection(client_of: ClientOf) -> None:
    pauses: list[float] = []
    whole = answers.daily_of_day(answers.bars_of_day(5))
    with ScriptedServer({DAY_API: [Sent(closes=True), refusal("10005001"), whole]}) as far_end:
        answer = of_day(client_of(far_end, sleep=pauses.append))
        assert isinstance(answer, Rows)
        assert far_end.connections == 3
        assert len(pauses) == 2
        assert 1 <= pauses[0] <= 2 <= pauses[1] <= 3


@pytest.mark.parametrize("code", ["10002007", "10005001", "10004001", "10004004", "19999999"])
def test_transient_errors_are_tried_three_times(client_of: ClientOf, code: str) -> None:
    with ScriptedServer({DAY_API: refusal(code)}) as far_end:
        answer = of_day(client_of(far_end))
        assert isinstance(answer, Broken)
        assert isinstance(answer.error, SourceUnavailable | AnswerBroken)
        assert far_end.requests[DAY_API] == 3


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("10001002", AccessDenied),
        ("10001004", AccessDenied),
        ("10001012", AccessDenied),
        ("10001015", AccessDenied),
        ("10001005", SlotsTaken),
        ("10004006", RequestRefused),
        ("10004011", RequestRefused),
        ("10004018", RequestRefused),
        ("10004020", RequestRefused),
    ],
)
@pytest.mark.parametrize("method", ["login", DAY_API])
def test_permanent_errors_are_said_at_once(client_of: ClientOf, code: str, error: type[Exception], method: str) -> None:
    books = Books()
    with ScriptedServer({method: refusal(code)}) as far_end:
        answer = of_day(client_of(far_end, ledger=books))
        assert isinstance(answer, Refused)
        assert isinstance(answer.error, error)
        assert far_end.requests[method] == 1
        assert len(books.refusals) == (0 if error is SlotsTaken else 1)


def test_a_refused_request_does_not_cost_the_session() -> None:
    with ScriptedServer({DAY_API: refusal("10004012")}) as far_end:
        client = BaoStockClient(BaoStockPool(connector(host=far_end.host, port=far_end.port)))
        assert isinstance(of_day(client), Refused)
        assert isinstance(of_day(client), Refused)
        assert far_end.requests["login"] == 1
        client.close()


def test_a_forgotten_login_is_renewed_once(client_of: ClientOf) -> None:
    whole = answers.daily_of_day(answers.bars_of_day(5))
    with ScriptedServer({DAY_API: [refusal("10001001"), whole]}) as far_end:
        pool = BaoStockPool(connector(host=far_end.host, port=far_end.port))
        assert isinstance(of_day(BaoStockClient(pool)), Rows)
        assert (far_end.requests["login"], far_end.requests[DAY_API]) == (2, 2)
        pool.close()
    with ScriptedServer({DAY_API: refusal("10001001")}) as far_end:
        answer = of_day(client_of(far_end))
        assert isinstance(answer, Broken)
        assert isinstance(answer.error, SessionExpired)
        assert far_end.requests[DAY_API] == 2


def test_an_expired_server_session_is_renewed(market: SimulatedMarket) -> None:
    now = [0.0]
    with BaoStockServer(market, session_ttl_seconds=10, clock=lambda: now[0]) as far_end:
        pool = BaoStockPool(connector(host=far_end.host, port=far_end.port))
        client = BaoStockClient(pool)
        assert isinstance(client.daily_of_day(market.last_session), Rows)
        now[0] = 11.0
        assert isinstance(client.daily_of_day(market.last_session), Rows)
        assert far_end.logins == 2
        client.close()


def test_after_a_failure_no_session_that_lay_idle_is_trusted(market: SimulatedMarket) -> None:
    now = [0.0]
    with BaoStockServer(market, session_ttl_seconds=10, clock=lambda: now[0]) as far_end:
        pool = BaoStockPool(connector(host=far_end.host, port=far_end.port), size=2)
        with pool.session(), pool.session():
            pass
        now[0] = 11.0
        assert isinstance(BaoStockClient(pool).daily_of_day(market.last_session), Rows)
        pool.close()


@pytest.mark.parametrize("method", ["login", DAY_API])
def test_a_ban_is_recorded_with_its_end_and_never_retried(client_of: ClientOf, method: str) -> None:
    books = Books(bans=2)
    with ScriptedServer({method: refusal("10001011", "黑名单用户，请与管理员联系")}) as far_end:
        answer = of_day(client_of(far_end, ledger=books, now=lambda: NOW))
        assert isinstance(answer, Refused)
        assert isinstance(answer.error, Banned)
        assert answer.error.facts["until"] == NOW + timedelta(hours=18)
        assert books.banned_until[-1] == NOW + timedelta(hours=18)
        assert far_end.requests[method] == 1


def test_a_ban_that_the_ledger_knows_is_not_recorded_again(client_of: ClientOf) -> None:
    class Closed(Books):
        def before_request(self, source: str, api: str) -> None:  # noqa: ARG002 - the protocol's signature
            raise Banned(source=source, until=NOW)

    books = Closed()
    with ScriptedServer({}) as far_end:
        answer = of_day(client_of(far_end, ledger=books))
        assert isinstance(answer, Refused)
        assert books.banned_until == []
        assert far_end.connections == 0


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_an_exhausted_quota_is_a_refusal_wherever_it_ends_the_call(client_of: ClientOf, limit: int) -> None:
    books = Books(limit=limit)
    with ScriptedServer({K_DATA: answers.paged(answers.bars_of_code(4500))}) as far_end:
        answer = of_code(client_of(far_end, ledger=books))
        assert isinstance(answer, Refused)
        assert isinstance(answer.error, QuotaExhausted)
        assert far_end.requests.total() == answer.cost.requests == limit


def test_without_a_pool_slots_are_held_for_the_call(client_of: ClientOf) -> None:
    slots = CountedSlots(1)
    with ScriptedServer({DAY_API: answers.daily_of_day(answers.bars_of_day(3))}) as far_end:
        client = client_of(far_end, slots=slots)
        assert isinstance(of_day(client), Rows)
        assert (slots.taken, slots.most) == (0, 1)
        slots.limit = 0
        answer = of_day(client)
        assert isinstance(answer, Refused)
        assert isinstance(answer.error, SlotsTaken)


def test_a_key_is_in_no_answer_and_no_event(client_of: ClientOf) -> None:
    key = "bs-" + "0" * 30
    script = {
        DAY_API: refusal("10001015", f"no right for {key}"),
        "login": [refusal("10001012", key), Sent(closes=True)],
    }
    with ScriptedServer(script) as far_end, capture_logs() as events:
        for method in ("login", "login"):
            answer = of_day(client_of(far_end, api_key=key, attempts=1))
            assert isinstance(answer, Refused | Broken), method
            assert key not in repr(answer) + str(answer.error) + repr(answer.error.facts) + repr(events)
        assert key in far_end.bodies[0]


def test_a_programming_error_is_not_an_answer() -> None:
    with ScriptedServer({DAY_API: answers.daily_of_day([])}) as far_end:
        client = BaoStockClient(BaoStockPool(connector(host=far_end.host, port=far_end.port)))
        client.close()
        with pytest.raises(RuntimeError, match="closed"):
            of_day(client)
