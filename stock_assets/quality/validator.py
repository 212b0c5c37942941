"""All rules at once on what is stored: frames in, findings out.

Landing has refused what a source should not have said; here rows are judged that are in the store, together with what
stands around them. Where a finding only follows from another one of the same stock and day, the other one alone is told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.quality.bar_rules import stored_bar_findings
from stock_assets.quality.catalog import RULES
from stock_assets.quality.factor_rules import stored_factor_findings
from stock_assets.quality.findings import STORED_FINDING_SCHEMA
from stock_assets.quality.series_rules import judge_continuity

_ORDER: Final = pl.Enum(["error", "warning", "info"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is judged, and what has to be known beside it.

    `days` are the days that are judged, in order; rows of other days only help to. `securities` has ts_code, board,
    list_date and delist_date of every known stock. `bars` has the columns of `stock_daily`; `previous` the last bar of each
    stock before the first of `days` (ts_code, trade_date, close). `factors` has ts_code, ex_date and back_adjust_factor from
    each stock's first ex-date on. A frame that is None is not judged.
    """

    days: Sequence[date]
    calendar: TradingCalendar
    securities: pl.DataFrame
    bars: pl.DataFrame | None = None
    previous: pl.DataFrame | None = None
    factors: pl.DataFrame | None = None


def validate(evidence: Evidence) -> pl.DataFrame:
    """Return what the rules find on the days of `evidence`: STORED_FINDING_SCHEMA, the worst first, then by day and stock."""
    found: list[pl.DataFrame] = []
    if evidence.bars is not None:
        found.append(_told("stock_daily", stored_bar_findings(evidence.bars, securities=evidence.securities)))
        if evidence.previous is not None:
            found.append(_told("stock_daily", judge_continuity(evidence.bars, evidence.previous, evidence.calendar)))
    if evidence.factors is not None:
        inside = evidence.factors.filter(pl.col("ex_date").is_in(list(evidence.days)))
        found.append(_told("adjust_factor", stored_factor_findings(inside, securities=evidence.securities)))
    findings = pl.concat([pl.DataFrame(schema=STORED_FINDING_SCHEMA), *found])
    return worst_first(_without_consequences(findings.filter(pl.col("trade_date").is_in(list(evidence.days)))))


def worst_first(findings: pl.DataFrame) -> pl.DataFrame:
    """Return findings with a `severity`, errors first and infos last, then by day, stock and rule."""
    return findings.sort(
        pl.col("severity").cast(_ORDER),
        pl.col("trade_date"),
        pl.col("ts_code"),
        pl.col("rule"),
    )


def _told(dataset: str, findings: pl.DataFrame) -> pl.DataFrame:
    return findings.select(pl.lit(dataset).alias("dataset"), pl.all()).cast(STORED_FINDING_SCHEMA)


def _without_consequences(findings: pl.DataFrame) -> pl.DataFrame:
    """Return the findings without those that another one of the same stock and day explains."""
    reasons = pl.DataFrame(
        [(rule.dataset, rule.name, explained) for rule in RULES for explained in rule.explains],
        schema={"dataset": pl.String, "rule": pl.String, "explained": pl.String},
        orient="row",
    )
    known = findings.join(reasons, on=["dataset", "rule"]).select(
        "ts_code", "trade_date", pl.col("explained").alias("rule")
    )
    return findings.join(known, on=["ts_code", "trade_date", "rule"], how="anti")
