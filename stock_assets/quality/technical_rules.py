"""Rules on stored indicators: bounds, identities between columns, and the bars they belong to."""

from typing import Final

import polars as pl

from stock_assets.quality.findings import FINDING_SCHEMA
from stock_assets.quality.marks import Mark, findings_of, told

DATASET: Final = "technical_daily"
_PERCENT: Final = (
    "kdj_k", "kdj_d", "rsi_6", "rsi_12", "rsi_24", "wr_6", "wr_10", "dmi_pdi", "dmi_mdi", "dmi_adx", "dmi_adxr", "psy_12",
)  # fmt: skip
_NOT_NEGATIVE: Final = (
    "true_range", "atr_14", "vr_26", "volume_ratio", "volume_ma_5", "volume_ma_10", "volume_ma_20", "volume_ma_60",
    "ma_5", "ma_10", "ma_20", "ma_30", "ma_60", "ma_120", "ma_250", "up_days", "down_days",
)  # fmt: skip
# Sums of doubles in another order: over the indicators of 36,259 recorded bars 3.3e-16 of a price at most.
_NOISE: Final = 1e-8
# Left and right side, and what their size is measured by.
_IDENTITIES: Final = (
    (pl.col("dif"), pl.col("ema_12") - pl.col("ema_26"), pl.col("ema_12"), ("dif", "ema_12", "ema_26")),
    (pl.col("macd"), 2 * (pl.col("dif") - pl.col("dea")), pl.col("ema_12"), ("macd", "dif", "dea")),
    (pl.col("kdj_j"), 3 * pl.col("kdj_k") - 2 * pl.col("kdj_d"), pl.lit(100.0), ("kdj_j", "kdj_k", "kdj_d")),
    (pl.col("boll_mid"), pl.col("ma_20"), pl.col("ma_20"), ("boll_mid", "ma_20")),
    (
        pl.col("boll_upper") + pl.col("boll_lower"), 2 * pl.col("boll_mid"), pl.col("boll_mid"),
        ("boll_upper", "boll_mid", "boll_lower"),
    ),
)  # fmt: skip
# The first may not be below the second.
_ORDERS: Final = (
    ("boll_upper", "boll_lower"),
    ("high_20", "low_20"), ("high_60", "high_20"), ("high_250", "high_60"),
    ("low_20", "low_60"), ("low_60", "low_250"), ("limit_up_price", "limit_down_price"),
)  # fmt: skip

JUDGED_COLUMNS: Final = tuple(
    dict.fromkeys(
        (
            "ts_code", "trade_date", *_PERCENT, *_NOT_NEGATIVE, *(name for *_, names in _IDENTITIES for name in names),
            *(name for pair in _ORDERS for name in pair), "is_limit_up", "is_limit_down",
        )
    )
)  # fmt: skip
"""The columns that `judge_technicals` looks at."""


def judge_technicals(rows: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Return findings (FINDING_SCHEMA) on `rows` of `technical_daily` (JUDGED_COLUMNS); `bars` are all bars of their days.

    Each row is told of once for each rule. A state or an indicator of one's own has no rule of its own here.
    """
    if rows.is_empty():
        return pl.DataFrame(schema=FINDING_SCHEMA)
    beside = bars.filter(~pl.col("is_suspended")).select("ts_code", "trade_date", pl.lit(value=True).alias("has_bar"))
    known = rows.join(beside.unique(), on=["ts_code", "trade_date"], how="left", maintain_order="left")
    out_of_bounds = [(name, (pl.col(name) < -_NOISE * 100) | (pl.col(name) > 100 + _NOISE * 100)) for name in _PERCENT]
    out_of_bounds += [(name, pl.col(name) < 0) for name in _NOT_NEGATIVE]
    disorder = [(f"{high}, {low}", pl.col(high) < pl.col(low) - _NOISE * pl.col(low).abs()) for high, low in _ORDERS]
    broken = [
        (", ".join(names), (left - right).abs() > _NOISE * size.abs().clip(lower_bound=1.0))
        for left, right, size, names in _IDENTITIES
    ]
    broken += disorder
    floats = [name for name, kind in rows.schema.items() if kind == pl.Float64]
    not_finite = [(name, ~pl.col(name).is_finite()) for name in floats]
    is_both = (pl.col("up_days") > 0) & (pl.col("down_days") > 0)
    marks = (
        Mark("indicator_without_bar", pl.col("has_bar").is_null(), pl.lit("no traded bar of that day")),
        Mark("indicator_not_finite", _any(not_finite), _named(not_finite)),
        Mark("indicator_out_of_bounds", _any(out_of_bounds), _named(out_of_bounds)),
        Mark("indicators_inconsistent", _any(broken) | is_both.fill_null(value=False), _named(broken)),
        Mark(
            "limit_flag_without_price",
            (pl.col("is_limit_up") & pl.col("limit_up_price").is_null())
            | (pl.col("is_limit_down") & pl.col("limit_down_price").is_null())
            | (pl.col("is_limit_up") & pl.col("is_limit_down")),
            told("is_limit_up", "limit_up_price", "is_limit_down", "limit_down_price"),
        ),
        Mark("duplicate_key", pl.struct("ts_code", "trade_date").is_duplicated(), pl.lit("several rows")),
    )
    return findings_of(known, DATASET, marks)


def judge_recomputed(differences: pl.DataFrame) -> pl.DataFrame:
    """Return findings on cells that were computed again: ts_code, trade_date, column, stored, computed, all texts but the day."""
    each = differences.group_by("ts_code", "trade_date").agg(
        pl.col("column").n_unique().alias("columns"), pl.col("column", "stored", "computed").first()
    )
    more = pl.when(pl.col("columns") > 1).then(pl.concat_str(pl.lit(", and "), pl.col("columns") - 1, pl.lit(" more")))
    detail = pl.concat_str(
        pl.col("column"), pl.lit(": stored "), pl.col("stored"), pl.lit(", computed "), pl.col("computed"),
        more.otherwise(pl.lit("")),
    )  # fmt: skip
    return findings_of(each, DATASET, [Mark("indicator_recomputed_differs", pl.col("column").is_not_null(), detail)])


def _any(parts: list[tuple[str, pl.Expr]]) -> pl.Expr:
    return pl.any_horizontal(broken.fill_null(value=False) for _, broken in parts)


def _named(parts: list[tuple[str, pl.Expr]]) -> pl.Expr:
    """Return the first broken part with its values."""
    return pl.coalesce(
        *(pl.when(broken.fill_null(value=False)).then(told(*names.split(", "))) for names, broken in parts),
        pl.lit("rising and falling at once"),
    )
