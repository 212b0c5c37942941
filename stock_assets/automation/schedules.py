"""When a run starts by itself: every weekday evening, if there is a day to load, and again until it is there."""

# Dagster leaves a type argument of its metadata open; nothing of ours is unknown here.
# pyright: reportUnknownVariableType=false

from datetime import date, datetime

from dagster import (
    DagsterInstance,
    DefaultScheduleStatus,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    schedule,
)

from stock_assets.automation.due import why_not_due
from stock_assets.automation.jobs import NIGHTLY, REPAIR
from stock_assets.automation.under_way import days_of_runs, runs_under_way
from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.snapshot_tables import CACHE_SNAPSHOT
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.indicators.table import TECHNICAL_DAILY
from stock_assets.storage import ledger
from stock_assets.wiring import Installation

# Half an hour after the source's promise for factors.
NIGHTLY_CRON = "30 18 * * 1-5"
# A day that was late, half published or cut short: asked for again until its evening ends. What lacks then is repaired.
AGAIN_CRON = "0,30 19-23 * * 1-5"
_FETCHED, _MADE_OF_IT = (STOCK_DAILY.name, ADJUST_FACTOR.name), (TECHNICAL_DAILY.name, CACHE_SNAPSHOT.name)


def nightly_schedule(installation: Installation) -> ScheduleDefinition:
    """Return the schedule of the nightly job: a run for today's session, else a reason a person understands."""

    @schedule(
        cron_schedule=[NIGHTLY_CRON, AGAIN_CRON],
        job_name=NIGHTLY,
        name="nightly_schedule",
        execution_timezone="Asia/Shanghai",
        default_status=DefaultScheduleStatus.RUNNING,
        description="交易日 18:30（北京时间），未齐则每半小时再试，至 23:30"
        " | trading days at 18:30 Shanghai time, and every half hour until 23:30 while the day is not complete",
    )
    def nightly(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
        return nightly_decision(installation, context.instance, context.scheduled_execution_time)

    return nightly


def nightly_decision(
    installation: Installation, instance: DagsterInstance, moment: datetime
) -> RunRequest | SkipReason:
    """Return the run for the day of a tick, or why there is none.

    After a night off several evenings' ticks come at once: a day that a run works on gets no second one.
    """
    now = moment.astimezone(SHANGHAI)
    day, is_chinese = now.date(), installation.settings.language == "zh"
    if (reason := why_not_due(installation, now)) is not None:
        return SkipReason(reason)
    if is_there(installation, day):
        return SkipReason(f"{day} 已完整" if is_chinese else f"{day} is complete already")
    runs = (*runs_under_way(instance, job_name=NIGHTLY), *runs_under_way(instance, job_name=REPAIR))
    if day in days_of_runs(runs, installation.calendar):
        return SkipReason(f"{day} 正在取数" if is_chinese else f"a run of {day} is under way")
    return RunRequest(run_key=f"nightly-{now:%Y-%m-%dT%H:%M}", partition_key=day.isoformat())


def is_there(installation: Installation, day: date) -> bool:
    """Return whether the ledger has `day` whole: fetched without a gap, and all made of it that a night makes."""
    with installation.database.read() as conn:
        known = {name: ledger.statuses(conn, name, [day]).get(day) for name in (*_FETCHED, *_MADE_OF_IT)}
    # What is made of a day with a gap that no source can close says so for ever.
    return all(known[name] in ledger.CLOSED for name in _FETCHED) and all(known[name] for name in _MADE_OF_IT)
