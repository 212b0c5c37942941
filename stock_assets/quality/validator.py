"""All rules at once on what is stored: frames in, findings out.

Landing has refused what a source should not have said; here rows are judged that are in the store, together with what
stands around them. Where a finding only follows from another one of the same stock and day, the other one alone is told.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import polars as pl

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY, TRADING_DAY
from stock_assets.quality import series_rules
from stock_assets.quality.bar_rules import stored_bar_findings
from stock_assets.quality.calendar_rules import judge_calendar
from stock_assets.quality.consequences import without_consequences
from stock_assets.quality.factor_rules import stored_factor_findings
from stock_assets.quality.finance_identities import judge_finance
from stock_assets.quality.findings import STORED_FINDING_SCHEMA
from stock_assets.quality.limit_rules import judge_limits
from stock_assets.quality.technical_rules import DATASET as TECHNICAL
from stock_assets.quality.technical_rules import judge_recomputed, judge_technicals

_ORDER: Final = pl.Enum(["error", "warning", "info"])
_NO_PREVIOUS: Final = pl.DataFrame(schema={"ts_code": pl.String, "trade_date": pl.Date, "close": pl.Float64})
_NO_FACTORS: Final = pl.DataFrame(schema={"ts_code": pl.String, "ex_date": pl.Date, "back_adjust_factor": pl.Float64})


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is judged, and what has to be known beside it. A frame that is None is not judged.

    `days` are the days that are judged, in order: sessions, and what else should have no rows. Rows of other days only help:
    `bars` (the columns of `stock_daily`) should hold the session before the first day too, `previous` has the last bar of
    each stock before the first day (ts_code, trade_date, close). `securities` has ts_code, board, list_date, delist_date.

    `factors` has every ts_code, ex_date, back_adjust_factor up to the last day; `factor_days` are the days whose factors are
    known to be whole, and `factors_from` the first day from which on all are, or None. `technicals` are rows of
    `technical_daily`, `recomputed` the cells of it that came out otherwise when computed again, `reports` rows of
    `finance_indicator`, `trading_days` the stored calendar.
    """

    days: Sequence[date]
    calendar: TradingCalendar
    securities: pl.DataFrame
    bars: pl.DataFrame | None = None
    previous: pl.DataFrame = field(default_factory=lambda: _NO_PREVIOUS)
    factors: pl.DataFrame | None = None
    factor_days: Collection[date] = ()
    factors_from: date | None = None
    technicals: pl.DataFrame | None = None
    recomputed: pl.DataFrame | None = None
    reports: pl.DataFrame | None = None
    trading_days: pl.DataFrame | None = None


def validate(evidence: Evidence) -> pl.DataFrame:
    """Return what the rules find on the days of `evidence`: STORED_FINDING_SCHEMA, the worst first, then by day and stock."""
    found = [
        *_of_bars(evidence),
        *_of_factors(evidence),
        *_of_indicators(evidence),
    ]
    if evidence.reports is not None:
        found.append(_told(FINANCE_INDICATOR.name, judge_finance(evidence.reports, evidence.calendar)))
    if evidence.trading_days is not None:
        found.append(_told(TRADING_DAY.name, judge_calendar(evidence.trading_days)))
    findings = pl.concat([pl.DataFrame(schema=STORED_FINDING_SCHEMA), *found])
    return worst_first(without_consequences(findings.filter(pl.col("trade_date").is_in(list(evidence.days)))))


def worst_first(findings: pl.DataFrame) -> pl.DataFrame:
    """Return findings with a `severity`, errors first and infos last, then by day, stock and rule."""
    return findings.sort(pl.col("severity").cast(_ORDER), "trade_date", "ts_code", "dataset", "rule")


def _of_bars(evidence: Evidence) -> list[pl.DataFrame]:
    if evidence.bars is None or evidence.bars.is_empty():
        return []
    calendar, securities = evidence.calendar, evidence.securities
    asked = evidence.bars.filter(pl.col("trade_date").is_in(list(evidence.days)))
    parts = [
        stored_bar_findings(asked, securities=securities, calendar=calendar),
        judge_limits(asked, securities=securities, calendar=calendar),
        series_rules.judge_repetition(evidence.bars, calendar),
    ]
    return [_told(STOCK_DAILY.name, part) for part in parts]


def _of_factors(evidence: Evidence) -> list[pl.DataFrame]:
    calendar, days = evidence.calendar, list(evidence.days)
    factors = _NO_FACTORS if evidence.factors is None else evidence.factors
    known = series_rules.steps_of(factors, known_from=evidence.factors_from, securities=evidence.securities)
    inside = known.filter(pl.col("ex_date").is_in(days))
    bars = evidence.bars
    found: list[pl.DataFrame] = []
    if bars is not None and bars.height:
        factor_days = () if evidence.factors is None else evidence.factor_days
        ours, theirs = series_rules.judge_steps(
            bars, evidence.previous, calendar, factors=inside, factor_days=factor_days
        )
        found += [_told(STOCK_DAILY.name, ours), _told(ADJUST_FACTOR.name, theirs)]
    if evidence.factors is not None:
        alone = factors.filter(pl.col("ex_date").is_in(days))
        found.append(
            _told(ADJUST_FACTOR.name, stored_factor_findings(alone, securities=evidence.securities, calendar=calendar))
        )
        seen = _NO_BARS if bars is None else bars
        found.append(_told(ADJUST_FACTOR.name, series_rules.judge_unseen_steps(inside, seen)))
    return found


def _of_indicators(evidence: Evidence) -> list[pl.DataFrame]:
    found: list[pl.DataFrame] = []
    if evidence.technicals is not None and evidence.bars is not None:
        found.append(_told(TECHNICAL, judge_technicals(evidence.technicals, evidence.bars)))
    if evidence.recomputed is not None:
        found.append(_told(TECHNICAL, judge_recomputed(evidence.recomputed)))
    return found


_NO_BARS: Final = pl.DataFrame(schema={"ts_code": pl.String, "trade_date": pl.Date, "pre_close": pl.Float64})


def _told(dataset: str, findings: pl.DataFrame) -> pl.DataFrame:
    return findings.select(pl.lit(dataset).alias("dataset"), pl.all()).cast(STORED_FINDING_SCHEMA)
