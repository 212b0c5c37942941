"""Made-up reports have the vices of the real ones, and figures that fit together."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from itertools import pairwise
from typing import Any

import pytest

from stock_assets.simulator.tushare_base import SERVICES
from stock_assets.simulator.tushare_finance import Company, SimulatedFinance

FIELDS = SERVICES["fina_indicator"].fields
COMPANIES = [Company(f"{600000 + number}.SH", date(2005 + number % 15, 3, 1), None) for number in range(60)]
KNOWN = date(2024, 12, 31)
Report = dict[str, Any]


def reports(finance: SimulatedFinance, known: date = KNOWN, **params: str) -> list[Report]:
    rows = finance.reports(SERVICES["fina_indicator"], COMPANIES, params, known)
    return [dict(zip(FIELDS, row, strict=True)) for row in rows]


@pytest.fixture(scope="module")
def finance() -> SimulatedFinance:
    return SimulatedFinance(3)


@pytest.fixture(scope="module")
def every(finance: SimulatedFinance) -> list[Report]:
    return reports(finance)


def by_report(rows: list[Report]) -> dict[tuple[str, str, str], list[Report]]:
    found: dict[tuple[str, str, str], list[Report]] = defaultdict(list)
    for row in rows:
        found[row["ts_code"], row["end_date"], row["ann_date"]].append(row)
    return found


def test_the_same_seed_gives_the_same_reports_and_another_one_others(every: list[Report]) -> None:
    assert reports(SimulatedFinance(3)) == every
    assert reports(SimulatedFinance(4))[0] != every[0]


def test_most_reports_come_twice_and_some_of_the_pairs_differ(every: list[Report]) -> None:
    found = [rows for rows in by_report(every).values() if rows[0]["end_date"] < "20240101"]
    pairs = [rows for rows in found if len(rows) > 1]
    different = [rows for rows in pairs if rows[0]["revenue_ps"] != rows[1]["revenue_ps"]]
    assert 0.7 < len(pairs) / len(found) < 0.85
    assert 0.12 < len(different) / len(pairs) < 0.24
    flags = {tuple(row["update_flag"] for row in rows) for rows in pairs}
    assert {("0", "1"), ("0", "0"), ("1", "1")} <= flags
    assert any(rows[0]["eps"] is not None and rows[1]["eps"] is None for rows in pairs)


def test_some_reports_are_restated_a_year_later_with_other_figures(every: list[Report]) -> None:
    found: dict[tuple[str, str], list[Report]] = defaultdict(list)
    for row in every:
        found[row["ts_code"], row["end_date"]].append(row)
    restated = [rows for rows in found.values() if len({row["ann_date"] for row in rows}) > 1]
    assert 0.02 < len(restated) / len(found) < 0.1
    for rows in restated:
        first, last = min(row["ann_date"] for row in rows), max(row["ann_date"] for row in rows)
        assert int(last[:4]) - int(first[:4]) in {0, 1, 2}
        assert len({row["bps"] for row in rows}) > 1


def test_nothing_is_shown_before_it_was_announced_and_nothing_shown_goes_away(finance: SimulatedFinance) -> None:
    days = [date(2022, 3, 31), date(2022, 4, 20), date(2022, 4, 30), date(2023, 4, 30)]
    seen = [reports(finance, day, start_date="20201231") for day in days]
    for day, rows in zip(days, seen, strict=True):
        assert max(row["ann_date"] for row in rows) <= f"{day:%Y%m%d}"
    for before, after in pairwise(seen):
        assert set(by_report(before)) <= set(by_report(after))


def test_a_few_figures_are_changed_in_silence(finance: SimulatedFinance) -> None:
    before, after = (
        by_report(reports(finance, day, period="20211231")) for day in (date(2022, 5, 1), date(2024, 12, 31))
    )
    changed = {
        name
        for key, rows in before.items()
        for old, new in zip(rows, after[key], strict=True)
        for name in FIELDS
        if old[name] != new[name]
    }
    assert changed
    assert changed <= {"ebit", "ebitda", "ebit_ps", "ebit_of_gr"}


def test_figures_fit_together(every: list[Report]) -> None:
    rows = [row for row in every if row["ca_to_assets"] is not None and row["eps"] is not None]
    assert len(rows) > 1000
    for row in rows:
        assert row["ca_to_assets"] + row["nca_to_assets"] == pytest.approx(100, abs=0.001)
        assert row["grossprofit_margin"] + row["cogs_of_sales"] == pytest.approx(100, abs=0.001)
        assert row["current_ratio"] > 0
        assert row["assets_to_eqt"] == pytest.approx(1 / (1 - row["debt_to_assets"] / 100), rel=0.001)


def test_banks_and_odd_quarters_lack_what_they_lack(every: list[Report]) -> None:
    lacking = {row["ts_code"] for row in every if row["grossprofit_margin"] is None}
    having = {row["ts_code"] for row in every if row["grossprofit_margin"] is not None}
    assert lacking.isdisjoint(having)
    assert all((row["ebitda"] is None) for row in every if row["end_date"][4:] in {"0331", "0930"})


def test_windows_are_of_periods_and_whole_years_come_before_a_listing(finance: SimulatedFinance) -> None:
    asked = reports(finance, start_date="20230101", end_date="20231231")
    assert {row["end_date"] for row in asked} == {"20230331", "20230630", "20230930", "20231231"}
    (young,) = [company for company in COMPANIES if company.code == "600014.SH"]
    early = {
        row["end_date"] for row in reports(finance) if row["ts_code"] == young.code and row["end_date"] < "20190101"
    }
    assert early == {"20161231", "20171231", "20181231"}
    assert reports(finance, period="20240115") == []


def test_plans_of_publication_agree_with_the_reports(finance: SimulatedFinance) -> None:
    plans = list(finance.disclosures(COMPANIES, {"end_date": "20231231"}, date(2024, 4, 10)))
    shown = {row["ts_code"]: row["ann_date"] for row in reports(finance, date(2024, 4, 10), period="20231231")}
    assert {row[0]: row[4] for row in plans if row[4]} == shown
    assert [row for row in plans if row[4] is None]
    assert [row for row in plans if row[5] is not None]
    day = next(iter(shown.values()))
    that_day = list(finance.disclosures(COMPANIES, {"actual_date": day}, KNOWN))
    assert {row[0] for row in that_day if row[2] == "20231231"} == {code for code, at in shown.items() if at == day}
