"""What a source answers wholly for and does not have is asked for on two days, and then no more."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from stock_assets.domain.answers import Answer, Rows
from stock_assets.domain.codes import Exchange
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.sources.base import MarketSource
from stock_assets.storage import asked_gaps, coverage, ledger
from stock_assets_tests.pipeline.conftest import SESSIONS, TODAY, Workshop

WEEK = SESSIONS[-6:-1]
DAY = WEEK[-1]
OLD = SESSIONS[20]
NAME = STOCK_DAILY.name


class Lossy:
    """A source whose answers lack the bars of some stocks, though they are otherwise whole; `calls` counts its answers."""

    def __init__(self, source: MarketSource, lost: Callable[[str, str], bool], name: str | None = None) -> None:
        self._source, self._lost, self._name = source, lost, name
        self.calls = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._source, name)

    @property
    def name(self) -> str:
        return self._name or self._source.name

    def daily_of_day(self, day: date) -> Answer:
        return self._without(self._source.daily_of_day(day))

    def daily_of_code(self, ts_code: str, start: date, end: date) -> Answer:
        return self._without(self._source.daily_of_code(ts_code, start, end))

    def _without(self, answer: Answer) -> Answer:
        self.calls += 1
        if not isinstance(answer, Rows):
            return answer
        kept = [not self._lost(code, day) for code, day in answer.frame.select("code", "date").iter_rows()]
        return replace(answer, frame=answer.frame.filter(pl.Series(kept, dtype=pl.Boolean)))


def lossy(workshop: Workshop, lost: Callable[[str, str], bool], *names: str) -> tuple[Workshop, list[Lossy]]:
    """Return the workshop with one lossy source for each name, the first one asked first."""
    sources = [Lossy(workshop.context.source, lost, name) for name in names or ("baostock",)]
    first, *others = sources
    context = replace(workshop.context, source=first, fallbacks=tuple(others))  # pyright: ignore[reportArgumentType]
    return replace(workshop, context=context), sources


def ingest(workshop: Workshop, days: list[date], days_later: int = 0, **options: object) -> None:
    """Load, so many days later than the workshop's clock says."""
    ingest_days(replace(workshop.context, now=lambda: TODAY + timedelta(days=days_later)), days, **options)  # pyright: ignore[reportArgumentType]


def notes(workshop: Workshop) -> list[tuple[Any, ...]]:
    """Return who was asked for what, on how many days; but for the first day, of which the market itself lacks a bar."""
    query = "SELECT ts_code, trade_date, source, asked_days FROM asked_gap WHERE trade_date > :first ORDER BY 1, 2, 3"
    with workshop.database.read() as conn:
        return [tuple(row) for row in conn.execute(sa.text(query), {"first": SESSIONS[0]})]


def missing(workshop: Workshop, **options: object) -> set[tuple[str, date]]:
    """Return what coverage calls missing of the year."""
    with workshop.database.read() as conn:
        return set(coverage.missing_bars(conn, SESSIONS[0], SESSIONS[-1], **options).iter_rows())  # pyright: ignore[reportArgumentType]


def status_of(workshop: Workshop, day: date = DAY) -> tuple[str, int, int]:
    """Return status, rows expected and rows present of a day's line."""
    with workshop.database.read() as conn:
        row = ledger.read_entries(conn, NAME, day, day).row(0, named=True)
    return row["status"], row["rows_expected"], row["rows_present"]


def a_stock(workshop: Workshop) -> str:
    """Return a stock that is listed all year."""
    with workshop.database.read() as conn:
        listed = coverage.expected_codes(conn, SESSIONS[0])
        return next(code for code in listed if code in coverage.expected_codes(conn, SESSIONS[-1]))


def spelled(ts_code: str) -> str:
    """Return a code as BaoStock writes it."""
    return f"{ts_code[-2:].lower()}.{ts_code[:6]}"


@pytest.fixture
def code(workshop: Workshop) -> str:
    """A stock; the store knows the securities."""
    ingest(workshop, [SESSIONS[0]])
    return a_stock(workshop)


def test_what_a_source_does_not_have_is_asked_for_on_two_days_and_then_is_no_gap(workshop: Workshop, code: str) -> None:
    lacking, (source,) = lossy(workshop, lambda written, _: written == spelled(code))
    ingest(lacking, [DAY])
    assert notes(lacking) == [(code, DAY, "baostock", 1)]
    assert (code, DAY) in missing(lacking)
    status, expected, present = status_of(lacking)
    assert (status, expected - present) == ("partial", 1)
    ingest(lacking, [DAY])
    assert notes(lacking) == [(code, DAY, "baostock", 1)], "a second time on one day proves nothing"
    ingest(lacking, [DAY], 1)
    assert notes(lacking) == [(code, DAY, "baostock", 2)]
    assert (code, DAY) not in missing(lacking)
    assert status_of(lacking) == ("complete", present, present)
    asked = source.calls
    ingest(lacking, [DAY], 2)
    assert source.calls == asked
    with lacking.database.read() as conn:
        counts = coverage.day_counts(conn, DAY, DAY).row(0, named=True)
    assert (counts["expected"], counts["present"], counts["source_has_none"]) == (present, present, 1)


