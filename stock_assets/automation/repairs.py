"""What brings missing days by itself: a sensor that looks for gaps, and the run that it asks for."""

# Dagster leaves a type argument of its metadata open; nothing of ours is unknown here.
# pyright: reportUnknownVariableType=false

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from dagster import (
    AssetKey,
    DagsterInstance,
    DefaultSensorStatus,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)

from stock_assets.assets.loads import BARS_OP
from stock_assets.automation.jobs import REPAIR
from stock_assets.automation.under_way import RANGE_END, RANGE_START, days_of_runs, runs_under_way
from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.errors import StockAssetsError
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.pipeline.repair import Gaps, Repair, days_looked_at, find_gaps, next_repair
from stock_assets.wiring import Installation

EVERY_SECONDS: Final = 600
GAPS_TAG: Final = "stock_assets/gaps"
"""The tag with the digest of the gaps that a run is for."""
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=30), timedelta(days=1)
_OP_OF: Final = {STOCK_DAILY.name: BARS_OP, ADJUST_FACTOR.name: ADJUST_FACTOR.name}


def _now() -> datetime:
    return datetime.now(UTC)


def repair_sensor(installation: Installation) -> SensorDefinition:
    """Return the sensor: a run for what is missing of the last days, else a reason a person understands."""

    @sensor(
        name="repair_sensor",
        job_name=REPAIR,
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description="核对最近 INTEGRITY_CHECK_DAYS 天，缺什么补什么"
        " | looks for what is missing of the last INTEGRITY_CHECK_DAYS days, and repairs it",
    )
    def repair(context: SensorEvaluationContext) -> RunRequest | SkipReason:
        try:
            return repair_decision(installation, context.instance)
        except StockAssetsError as error:
            # The store or a setting is at fault: nothing that a failed tick would mend.
            return SkipReason(error.sentence(installation.settings.language))

    return repair


def repair_decision(
    installation: Installation, instance: DagsterInstance, clock: Callable[[], datetime] = _now
) -> RunRequest | SkipReason:
    """Return the run for what is missing now, or why there is none.

    Days that a run works on are left out. Gaps that a run was for and did not bring wait for half an hour, then twice as
    long each time; for one attempt at the same gaps Dagster starts one run. `clock` is the one that Dagster's records go by.
    """

    def say(zh: str, en: str) -> str:
        return zh if installation.settings.language == "zh" else en

    if installation.settings.integrity_check_days == 0:
        return SkipReason(say("自动补缺已关闭（INTEGRITY_CHECK_DAYS=0）", "repairs are off (INTEGRITY_CHECK_DAYS=0)"))
    if runs_under_way(instance, job_name=REPAIR):
        return SkipReason(say("补缺正在运行", "a repair is under way"))
    with installation.database.read() as conn:
        days = days_looked_at(
            conn, installation.calendar, installation.now(), installation.settings.integrity_check_days
        )
    if not days:
        return SkipReason(
            say("存储尚无数据；先装载：stock-assets init", "nothing is loaded yet; load with `stock-assets init`")
        )
    gaps = gaps_of(installation, instance, days)
    repair = next_repair(gaps)
    if repair is None:
        return SkipReason(
            say(
                f"{days[0]} 至 {days[-1]} 无可补的缺失",
                f"nothing is missing that could be had, {days[0]} to {days[-1]}",
            )
        )
    attempts, again_at = _earlier(instance, repair)
    if clock() < again_at:
        until = f"{again_at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
        return SkipReason(
            say(
                f"{len(gaps.days)} 个交易日的缺失已补过 {attempts} 次未果，{until} 之后再试",
                f"what {len(gaps.days)} days lack was asked for {attempts} times; again after {until}",
            )
        )
    return RunRequest(
        run_key=f"repair-{repair.digest}-{attempts}",
        tags={**partition_tags(repair), GAPS_TAG: repair.digest},
        asset_selection=[AssetKey(name) for name in repair.assets],
        run_config=run_config(repair),
    )


def gaps_of(installation: Installation, instance: DagsterInstance, days: list[date]) -> Gaps:
    """Return what these days lack and no run is working on."""
    busy = days_of_runs(runs_under_way(instance), installation.calendar)
    with installation.database.read() as conn:
        return find_gaps(conn, days, now=installation.now(), sources=installation.sources_in_use, leave_out=busy)


def run_config(repair: Repair) -> Mapping[str, Any]:
    """Return the config of a repair's run: gaps alone, and of these what is due."""
    load = {"refetch": False, "only_due": True}
    return {"ops": {op: {"config": load} for asset, op in _OP_OF.items() if asset in repair.assets}}


def partition_tags(repair: Repair) -> dict[str, str]:
    """Return the tags that say which days a repair's run is over."""
    return {RANGE_START: repair.first.isoformat(), RANGE_END: repair.last.isoformat()}


def _earlier(instance: DagsterInstance, repair: Repair) -> tuple[int, datetime]:
    """Return how many runs were for these very gaps, and when the next one may be."""
    records = instance.get_run_records(RunsFilter(job_name=REPAIR, tags={GAPS_TAG: repair.digest}))
    if not records:
        return 0, datetime.min.replace(tzinfo=SHANGHAI)
    # Doubled more often than this it is longer than the longest.
    pause = min(_FIRST_PAUSE * 2 ** min(len(records) - 1, 10), _LONGEST_PAUSE)
    return len(records), max(record.update_timestamp for record in records) + pause
