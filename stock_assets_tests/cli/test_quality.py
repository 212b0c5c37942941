"""`quality`: a day's verdict at the terminal, all findings for programs, and the page."""

import csv
import io
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from stock_assets.pipeline.snapshot import publish_snapshots
from stock_assets.quality.findings import STORED_FINDING_SCHEMA
from stock_assets.wiring import Installation
from stock_assets_tests.cli.conftest import Call
from stock_assets_tests.storage.made_up_days import WEEK, fill, fill_calendar

FRIDAY = date(2026, 11, 20)


@pytest.fixture
def published(new_installation: Callable[..., Installation]) -> Installation:
    """An installation with snapshots of a made-up week, and one wrong bar on its last day."""
    installation = new_installation()
    fill(installation.database)
    fill_calendar(installation.database)
    publish_snapshots(installation.snapshots(run_id="run"), WEEK, installation.snapshot_folder)
    with installation.database.begin() as conn:
        conn.execute(
            sa.text("UPDATE stock_daily SET turnover_rate = 150 WHERE ts_code = '600000.SH' AND trade_date = :day"),
            {"day": FRIDAY},
        )
    return installation


def test_a_day_is_said_in_words_with_what_was_found_and_what_to_do(published: Installation, call: Call) -> None:
    said = call("quality", "--date", "2026-11-20")
    assert said.code == 0, said.err
    assert said.out.startswith("2026-11-20 quality: ")
    assert "5 rows expected, 5 present, 0 missing" in said.out
    assert "turnover_above_100" in said.out
    assert "next: stock-assets nightly --date 2026-11-20" in said.out
    (path,) = [line.removeprefix("page: ") for line in said.out.splitlines() if line.startswith("page: ")]
    assert Path(path).is_relative_to(published.snapshot_folder)
    assert call("quality").out == said.out


@pytest.mark.usefixtures("published")
def test_programs_get_every_finding(call: Call) -> None:
    as_json = json.loads(call("quality", "--format", "json").out)
    as_csv = list(csv.DictReader(io.StringIO(call("quality", "--format", "csv").out)))
    assert list(as_json[0]) == list(as_csv[0]) == STORED_FINDING_SCHEMA.names()
    assert [row["rule"] for row in as_json] == [row["rule"] for row in as_csv]
    assert "turnover_above_100" in {row["rule"] for row in as_json if row["ts_code"] == "600000.SH"}


@pytest.mark.usefixtures("published")
def test_the_page_can_be_written_anywhere(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "day.html"
    said = call("quality", "--date", "2026-11-20", "--out", str(out))
    assert said.code == 0, said.err
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    refused = call("quality", "--out", str(tmp_path / "day.pdf"))
    assert refused.code == 2
    assert "name it like day.html" in refused.err
    nowhere = call("quality", "--out", str(tmp_path / "no" / "day.html"))
    assert nowhere.code == 2
    assert "cannot be written" in nowhere.err


@pytest.mark.parametrize(("day", "reason"), [("2026-11-22", "trading day"), ("2026-11-25", "not")])
@pytest.mark.usefixtures("published")
def test_a_day_that_cannot_have_data_is_refused(call: Call, day: str, reason: str) -> None:
    said = call("quality", "--date", day)
    assert said.code != 0
    assert reason in said.err
