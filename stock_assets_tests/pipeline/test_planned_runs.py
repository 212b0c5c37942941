"""Planned against done: every evening of the last 30 days has a verdict, whether the machine was on or not."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

import pytest

from stock_assets.domain.calendar import SHANGHAI, TradingCalendar
from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.pipeline.planned_runs import (
    PLANS,
    PlannedRun,
    Runs,
    ScheduledRun,
    counts_of,
    frame_of,
    planned_runs,
    said,
)
from stock_assets.simulator.market import weekdays
from stock_assets.storage import ledger
from stock_assets.storage.database import Database
from stock_assets_tests.storage.made_up_rows import entry

# Wednesday and Thursday of the second week are a holiday.
HOLIDAYS = {date(2026, 11, 11), date(2026, 11, 12)}
CALENDAR = TradingCalendar.of([day for day in weekdays(date(2026, 10, 1), date(2026, 12, 31)) if day not in HOLIDAYS])
NOW = datetime(2026, 11, 18, 19, 0, tzinfo=SHANGHAI)
INSTALLED = datetime(2026, 11, 9, 9, 0, tzinfo=SHANGHAI)
NIGHTLY = (STOCK_DAILY.name, ADJUST_FACTOR.name)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """Return a moment of November."""
    return datetime(2026, 11, day, hour, minute, tzinfo=SHANGHAI)


def bring(database: Database, day: int, finished: datetime, **values: object) -> None:
    """Write the ledger's lines of a night."""
    with database.begin() as conn:
        for dataset in NIGHTLY:
            line = {"dataset": dataset, "trade_date": date(2026, 11, day), "run_id": f"run-{day:05d}", **values}
            ledger.write_entry(conn, entry(**line, started_at=finished, finished_at=finished))


@pytest.fixture
def store(database: Database) -> Database:
    """A store that was installed on Monday the 9th with the history before it, and had evenings of every kind since."""
    bring(database, 6, INSTALLED)
    bring(database, 9, at(9, 18, 40))
    bring(database, 10, at(10, 22, 10))
    bring(database, 13, at(16, 9, 0))
    bring(database, 16, at(16, 18, 41), status="partial", rows_present=1, detail="1 missing, 0 rejected")
    return database


def became(found: list[PlannedRun]) -> Mapping[date, tuple[str, str]]:
    """Return outcome and reason by day, of the nightly schedule."""
    return {run.planned_at.date(): (run.outcome, run.en) for run in found if run.schedule == PLANS[0].schedule}


def look(database: Database, now: datetime = NOW, runs: Runs | None = None) -> list[PlannedRun]:
    """Return the planned runs."""
    with database.read() as conn:
        return planned_runs(conn, CALENDAR, now, runs=runs)


def test_every_evening_since_the_installation_has_a_verdict(store: Database) -> None:
    assert became(look(store)) == {
        date(2026, 11, 18): ("pending", "not run yet"),
        date(2026, 11, 17): ("missed", "nothing was loaded that evening"),
        date(2026, 11, 16): (
            "missed", "stock_daily: 1 missing, 0 rejected; adjust_factor: 1 missing, 0 rejected",
        ),
        date(2026, 11, 13): ("repaired", "nothing was loaded that evening"),
        date(2026, 11, 12): ("skipped", "the exchanges are closed"),
        date(2026, 11, 11): ("skipped", "the exchanges are closed"),
        date(2026, 11, 10): ("late", "due by 20:00"),
        date(2026, 11, 9): ("done", ""),
    }  # fmt: skip


def test_nothing_was_planned_before_the_installation_nor_by_a_schedule_that_brings_nothing(store: Database) -> None:
    assert {run.schedule for run in look(store)} == {"nightly_schedule"}
    with store.begin() as conn:
        line = {"dataset": FINANCE_INDICATOR.name, "trade_date": date(2026, 11, 9)}
        ledger.write_entry(conn, entry(**line, started_at=at(9, 21), finished_at=at(9, 21, 30)))
    finance = [run for run in look(store) if run.schedule == "finance_schedule"]
    assert [(run.planned_at.day, run.outcome) for run in finance if run.planned_at.day in (9, 10)] == [
        (10, "missed"),
        (9, "done"),
    ]
    # Its hour of the 18th has not come.
    assert max(run.planned_at.day for run in finance) == 17


def test_an_empty_store_has_no_plans(database: Database) -> None:
    assert look(database) == []
    assert said([], "en") == "no run was planned in the last 30 days"


def test_the_evening_is_over_at_midnight(store: Database) -> None:
    assert became(look(store, at(18, 23, 59)))[date(2026, 11, 18)][0] == "pending"
    assert became(look(store, at(19, 0)))[date(2026, 11, 18)][0] == "missed"


def test_only_thirty_days_are_looked_at(store: Database) -> None:
    later = NOW + timedelta(days=30)
    assert min(became(look(store, later))) == date(2026, 11, 18)


def test_what_the_engine_remembers_says_why(store: Database) -> None:
    name = PLANS[0].schedule
    runs: Runs = {
        (name, date(2026, 11, 17)): [ScheduledRun("a", at(17, 18, 31), is_success=False, reason="no space left")],
        (name, date(2026, 11, 18)): [ScheduledRun("b", None, is_success=False)],
    }
    found = became(look(store, runs=runs))
    assert found[date(2026, 11, 17)] == ("missed", "the run failed: no space left")
    assert found[date(2026, 11, 18)] == ("pending", "a run is under way")
    assert found[date(2026, 11, 13)] == ("repaired", "no run was started: the service was off or the schedule stopped")


def test_a_line_that_a_correction_wrote_anew_does_not_make_its_evening_late(store: Database) -> None:
    bring(store, 9, at(17, 10, 0), rows_expected=3, rows_present=3)
    assert became(look(store))[date(2026, 11, 9)][0] == "repaired", "the ledger alone cannot know better"
    runs: Runs = {(PLANS[0].schedule, date(2026, 11, 9)): [ScheduledRun("c", at(9, 18, 45), is_success=True)]}
    assert became(look(store, runs=runs))[date(2026, 11, 9)] == ("done", "")


def test_people_read_it_in_their_language(store: Database) -> None:
    found = look(store)
    assert counts_of(found) == {"pending": 1, "missed": 2, "repaired": 1, "skipped": 2, "late": 1, "done": 1}
    assert said(found, "zh") == "准时 1，迟到 1，事后补齐 1，错过 2，休市 2，待完成 1"
    rows = frame_of(found, "zh").rows()
    assert rows[1] == ("nightly_schedule", "2026-11-17 18:30", "错过", "", "", "当晚没有装载记录")
    assert frame_of(found, "en").rows()[-1] == (
        "nightly_schedule", "2026-11-09 18:30", "in time", "2026-11-09 18:40", "run-0000", "",
    )  # fmt: skip
