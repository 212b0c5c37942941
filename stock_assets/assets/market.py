"""Daily bars and adjustment factors, one partition a trading day; a range of days is one run."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetExecutionContext,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    MaterializeResult,
    PartitionsDefinition,
    ResourceParam,
    multi_asset,
)

from stock_assets.assets.check_days import tell_day
from stock_assets.assets.coverage_picture import coverage_metadata
from stock_assets.assets.failures import RETRY, plain_failures
from stock_assets.assets.freshness import MARKET_FRESHNESS
from stock_assets.assets.landed_days import tell_landed
from stock_assets.assets.loads import BARS_OP, LoadConfig, Loaded, job_type_of, load_bars, load_factors
from stock_assets.assets.metadata import TOLD_BY_DAY, day_metadata, ingest_metadata, table_metadata
from stock_assets.assets.partitions import days_of
from stock_assets.assets.run_progress import progress_in_log
from stock_assets.domain.contract import Table
from stock_assets.domain.errors import NotReady
from stock_assets.domain.tables import (
    ADJUST_FACTOR,
    RAW_BAOSTOCK_DAILY,
    RAW_TUSHARE_ADJ_FACTOR,
    RAW_TUSHARE_DAILY,
    RAW_TUSHARE_DAILY_BASIC,
    RAW_TUSHARE_SUSPEND,
    STOCK_DAILY,
)
from stock_assets.pipeline.report import DayOutcome, IngestReport
from stock_assets.sources.base import MarketSource
from stock_assets.wiring import Installation

GROUP = "market"
COMPLETE = "stock_daily_complete"
"""The check that stands between the bars and what is made of them."""
RAW = "raw_"


@dataclass(frozen=True, slots=True)
class RawTables:
    """What the sources in use say, word by word, as assets: of bars and of factors."""

    bars: tuple[Table, ...]
    factors: tuple[Table, ...]
    nightly: frozenset[str]
    """Those of the source that is asked first: the other one's grow old on nights on which nobody needed it."""

    @classmethod
    def of(cls, installation: Installation) -> "RawTables":
        """Return the raw tables of an installation's sources; a table that nobody fills would look like a gap."""
        bars: tuple[Table, ...] = (RAW_BAOSTOCK_DAILY,) if installation.uses_baostock else ()
        factors: tuple[Table, ...] = ()
        if installation.uses_tushare:
            bars += (RAW_TUSHARE_DAILY, RAW_TUSHARE_DAILY_BASIC, RAW_TUSHARE_SUSPEND)
            factors += (RAW_TUSHARE_ADJ_FACTOR,)
        first = (RAW_BAOSTOCK_DAILY,) if installation.uses_baostock else (*bars, *factors)
        return cls(bars, factors, frozenset(table.name for table in first))


def market_assets(trading_days: PartitionsDefinition[str], raw: RawTables) -> list[AssetsDefinition]:
    """Return `stock_daily` with the raw tables of its sources (one landing), and `adjust_factor` with theirs."""

    @multi_asset(
        specs=[
            *(_spec(table, after=("trading_calendar", "securities"), raw=raw) for table in raw.bars),
            _spec(STOCK_DAILY, after=[table.name for table in raw.bars]),
        ],
        name=BARS_OP,
        group_name=GROUP,
        partitions_def=trading_days,
        backfill_policy=BackfillPolicy.single_run(),
        retry_policy=RETRY,
        can_subset=True,
    )
    def daily_bars(
        context: AssetExecutionContext,
        config: LoadConfig,
        store: ResourceParam[Installation],
        baostock_pool: ResourceParam[MarketSource],
    ) -> Iterator[MaterializeResult[Any]]:
        days = days_of(context.partition_keys)
        with plain_failures(store.settings.language), progress_in_log(context.log, store):
            pipeline = store.pipeline(source=baostock_pool, run_id=context.run.run_id)
            done = load_bars(pipeline, config, days, job_type_of(context.run), store.settings)
            always = [STOCK_DAILY.name, *_names(baostock_pool.raw_daily(baostock_pool.no_daily()))]
            results = _results(context, done, always=always)
            _show_coverage(context, store, done.report)
        yield from results

    @multi_asset(
        specs=[
            *(_spec(table, after=(STOCK_DAILY.name,), raw=raw) for table in raw.factors),
            _spec(ADJUST_FACTOR, after=[STOCK_DAILY.name, *(table.name for table in raw.factors)]),
        ],
        name=ADJUST_FACTOR.name,
        group_name=GROUP,
        partitions_def=trading_days,
        backfill_policy=BackfillPolicy.single_run(),
        retry_policy=RETRY,
        can_subset=True,
    )
    def adjust_factor(
        context: AssetExecutionContext,
        config: LoadConfig,
        store: ResourceParam[Installation],
        baostock_pool: ResourceParam[MarketSource],
    ) -> Iterator[MaterializeResult[Any]]:
        days = days_of(context.partition_keys)
        with plain_failures(store.settings.language), progress_in_log(context.log, store):
            pipeline = store.pipeline(source=baostock_pool, run_id=context.run.run_id)
            done = load_factors(pipeline, config, days, job_type_of(context.run))
            always = [ADJUST_FACTOR.name, *_names(baostock_pool.raw_factors(baostock_pool.no_factors()))]
            results = _results(context, done, always=always)
        yield from results

    return [daily_bars, adjust_factor]


