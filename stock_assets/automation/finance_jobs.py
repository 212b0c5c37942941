"""What starts finance reports: two jobs by the names that people start them with, and a schedule after the nightly one."""

# Dagster leaves a type argument of its metadata open; nothing of ours is unknown here.
# pyright: reportUnknownVariableType=false

from dagster import (
    AssetSelection,
    DefaultScheduleStatus,
    JobDefinition,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    define_asset_job,
    in_process_executor,
    job,
    schedule,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from stock_assets.assets.finance import finance_history_op
from stock_assets.automation.due import why_not_due
from stock_assets.automation.jobs import OF_TIME
from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.finance_tables import FINANCE_INDICATOR, RAW_TUSHARE_FINA_INDICATOR
from stock_assets.wiring import Installation

INCREMENT, FINANCE_HISTORY = "sync_incremental_finance_job", "sync_finance_history_job"
# After the nightly job: what that one did not close, such as a stock that failed, is asked for again.
FINANCE_CRON = "0 21 * * 1-5"


def finance_increment_job() -> UnresolvedAssetJobDefinition:
    """Return the job over one trading day's announcements."""
    return define_asset_job(
        INCREMENT,
        AssetSelection.assets(RAW_TUSHARE_FINA_INDICATOR.name, FINANCE_INDICATOR.name) - OF_TIME,
        executor_def=in_process_executor,
        description="一个交易日之前的全部新公告 | every announcement up to a trading day",
    )


def finance_history_job() -> JobDefinition:
    """Return the job that brings the whole history; it has no partitions, and the next run of it goes on."""
    history = finance_history_op()

    @job(
        name=FINANCE_HISTORY,
        executor_def=in_process_executor,
        description="财务指标全部历史，可停可续 | the whole history of finance reports; stop and go on at will",
    )
    def finance_history_job() -> None:
        history()

    return finance_history_job


def finance_schedule(installation: Installation) -> ScheduleDefinition:
    """Return the schedule of the increment: a run for today's session, else a reason a person understands."""

    @schedule(
        cron_schedule=FINANCE_CRON,
        job_name=INCREMENT,
        name="finance_schedule",
        execution_timezone="Asia/Shanghai",
        default_status=DefaultScheduleStatus.RUNNING,
        description="交易日 21:00（北京时间）| trading days at 21:00 Shanghai time",
    )
    def finance(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
        now = context.scheduled_execution_time.astimezone(SHANGHAI)
        if (reason := why_not_due(installation, now)) is not None:
            return SkipReason(reason)
        if (missing := installation.why_no_finance()) is not None:
            return SkipReason(missing.sentence(installation.settings.language))
        day = now.date()
        return RunRequest(run_key=f"finance-{day}", partition_key=day.isoformat())

    return finance
