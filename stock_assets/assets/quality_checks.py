"""Asset checks over the rules of quality: one for each family of rules, judged together in one step an asset."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Final

import polars as pl
from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    PartitionsDefinition,
    ResourceParam,
    multi_asset_check,
)

from stock_assets.assets.check_days import tell_each_day
from stock_assets.assets.loads import is_restricted, restricted_codes
from stock_assets.assets.metadata import TOLD_BY_DAY, preview_metadata
from stock_assets.assets.partitions import days_of
from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.indicators.table import TECHNICAL_DAILY
from stock_assets.pipeline.stored_quality import judge_stored
from stock_assets.quality.verdicts import FAMILIES, Family, Verdict, verdicts
from stock_assets.storage import coverage
from stock_assets.wiring import Installation

ASSETS: Final = (STOCK_DAILY.name, ADJUST_FACTOR.name, TECHNICAL_DAILY.name, FINANCE_INDICATOR.name)
"""The partitioned assets whose rows are judged."""

_WORST: Final = 20
_COMMANDS: Final = 5


def quality_checks(trading_days: PartitionsDefinition[str]) -> list[AssetChecksDefinition]:
    """Return the checks of every dataset that has rules: a verdict over the run's newest days, and one by day.

    A family of which a rule is broken only by what cannot be right blocks what follows, when a day is full of it.
    """
    of_asset = {asset: [one for one in FAMILIES if one.dataset == asset] for asset in ASSETS}
    return [_checks(asset, families, trading_days) for asset, families in of_asset.items() if families]


def _checks(dataset: str, families: Sequence[Family], trading_days: PartitionsDefinition[str]) -> AssetChecksDefinition:
    @multi_asset_check(
        name=f"{dataset}_quality",
        specs=[
            AssetCheckSpec(
                family.name,
                asset=dataset,
                description=_description(family),
                blocking=family.can_poison,
                partitions_def=trading_days,
            )
            for family in families
        ],
        can_subset=True,
    )
    def quality(context: AssetCheckExecutionContext, store: ResourceParam[Installation]) -> Iterator[AssetCheckResult]:
        asked = days_of(context.partition_keys)
        days = asked[-TOLD_BY_DAY:]
        codes = restricted_codes(context.run) or None
        sample = store.technicals(run_id=context.run.run_id) if dataset == TECHNICAL_DAILY.name else None
        found = judge_stored(store.database, store.calendar, days, ts_codes=codes, datasets=[dataset], sample=sample)
        with store.database.read() as conn:
            counts = coverage.day_counts(conn, days[0], days[-1], sources=store.sources_in_use)
        # Such a run must not fail for what it was not to bring.
        rows = None if is_restricted(context.run) else dict(counts.select("trade_date", "present").iter_rows())
        selected = {key.name for key in context.selected_asset_check_keys}
        by_day = {day: _named(found.filter(pl.col("trade_date") == day), rows) for day in days}
        for name, verdict in _named(found, rows).items():
            if name in selected:
                tell_each_day(context, dataset, name, {day: judged(of_day[name]) for day, of_day in by_day.items()})
                yield judged(verdict, not_judged=len(asked) - len(days))

    return quality


def judged(verdict: Verdict, *, not_judged: int = 0) -> AssetCheckResult:
    """Return what a verdict says in Dagster; `not_judged` counts older days that were left out."""
    worst = verdict.findings.select("trade_date", "ts_code", "severity", "rule", "detail").head(_WORST)
    commands = verdict.repairs(_COMMANDS)
    return AssetCheckResult(
        asset_key=verdict.family.dataset,
        check_name=verdict.family.name,
        passed=verdict.is_passed,
        severity=AssetCheckSeverity.ERROR if verdict.is_poisoned else AssetCheckSeverity.WARN,
        metadata={
            "errors": verdict.errors,
            "warnings": verdict.warnings,
            "notes": verdict.notes,
            **({"older days not judged": not_judged} if not_judged else {}),
            **preview_metadata(verdict.by_rule, name="by rule"),
            **_worst_of(worst),
            **preview_metadata(worst, name="worst"),
            **({"next step": "; ".join(commands)} if commands else {}),
        },
    )


def _worst_of(rows: pl.DataFrame) -> dict[str, str]:
    """Return the worst row in a line: Dagster shows text at once, and tables after a click."""
    if rows.is_empty():
        return {}
    first = rows.row(0, named=True)
    return {"worst row": f"{first['ts_code']} {first['trade_date']}: {first['detail']}"}


def _named(findings: pl.DataFrame, rows: Mapping[date, int] | None) -> dict[str, Verdict]:
    return {one.family.name: one for one in verdicts(findings, rows)}


def _description(family: Family) -> str:
    rules = family.rules
    blocks = (
        ("；当日大量出错时阻止后续步骤", "; blocks what follows when a day is full of errors")
        if family.can_poison
        else ("", "")
    )
    zh, en = "、".join(rule.zh for rule in rules), "; ".join(rule.en for rule in rules)
    return f"{family.zh}，指出：{zh}{blocks[0]} | {family.en}; finds: {en}{blocks[1]}"
