"""Asset checks: what the ledger and the rows say about an asset, shown where people look at it."""

from collections.abc import Collection
from datetime import date, timedelta

import polars as pl
from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    PartitionsDefinition,
    ResourceParam,
    asset_check,
)

from stock_assets.assets.check_days import tell_each_day
from stock_assets.assets.loads import is_restricted
from stock_assets.assets.metadata import TOLD_BY_DAY, preview_metadata
from stock_assets.assets.partitions import days_of
from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.completeness import HALF_PUBLISHED, is_settled
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.quality.calendar_rules import judge_calendar
from stock_assets.storage import coverage, reference, rejects
from stock_assets.wiring import Installation

_WARN_BEFORE_END = timedelta(days=30)
_NAMED = 20
# That is what `calendars_agree` says.
_TOLD_ELSEWHERE = "calendars_differ"


@asset_check(asset="trading_calendar", description="交易所日历与数据源日历一致 | both calendars agree on every day")
def calendars_agree(store: ResourceParam[Installation]) -> AssetCheckResult:
    """Fail when the source's calendar differs from the exchanges', naming the days."""
    with store.database.read() as conn:
        known = reference.calendar_state(conn)
    return AssetCheckResult(
        passed=not known.disagreements,
        severity=AssetCheckSeverity.ERROR,
        metadata={
            "days compared": known.days,
            "disagreements": ", ".join(map(str, known.disagreements[:_NAMED])) or "-",
        },
    )


@asset_check(
    asset="trading_calendar",
    description="日历无缺日，周末不开市，上一交易日正确"
    " | no day is missing, no weekend is a session, and each day knows the session before",
)
def calendar_consistent(store: ResourceParam[Installation]) -> AssetCheckResult:
    """Fail when the stored calendar contradicts itself, naming the days."""
    with store.database.read() as conn:
        days = reference.read_trading_days(conn)
    found = judge_calendar(days).filter(pl.col("rule") != _TOLD_ELSEWHERE)
    return AssetCheckResult(
        passed=found.is_empty(),
        severity=AssetCheckSeverity.ERROR,
        metadata={
            "days": days.height,
            "errors": found.height,
            **preview_metadata(found.select("trade_date", "rule", "detail").head(_NAMED), name="worst"),
            **({} if found.is_empty() else {"next step": "stock-assets doctor"}),
        },
    )


@asset_check(asset="trading_calendar", description="日历至少还覆盖 30 天 | the calendar reaches 30 days ahead")
def calendar_reaches_ahead(store: ResourceParam[Installation]) -> AssetCheckResult:
    """Warn when the exchanges' calendar ends within 30 days: a new version of the calendar library is due."""
    end = store.calendar.known_until
    return AssetCheckResult(
        passed=store.now().date() + _WARN_BEFORE_END <= end,
        severity=AssetCheckSeverity.WARN,
        metadata={"known until": str(end), "next step": "uv lock --upgrade-package exchange-calendars"},
    )


def market_checks(trading_days: PartitionsDefinition[str]) -> list[AssetChecksDefinition]:
    """Return the checks of `stock_daily`: one verdict over the run's days, and one by day where there are not too many."""

    @asset_check(
        asset=STOCK_DAILY.name,
        blocking=True,
        partitions_def=trading_days,
        description="每只上市股票当日都有一行 | every listed stock has its row; a half-published day of the last month blocks what follows",
    )
    def stock_daily_complete(
        context: AssetCheckExecutionContext, store: ResourceParam[Installation]
    ) -> AssetCheckResult:
        days = days_of(context.partition_keys)
        with store.database.read() as conn:
            counts = coverage.day_counts(conn, days[0], days[-1], sources=store.sources_in_use).filter(
                pl.col("trade_date").is_in(days)
            )
        # Such a run must not fail for what it was not to bring.
        cannot_be_whole = is_restricted(context.run)
        today = store.now().astimezone(SHANGHAI).date()
        # Of a day that is over for long nothing wrong is made: what it lacks may be had nowhere, and the rest must go on.
        can_block = {day for day in days if not cannot_be_whole and not is_settled(day, today)}
        tell_each_day(
            context,
            STOCK_DAILY.name,
            "stock_daily_complete",
            {row["trade_date"]: _completeness(pl.DataFrame([row]), can_block) for row in counts.iter_rows(named=True)},
        )
        return _completeness(counts, can_block)

    @asset_check(
        asset=STOCK_DAILY.name,
        partitions_def=trading_days,
        description="入库但值得注意的行 | rows that were stored and deserve a look",
    )
    def stock_daily_findings(
        context: AssetCheckExecutionContext, store: ResourceParam[Installation]
    ) -> AssetCheckResult:
        days = days_of(context.partition_keys)
        with store.database.read() as conn:
            found = rejects.read_findings(conn, days[0], days[-1])
            refused = rejects.read_rejected(conn, days[0], days[-1]).filter(pl.col("resolved_at").is_null())
        found, refused = (frame.filter(pl.col("trade_date").is_in(days)) for frame in (found, refused))
        by_day = {
            day: _quality(found.filter(pl.col("trade_date") == day), refused.filter(pl.col("trade_date") == day))
            for day in days[-TOLD_BY_DAY:]
        }
        tell_each_day(context, STOCK_DAILY.name, "stock_daily_findings", by_day)
        return _quality(found, refused)

    return [stock_daily_complete, stock_daily_findings]


def _completeness(counts: pl.DataFrame, can_block: Collection[date]) -> AssetCheckResult:
    expected, present = int(counts["expected"].sum()), int(counts["present"].sum())
    short = counts.filter((pl.col("present") < pl.col("expected")) | (pl.col("rejected") > 0))
    # One stock of a few is no half of the market.
    half_published = counts.filter(
        pl.col("trade_date").is_in(list(can_block)),
        pl.col("present") < HALF_PUBLISHED * pl.col("expected"),
        pl.col("present") < pl.col("expected") - 1,
    )
    is_error = not half_published.is_empty() or (present == 0 and bool(can_block))
    repair = f"stock-assets backfill-daily --start {short['trade_date'].min()} --end {short['trade_date'].max()}"
    return AssetCheckResult(
        passed=short.is_empty() and present > 0,
        severity=AssetCheckSeverity.ERROR if is_error else AssetCheckSeverity.WARN,
        metadata={
            "expected": expected,
            "present": present,
            "days short": short.height,
            **preview_metadata(short.head(_NAMED), name="short days"),
            **({"next step": repair} if short.height else {}),
        },
    )


def _quality(found: pl.DataFrame, refused: pl.DataFrame) -> AssetCheckResult:
    errors = found.filter(pl.col("severity") == "error")
    warnings = found.filter(pl.col("severity") == "warning")
    serious = pl.concat([errors, warnings])
    by_rule = pl.concat([found.select("rule", "severity"), refused.select("rule", severity=pl.lit("rejected"))])
    return AssetCheckResult(
        passed=serious.is_empty() and refused.is_empty(),
        severity=AssetCheckSeverity.WARN,
        metadata={
            "errors": errors.height,
            "warnings": warnings.height,
            "notes": found.height - serious.height,
            "rejected rows": refused.height,
            **preview_metadata(by_rule.group_by("severity", "rule").len().sort("severity", "rule"), name="by rule"),
            **preview_metadata(serious.select("trade_date", "ts_code", "rule", "detail").head(_NAMED), name="worst"),
        },
    )


REFERENCE_CHECKS: tuple[AssetChecksDefinition, ...] = (calendars_agree, calendar_consistent, calendar_reaches_ahead)
