"""Runs over both sources: what each said is an asset of its own, and an outage of one is no failed run."""

from collections.abc import Callable

import polars as pl
import pytest
from dagster import AssetKey, DagsterEventType, DagsterInstance, ExecuteInProcessResult

from stock_assets.automation.jobs import NIGHTLY
from stock_assets.definitions import build_definitions
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.storage import bars
from stock_assets.wiring import Installation
from stock_assets_tests.assets.test_runs import DAY, run, statuses

RAW_TUSHARE = ("raw_tushare_daily", "raw_tushare_daily_basic", "raw_tushare_suspend", "raw_tushare_adj_factor")


def landed(instance: DagsterInstance, name: str) -> bool:
    return instance.get_latest_materialization_event(AssetKey(name)) is not None


def nightly(both: Installation, instance: DagsterInstance) -> ExecuteInProcessResult:
    return run(build_definitions(both), instance, NIGHTLY, [DAY.isoformat()])


@pytest.mark.slow
def test_a_night_over_both_sources(both: Installation, instance: DagsterInstance) -> None:
    result = nightly(both, instance)
    assert result.success
    begun = [event.step_key for event in result.all_events if event.event_type is DagsterEventType.STEP_START]
    # Reports may take long: bars never wait for them.
    assert begun.index("finance_reports") > begun.index("adjust_factor")
    assert all(landed(instance, name) for name in ("raw_baostock_daily", *RAW_TUSHARE))
    assert statuses(both, STOCK_DAILY.name, DAY) == ["complete"]
    assert statuses(both, ADJUST_FACTOR.name, DAY)[0] in {"complete", "empty"}
    with both.database.read() as conn:
        found = bars.rows_of_day(conn, DAY)
    makers = found.select(pl.col("ts_code").str.slice(-2), "source").unique().rows()
    assert set(makers) == {("SH", "baostock"), ("SZ", "baostock"), ("BJ", "tushare")}


@pytest.mark.slow
def test_an_outage_of_the_first_source_is_told_and_is_no_failure(
    both: Installation, instance: DagsterInstance, far_end: BaoStockServer
) -> None:
    far_end.close()
    assert nightly(both, instance).success
    assert statuses(both, STOCK_DAILY.name, DAY) == ["complete"]
    event = instance.get_latest_materialization_event(AssetKey(STOCK_DAILY.name))
    assert event is not None
    assert event.asset_materialization is not None
    said = event.asset_materialization.metadata
    assert "baostock" in str(said["failed calls"].value)


def test_raw_tables_are_assets_of_the_sources_in_use(
    both: Installation, installation: Installation, new_installation: Callable[..., Installation]
) -> None:
    def keys(one: Installation) -> set[str]:
        return {key.to_user_string() for key in build_definitions(one).resolve_all_asset_keys()}

    alone = new_installation(STOCK_ASSETS_SOURCE="tushare", TUSHARE_TOKEN="not used")
    assert {"raw_baostock_daily", *RAW_TUSHARE} <= keys(both)
    assert not set(RAW_TUSHARE) & keys(installation)
    assert set(RAW_TUSHARE) <= keys(alone)
    assert "raw_baostock_daily" not in keys(alone)
