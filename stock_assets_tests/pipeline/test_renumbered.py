"""A stock that gets another number while the store runs: listed, landed and counted once a day, whatever the source calls it."""

from collections.abc import Callable
from datetime import date, datetime

import pytest

from stock_assets.domain.calendar import SHANGHAI
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.pipeline.refresh import refresh_calendar, refresh_securities
from stock_assets.simulator.base import Row, Rows
from stock_assets.simulator.market import SimulatedMarket
from stock_assets.storage import coverage, rejects
from stock_assets.storage.reader import Reader
from stock_assets_tests.pipeline.conftest import SESSIONS, Workshop

OLD, NEW = "300114.SZ", "302132.SZ"
BEFORE, CHANGED_ON = date(2025, 2, 14), date(2025, 2, 17)


class Renumbered(SimulatedMarket):
    """One more stock, under its old number until the change and under both after.

    Every day of its bars is told under the number that it has now, as Tushare does.
    """

    now: date = BEFORE

    def stock_basic(self, as_of: date) -> Rows:
        """Return the list with the stock."""
        told = [["sz.300114", "中航电测", "2010-08-27", "", "1", "1"]]
        if self.now >= CHANGED_ON:
            told.append(["sz.302132", "中航成飞", "2010-08-27", "", "1", "1"])
        return [*super().stock_basic(as_of), *told]

    def daily_bars(self, day: date) -> Rows:
        """Return the bars with one of the stock."""
        rows = list(super().daily_bars(day))
        like: Row = rows[0]
        code = "sz.300114" if self.now < CHANGED_ON else "sz.302132"
        return [*rows, [like[0], code, *like[2:]]]


@pytest.fixture
def market() -> Renumbered:
    """A year of sixty stocks, and the one."""
    return Renumbered(11, 60, sessions=SESSIONS)


def evening(workshop: Workshop, day: date) -> Workshop:
    """Return the workshop in the evening of a day."""
    return workshop.at(datetime(day.year, day.month, day.day, 20, 0, tzinfo=SHANGHAI))


def traded_as(workshop: Workshop) -> list[tuple[date, str]]:
    """Return under which code each day of the stock is stored."""
    return Reader(workshop.database).bars([OLD, NEW]).sort("trade_date").select("trade_date", "ts_code").rows()


def test_a_store_that_runs_over_the_change_has_each_day_once(
    new_workshop: Callable[..., Workshop], market: Renumbered
) -> None:
    workshop = new_workshop(last_ready_day=BEFORE)
    then = evening(workshop, BEFORE)
    refresh_calendar(then.context)
    ingest_days(then.context, [BEFORE])
    market.now, workshop.server.last_ready_day = CHANGED_ON, CHANGED_ON
    now = evening(workshop, CHANGED_ON)
    report = ingest_days(now.context, [CHANGED_ON])
    assert [outcome.status for outcome in report.outcomes] == ["complete"]
    assert traded_as(workshop) == [(BEFORE, OLD), (CHANGED_ON, NEW)]
    # The old day is asked for again, and is now told under the new number.
    again = ingest_days(now.context, [BEFORE], refetch=True)
    assert [outcome.status for outcome in again.outcomes] == ["complete"]
    assert traded_as(workshop) == [(BEFORE, OLD), (CHANGED_ON, NEW)]
    with workshop.database.read() as conn:
        assert coverage.missing_bars(conn, BEFORE, CHANGED_ON).is_empty()
        assert rejects.read_rejected(conn, BEFORE, CHANGED_ON).is_empty()


def test_no_day_is_expected_under_two_numbers(new_workshop: Callable[..., Workshop], market: Renumbered) -> None:
    market.now = CHANGED_ON
    workshop = evening(new_workshop(last_ready_day=CHANGED_ON), CHANGED_ON)
    refresh_calendar(workshop.context)
    refresh_securities(workshop.context)
    assert refresh_securities(workshop.context).counts.written == 0
    reader = Reader(workshop.database)
    for day, code in ((BEFORE, OLD), (CHANGED_ON, NEW)):
        with workshop.database.read() as conn:
            assert {OLD, NEW} & set(coverage.expected_codes(conn, day)) == {code}
        listed = reader.universe(day)
        assert listed["security_code"].is_unique().all()
        (row,) = [row for row in listed.iter_rows(named=True) if row["security_code"] == NEW]
        assert (row["ts_code"], row["list_date"], row["delist_date"]) == (code, date(2010, 8, 27), None)
