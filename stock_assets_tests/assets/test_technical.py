"""Indicators in Dagster: days as runs, a day that has no bars yet, and a stored value that was damaged."""

# Dagster leaves a type argument of its metadata open; nothing of ours is unknown here.
# pyright: reportUnknownVariableType=false

from typing import Any

import pytest
from dagster import AssetKey, AssetSelection, DagsterInstance, Definitions, define_asset_job, in_process_executor

from stock_assets.assets.partitions import trading_days
from stock_assets.assets.resources import store_resource
from stock_assets.assets.technical import technical_assets, technical_checks
from stock_assets.pipeline.compute import compute_technicals
from stock_assets.pipeline.factors import ingest_factors
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.wiring import Installation
from stock_assets_tests.assets.conftest import FIRST, TODAY
from stock_assets_tests.assets.test_runs import failed_checks, run, statuses

JOB = "technicals_alone"
CHECK = "technical_daily_technical_daily_recomputed"
LOADED = 8


@pytest.fixture
def loaded(installation: Installation) -> Installation:
    """An installation whose store holds the bars and factors of the last days."""
    days = installation.calendar.between(FIRST, TODAY)[-LOADED:]
    assert ingest_days(installation.pipeline(), days).failure() is None
    assert ingest_factors(installation.pipeline(), days).failure() is None
    installation.baostock_pool.release_idle()
    return installation


def definitions_of(installation: Installation) -> Definitions:
    days = trading_days(installation.calendar)
    return Definitions(
        assets=technical_assets(days),
        asset_checks=technical_checks(days),
        jobs=[define_asset_job(JOB, AssetSelection.assets("technical_daily"), executor_def=in_process_executor)],
        resources={"store": store_resource(installation)},
    )


def test_days_land_and_say_what_was_done_and_how_long_it_took(loaded: Installation, instance: DagsterInstance) -> None:
    days = loaded.calendar.between(FIRST, TODAY)[-LOADED:]
    definitions = definitions_of(loaded)
    result = run(definitions, instance, JOB, [str(days[0]), str(days[-2])])
    assert result.success
    assert failed_checks(result) == {}
    assert len(result.get_asset_check_evaluations()) == 1
    said = [entry.user_message for entry in instance.all_logs(result.run_id)]
    assert any("45/45 stocks, 100%" in line for line in said), "whoever watches the page sees how far it is"
    assert instance.get_materialized_partitions(AssetKey("technical_daily")) == {str(day) for day in days[:-1]}
    # The next night, from the ring that the first run left.
    result = run(definitions, instance, JOB, [str(days[-1])])
    assert result.success
    assert failed_checks(result) == {}
    assert statuses(loaded, "technical_daily", *days) == ["complete"] * LOADED
    rows = loaded.reader().technicals(None, days[-1], days[-1])
    told: dict[str, Any] = {}
    for event in result.asset_materializations_for_node("technical_daily"):
        assert event.partition == str(days[-1])
        told |= {name: value.value for name, value in event.metadata.items()}
    assert (told["stocks"], told["rows inserted"], told["rows deleted"]) == (rows.height, rows.height, 0)
    assert rows.height > 0
    assert rows["ts_code"][0] in told["preview"]
    assert "kdj" in told["seconds by family"]
    assert {"read seconds", "compute seconds", "write seconds"} <= told.keys()
    assert "requests" not in told


def test_a_day_without_bars_fails_the_run_and_names_what_loads_them(
    loaded: Installation, instance: DagsterInstance
) -> None:
    day, *others = loaded.calendar.between(FIRST, TODAY)[-LOADED - 1 :]
    result = run(definitions_of(loaded), instance, JOB, [str(day), str(others[-1])])
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert f"stock-assets backfill-daily --start {day} --end {day}" in str(failure.step_failure_data.user_failure_data)
    # The others are computed all the same, and count.
    assert statuses(loaded, "technical_daily", day, *others) == [None, *["complete"] * LOADED]
    assert instance.get_materialized_partitions(AssetKey("technical_daily")) == {str(other) for other in others}


def test_a_damaged_value_fails_the_check_and_the_command_that_it_names_repairs_it(
    loaded: Installation, instance: DagsterInstance
) -> None:
    days = loaded.calendar.between(FIRST, TODAY)[-LOADED:]
    definitions = definitions_of(loaded)
    assert run(definitions, instance, JOB, [str(days[0]), str(days[-1])]).success
    code = loaded.reader().technicals(None, days[-1], days[-1])["ts_code"][0]
    with loaded.database.dedicated() as connection:
        connection.execute(
            "UPDATE technical_daily SET ma_5 = ma_5 + 1e-9 WHERE ts_code = %s AND trade_date = %s", [code, days[-1]]
        )

    def verdict() -> Any:  # noqa: ANN401  Dagster's own
        alone = definitions.resolve_job_def(JOB).execute_in_process(
            instance=instance, partition_key=str(days[-1]), op_selection=[CHECK], raise_on_error=False
        )
        (found,) = alone.get_asset_check_evaluations()
        return found

    damaged = verdict()
    assert not damaged.passed
    told = {name: value.value for name, value in damaged.metadata.items()}
    assert (told["values that differ"], told["rows missing"], told["rows without a bar"]) == (1, 0, 0)
    assert code in told["worst"]
    assert "ma_5" in told["worst"]
    assert f"backfill-technicals --start {days[-1]} --end {days[-1]} --again --codes {code}" in told["next step"]
    compute_technicals(loaded.technicals(), [days[-1]], ts_codes=[code], again=True)
    repaired = verdict()
    assert repaired.passed
    assert repaired.metadata["rows compared"].value > 0
    assert "next step" not in repaired.metadata
