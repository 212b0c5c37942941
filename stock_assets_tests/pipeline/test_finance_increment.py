"""Increments: what was announced since, for each stock from its own last day; failures first, and nothing lost."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from unittest.mock import patch

import polars as pl
import pytest

from stock_assets.domain.answers import Answer, Broken, ProvenEmpty, Rows, Truncated
from stock_assets.domain.errors import InvalidInput, NotReady, SourceUnavailable
from stock_assets.pipeline.finance import sync_finance_history, sync_finance_increment
from stock_assets.simulator.faults import Fault, FaultPlan
from stock_assets.simulator.tushare_market import SimulatedTushare
from stock_assets.sources.finance_planner import LATE_DAYS
from stock_assets.sources.tushare.finance_source import TushareFinance
from stock_assets.storage.database import Database
from stock_assets_tests.pipeline.finance_workshop import (
    BY_DEADLINE,
    BY_MARKET,
    CALENDAR,
    COSTS,
    FinanceWorkshop,
    always,
    made_up_market,
    workshop_on,
)
from stock_assets_tests.pipeline.test_finance_history import forget, published, stored

BEFORE, MONDAY = date(2024, 4, 26), date(2024, 4, 29)
SUMMER = date(2024, 8, 30)
SHOWN = "SELECT DISTINCT ts_code FROM finance_indicator WHERE ann_date BETWEEN :first AND :last ORDER BY 1"
Ask = Callable[[Sequence[str], date, date], Answer]


@pytest.fixture(scope="module")
def finance_market() -> SimulatedTushare:
    return made_up_market()


@pytest.fixture
def workshop(finance_market: SimulatedTushare, database: Database) -> Iterator[FinanceWorkshop]:
    """A store with the history through a Friday of the season, and an account of 2,000 points."""
    with workshop_on(database, finance_market) as shop:
        sync_finance_history(shop.at(BEFORE))
        shop.asked()
        yield shop


def publishers(shop: FinanceWorkshop, first: date, last: date) -> list[str]:
    return [code for (code,) in shop.rows(SHOWN, first=first, last=last)]


def known(shop: FinanceWorkshop) -> dict[str, date]:
    return dict(shop.rows("SELECT ts_code, known_through FROM finance_progress"))  # pyright: ignore[reportArgumentType]


def test_what_was_announced_on_the_weekend_belongs_to_monday(
    workshop: FinanceWorkshop, finance_market: SimulatedTushare
) -> None:
    report = sync_finance_increment(workshop.at(MONDAY), [MONDAY])
    weekend = publishers(workshop, BEFORE + timedelta(1), MONDAY - timedelta(1))
    assert weekend
    new = publishers(workshop, BEFORE + timedelta(1), MONDAY)
    assert [(outcome.day, outcome.status) for outcome in report.outcomes] == [(MONDAY, "complete")]
    assert report.outcomes[0].rows_present == report.rows_written > 0
    # Three new days and seven that may have been told late; publishers four a call, nobody else.
    asked = workshop.asked()
    assert asked["disclosure_date"] == 3 + LATE_DAYS
    assert asked["fina_indicator"] == -(-len(new) // 4)
    assert stored(workshop) == published(finance_market, MONDAY)
    assert set(known(workshop).values()) == {MONDAY}


def test_a_day_whose_reports_were_refused_is_not_whole_until_they_come(
    finance_market: SimulatedTushare, database: Database
) -> None:
    with workshop_on(database, finance_market) as shop:
        shop.server.faults = FaultPlan((Fault("not_a_number", "fina_indicator"),))
        sync_finance_history(shop.at(BEFORE))
        lines = shop.rows(
            "SELECT status, rows_present, detail FROM load_ledger WHERE dataset = 'finance_indicator' AND rows_rejected > 0"
        )
        assert {(status, rows) for status, rows, _ in lines} == {("partial", 0)}
        assert all(str(detail).endswith("reports were refused") for *_, detail in lines)
        shop.server.faults = None
        sync_finance_increment(shop.at(MONDAY), [MONDAY])
        assert [status for status, _ in shop.ledger(MONDAY - timedelta(days=300)).values() if status == "partial"] == []


def test_every_open_day_since_the_last_known_one_is_closed(
    workshop: FinanceWorkshop, finance_market: SimulatedTushare
) -> None:
    later = date(2024, 5, 24)
    report = sync_finance_increment(workshop.at(later), [later])
    days = workshop.ledger(MONDAY)
    assert list(days) == CALENDAR.between(MONDAY, later)
    assert {status for status, _ in days.values()} == {"complete", "empty"}
    assert sum(rows for _, rows in days.values()) == report.rows_written
    assert {code for code, *_ in published(finance_market, later)} >= {*known(workshop)} - {*workshop.ledger()}


def test_a_season_of_increments_knows_what_a_history_knows(
    workshop: FinanceWorkshop, finance_market: SimulatedTushare
) -> None:
    for day in [*CALENDAR.between(MONDAY, SUMMER)[::9], SUMMER]:
        sync_finance_increment(workshop.at(day), [day])
    assert {status for status, _ in workshop.ledger().values()} == {"complete", "empty"}
    # A restatement comes on a day of its own, of which no calendar tells: it is found with the next report.
    lacking = published(finance_market, SUMMER) - stored(workshop)
    assert all(int(ann) - int(end) > 9000 for _, end, ann in lacking)
    assert stored(workshop) <= published(finance_market, SUMMER)


def test_an_increment_again_asks_for_nothing(workshop: FinanceWorkshop) -> None:
    sync_finance_increment(workshop.at(MONDAY), [MONDAY])
    workshop.asked()
    report = sync_finance_increment(workshop.at(MONDAY), [MONDAY])
    assert (workshop.asked(), report.requests, report.outcomes[0].status) == ({}, 0, "complete")


def failing(shop: FinanceWorkshop, code: str, answer: Answer) -> Ask:
    """Return the source's method, which gives `answer` whenever this stock is asked for."""
    ask = shop.source.reports_of_codes

    def reports_of_codes(ts_codes: Sequence[str], start: date, end: date) -> Answer:
        return answer if code in ts_codes else ask(ts_codes, start, end)

    return reports_of_codes


