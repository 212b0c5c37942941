"""Finance in Dagster: a day's announcements as a partition, the history as one run, and who has no source is told so."""

from collections.abc import Callable
from datetime import date, datetime

import pytest
from dagster import DagsterInstance, RunRequest, SkipReason, build_schedule_context

from stock_assets.automation.finance_jobs import FINANCE_HISTORY, INCREMENT, finance_schedule
from stock_assets.definitions import build_definitions
from stock_assets.domain.calendar import SHANGHAI
from stock_assets.pipeline.refresh import ensure_reference
from stock_assets.wiring import Installation
from stock_assets_tests.assets.test_runs import run, statuses

BEFORE, DAY = date(2026, 11, 19), date(2026, 11, 20)
MADE_UP = {
    "STOCK_ASSETS_SOURCE": "simulated",
    "SIMULATED_STOCKS": "20",
    "SYNC_FINANCE_HISTORY_START_DATE": "20260101",
}
EVENING = datetime(2026, 11, 20, 21, 0, tzinfo=SHANGHAI)


@pytest.fixture
def made_up(new_installation: Callable[..., Installation]) -> Installation:
    """An installation on a made-up market of its own."""
    return new_installation(**MADE_UP)


def test_the_history_is_one_run_and_the_day_after_it_is_a_partition(
    made_up: Installation, instance: DagsterInstance
) -> None:
    definitions = build_definitions(made_up)
    job = definitions.resolve_job_def(FINANCE_HISTORY)
    result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert result.success
    assert statuses(made_up, "finance_indicator", DAY) in (["complete"], ["empty"])
    again = job.execute_in_process(instance=instance, raise_on_error=False)
    assert again.success
    day = run(definitions, instance, INCREMENT, [DAY.isoformat()])
    assert day.success
    metadata = day.asset_materializations_for_node("finance_reports")[0].metadata
    assert {"first versions", "corrected", "duplicates", "rows rejected", "requests"} <= metadata.keys()
    assert metadata["requests"].value == 0


def test_a_day_alone_brings_a_few_stocks_and_says_what_is_open(
    new_installation: Callable[..., Installation], instance: DagsterInstance
) -> None:
    made_up = new_installation(**MADE_UP, SYNC_INCREMENTAL_MISSING_LIMIT="3")
    ensure_reference(made_up.pipeline(), [DAY])
    result = run(build_definitions(made_up), instance, INCREMENT, [DAY.isoformat()])
    assert result.success
    assert statuses(made_up, "finance_indicator", DAY) == ["partial"]
    metadata = result.asset_materializations_for_node("finance_reports")[0].metadata
    assert metadata["stocks or days asked"].value == 3
    assert "history finance" in str(metadata["next step"].value)


def test_without_a_source_the_day_is_skipped_and_stays_open(
    installation: Installation, instance: DagsterInstance
) -> None:
    result = run(build_definitions(installation), instance, INCREMENT, [DAY.isoformat()])
    assert result.success
    assert result.asset_materializations_for_node("finance_reports") == []
    assert statuses(installation, "finance_indicator", DAY) == [None]
    skipped = finance_schedule(installation)(build_schedule_context(scheduled_execution_time=EVENING))
    assert isinstance(skipped, SkipReason)
    assert skipped.skip_message


def test_the_schedule_asks_for_todays_session(made_up: Installation) -> None:
    request = finance_schedule(made_up)(build_schedule_context(scheduled_execution_time=EVENING))
    assert isinstance(request, RunRequest)
    assert request.partition_key == DAY.isoformat()
    sunday = datetime(2026, 11, 22, 21, 0, tzinfo=SHANGHAI)
    assert isinstance(finance_schedule(made_up)(build_schedule_context(scheduled_execution_time=sunday)), SkipReason)
