"""Daily bars into the store: exactly the gaps, exactly once, never a wrong "complete"."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.errors import InvalidInput, NotReady, SourceUnavailable
from stock_assets.domain.tables import RAW_BAOSTOCK_DAILY, STOCK_DAILY
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.simulator.market import SimulatedMarket
from stock_assets.storage import coverage, ledger, rejects
from stock_assets.storage.database import Database
from stock_assets_tests.pipeline.conftest import SESSIONS, Workshop

WEEK = SESSIONS[-6:-1]
DAY = WEEK[-1]
_VERSIONED = (
    "raw_baostock_daily",
    "stock_daily",
    "load_ledger",
    "rejected_row",
    "quality_finding",
    "security",
    "trading_day",
)


def rows_of(database: Database, table: str) -> list[tuple[Any, ...]]:
    """Return every row of a table with its row version, so that any write shows."""
    with database.read() as conn:
        return sorted(map(tuple, conn.execute(sa.text(f"SELECT ctid::text, xmin::text, t::text FROM {table} t"))))  # noqa: S608  our own names


def delete_bars(database: Database, where: str, **facts: object) -> int:
    """Take bars out of the store behind everyone's back."""
    with database.begin() as conn:
        return conn.execute(sa.text(f"DELETE FROM stock_daily WHERE {where}"), facts).rowcount  # noqa: S608  our own words


def missing(workshop: Workshop) -> set[tuple[str, date]]:
    """Return what coverage calls missing this week."""
    with workshop.database.read() as conn:
        return set(coverage.missing_bars(conn, WEEK[0], WEEK[-1]).iter_rows())


def status_of(workshop: Workshop, day: date) -> str | None:
    """Return what the ledger says of a day."""
    with workshop.database.read() as conn:
        return ledger.statuses(conn, STOCK_DAILY.name, [day]).get(day)


def test_a_day_holds_every_listed_stock_and_equals_the_market(workshop: Workshop, market: SimulatedMarket) -> None:
    report = ingest_days(workshop.context, [DAY])
    assert [outcome.status for outcome in report.outcomes] == ["complete"]
    with workshop.database.read() as conn:
        stored = pl.read_database("SELECT * FROM stock_daily ORDER BY ts_code", conn)
        listed = coverage.expected_codes(conn, DAY)
    assert stored["ts_code"].to_list() == listed
    asked = {row[1]: row for row in market.daily_bars(DAY)}
    assert len(asked) == len(listed)
    for row in stored.iter_rows(named=True):
        number, _, exchange = row["ts_code"].partition(".")
        told = asked[f"{exchange.lower()}.{number}"]
        assert row["close"] == float(told[5])
        assert row["pre_close"] == float(told[6])
        assert row["volume"] == (int(told[7]) if told[7] else None)
        assert row["is_suspended"] == (told[11] == "0")


def test_loading_the_same_day_twice_writes_nothing(workshop: Workshop) -> None:
    ingest_days(workshop.context, [DAY])
    before = {table: rows_of(workshop.database, table) for table in _VERSIONED}
    report = ingest_days(workshop.context, [DAY], refetch=True)
    assert report.requests > 0
    assert (report.inserted, report.updated) == (0, 0)
    assert report.unchanged == len(before["stock_daily"])
    assert {table: rows_of(workshop.database, table) for table in _VERSIONED} == before


def test_a_complete_day_costs_no_call_and_no_write(workshop: Workshop) -> None:
    ingest_days(workshop.context, WEEK)
    asked = workshop.server.requests.total()
    before = rows_of(workshop.database, "load_ledger")
    report = ingest_days(workshop.context, WEEK)
    assert workshop.server.requests.total() == asked
    assert report.days_already_complete == len(WEEK)
    assert rows_of(workshop.database, "load_ledger") == before


def test_a_hole_of_one_stock_is_one_request_for_that_stock(workshop: Workshop) -> None:
    ingest_days(workshop.context, WEEK)
    whole = rows_of(workshop.database, "stock_daily")
    code = "600000.SH" if any("600000.SH" in row[2] for row in whole) else whole[0][2][1:10]
    assert delete_bars(workshop.database, "ts_code = :code AND trade_date >= :day", code=code, day=WEEK[2]) == 3
    before = workshop.server.requests.copy()
    report = ingest_days(workshop.context, WEEK)
    spent = workshop.server.requests - before
    assert spent["query_history_k_data_plus"] == 1
    assert spent["query_daily_history_k_AStock"] == 0
    assert report.inserted == 3
    assert missing(workshop) == set()


def test_holes_anywhere_are_found_and_filled_exactly(workshop: Workshop) -> None:
    ingest_days(workshop.context, WEEK)
    delete_bars(workshop.database, "trade_date = :day", day=WEEK[1])
    delete_bars(workshop.database, "trade_date = :day AND ts_code < '300000'", day=WEEK[3])
    gone = missing(workshop)
    assert gone
    report = ingest_days(workshop.context, WEEK)
    assert report.inserted == len(gone)
    assert missing(workshop) == set()
    assert all(status_of(workshop, day) == "complete" for day in WEEK)


