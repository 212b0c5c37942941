"""Planned runs against those that Dagster remembers: a verdict on the page of `stock_daily`, filed when it changes."""

# Dagster leaves a type argument of its metadata open; nothing of ours is unknown here.
# pyright: reportUnknownVariableType=false

from datetime import date, datetime
from typing import Any, Final

from dagster import (
    AssetCheckEvaluation,
    AssetCheckExecutionContext,
    AssetCheckKey,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetKey,
    DagsterInstance,
    DagsterRunStatus,
    DefaultSensorStatus,
    ResourceParam,
    RunRecord,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    asset_check,
    sensor,
)

from stock_assets.assets.metadata import preview_metadata
from stock_assets.automation.under_way import PARTITION
from stock_assets.domain.calendar import SHANGHAI, parse_day
from stock_assets.domain.errors import Language
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.pipeline.planned_runs import (
    LOOK_BACK,
    PLANS,
    WELL,
    PlannedRun,
    ScheduledRun,
    counts_of,
    frame_of,
    planned_runs,
    said,
    state_of,
)
from stock_assets.wiring import Installation

EVERY_SECONDS: Final = 1800
CHECK: Final = AssetCheckKey(AssetKey(STOCK_DAILY.name), "scheduled_runs")
_SCHEDULE = "dagster/schedule_name"


def planned_run_check() -> AssetChecksDefinition:
    """Return the check of the last 30 days; no job runs it, the sensor files it and a person may run it by hand."""

    @asset_check(
        asset=CHECK.asset_key,
        name=CHECK.name,
        description="近 30 天计划的每次调度都已完成（准时、迟到、事后补齐、错过、休市）"
        " | every run that schedules planned in the last 30 days was done: in time, late, repaired, missed, or skipped",
    )
    def scheduled_runs(context: AssetCheckExecutionContext, store: ResourceParam[Installation]) -> AssetCheckResult:
        return verdict(look(store, context.instance), store.settings.language)

    return scheduled_runs


def planned_run_sensor(installation: Installation) -> SensorDefinition:
    """Return the sensor that files the check's verdict when it has changed; it starts no run."""

    @sensor(
        name="scheduled_runs_sensor",
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description="计划与实际：近 30 天每次调度的结果，有变化时写入检查 scheduled_runs，不启动运行"
        " | planned against done: the last 30 days of schedules, filed as the check scheduled_runs on change; starts no run",
    )
    def planned_against_done(context: SensorEvaluationContext) -> SkipReason:
        found, language = look(installation, context.instance), installation.settings.language
        state = state_of(found)
        if found and state != context.cursor:
            result = verdict(found, language)
            context.instance.report_runless_asset_event(
                AssetCheckEvaluation(
                    asset_key=CHECK.asset_key,
                    check_name=CHECK.name,
                    passed=result.passed,
                    severity=result.severity,
                    metadata=result.metadata,
                )
            )
        context.update_cursor(state)
        return SkipReason(said(found, language))

    return planned_against_done


def look(installation: Installation, instance: DagsterInstance) -> list[PlannedRun]:
    """Return the planned runs of the last 30 days, with what Dagster knows of them."""
    now = installation.now()
    runs = scheduled_runs_of(instance, now - LOOK_BACK)
    with installation.database.read() as conn:
        return planned_runs(conn, installation.calendar, now, runs=runs)


def scheduled_runs_of(instance: DagsterInstance, since: datetime) -> dict[tuple[str, date], list[ScheduledRun]]:
    """Return the runs that schedules started since a moment, by schedule and day."""
    wanted = RunsFilter(tags={_SCHEDULE: [plan.schedule for plan in PLANS]}, created_after=since)
    found: dict[tuple[str, date], list[ScheduledRun]] = {}
    for record in reversed(instance.get_run_records(wanted)):
        tags = record.dagster_run.tags
        if PARTITION in tags:
            found.setdefault((tags[_SCHEDULE], parse_day(tags[PARTITION])), []).append(_run_of(record))
    return found


def verdict(found: list[PlannedRun], language: Language) -> AssetCheckResult:
    """Return whether all that was planned is there; what was late or repaired is there, and is shown."""
    facts: dict[str, Any] = {"verdict": said(found, language), **counts_of(found)}
    unwell = [run for run in found if run.outcome not in WELL]
    missed = [run for run in found if run.outcome == "missed"]
    if missed:
        first, last = (end(run.planned_at for run in missed).date() for end in (min, max))
        facts["next step"] = f"stock-assets backfill-daily --start {first} --end {last}"
    return AssetCheckResult(
        passed=not missed,
        severity=AssetCheckSeverity.WARN,
        metadata={
            **facts,
            **preview_metadata(frame_of(unwell, language), name="late, repaired, missed"),
            **preview_metadata(frame_of(found, language), name="planned"),
        },
    )


def _run_of(record: RunRecord) -> ScheduledRun:
    run, ended_at = record.dagster_run, None
    if run.is_finished:
        ended_at = datetime.fromtimestamp(record.end_time or record.update_timestamp.timestamp(), SHANGHAI)
    return ScheduledRun(run.run_id, ended_at, run.status is DagsterRunStatus.SUCCESS, run.status.value.lower())