def always_of_codes(answer: Answer) -> Ask:
    """Return a source's method that gives one answer."""

    def reports_of_codes(ts_codes: Sequence[str], start: date, end: date) -> Answer:
        del ts_codes, start, end
        return answer

    return reports_of_codes


def noting(shop: FinanceWorkshop, asked: list[str]) -> Ask:
    """Return the source's method, which writes down whom it is asked for."""
    ask = shop.source.reports_of_codes

    def reports_of_codes(ts_codes: Sequence[str], start: date, end: date) -> Answer:
        asked.extend(ts_codes)
        return ask(ts_codes, start, end)

    return reports_of_codes


BROKEN = Broken(SourceUnavailable(source="tushare", reason="reset"))


def test_a_failing_stock_keeps_its_day_open_and_costs_the_others_nothing(workshop: FinanceWorkshop) -> None:
    victim = victim_of(workshop)
    with patch.object(workshop.source, "reports_of_codes", failing(workshop, victim, BROKEN)):
        report = sync_finance_increment(workshop.at(MONDAY), [MONDAY])
    assert report.failed == (victim,)
    assert {code for code, day in known(workshop).items() if day < MONDAY} == {victim}
    assert workshop.ledger()[MONDAY][0] == "partial"
    detail = workshop.rows("SELECT detail FROM load_ledger WHERE trade_date = :day", day=MONDAY)
    assert victim in str(detail)
    tuesday = MONDAY + timedelta(1)
    with patch.object(workshop.source, "reports_of_codes", noting(workshop, asked := list[str]())):
        sync_finance_increment(workshop.at(tuesday), [tuesday])
    assert asked[0] == victim
    assert {status for status, _ in workshop.ledger(MONDAY).values()} <= {"complete", "empty"}
    assert workshop.rows("SELECT count(*) FROM sync_failure_records WHERE resolved_at IS NULL") == [(0,)]


def test_what_fails_too_often_waits_for_a_person(workshop: FinanceWorkshop) -> None:
    victim = victim_of(workshop)
    with patch.object(workshop.source, "reports_of_codes", failing(workshop, victim, BROKEN)):
        days = CALENDAR.between(MONDAY, MONDAY + timedelta(10))[:4]
        reports = [sync_finance_increment(workshop.at(day, max_retries=2), [day]) for day in days]
    assert [report.failed for report in reports] == [(victim,), (victim,), (victim,), ()]
    assert [report.need_a_person for report in reports] == [(), (), (victim,), (victim,)]
    assert {status for status, _ in workshop.ledger(MONDAY).values()} == {"partial"}


