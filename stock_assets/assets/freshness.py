"""How new assets should be: as Dagster's own policies, and as checks that know the exchanges' holidays.

A policy looks at the clock of the newest materialization, whichever day that was of, and knows weekdays but no holidays: on
a closed weekday `automation.freshness` tells it that nothing was due. A check asks the ledger for the session that is due.
"""

from collections.abc import Mapping
from datetime import time, timedelta
from typing import Any, Final

from dagster import (
    AssetCheckKey,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetKey,
    FreshnessPolicy,
    MetadataValue,
    ResourceParam,
    asset_check,
)

from stock_assets.domain.calendar import PUBLISHED_AT
from stock_assets.pipeline.freshness import DEADLINES, FINANCE_DEADLINE, MARKET_DEADLINE, Freshness, freshness
from stock_assets.wiring import Installation

ZONE: Final = "Asia/Shanghai"


def _policy(deadline: time) -> FreshnessPolicy:
    """Return the policy: materialized between the source's promise and the deadline of every weekday."""
    window = timedelta(hours=deadline.hour - PUBLISHED_AT.hour, minutes=deadline.minute - PUBLISHED_AT.minute)
    return FreshnessPolicy.cron(
        deadline_cron=f"{deadline.minute} {deadline.hour} * * 1-5",
        lower_bound_delta=window,
        timezone=ZONE,
    )


MARKET_FRESHNESS: Final = _policy(MARKET_DEADLINE)
FINANCE_FRESHNESS: Final = _policy(FINANCE_DEADLINE)


def check_name(asset: str) -> str:
    """Return the name of an asset's check of freshness."""
    return f"{asset}_fresh"


CHECK_KEYS: Final[Mapping[str, AssetCheckKey]] = {
    asset: AssetCheckKey(AssetKey(asset), check_name(asset)) for asset in DEADLINES
}
"""The checks by asset. No job of days runs them: whether a store is up to date is no matter of the days that a run loads."""


def freshness_checks() -> list[AssetChecksDefinition]:
    """Return a check for each asset that has a line of the ledger for every session."""
    return [_check(asset, deadline) for asset, deadline in DEADLINES.items()]


def verdict(found: Freshness) -> AssetCheckResult:
    """Return the verdict on one dataset."""
    facts: dict[str, Any] = {
        "session due": str(found.due),
        "ledger": found.status or "-",
        "newest complete": "-" if found.newest is None else str(found.newest),
        "sessions behind": found.behind,
    }
    if found.is_unused:
        return AssetCheckResult(passed=True, metadata={"verdict": "nothing was ever loaded", **facts})
    if not found.is_fresh:
        facts["next step"] = MetadataValue.md(f"`{found.repair}`")
    return AssetCheckResult(
        passed=found.is_fresh,
        severity=AssetCheckSeverity.WARN,
        metadata={"verdict": "fresh" if found.is_fresh else "stale", **facts},
    )


def _check(asset: str, deadline: time) -> AssetChecksDefinition:
    @asset_check(
        asset=asset,
        name=check_name(asset),
        description=f"最近一个应有的交易日（当日 {deadline:%H:%M} 之前）已完整入库，节假日不算"
        f" | the newest session that is due ({deadline:%H:%M} Shanghai time of its day) is in the store; holidays count for nothing",
    )
    def is_fresh(store: ResourceParam[Installation]) -> AssetCheckResult:
        with store.database.read() as conn:
            found = {one.dataset: one for one in freshness(conn, store.calendar, store.now())}
        return verdict(found[asset])

    return is_fresh
