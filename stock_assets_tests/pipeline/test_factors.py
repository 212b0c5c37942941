"""Adjustment factors into the store: the cheaper way, nothing wrong, and no day closed against its bars."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import pytest

from stock_assets.domain.tables import ADJUST_FACTOR
from stock_assets.pipeline.context import PipelineContext
from stock_assets.pipeline.factors import ingest_factors
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.simulator.base import Row, Rows
from stock_assets.simulator.market import SimulatedMarket
from stock_assets.storage import bars, completeness, coverage, ledger, rejects
from stock_assets_tests.pipeline.conftest import SESSIONS, TODAY, Workshop
from stock_assets_tests.pipeline.test_ingest import rows_of

EX_DAY = date(2025, 7, 8)
QUIET_DAY = date(2025, 12, 30)
# More days than stocks.
LONG_LIST = SESSIONS[60:160]
_VERSIONED = ("adjust_factor", "raw_baostock_adjust_factor", "load_ledger", "rejected_row")
Factors = dict[tuple[str, date], float]


class Doctored(SimulatedMarket):
    """A market that says more about its factors than is true."""

    more: Rows = ()

    def daily_adjust_factors(self, day: date, as_of: date) -> Rows:
        return [*super().daily_adjust_factors(day, as_of), *(row for row in self.more if row[1] == day.isoformat())]


def session_before(day: date) -> date:
    return SESSIONS[SESSIONS.index(day) - 1]


def truth(market: SimulatedMarket, days: list[date]) -> Factors:
    """Return what the market says of these days."""
    rows = [row for day in days for row in market.daily_adjust_factors(day, SESSIONS[-1])]
    return {(f"{row[0][3:]}.{row[0][:2].upper()}", date.fromisoformat(row[1])): float(row[3]) for row in rows}


def stored(workshop: Workshop) -> Factors:
    with workshop.database.read() as conn:
        frame = bars.read_factors(conn, None)
    return {(row["ts_code"], row["ex_date"]): row["back_adjust_factor"] for row in frame.iter_rows(named=True)}


def statuses(workshop: Workshop, days: list[date]) -> dict[date, str]:
    with workshop.database.read() as conn:
        return ledger.statuses(conn, ADJUST_FACTOR.name, days)


def detail_of(workshop: Workshop, day: date) -> str | None:
    with workshop.database.read() as conn:
        return ledger.read_entries(conn, ADJUST_FACTOR.name, day, day)["detail"].item()


def test_a_short_list_of_days_is_asked_day_by_day(workshop: Workshop, market: SimulatedMarket) -> None:
    days = SESSIONS[-5:]
    report = ingest_factors(workshop.context, days)
    assert workshop.server.requests["query_daily_adjust_factor"] == len(days)
    assert workshop.server.requests["query_adjust_factor"] == 0
    assert report.failure() is None
    assert stored(workshop) == truth(market, days)


def test_a_long_list_of_days_is_asked_stock_by_stock(workshop: Workshop, market: SimulatedMarket) -> None:
    ingest_factors(workshop.context, LONG_LIST)
    listed = [row for row in market.stock_basic(SESSIONS[-1]) if row[4] == "1"]
    gone = [row for row in listed if row[3] and row[3] <= LONG_LIST[0].isoformat()]
    assert workshop.server.requests["query_adjust_factor"] == len(listed) - len(gone)
    assert workshop.server.requests["query_daily_adjust_factor"] == 0
    assert set(statuses(workshop, LONG_LIST).values()) == {"complete", "empty"}


def test_both_ways_bring_the_same_factors(workshop: Workshop, market: SimulatedMarket) -> None:
    ingest_factors(workshop.context, LONG_LIST)
    by_code = stored(workshop)
    report = [ingest_factors(workshop.context, LONG_LIST[at : at + 50], refetch=True) for at in (0, 50)]
    assert workshop.server.requests["query_daily_adjust_factor"] == len(LONG_LIST)
    assert by_code == stored(workshop) == truth(market, LONG_LIST)
    assert sum(part.rows_written for part in report) == 0


def test_ex_dates_on_days_that_nobody_asked_for_are_left_out(workshop: Workshop, market: SimulatedMarket) -> None:
    days = SESSIONS[:240:3]
    ingest_factors(workshop.context, days)
    assert workshop.server.requests["query_adjust_factor"] > 0
    assert stored(workshop) == truth(market, days)
    with workshop.database.read() as conn:
        assert rejects.read_rejected(conn, SESSIONS[0], SESSIONS[-1]).is_empty()


def test_a_day_without_ex_dates_is_empty_and_not_asked_again(workshop: Workshop) -> None:
    ingest_days(workshop.context, [session_before(QUIET_DAY), QUIET_DAY])
    ingest_factors(workshop.context, [QUIET_DAY])
    assert statuses(workshop, [QUIET_DAY]) == {QUIET_DAY: "empty"}
    asked = workshop.server.requests.total()
    ingest_factors(workshop.context, [QUIET_DAY])
    assert workshop.server.requests.total() == asked


def test_an_empty_answer_that_the_bars_contradict_keeps_the_day_open_until_the_factor_comes(
    new_workshop: Callable[..., Workshop], market: SimulatedMarket
) -> None:
    workshop = new_workshop(last_factor_day=session_before(EX_DAY))
    ingest_days(workshop.context, [session_before(EX_DAY), EX_DAY])
    report = ingest_factors(workshop.context, [EX_DAY])
    assert report.failure() is None
    assert statuses(workshop, [EX_DAY]) == {EX_DAY: "partial"}
    assert detail_of(workshop, EX_DAY) == "2 stocks opened ex-right and no factor came"
    workshop.server.last_factor_day = EX_DAY
    ingest_factors(workshop.context, [EX_DAY])
    assert statuses(workshop, [EX_DAY]) == {EX_DAY: "complete"}
    assert stored(workshop) == truth(market, [EX_DAY])


def test_a_factor_that_is_missing_among_others_keeps_the_day_open(
    new_workshop: Callable[..., Workshop], market: SimulatedMarket
) -> None:
    workshop = new_workshop(faults="lost_rows:query_daily_adjust_factor:1")
    ingest_days(workshop.context, [session_before(EX_DAY), EX_DAY])
    ingest_factors(workshop.context, [EX_DAY])
    assert len(stored(workshop)) == 1
    assert statuses(workshop, [EX_DAY]) == {EX_DAY: "partial"}
    assert detail_of(workshop, EX_DAY) == "2 stocks opened ex-right and 1 factors came"
    ingest_factors(workshop.context, [EX_DAY])
    assert statuses(workshop, [EX_DAY]) == {EX_DAY: "complete"}
    assert stored(workshop) == truth(market, [EX_DAY])


@pytest.mark.parametrize(
    ("rule", "code", "factor"),
    [
        ("unknown_code", "sh.609999", "1.500000"),
        ("factor_not_positive", "sh.600000", "-1.500000"),
        ("factor_not_positive", "sh.600000", "0.000000"),
        ("unreadable_value", "sh.600000", "n/a"),
        ("duplicate_key", "", "9.000000"),
    ],
)
def test_a_row_that_is_no_factor_is_refused_and_the_day_stays_open_until_it_is_gone(
    workshop: Workshop, market: SimulatedMarket, rule: str, code: str, factor: str
) -> None:
    first: Row = list(market.daily_adjust_factors(EX_DAY, SESSIONS[-1])[0])
    doctored = Doctored(11, 60, sessions=SESSIONS)
    doctored.more = [[code or first[0], EX_DAY.isoformat(), "1.000000", factor, factor]]
    workshop.server.market = doctored
    ingest_factors(workshop.context, [EX_DAY])
    with workshop.database.read() as conn:
        refused = rejects.read_rejected(conn, EX_DAY, EX_DAY)
    assert refused["rule"].to_list() == [rule]
    assert factor in refused["row_text"].item()
    assert stored(workshop) == truth(market, [EX_DAY])
    assert statuses(workshop, [EX_DAY]) == {EX_DAY: "partial"}
    workshop.server.market = market
    # The server remembers answers by what is published.
    workshop.server.last_factor_day = SESSIONS[-2]
    ingest_factors(workshop.context, [EX_DAY])
    assert statuses(workshop, [EX_DAY]) == {EX_DAY: "complete"}
    with workshop.database.read() as conn:
        assert rejects.read_rejected(conn, EX_DAY, EX_DAY).filter(pl.col("resolved_at").is_null()).is_empty()


def test_one_stock_without_an_answer_keeps_every_day_open_and_the_next_run_completes_them(
    new_workshop: Callable[..., Workshop], market: SimulatedMarket
) -> None:
    workshop = new_workshop(faults="error=10004011:query_adjust_factor:3")
    report = ingest_factors(workshop.context, LONG_LIST)
    assert len(report.failures) == 1
    assert set(statuses(workshop, LONG_LIST).values()) == {"partial"}
    ingest_factors(workshop.context, LONG_LIST)
    assert set(statuses(workshop, LONG_LIST).values()) == {"complete", "empty"}
    assert stored(workshop) == truth(market, LONG_LIST)


def test_loading_the_same_factors_twice_writes_nothing(workshop: Workshop) -> None:
    days = SESSIONS[SESSIONS.index(EX_DAY) - 3 :][:6]
    ingest_days(workshop.context, days)
    ingest_factors(workshop.context, days)
    before = {table: rows_of(workshop.database, table) for table in _VERSIONED}
    assert before["adjust_factor"]
    report = ingest_factors(workshop.context, days, refetch=True)
    assert report.requests == len(days)
    assert report.rows_written == 0
    assert {table: rows_of(workshop.database, table) for table in _VERSIONED} == before


def test_a_failed_refetch_takes_nothing_from_a_complete_day(workshop: Workshop) -> None:
    ingest_factors(workshop.context, [EX_DAY])
    before = {table: rows_of(workshop.database, table) for table in _VERSIONED}
    workshop.server.faults = "close:query_daily_adjust_factor"
    assert ingest_factors(workshop.context, [EX_DAY], refetch=True).failure() is not None
    assert {table: rows_of(workshop.database, table) for table in _VERSIONED} == before


def later(workshop: Workshop, days: int) -> PipelineContext:
    """Return the workshop's context so many days later."""
    return replace(workshop.context, now=lambda: TODAY + timedelta(days=days))


