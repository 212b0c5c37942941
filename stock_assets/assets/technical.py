"""Technical indicators, one partition a trading day; a range of days is one run. And whether they are what the bars say."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import polars as pl
from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetExecutionContext,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    Config,
    MaterializeResult,
    MetadataValue,
    PartitionsDefinition,
    ResourceParam,
    asset_check,
    multi_asset,
)
from pydantic import Field

from stock_assets.assets.check_days import tell_each_day
from stock_assets.assets.failures import RETRY, plain_failures
from stock_assets.assets.freshness import MARKET_FRESHNESS
from stock_assets.assets.landed_days import tell_landed
from stock_assets.assets.metadata import (
    TOLD_BY_DAY,
    Metadata,
    day_metadata,
    ingest_metadata,
    preview_metadata,
    table_metadata,
)
from stock_assets.assets.partitions import days_of
from stock_assets.assets.run_progress import progress_in_log
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.indicators.table import TECHNICAL_DAILY
from stock_assets.pipeline.compute import compute_technicals
from stock_assets.pipeline.technical_check import Recomputation, compare_recomputed
from stock_assets.pipeline.technical_context import TechnicalReport
from stock_assets.wiring import Installation

GROUP: Final = "market"
CHECK: Final = "technical_daily_recomputed"
_PREVIEW = ["ts_code", "ma_20", "macd", "kdj_k", "rsi_6", "boll_mid", "is_limit_up", "up_days"]
_SHOWN = 8


class TechnicalConfig(Config):
    """How a run computes its days."""

    again: bool = Field(
        default=False,
        description="从所选交易日起全部重算，只写入不同的行 | compute from the chosen days on whatever the ledger says",
    )


class RecomputedConfig(Config):
    """How much a check computes again."""

    full: bool = Field(
        default=False, description="比对全部历史，而不只是当日 | compare all of history, not just the day"
    )


def technical_assets(trading_days: PartitionsDefinition[str]) -> list[AssetsDefinition]:
    """Return `technical_daily`."""

    @multi_asset(
        specs=[
            AssetSpec(
                TECHNICAL_DAILY.name,
                description=TECHNICAL_DAILY.comment,
                metadata=table_metadata(TECHNICAL_DAILY),
                kinds={"postgres"},
                deps=[STOCK_DAILY.name, ADJUST_FACTOR.name],
                freshness_policy=MARKET_FRESHNESS,
            )
        ],
        name=TECHNICAL_DAILY.name,
        group_name=GROUP,
        partitions_def=trading_days,
        backfill_policy=BackfillPolicy.single_run(),
        retry_policy=RETRY,
    )
    def technical_daily(
        context: AssetExecutionContext, config: TechnicalConfig, store: ResourceParam[Installation]
    ) -> Iterator[MaterializeResult[Any]]:
        days = days_of(context.partition_keys)
        with plain_failures(store.settings.language), progress_in_log(context.log, store):
            report = compute_technicals(store.technicals(run_id=context.run.run_id), days, again=config.again)
            for outcome in sorted(report.outcomes, key=lambda outcome: outcome.day)[-TOLD_BY_DAY:]:
                if outcome.day in days and outcome.status != "refused":
                    metadata = day_metadata(outcome)
                    context.add_asset_metadata(metadata, asset_key=TECHNICAL_DAILY.name, partition_key=str(outcome.day))
            failure = report.failure(days)
            if failure is not None:
                landed = {one.day: day_metadata(one) for one in report.outcomes if one.status != "refused"}
                tell_landed(context, TECHNICAL_DAILY.name, {day: landed[day] for day in days if day in landed})
                raise failure
            with store.reader() as reader:
                preview = reader.technicals(None, days[-1], days[-1], columns=_PREVIEW).head(_SHOWN)
        yield MaterializeResult(asset_key=TECHNICAL_DAILY.name, metadata=_metadata(report, preview))

    return [technical_daily]


def technical_checks(trading_days: PartitionsDefinition[str]) -> list[AssetChecksDefinition]:
    """Return the check of `technical_daily` against its bars."""

    @asset_check(
        name=CHECK,
        asset=TECHNICAL_DAILY.name,
        partitions_def=trading_days,
        description="从第一根日线起重新计算，与存储逐位比对 | computed again from the first bar on, compared bit by bit",
    )
    def technical_daily_recomputed(
        context: AssetCheckExecutionContext, config: RecomputedConfig, store: ResourceParam[Installation]
    ) -> AssetCheckResult:
        days = days_of(context.partition_keys)
        # Of a range the newest day: its values depend on all before, and a fault in one of them shows here or nowhere.
        found = compare_recomputed(store.technicals(run_id=context.run.run_id), None if config.full else days[-1:])
        verdict = recomputed(found)
        tell_each_day(context, TECHNICAL_DAILY.name, CHECK, {} if config.full else {days[-1]: verdict})
        return verdict

    return [technical_daily_recomputed]


def recomputed(found: Recomputation) -> AssetCheckResult:
    """Return the verdict on a comparison."""
    return AssetCheckResult(
        passed=found.is_equal,
        severity=AssetCheckSeverity.ERROR,
        metadata={
            "first day": str(found.first),
            "last day": str(found.last),
            "rows compared": found.rows,
            "values compared": found.cells,
            "values that differ": found.differing_cells,
            "rows missing": found.missing_rows,
            "rows without a bar": found.extra_rows,
            **({"stale days left out": _days(found.stale)} if found.stale else {}),
            **preview_metadata(found.worst, name="worst"),
            **({} if found.is_equal else {"next step": MetadataValue.md(f"`{found.repair}`")}),
        },
    )


def _metadata(report: TechnicalReport, preview: pl.DataFrame) -> Metadata:
    families = pl.DataFrame(
        sorted(report.family_seconds.items(), key=lambda item: -item[1]),
        schema={"family": pl.String(), "seconds": pl.Float64()},
        orient="row",
    )
    metadata = ingest_metadata(report)
    del metadata["requests"], metadata["rows rejected"]
    return {
        **metadata,
        "stocks": len(report.stocks),
        "rows deleted": report.deleted,
        **preview_metadata(families.with_columns(pl.col("seconds").round(4)), name="seconds by family"),
        **preview_metadata(preview, name="preview"),
    }


def _days(days: Sequence[object]) -> str:
    return ", ".join(map(str, days[:_SHOWN])) + (f", … {len(days)}" if len(days) > _SHOWN else "")
