"""What a judgement is made of: rows accepted, rows refused with the rule they broke, and findings worth a look."""

from dataclasses import dataclass

import polars as pl

# A finding about a whole day carries this instead of a security code.
WHOLE_DAY = "*"
REJECTION_SCHEMA = pl.Schema(
    {
        "raw_row": pl.Int64(),
        "ts_code": pl.String(),
        "trade_date": pl.Date(),
        "rule": pl.String(),
    }
)
FINDING_SCHEMA = pl.Schema(
    {
        "trade_date": pl.Date(),
        "ts_code": pl.String(),
        "rule": pl.String(),
        "severity": pl.String(),
        "detail": pl.String(),
    }
)
STORED_FINDING_SCHEMA = pl.Schema({"dataset": pl.String(), **FINDING_SCHEMA})
"""Findings about what several tables of the store hold: the dataset, then as FINDING_SCHEMA."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One answer after judgement.

    `accepted` has the business columns and `raw_row`, the row of the answer it came from; `rejected` is
    REJECTION_SCHEMA, one row per refused row with the first rule it broke; `findings` is FINDING_SCHEMA. Every row of the
    answer is in exactly one of the first two.
    """

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    findings: pl.DataFrame