def missing_factors(workshop: Workshop) -> list[tuple[str | None, date]]:
    with workshop.database.read() as conn:
        gaps = completeness.open_gaps(conn, ADJUST_FACTOR.name, EX_DAY, EX_DAY)
    return [(code, day) for code, day, _ in gaps.iter_rows()]


def test_a_factor_that_is_gone_is_named_and_comes_back(workshop: Workshop) -> None:
    ingest_days(workshop.context, [EX_DAY])
    ingest_factors(workshop.context, [EX_DAY])
    before = stored(workshop)
    gone = next(iter(before))
    with workshop.database.begin() as conn:
        conn.exec_driver_sql("DELETE FROM adjust_factor WHERE ts_code = %s", (gone[0],))
    assert missing_factors(workshop) == [gone]
    ingest_factors(workshop.context, [EX_DAY], refetch=True)
    assert stored(workshop) == before
    assert missing_factors(workshop) == []


def test_a_factor_that_was_there_and_that_nobody_has_any_more_is_asked_for_on_two_days(workshop: Workshop) -> None:
    ingest_days(workshop.context, [EX_DAY])
    ingest_factors(workshop.context, [EX_DAY])
    known = stored(workshop)
    with workshop.database.read() as conn:
        code = next(code for code in coverage.expected_codes(conn, EX_DAY) if (code, EX_DAY) not in known)
    with workshop.database.begin() as conn:
        conn.exec_driver_sql("INSERT INTO adjust_factor VALUES (%s, %s, 2, 'baostock', now())", (code, EX_DAY))
    # The line says so as well, as after a load.
    ingest_factors(workshop.context, [EX_DAY], refetch=True)
    with workshop.database.begin() as conn:
        conn.exec_driver_sql("DELETE FROM adjust_factor WHERE ts_code = %s", (code,))
    assert missing_factors(workshop) == [(code, EX_DAY)]
    for _ in range(2):
        ingest_factors(workshop.context, [EX_DAY], refetch=True)
        assert statuses(workshop, [EX_DAY]) == {EX_DAY: "partial"}
        assert detail_of(workshop, EX_DAY) == "1 factors that were there did not come again"
        assert missing_factors(workshop) == [(None, EX_DAY)]
    ingest_factors(later(workshop, 1), [EX_DAY])
    assert statuses(workshop, [EX_DAY]) == {EX_DAY: "complete"}
    assert missing_factors(workshop) == []
    assert stored(workshop) == known
