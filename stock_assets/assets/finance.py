"""Finance reports: the announcements of a trading day as a partition, and the whole history as one step that resumes."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetMaterialization,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    Config,
    DagsterInstance,
    MaterializeResult,
    MetadataValue,
    OpDefinition,
    OpExecutionContext,
    PartitionsDefinition,
    multi_asset,
    op,
)
from dagster._core.storage.tags import PRIORITY_TAG
from pydantic import Field

from stock_assets.assets.failures import RETRY, plain_failures
from stock_assets.assets.freshness import FINANCE_FRESHNESS
from stock_assets.assets.metadata import TOLD_BY_DAY, Metadata, day_metadata, table_metadata
from stock_assets.assets.partitions import days_of
from stock_assets.assets.run_progress import progress_in_log
from stock_assets.domain.calendar import parse_day
from stock_assets.domain.codes import parse_code
from stock_assets.domain.errors import StillMissing
from stock_assets.domain.finance_tables import FINANCE_INDICATOR, RAW_TUSHARE_FINA_INDICATOR
from stock_assets.pipeline.finance import sync_finance_history, sync_finance_increment
from stock_assets.pipeline.finance_context import FinanceReport
from stock_assets.pipeline.refresh import ensure_reference
from stock_assets.wiring import Installation

GROUP = "finance"
HISTORY_OP = "finance_history"
_KEYS = (RAW_TUSHARE_FINA_INDICATOR.name, FINANCE_INDICATOR.name)
_NEEDS = {"store", "tushare_limiter"}
_PREVIEW = 30


class FinanceHistoryConfig(Config):
    """Which part of the history a run brings."""

    start: str = Field(
        default="", description="报告期起始日；空 = 按设置 | first day of periods; empty = the settings' own"
    )
    codes: list[str] = Field(default=[], description="只取这些证券；空 = 全市场 | only these securities; empty = all")


def finance_assets(trading_days: PartitionsDefinition[str]) -> list[AssetsDefinition]:
    """Return `raw_tushare_fina_indicator` with `finance_indicator`, one landing."""

    @multi_asset(
        specs=[_spec(RAW_TUSHARE_FINA_INDICATOR.name, "securities"), _spec(FINANCE_INDICATOR.name, _KEYS[0])],
        name="finance_reports",
        group_name=GROUP,
        partitions_def=trading_days,
        backfill_policy=BackfillPolicy.single_run(),
        retry_policy=RETRY,
        can_subset=True,
        required_resource_keys=_NEEDS,
        # Of a night bars come first: reports may take much longer.
        op_tags={PRIORITY_TAG: "-1"},
    )
    def finance_reports(context: AssetExecutionContext) -> Iterator[MaterializeResult[Any]]:
        store: Installation = context.resources.store
        days = days_of(context.partition_keys)
        if (reason := store.why_no_finance()) is not None:
            context.log.warning(reason.sentence(store.settings.language))
            return
        with plain_failures(store.settings.language), progress_in_log(context.log, store):
            report = sync_finance_increment(store.finance(run_id=context.run.run_id), days)
            if report.stopped_by is not None:
                raise report.stopped_by
        if not report.outcomes:
            since = store.settings.sync_finance_history_start_date
            context.log.warning("nobody wants reports of days before %s", since)
            return
        selected = {key.to_user_string() for key in context.selected_asset_keys}
        # Word by word only what the source in use says; in this order, or Dagster refuses them.
        for key in (key for key in _keys_of(store) if key in selected):
            for outcome in report.outcomes[-TOLD_BY_DAY:]:
                context.add_asset_metadata(day_metadata(outcome), asset_key=key, partition_key=str(outcome.day))
            yield MaterializeResult(asset_key=key, metadata=finance_metadata(report))

    return [finance_reports]


def finance_history_op() -> OpDefinition:
    """Return the step that runs a history to its end; the next run goes on where this one was stopped."""

    @op(
        name=HISTORY_OP,
        required_resource_keys=_NEEDS,
        description="财务指标全部历史，可停可续 | the whole history of finance reports; stop and go on at will",
    )
    def finance_history(context: OpExecutionContext, config: FinanceHistoryConfig) -> None:
        store: Installation = context.resources.store
        with plain_failures(store.settings.language), progress_in_log(context.log, store):
            since = parse_day(config.start) if config.start else None
            finance = store.finance(run_id=context.run_id, since=since)
            ensure_reference(store.pipeline(run_id=context.run_id), [finance.last_final()])
            report = sync_finance_history(finance, [parse_code(code) for code in config.codes] or None)
            _tell_closed(context.instance, report, context.run_id)
            context.add_output_metadata(finance_metadata(report))
            if report.stopped_by is not None:
                raise report.stopped_by
            if missing := [*report.failed, *report.need_a_person]:
                raise StillMissing(item=", ".join(missing[:_PREVIEW]))

    return finance_history


def finance_metadata(report: FinanceReport) -> Metadata:
    """Return what a run did: rows by what became of them, requests, seconds by step, what failed, and the next step."""
    metadata: Metadata = {
        "first versions": report.first,
        "corrected": report.corrected,
        "duplicates": report.duplicates,
        "unchanged": report.unchanged,
        "rows rejected": report.rejected,
        "stocks or days asked": report.items,
        "requests": report.requests,
        **{name.replace("_", " "): round(seconds, 3) for name, seconds in sorted(report.seconds.items())},
        **{f"days {status}": report.count(status) for status in ("complete", "empty", "partial")},
    }
    if report.failed:
        metadata["failed"] = MetadataValue.md("\n".join(f"- `{code}`" for code in report.failed[:_PREVIEW]))
    if report.need_a_person:
        codes = ", ".join(report.need_a_person[:_PREVIEW])
        metadata["wait for a person"] = MetadataValue.md(f"{codes}: `stock-assets failures --retry`")
    if report.count("partial"):
        metadata["next step"] = MetadataValue.md("`stock-assets history finance`")
    return metadata


def _keys_of(store: Installation) -> tuple[str, ...]:
    has_parts = store.finance_source is not None and store.finance_source.costs.requests_per_report > 1
    return (FINANCE_INDICATOR.name,) if has_parts else _KEYS


def _spec(name: str, after: str) -> AssetSpec:
    table = {table.name: table for table in (RAW_TUSHARE_FINA_INDICATOR, FINANCE_INDICATOR)}[name]
    return AssetSpec(
        name,
        description=table.comment,
        metadata=table_metadata(table),
        kinds={"postgres"},
        deps=[after],
        # Where nobody can be asked, nothing is there: the day must not look loaded.
        skippable=True,
        freshness_policy=FINANCE_FRESHNESS,
    )


def _tell_closed(instance: DagsterInstance, report: FinanceReport, run_id: str) -> None:
    """Say of every day that is whole now that it is: a history is no partition's run."""
    closed: Sequence[tuple[date, Metadata]] = [
        (outcome.day, {**day_metadata(outcome), "run": run_id})
        for outcome in report.outcomes
        if outcome.status != "partial"
    ]
    for day, metadata in closed[-TOLD_BY_DAY:]:
        instance.report_runless_asset_event(
            AssetMaterialization(FINANCE_INDICATOR.name, partition=str(day), metadata=metadata)
        )
