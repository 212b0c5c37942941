"""What people see of a second source: its price before a load, whether its token works, and who stood in for whom."""

import json

import pytest

from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.tushare_server import TushareServer
from stock_assets.wiring import Installation
from stock_assets_tests.cli.conftest import FIRST, LAST, Call


def sources(both: Installation) -> set[tuple[str, str]]:
    with both.database.read() as conn:
        rows = conn.exec_driver_sql("SELECT DISTINCT right(ts_code, 2), source FROM stock_daily")
        return {(row[0], row[1]) for row in rows}


@pytest.mark.slow
def test_a_load_over_both_sources_costs_at_most_what_was_planned(
    both: Installation, call: Call, far_end: BaoStockServer, tushare: TushareServer
) -> None:
    span = ("--start", str(FIRST), "--end", str(LAST))
    assert call("nightly").code == 0
    said = json.loads(call("plan", "history", *span, "--format", "json").out)
    price = {row["source"]: row["requests"] for row in said if row["plan"] == "chosen"}
    assert set(price) == {"baostock", "tushare"}
    before = far_end.requests.total(), tushare.requests.total()
    assert call("history", "daily", *span).code == 0
    assert 0 < far_end.requests.total() - before[0] <= price["baostock"]
    assert 0 < tushare.requests.total() - before[1] <= price["tushare"]
    assert sources(both) == {("SH", "baostock"), ("SZ", "baostock"), ("BJ", "tushare")}
    again = json.loads(call("plan", "history", *span, "--format", "json").out)
    assert {row["requests"] for row in again} == {0}


@pytest.mark.slow
def test_a_night_without_the_first_source_is_told_and_done(
    both: Installation, call: Call, far_end: BaoStockServer
) -> None:
    far_end.close()
    said = call("nightly")
    assert said.code == 0, said.err
    assert "baostock" in said.err
    assert {name for _, name in sources(both)} == {"tushare"}


@pytest.mark.usefixtures("both")
def test_doctor_asks_tushare_whether_the_token_is_right(
    call: Call, tushare: TushareServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = call("doctor")
    assert said.code == 0
    assert "Tushare answers" in said.out
    monkeypatch.setenv("TUSHARE_TOKEN", "wrong-token-of-mine")
    said = call("doctor")
    assert said.code == 77
    assert "wrong-token-of-mine" not in said.everything
    assert tushare.requests["trade_cal"] >= 2
