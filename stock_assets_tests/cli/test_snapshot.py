"""`snapshot`: a day's ready-made snapshot at the terminal, in a file, and which there are."""

import csv
import io
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from stock_assets.pipeline.snapshot import publish_snapshots
from stock_assets.pipeline.snapshot_columns import SNAPSHOT
from stock_assets.wiring import Installation
from stock_assets_tests.cli.conftest import Call
from stock_assets_tests.storage.made_up_days import CODES, WEEK, fill

FRIDAY = WEEK[-1]


@pytest.fixture
def published(new_installation: Callable[..., Installation]) -> Installation:
    """An installation with snapshots of a made-up week."""
    installation = new_installation()
    fill(installation.database)
    publish_snapshots(installation.snapshots(run_id="run"), WEEK, installation.snapshot_folder)
    return installation


def name_of(installation: Installation, day: date) -> str:
    return installation.snapshot_reader().row(day).snapshot_id


def test_a_day_is_summed_up_and_its_most_traded_stocks_are_shown(published: Installation, call: Call) -> None:
    said = call("snapshot", "2026-11-20")
    assert said.code == 0, said.err
    first = said.out.splitlines()[0]
    assert first.startswith(f"2026-11-20 {name_of(published, FRIDAY)}: 5 stocks, {len(SNAPSHOT.names)} columns; ")
    assert "1 suspended" in first
    assert all(code in said.out for code in CODES)


@pytest.mark.usefixtures("published")
def test_without_a_day_the_newest_is_shown(call: Call) -> None:
    assert call("snapshot").out == call("snapshot", "20261120").out


def test_every_format_has_all_rows_and_columns(published: Installation, call: Call, tmp_path: Path) -> None:
    expected = published.snapshot_reader().read(FRIDAY)
    as_json = json.loads(call("snapshot", "2026-11-20", "--format", "json").out)
    as_csv = list(csv.DictReader(io.StringIO(call("snapshot", "2026-11-20", "--format", "csv").out)))
    out = tmp_path / "day.parquet"
    assert call("snapshot", "2026-11-20", "--out", str(out)).code == 0
    assert pl.read_parquet(out).equals(expected)
    assert [row["ts_code"] for row in as_json] == [row["ts_code"] for row in as_csv] == CODES
    assert list(as_csv[0]) == list(as_json[0]) == SNAPSHOT.names


def test_columns_are_those_that_were_asked_for(published: Installation, call: Call) -> None:
    said = call("snapshot", "2026-11-20", "--columns", "ts_code, close,rsi_6", "--format", "csv")
    assert said.out.splitlines()[0] == "ts_code,close,rsi_6"
    table = call("snapshot", "--id", name_of(published, FRIDAY), "--columns", "ts_code,roe").out
    assert "roe" in table
    assert "pe_ttm" not in table


def test_an_id_is_read_for_ever_and_the_list_says_why_there_is_each(published: Installation, call: Call) -> None:
    old = name_of(published, FRIDAY)
    before = call("snapshot", "--id", old, "--format", "csv").out
    with published.database.dedicated() as connection:
        connection.execute("UPDATE stock_daily SET close = 10.9 WHERE ts_code = '600000.SH'")
    publish_snapshots(published.snapshots(), [FRIDAY], published.snapshot_folder)
    assert call("snapshot", "--id", old, "--format", "csv").out == before
    assert call("snapshot", "2026-11-20", "--format", "csv").out != before
    rows = json.loads(call("snapshot", "2026-11-20", "--list", "--format", "json").out)
    assert [row["is_current"] for row in rows] == [True, False]
    assert rows[1]["snapshot_id"] == old
    table = call("snapshot", "--list").out
    assert "stock_daily changed" in table
    assert "the first snapshot of the day" in table


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("2026-10-30",), "there is no snapshot of 2026-10-30; `stock-assets backfill-snapshots --start 2026-10-30`"),
        (("2026-11-21",), "2026-11-21 is not a trading day; the last one before it is 2026-11-20"),
        (("--id", "0123456789abcdef"), "there is no snapshot 0123456789abcdef; `stock-assets snapshot --list` shows"),
        (("2026-11-20", "--id", "0123456789abcdef"), "name a day or an --id, not both"),
        (("2026-11-20", "--columns", "rsi6"), "the snapshot has no column rsi6; like it are rsi_6"),
        (("2026-11-20", "--format", "parquet"), "parquet needs a file"),
    ],
)
@pytest.mark.usefixtures("published")
def test_what_cannot_be_read_is_one_sentence_with_the_way_on(
    call: Call, arguments: tuple[str, ...], sentence: str
) -> None:
    said = call("snapshot", *arguments)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(sentence)


def test_a_damaged_file_is_data_refused(published: Installation, call: Call) -> None:
    file = published.snapshot_folder / published.snapshot_reader().row(FRIDAY).path
    file.write_bytes(file.read_bytes()[:-1])
    said = call("snapshot", "2026-11-20")
    assert said.code == 65
    assert "make its day's again" in said.err


def test_a_range_is_made_from_the_store_and_says_what_it_lacks(published: Installation, call: Call) -> None:
    week = ("--start", "2026-11-16", "--end", "2026-11-20")
    said = call("backfill-snapshots", *week)
    assert (said.code, said.out) == (
        0, "daily snapshots: 0 days published, 0 written again, 5 unchanged; 0 let go as settings say\n"
    )  # fmt: skip
    with published.database.dedicated() as connection:
        connection.execute("DELETE FROM technical_daily WHERE trade_date = '2026-11-18'")
        connection.execute("UPDATE stock_daily SET close = 10.9 WHERE ts_code = '600000.SH'")
    said = call("backfill-snapshots", *week)
    assert said.code == 2
    assert "4 days published" in said.out
    assert "backfill-technicals --start 2026-11-18 --end 2026-11-18" in said.err


def test_a_store_without_snapshots_says_what_makes_them(
    new_installation: Callable[..., Installation], call: Call
) -> None:
    new_installation()
    for arguments in ((), ("--list",)):
        said = call("snapshot", *arguments)
        assert said.out == ""
        assert "`stock-assets nightly` makes them" in said.err