def test_a_row_that_comes_after_all_takes_the_proof_with_it(workshop: Workshop, code: str) -> None:
    lacking, _ = lossy(workshop, lambda written, _: written == spelled(code))
    ingest(lacking, [DAY])
    ingest(lacking, [DAY], 1)
    _, expected, _ = status_of(lacking)
    ingest(workshop, [DAY], 2, refetch=True)
    assert notes(workshop) == []
    assert status_of(workshop) == ("complete", expected + 1, expected + 1)


def test_a_half_published_day_proves_nothing(workshop: Workshop, code: str) -> None:
    lacking, _ = lossy(workshop, lambda written, day: day == str(DAY) and written[-1] in "02468")
    ingest(lacking, [DAY])
    assert len({when for _, when in missing(lacking) if when == DAY}) == 1
    assert [row for row in notes(lacking) if row[1] == DAY] == []
    assert code


def test_a_stocks_answer_proves_nothing_of_a_young_day_that_nobody_has(workshop: Workshop, code: str) -> None:
    lacking, _ = lossy(workshop, lambda written, _: written == spelled(code))
    ingest(lacking, WEEK, ts_codes=[code])
    assert notes(lacking) == []


def test_a_stocks_answer_proves_what_it_lacks_of_an_old_day(workshop: Workshop, code: str) -> None:
    lacking, _ = lossy(workshop, lambda written, _: written == spelled(code))
    ingest(lacking, [OLD], ts_codes=[code])
    assert notes(lacking) == [(code, OLD, "baostock", 1)]


def test_only_what_was_asked_for_is_noted(workshop: Workshop, code: str) -> None:
    lacking, _ = lossy(workshop, lambda written, _: written == spelled(code))
    ingest(lacking, WEEK[:3])
    assert [row[1] for row in notes(lacking)] == WEEK[:3]


def test_a_refused_row_is_there_and_not_lacking(workshop: Workshop, code: str) -> None:
    class Spoilt(Lossy):
        def _without(self, answer: Answer) -> Answer:
            assert isinstance(answer, Rows)
            spoil = pl.when(pl.col("code") == spelled(code)).then(pl.lit("abc")).otherwise(pl.col("close"))
            return replace(answer, frame=answer.frame.with_columns(spoil.alias("close")))

    source = Spoilt(workshop.context.source, lambda _written, _day: False)
    context = replace(workshop.context, source=source)  # pyright: ignore[reportArgumentType]
    spoilt = replace(workshop, context=context)
    ingest(spoilt, [DAY])
    assert (code, DAY) in missing(spoilt)
    assert notes(spoilt) == []


def test_every_source_in_use_must_have_none(workshop: Workshop, code: str) -> None:
    two, (first, second) = lossy(workshop, lambda written, _: written == spelled(code), "one", "two")
    ingest(two, [DAY])
    assert notes(two) == [(code, DAY, "one", 1), (code, DAY, "two", 1)]
    ingest(two, [DAY], 1)
    assert notes(two) == [(code, DAY, "one", 2), (code, DAY, "two", 2)]
    assert status_of(two)[0] == "complete"
    assert (code, DAY) not in missing(two)
    asked = first.calls, second.calls
    ingest(two, [DAY], 2)
    assert (first.calls, second.calls) == asked


def test_a_source_that_comes_later_is_asked_and_the_first_one_is_not(workshop: Workshop, code: str) -> None:
    one, _ = lossy(workshop, lambda written, _: written == spelled(code), "one")
    ingest(one, [DAY])
    ingest(one, [DAY], 1)
    assert (code, DAY) not in missing(one)
    two, (first, second) = lossy(workshop, lambda written, _: written == spelled(code), "one", "two")
    assert (code, DAY) in missing(two, sources=two.context.in_use)
    ingest(two, [DAY], 2)
    assert (first.calls, second.calls) == (0, 1)
    ingest(two, [DAY], 3)
    assert (code, DAY) not in missing(two, sources=two.context.in_use)
    assert status_of(two)[0] == "complete"


def test_what_was_asked_for_today_is_due_tomorrow(workshop: Workshop, code: str) -> None:
    lacking, _ = lossy(workshop, lambda written, _: written == spelled(code))
    ingest(lacking, [DAY])
    gap = pl.DataFrame([(code, DAY)], schema=asked_gaps.GAP_SCHEMA, orient="row")
    sources: dict[str, frozenset[Exchange]] = {"baostock": frozenset({"SH", "SZ"})}

    def due(now: datetime, **more: frozenset[Exchange]) -> list[tuple[str, date]]:
        with lacking.database.read() as conn:
            return asked_gaps.due(conn, NAME, gap, now=now, sources=sources | more).rows()

    midnight = (TODAY + timedelta(days=1)).replace(hour=0)
    assert due(TODAY) == []
    assert due(midnight - timedelta(seconds=1)) == []
    assert due(midnight + timedelta(seconds=1)) == [(code, DAY)]
    assert due(TODAY, tushare=frozenset({"SH", "SZ", "BJ"})) == [(code, DAY)]
    assert due(TODAY, tushare=frozenset({"BJ"})) == []
    ingest(lacking, [DAY], 1)
    assert due(midnight + timedelta(days=99)) == []
