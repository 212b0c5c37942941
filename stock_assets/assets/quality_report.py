"""The quality report, one page a trading day, kept beside the day's snapshot."""

from collections.abc import Iterator
from typing import Any, Final

import polars as pl
from dagster import (
    AssetExecutionContext,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    MaterializeResult,
    MetadataValue,
    PartitionsDefinition,
    PathMetadataValue,
    ResourceParam,
    multi_asset,
)

from stock_assets.assets.failures import RETRY, plain_failures
from stock_assets.assets.freshness import MARKET_FRESHNESS
from stock_assets.assets.metadata import TOLD_BY_DAY, Metadata, preview_metadata
from stock_assets.assets.partitions import days_of
from stock_assets.assets.pictures import picture_metadata
from stock_assets.domain.snapshot_tables import CACHE_SNAPSHOT
from stock_assets.domain.tables import ADJUST_FACTOR
from stock_assets.pipeline.context import DAYS_COUNTED
from stock_assets.pipeline.quality_report import KeptReport, keep_report
from stock_assets.wiring import Installation

GROUP: Final = "market"
QUALITY_REPORT: Final = "quality_report"
_WORST: Final = 20
_COMMANDS: Final = 5


def quality_report_assets(trading_days: PartitionsDefinition[str]) -> list[AssetsDefinition]:
    """Return `quality_report`."""

    @multi_asset(
        specs=[
            AssetSpec(
                QUALITY_REPORT,
                description="数据质量报告：每个交易日一页，与当日快照放在一起"
                " | the quality of a day's data as a page, kept beside its snapshot",
                kinds={"html"},
                deps=[CACHE_SNAPSHOT.name, ADJUST_FACTOR.name],
                freshness_policy=MARKET_FRESHNESS,
            )
        ],
        name=QUALITY_REPORT,
        group_name=GROUP,
        partitions_def=trading_days,
        backfill_policy=BackfillPolicy.single_run(),
        retry_policy=RETRY,
    )
    def quality_report(
        context: AssetExecutionContext, store: ResourceParam[Installation]
    ) -> Iterator[MaterializeResult[Any]]:
        days = days_of(context.partition_keys)
        told: Metadata = {}
        with plain_failures(store.settings.language):
            judging = store.technicals(run_id=context.run.run_id)
            for done, day in enumerate(days, start=1):
                kept = keep_report(judging, store.snapshot_folder, day)
                told = _metadata(kept)
                if done > len(days) - TOLD_BY_DAY:
                    context.add_asset_metadata(told, asset_key=QUALITY_REPORT, partition_key=str(day))
                store.progress(done=done, total=len(days), rows=0, label=str(day), counted=DAYS_COUNTED)
                if done == len(days):
                    told |= _newest(kept)
        yield MaterializeResult(asset_key=QUALITY_REPORT, metadata=told)

    return [quality_report]


def _metadata(kept: KeptReport) -> Metadata:
    """Return what is true of one day."""
    quality = kept.quality
    metadata: Metadata = {
        "verdict": quality.grade,
        "expected": quality.expected,
        "present": quality.present,
        "errors": quality.errors,
        "warnings": quality.warnings,
        "notes": quality.notes,
        "refused rows": quality.refused.height,
    }
    if kept.path is not None:
        metadata["page"] = PathMetadataValue(str(kept.path))
    if commands := quality.repairs(_COMMANDS):
        metadata["next step"] = MetadataValue.md("\n".join(f"- `{one}`" for one in commands))
    return metadata


def _newest(kept: KeptReport) -> Metadata:
    """Return what is shown of the newest day of a run: tables and the picture."""
    rows = [
        (one.family.zh, one.family.en, one.family.dataset, one.errors, one.warnings, one.notes)
        for one in kept.quality.verdicts
    ]
    heads = ["检查", "check", "dataset", "errors", "warnings", "notes"]
    worst = kept.quality.findings.select("severity", "ts_code", "dataset", "rule", "detail").head(_WORST)
    pictures = {name: picture_metadata(png, name) for name, png in kept.pictures[:1]}
    return {
        **preview_metadata(pl.DataFrame(rows, schema=heads, orient="row"), name="checks"),
        **preview_metadata(worst, name="worst"),
        **pictures,
    }
