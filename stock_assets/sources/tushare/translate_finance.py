"""Tushare's all-text rows about reports in our types. Names and units are already ours: figures stay as they are.

Percent stays percent, money CNY and figures per share CNY. Whether values are plausible is for quality to judge.
"""

from typing import Final

import polars as pl

from stock_assets.domain.finance_fields import FINANCE_FIELDS
from stock_assets.domain.finance_tables import RAW_TUSHARE_FINA_INDICATOR, VALUES
from stock_assets.quality.finance_rules import REPORT_SCHEMA
from stock_assets.quality.finance_versions import DISCLOSURE_SCHEMA
from stock_assets.sources.base import Translated

_DAYS: Final = ("end_date", "ann_date")
_DAY_LENGTH: Final = len("20240331")
_FIELDS: Final = [field.name for field in FINANCE_FIELDS]
_RAW_KEY: Final = [name for name in RAW_TUSHARE_FINA_INDICATOR.key if name in _FIELDS]


def translate_finance(frame: pl.DataFrame) -> Translated:
    """Return reports (REPORT_SCHEMA) from rows with the 167 fields; null and empty text both mean no value.

    `f_ann_date` is null: only the three statements tell it. A text that is no value of its column gives null and an entry
    in `unreadable`.
    """
    values = frame.with_row_index("raw_row").select(
        pl.col("raw_row").cast(pl.Int64),
        _text("ts_code"),
        *(_day(name) for name in _DAYS),
        pl.lit(None, dtype=pl.Date).alias("f_ann_date"),
        _text("update_flag"),
        *(_number(name) for name in VALUES),
    )
    return Translated(values.select(REPORT_SCHEMA.names()), _unreadable(frame, values))


def translate_published(frame: pl.DataFrame) -> pl.DataFrame:
    """Return whose report was published when (DISCLOSURE_SCHEMA) from rows of disclosure_date; plans alone are left out."""
    days = frame.select(_text("ts_code"), _day("end_date"), _day("actual_date")).drop_nulls()
    return days.group_by("ts_code", "end_date").agg(pl.col("actual_date").min()).select(DISCLOSURE_SCHEMA.names())


def raw_rows(answer: pl.DataFrame) -> pl.DataFrame:
    """Return the different rows of a fina_indicator answer (all text) as `raw_tushare_fina_indicator` keeps them.

    What the source leaves out of a code, day or flag is an empty text.
    """
    return (
        answer.select(_FIELDS)
        .with_columns(pl.col(name).fill_null("") for name in _RAW_KEY)
        .unique()
        .sort(_FIELDS)
        .with_columns(duplicate=pl.int_range(pl.len(), dtype=pl.Int64).over(_RAW_KEY))
    )


def _unreadable(frame: pl.DataFrame, values: pl.DataFrame) -> tuple[tuple[int, str], ...]:
    """Return (row, column) wherever a text that is not empty gave no value."""
    names = [*_DAYS, *VALUES]
    texts = frame.select(pl.col(name).alias(f"{name}_text") for name in names)
    lost = pl.concat([values.select(names), texts], how="horizontal").select(
        (pl.col(name).is_null() & (pl.col(f"{name}_text") != "")).fill_null(value=False).alias(name) for name in names
    )
    some = [name for name, is_lost in zip(names, lost.select(pl.all().any()).row(0), strict=True) if is_lost]
    return tuple(sorted((row, name) for name in some for row in lost[name].arg_true()))


def _text(name: str) -> pl.Expr:
    return pl.when(pl.col(name) != "").then(pl.col(name)).alias(name)


def _day(name: str) -> pl.Expr:
    # The length is checked too: polars reads a month of one digit, and another day may be meant.
    text = pl.col(name)
    return pl.when(text.str.len_bytes() == _DAY_LENGTH).then(text.str.to_date("%Y%m%d", strict=False)).alias(name)


def _number(name: str) -> pl.Expr:
    value = pl.col(name).cast(pl.Float64, strict=False)
    # polars reads "nan" and "inf" as numbers; no figure is one of them.
    return pl.when(value.is_finite()).then(value).alias(name)