def test_only_the_asked_stocks_are_loaded(workshop: Workshop) -> None:
    ingest_days(workshop.context, [DAY])
    with workshop.database.read() as conn:
        chosen = coverage.expected_codes(conn, WEEK[0])[:2]
    report = ingest_days(workshop.context, WEEK[:2], ts_codes=chosen)
    assert report.inserted == 4
    with workshop.database.read() as conn:
        stored = set(
            conn.scalars(sa.text("SELECT DISTINCT ts_code FROM stock_daily WHERE trade_date = :day"), {"day": WEEK[0]})
        )
    assert stored == set(chosen)
    assert status_of(workshop, WEEK[0]) == "partial"


@pytest.mark.parametrize("day", [date(2025, 12, 27), date(2025, 12, 28)])
def test_a_day_that_is_no_session_is_refused(workshop: Workshop, day: date) -> None:
    with pytest.raises(InvalidInput, match="not a trading day"):
        ingest_days(workshop.context, [day])
    assert workshop.server.requests.total() == 0


def test_a_day_before_its_published_time_is_not_asked(workshop: Workshop) -> None:
    early = workshop.at(datetime(2025, 12, 30, 17, 59, tzinfo=SHANGHAI))
    with pytest.raises(NotReady, match="18:00"):
        ingest_days(early.context, [date(2025, 12, 30)])
    assert workshop.server.requests.total() == 0


def test_an_empty_answer_to_a_trading_day_is_never_complete(new_workshop: Callable[..., Workshop]) -> None:
    workshop = new_workshop(last_ready_day=WEEK[-2])
    report = ingest_days(workshop.context, [DAY])
    assert isinstance(report.failure(), NotReady)
    assert status_of(workshop, DAY) == "refused"
    workshop.server.last_ready_day = DAY
    assert ingest_days(workshop.context, [DAY]).failure() is None
    assert status_of(workshop, DAY) == "complete"


def test_a_half_published_day_lands_and_stays_open(new_workshop: Callable[..., Workshop]) -> None:
    workshop = new_workshop(faults="half_published:query_daily_history_k_AStock:<1")
    report = ingest_days(workshop.context, [DAY])
    assert [outcome.status for outcome in report.outcomes] == ["partial"]
    assert (DAY in {day for _, day in missing(workshop)}) is True
    with workshop.database.read() as conn:
        found = rejects.read_findings(conn, DAY, DAY).filter(pl.col("rule") == "bars_missing")
    assert found.height == 1
    ingest_days(workshop.context, [DAY])
    assert status_of(workshop, DAY) == "complete"
    with workshop.database.read() as conn:
        assert rejects.read_findings(conn, DAY, DAY).filter(pl.col("rule") == "bars_missing").is_empty()


def test_a_failed_refetch_takes_nothing_from_a_complete_day(workshop: Workshop) -> None:
    ingest_days(workshop.context, [DAY])
    before = {table: rows_of(workshop.database, table) for table in _VERSIONED}
    workshop.server.faults = "close:query_daily_history_k_AStock"
    report = ingest_days(workshop.context, [DAY], refetch=True)
    assert isinstance(report.failure(), SourceUnavailable)
    assert {table: rows_of(workshop.database, table) for table in _VERSIONED} == before


def test_one_stocks_failure_never_stops_the_others(workshop: Workshop) -> None:
    ingest_days(workshop.context, WEEK)
    with workshop.database.read() as conn:
        chosen = coverage.expected_codes(conn, DAY)[:3]
    delete_bars(workshop.database, "ts_code = ANY(:codes)", codes=chosen)
    # Three attempts a stock: the second stock fails for good.
    workshop.server.faults = "error=10004011:query_history_k_data_plus:2"
    report = ingest_days(workshop.context, WEEK)
    assert [failure.label for failure in report.failures] == [chosen[1]]
    assert report.failure() is None
    assert {code for code, _ in missing(workshop)} == {chosen[1]}
    assert status_of(workshop, DAY) == "partial"


def test_a_source_that_is_down_stops_the_run_after_a_few_calls(new_workshop: Callable[..., Workshop]) -> None:
    workshop = new_workshop()
    ingest_days(workshop.context, WEEK[:1])
    workshop.server.faults = "close:query_daily_history_k_AStock"
    days = SESSIONS[-60:-10]
    before = workshop.server.requests["query_daily_history_k_AStock"]
    report = ingest_days(workshop.context, days)
    assert isinstance(report.failure(), SourceUnavailable)
    # Three calls in a row, three attempts each, and at most two more that were under way.
    assert workshop.server.requests["query_daily_history_k_AStock"] - before <= 15


def test_raw_rows_are_kept_word_by_word(workshop: Workshop, market: SimulatedMarket) -> None:
    ingest_days(workshop.context, [DAY])
    columns = ", ".join(f'"{name}"' for name in RAW_BAOSTOCK_DAILY.empty_text().columns)
    with workshop.database.read() as conn:
        stored = sorted(tuple(row) for row in conn.execute(sa.text(f"SELECT {columns} FROM raw_baostock_daily")))  # noqa: S608  our own names
    assert stored == sorted(tuple(row) for row in market.daily_bars(DAY))
