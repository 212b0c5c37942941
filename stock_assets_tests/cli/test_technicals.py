"""Indicators at the command line: read one stock's, compute those of a range, compare what is stored with its bars."""

import csv
import io
import json
from pathlib import Path

import polars as pl
import pytest

from stock_assets.domain.errors import Language
from stock_assets.pipeline.compute import compute_technicals
from stock_assets.wiring import Installation
from stock_assets_tests.cli.conftest import FIRST, LAST, Call
from stock_assets_tests.cli.test_look import WEEK, a_code

REPAIR = f"stock-assets backfill-technicals --start {LAST} --end {LAST} --again --codes "


@pytest.fixture
def computed(loaded: Installation) -> Installation:
    """An installation with the indicators of its week."""
    report = compute_technicals(loaded.technicals(), loaded.calendar.between(FIRST, LAST))
    assert report.failure() is None
    return loaded


def damage(installation: Installation, code: str) -> None:
    with installation.database.dedicated() as connection:
        connection.execute(
            "UPDATE technical_daily SET ma_5 = ma_5 + 1 WHERE ts_code = %s AND trade_date = %s", [code, LAST]
        )


def test_every_format_has_the_rows_of_the_store(computed: Installation, call: Call, tmp_path: Path) -> None:
    code, out = a_code(computed), tmp_path / "rows.parquet"
    expected = computed.reader().technicals([code], FIRST, LAST, adjust="qfq", anchor=LAST)
    as_json = json.loads(call("technicals", code, *WEEK, "--format", "json").out)
    as_csv = list(csv.DictReader(io.StringIO(call("technicals", code, *WEEK, "--format", "csv").out)))
    assert call("technicals", code, *WEEK, "--out", str(out)).code == 0
    assert pl.read_parquet(out).equals(expected)
    assert list(as_csv[0]) == list(as_json[0]) == expected.columns
    assert [row["trade_date"] for row in as_csv] == [str(day) for day in expected["trade_date"]]
    assert len(as_csv) == 5
    assert [row["up_days"] for row in as_json] == expected["up_days"].to_list()


@pytest.mark.parametrize(("adjust", "title"), [("qfq", "forward-adjusted"), ("hfq", "back-adjusted")])
def test_a_table_says_how_prices_are_adjusted(computed: Installation, call: Call, adjust: str, title: str) -> None:
    code = a_code(computed)
    said = call("technicals", code[:6], *WEEK, "--adjust", adjust)
    assert (said.code, said.err) == (0, "")
    assert f"{code} {title}" in said.out
    assert all(word in said.out for word in ("ma_5", "kdj_k", str(FIRST), str(LAST)))


def test_code_and_day_lead_whatever_columns_are_named(computed: Installation, call: Call) -> None:
    code = a_code(computed)
    for named in ("ma_5, kdj_k", "trade_date,ma_5,kdj_k,ma_5", "ma_5,ts_code,kdj_k,trade_date"):
        head, *lines = call("technicals", code, *WEEK, "--columns", named, "--format", "csv").out.splitlines()
        assert head == "ts_code,trade_date,ma_5,kdj_k"
        # There is no average of five days before the fifth: the line has its day all the same.
        assert lines[0].startswith(f"{code},{FIRST},,")
        assert [line.split(",")[1] for line in lines] == [str(day) for day in computed.calendar.between(FIRST, LAST)]
    state = call("technicals", code, *WEEK, "--columns", "ema_12", "--format", "csv").out
    assert state.startswith("ts_code,trade_date,ema_12\n")


def test_days_without_indicators_come_with_the_command_that_computes_them(loaded: Installation, call: Call) -> None:
    code = a_code(loaded)
    said = call("technicals", code, *WEEK)
    assert (said.code, said.out) == (0, "")
    assert f"no indicators of {code} from {FIRST} to {LAST}" in said.err
    assert f"stock-assets backfill-technicals --start {FIRST} --end {LAST}" in said.err
    assert json.loads(call("technicals", code, *WEEK, "--format", "json").out) == []


