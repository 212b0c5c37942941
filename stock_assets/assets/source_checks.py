"""The asset check that compares what two sources said of the same days."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl
from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    MetadataValue,
    PartitionsDefinition,
    ResourceParam,
    asset_check,
)

from stock_assets.assets.check_days import tell_each_day
from stock_assets.assets.metadata import TOLD_BY_DAY, preview_metadata
from stock_assets.assets.partitions import days_of
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.pipeline.stored_answers import DayComparison, compare_stored
from stock_assets.quality.reconciliation import FAILING, TOLERANCES, Reconciliation, together, tolerance_of
from stock_assets.wiring import Installation

NAME: Final = "sources_agree"
_WORST: Final = 20
_NAMED: Final = 10


def source_checks(trading_days: PartitionsDefinition[str]) -> list[AssetChecksDefinition]:
    """Return the check of `stock_daily` over both sources: one verdict over the run's newest days, and one by day."""

    @asset_check(
        name=NAME,
        asset=STOCK_DAILY.name,
        partitions_def=trading_days,
        description="两个数据源的同一天日线一致；只有一个来源的日子不作比较"
        " | both sources say the same of a day; a day of one source alone passes as that",
    )
    def sources_agree(context: AssetCheckExecutionContext, store: ResourceParam[Installation]) -> AssetCheckResult:
        days = days_of(context.partition_keys)
        with store.database.read() as conn:
            compared = compare_stored(conn, days[-TOLD_BY_DAY:])
        tell_each_day(context, STOCK_DAILY.name, NAME, {one.day: agreement([one]) for one in compared})
        return agreement(compared, not_compared=len(days) - len(compared))

    return [sources_agree]


def agreement(days: Sequence[DayComparison], *, not_compared: int = 0) -> AssetCheckResult:
    """Return the verdict on some days; `not_compared` counts older ones that were left out."""
    results = [one.result for one in days if one.result is not None]
    result = together(results) if results else None
    alone = Counter(" + ".join(one.told_by) or "none" for one in days if one.result is None)
    in_part = [one for one in days if one.in_part is not None]
    return AssetCheckResult(
        passed=result is None or result.is_passed,
        severity=AssetCheckSeverity.WARN,
        metadata={
            "verdict": _verdict(result, alone),
            "days compared": len(results),
            **({"days of one source only": _counted(alone)} if alone else {}),
            **({"days of some stocks only": _named(in_part)} if in_part else {}),
            **({"older days not compared": not_compared} if not_compared else {}),
            **({} if result is None else _differences(result)),
        },
    )


def _verdict(result: Reconciliation | None, alone: Mapping[str, int]) -> str:
    if result is None:
        return f"one source only: {_counted(alone)}"
    return "the sources agree" if result.is_passed else "the sources differ"


def _counted(alone: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({days})" for name, days in sorted(alone.items()))


def _named(in_part: Sequence[DayComparison]) -> str:
    named = ", ".join(f"{one.day} ({one.in_part})" for one in in_part[:_NAMED])
    return named if len(in_part) <= _NAMED else f"{named}, … {len(in_part)}"


def _differences(result: Reconciliation) -> Mapping[str, Any]:
    worst = result.worst(_WORST).rename({"first": result.first, "second": result.second})
    return {
        "stock-days compared": result.compared,
        "differences that fail": result.failing,
        **preview_metadata(_counts(result), name="differences"),
        **preview_metadata(worst.with_columns(pl.col("relative").round(6)), name="worst"),
        **({} if result.is_passed else {"next step": MetadataValue.md(_next_step(result))}),
    }


def _counts(result: Reconciliation) -> pl.DataFrame:
    rows = [
        {
            "kind": kind,
            "column": column,
            "differences": number,
            "tolerance": _tolerance(kind, column),
            "fails": "yes" if kind in FAILING else "no",
        }
        for kind, columns in result.counts.items()
        for column, number in columns.items()
    ]
    return pl.DataFrame(rows)


def _tolerance(kind: str, column: str) -> str:
    if kind == "unit":
        return f"a power of ten, within {TOLERANCES.unit_ratio:g}"
    found = tolerance_of(column)
    return "none" if found is None else f"{found[1]:g} ({found[0]})"


def _next_step(result: Reconciliation) -> str:
    """Return what shows the worst case, and what asks each source for its day again."""
    code, day = result.worst(1).select("ts_code", "trade_date").row(0)
    again = [
        f"`STOCK_ASSETS_SOURCE={name} stock-assets nightly --date {day}`" for name in (result.first, result.second)
    ]
    return f"`stock-assets bars {code} --start {day} --end {day}`; ask again: {', '.join(again)}"
