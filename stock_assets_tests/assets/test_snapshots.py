"""Snapshots in Dagster: a day and a range as runs, what people see of them, and a file that is not what was written."""

# Dagster leaves a type argument of its metadata open; nothing of ours is unknown here.
# pyright: reportUnknownVariableType=false

from collections.abc import Callable
from typing import Any

import pytest
from dagster import AssetKey, AssetSelection, DagsterInstance, Definitions, define_asset_job, in_process_executor

from stock_assets.assets.partitions import trading_days
from stock_assets.assets.resources import store_resource
from stock_assets.assets.snapshots import snapshot_assets, snapshot_checks
from stock_assets.pipeline.snapshot_columns import SNAPSHOT
from stock_assets.wiring import Installation
from stock_assets_tests.assets.test_runs import days_told, failed_checks, run, statuses
from stock_assets_tests.storage.made_up_days import WEEK, fill

FRIDAY = WEEK[-1]
JOB = "snapshots_alone"


@pytest.fixture
def filled(new_installation: Callable[..., Installation]) -> Installation:
    """An installation whose store has a made-up week."""
    installation = new_installation(SNAPSHOT_KEEP_VERSIONS="2")
    fill(installation.database)
    return installation


def definitions_of(installation: Installation) -> Definitions:
    days = trading_days(installation.calendar)
    return Definitions(
        assets=snapshot_assets(days),
        asset_checks=snapshot_checks(days),
        jobs=[define_asset_job(JOB, AssetSelection.assets("cache_snapshot"), executor_def=in_process_executor)],
        resources={"store": store_resource(installation)},
    )


def metadata_of(result: Any) -> dict[str, Any]:  # noqa: ANN401  Dagster's own
    (event,) = [
        one for one in result.asset_materializations_for_node("cache_snapshot") if "days published" in one.metadata
    ]
    return {name: value.value for name, value in event.metadata.items()}


def test_a_day_shows_what_is_in_it_and_a_picture(filled: Installation, instance: DagsterInstance) -> None:
    result = run(definitions_of(filled), instance, JOB, [str(FRIDAY)])
    assert result.success
    assert failed_checks(result) == {}
    told = metadata_of(result)
    row = filled.snapshot_reader().row(FRIDAY)
    assert (told["snapshot_id"], told["reason"], told["bytes"]) == (row.snapshot_id, row.reason, row.bytes)
    assert (told["rows"], told["columns"], told["days published"]) == (5, len(SNAPSHOT.names), 1)
    assert "600000.SH" in told["traded most"]
    assert "data:image/png;base64," in told["picture"]
    assert {"read seconds", "make seconds", "write seconds"} <= told.keys()
    assert row.run_id == result.run_id
    assert statuses(filled, "cache_snapshot", FRIDAY) == ["complete"]


def test_a_range_is_one_run_and_each_day_has_its_own_page(filled: Installation, instance: DagsterInstance) -> None:
    result = run(definitions_of(filled), instance, JOB, [str(WEEK[0]), str(FRIDAY)])
    assert result.success
    events = result.asset_materializations_for_node("cache_snapshot")
    assert sorted(str(event.partition) for event in events) == [str(day) for day in WEEK]
    ids = {str(event.partition): event.metadata["snapshot_id"].value for event in events}
    assert ids == {str(day): filled.snapshot_reader().row(day).snapshot_id for day in WEEK}
    assert {str(day) for day in WEEK} <= days_told(instance, "cache_snapshot", "cache_snapshot_whole")


def test_settings_let_old_versions_go_after_a_publication(filled: Installation, instance: DagsterInstance) -> None:
    for close in (10.3, 10.4, 10.5):
        with filled.database.dedicated() as connection:
            connection.execute("UPDATE stock_daily SET close = %s WHERE ts_code = '600000.SH'", [close])
        assert run(definitions_of(filled), instance, JOB, [str(FRIDAY)]).success
    assert filled.snapshot_reader().listed().height == 2


def test_a_day_without_bars_fails_the_run_and_the_others_count(filled: Installation, instance: DagsterInstance) -> None:
    with filled.database.dedicated() as connection:
        connection.execute("DELETE FROM stock_daily WHERE trade_date = '2026-11-18'")
    result = run(definitions_of(filled), instance, JOB, [str(WEEK[0]), str(FRIDAY)])
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "backfill-daily --start 2026-11-18 --end 2026-11-18" in str(failure.step_failure_data.user_failure_data)
    assert instance.get_materialized_partitions(AssetKey("cache_snapshot")) == {
        str(day) for day in WEEK if day != WEEK[2]
    }
    assert filled.snapshot_reader().listed().height == 4


def test_a_file_that_is_not_what_was_written_fails_the_check(filled: Installation, instance: DagsterInstance) -> None:
    definitions = definitions_of(filled)
    assert run(definitions, instance, JOB, [str(FRIDAY)]).success
    row = filled.snapshot_reader().row(FRIDAY)
    file = filled.snapshot_folder / row.path
    file.write_bytes(file.read_bytes() + b"x")
    checks = definitions.resolve_job_def(JOB)
    alone = checks.execute_in_process(
        instance=instance,
        partition_key=str(FRIDAY),
        op_selection=["cache_snapshot_cache_snapshot_whole"],
        raise_on_error=False,
    )
    (verdict,) = alone.get_asset_check_evaluations()
    assert not verdict.passed
    assert verdict.metadata["not whole"].value == str(FRIDAY)
    assert "backfill-snapshots --start 2026-11-20" in str(verdict.metadata["next step"].value)
