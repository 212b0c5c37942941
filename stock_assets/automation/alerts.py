"""Sensors that tell a person: of every run that failed, whoever started it, and of the store as it stands."""

# Dagster leaves a type argument of its metadata open; nothing of ours is unknown here.
# pyright: reportUnknownVariableType=false

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from dagster import (
    DagsterEvent,
    DagsterInstance,
    DagsterRun,
    DefaultSensorStatus,
    RunFailureSensorContext,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    run_failure_sensor,
    sensor,
)

from stock_assets.assets.failures import ERROR_CLASS
from stock_assets.assets.loads import job_type_of
from stock_assets.automation.finance_jobs import FINANCE_HISTORY, INCREMENT
from stock_assets.automation.under_way import PARTITION, RANGE_END, RANGE_START
from stock_assets.domain.alerts import Alert
from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.errors import AlreadyRunning, NotReady
from stock_assets.pipeline.alarm import EVENING_ENDS
from stock_assets.pipeline.standing_alerts import standing_alerts
from stock_assets.storage import sync_tasks
from stock_assets.wiring import Installation

EVERY_SECONDS: Final = 300
# What Dagster calls a run of assets chosen by hand in the web page.
_BY_HAND = "__ASSET_JOB"
_FINANCE: Final[Mapping[str, sync_tasks.JobType]] = {
    INCREMENT: "FINANCE_INCREMENTAL",
    FINANCE_HISTORY: "FINANCE_HISTORY",
}


def alert_sensors(installation: Installation) -> list[SensorDefinition]:
    """Return both sensors; they run where settings name an address, and can be switched on in the web page anyway."""
    is_told = installation.settings.alert_url is not None
    status = DefaultSensorStatus.RUNNING if is_told else DefaultSensorStatus.STOPPED
    return [_run_failures(installation, status), _as_it_stands(installation, status)]


def _run_failures(installation: Installation, status: DefaultSensorStatus) -> SensorDefinition:
    @run_failure_sensor(
        name="alert_run_failure_sensor",
        minimum_interval_seconds=30,
        default_status=status,
        description="任何运行失败（包括在网页上手动启动的）都通知 STOCK_ASSETS_ALERT_URL"
        " | every failed run, those started by hand included, is told to STOCK_ASSETS_ALERT_URL",
    )
    def run_failures(context: RunFailureSensorContext) -> None:
        run, steps = context.dagster_run, context.get_step_failure_events()
        if not is_told_already(installation, context.instance, run, steps):
            alert = failure_alert(run, steps, context.failure_event.message)
            installation.notify(f"run {run.job_name}", [alert])

    return run_failures


def _as_it_stands(installation: Installation, status: DefaultSensorStatus) -> SensorDefinition:
    @sensor(
        name="alert_sensor",
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=status,
        description="数据过期、被列入黑名单、配额将尽、索引重建失败时通知 STOCK_ASSETS_ALERT_URL，不启动运行"
        " | tells STOCK_ASSETS_ALERT_URL of stale data, bans, quotas near their end and lost indexes; starts no run",
    )
    def alerts(context: SensorEvaluationContext) -> SkipReason:
        del context
        now, is_chinese = installation.now(), installation.settings.language == "zh"
        found = standing_alerts(installation.database, installation.quota, installation.calendar, now)
        for scope, alerts in found.items():
            installation.notify(scope, alerts)
        said = [alert.zh if is_chinese else alert.en for alerts in found.values() for alert in alerts]
        return SkipReason("; ".join(said) or ("没有需要通知的事" if is_chinese else "there is nothing to tell"))

    return alerts


def failure_alert(run: DagsterRun, steps: Sequence[DagsterEvent], message: str | None) -> Alert:
    """Return what is told of a failed run: its days, its first failed step and the sentence of its error."""
    reasons = [(event.step_key or "", *_reason(event)) for event in steps]
    step, _, reason = reasons[0] if reasons else ("", "", (message or "").partition("\n")[0])
    what = "手动启动的运行" if run.job_name == _BY_HAND else f"任务 {run.job_name} 的运行"
    what_en = "a run started by hand" if run.job_name == _BY_HAND else f"a run of {run.job_name}"
    where, where_en = (f"（步骤 {step}）", f" in the step {step}") if step else ("", "")
    return Alert(
        cause="run_failed",
        job_type=run.job_name,
        items=_days(run),
        zh=f"{what}失败{where}：{reason}",
        en=f"{what_en} failed{where_en}: {reason}",
        command=f"stock-assets up (/runs/{run.run_id})",
    )


def is_told_already(
    installation: Installation, instance: DagsterInstance, run: DagsterRun, steps: Sequence[DagsterEvent]
) -> bool:
    """Return whether nobody need be told of this run's failure, or its task has told: the store says how that ended."""
    classes = {_reason(event)[0] for event in steps}
    if classes == {AlreadyRunning.__name__}:
        return True
    record = instance.get_run_record_by_id(run.run_id)
    if record is None or record.start_time is None:
        return False
    began, ended = (datetime.fromtimestamp(at, SHANGHAI) for at in (record.start_time, record.end_time or time.time()))
    if classes == {NotReady.__name__} and ended.time() < EVENING_ENDS:
        # The schedule asks again; what is still not there at the evening's end is told as stale.
        return True
    job_type = job_type_of(run) or _FINANCE.get(run.job_name)
    if job_type is None:
        return False
    with installation.database.read() as conn:
        task = sync_tasks.latest(conn, job_type)
    return task is not None and task.status == "FAILED" and task.updated_at >= began


def _days(run: DagsterRun) -> tuple[str, ...]:
    if PARTITION in run.tags:
        return (run.tags[PARTITION],)
    return tuple(run.tags[name] for name in (RANGE_START, RANGE_END) if name in run.tags)


def _reason(event: DagsterEvent) -> tuple[str, str]:
    """Return the class of a failed step's error and its sentence."""
    failure = event.step_failure_data
    told = failure.user_failure_data
    if told is not None:
        name = told.metadata.get(ERROR_CLASS)
        return str(name.value) if name is not None else "", told.description or ""
    error = failure.error
    if error is None:
        return "", ""
    while error.cause is not None:
        error = error.cause
    # Its text may hold what is nobody else's business.
    return error.cls_name or "", error.cls_name or ""
