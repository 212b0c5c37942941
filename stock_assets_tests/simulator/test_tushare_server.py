"""The made-up Tushare server speaks the protocol as it was measured, and the official package understands it."""

from __future__ import annotations

import json
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import tushare

from stock_assets.domain.calendar import SHANGHAI
from stock_assets.simulator.faults import TUSHARE_KINDS, FaultPlan, FaultTextError
from stock_assets.simulator.market import SimulatedMarket, weekdays
from stock_assets.simulator.tushare_base import SERVICES
from stock_assets.simulator.tushare_limits import Period, Wording
from stock_assets.simulator.tushare_market import SimulatedTushare, beijing_market
from stock_assets.simulator.tushare_server import TOKEN, TushareServer

FIRST, LAST = date(2021, 1, 4), date(2024, 6, 28)
SEED = 11
DAY = "20240614"


@pytest.fixture(scope="module")
def plain_market() -> SimulatedMarket:
    return SimulatedMarket(SEED, 80, sessions=weekdays(FIRST, LAST))


@pytest.fixture(scope="module")
def market(plain_market: SimulatedMarket) -> SimulatedTushare:
    return SimulatedTushare(plain_market, beijing_market(SEED, 80, weekdays(FIRST, LAST)), seed=SEED)


@pytest.fixture
def server(market: SimulatedTushare) -> Iterator[TushareServer]:
    with TushareServer(market, points=5000) as server:
        yield server


