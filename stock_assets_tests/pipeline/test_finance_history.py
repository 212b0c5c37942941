"""A history of reports: every report of every stock, by whichever way, and days that are whole when it is over."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from unittest.mock import patch

import pytest

from stock_assets.domain.answers import Answer, Broken, ProvenEmpty
from stock_assets.domain.errors import AnswerBroken, SourceUnavailable
from stock_assets.pipeline.finance import sync_finance_history
from stock_assets.simulator.tushare_base import SERVICES
from stock_assets.simulator.tushare_market import SimulatedTushare
from stock_assets.sources.tushare.finance_source import TushareFinance
from stock_assets.storage import sync_tasks
from stock_assets.storage.database import Database
from stock_assets_tests.pipeline.finance_workshop import (
    BY_MARKET,
    CALENDAR,
    SINCE,
    FinanceWorkshop,
    always,
    made_up_market,
    workshop_on,
)

DAY = date(2024, 6, 28)
DIGEST = """
    SELECT md5(string_agg(md5(f::text), '' ORDER BY ts_code, end_date, ann_date, version))
    FROM (SELECT (to_jsonb(i) - 'fetched_at' - 'run_id')::text AS f, ts_code, end_date, ann_date, version
          FROM finance_indicator AS i) AS rows
"""


@pytest.fixture(scope="session")
def finance_market() -> SimulatedTushare:
    """Three years of two dozen stocks."""
    return made_up_market()


@pytest.fixture
def workshop(finance_market: SimulatedTushare, database: Database) -> Iterator[FinanceWorkshop]:
    """An empty store and an account of 2,000 points."""
    with workshop_on(database, finance_market) as shop:
        yield shop


def published(market: SimulatedTushare, through: date, since: date = SINCE) -> set[tuple[str, str, str]]:
    """Return code, period and announcement of every row that the market has by a day."""
    service = SERVICES["fina_indicator"]
    params = {"start_date": f"{since:%Y%m%d}", "end_date": f"{through:%Y%m%d}"}
    return {(str(row[0]), str(row[2]), str(row[1])) for row in market.rows(service, params, through)}


def stored(shop: FinanceWorkshop) -> set[tuple[str, str, str]]:
    query = "SELECT ts_code, to_char(end_date, 'YYYYMMDD'), to_char(ann_date, 'YYYYMMDD') FROM finance_indicator"
    return {(code, end, ann) for code, end, ann in shop.rows(query)}


def stocks(shop: FinanceWorkshop) -> int:
    return int(shop.rows("SELECT count(*) FROM security WHERE list_date <= :day", day=DAY)[0][0])


def test_a_history_brings_every_report_and_closes_every_day(
    workshop: FinanceWorkshop, finance_market: SimulatedTushare
) -> None:
    report = sync_finance_history(workshop.at(DAY, batch_size=7))
    assert stored(workshop) == published(finance_market, DAY)
    assert report.rows_written == workshop.rows("SELECT count(*) FROM finance_indicator")[0][0]
    days = workshop.ledger()
    assert list(days) == CALENDAR.between(SINCE, DAY)
    assert {status for status, _ in days.values()} == {"complete", "empty"}
    assert sum(rows for _, rows in days.values()) == report.rows_written
    # Four stocks a call, none of two batches.
    assert stocks(workshop) == 19
    assert report.requests == sum(workshop.asked().values()) == 2 + 2 + 2
    assert not report.failed
    assert workshop.rows("SELECT job_type, status, current_offset FROM sync_tasks") == [
        ("FINANCE_HISTORY", "COMPLETED", stocks(workshop))
    ]


def test_the_rows_of_a_day_are_those_announced_since_the_session_before(workshop: FinanceWorkshop) -> None:
    sync_finance_history(workshop.at(DAY))
    monday = date(2024, 4, 29)
    counted = workshop.rows(
        "SELECT count(*) FROM finance_indicator WHERE ann_date BETWEEN :first AND :last",
        first=monday - timedelta(2), last=monday,
    )[0][0]  # fmt: skip
    saturday_and_sunday = workshop.rows(
        "SELECT count(*) FROM finance_indicator WHERE ann_date BETWEEN :first AND :last",
        first=monday - timedelta(2), last=monday - timedelta(1),
    )[0][0]  # fmt: skip
    assert workshop.ledger()[monday] == ("complete", counted)
    assert saturday_and_sunday > 0


def test_a_history_again_asks_for_nothing(workshop: FinanceWorkshop) -> None:
    sync_finance_history(workshop.at(DAY))
    workshop.asked()
    report = sync_finance_history(workshop.at(DAY))
    assert (report.requests, report.rows_written, workshop.asked()) == (0, 0, {})


def test_a_history_of_some_stocks_leaves_the_failures_of_others_alone(workshop: FinanceWorkshop) -> None:
    context = workshop.at(DAY)
    sync_finance_history(context)
    with workshop.database.begin() as conn:
        messages = {"600000.SH": "no answer", "000001.SZ": "no answer"}
        sync_tasks.note_failures(conn, "FINANCE_HISTORY", messages, max_retries=3, now=context.now())
    sync_finance_history(context, ["600000.SH"])
    with workshop.database.read() as conn:
        left = [record.third_code for record in sync_tasks.open_failures(conn, "FINANCE_HISTORY")]
    assert left == ["000001.SZ"]


def test_an_earlier_start_asks_again_for_the_whole_stretch(
    workshop: FinanceWorkshop, finance_market: SimulatedTushare
) -> None:
    sync_finance_history(workshop.at(DAY))
    earlier = date(2020, 1, 1)
    sync_finance_history(workshop.at(DAY, since=earlier))
    assert stored(workshop) == published(finance_market, DAY, earlier)


def test_period_by_period_is_four_calls_a_year_and_the_same_rows(workshop: FinanceWorkshop) -> None:
    sync_finance_history(workshop.at(DAY))
    one_by_one, days = workshop.rows(DIGEST), workshop.ledger()
    forget(workshop)
    by_period(workshop)
    report = sync_finance_history(workshop.at(DAY))
    assert workshop.asked() == {"fina_indicator_vip": 2 * 4 + 1}
    assert workshop.rows(DIGEST) == one_by_one
    assert workshop.ledger() == days
    assert (report.items, report.requests) == (9, 9)
    assert set(workshop.rows("SELECT first_period, known_through FROM finance_progress")) == {(SINCE, DAY)}


def test_period_by_period_goes_on_where_it_was_stopped(workshop: FinanceWorkshop) -> None:
    by_period(workshop)
    ask, asked = workshop.source.reports_of_period, list[date]()

    def ask_three(period: date) -> Answer:
        asked.append(period)
        return ask(period) if len(asked) <= 3 else Broken(SourceUnavailable(source="tushare", reason="reset"))

    with patch.object(workshop.source, "reports_of_period", ask_three):
        report = sync_finance_history(workshop.at(DAY))
    assert isinstance(report.stopped_by, SourceUnavailable)
    known = date(2023, 7, 1)
    assert set(workshop.rows("SELECT first_period FROM finance_progress")) == {(known,)}
    assert {status for day, (status, _) in workshop.ledger().items() if day < known} == {"partial"}
    assert {status for status, _ in workshop.ledger(known).values()} == {"complete", "empty"}
    workshop.asked()
    assert sync_finance_history(workshop.at(DAY)).stopped_by is None
    assert workshop.asked() == {"fina_indicator_vip": 6}
    assert {status for status, _ in workshop.ledger().values()} == {"complete", "empty"}


def test_a_market_without_any_report_is_no_answer(workshop: FinanceWorkshop) -> None:
    by_period(workshop)
    with patch.object(workshop.source, "reports_of_period", always(ProvenEmpty("nothing"))):
        report = sync_finance_history(workshop.at(date(2024, 4, 5)))
    assert isinstance(report.stopped_by, AnswerBroken)
    # The two newest may have none yet.
    assert set(workshop.rows("SELECT first_period FROM finance_progress")) == {(date(2023, 10, 1),)}


def forget(shop: FinanceWorkshop) -> None:
    with shop.database.begin() as conn:
        conn.exec_driver_sql("TRUNCATE finance_indicator, finance_progress, raw_tushare_fina_indicator, load_ledger")
    shop.asked()


def by_period(shop: FinanceWorkshop) -> None:
    """Make one call a period the cheaper way."""
    shop.server.account.points = 5000
    shop.source = TushareFinance(shop.client, replace(BY_MARKET, reports_per_request=1))