@pytest.mark.usefixtures("no_store")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("technicals", "6000"), "6000"),
        (("technicals", "600000", "000001"), "000001"),
        (("technicals", "600000", *WEEK, "--format", "parquet"), "parquet needs a file"),
        (("technicals", "600000", "--start", str(LAST), "--end", str(FIRST)), str(LAST)),
        (("technicals", "600000", *WEEK, "--adjust", "none"), "must be one of qfq, hfq"),
        (("backfill-technicals", *WEEK, "--codes", "600000"), "--codes goes together with --again"),
    ],
)
def test_a_wrong_call_is_refused_before_anything_is_read(call: Call, arguments: tuple[str, ...], sentence: str) -> None:
    said = call(*arguments)
    assert (said.code, said.out) == (2, "")
    assert sentence in said.err


def test_what_the_store_does_not_have_is_said_with_the_way_on(loaded: Installation, call: Call) -> None:
    said = call("technicals", a_code(loaded), *WEEK, "--columns", "ma5")
    assert (said.code, said.out) == (2, "")
    assert "technical_daily has no column ma5; it has ts_code, trade_date, ma_5" in said.err
    said = call("backfill-technicals", "--start", "2026-10-30", "--end", "2026-10-30")
    assert (said.code, said.out) == (2, "")
    assert "backfill-daily --start 2026-10-30 --end 2026-10-30" in said.err


@pytest.mark.parametrize(
    ("language", "counted", "summary"),
    [("en", "stocks, 100%", "5 trading days worked on"), ("zh", "只股票，100%", "处理 5 个交易日")],
)
def test_a_range_is_computed_once_and_counts_stocks(
    loaded: Installation, call: Call, monkeypatch: pytest.MonkeyPatch, language: Language, counted: str, summary: str
) -> None:
    monkeypatch.setenv("STOCK_ASSETS_LANGUAGE", language)
    said = call("backfill-technicals")
    rows = loaded.reader().technicals().height
    assert said.code == 0, said.err
    assert summary in said.out
    assert f"{rows:,}" in said.out
    assert counted in said.err
    assert rows > 0
    again = call("backfill-technicals")
    assert (again.code, again.err) == (0, "")
    assert " 0 " in again.out


def test_what_is_not_loaded_of_a_range_is_left_out_and_said(loaded: Installation, call: Call) -> None:
    said = call("backfill-technicals", "--start", "2026-11-12", "--end", str(LAST))
    assert said.code == 0
    assert "2 more trading days have no bars yet and were left out" in said.err
    assert loaded.reader().technicals()["trade_date"].min() == FIRST


def test_a_store_without_bars_or_indicators_says_what_comes_first(loaded: Installation, call: Call) -> None:
    said = call("check-technicals")
    assert (said.code, said.out) == (2, "")
    assert "no indicators are computed yet; compute them: stock-assets backfill-technicals" in said.err
    with loaded.database.dedicated() as connection:
        connection.execute("DELETE FROM load_ledger")
    said = call("backfill-technicals")
    assert (said.code, said.out) == (2, "")
    assert "load some: stock-assets nightly" in said.err


def test_a_damaged_value_is_told_with_the_command_that_repairs_it(computed: Installation, call: Call) -> None:
    whole = call("check-technicals", "--full")
    assert whole.code == 0, whole.err
    assert f"{FIRST} to {LAST}: {computed.reader().technicals().height:,} rows" in whole.out
    code = a_code(computed)
    damage(computed, code)
    assert call("check-technicals", "--date", str(FIRST)).code == 0
    for arguments in ((), ("--full",)):
        said = call("check-technicals", *arguments)
        assert said.code == 65
        assert all(word in said.out for word in (code, "ma_5", str(LAST)))
        assert "1 values differ, 0 rows are missing, 0 are too many" in said.err
        assert REPAIR + code in said.err
    repair = (REPAIR + code).split()[1:]
    said = call(*repair)
    assert said.code == 0
    assert "0 rows added, 1 updated, 0 deleted" in said.out
    assert call("check-technicals").code == 0
