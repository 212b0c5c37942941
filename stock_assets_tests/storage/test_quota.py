"""The ledger of requests, over threads and processes."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.errors import Banned, QuotaExhausted, RateLimited
from stock_assets.storage.database import Database
from stock_assets.storage.quota import QuotaLedger, QuotaUsage
from stock_assets_tests.storage.conftest import Process

DAY = date(2026, 3, 2)
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=SHANGHAI)

REQUESTER = """
import sys
from datetime import datetime
from stock_assets.domain.errors import Banned, QuotaExhausted
from stock_assets.storage.database import Database
from stock_assets.storage.quota import QuotaLedger
url, limit, api, noon = sys.argv[1:]
ledger = QuotaLedger(Database(url), daily_limits={"baostock": int(limit)}, now=lambda: datetime.fromisoformat(noon))
print("ready", flush=True)
sys.stdin.readline()
sent = 0
try:
    while sent < 100_000:
        ledger.before_request("baostock", api)
        sent += 1
except (Banned, QuotaExhausted) as error:
    print(type(error).__name__, sent, flush=True)
"""
Start = Callable[..., Process]


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    """A clock at noon."""
    return Clock()


@pytest.fixture
def ledger(database: Database, clock: Clock) -> Iterator[QuotaLedger]:
    """A ledger with five requests a day to baostock."""
    ledger = QuotaLedger(database, daily_limits={"baostock": 5}, now=clock)
    yield ledger
    ledger.close()


def total(ledger: QuotaLedger, day: date = DAY) -> int:
    return next((row.requests for row in ledger.usage("baostock", day) if row.api == "*"), 0)


def test_requests_are_counted_by_api_and_in_total(ledger: QuotaLedger) -> None:
    for api in ("bars", "bars", "factors"):
        ledger.before_request("baostock", api)
    ledger.record_refusal("baostock", "bars")
    assert ledger.usage("baostock", DAY) == [
        QuotaUsage("*", 3, 1, None),
        QuotaUsage("bars", 2, 1, None),
        QuotaUsage("factors", 1, 0, None),
    ]


def test_the_request_after_the_last_one_is_not_counted_and_says_which_limit(ledger: QuotaLedger) -> None:
    for _ in range(5):
        ledger.before_request("baostock", "bars")
    with pytest.raises(QuotaExhausted) as caught:
        ledger.before_request("baostock", "factors")
    assert caught.value.facts == {"source": "baostock", "day": "2026-03-02", "limit": 5}
    assert [row.api for row in ledger.usage("baostock", DAY)] == ["*", "bars"]
    assert total(ledger) == 5


def test_a_limit_of_nothing_lets_nothing_pass(database: Database, clock: Clock) -> None:
    ledger = QuotaLedger(database, daily_limits={"baostock": 0}, now=clock)
    with pytest.raises(QuotaExhausted):
        ledger.before_request("baostock", "bars")
    assert total(ledger) == 0
    ledger.close()


def test_sources_do_not_share_a_limit_and_one_without_a_limit_is_counted(ledger: QuotaLedger) -> None:
    for _ in range(7):
        ledger.before_request("tushare", "daily")
    ledger.before_request("baostock", "bars")
    assert [row.requests for row in ledger.usage("tushare", DAY)] == [7, 7]


def test_an_interface_may_have_a_limit_of_its_own_and_what_it_refuses_is_counted_nowhere(
    database: Database, clock: Clock
) -> None:
    ledger = QuotaLedger(database, daily_limits={"tushare": 4}, daily_limits_of_api={"tushare": 3}, now=clock)
    for _ in range(3):
        ledger.before_request("tushare", "daily")
    with pytest.raises(RateLimited, match="2026-03-03 00:00") as caught:
        ledger.before_request("tushare", "daily")
    assert caught.value.facts["period"] == "day"
    assert [row.requests for row in ledger.usage("tushare", DAY)] == [3, 3]
    ledger.before_request("tushare", "adj_factor")
    with pytest.raises(QuotaExhausted):
        ledger.before_request("tushare", "adj_factor")
    assert [row.requests for row in ledger.usage("tushare", DAY)] == [4, 1, 3]
    clock.time += timedelta(hours=12)
    ledger.before_request("tushare", "daily")
    ledger.close()


def test_the_day_ends_at_midnight_in_shanghai(ledger: QuotaLedger, clock: Clock) -> None:
    clock.time = datetime(2026, 3, 2, 15, 59, 59, tzinfo=UTC)
    for _ in range(5):
        ledger.before_request("baostock", "bars")
    clock.time += timedelta(seconds=1)
    ledger.before_request("baostock", "bars")
    assert (total(ledger), total(ledger, date(2026, 3, 3))) == (5, 1)


def test_nothing_is_counted_before_a_ban_ends_even_on_the_next_day(ledger: QuotaLedger, clock: Clock) -> None:
    ledger.record_ban("baostock", NOON + timedelta(hours=24))
    clock.time = NOON + timedelta(hours=23, minutes=59)
    with pytest.raises(Banned) as caught:
        ledger.before_request("baostock", "bars")
    assert caught.value.facts == {"source": "baostock", "until": "2026-03-03 12:00"}
    assert total(ledger, date(2026, 3, 3)) == 0
    ledger.before_request("tushare", "daily")
    clock.time = NOON + timedelta(hours=24)
    ledger.before_request("baostock", "bars")


def test_a_ban_that_many_see_is_one_ban_and_only_grows(ledger: QuotaLedger, clock: Clock) -> None:
    barrier = threading.Barrier(6)

    def see(hours: int) -> None:
        barrier.wait(10)
        ledger.record_ban("baostock", NOON + timedelta(hours=hours))

    threads = [threading.Thread(target=see, args=(hours,)) for hours in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert ledger.bans_this_year("baostock") == 1
    clock.time = NOON + timedelta(hours=5, minutes=59)
    with pytest.raises(Banned, match="18:00"):
        ledger.before_request("baostock", "bars")


def test_every_ban_of_the_year_counts_even_two_on_one_day(ledger: QuotaLedger, clock: Clock) -> None:
    assert ledger.bans_this_year("baostock") == 0
    for hour in (0, 2, 4):
        clock.time = NOON + timedelta(hours=hour)
        ledger.record_ban("baostock", clock.time + timedelta(hours=1))
    assert ledger.bans_this_year("baostock") == 3
    assert ledger.bans_this_year("tushare") == 0
    clock.time = datetime(2026, 12, 31, 23, 0, tzinfo=SHANGHAI)
    ledger.record_ban("baostock", clock.time + timedelta(hours=6))
    assert ledger.bans_this_year("baostock") == 4
    clock.time += timedelta(hours=2)
    assert ledger.bans_this_year("baostock") == 1
    clock.time += timedelta(hours=6)
    assert ledger.bans_this_year("baostock") == 0


def test_the_name_of_the_total_is_no_api(ledger: QuotaLedger) -> None:
    with pytest.raises(ValueError, match=r"\*"):
        ledger.before_request("baostock", "*")


def test_a_request_is_counted_although_the_callers_work_is_rolled_back(ledger: QuotaLedger, database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.begin():  # noqa: PT012  (the error leaves the transaction)
        ledger.before_request("baostock", "bars")
        raise ZeroDivisionError
    assert total(ledger) == 1


def test_a_connection_that_died_while_idle_costs_no_request(ledger: QuotaLedger, database: Database) -> None:
    ledger.before_request("baostock", "bars")
    with database.dedicated() as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    ledger.before_request("baostock", "bars")
    assert total(ledger) == 2


def test_threads_of_one_process_stay_below_the_limit(database: Database, clock: Clock) -> None:
    ledger = QuotaLedger(database, daily_limits={"baostock": 100}, now=clock)
    sent: list[int] = []

    def request() -> None:
        try:
            while True:
                ledger.before_request("baostock", "bars")
                sent.append(1)
        except QuotaExhausted:
            pass

    threads = [threading.Thread(target=request) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(sent) == 100
    assert total(ledger) == 100
    ledger.close()


def test_four_processes_send_exactly_the_limit(database_url: str, ledger: QuotaLedger, process: Start) -> None:
    limit = 1000
    requesters = [process(REQUESTER, database_url, str(limit), f"api{n}", NOON.isoformat()) for n in range(4)]
    assert [requester.line() for requester in requesters] == ["ready"] * 4
    for requester in requesters:
        assert requester.popen.stdin is not None
        requester.popen.stdin.write("\n")
        requester.popen.stdin.flush()
    answers = [requester.line().split() for requester in requesters]
    assert {kind for kind, _ in answers} == {"QuotaExhausted"}
    assert sum(int(sent) for _, sent in answers) == limit
    usage = {row.api: row.requests for row in ledger.usage("baostock", DAY)}
    assert usage.pop("*") == limit
    assert sorted(usage.values()) == sorted(int(sent) for _, sent in answers)


def test_a_ban_stops_every_process_at_once(database_url: str, ledger: QuotaLedger, process: Start) -> None:
    requesters = [process(REQUESTER, database_url, "1000000", f"api{n}", NOON.isoformat()) for n in range(3)]
    for requester in requesters:
        requester.line()
        assert requester.popen.stdin is not None
        requester.popen.stdin.write("\n")
        requester.popen.stdin.flush()
    time.sleep(0.3)
    ledger.record_ban("baostock", NOON + timedelta(hours=6))
    at_the_ban = total(ledger)
    answers = [requester.line().split() for requester in requesters]
    assert {kind for kind, _ in answers} == {"Banned"}
    assert total(ledger) == sum(int(sent) for _, sent in answers) == at_the_ban
