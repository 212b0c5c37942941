"""What a person should be told of the store as it stands, whoever brought it there: old data, bans, quotas, lost indexes."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from stock_assets.domain.alerts import Alert
from stock_assets.domain.calendar import SHANGHAI, TradingCalendar
from stock_assets.pipeline.freshness import Freshness, freshness
from stock_assets.storage.database import Database
from stock_assets.storage.index_management import DroppedIndex, dropped
from stock_assets.storage.quota import QuotaLedger, Standing

NEAR_THE_END: Final = 0.9
"""Part of a day's requests from which on a person is told."""

STALE_AFTER: Final = timedelta(hours=3.5)
"""So long after its deadline a dataset counts as stale here: the schedule asks again until the evening ends."""


def standing_alerts(
    database: Database, quota: QuotaLedger, calendar: TradingCalendar, now: datetime
) -> dict[str, list[Alert]]:
    """Return all there is to tell, by scope; a scope without anything is there as well, so that its end is noticed."""
    with database.read() as conn:
        found = freshness(conn, calendar, now - STALE_AFTER)
    return {
        "freshness": stale_alerts(found),
        **{f"source {standing.source}": source_alerts(standing, now) for standing in quota.standings()},
        "index": index_alerts(dropped(database)),
    }


def stale_alerts(found: Iterable[Freshness]) -> list[Alert]:
    """Return one alert for all datasets that are behind; what was never loaded has not grown old."""
    stale = [one for one in found if not one.is_fresh and not one.is_unused]
    if not stale:
        return []
    names = "、".join(f"{one.dataset}（应有 {one.due}）" for one in stale)
    en = ", ".join(f"{one.dataset} (due {one.due})" for one in stale)
    return [
        Alert(
            cause="stale",
            job_type="freshness",
            items=tuple(one.dataset for one in stale),
            zh=f"数据未及时更新：{names}",
            en=f"data is stale: {en}",
            command=stale[0].repair,
        )
    ]


def source_alerts(standing: Standing, now: datetime) -> list[Alert]:
    """Return whether a source blocks us, and whether the day's requests come to an end."""
    alerts, source = list[Alert](), standing.source
    if standing.banned_until is not None:
        until = f"{standing.banned_until.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
        alerts.append(
            Alert(
                cause="banned",
                job_type=source,
                items=(source,),
                zh=f"{source} 已将本机列入黑名单，{until}（北京时间）之前不发送请求",
                en=f"{source} has blacklisted this machine; nothing is sent before {until} Shanghai time",
                command="stock-assets doctor",
            )
        )
    if standing.limit and standing.requests >= standing.limit * NEAR_THE_END:
        is_over = standing.requests >= standing.limit
        alerts.append(
            Alert(
                cause="quota_low",
                job_type=source,
                items=(source, f"{now.astimezone(SHANGHAI):%Y-%m-%d}"),
                zh=f"{source} 今日请求配额 {standing.limit:,} 次"
                + ("已用完" if is_over else f"已用超过 {NEAR_THE_END:.0%}"),
                en=f"today's {standing.limit:,} requests of {source} are "
                + ("used up" if is_over else f"more than {NEAR_THE_END:.0%} used"),
                command="stock-assets status",
            )
        )
    return alerts


def index_alerts(indexes: Sequence[DroppedIndex]) -> list[Alert]:
    """Return one alert for all indexes that could not be built again after a load."""
    lost: Mapping[str, str] = {index.name: index.problem for index in indexes if index.problem is not None}
    if not lost:
        return []
    names, reason = ", ".join(lost), next(iter(lost.values()))
    return [
        Alert(
            cause="rebuild_failed",
            job_type="index",
            items=tuple(lost),
            zh=f"索引重建失败：{names}（{reason}）；查询变慢，下次装载时再试",
            en=f"indexes could not be built again: {names} ({reason}); queries are slower, and the next load tries again",
            command="stock-assets doctor",
        )
    ]
