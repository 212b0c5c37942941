"""The as-of law: whatever is published, restated, corrected in silence or arrives out of order, no day knows its future."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stock_assets.domain.calendar import SHANGHAI
from stock_assets.storage.database import Connection, Database
from stock_assets_tests.databases import Server, own_database
from stock_assets_tests.quality.made_up_reports import QUARTER, SPRING, YEAR, Report, at, report
from stock_assets_tests.storage.test_finance import fetched, hear

REPORTS = [("600000.SH", YEAR), ("600000.SH", QUARTER)]
FIRST, LAST = date(2024, 4, 1), date(2024, 5, 31)
# Before the Qingming and the May holidays, and on a Saturday.
ANNOUNCED = [date(2024, 4, 3), date(2024, 4, 20), date(2024, 4, 30)]
SHOWN = """
    SELECT d::date, ts_code, end_date, ann_date, version, known_from, f_ann_date, eps, bps
    FROM generate_series(date '2024-04-01', date '2024-06-15', interval '1 day') AS d,
         LATERAL finance_indicator_as_of(d::date)
"""
STORED = """
    SELECT ts_code, end_date, ann_date, version, known_from, f_ann_date, eps, bps, is_chosen, ann_date_basis, fetched_at
    FROM finance_indicator ORDER BY 1, 2, 3, 4
"""
Shown = dict[tuple[date, str, date], Any]
figures = st.none() | st.sampled_from([1.0, 2.0])


@st.composite
def rows(draw: st.DrawFn, announced: Sequence[date | None] = (None, *ANNOUNCED)) -> Report:
    """Return one row of an answer about one of the reports."""
    code, end = draw(st.sampled_from(REPORTS))
    eps, bps = draw(st.tuples(figures, figures).filter(any))
    return report(
        draw(st.sampled_from(announced)),
        code=code,
        end=end,
        flag=draw(st.sampled_from([None, "0", "1"])),
        eps=eps,
        bps=bps,
    )


@dataclass(frozen=True)
class Heard:
    """An answer, and the day on which it came."""

    rows: list[Report]
    on: date


answers = st.lists(
    st.builds(
        Heard,
        st.lists(rows(), min_size=1, max_size=5),
        # In no order: an answer may come after a later one, or a clock may go back.
        st.dates(FIRST, LAST),
    ),
    min_size=1,
    max_size=6,
)


@pytest.fixture(scope="module")
def store(server: Server, migrated_template: str) -> Iterator[Database]:
    """One database for this file: each example is rolled back."""
    with own_database(server, migrated_template) as url:
        database = Database(url)
        yield database
        database.close()


@pytest.fixture
def conn(store: Database) -> Iterator[Connection]:
    with store.engine.connect() as conn:
        yield conn
        conn.rollback()


def shown(conn: Connection) -> Shown:
    """Return what each day shows of each report."""
    found: Shown = {}
    for row in conn.execute(sa.text(SHOWN)):
        assert (row[0], row[1], row[2]) not in found, "a day shows one version of a report"
        found[(row[0], row[1], row[2])] = row
    return found


def chosen_by_hand(stored: Sequence[Any], day: date, report: tuple[str, date]) -> Any:  # noqa: ANN401
    """Return what a day must show of a report, by looking at every version."""
    known = [row for row in stored if (row[0], row[1]) == report and row.is_chosen and row.known_from <= day]
    known.sort(key=lambda row: (row.ann_date_basis != "first_seen", row.ann_date, row.version))
    return known[-1] if known else None


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answers)
def test_no_day_shows_what_was_not_known_and_what_a_day_shows_changes_only_by_an_announcement_before_it(
    conn: Connection, heard: list[Heard]
) -> None:
    """The as-of law, for any sequence of answers, in any order of arrival.

    1. What day D shows was known: its `known_from` is at most D and after its announcement; only the version that was seen
       first with its announcement may have been known before the session after the day it was seen.
    2. Knowledge grows: no stored version is ever changed or removed, and an answer that arrives on day R changes what a
       day D shows of a report only by an announcement that is seen for the first time and was known by D, or, for D after
       R, by a correction.
    3. Of each report D shows the version of the newest announcement, and of these the newest, as looking at every stored
       version finds it.
    4. The same answer again writes nothing.
    """
    conn.rollback()
    before, kept = shown(conn), conn.execute(sa.text(STORED)).all()
    latest = FIRST
    for answer in heard:
        latest = max(latest, answer.on)
        hear(conn, *answer.rows, on=answer.on)
        after, stored = shown(conn), conn.execute(sa.text(STORED)).all()
        assert set(kept) <= set(stored)
        announced_before = {tuple(row[:3]) for row in kept}
        for (day, *_), row in after.items():
            assert row.known_from <= day
            assert row.known_from > max(row.ann_date, row.f_ann_date or row.ann_date)
        for row in stored:
            first = next(other for other in stored if other[:3] == row[:3])
            if row.fetched_at > first.fetched_at:
                assert row.known_from > row.fetched_at.astimezone(SHANGHAI).date()
        for place in before.keys() | after.keys():
            if before.get(place) != after.get(place):
                day, row = place[0], after[place]
                is_first = (row.ts_code, row.end_date, row.ann_date) not in announced_before
                assert row not in before.values()
                assert is_first or day > answer.on
                assert tuple(row[1:5]) not in {tuple(old[:4]) for old in kept}
        for day in (FIRST, *ANNOUNCED, latest, latest + timedelta(1), LAST + timedelta(10)):
            for code, end in REPORTS:
                found, expected = after.get((day, code, end)), chosen_by_hand(stored, day, (code, end))
                assert (found and tuple(found[1:5])) == (expected and tuple(expected[:4]))
        assert hear(conn, *answer.rows, on=answer.on).written == 0
        assert conn.execute(sa.text(STORED)).all() == stored
        before, kept = after, stored


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(rows(ANNOUNCED), min_size=1, max_size=10), st.randoms(use_true_random=False))
def test_announcements_that_arrive_in_another_order_end_in_the_same_state(
    conn: Connection, told: list[Report], order: Random
) -> None:
    """Whole announcements may come in any order, in one answer or in many, on any day: only `fetched_at` tells.

    Not so for different figures of one announcement, told at different times: which of them corrects the other is a fact
    of arrival, and the last one stands.
    """
    announcements: dict[tuple[str | None, ...], list[Report]] = {}
    for row in told:
        announcements.setdefault((row["ts_code"], row["end_date"], row["ann_date"]), []).append(row)
    ends: list[list[tuple[Any, ...]]] = []
    for _ in range(2):
        conn.rollback()
        parts = list(announcements.values())
        order.shuffle(parts)
        cuts = sorted({0, len(parts), *(order.randrange(len(parts) + 1) for _ in range(2))})
        for first, last in pairwise(cuts):
            answer = [row for part in parts[first:last] for row in part]
            order.shuffle(answer)
            hear(conn, *answer, on=FIRST + timedelta(order.randrange(60)))
        ends.append([tuple(row)[:-1] for row in fetched(conn, STORED)])
    assert ends[0] == ends[1]


def test_an_examples_day_is_the_day_in_shanghai() -> None:
    assert at(FIRST).astimezone(SHANGHAI).date() == FIRST
    assert SPRING.next(date(2024, 4, 3)) == date(2024, 4, 8)
