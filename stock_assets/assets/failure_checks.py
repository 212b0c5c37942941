"""Asset checks that show, on an asset's page, what failed to be synchronized and who has to do something about it."""

from collections.abc import Mapping
from typing import Final

import polars as pl
from dagster import (
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    MetadataValue,
    ResourceParam,
    asset_check,
)

from stock_assets.assets.metadata import preview_metadata
from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.storage import sync_tasks
from stock_assets.storage.sync_tasks import JobType
from stock_assets.wiring import Installation

_NAMED = 20
_TYPES: Final[Mapping[str, tuple[JobType, ...]]] = {
    STOCK_DAILY.name: ("DAILY_INCREMENTAL", "DAILY_HISTORY"),
    FINANCE_INDICATOR.name: ("FINANCE_INCREMENTAL", "FINANCE_HISTORY"),
}


def failure_checks() -> list[AssetChecksDefinition]:
    """Return a check for each asset that is loaded by synchronizations."""
    return [_check(asset, types) for asset, types in _TYPES.items()]


def _check(asset: str, types: tuple[JobType, ...]) -> AssetChecksDefinition:
    @asset_check(
        asset=asset,
        name=f"{asset}_failures",
        description="没有未解决的同步失败 | no synchronization has left a failure unresolved",
    )
    def nothing_failed(store: ResourceParam[Installation]) -> AssetCheckResult:
        with store.database.read() as conn:
            records = [record for record in sync_tasks.open_failures(conn) if record.job_type in types]
        waiting = [record for record in records if record.needs_a_person]
        worst = sorted(records, key=lambda record: (not record.needs_a_person, -record.retry_count))[:_NAMED]
        rows = [
            (record.job_type, record.third_code, record.needs_a_person, record.retry_count, record.error_message)
            for record in worst
        ]
        names = ["job", "item", "waits for a person", "retries", "reason"]
        return AssetCheckResult(
            passed=not records,
            severity=AssetCheckSeverity.WARN,
            metadata={
                "unresolved": len(records),
                "wait for a person": len(waiting),
                **preview_metadata(pl.DataFrame(rows, schema=names, orient="row"), name="worst"),
                **({"next step": MetadataValue.md("`stock-assets failures --retry`")} if records else {}),
            },
        )

    return nothing_failed
