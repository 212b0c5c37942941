"""Calendar and securities: two calendars side by side, asked seldom, nothing forgotten."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest

from stock_assets.domain.calendar import FIRST_SESSION, SHANGHAI, TradingCalendar
from stock_assets.domain.errors import SourceUnavailable
from stock_assets.domain.tables import SECURITY, STOCK_DAILY, TRADING_DAY
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.pipeline.refresh import refresh_calendar, refresh_securities
from stock_assets.simulator.base import Row, Rows
from stock_assets.simulator.market import SimulatedMarket
from stock_assets.storage import coverage, ledger, reference, rejects
from stock_assets_tests.pipeline.conftest import SESSIONS, Workshop
from stock_assets_tests.pipeline.test_ingest import rows_of

DAY = date(2025, 11, 3)


class Doctored(SimulatedMarket):
    """A market that contradicts itself on request."""

    flipped: frozenset[date] = frozenset()
    vanished: frozenset[str] = frozenset()
    stranger: Row | None = None

    def trade_dates(self, start: date, end: date) -> Rows:
        flipped = {day.isoformat() for day in self.flipped}
        return [
            [day, ("1" if is_open == "0" else "0") if day in flipped else is_open]
            for day, is_open in super().trade_dates(start, end)
        ]

    def stock_basic(self, as_of: date) -> Rows:
        return [row for row in super().stock_basic(as_of) if row[0] not in self.vanished]

    def daily_bars(self, day: date) -> Rows:
        rows = list(super().daily_bars(day))
        return [*rows, [day.isoformat(), *self.stranger[1:]]] if self.stranger else rows


@pytest.fixture
def doctored() -> Doctored:
    return Doctored(11, 60, sessions=SESSIONS)


def evening(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 20, 0, tzinfo=SHANGHAI)


def trading_days(workshop: Workshop) -> pl.DataFrame:
    with workshop.database.read() as conn:
        return reference.read_trading_days(conn)


def securities(workshop: Workshop) -> dict[str, dict[str, object]]:
    with workshop.database.read() as conn:
        frame = reference.read_securities(conn)
    return {row["ts_code"]: row for row in frame.iter_rows(named=True)}


def ours(code: str) -> str:
    return f"{code[3:]}.{code[:2].upper()}"


def test_every_calendar_day_is_stored_with_what_both_calendars_say(workshop: Workshop) -> None:
    report = refresh_calendar(workshop.context)
    stored = trading_days(workshop)
    days = stored["trade_date"].to_list()
    assert (days[0], days[-1]) == (FIRST_SESSION, SESSIONS[-1])
    assert len(days) == (SESSIONS[-1] - FIRST_SESSION).days + 1 == report.days
    assert stored.filter("is_open")["trade_date"].to_list() == SESSIONS
    asked = stored.filter(pl.col("source_is_open").is_not_null())
    assert asked["trade_date"].to_list() == [day for day in days if day >= SESSIONS[0]]
    assert asked["sources_agree"].all()
    assert report.disagreements == ()
    before = dict(stored.select("trade_date", "previous_open").iter_rows())
    assert before[SESSIONS[0]] is None
    assert all(before[day] == last for last, day in pairwise(SESSIONS))


def test_a_disagreement_is_reported_and_the_exchanges_calendar_decides(workshop: Workshop) -> None:
    closed, opened = DAY, date(2025, 11, 8)
    calendar = TradingCalendar.of({*SESSIONS, opened} - {closed}, known_until=SESSIONS[-1])
    context = replace(workshop.context, calendar=calendar)
    report = refresh_calendar(context)
    assert report.disagreements == (closed, opened)
    rows = trading_days(workshop).filter(pl.col("trade_date").is_in([closed, opened]))
    assert rows["is_open"].to_list() == [False, True]
    assert rows["source_is_open"].to_list() == [True, False]
    assert rows["sources_agree"].to_list() == [False, False]


def test_the_source_is_asked_for_its_calendar_once_a_week(workshop: Workshop) -> None:
    asked = [refresh_calendar(workshop.at(evening(DAY + timedelta(days=ahead))).context).requests for ahead in range(8)]
    assert [requests > 0 for requests in asked] == [True, *[False] * 6, True]


def test_a_change_of_the_past_month_is_seen_within_a_week_and_an_older_one_when_all_is_asked(
    workshop: Workshop, doctored: Doctored
) -> None:
    refresh_calendar(workshop.at(evening(DAY)).context)
    recent, older = date(2025, 10, 20), date(2025, 3, 3)
    doctored.flipped = frozenset({recent, older})
    workshop.server.market = doctored
    # The server remembers answers by what is published.
    workshop.server.last_ready_day = SESSIONS[-2]
    later = workshop.at(evening(DAY + timedelta(days=7)))
    assert refresh_calendar(later.context).disagreements == (recent,)
    told = trading_days(workshop).filter(pl.col("source_is_open").is_not_null())
    assert told.height == (SESSIONS[-1] - SESSIONS[0]).days + 1
    assert refresh_calendar(later.context, full=True).disagreements == (older, recent)


def test_refreshing_again_writes_nothing(workshop: Workshop) -> None:
    refresh_calendar(workshop.context, full=True)
    refresh_securities(workshop.context)
    before = {table: rows_of(workshop.database, table) for table in (TRADING_DAY.name, SECURITY.name, "load_ledger")}
    assert refresh_calendar(workshop.context, full=True).counts.written == 0
    assert refresh_securities(workshop.context).counts.written == 0
    assert {table: rows_of(workshop.database, table) for table in before} == before


@pytest.mark.parametrize(
    ("method", "refresh", "table"),
    [
        ("query_trade_dates", refresh_calendar, TRADING_DAY.name),
        ("query_stock_basic", refresh_securities, SECURITY.name),
    ],
)
def test_without_an_answer_nothing_is_written_and_the_next_run_asks_again(
    workshop: Workshop, method: str, refresh: Callable[..., object], table: str
) -> None:
    workshop.server.faults = f"close:{method}"
    with pytest.raises(SourceUnavailable):
        refresh(workshop.context)
    assert rows_of(workshop.database, table) == []
    with workshop.database.read() as conn:
        assert ledger.summary(conn).is_empty()
    workshop.server.faults = None
    refresh(workshop.context)
    assert rows_of(workshop.database, table) != []


def test_every_stock_is_stored_with_its_life(workshop: Workshop, market: SimulatedMarket) -> None:
    report = refresh_securities(workshop.context)
    told = {ours(row[0]): row for row in market.stock_basic(SESSIONS[-1]) if row[4] == "1"}
    stored = securities(workshop)
    assert set(stored) == set(told)
    for code, row in told.items():
        assert stored[code]["name"] == row[1]
        assert str(stored[code]["list_date"]) == row[2]
        assert str(stored[code]["delist_date"] or "") == row[3]
        assert stored[code]["status"] == ("listed" if row[5] == "1" else "delisted")
    assert (report.total, report.delisted) == (len(told), sum(row[5] == "0" for row in told.values()))


def test_a_delisted_stock_stays_and_is_expected_until_the_day_before_it_left(
    workshop: Workshop, market: SimulatedMarket
) -> None:
    gone = next(row for row in market.stock_basic(SESSIONS[-1]) if SESSIONS[0].isoformat() < row[3])
    left = date.fromisoformat(gone[3])
    refresh_calendar(workshop.context)
    refresh_securities(workshop.context)
    refresh_securities(workshop.context)
    assert securities(workshop)[ours(gone[0])]["status"] == "delisted"
    with workshop.database.read() as conn:
        assert ours(gone[0]) in coverage.expected_codes(conn, SESSIONS[SESSIONS.index(left) - 1])
        assert ours(gone[0]) not in coverage.expected_codes(conn, left)


def test_a_stock_that_vanished_from_the_list_stays_as_it_was(workshop: Workshop, doctored: Doctored) -> None:
    refresh_securities(workshop.context)
    before = rows_of(workshop.database, SECURITY.name)
    doctored.vanished = frozenset({"sh.600000"})
    workshop.server.market = doctored
    # The server remembers answers by what is published.
    workshop.server.last_ready_day = SESSIONS[-2]
    report = refresh_securities(workshop.context)
    assert report.total == len(before) - 1
    assert rows_of(workshop.database, SECURITY.name) == before


def test_a_stock_that_the_list_did_not_have_yet_is_learned_from_the_days_bars(
    new_workshop: Callable[..., Workshop], market: SimulatedMarket, doctored: Doctored
) -> None:
    new = max((row for row in market.stock_basic(DAY) if row[4] == "1"), key=lambda row: row[2])
    workshop = new_workshop(last_ready_day=DAY).at(evening(DAY))
    doctored.vanished = frozenset({new[0]})
    workshop.server.market = doctored
    refresh_calendar(workshop.context)
    refresh_securities(workshop.context)
    assert ours(new[0]) not in securities(workshop)
    workshop.server.market, workshop.server.last_ready_day = market, SESSIONS[-1]
    report = ingest_days(workshop.context, [DAY])
    assert report.securities_refreshed
    assert workshop.server.requests["query_stock_basic"] == 2
    assert workshop.server.requests["query_daily_history_k_AStock"] == 1
    assert [outcome.status for outcome in report.outcomes] == ["complete"]
    with workshop.database.read() as conn:
        assert ours(new[0]) in coverage.expected_codes(conn, DAY)
        assert rejects.read_rejected(conn, DAY, DAY).is_empty()


def test_a_code_that_nobody_knows_is_asked_about_once_a_run_and_its_days_stay_open(
    workshop: Workshop, market: SimulatedMarket, doctored: Doctored
) -> None:
    days = SESSIONS[-4:-1]
    doctored.stranger = ["", "sh.609999", *market.daily_bars(days[0])[0][2:]]
    workshop.server.market = doctored
    report = ingest_days(workshop.context, days)
    assert workshop.server.requests["query_stock_basic"] == 2
    assert [outcome.status for outcome in report.outcomes] == ["partial"] * 3
    with workshop.database.read() as conn:
        refused = rejects.read_rejected(conn, days[0], days[-1])
        assert coverage.missing_bars(conn, days[0], days[-1]).is_empty()
    assert refused["rule"].to_list() == ["unknown_code"] * 3
    workshop.server.market = market
    workshop.server.last_ready_day = SESSIONS[-2]
    ingest_days(workshop.context, days)
    with workshop.database.read() as conn:
        assert set(ledger.statuses(conn, STOCK_DAILY.name, days).values()) == {"complete"}
