"""The trading calendar and the securities: not partitioned, refreshed as a whole."""

from typing import Any

from dagster import AssetExecutionContext, AssetsDefinition, MaterializeResult, ResourceParam, asset

from stock_assets.assets.failures import RETRY, plain_failures
from stock_assets.assets.freshness import MARKET_FRESHNESS
from stock_assets.assets.metadata import calendar_metadata, securities_metadata, table_metadata
from stock_assets.domain.tables import SECURITY, TRADING_DAY
from stock_assets.pipeline.refresh import refresh_calendar, refresh_securities
from stock_assets.sources.base import MarketSource
from stock_assets.wiring import Installation

GROUP = "reference"


@asset(
    group_name=GROUP,
    kinds={"postgres"},
    retry_policy=RETRY,
    freshness_policy=MARKET_FRESHNESS,
    description=TRADING_DAY.comment,
    metadata=table_metadata(TRADING_DAY),
)
def trading_calendar(
    context: AssetExecutionContext, store: ResourceParam[Installation], baostock_pool: ResourceParam[MarketSource]
) -> MaterializeResult[Any]:
    """Every day since 1990-12-19, by the exchanges' calendar and by the source's."""
    with plain_failures(store.settings.language):
        report = refresh_calendar(store.pipeline(source=baostock_pool, run_id=context.run.run_id))
    return MaterializeResult(metadata=calendar_metadata(report))


@asset(
    group_name=GROUP,
    kinds={"postgres"},
    retry_policy=RETRY,
    freshness_policy=MARKET_FRESHNESS,
    description=SECURITY.comment,
    metadata=table_metadata(SECURITY),
)
def securities(
    context: AssetExecutionContext, store: ResourceParam[Installation], baostock_pool: ResourceParam[MarketSource]
) -> MaterializeResult[Any]:
    """Every stock, delisted ones included."""
    with plain_failures(store.settings.language):
        report = refresh_securities(store.pipeline(source=baostock_pool, run_id=context.run.run_id))
    return MaterializeResult(metadata=securities_metadata(report))


REFERENCE_ASSETS: tuple[AssetsDefinition, ...] = (trading_calendar, securities)