def test_many_that_fail_are_counted_like_one(workshop: FinanceWorkshop) -> None:
    # One by one they cost more calls than their days would: they are asked for all the same, or their records would close.
    workshop.source = TushareFinance(workshop.client, replace(COSTS, reports_per_request=1))
    nothing = Truncated(pl.DataFrame(), "more than a hundred")
    tuesday = MONDAY + timedelta(1)
    with patch.object(workshop.source, "reports_of_codes", always_of_codes(nothing)):
        first = sync_finance_increment(workshop.at(MONDAY, max_retries=1), [MONDAY])
        second = sync_finance_increment(workshop.at(tuesday, max_retries=1), [tuesday])
    assert len(first.failed) > 3
    assert set(first.failed) <= set(second.need_a_person)


@pytest.mark.parametrize(
    "answer",
    [Truncated(pl.DataFrame(), "more than a hundred"), BROKEN],
    ids=["truncated", "broken"],
)
def test_what_is_no_whole_answer_closes_nothing(workshop: FinanceWorkshop, answer: Answer) -> None:
    victim = victim_of(workshop)
    with patch.object(workshop.source, "reports_of_codes", failing(workshop, victim, answer)):
        sync_finance_increment(workshop.at(MONDAY), [MONDAY])
    assert known(workshop)[victim] == BEFORE


def test_a_published_report_that_does_not_come_keeps_its_stock_open(workshop: FinanceWorkshop) -> None:
    victim = victim_of(workshop)
    with patch.object(workshop.source, "reports_of_codes", failing(workshop, victim, ProvenEmpty("nothing yet"))):
        report = sync_finance_increment(workshop.at(MONDAY), [MONDAY])
    assert victim in report.failed
    assert known(workshop)[victim] == BEFORE
    assert sync_finance_increment(workshop.at(MONDAY), [MONDAY]).failed == ()
    assert workshop.ledger()[MONDAY][0] == "complete"


def test_a_disclosure_told_late_is_found(workshop: FinanceWorkshop, finance_market: SimulatedTushare) -> None:
    published_on = workshop.source.published_on
    with patch.object(workshop.source, "published_on", always(ProvenEmpty("not told yet"))):
        sync_finance_increment(workshop.at(MONDAY), [MONDAY])
    assert stored(workshop) < published(finance_market, MONDAY)
    tuesday = MONDAY + timedelta(1)
    assert workshop.source.published_on == published_on
    sync_finance_increment(workshop.at(tuesday), [tuesday])
    assert stored(workshop) == published(finance_market, tuesday)


def test_without_the_calendar_of_disclosures_nobody_moves_on(workshop: FinanceWorkshop) -> None:
    with patch.object(workshop.source, "published_on", always(BROKEN)):
        report = sync_finance_increment(workshop.at(MONDAY), [MONDAY])
    assert isinstance(report.stopped_by, SourceUnavailable)
    assert set(known(workshop).values()) == {BEFORE}
    assert workshop.ledger()[MONDAY][0] == "partial"


def test_stocks_that_were_never_asked_for_come_in_a_few_at_a_time(workshop: FinanceWorkshop) -> None:
    forget(workshop)
    report = sync_finance_increment(workshop.at(MONDAY, missing_limit=5), [MONDAY])
    assert len(known(workshop)) == 5
    assert report.outcomes[0].status == "partial"
    for _ in range(3):
        sync_finance_increment(workshop.at(MONDAY, missing_limit=5), [MONDAY])
    assert {status for status, _ in workshop.ledger().values()} == {"complete", "empty"}


def test_a_new_stock_keeps_only_the_days_since_its_listing_open(workshop: FinanceWorkshop) -> None:
    with workshop.database.begin() as conn:
        conn.exec_driver_sql(
            "INSERT INTO security (ts_code, name, exchange, board, list_date, status, source, updated_at)"
            " VALUES ('301999.SZ', 'new', 'SZ', 'chinext', '2024-04-26', 'listed', 'tushare', now())"
        )
    sync_finance_increment(workshop.at(MONDAY, missing_limit=0), [MONDAY])
    open_days = [day for day, (status, _) in workshop.ledger().items() if status == "partial"]
    assert open_days == [BEFORE, MONDAY]
    sync_finance_increment(workshop.at(MONDAY), [MONDAY])
    assert known(workshop)["301999.SZ"] == MONDAY
    assert "partial" not in {status for status, _ in workshop.ledger().values()}


