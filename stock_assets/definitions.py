"""The Dagster code location. Tests and other installations build their own with `build_definitions`."""

import warnings

from dagster import (
    BetaWarning,
    Definitions,
    PreviewWarning,
    TimeWindowPartitionsDefinition,
    definitions,
    in_process_executor,
)

from stock_assets.assets.checks import REFERENCE_CHECKS, market_checks
from stock_assets.assets.failure_checks import failure_checks
from stock_assets.assets.finance import finance_assets
from stock_assets.assets.freshness import freshness_checks
from stock_assets.assets.market import RawTables, market_assets
from stock_assets.assets.partitions import trading_days
from stock_assets.assets.quality_checks import quality_checks
from stock_assets.assets.quality_report import quality_report_assets
from stock_assets.assets.reference import REFERENCE_ASSETS
from stock_assets.assets.resources import baostock_resource, store_resource, tushare_resource
from stock_assets.assets.snapshots import snapshot_assets, snapshot_checks
from stock_assets.assets.source_checks import source_checks
from stock_assets.assets.technical import technical_assets, technical_checks
from stock_assets.automation.alerts import alert_sensors
from stock_assets.automation.finance_jobs import finance_history_job, finance_increment_job, finance_schedule
from stock_assets.automation.freshness import freshness_sensor
from stock_assets.automation.jobs import market_jobs
from stock_assets.automation.planned_runs import planned_run_check, planned_run_sensor
from stock_assets.automation.repairs import repair_sensor
from stock_assets.automation.schedules import nightly_schedule
from stock_assets.wiring import Installation


def build_definitions(installation: Installation) -> Definitions:
    """Return assets, checks, jobs, schedules and resources of an installation."""
    days = trading_days(installation.calendar)
    with warnings.catch_warnings():
        # Backfill policies and partitioned checks are what this product stands on; that Dagster may still change their
        # arguments is for us to test at an upgrade, not for every user to read at every start.
        warnings.simplefilter("ignore", BetaWarning)
        warnings.simplefilter("ignore", PreviewWarning)
        return _definitions(installation, days)


def _definitions(installation: Installation, days: TimeWindowPartitionsDefinition) -> Definitions:
    raw = RawTables.of(installation)
    assets = [
        *REFERENCE_ASSETS,
        *market_assets(days, raw),
        *technical_assets(days),
        *snapshot_assets(days),
        *quality_report_assets(days),
        *finance_assets(days),
    ]
    watched = [spec.key.to_user_string() for one in assets for spec in one.specs if spec.freshness_policy is not None]
    return Definitions(
        assets=assets,
        asset_checks=[
            *REFERENCE_CHECKS,
            *market_checks(days),
            *source_checks(days),
            *quality_checks(days),
            *technical_checks(days),
            *snapshot_checks(days),
            *failure_checks(),
            *freshness_checks(),
            planned_run_check(),
        ],
        jobs=[*market_jobs(raw), finance_increment_job(), finance_history_job()],
        schedules=[nightly_schedule(installation), finance_schedule(installation)],
        sensors=[
            repair_sensor(installation),
            freshness_sensor(installation, watched),
            *alert_sensors(installation),
            planned_run_sensor(installation),
        ],
        resources={
            "store": store_resource(installation),
            "baostock_pool": baostock_resource(installation),
            "tushare_limiter": tushare_resource(installation),
        },
        executor=in_process_executor,
    )


@definitions
def defs() -> Definitions:
    """Return the definitions of this process's own installation; called by Dagster when it loads the code location."""
    installation = Installation()
    installation.configure_logging()
    return build_definitions(installation)
