"""Rules on one bar at a time.

A hard rule refuses the row: it cannot be a bar of that stock on that day. A soft rule keeps the row and leaves a
finding: the sources' real data break it now and then, and a reader should know. Rules that compare a bar with the one
before live in `series_rules`.
"""

from collections.abc import Collection
from datetime import date

import polars as pl

from stock_assets.quality.findings import FINDING_SCHEMA, REJECTION_SCHEMA, Judged

_PRICES = ("open", "high", "low", "close", "pre_close")
# Beyond this no board's daily limit reaches, rounding included; what is left are first days and re-listings.
_EXTREME_PCT = 20.6
_PCT_TOLERANCE = 0.05

_HARD: tuple[tuple[str, pl.Expr], ...] = (
    ("adjusted_prices", pl.col("adjust_flag") != "3"),
    ("close_missing", pl.col("close").is_null()),
    ("price_not_positive", pl.any_horizontal(pl.col(name) <= 0 for name in _PRICES)),
    ("high_below_low", pl.col("high") < pl.col("low")),
    ("high_below_open_or_close", pl.col("high") < pl.max_horizontal("open", "close")),
    ("low_above_open_or_close", pl.col("low") > pl.min_horizontal("open", "close")),
    ("volume_negative", pl.col("volume") < 0),
    ("amount_negative", pl.col("amount") < 0),
    ("turnover_negative", pl.col("turnover_rate") < 0),
)


def _number(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String).fill_null("empty")


_COMPUTED_PCT = (pl.col("close") / pl.col("pre_close") - 1) * 100
_SOFT: tuple[tuple[str, str, pl.Expr, pl.Expr], ...] = (
    (
        "suspended_with_volume",
        "warning",
        pl.col("is_suspended") & (pl.col("volume") > 0),
        pl.concat_str(pl.lit("volume "), _number("volume")),
    ),
    (
        "traded_without_volume",
        "warning",
        ~pl.col("is_suspended") & (pl.col("volume").is_null() | (pl.col("volume") == 0)),
        pl.concat_str(pl.lit("volume "), _number("volume")),
    ),
    (
        "pct_chg_inconsistent",
        "warning",
        (pl.col("pct_chg") - _COMPUTED_PCT).abs() > _PCT_TOLERANCE,
        pl.concat_str(
            pl.lit("pct_chg "), _number("pct_chg"), pl.lit(", computed "), _COMPUTED_PCT.round(4).cast(pl.String)
        ),
    ),
    (
        "extreme_move",
        "info",
        pl.col("pct_chg").abs() > _EXTREME_PCT,
        pl.concat_str(pl.lit("pct_chg "), _number("pct_chg")),
    ),
    (
        "outside_listing",
        "warning",
        (pl.col("trade_date") < pl.col("list_date")) | (pl.col("trade_date") >= pl.col("delist_date")),
        pl.concat_str(
            pl.lit("listed "),
            pl.col("list_date").cast(pl.String),
            pl.lit(" to "),
            pl.col("delist_date").cast(pl.String).fill_null("today"),
        ),
    ),
)


def judge_bars(
    bars: pl.DataFrame,
    *,
    asked_days: Collection[date],
    securities: pl.DataFrame,
    unreadable: tuple[tuple[int, str], ...] = (),
) -> Judged:
    """Return the verdict on translated bars of any number of days.

    `bars` has the columns of `stock_daily` without source and updated_at, plus `raw_row` and `adjust_flag`; `securities`
    ts_code, list_date, delist_date of every known stock. The first broken rule in the order below names the refusal:
    unreadable value, unknown code, a day that was not asked, then the rules on values, then duplicate keys: of equal
    copies the first is kept, of contradicting ones none.
    """
    business = [name for name in bars.columns if name not in {"raw_row", "adjust_flag"}]
    known = bars.join(
        securities.select("ts_code", "list_date", "delist_date"), on="ts_code", how="left", maintain_order="left"
    )
    unreadable_rows = pl.Series("raw_row", sorted({row for row, _ in unreadable}), dtype=pl.Int64)
    contradicts = pl.struct(business).n_unique().over("ts_code", "trade_date") > 1
    is_later_copy = pl.col("raw_row") != pl.col("raw_row").min().over("ts_code", "trade_date")
    hard = (
        ("unreadable_value", pl.col("raw_row").is_in(unreadable_rows.implode())),
        ("unknown_code", pl.col("list_date").is_null()),
        ("date_not_asked", ~pl.col("trade_date").is_in(list(asked_days)) | pl.col("trade_date").is_null()),
        *_HARD,
        ("duplicate_key", contradicts | is_later_copy),
    )
    rule = pl.coalesce(pl.when(broken.fill_null(value=False)).then(pl.lit(name)) for name, broken in hard)
    marked = known.with_columns(rule.alias("rule"))
    accepted = marked.filter(pl.col("rule").is_null())
    return Judged(
        accepted=accepted.select("raw_row", *business),
        rejected=marked.filter(pl.col("rule").is_not_null()).select(list(REJECTION_SCHEMA)),
        findings=_findings(accepted),
    )


def stored_bar_findings(bars: pl.DataFrame, *, securities: pl.DataFrame) -> pl.DataFrame:
    """Return findings (FINDING_SCHEMA) on stored bars, each taken alone; `securities` as for `judge_bars`.

    A row that should have been refused is an error by the first rule that it breaks, and nothing else is said of it.
    """
    known = bars.join(securities.select("ts_code", "list_date", "delist_date"), on="ts_code", how="left")
    hard = (
        ("unknown_code", pl.col("list_date").is_null()),
        *((name, broken) for name, broken in _HARD if name != "adjusted_prices"),
        ("duplicate_key", pl.struct("ts_code", "trade_date").is_duplicated()),
    )
    rule = pl.coalesce(pl.when(broken.fill_null(value=False)).then(pl.lit(name)) for name, broken in hard)
    marked = known.with_columns(rule.alias("rule"))
    errors = marked.filter(pl.col("rule").is_not_null()).select(
        "trade_date",
        "ts_code",
        "rule",
        pl.lit("error").alias("severity"),
        pl.concat_str(
            *(part for name in ("open", "high", "low", "close", "volume", "amount") for part in
              (pl.lit(f"{name} "), _number(name), pl.lit(", "))),
        ).str.strip_suffix(", ").alias("detail"),
    )  # fmt: skip
    return pl.concat([errors.cast(FINDING_SCHEMA), _findings(marked.filter(pl.col("rule").is_null()))])


def _findings(accepted: pl.DataFrame) -> pl.DataFrame:
    found = [
        accepted.filter(broken.fill_null(value=False)).select(
            "trade_date",
            "ts_code",
            pl.lit(rule).alias("rule"),
            pl.lit(severity).alias("severity"),
            detail.alias("detail"),
        )
        for rule, severity, broken, detail in _SOFT
    ]
    return pl.concat(found).cast(FINDING_SCHEMA)
