"""Verdicts by family of rules: every rule belongs to one, and what repairs what they found."""

from datetime import date

import polars as pl

from stock_assets.quality.catalog import RULES
from stock_assets.quality.findings import STORED_FINDING_SCHEMA, WHOLE_DAY
from stock_assets.quality.verdicts import FAMILIES, verdicts

DAY, NEXT = date(2026, 11, 19), date(2026, 11, 20)


def findings(*rows: tuple[str, date, str, str, str]) -> pl.DataFrame:
    """Return findings of dataset, day, code, rule and severity."""
    return pl.DataFrame([(*row, "-") for row in rows], schema=STORED_FINDING_SCHEMA, orient="row")


def repairs(found: pl.DataFrame, name: str, most: int = 5) -> list[str]:
    (verdict,) = [one for one in verdicts(found, None) if one.family.name == name]
    return verdict.repairs(most)


def test_every_rule_on_what_is_stored_belongs_to_one_family_with_a_name_of_its_own() -> None:
    names = [family.name for family in FAMILIES]
    assert len(set(names)) == len(names)
    inside = [rule for family in FAMILIES for rule in family.rules]
    assert len(set(inside)) == len(inside)
    assert {rule.subject for rule in set(RULES) - set(inside)} == {"answer", "completeness"}


def test_a_command_names_all_stocks_of_a_day_and_none_where_they_are_too_many() -> None:
    def differing(day: date, stocks: int) -> list[tuple[str, date, str, str, str]]:
        return [("technical_daily", day, f"{600000 + n}.SH", "indicator_not_finite", "error") for n in range(stocks)]

    rule = "stock-assets backfill-technicals --start {day} --end {day} --again"
    assert repairs(findings(*differing(DAY, 2), *differing(NEXT, 21)), "technical_daily_values") == [
        f"{rule.format(day=DAY)} --codes 600000.SH,600001.SH",
        rule.format(day=NEXT),
    ]


def test_a_command_is_named_once_and_notes_need_none() -> None:
    found = findings(
        ("stock_daily", DAY, "600000.SH", "pct_chg_inconsistent", "warning"),
        ("stock_daily", DAY, "600001.SH", "pct_chg_inconsistent", "warning"),
        ("stock_daily", NEXT, "600001.SH", "extreme_move", "info"),
    )
    assert repairs(found, "stock_daily_prices") == [f"stock-assets nightly --date {DAY}"]


def test_an_error_about_a_whole_day_poisons_it() -> None:
    def is_poisoned(code: str, severity: str) -> bool:
        found = findings(("stock_daily", DAY, code, "units_inconsistent", severity))
        return any(one.is_poisoned for one in verdicts(found, {DAY: 5000}))

    assert is_poisoned(WHOLE_DAY, "error")
    assert not is_poisoned("600000.SH", "error")
    assert not is_poisoned(WHOLE_DAY, "warning")
