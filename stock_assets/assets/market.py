"""Daily bars and adjustment factors, one partition a trading day; a range of days is one run."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, cast

from dagster import (
    AssetExecutionContext,
    AssetMaterialization,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    Config,
    DagsterRun,
    MaterializeResult,
    PartitionsDefinition,
    ResourceParam,
    asset,
    multi_asset,
)
from pydantic import Field

from stock_assets.assets.failures import RETRY, plain_failures
from stock_assets.assets.metadata import TOLD_BY_DAY, day_metadata, ingest_metadata, table_metadata
from stock_assets.assets.partitions import days_of
from stock_assets.domain.codes import parse_code
from stock_assets.domain.tables import ADJUST_FACTOR, RAW_BAOSTOCK_DAILY, STOCK_DAILY
from stock_assets.pipeline.factors import ingest_factors
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.pipeline.report import IngestReport
from stock_assets.sources.base import MarketSource
from stock_assets.wiring import Installation

GROUP = "market"
_BARS_OP = "daily_bars"


class LoadConfig(Config):
    """How a run loads its days."""

    codes: list[str] = Field(default=[], description="只装载这些证券；空 = 全市场 | only these securities; empty = all")
    refetch: bool | None = Field(
        default=None,
        description="重新请求已完整的交易日；默认：单日运行重新请求，区间运行只补缺口"
        " | ask again for complete days; default: yes for one day, no for a range",
    )


def market_assets(trading_days: PartitionsDefinition[str]) -> list[AssetsDefinition]:
    """Return `raw_baostock_daily` with `stock_daily` (one landing), and `adjust_factor`."""

    @multi_asset(
        specs=[
            AssetSpec(
                RAW_BAOSTOCK_DAILY.name,
                description=RAW_BAOSTOCK_DAILY.comment,
                metadata=table_metadata(RAW_BAOSTOCK_DAILY),
                kinds={"postgres"},
                deps=["trading_calendar", "securities"],
            ),
            AssetSpec(
                STOCK_DAILY.name,
                description=STOCK_DAILY.comment,
                metadata=table_metadata(STOCK_DAILY),
                kinds={"postgres"},
                deps=[RAW_BAOSTOCK_DAILY.name],
            ),
        ],
        name=_BARS_OP,
        group_name=GROUP,
        partitions_def=trading_days,
        backfill_policy=BackfillPolicy.single_run(),
        retry_policy=RETRY,
        can_subset=True,
    )
    def daily_bars(
        context: AssetExecutionContext,
        config: LoadConfig,
        store: ResourceParam[Installation],
        baostock_pool: ResourceParam[MarketSource],
    ) -> Iterator[MaterializeResult[Any]]:
        days = days_of(context.partition_keys)
        with plain_failures(store.settings.language):
            report = ingest_days(
                store.pipeline(source=baostock_pool, run_id=context.run.run_id),
                days,
                ts_codes=[parse_code(code) for code in config.codes] or None,
                refetch=_refetch(config, days),
            )
            selected = {key.to_user_string() for key in context.selected_asset_keys}
            # Raw and business rows are one landing: whichever was selected, both are there now.
            _tell_landed(context, report, keys={RAW_BAOSTOCK_DAILY.name, STOCK_DAILY.name} - selected)
            _fail_if_unanswered(context, report, keys=selected)
        _tell_days(context, report, keys=selected)
        for key in sorted(selected):
            yield MaterializeResult(asset_key=key, metadata=ingest_metadata(report))

    @asset(
        name=ADJUST_FACTOR.name,
        group_name=GROUP,
        description=ADJUST_FACTOR.comment,
        metadata=table_metadata(ADJUST_FACTOR),
        kinds={"postgres"},
        deps=[STOCK_DAILY.name],
        partitions_def=trading_days,
        backfill_policy=BackfillPolicy.single_run(),
        retry_policy=RETRY,
    )
    def adjust_factor(
        context: AssetExecutionContext,
        config: LoadConfig,
        store: ResourceParam[Installation],
        baostock_pool: ResourceParam[MarketSource],
    ) -> MaterializeResult[Any]:
        days = days_of(context.partition_keys)
        with plain_failures(store.settings.language):
            report = ingest_factors(
                store.pipeline(source=baostock_pool, run_id=context.run.run_id), days, refetch=_refetch(config, days)
            )
            _fail_if_unanswered(context, report, keys={ADJUST_FACTOR.name})
        _tell_days(context, report, keys={ADJUST_FACTOR.name})
        return MaterializeResult(metadata=ingest_metadata(report))

    return [daily_bars, adjust_factor]


def restricted_codes(run: DagsterRun) -> list[str]:
    """Return the stocks that a run was restricted to; empty for the whole market."""
    ops = cast("Mapping[str, Mapping[str, Mapping[str, Any]]]", run.run_config.get("ops", {}))
    return list(ops.get(_BARS_OP, {}).get("config", {}).get("codes", []))


def _refetch(config: LoadConfig, days: list[date]) -> bool:
    return len(days) == 1 if config.refetch is None else config.refetch


def _fail_if_unanswered(context: AssetExecutionContext, report: IngestReport, *, keys: set[str]) -> None:
    """Fail the run when a day got no answer, after saying which days landed: only those count as materialized."""
    error = report.failure()
    if error is not None:
        _tell_landed(context, report, keys=keys)
        raise error


def _tell_days(context: AssetExecutionContext, report: IngestReport, *, keys: set[str]) -> None:
    """Put on each day's page what is true of that day alone; of a long range on the pages of the newest days."""
    for key in keys:
        for outcome in sorted(report.outcomes, key=lambda outcome: outcome.day)[-TOLD_BY_DAY:]:
            context.add_asset_metadata(day_metadata(outcome), asset_key=key, partition_key=str(outcome.day))


def _tell_landed(context: AssetExecutionContext, report: IngestReport, *, keys: set[str]) -> None:
    for key in sorted(keys):
        for outcome in report.outcomes:
            if outcome.status != "refused":
                metadata = {**day_metadata(outcome), "run": context.run.run_id}
                # Not `log_event`: what it is told is lost when the step then fails.
                event = AssetMaterialization(key, partition=str(outcome.day), metadata=metadata)
                context.instance.report_runless_asset_event(event)
