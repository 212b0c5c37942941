from datetime import date

import pytest

from stock_assets_tests.quality.made_up_reports import QUARTER, Report, answer, judged, report

ANN = date(2024, 4, 25)


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"roe": "8,5"}, "unreadable_value"),
        ({"roe": "nan"}, "unreadable_value"),
        ({"roe": "1e999"}, "unreadable_value"),
        ({"ann_date": "2024-04-25"}, "unreadable_value"),
        ({"ann_date": "20240431"}, "unreadable_value"),
        ({"ts_code": None}, "unknown_code"),
        ({"ts_code": "000300.SH"}, "unknown_code"),
        ({"end_date": None}, "period_not_quarter_end"),
        ({"end_date": "20240330"}, "period_not_quarter_end"),
        ({"end_date": "20240430"}, "period_not_quarter_end"),
        ({"ann_date": "20240330"}, "announced_before_period_end"),
        ({"eps": None}, "no_figures"),
    ],
    ids=str,
)
def test_an_impossible_row_is_refused_with_the_rule_and_its_neighbour_is_not(wrong: Report, rule: str) -> None:
    good = report(ANN, end=QUARTER, eps=1.5)
    verdict = judged(answer([good, good | wrong]))
    assert verdict.accepted["raw_row"].to_list() == [0]
    assert verdict.rejected.select("raw_row", "rule").rows() == [(1, rule)]


@pytest.mark.parametrize(
    "right",
    [
        report(None, eps=1.5),
        report(date(2024, 3, 31), end=QUARTER, eps=1.5),
        report(date(2034, 4, 25), eps=-1e12),
        report(ANN, code="920748.BJ", rd_exp=0.0),
    ],
    ids=str,
)
def test_a_possible_row_is_accepted(right: Report) -> None:
    assert judged(answer([right])).accepted.height == 1


def test_a_refused_row_is_filed_under_its_period_or_else_its_announcement() -> None:
    rows = [report(ANN), report(ANN) | {"end_date": None}, report(None) | {"end_date": "x"}]
    assert judged(answer(rows)).rejected["trade_date"].to_list() == [date(2023, 12, 31), ANN, None]
