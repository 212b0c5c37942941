"""`coverage`: what is missing, its file, its picture, and the comparison of two stores."""

import csv
import io
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.serve.store import Store
from stock_assets.storage import asked_gaps, bars
from stock_assets.wiring import Installation
from stock_assets_tests.cli.conftest import FIRST, LAST, Call

WEEK = ("--start", str(FIRST), "--end", str(LAST))
LOST = date(2026, 11, 18)


def take_out(installation: Installation) -> str:
    """Delete one stock's bar of a day; return its code."""
    with installation.database.begin() as conn:
        code = bars.read_bars(conn, None, LOST, LOST)["ts_code"].min()
        conn.exec_driver_sql("DELETE FROM stock_daily WHERE trade_date = %s AND ts_code = %s", (LOST, code))
    return str(code)


def prove(installation: Installation, code: str) -> None:
    """Let the source have been asked for the bar on two days."""
    gap = pl.DataFrame([(code, LOST)], schema=asked_gaps.GAP_SCHEMA, orient="row")
    (source,) = installation.sources_in_use
    with installation.database.begin() as conn:
        for today in (date(2026, 11, 19), date(2026, 11, 20)):
            asked_gaps.note(conn, STOCK_DAILY.name, source, gap, today=today)


def test_the_sources_in_use_are_those_that_a_run_asks(loaded: Installation) -> None:
    assert dict(loaded.sources_in_use) == dict(loaded.pipeline().in_use)


def test_a_gap_that_no_source_can_fill_is_told_and_is_not_missing(
    loaded: Installation, call: Call, tmp_path: Path
) -> None:
    code = take_out(loaded)
    assert json.loads(call("coverage", *WEEK, "--format", "json").out) == [
        {"ts_code": code, "trade_date": str(LOST), "state": "missing"}
    ]
    assert "missing 1" in call("coverage", *WEEK).out
    prove(loaded, code)
    said = call("coverage", *WEEK)
    assert (said.code, "(100.00%)" in said.out, "no source has it 1" in said.out) == (0, True, True)
    assert call("coverage", *WEEK, "--format", "json").out == "[]\n"
    file = tmp_path / "gaps.csv"
    assert call("coverage", *WEEK, "--export", str(file)).code == 0
    assert list(csv.DictReader(io.StringIO(file.read_text()))) == [
        {"ts_code": code, "trade_date": str(LOST), "state": "source_has_none"}
    ]


def test_the_states_of_one_stock_are_told_day_by_day(loaded: Installation, call: Call) -> None:
    code = take_out(loaded)
    rows = json.loads(call("coverage", *WEEK, "--codes", code, "--format", "json").out)
    assert {row["ts_code"] for row in rows} == {code}
    assert [row["trade_date"] for row in rows if row["state"] == "missing"] == [str(LOST)]
    assert len(rows) == 5


@pytest.mark.parametrize("suffix", ["html", "png"])
def test_the_calendar_is_drawn(loaded: Installation, call: Call, tmp_path: Path, suffix: str) -> None:
    take_out(loaded)
    file = tmp_path / f"coverage.{suffix}"
    assert call("coverage", *WEEK, "--chart", str(file)).code == 0
    content = file.read_bytes()
    if suffix == "png":
        assert content.startswith(b"\x89PNG")
    else:
        page = content.decode()
        assert page.count("<rect") == 5 + 1
        assert f"<title>{LOST}" in page
        assert f"backfill-daily --start {LOST} --end {LOST}" in page


@pytest.mark.usefixtures("loaded")
def test_a_chart_of_another_kind_is_refused(call: Call, tmp_path: Path) -> None:
    assert call("coverage", *WEEK, "--chart", str(tmp_path / "x.pdf")).code == 2


@pytest.mark.parametrize("dataset", ["adjust_factor", "technical_daily", "finance_indicator", "cache_snapshot"])
def test_every_dataset_can_be_asked_about(loaded: Installation, call: Call, dataset: str) -> None:
    said = call("coverage", *WEEK, "--dataset", dataset)
    assert said.code == 0
    assert f"{FIRST} to {LAST}" in said.out
    assert loaded.database is not None


def test_two_stores_are_compared_month_by_month(loaded: Installation, call: Call, tmp_path: Path) -> None:
    printed = call("coverage", *WEEK, "--digest", "--format", "csv").out
    assert [row["month"] for row in csv.DictReader(io.StringIO(printed))] == ["2026-11"]
    other = tmp_path / "other.csv"
    other.write_text(printed)
    same = call("coverage", *WEEK, "--compare", str(other), "--format", "json")
    assert (same.code, same.out) == (0, "[]\n")
    take_out(loaded)
    differs = call("coverage", *WEEK, "--compare", str(other), "--format", "json")
    assert differs.code == 65
    (row,) = json.loads(differs.out)
    assert (row["month"], row["rows_there"] - row["rows"]) == ("2026-11", 1)


@pytest.mark.usefixtures("loaded")
def test_what_cannot_be_compared_is_refused(call: Call, tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.csv"
    nonsense.write_text("a,b\n1,2\n")
    assert call("coverage", *WEEK, "--compare", str(nonsense)).code == 2
    said = call("coverage", *WEEK, "--digest", "--dataset", "cache_snapshot")
    assert said.code == 2
    assert "choose --dataset" in said.err


def test_python_gets_the_same(loaded: Installation, new_installation: Callable[..., Installation]) -> None:
    code = take_out(loaded)
    assert new_installation is not None
    store = Store(loaded)
    counts = store.coverage(str(FIRST), str(LAST))
    assert counts.filter(pl.col("missing") > 0)["trade_date"].to_list() == [LOST]
    assert store.gaps(FIRST, LAST).rows() == [(code, LOST, "missing")]
    prove(loaded, code)
    assert store.gaps(FIRST, LAST).is_empty()
    assert store.gaps(FIRST, LAST, with_none=True).rows() == [(code, LOST, "source_has_none")]
