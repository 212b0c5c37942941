"""How a rule on rows of a frame becomes findings."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from stock_assets.quality.catalog import rule_of
from stock_assets.quality.findings import FINDING_SCHEMA


@dataclass(frozen=True, slots=True)
class Mark:
    """One rule on the rows of a frame: where it is broken (null is not), and what was seen there."""

    rule: str
    broken: pl.Expr
    detail: pl.Expr


def told(*parts: str) -> pl.Expr:
    """Return a text of column names, each with its value, in this order: `high 10.5, low 9.9`."""
    texts: list[pl.Expr] = []
    for name in parts:
        texts += [pl.lit(f"{', ' if texts else ''}{name} "), number(pl.col(name))]
    return pl.concat_str(texts)


def number(value: pl.Expr) -> pl.Expr:
    """Return a value as text, `empty` where there is none."""
    return value.cast(pl.String).fill_null("empty")


def findings_of(frame: pl.DataFrame, dataset: str, marks: Sequence[Mark]) -> pl.DataFrame:
    """Return FINDING_SCHEMA: of every mark the rows of `frame` (ts_code, trade_date …) on which it is broken."""
    broken = frame.select(mark.broken.fill_null(value=False).alias(str(place)) for place, mark in enumerate(marks))
    found = [pl.DataFrame(schema=FINDING_SCHEMA)]
    for mark, places in zip(marks, broken.get_columns(), strict=True):
        # Texts are made of the few rows that are found, not of all.
        if places.any():
            seen = frame.filter(places).select(
                "trade_date",
                "ts_code",
                pl.lit(mark.rule).alias("rule"),
                pl.lit(rule_of(dataset, mark.rule).severity).alias("severity"),
                mark.detail.alias("detail"),
            )
            found.append(seen.cast(FINDING_SCHEMA))
    return pl.concat(found)


def first_broken(frame: pl.DataFrame, dataset: str, marks: Sequence[Mark]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return findings on the rows that break any mark, each by the first one, and the rows that break none."""
    number_of = pl.coalesce(pl.when(mark.broken.fill_null(value=False)).then(place) for place, mark in enumerate(marks))
    marked = frame.with_columns(number_of.alias("broken_rule"))
    parts = [Mark(mark.rule, pl.col("broken_rule") == place, mark.detail) for place, mark in enumerate(marks)]
    broken = marked.filter(pl.col("broken_rule").is_not_null())
    return findings_of(broken, dataset, parts), marked.filter(pl.col("broken_rule").is_null()).drop("broken_rule")
