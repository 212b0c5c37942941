"""`repair` as people run it: it names what lacks, brings it, and the second time does nothing at all."""

from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.wiring import Installation
from stock_assets_tests.assets.test_repairs import delete, load, versions
from stock_assets_tests.cli.conftest import Call

FIRST, LAST = date(2026, 11, 9), date(2026, 11, 20)


@pytest.fixture(autouse=True)
def _own_dagster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dagster_home: Path) -> None:  # pyright: ignore[reportUnusedFunction]  pytest's
    # Runs that other tests left behind would count as runs under way.
    folder = tmp_path / "dagster"
    folder.mkdir()
    (folder / "dagster.yaml").write_bytes((dagster_home / "dagster.yaml").read_bytes())
    monkeypatch.setenv("DAGSTER_HOME", str(folder))


@pytest.mark.slow
def test_it_brings_what_lacks_and_the_second_time_sends_no_request_and_writes_no_row(
    installation: Installation, far_end: BaoStockServer, call: Call
) -> None:
    days = installation.calendar.between(FIRST, LAST)
    load(installation, days)
    with installation.database.read() as conn:
        whole = conn.scalar(sa.text("SELECT count(*) FROM stock_daily"))
    delete(installation, "stock_daily WHERE trade_date = :day", day=days[2])
    delete(installation, "stock_daily WHERE trade_date = :day AND ts_code < '300000'", day=days[5])
    said = call("repair")
    assert said.code == 0, said.err
    assert f"{days[0]} to {days[-1]} lacks" in said.out
    assert "bars on 2 days" in said.out
    assert said.out.rstrip().endswith("nothing is missing that could be had")
    with installation.database.read() as conn:
        assert conn.scalar(sa.text("SELECT count(*) FROM stock_daily")) == whole
    asked, rows = far_end.requests.total(), versions(installation)
    again = call("repair", "--last", "20")
    assert again.code == 0
    assert again.out == f"{days[0]} to {days[-1]}: nothing is missing that could be had\n"
    assert far_end.requests.total() == asked
    assert versions(installation) == rows


@pytest.mark.usefixtures("installation")
def test_an_empty_store_is_told_what_to_do_first(call: Call) -> None:
    said = call("repair")
    assert said.code == 2
    assert "history daily" in said.err


@pytest.mark.usefixtures("installation")
def test_a_range_and_a_number_of_days_exclude_each_other(call: Call) -> None:
    assert call("repair", "--last", "5", "--start", "2026-11-02").code == 2


@pytest.mark.usefixtures("retries_at_once")
def test_a_source_that_is_down_ends_it_with_69(installation: Installation, far_end: BaoStockServer, call: Call) -> None:
    days = installation.calendar.between(FIRST, LAST)
    load(installation, days)
    delete(installation, "stock_daily WHERE trade_date = :day", day=days[2])
    far_end.faults = "close:query_daily_history_k_AStock,close:query_history_k_data_plus"
    assert call("repair").code == 69