def ask(server: TushareServer, api: str, *, token: str = TOKEN, fields: str = "", **params: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return what the server says, read below any client of ours."""
    body = json.dumps({"api_name": api, "token": token, "params": params, "fields": fields}).encode()
    request = urllib.request.Request(f"{server.url}/{api}", body, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        assert answer.status == 200
        return json.loads(answer.read())


def rows(server: TushareServer, api: str, **params: Any) -> list[list[Any]]:  # noqa: ANN401
    said = ask(server, api, **params)
    assert said["code"] == 0, said
    return said["data"]["items"]


def package(server: TushareServer) -> Any:  # noqa: ANN401 - the package has no types
    pro: Any = tushare.pro_api(TOKEN)
    pro._DataApi__http_url = server.url
    return pro


def test_the_official_package_talks_to_it_unmodified(server: TushareServer) -> None:
    pro = package(server)
    for api, params in {
        "stock_basic": {},
        "trade_cal": {"start_date": "20240601", "end_date": "20240614"},
        "daily": {"trade_date": DAY},
        "adj_factor": {"trade_date": DAY},
        "daily_basic": {"trade_date": DAY},
        "suspend_d": {"start_date": "20240101", "end_date": DAY},
        "fina_indicator": {"ts_code": "600000.SH"},
        "fina_indicator_vip": {"period": "20231231"},
        "disclosure_date": {"end_date": "20231231"},
    }.items():
        frame = getattr(pro, api)(**params)
        assert len(frame) > 0, api
        assert list(frame.columns) == [name for name in SERVICES[api].fields if name not in SERVICES[api].hidden]
    assert len(pro.fina_indicator(ts_code="600000.SH").columns) == 108
    assert len(pro.fina_indicator(ts_code="600000.SH", fields="ts_code,update_flag").columns) == 2


def test_the_official_package_gets_its_refusals_in_their_words(server: TushareServer) -> None:
    with pytest.raises(Exception, match="请指定正确的接口名"):
        package(server).no_such_thing()
    with pytest.raises(Exception, match="必填参数, ts_code"):
        package(server).fina_indicator()


def test_a_bar_is_the_other_sources_bar_in_other_units_and_a_halted_stock_has_none(
    server: TushareServer, plain_market: SimulatedMarket
) -> None:
    shown = {row[0]: row for row in rows(server, "daily", trade_date=DAY)}
    traded = 0
    for bar in plain_market.daily_bars(date(2024, 6, 14)):
        code = f"{bar[1][3:]}.{bar[1][:2].upper()}"
        if bar[11] != "1":
            assert code not in shown
            continue
        traded += 1
        row = shown[code]
        assert row[2:7] == [float(price) for price in bar[2:7]]
        assert round(row[9] * 100) == int(bar[7])
        assert abs(row[10] * 1000 - float(bar[8])) <= 1
        assert abs(row[8] - float(bar[12])) < 0.001
    assert traded > 30
    assert {code for code in shown if code.endswith(".BJ")}
    assert len(shown) == traded + sum(code.endswith(".BJ") for code in shown)


def test_factors_begin_at_one_have_every_session_and_explain_the_ex_dates(server: TushareServer) -> None:
    bars = {row[1]: row for row in rows(server, "daily", ts_code="600000.SH")}
    factors = {row[1]: row[2] for row in rows(server, "adj_factor", ts_code="600000.SH")}
    assert set(bars) <= set(factors)
    days = sorted(bars)
    assert factors[days[0]] == 1.0
    steps = 0
    for before, day in pairwise(days):
        reference = bars[before][5] * factors[before] / factors[day]
        assert abs(bars[day][6] - reference) <= 0.01 + 2e-4 * reference
        steps += factors[before] != factors[day]
    assert steps >= 2


def test_suspensions_name_whoever_has_a_factor_and_no_bar(server: TushareServer) -> None:
    suspended = rows(server, "suspend_d", start_date="20240101", end_date=DAY, suspend_type="S")
    day = suspended[0][1]
    bars = {row[0] for row in rows(server, "daily", trade_date=day)}
    factors = {row[0] for row in rows(server, "adj_factor", trade_date=day)}
    assert {row[0] for row in suspended if row[1] == day} == factors - bars


def test_the_cap_drops_the_oldest_rows_with_code_0(server: TushareServer) -> None:
    whole = rows(server, "daily", ts_code="600000.SH")
    server.caps = {"daily": 100}
    said = ask(server, "daily", ts_code="600000.SH")
    assert (said["code"], said["data"]["has_more"], said["data"]["count"]) == (0, True, 0)
    assert said["data"]["items"] == whole[:100]
    assert [row[1] for row in whole] == sorted((row[1] for row in whole), reverse=True)


def test_more_is_said_to_exist_whenever_as_many_rows_come_as_may(server: TushareServer) -> None:
    whole = rows(server, "daily", ts_code="600000.SH", start_date="20240601")
    for limit, has_more in ((len(whole) - 1, True), (len(whole), True), (len(whole) + 1, False)):
        data = ask(server, "daily", ts_code="600000.SH", start_date="20240601", limit=limit)["data"]
        assert (data["items"], data["has_more"]) == (whole[:limit], has_more)
    assert ask(server, "daily", ts_code="600000.SH", start_date="20240601", limit=10**6)["data"]["has_more"] is False


def test_pages_are_sound_except_where_they_are_not(server: TushareServer) -> None:
    def paged() -> list[str]:
        pages = [rows(server, "disclosure_date", end_date="20231231", limit=20, offset=at) for at in range(0, 100, 20)]
        return [row[0] for page in pages for row in page]

    whole = [row[0] for row in rows(server, "disclosure_date", end_date="20231231")]
    assert paged() == whole
    server.unstable_paging = frozenset({"disclosure_date"})
    twice = Counter(paged())
    assert max(twice.values()) > 1
    assert set(twice) < set(whole)


def test_empty_parameters_and_the_packages_own_are_ignored(server: TushareServer) -> None:
    usual = rows(server, "daily", trade_date=DAY)
    assert rows(server, "daily", trade_date=DAY, ts_code="", limit=None, ts_type_name="http://x") == usual
    assert rows(server, "daily", ts_code="999999.SH") == []
    assert rows(server, "daily", trade_date="2024-06-14") == []


def test_lists_of_codes_work_up_to_a_thousand_where_they_work(server: TushareServer, market: SimulatedTushare) -> None:
    two = rows(server, "daily", ts_code="000001.SZ,600000.SH", trade_date=DAY)
    assert {row[0] for row in two} == {"000001.SZ", "600000.SH"}
    assert ask(server, "fina_indicator_vip", ts_code=",".join(["600000.SH"] * 1001))["code"] == 50101
    deaf = replace(SERVICES["daily"], takes_lists=False)
    assert deaf.name == "daily"
    assert list(market.rows(deaf, {"trade_date": DAY}, LAST))


def test_the_list_of_stocks_shows_who_left_only_when_asked(server: TushareServer) -> None:
    listed = {row[0] for row in rows(server, "stock_basic")}
    both = {row[0]: row for row in rows(server, "stock_basic", list_status="L,D", fields="ts_code,delist_date")}
    gone = {row[0] for row in rows(server, "stock_basic", list_status="D")}
    assert listed | gone == set(both)
    assert gone
    assert all(both[code][1] for code in gone)
    assert not any(both[code][1] for code in listed)


@pytest.mark.parametrize(
    ("token", "code", "text"), [("wrong", 40101, "您的token不对，请确认。"), ("", 40101, "您上传Token")]
)
def test_a_token_is_needed_and_must_be_right(server: TushareServer, token: str, code: int, text: str) -> None:
    said = ask(server, "daily", token=token, trade_date=DAY)
    assert (said["code"], said["data"]) == (code, None)
    assert text in said["msg"]


@pytest.mark.parametrize(
    ("points", "allowed"),
    [(120, {"daily", "suspend_d"}), (2000, set(SERVICES) - {"fina_indicator_vip"}), (5000, set(SERVICES))],
)
def test_points_open_interfaces(market: SimulatedTushare, points: int, allowed: set[str]) -> None:
    with TushareServer(market, points=points) as server:
        said = {api: ask(server, api, ts_code="600000.SH", start_date="20240601") for api in SERVICES}
    assert {api for api, answer in said.items() if answer["code"] == 0} == allowed
    for api in set(SERVICES) - allowed:
        assert f"抱歉，您没有接口({api})访问权限" in said[api]["msg"]


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize(
    ("wording", "period", "seconds", "text"),
    [
        ("new", "minute", 60, "抱歉，您访问接口(daily)频率超限(3次/分钟)"),
        ("old", "minute", 60, "抱歉，您每分钟最多访问该接口3次，权限的具体详情访问："),
        ("old", "hour", 3600, "抱歉，您每小时最多访问该接口3次，"),
        ("old", "day", 86400, "抱歉，您每天最多访问该接口3次，"),
    ],
)
def test_a_limit_holds_in_every_window_of_the_period_and_says_so_in_both_wordings(
    market: SimulatedTushare,
    wording: Wording,
    period: Period,
    seconds: int,
    text: str,
) -> None:
    clock = Clock()
    with TushareServer(market, wording=wording, limits={"daily": (3, period)}, clock=clock) as server:
        assert [ask(server, "daily", trade_date=DAY)["code"] for _ in range(4)] == [0, 0, 0, 40203]
        assert text in ask(server, "daily", trade_date=DAY)["msg"]
        assert ask(server, "adj_factor", trade_date=DAY)["code"] == 0
        clock.seconds += seconds - 1
        assert ask(server, "daily", trade_date=DAY)["code"] == 40203
        clock.seconds += 1
        assert ask(server, "daily", trade_date=DAY)["code"] == 0
        assert server.account.busiest("daily", period) == 3


def test_points_decide_how_often_one_may_ask(market: SimulatedTushare) -> None:
    clock = Clock()
    with TushareServer(market, points=2000, clock=clock) as server:
        codes = [ask(server, "daily", ts_code="600000.SH", trade_date=DAY)["code"] for _ in range(201)]
        assert codes == [0] * 200 + [40203]
        assert ask(server, "stock_basic", ts_code="600000.SH")["code"] == 0


def test_factors_come_before_the_open_and_bars_after_the_close(market: SimulatedTushare) -> None:
    now = datetime(2024, 6, 14, 9, 30, tzinfo=SHANGHAI)
    with TushareServer(market, now=lambda: now) as server:

        def counts() -> list[bool]:
            return [bool(rows(server, api, trade_date=DAY)) for api in ("adj_factor", "daily", "daily_basic")]

        assert counts() == [True, False, False]
        now = datetime(2024, 6, 14, 16, 30, tzinfo=SHANGHAI)
        assert counts() == [True, True, False]
        now = datetime(2024, 6, 14, 17, 30, tzinfo=SHANGHAI)
        assert counts() == [True, True, True]


def test_days_that_are_not_published_have_no_rows(server: TushareServer) -> None:
    server.last_ready_day = date(2024, 6, 13)
    assert rows(server, "daily", trade_date=DAY) == []
    assert max(row[1] for row in rows(server, "daily", ts_code="600000.SH")) == "20240613"
    assert rows(server, "adj_factor", trade_date=DAY) == []
    server.last_factor_day = date(2024, 6, 14)
    assert rows(server, "adj_factor", trade_date=DAY)


def test_the_same_market_says_the_same_however_it_is_asked(server: TushareServer) -> None:
    day = rows(server, "daily", trade_date=DAY)
    assert [rows(server, "daily", ts_code=row[0], start_date=DAY, end_date=DAY)[0] for row in day] == day
    period = rows(server, "fina_indicator_vip", period="20231231")
    codes = dict.fromkeys(row[0] for row in period)
    of_codes = [row for code in codes for row in rows(server, "fina_indicator", ts_code=code, period="20231231")]
    assert of_codes == period


def test_a_wrong_plan_of_faults_is_refused_with_the_kinds_that_there_are(server: TushareServer) -> None:
    with pytest.raises(FaultTextError, match="null_data"):
        server.faults = "explode"
    with pytest.raises(FaultTextError, match="no kind 'not_logged_in'"):
        FaultPlan.parse("not_logged_in", kinds=TUSHARE_KINDS)


def test_a_listener_that_went_away_comes_back(server: TushareServer) -> None:
    server.faults = "connect_refused=0.2:daily:1"
    with pytest.raises(OSError, match="closed"):
        ask(server, "daily", trade_date=DAY)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            assert rows(server, "daily", trade_date=DAY)
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("the listener did not come back")


def test_a_whole_history_is_asked_within_the_days_of_the_market(server: TushareServer) -> None:
    calendar = rows(server, "trade_cal", start_date="20240601", end_date="20240614")
    assert [row[1] for row in calendar] == [f"{date(2024, 6, 14) - timedelta(days=back):%Y%m%d}" for back in range(14)]
    assert {row[1]: row[3] for row in calendar}["20240610"] == "20240607"
    assert {row[2] for row in calendar} == {0, 1}
