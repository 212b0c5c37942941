"""Freshness while nothing runs: verdicts told when they change, and closed weekdays told to Dagster's own policies."""

# Dagster leaves a type argument of its metadata open; nothing of ours is unknown here.
# pyright: reportUnknownVariableType=false

import json
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Final

from dagster import (
    AssetCheckEvaluation,
    AssetKey,
    AssetMaterialization,
    DagsterInstance,
    DefaultSensorStatus,
    EventLogEntry,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from stock_assets.assets.freshness import CHECK_KEYS, verdict
from stock_assets.domain.calendar import PUBLISHED_AT, SHANGHAI, TradingCalendar, published_at
from stock_assets.pipeline.freshness import Freshness, freshness
from stock_assets.wiring import Installation

EVERY_SECONDS: Final = 600
CLOSED_DAY: Final = "closed weekday"
_SATURDAY = 5


def freshness_sensor(installation: Installation, assets: Iterable[str]) -> SensorDefinition:
    """Return the sensor, which starts no run; `assets` are all that have a policy."""
    watched = sorted(assets)

    @sensor(
        name="freshness_sensor",
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description="各数据集是否及时更新（按交易日历）；变化时写入检查结果，不启动运行"
        " | whether each dataset is up to date by the exchanges' calendar; verdicts are filed as checks, no run is started",
    )
    def freshness_by_calendar(context: SensorEvaluationContext) -> SkipReason:
        now, is_chinese = installation.now(), installation.settings.language == "zh"
        with installation.database.read() as conn:
            found = freshness(conn, installation.calendar, now)
        context.update_cursor(tell_changes(context.instance, found, context.cursor))
        told = confirm_closed_day(context.instance, watched, found, installation.calendar, now)
        stale = [one for one in found if not one.is_fresh and not one.is_unused]
        return SkipReason(_said(found, stale, told, is_chinese=is_chinese))

    return freshness_by_calendar


def tell_changes(instance: DagsterInstance, found: Iterable[Freshness], cursor: str | None) -> str:
    """File the verdicts that differ from those that `cursor` speaks of, and return the new cursor.

    A run that was to judge as well and died before it did leaves a check that looks failed: it is judged again.
    """
    before: dict[str, str] = json.loads(cursor or "{}")
    after = {one.dataset: f"{one.due} {one.status} {one.newest}" for one in found if not one.is_unused}
    newest = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(CHECK_KEYS.values()))
    unjudged = {key for key, record in newest.items() if record.status is AssetCheckExecutionRecordStatus.PLANNED}
    for one in found:
        key = CHECK_KEYS[one.dataset]
        if before.get(one.dataset) == after.get(one.dataset) and key not in unjudged:
            continue
        result = verdict(one)
        instance.report_runless_asset_event(
            AssetCheckEvaluation(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=result.passed,
                severity=result.severity,
                metadata=result.metadata,
            )
        )
    return json.dumps(after, sort_keys=True)


def confirm_closed_day(
    instance: DagsterInstance,
    assets: Iterable[str],
    found: Iterable[Freshness],
    calendar: TradingCalendar,
    now: datetime,
) -> list[str]:
    """Tell policies, which know no holiday, that on the last weekday nothing was due, if it was one; return the assets told.

    The newest materialization is filed again with a note, once, from the hour of publication on, and only of an asset that
    was materialized after the session before: what was stale before a holiday stays stale.
    """
    day = _last_weekday(now)
    session = calendar.previous(day)
    if calendar.is_session(day) or session is None:
        return []
    since, begun = (published_at(moment).timestamp() for moment in (session, day))
    stale = {one.dataset for one in found if not one.is_fresh}
    told: list[str] = []
    for asset in assets:
        newest = instance.get_latest_materialization_event(AssetKey(asset))
        if newest is not None and asset not in stale and since <= newest.timestamp < begun:
            instance.report_runless_asset_event(_again(newest, day))
            told.append(asset)
    return told


def _last_weekday(now: datetime) -> date:
    """Return the newest weekday whose data would have been promised by now: the one that policies look at."""
    local = now.astimezone(SHANGHAI)
    day = local.date() if local.time() >= PUBLISHED_AT else local.date() - timedelta(days=1)
    while day.weekday() >= _SATURDAY:
        day -= timedelta(days=1)
    return day


def _again(newest: EventLogEntry, day: date) -> AssetMaterialization:
    known = newest.asset_materialization
    assert known is not None  # noqa: S101  it is what was asked for
    return AssetMaterialization(
        known.asset_key,
        partition=known.partition,
        metadata={**known.metadata, CLOSED_DAY: f"{day}：休市，无新数据 | the exchanges are closed, nothing was due"},
    )


def _said(found: list[Freshness], stale: list[Freshness], told: list[str], *, is_chinese: bool) -> str:
    closed = "" if not told else ("；今日休市" if is_chinese else "; the exchanges are closed today")
    if stale:
        names = ", ".join(f"{one.dataset} ({one.due})" for one in stale)
        return f"未及时更新：{names}{closed}" if is_chinese else f"stale: {names}{closed}"
    due = max(one.due for one in found)
    return f"数据已更新至 {due}{closed}" if is_chinese else f"up to date: {due}{closed}"
