"""The history of finance reports on the command line: it ends, goes on, says why not, and what it costs."""

import json
from collections.abc import Callable

import pytest

from stock_assets.cli import exit_codes
from stock_assets.pipeline.refresh import ensure_reference
from stock_assets.storage import finance_progress
from stock_assets.wiring import Installation
from stock_assets_tests.cli.conftest import LAST, Call

MADE_UP = {
    "STOCK_ASSETS_SOURCE": "simulated",
    "SIMULATED_STOCKS": "20",
    "SYNC_FINANCE_HISTORY_START_DATE": "20260101",
}
Make = Callable[..., Installation]


@pytest.fixture
def made_up(new_installation: Make) -> Installation:
    """A made-up market of its own."""
    return new_installation(**MADE_UP)


def test_a_history_ends_complete_and_again_is_nothing_to_do(made_up: Installation, call: Call) -> None:
    said = call("history", "finance")
    assert said.code == 0, said.everything
    with made_up.database.read() as conn:
        stocks = finance_progress.read_stocks(conn, "simulated", ("SH", "SZ", "BJ"))
    assert stocks["known_through"].null_count() == 0
    assert "trading days complete" in said.everything
    again = call("history", "finance")
    assert again.code == 0
    assert "0 items" in again.everything


def test_a_history_of_one_stock(made_up: Installation, call: Call) -> None:
    ensure_reference(made_up.pipeline(), [LAST])
    assert call("history", "finance", "--codes", "600000").code == 0
    with made_up.database.read() as conn:
        stocks = finance_progress.read_stocks(conn, "simulated", ("SH", "SZ", "BJ"))
    assert stocks.drop_nulls("known_through")["ts_code"].to_list() in (["600000.SH"], [])


@pytest.mark.parametrize(
    "environment",
    [{}, {"TUSHARE_TOKEN": "x", "TUSHARE_POINTS": "120"}],
    ids=["no token", "too few points"],
)
def test_who_cannot_be_asked_is_said_at_once(new_installation: Make, call: Call, environment: dict[str, str]) -> None:
    new_installation(STOCK_ASSETS_SOURCE="tushare", **environment)
    said = call("history", "finance")
    assert said.code == exit_codes.CONFIGURATION
    assert "Traceback" not in said.everything
    assert "TUSHARE" in said.everything


@pytest.mark.parametrize(("points", "minutes"), [(2000, 31.5), (5000, 31.5)])
def test_a_plan_is_told_before_anything_is_fetched(
    made_up: Installation, call: Call, points: int, minutes: float
) -> None:
    said = call("plan", "finance", "--start", "2020-01-01", "--points", str(points), "--format", "json")
    assert said.code == 0, said.everything
    rows = json.loads(said.out)
    by_way = {row["plan"]: row for row in rows}
    assert by_way["stock"]["requests"] == 5_400
    assert by_way["stock"]["minutes"] == minutes
    if points == 5000:
        assert rows[0]["plan"] == "period"
        assert by_way["period"]["requests"] == 27
    assert by_way["increment"]["requests"] < 30
    assert made_up.quota.usage("tushare", LAST) == []


def test_too_few_points_are_said_to_be_too_few(made_up: Installation, call: Call) -> None:
    assert made_up
    said = call("plan", "finance", "--points", "120")
    assert said.code == exit_codes.USAGE
    assert "2000" in said.everything
