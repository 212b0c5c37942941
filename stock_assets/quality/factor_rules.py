"""Rules on adjustment factors."""

from collections.abc import Collection
from datetime import date
from typing import Final

import polars as pl

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.domain.tables import ADJUST_FACTOR
from stock_assets.quality.findings import FINDING_SCHEMA, REJECTION_SCHEMA, Judged
from stock_assets.quality.marks import Mark, findings_of, first_broken, number, told

_DATASET: Final = ADJUST_FACTOR.name


def judge_factors(
    factors: pl.DataFrame,
    *,
    asked_days: Collection[date],
    securities: pl.DataFrame,
    unreadable: tuple[tuple[int, str], ...] = (),
) -> Judged:
    """Return the verdict on translated factors: ts_code, ex_date, back_adjust_factor, raw_row.

    Refused are unreadable values, unknown codes, ex-dates that were not asked, factors that are not positive, and second
    rows of one (stock, ex-date).
    """
    known = pl.Series(securities["ts_code"])
    rows = pl.Series("raw_row", sorted({row for row, _ in unreadable}), dtype=pl.Int64)
    hard = (
        ("unreadable_value", pl.col("raw_row").is_in(rows.implode())),
        ("unknown_code", ~pl.col("ts_code").is_in(known.implode()) | pl.col("ts_code").is_null()),
        ("date_not_asked", ~pl.col("ex_date").is_in(list(asked_days)) | pl.col("ex_date").is_null()),
        ("factor_not_positive", pl.col("back_adjust_factor").is_null() | (pl.col("back_adjust_factor") <= 0)),
        ("duplicate_key", pl.col("raw_row") != pl.col("raw_row").min().over("ts_code", "ex_date")),
    )
    rule = pl.coalesce(pl.when(broken.fill_null(value=False)).then(pl.lit(name)) for name, broken in hard)
    marked = factors.with_columns(rule.alias("rule"))
    refused = marked.filter(pl.col("rule").is_not_null()).rename({"ex_date": "trade_date"})
    return Judged(
        accepted=marked.filter(pl.col("rule").is_null()).drop("rule"),
        rejected=refused.select(list(REJECTION_SCHEMA)),
        findings=pl.DataFrame(schema=FINDING_SCHEMA),
    )


def stored_factor_findings(
    factors: pl.DataFrame, *, securities: pl.DataFrame, calendar: TradingCalendar
) -> pl.DataFrame:
    """Return findings (FINDING_SCHEMA) on stored factors, each taken alone: ts_code, ex_date, back_adjust_factor.

    `securities` has ts_code, list_date and delist_date.
    """
    days = factors["ex_date"].unique().drop_nulls().to_list()
    closed = [day for day in days if not calendar.is_session(day)]
    known = factors.join(securities.select("ts_code", "list_date", "delist_date"), on="ts_code", how="left")
    seen = pl.concat_str(pl.lit("factor "), number(pl.col("back_adjust_factor")))
    hard = (
        Mark("unknown_code", pl.col("list_date").is_null(), pl.lit("not in the list of securities")),
        Mark("factor_not_positive", pl.col("back_adjust_factor").is_null() | (pl.col("back_adjust_factor") <= 0), seen),
        Mark("duplicate_key", pl.struct("ts_code", "trade_date").is_duplicated(), seen),
        Mark("ex_date_not_a_session", pl.col("trade_date").is_in(closed), seen),
    )
    errors, sound = first_broken(known.rename({"ex_date": "trade_date"}), _DATASET, hard)
    outside = (pl.col("trade_date") < pl.col("list_date")) | (pl.col("trade_date") >= pl.col("delist_date"))
    return pl.concat(
        [errors, findings_of(sound, _DATASET, [Mark("ex_date_outside_listing", outside, told("list_date"))])]
    )
