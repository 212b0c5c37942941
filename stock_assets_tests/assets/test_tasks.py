"""The jobs run as tasks: one of a type at a time, whoever starts it, and a night repairs the nights before it."""

from datetime import date

import pytest
from dagster import AssetKey, DagsterInstance

from stock_assets.automation.jobs import DAILY, HISTORY, NIGHTLY
from stock_assets.definitions import build_definitions
from stock_assets.pipeline.daily_sync import sync_daily
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.storage import sync_tasks
from stock_assets.storage.sync_tasks import JobType, SyncTask
from stock_assets.wiring import Installation
from stock_assets_tests.assets.test_runs import run, statuses

FIRST, LAST = date(2026, 11, 12), date(2026, 11, 20)


def newest(installation: Installation, job_type: JobType) -> SyncTask | None:
    """Return the newest task of a type."""
    with installation.database.read() as conn:
        return sync_tasks.latest(conn, job_type)


@pytest.mark.slow
def test_five_days_without_service_are_there_after_one_night(
    installation: Installation, far_end: BaoStockServer, instance: DagsterInstance
) -> None:
    definitions = build_definitions(installation)
    assert run(definitions, instance, NIGHTLY, [str(FIRST)]).success
    assert run(definitions, instance, NIGHTLY, [str(LAST)]).success
    days = installation.calendar.between(FIRST, LAST)
    assert len(days) == 7
    for asset in ("stock_daily", "adjust_factor"):
        assert set(statuses(installation, asset, *days)) <= {"complete", "empty"}
        assert instance.get_materialized_partitions(AssetKey(asset)) == {str(day) for day in days}
    # Nothing before the store's first day.
    assert far_end.requests["query_daily_history_k_AStock"] == len(days)
    task = newest(installation, "DAILY_INCREMENTAL")
    assert task is not None
    assert (task.status, task.current_offset) == ("COMPLETED", 6)


def test_a_second_run_of_a_type_fails_at_once_and_is_not_retried(
    installation: Installation, far_end: BaoStockServer, instance: DagsterInstance
) -> None:
    definitions = build_definitions(installation)
    with sync_tasks.held(installation.database, "DAILY_INCREMENTAL"):
        result = run(definitions, instance, DAILY, [str(LAST)])
        assert not result.success
        failures = [event.step_failure_data for event in result.all_events if event.is_step_failure]
        facts = failures[0].user_failure_data
        assert facts is not None
        assert facts.description is not None
        assert "DAILY_INCREMENTAL is running in another process" in facts.description
        assert facts.metadata["error class"].value == "AlreadyRunning"
        assert not any(event.is_step_restarted for event in result.all_events)
        assert far_end.requests["query_daily_history_k_AStock"] == 0
        # Days that are chosen by hand are loaded beside it.
        assert _materialized_by_hand(installation, instance)
    assert statuses(installation, "stock_daily", LAST) == ["complete"]


@pytest.mark.slow
def test_the_job_and_python_work_on_the_same_task(
    installation: Installation, far_end: BaoStockServer, instance: DagsterInstance
) -> None:
    days = installation.calendar.between(FIRST, LAST)
    far_end.faults = ",".join(f"close:query_daily_history_k_AStock:{number}" for number in range(3, 60))
    stopped = sync_daily(installation.pipeline(), days)
    assert stopped.outcome.task.status == "FAILED"
    far_end.faults = ""
    assert run(build_definitions(installation), instance, HISTORY, [str(FIRST), str(LAST)]).success
    task = newest(installation, "DAILY_HISTORY")
    assert task is not None
    assert (task.id, task.status, task.attempts) == (stopped.outcome.task.id, "COMPLETED", 2)
    assert task.current_offset == len(days)


def _materialized_by_hand(installation: Installation, instance: DagsterInstance) -> bool:
    """Materialize a day as the web page does, without the config of a job."""
    job = build_definitions(installation).resolve_job_def("__ASSET_JOB")
    keys = [AssetKey("stock_daily"), AssetKey("raw_baostock_daily")]
    result = job.execute_in_process(
        instance=instance, partition_key=str(LAST), asset_selection=keys, raise_on_error=False
    )
    return result.success
