"""Which findings only follow from other ones of the same stock and day: the cause alone is told."""

from typing import Final

import polars as pl

from stock_assets.quality.catalog import RULES

_REASONS: Final = pl.DataFrame(
    [(rule.dataset, rule.name, explained) for rule in RULES for explained in rule.explains]
    # A row that should not be there at all has no further faults.
    + [
        (rule.dataset, rule.name, other.name)
        for rule in RULES
        for other in RULES
        if rule.refuses and other.dataset == rule.dataset and not other.refuses
    ],
    schema={"dataset": pl.String, "rule": pl.String, "explained": pl.String},
    orient="row",
).unique()


def without_consequences(findings: pl.DataFrame) -> pl.DataFrame:
    """Return findings (STORED_FINDING_SCHEMA) without those that another one of the stock and day explains."""
    known = findings.join(_REASONS, on=["dataset", "rule"]).select(
        "ts_code", "trade_date", pl.col("explained").alias("rule")
    )
    return findings.join(known, on=["ts_code", "trade_date", "rule"], how="anti", maintain_order="left")
