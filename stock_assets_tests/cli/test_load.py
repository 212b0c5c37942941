"""Commands that fetch: what they ask for, what they say, and that a plan is what it costs."""

import io
import json
import re
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.wiring import Installation
from stock_assets_tests.cli.conftest import Call
from stock_assets_tests.cli.test_look import a_code

WEEK_BEFORE = ("--start", "2026-11-09", "--end", "2026-11-13")


def planned(call: Call, *arguments: str) -> int:
    """Return the requests of the plan that would be chosen."""
    rows = json.loads(call("plan", *arguments, "--format", "json").out)
    return {row["plan"]: row for row in rows}["chosen"]["requests"]


@pytest.mark.slow
@pytest.mark.usefixtures("loaded")
def test_a_range_costs_at_most_what_was_planned_and_a_second_time_nothing(far_end: BaoStockServer, call: Call) -> None:
    price = planned(call, "history", *WEEK_BEFORE)
    before = far_end.requests.total()
    said = call("backfill-daily", *WEEK_BEFORE)
    spent = far_end.requests.total() - before
    assert said.code == 0, said.err
    assert said.out.startswith("5 of 5 trading days complete")
    assert f"{spent} requests" in said.out
    # Not a terminal: plain lines.
    assert "5/5 calls, 100%" in said.err
    assert "\x1b" not in said.everything
    assert spent <= price <= spent + 4
    assert planned(call, "history", *WEEK_BEFORE) == 0
    again = call("backfill-daily", *WEEK_BEFORE)
    assert ", 0 requests," in again.out
    assert far_end.requests.total() == before + spent


@pytest.mark.slow
@pytest.mark.usefixtures("loaded")
def test_a_night_costs_what_was_planned_though_the_day_is_there(far_end: BaoStockServer, call: Call) -> None:
    price = planned(call, "nightly")
    before = far_end.requests.total()
    assert call("nightly").code == 0
    assert far_end.requests.total() - before <= price <= 6


@pytest.mark.slow
def test_the_price_of_a_night_includes_what_it_repairs(
    loaded: Installation, far_end: BaoStockServer, call: Call
) -> None:
    whole = planned(call, "nightly")
    with loaded.database.begin() as conn:
        conn.execute(sa.text("DELETE FROM stock_daily WHERE trade_date = '2026-11-18'"))
    assert planned(call, "nightly") == whole + 1
    before = far_end.requests["query_daily_history_k_AStock"]
    assert call("nightly").code == 0
    assert far_end.requests["query_daily_history_k_AStock"] - before == 2
    assert planned(call, "nightly") == whole


@pytest.mark.slow
def test_a_backfill_of_some_stocks_tells_of_these_stocks_only(loaded: Installation, call: Call) -> None:
    code = a_code(loaded)
    said = call("backfill-daily", *WEEK_BEFORE, "--codes", f"{code[:6]}, {code}")
    assert said.code == 0, said.err
    assert said.out.startswith("1 securities, 5 trading days: 5/5 rows")
    nobody = call("backfill-daily", *WEEK_BEFORE, "--codes", "600999")
    assert nobody.code == 0
    assert "check the codes" in nobody.err


@pytest.mark.usefixtures("loaded")
def test_a_rate_limit_is_kept(call: Call) -> None:
    said = call("backfill-daily", "--start", "2026-11-12", "--end", "2026-11-13", "--rate-limit", "120")
    told = re.search(r"(\d+) requests, ([\d.]+) s", said.out)
    assert told is not None
    # Half a second from one request to the next; the first needs no wait.
    assert float(told[2]) >= 0.5 * (int(told[1]) - 1)


@pytest.mark.usefixtures("loaded")
def test_doctor_finds_a_sound_installation_sound(call: Call) -> None:
    said = call("doctor")
    assert (said.code, said.err) == (0, "")
    assert "✗" not in said.out


def test_doctor_warns_of_what_gets_people_banned(
    new_installation: Callable[..., Installation], far_end: BaoStockServer, call: Call
) -> None:
    new_installation(BAOSTOCK_HOST=far_end.host, BAOSTOCK_PORT=str(far_end.port), BAOSTOCK_POOL_SIZE="3")
    said = call("doctor")
    assert said.code == 78
    assert "BAOSTOCK_POOL_SIZE back to 1" in said.out


@pytest.mark.usefixtures("loaded")
def test_doctor_says_that_the_source_does_not_answer_without_logging_in(far_end: BaoStockServer, call: Call) -> None:
    logins = far_end.logins
    assert call("doctor").code == 0
    assert far_end.logins == logins
    far_end.close()
    said = call("doctor")
    assert said.code == 69
    assert "cannot connect" in said.out


def test_a_store_is_migrated_down_and_up_again_and_says_where_it_stands(
    new_installation: Callable[..., Installation], call: Call
) -> None:
    new_installation()
    newest = call("db", "current").out
    assert "(newest)" in newest
    assert call("db", "downgrade", "base", "--yes").code == 0
    assert "store revision - (newest is" in call("db", "current").out
    assert call("doctor").code == 78
    assert call("db", "upgrade").out == newest


@pytest.mark.usefixtures("loaded")
def test_a_downgrade_that_nobody_confirms_changes_nothing(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert call("db", "downgrade", "base").code == 130
    assert "(newest)" in call("db", "current").out


@pytest.mark.slow
def test_the_demonstration_shows_the_whole_way_and_can_be_repeated(
    new_installation: Callable[..., Installation], call: Call
) -> None:
    new_installation(SIMULATED_STOCKS="40", STOCK_ASSETS_SOURCE="baostock")
    for _ in range(2):
        said = call("demo", "--days", "2")
        assert said.code == 0, said.err
        assert "2 of 2 trading days complete" in said.out
        assert "largest gains" in said.out
        assert "plan history" in said.out


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("arguments", [["demo", "--days", "1"], ["nightly"]], ids=" ".join)
def test_made_up_bars_do_not_reach_a_store_with_other_data(
    call: Call, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("STOCK_ASSETS_SOURCE", "simulated")
    said = call(*arguments)
    assert said.code == 78
    assert "must not be mixed with simulated" in said.err
    assert len(said.err.splitlines()) == 1
