"""Jobs by the names that people start them with."""

# Dagster leaves a type argument of its metadata open; nothing of ours is unknown here.
# pyright: reportUnknownVariableType=false

from dagster import (
    AssetSelection,
    define_asset_job,
    in_process_executor,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from stock_assets.assets.freshness import CHECK_KEYS
from stock_assets.assets.loads import JOB_TYPE_TAG
from stock_assets.assets.market import RawTables
from stock_assets.automation.planned_runs import CHECK as PLANNED
from stock_assets.domain.snapshot_tables import CACHE_SNAPSHOT
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.indicators.table import TECHNICAL_DAILY
from stock_assets.pipeline.daily_sync import DailyJob

_REFERENCE = AssetSelection.assets("trading_calendar", "securities")
# Whether the store is up to date is no matter of the days that a run loads: a sensor looks.
OF_TIME = AssetSelection.checks(*CHECK_KEYS.values(), PLANNED)
DAILY, HISTORY, NIGHTLY = "sync_daily_data_job", "sync_history_daily_data_job", "nightly_job"
REPAIR = "repair_job"
TURN_TAG = "stock_assets/turn"
"""Runs with this tag and one value wait for each other in Dagster's queue (see dagster.yaml)."""
_LAST_MONTH = {TURN_TAG: "last month"}


def market_jobs(raw: RawTables) -> list[UnresolvedAssetJobDefinition]:
    """Return the jobs over the market's assets; all steps run in the run's own process and share its session."""
    bars = AssetSelection.assets(STOCK_DAILY.name, *(table.name for table in raw.bars))
    factors = AssetSelection.assets(ADJUST_FACTOR.name, *(table.name for table in raw.factors))
    return [
        define_asset_job(
            DAILY,
            (_REFERENCE | bars) - OF_TIME,
            tags=_task("DAILY_INCREMENTAL") | _LAST_MONTH,
            executor_def=in_process_executor,
            description="一个交易日的日线 | daily bars of one trading day",
        ),
        define_asset_job(
            HISTORY,
            (bars | factors | AssetSelection.assets(TECHNICAL_DAILY.name)) - OF_TIME,
            tags=_task("DAILY_HISTORY"),
            executor_def=in_process_executor,
            description="一段历史的日线与复权因子，只补缺口，再计算技术指标 | bars and factors of a range, gaps only; then indicators",
        ),
        define_asset_job(
            NIGHTLY,
            AssetSelection.all() - OF_TIME,
            tags=_task("DAILY_INCREMENTAL") | _LAST_MONTH,
            executor_def=in_process_executor,
            description="每晚：日历、证券、日线、因子、指标、快照 | every night: calendar, securities, bars, factors, indicators, snapshot",
        ),
        define_asset_job(
            REPAIR,
            (bars | factors | AssetSelection.assets(TECHNICAL_DAILY.name, CACHE_SNAPSHOT.name)) - OF_TIME,
            tags=_LAST_MONTH,
            executor_def=in_process_executor,
            description="补齐缺失：只取缺的日线与因子，再计算指标、生成快照"
            " | what is missing: bars and factors, gaps only, then indicators and snapshots",
        ),
    ]


def _task(job_type: DailyJob) -> dict[str, str]:
    """Return the tags that make every run of a job a task, whoever starts it and with whatever config."""
    return {JOB_TYPE_TAG: job_type}
