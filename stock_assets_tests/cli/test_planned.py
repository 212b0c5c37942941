"""`status` says what schedules planned and what became of it."""

from datetime import date, datetime

import pytest

from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.storage import ledger
from stock_assets.wiring import Installation
from stock_assets_tests.cli.conftest import Call
from stock_assets_tests.storage.made_up_rows import entry


@pytest.fixture
def store(installation: Installation) -> Installation:
    """A store since Wednesday morning; that evening went well, and then nothing came."""
    with installation.database.begin() as conn:
        for dataset in (STOCK_DAILY.name, ADJUST_FACTOR.name):
            for day, hour in ((17, 9), (18, 18)):
                moment = datetime(2026, 11, 18, hour, 50, tzinfo=SHANGHAI)
                line = {"dataset": dataset, "trade_date": date(2026, 11, day), "started_at": moment}
                ledger.write_entry(conn, entry(**line, finished_at=moment))
    return installation


@pytest.mark.usefixtures("store")
def test_what_was_missed_is_shown_and_how_to_see_the_rest(call: Call) -> None:
    said = call("status").out
    assert "scheduled runs of the last 30 days: in time 1, missed 1, pending 1" in said
    assert "2026-11-19 18:30" in said
    assert "2026-11-18 18:30" not in said
    assert "stock-assets status --runs" in said


@pytest.mark.usefixtures("store")
def test_every_run_is_shown_with_what_the_engine_knows(call: Call) -> None:
    said = call("status", "--runs").out
    assert "2026-11-18 18:30" in said
    assert "the service was off or the schedule stopped" in said


@pytest.mark.usefixtures("loaded")
def test_a_store_that_was_just_made_has_no_plans(call: Call) -> None:
    assert "no run was planned in the last 30 days" in call("status").out
