"""Which findings only follow from other ones of the same stock and day: the cause alone is told."""

from typing import Final

import polars as pl

from stock_assets.quality.catalog import RULES

_REASONS: Final = pl.DataFrame(
    [(rule.name, explained) for rule in RULES for explained in rule.explains],
    schema={"rule": pl.String, "explained": pl.String},
    orient="row",
)


def without_consequences(findings: pl.DataFrame) -> pl.DataFrame:
    """Return findings (at least trade_date, ts_code, rule) without those that another one of the stock and day explains."""
    known = findings.join(_REASONS, on="rule").select("ts_code", "trade_date", pl.col("explained").alias("rule"))
    return findings.join(known, on=["ts_code", "trade_date", "rule"], how="anti", maintain_order="left")
