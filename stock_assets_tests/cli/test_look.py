"""Reading commands: what people see, and what programs get."""

import csv
import io
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.storage import bars, coverage
from stock_assets.wiring import Installation
from stock_assets_tests.cli.conftest import FIRST, LAST, Call

WEEK = ("--start", str(FIRST), "--end", str(LAST))


def a_code(installation: Installation) -> str:
    """Return a stock that traded all week."""
    with installation.database.read() as conn:
        week = bars.read_bars(conn, None, FIRST, LAST).filter(~pl.col("is_suspended"))
    return week.group_by("ts_code").len().filter(pl.col("len") == 5)["ts_code"].min()  # pyright: ignore[reportReturnType]


def test_status_shows_the_ledger_the_last_loads_and_what_is_left_of_the_day(loaded: Installation, call: Call) -> None:
    said = call("status")
    assert (said.code, said.err) == (0, "")
    assert "newest published trading day: 2026-11-20" in said.out
    assert "01234567" in said.out
    assert f"/{loaded.settings.baostock_daily_quota:,}" in said.out


@pytest.mark.usefixtures("loaded")
def test_no_head_of_a_table_is_left_in_english_in_chinese_mode(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCK_ASSETS_LANGUAGE", "zh")
    for arguments in (["status"], ["plan", "nightly"], ["coverage", "--start", "2026-11-10", "--end", "2026-11-20"]):
        lines = call(*arguments).out.splitlines()
        heads = [line for line, below in pairwise(lines) if set(below) == {"─"}]
        assert heads, arguments
        assert [word for head in heads for word in head.split() if word.isascii() and word != "MB"] == []


def test_a_new_store_says_how_to_load_it(new_installation: Callable[..., Installation], call: Call) -> None:
    new_installation()
    said = call("status")
    assert said.code == 0
    assert "stock-assets history daily" in said.out
    # Nothing is known to be missing, which is not the same as nothing is missing.
    said = call("coverage", *WEEK, "--format", "json")
    assert (said.code, said.out) == (78, "")
    assert "load first" in said.err


@pytest.mark.usefixtures("loaded")
def test_coverage_of_a_whole_week_is_all_of_it(call: Call) -> None:
    said = call("coverage", *WEEK)
    assert said.code == 0
    assert "(100.00%)" in said.out
    assert call("coverage", *WEEK, "--format", "json").out == "[]\n"


def test_coverage_names_every_missing_pair_and_the_command_that_repairs_it(
    loaded: Installation, call: Call, far_end: BaoStockServer
) -> None:
    code = a_code(loaded)
    with loaded.database.begin() as conn:
        conn.exec_driver_sql("DELETE FROM stock_daily WHERE trade_date = '2026-11-18' AND ts_code = %s", (code,))
        conn.exec_driver_sql("DELETE FROM stock_daily WHERE trade_date = '2026-11-19'")
        missing = coverage.missing_bars(conn, FIRST, LAST)
    said = call("coverage", *WEEK)
    repair = next(line for line in said.out.splitlines() if line.startswith("to repair: "))
    assert code in said.out
    rows = list(csv.DictReader(io.StringIO(call("coverage", *WEEK, "--format", "csv").out)))
    assert [(row["ts_code"], row["trade_date"]) for row in rows] == [(c, str(d)) for c, d in missing.iter_rows()]
    assert call(*repair.partition("stock-assets ")[2].split()).code == 0
    assert call("coverage", *WEEK, "--format", "json").out == "[]\n"
    assert far_end.requests["query_daily_history_k_AStock"] == 5 + 1
    assert far_end.requests["query_history_k_data_plus"] == 1


@pytest.mark.parametrize("adjust", ["none", "qfq", "hfq"])
def test_bars_are_the_same_in_every_format(loaded: Installation, call: Call, adjust: str, tmp_path: Path) -> None:
    code = a_code(loaded)
    asked = ("bars", code[:6], *WEEK, "--adjust", adjust)
    as_json = json.loads(call(*asked, "--format", "json").out)
    as_csv = list(csv.DictReader(io.StringIO(call(*asked, "--format", "csv").out)))
    out = tmp_path / "bars.parquet"
    said = call(*asked, "--out", str(out))
    assert (said.code, said.out) == (0, "")
    frame = pl.read_parquet(out)
    closes = [row["close"] for row in as_json]
    assert closes == [float(row["close"]) for row in as_csv] == frame["close"].to_list()
    assert [row["trade_date"] for row in as_json] == [
        "2026-11-16",
        "2026-11-17",
        "2026-11-18",
        "2026-11-19",
        "2026-11-20",
    ]
    table = call(*asked).out
    assert f"{closes[-1]:,.2f}" in table
    assert {row["ts_code"] for row in as_json} == {code}


@pytest.mark.parametrize("spelling", ["{0}", "{0}.{1}", "{2}.{0}", "{1}{0}"])
def test_bars_takes_a_code_in_every_common_form(loaded: Installation, call: Call, spelling: str) -> None:
    code = a_code(loaded)
    spelled = spelling.format(code[:6], code[-2:], code[-2:].lower())
    assert json.loads(call("bars", spelled, *WEEK, "--format", "json").out)[0]["ts_code"] == code


def test_bars_that_are_not_there_come_with_the_command_that_loads_them(loaded: Installation, call: Call) -> None:
    said = call("bars", a_code(loaded), "--start", "2026-11-02", "--end", "2026-11-06")
    assert (said.code, said.out) == (0, "")
    assert "backfill-daily --start 2026-11-02 --end 2026-11-06" in said.err
    assert "knows no security" in call("bars", "600999.SH", *WEEK).err


def test_a_moment_before_the_load_is_said_to_be_why_there_are_no_bars(loaded: Installation, call: Call) -> None:
    said = call("bars", a_code(loaded), *WEEK, "--as-of", "2026-11-13T18:30")
    assert (said.code, said.out) == (0, "")
    assert said.err.startswith("at 2026-11-13 18:30 (Shanghai time) the store held no bars of ")
    assert "backfill" not in said.err


def test_a_file_that_cannot_be_written_is_a_wrong_call(loaded: Installation, call: Call) -> None:
    said = call("bars", a_code(loaded), *WEEK, "--out", "nowhere/bars.csv")
    assert said.code == 2
    assert said.err.startswith("nowhere/bars.csv cannot be written")
