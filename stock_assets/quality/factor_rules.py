"""Rules on adjustment factors."""

from collections.abc import Collection
from datetime import date

import polars as pl

from stock_assets.quality.findings import FINDING_SCHEMA, REJECTION_SCHEMA, Judged


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


def stored_factor_findings(factors: pl.DataFrame, *, securities: pl.DataFrame) -> pl.DataFrame:
    """Return findings (FINDING_SCHEMA) on stored factors, each taken alone: ts_code, ex_date, back_adjust_factor."""
    known = pl.Series(securities["ts_code"])
    hard = (
        ("unknown_code", ~pl.col("ts_code").is_in(known.implode())),
        ("factor_not_positive", pl.col("back_adjust_factor").is_null() | (pl.col("back_adjust_factor") <= 0)),
        ("duplicate_key", pl.struct("ts_code", "ex_date").is_duplicated()),
    )
    rule = pl.coalesce(pl.when(broken.fill_null(value=False)).then(pl.lit(name)) for name, broken in hard)
    marked = factors.with_columns(rule.alias("rule")).filter(pl.col("rule").is_not_null())
    return marked.select(
        pl.col("ex_date").alias("trade_date"),
        "ts_code",
        "rule",
        pl.lit("error").alias("severity"),
        pl.concat_str(pl.lit("factor "), pl.col("back_adjust_factor").cast(pl.String).fill_null("empty")).alias(
            "detail"
        ),
    ).cast(FINDING_SCHEMA)
