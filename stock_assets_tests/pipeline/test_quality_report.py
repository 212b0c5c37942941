"""A day's quality as a page beside its snapshot: kept once, kept for as long, and said of what is stored."""

from pathlib import Path

import pytest

from stock_assets.pipeline.day_quality import judge_day
from stock_assets.pipeline.quality_report import KeptReport, keep_report
from stock_assets.pipeline.snapshot import prune_snapshots
from stock_assets.pipeline.technical_context import TechnicalContext
from stock_assets.storage import quality_reports, snapshots
from stock_assets.storage.database import Database
from stock_assets_tests.pipeline.snapshot_workshop import SnapshotWorkshop
from stock_assets_tests.storage.made_up_days import CALENDAR, EVENING, WEEK, fill_calendar

MONDAY, *_, THURSDAY, FRIDAY = WEEK
WRONG = "UPDATE stock_daily SET turnover_rate = 150 WHERE ts_code = '600000.SH' AND trade_date = :day"


@pytest.fixture
def workshop(database: Database, tmp_path: Path) -> SnapshotWorkshop:
    """A store with snapshots of a made-up week."""
    workshop = SnapshotWorkshop.filled(database, tmp_path / "snapshots")
    fill_calendar(database)
    workshop.publish()
    return workshop


def keep(workshop: SnapshotWorkshop) -> KeptReport:
    context = TechnicalContext(database=workshop.database, calendar=CALENDAR, now=lambda: EVENING)
    return keep_report(context, workshop.folder, FRIDAY)


def test_the_page_lies_beside_its_snapshot_and_an_equal_one_is_not_written_again(workshop: SnapshotWorkshop) -> None:
    first = keep(workshop)
    assert first.path is not None
    snapshot = workshop.row(FRIDAY).path
    assert first.path.parent == (workshop.folder / snapshot).parent
    assert first.path.name.startswith(Path(snapshot).stem + ".quality-")
    assert first.path.read_text(encoding="utf-8") == first.page
    again = keep(workshop)
    assert (again.path, again.is_new, again.page) == (first.path, False, first.page)
    assert first.is_new


def test_a_report_that_says_something_else_is_another_file_and_the_newest_is_the_days(
    workshop: SnapshotWorkshop,
) -> None:
    before = keep(workshop)
    workshop.change(WRONG, day=FRIDAY)
    after = keep(workshop)
    assert before.path is not None
    assert after.path is not None
    assert before.path != after.path
    assert before.path.read_text(encoding="utf-8") == before.page
    name = workshop.row(FRIDAY).snapshot_id
    assert quality_reports.newest(workshop.folder, FRIDAY, name) == after.path
    assert "换手率超过 100%" in after.page
    assert "换手率超过 100%" not in before.page


def test_sweeping_leaves_reports_of_snapshots_that_are_there_and_takes_those_of_others(
    workshop: SnapshotWorkshop,
) -> None:
    kept = keep(workshop)
    assert kept.path is not None
    begun = kept.path.with_name(f"{kept.path.name}.0123abcd.partial")
    begun.write_text("half a page", encoding="utf-8")
    strange = kept.path.with_name(kept.path.name.replace(workshop.row(FRIDAY).snapshot_id, "f" * 16))
    strange.write_text("of nothing", encoding="utf-8")
    assert len(snapshots.sweep(workshop.database, workshop.folder)) == 2
    assert kept.path.exists()
    assert not begun.exists()
    assert not strange.exists()
    workshop.change("UPDATE stock_daily SET pe_ttm = 7 WHERE trade_date = :day", day=FRIDAY)
    workshop.publish(FRIDAY)
    assert kept.path.exists()
    prune_snapshots(workshop.context, workshop.folder, keep_versions=1)
    assert not kept.path.exists()


def test_a_day_is_graded_by_what_is_worst(workshop: SnapshotWorkshop) -> None:
    clean = judge_day(workshop.database, CALENDAR, THURSDAY)
    assert (clean.expected, clean.present, clean.missing) == (5, 5, ())
    workshop.change(WRONG, day=THURSDAY)
    assert judge_day(workshop.database, CALENDAR, THURSDAY).warnings > clean.warnings
    workshop.change("DELETE FROM stock_daily WHERE ts_code = '600000.SH' AND trade_date = :day", day=THURSDAY)
    short = judge_day(workshop.database, CALENDAR, THURSDAY)
    assert short.missing == ("600000.SH",)
    assert short.grade == "bad"
    assert short.repairs(1) == [f"stock-assets backfill-daily --start {THURSDAY} --end {THURSDAY}"]
    workshop.change("DELETE FROM stock_daily WHERE trade_date = :day", day=THURSDAY)
    assert judge_day(workshop.database, CALENDAR, THURSDAY).grade == "absent"


def test_a_day_without_a_snapshot_has_a_page_that_is_kept_nowhere(database: Database, tmp_path: Path) -> None:
    workshop = SnapshotWorkshop.filled(database, tmp_path / "snapshots")
    kept = keep(workshop)
    assert kept.path is None
    assert "当日尚无快照" in kept.page
    assert workshop.files() == set()


def test_a_damaged_snapshot_costs_the_picture_of_the_market_alone(workshop: SnapshotWorkshop) -> None:
    assert [name for name, _ in keep(workshop).pictures] == [
        "完整与异常 completeness and outliers",
        "当日行情 the market",
    ]
    (workshop.folder / workshop.row(FRIDAY).path).write_bytes(b"")
    assert [name for name, _ in keep(workshop).pictures] == ["完整与异常 completeness and outliers"]