def test_a_day_long_ago_costs_nobody_what_came_since(workshop: FinanceWorkshop) -> None:
    forget(workshop)
    report = sync_finance_increment(workshop.at(MONDAY), [date(2022, 5, 6)])
    assert [outcome.status for outcome in report.outcomes] == ["empty"]
    assert set(known(workshop).values()) == {MONDAY}
    asked = workshop.asked()
    assert sync_finance_increment(workshop.at(MONDAY), [MONDAY]).outcomes[0].status == "complete"
    assert asked
    assert workshop.asked() == {}


def test_a_day_before_the_first_wanted_one_has_no_outcome(workshop: FinanceWorkshop) -> None:
    workshop.asked()
    report = sync_finance_increment(workshop.at(MONDAY, since=date(2023, 1, 1)), [date(2022, 5, 6)])
    assert (report.outcomes, workshop.asked()) == ([], {})


def test_a_history_of_the_future_is_refused(workshop: FinanceWorkshop) -> None:
    with pytest.raises(InvalidInput):
        sync_finance_history(workshop.at(MONDAY, since=date(2025, 1, 1)))


def test_a_day_that_is_not_over_is_refused(workshop: FinanceWorkshop) -> None:
    with pytest.raises(NotReady):
        sync_finance_increment(workshop.at(BEFORE), [MONDAY])


@pytest.mark.slow
def test_one_call_a_day_brings_restatements_as_well(
    workshop: FinanceWorkshop, finance_market: SimulatedTushare
) -> None:
    workshop.server.account.points = 5000
    workshop.source = TushareFinance(workshop.client, replace(BY_MARKET, reports_per_request=1))
    day, calls = BEFORE, 0
    while day < date(2024, 6, 14):
        before, day = day, CALENDAR.next(day + timedelta(5))
        sync_finance_increment(workshop.at(day), [day])
        calls += (day - before).days + LATE_DAYS
    assert workshop.asked() == {"fina_indicator_vip": calls}
    assert stored(workshop) == published(finance_market, day)
    assert {status for status, _ in workshop.ledger().values()} == {"complete", "empty"}


def test_where_nobody_tells_who_has_published_a_stock_is_asked_for_once_a_week(workshop: FinanceWorkshop) -> None:
    workshop.source = TushareFinance(workshop.client, replace(BY_DEADLINE, reports_per_request=1))
    calls: list[int] = []
    days = CALENDAR.between(date(2024, 7, 4), date(2024, 7, 22))
    for day in days:
        sync_finance_increment(workshop.at(day), [day])
        calls.append(workshop.asked().get("fina_indicator", 0))
    stocks = len(known(workshop))
    opens = days.index(date(2024, 7, 9))
    assert calls[0] <= stocks
    assert calls[1:opens] == [0] * (opens - 1)
    assert calls[opens] > 0
    assert calls[opens + 1 : opens + 5] == [0, 0, 0, 0]
    assert calls[opens + 5] > 0
    # Nobody is known beyond the day on which it was last asked for.
    late = {code for code, day in known(workshop).items() if day < days[-1]}
    assert late == {
        code
        for (code,) in workshop.rows(
            "SELECT ts_code FROM finance_progress EXCEPT SELECT ts_code FROM finance_indicator WHERE end_date = '2024-06-30'"
        )
    } - {code for (code,) in workshop.rows("SELECT ts_code FROM security WHERE delist_date <= '2024-06-30'")}


def victim_of(shop: FinanceWorkshop) -> str:
    """Return a stock that publishes between Friday and Monday, and for whose period."""
    shop.server.last_ready_day = MONDAY
    answer = [shop.source.published_on(BEFORE + timedelta(days)) for days in (1, 2, 3)]
    told = [shop.source.translate_published(day.frame) for day in answer if isinstance(day, Rows)]
    shop.asked()
    return str(told[0]["ts_code"].sort()[0])
