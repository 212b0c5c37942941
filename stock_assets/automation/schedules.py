"""When a run starts by itself: every weekday evening, if there is a day to load."""

# Dagster leaves a type argument of its metadata open; nothing of ours is unknown here.
# pyright: reportUnknownVariableType=false

from dagster import (
    DefaultScheduleStatus,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    schedule,
)

from stock_assets.automation.due import why_not_due
from stock_assets.automation.jobs import NIGHTLY
from stock_assets.domain.calendar import SHANGHAI
from stock_assets.wiring import Installation

# Half an hour after the source's promise for factors: what is late is repaired by the next run.
NIGHTLY_CRON = "30 18 * * 1-5"


def nightly_schedule(installation: Installation) -> ScheduleDefinition:
    """Return the schedule of the nightly job: a run for today's session, else a reason a person understands."""

    @schedule(
        cron_schedule=NIGHTLY_CRON,
        job_name=NIGHTLY,
        name="nightly_schedule",
        execution_timezone="Asia/Shanghai",
        default_status=DefaultScheduleStatus.RUNNING,
        description="交易日 18:30（北京时间）| trading days at 18:30 Shanghai time",
    )
    def nightly(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
        now = context.scheduled_execution_time.astimezone(SHANGHAI)
        if (reason := why_not_due(installation, now)) is not None:
            return SkipReason(reason)
        day = now.date()
        return RunRequest(run_key=f"nightly-{day}", partition_key=day.isoformat())

    return nightly