def _spec(table: Table, *, after: Iterable[str], raw: RawTables | None = None) -> AssetSpec:
    """Return an asset's spec; of `raw` tables one may be skipped, in a run in which its source said nothing."""
    return AssetSpec(
        table.name,
        description=table.comment,
        metadata=table_metadata(table),
        kinds={"postgres"},
        deps=list(after),
        skippable=raw is not None,
        freshness_policy=MARKET_FRESHNESS if raw is None or table.name in raw.nightly else None,
    )


def _results(context: AssetExecutionContext, done: Loaded, *, always: Iterable[str]) -> list[MaterializeResult[Any]]:
    """Return the results of one landing: whichever asset was selected, raw and business rows are there now.

    `always` are the assets that are whole after any run; raw tables of other sources only where these were asked.

    Errors: those of `_fail_if_unanswered`.
    """
    report = done.report
    assets = {key.to_user_string() for key in context.assets_def.keys}
    landed = {*always, *report.raw_tables} & assets
    selected = {key.to_user_string() for key in context.selected_asset_keys} & landed
    _tell_landed(context, report.outcomes, keys=landed - selected)
    _fail_if_unanswered(context, done, keys=selected)
    asked = set(days_of(context.partition_keys))
    # Days that were looked back at are no partitions of this run.
    _tell_landed(context, [outcome for outcome in report.outcomes if outcome.day not in asked], keys=selected)
    _tell_days(context, [outcome for outcome in report.outcomes if outcome.day in asked], keys=selected)
    # Dagster wants what others are made of first.
    ordered = sorted(selected, key=lambda name: (not name.startswith(RAW), name))
    return [MaterializeResult(asset_key=key, metadata=ingest_metadata(report)) for key in ordered]


def _show_coverage(context: AssetExecutionContext, store: Installation, report: IngestReport) -> None:
    """Put on the newest worked day's page how complete the bars are now: a picture on every day's would fill the log."""
    asked = set(days_of(context.partition_keys))
    worked = [outcome.day for outcome in report.outcomes if outcome.day in asked]
    if worked and STOCK_DAILY.name in {key.to_user_string() for key in context.selected_asset_keys}:
        last = max(worked)
        context.add_asset_metadata(coverage_metadata(store, last), asset_key=STOCK_DAILY.name, partition_key=str(last))


def _names(parts: Iterable[tuple[Table, object]]) -> list[str]:
    return [table.name for table, _ in parts]


def _fail_if_unanswered(context: AssetExecutionContext, done: Loaded, *, keys: set[str]) -> None:
    """Fail the run when a day got no answer, after saying which days landed: only those count as materialized."""
    if done.failure is not None:
        _tell_landed(context, done.report.outcomes, keys=keys)
        if isinstance(done.failure, NotReady) and STOCK_DAILY.name in keys:
            _tell_not_ready(context, done.report.outcomes)
        raise done.failure


def _tell_not_ready(context: AssetExecutionContext, outcomes: Sequence[DayOutcome]) -> None:
    """Let the check of completeness say why a day is not there: it does not run after a failed load."""
    for outcome in outcomes:
        if outcome.status == "refused":
            verdict = AssetCheckResult(
                passed=False,
                severity=AssetCheckSeverity.ERROR,
                metadata={"present": 0, "day status": outcome.status, "day detail": outcome.detail or ""},
            )
            tell_day(context.instance, context.run, STOCK_DAILY.name, COMPLETE, outcome.day, verdict)


def _tell_days(context: AssetExecutionContext, outcomes: Sequence[DayOutcome], *, keys: set[str]) -> None:
    """Put on each day's page what is true of that day alone; of a long range on the pages of the newest days."""
    for key in keys:
        for outcome in sorted(outcomes, key=lambda outcome: outcome.day)[-TOLD_BY_DAY:]:
            context.add_asset_metadata(day_metadata(outcome), asset_key=key, partition_key=str(outcome.day))


def _tell_landed(context: AssetExecutionContext, outcomes: Sequence[DayOutcome], *, keys: set[str]) -> None:
    landed = {outcome.day: day_metadata(outcome) for outcome in outcomes if outcome.status != "refused"}
    for key in sorted(keys):
        tell_landed(context, key, landed)
