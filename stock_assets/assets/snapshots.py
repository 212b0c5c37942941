"""Daily snapshots, one partition a trading day; a range of days is one run. And whether their files are what was written."""

from collections.abc import Collection, Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl
from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetExecutionContext,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    MaterializeResult,
    MetadataValue,
    PartitionsDefinition,
    ResourceParam,
    asset_check,
    multi_asset,
)

from stock_assets.assets.check_days import tell_each_day
from stock_assets.assets.failures import RETRY, plain_failures
from stock_assets.assets.freshness import MARKET_FRESHNESS
from stock_assets.assets.landed_days import tell_landed
from stock_assets.assets.metadata import TOLD_BY_DAY, Metadata, preview_metadata, table_metadata
from stock_assets.assets.partitions import days_of
from stock_assets.assets.pictures import picture_metadata
from stock_assets.assets.run_progress import progress_in_log
from stock_assets.domain.snapshot_tables import CACHE_SNAPSHOT
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.indicators.table import TECHNICAL_DAILY
from stock_assets.pipeline.snapshot import DaySnapshot, SnapshotReport, prune_snapshots, publish_snapshots
from stock_assets.pipeline.snapshot_columns import SNAPSHOT
from stock_assets.storage import bars, snapshot_files, snapshots
from stock_assets.wiring import Installation

GROUP = "market"
_PREVIEW = ["ts_code", "name", "close", "pct_chg", "amount", "turnover_rate", "rsi_6", "kdj_j", "macd", "pe_ttm", "roe"]
_SHOWN = 8
# Calendar days in which there are the sessions that a day's turnover is compared with.
_COMPARED = timedelta(days=45)
_NAMED = 20
_CHECK = "cache_snapshot_whole"


def snapshot_assets(trading_days: PartitionsDefinition[str]) -> list[AssetsDefinition]:
    """Return `cache_snapshot`.

    Reports are in it when the store has any. They are no dependency that would have to succeed first: what was known on a
    day was announced before it.
    """

    @multi_asset(
        specs=[
            AssetSpec(
                CACHE_SNAPSHOT.name,
                description=f"{SNAPSHOT.comment}；财务取自 finance_indicator，没有时为空 | reports are those of "
                "finance_indicator, empty where there are none",
                metadata=table_metadata(SNAPSHOT),
                kinds={"arrow", "postgres"},
                deps=[TECHNICAL_DAILY.name, STOCK_DAILY.name],
                freshness_policy=MARKET_FRESHNESS,
            )
        ],
        name=CACHE_SNAPSHOT.name,
        group_name=GROUP,
        partitions_def=trading_days,
        backfill_policy=BackfillPolicy.single_run(),
        retry_policy=RETRY,
    )
    def cache_snapshot(
        context: AssetExecutionContext, store: ResourceParam[Installation]
    ) -> Iterator[MaterializeResult[Any]]:
        days, folder, settings = days_of(context.partition_keys), store.snapshot_folder, store.settings
        with plain_failures(settings.language), progress_in_log(context.log, store):
            made = store.snapshots(run_id=context.run.run_id)
            report = publish_snapshots(made, days, folder)
            prune_snapshots(
                made, folder, keep_days=settings.snapshot_keep_days, keep_versions=settings.snapshot_keep_versions
            )
            failure = report.failure()
            if failure is not None:
                made_days = {outcome.day: _day_metadata(outcome) for outcome in report.days if outcome.row is not None}
                tell_landed(context, CACHE_SNAPSHOT.name, made_days)
                raise failure
        for outcome in report.days[-TOLD_BY_DAY:]:
            told = _day_metadata(outcome)
            context.add_asset_metadata(told, asset_key=CACHE_SNAPSHOT.name, partition_key=str(outcome.day))
        yield MaterializeResult(asset_key=CACHE_SNAPSHOT.name, metadata=_metadata(report, store))

    return [cache_snapshot]


def snapshot_checks(trading_days: PartitionsDefinition[str]) -> list[AssetChecksDefinition]:
    """Return the check of `cache_snapshot`: the files of the run's newest days are there, and are what was written."""

    @asset_check(
        name=_CHECK,
        asset=CACHE_SNAPSHOT.name,
        partitions_def=trading_days,
        description="文件存在且与记录的摘要一致 | the file is there and equals its recorded digest",
    )
    def cache_snapshot_whole(
        context: AssetCheckExecutionContext, store: ResourceParam[Installation]
    ) -> AssetCheckResult:
        days = days_of(context.partition_keys)[-TOLD_BY_DAY:]
        with store.database.read() as conn:
            rows = snapshots.current(conn, days)
        whole = {
            day for day, row in rows.items() if snapshot_files.is_whole(store.snapshot_folder, row.path, row.digest)
        }
        tell_each_day(context, CACHE_SNAPSHOT.name, _CHECK, {day: _wholeness([day], whole) for day in days})
        return _wholeness(days, whole)

    return [cache_snapshot_whole]


def _wholeness(days: Sequence[date], whole: Collection[date]) -> AssetCheckResult:
    broken = [day for day in days if day not in whole]
    repair = f"stock-assets backfill-snapshots --start {min(broken)} --end {max(broken)}" if broken else None
    return AssetCheckResult(
        passed=not broken,
        severity=AssetCheckSeverity.ERROR,
        metadata={
            "days": len(days),
            "not whole": ", ".join(map(str, broken[:_NAMED])) or "-",
            **({"next step": MetadataValue.md(f"`{repair}`")} if repair else {}),
        },
    )


def _metadata(report: SnapshotReport, store: Installation) -> Metadata:
    """Return what a run did, with a picture and a preview of its newest day."""
    metadata: Metadata = {
        **{f"days {verdict}": report.count(verdict) for verdict in ("published", "rewritten", "unchanged")},
        "files swept": report.swept,
        **{name.replace("_", " "): round(seconds, 3) for name, seconds in sorted(report.split.items())},
    }
    newest = report.days[-1]
    if newest.row is None:
        return metadata
    with store.database.read() as conn:
        if newest.row.snapshot_id not in {row.snapshot_id for row in snapshots.current(conn, [newest.day]).values()}:
            # Settings let it go at once.
            return metadata
    frame = store.snapshot_reader().read(newest.row.snapshot_id)
    top = frame.sort("amount", descending=True, nulls_last=True).head(_SHOWN).select(_PREVIEW)
    return {
        **metadata,
        **_day_metadata(newest),
        "columns": frame.width,
        **preview_metadata(top.with_columns(pl.selectors.float().round(2)), name="traded most"),
        "picture": _picture(store, newest.day, frame),
        "next step": MetadataValue.md(f"`stock-assets snapshot {newest.day}`"),
    }


def _day_metadata(outcome: DaySnapshot) -> Metadata:
    """Return what is true of one day."""
    if outcome.row is None:
        return {"day verdict": outcome.verdict}
    row = outcome.row
    metadata: Metadata = {
        "day verdict": outcome.verdict,
        "snapshot_id": row.snapshot_id,
        "reason": row.reason,
        "rows": row.rows,
        "bytes": row.bytes,
        "dagster/partition_row_count": row.rows,
    }
    return metadata if outcome.detail is None else {**metadata, "day detail": outcome.detail}


def _picture(store: Installation, day: date, frame: pl.DataFrame) -> MetadataValue[Any]:
    from stock_assets.charts.day_picture import day_picture  # noqa: PLC0415  it brings matplotlib, which takes a second

    with store.database.read() as conn:
        turnover = bars.turnover(conn, day - _COMPARED, day)
    return picture_metadata(day_picture(day, frame, turnover), str(day))
