"""The verdicts of a ranged run, on the pages of their days: Dagster itself files them under no day."""

from collections.abc import Mapping
from datetime import date

from dagster import (
    AssetCheckEvaluation,
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetKey,
    DagsterEvent,
    DagsterInstance,
    DagsterRun,
)
from dagster import DagsterEventType as EventType
from dagster._core.events import DagsterEventBatchMetadata

from stock_assets.assets.metadata import TOLD_BY_DAY


def tell_each_day(
    context: AssetCheckExecutionContext, asset: str, name: str, verdicts: Mapping[date, AssetCheckResult]
) -> None:
    """Put the verdict of check `name` on the page of each day, the newest ones of a long range; nothing in a run of one day."""
    if len(context.partition_keys) == 1:
        return
    told = sorted(verdicts.items())[-TOLD_BY_DAY:]
    # One batch: by themselves they take longer to write than to find.
    batch = f"{context.run.run_id}.{asset}.{name}"
    for at, (day, verdict) in enumerate(told, start=1):
        event = _event(context.run, asset, name, day, verdict)
        is_last = DagsterEventBatchMetadata(batch, is_end=at == len(told))
        context.instance.report_dagster_event(event, run_id=context.run.run_id, batch_metadata=is_last)


def tell_day(  # noqa: PLR0913  what a verdict is of
    instance: DagsterInstance, run: DagsterRun, asset: str, name: str, day: date, verdict: AssetCheckResult
) -> None:
    """File the verdict of check `name` on a day as one of this run."""
    instance.report_dagster_event(_event(run, asset, name, day, verdict), run_id=run.run_id)


def _event(run: DagsterRun, asset: str, name: str, day: date, verdict: AssetCheckResult) -> DagsterEvent:
    evaluation = AssetCheckEvaluation(
        asset_key=AssetKey(asset),
        check_name=name,
        passed=verdict.passed,
        severity=verdict.severity,
        metadata=verdict.metadata,
        partition=day.isoformat(),
    )
    return DagsterEvent(EventType.ASSET_CHECK_EVALUATION.value, run.job_name, event_specific_data=evaluation)
