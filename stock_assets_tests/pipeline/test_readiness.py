"""A newest day is accepted when the source is really ready: its count, its final values, and a second look."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any, cast

import pytest
import sqlalchemy as sa

from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.errors import NotReady, SourceUnavailable, Stopped
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.pipeline.daily_sync import sync_daily
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.pipeline.readiness import is_new
from stock_assets.simulator.base import BAR_FIELDS, Market, Rows
from stock_assets.simulator.market import SimulatedMarket
from stock_assets.storage import ledger
from stock_assets_tests.pipeline.conftest import SESSIONS, Workshop

BY_DAY = "query_daily_history_k_AStock"
DAY = SESSIONS[-5]
EVENING = datetime.combine(DAY, time(18, 30), tzinfo=SHANGHAI)


class Looks:
    """Counts second looks; at each the far end is told to do `then`."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.count = 0
        self._then = then

    def __call__(self) -> None:
        """Look."""
        self.count += 1
        self._then()


def on_its_evening(workshop: Workshop, looks: Callable[[], None] | None = None) -> Workshop:
    """Return the workshop half an hour after the day was published."""
    evening = workshop.at(EVENING)
    return replace(evening, context=replace(evening.context, await_second_look=looks))


def stored(workshop: Workshop, day: date = DAY) -> int:
    """Return the bars of a day."""
    with workshop.database.read() as conn:
        return conn.execute(
            sa.text("SELECT count(*) FROM stock_daily WHERE trade_date = :day"), {"day": day}
        ).scalar_one()


def line_of(workshop: Workshop, day: date = DAY) -> tuple[str, str | None]:
    """Return the ledger's status and detail of a day."""
    with workshop.database.read() as conn:
        line = ledger.read_entries(conn, STOCK_DAILY.name, day, day).row(0, named=True)
    return line["status"], line["detail"]


def test_a_half_published_newest_day_lands_nothing_and_says_so(new_workshop: Callable[..., Workshop]) -> None:
    workshop = on_its_evening(new_workshop(faults=f"half_published:{BY_DAY}:<2"))
    for _ in range(2):
        failure = ingest_days(workshop.context, [DAY], refetch=True).failure()
        assert isinstance(failure, NotReady)
        assert "expected stocks came" in str(failure)
        assert failure.facts["ready_at"] == f"{DAY} 19:00"
        assert stored(workshop) == 0
        status, detail = line_of(workshop)
        assert status == "refused"
        assert detail is not None
        assert detail.startswith("not ready: 1")
    assert ingest_days(workshop.context, [DAY], refetch=True).failure() is None
    assert line_of(workshop) == ("complete", None)


class WithoutVolumes:
    """The market as it stands before the day's volumes are known."""

    def __init__(self, market: SimulatedMarket) -> None:
        self._market = market

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever the market has
        return getattr(self._market, name)

    def daily_bars(self, day: date) -> Rows:
        """Return the day's rows, every volume empty."""
        place = BAR_FIELDS.index("volume")
        return [[*row[:place], "", *row[place + 1 :]] for row in self._market.daily_bars(day)]


def test_rows_without_final_values_are_not_ready(workshop: Workshop, market: SimulatedMarket) -> None:
    evening = on_its_evening(workshop)
    workshop.server.market = cast("Market", WithoutVolumes(market))
    failure = ingest_days(evening.context, [DAY]).failure()
    assert isinstance(failure, NotReady)
    assert "no final price or volume" in str(failure)
    assert stored(evening) == 0


def test_an_answer_that_changes_between_two_looks_is_not_landed(new_workshop: Callable[..., Workshop]) -> None:
    workshop = new_workshop()
    ingest_days(workshop.context, [SESSIONS[-6]])
    looks = Looks(lambda: setattr(workshop.server, "faults", f"lost_rows=0.01:{BY_DAY}"))
    evening = on_its_evening(workshop, looks)
    failure = ingest_days(evening.context, [DAY]).failure()
    assert isinstance(failure, NotReady)
    assert "second look" in str(failure)
    assert stored(evening) == 0
    workshop.server.faults = ""
    report = ingest_days(on_its_evening(workshop, Looks()).context, [DAY])
    assert report.failure() is None
    assert line_of(evening) == ("complete", None)


def test_a_second_look_costs_one_request_and_none_for_older_days(workshop: Workshop) -> None:
    looks = Looks()
    evening = on_its_evening(workshop, looks)
    before = workshop.server.requests[BY_DAY]
    days = SESSIONS[-8:-4]
    assert ingest_days(evening.context, days).failure() is None
    assert workshop.server.requests[BY_DAY] - before == len(days) + 1
    assert looks.count == 1
    next_evening = replace(evening, context=replace(evening.context, now=lambda: EVENING + timedelta(hours=24)))
    assert ingest_days(next_evening.context, [DAY], refetch=True).failure() is None
    assert looks.count == 1


def test_a_second_look_that_gets_no_answer_is_that_failure(workshop: Workshop) -> None:
    looks = Looks(lambda: setattr(workshop.server, "faults", f"close:{BY_DAY}"))
    evening = on_its_evening(workshop, looks)
    assert isinstance(ingest_days(evening.context, [DAY]).failure(), SourceUnavailable)
    assert stored(evening) == 0


def test_a_run_that_is_told_to_stop_waits_for_no_second_look(workshop: Workshop) -> None:
    def stop() -> None:
        raise Stopped

    evening = on_its_evening(workshop, stop)
    with pytest.raises(Stopped):
        ingest_days(evening.context, [DAY])
    assert stored(evening) == 0


def test_a_synchronization_leaves_a_day_that_is_not_ready_for_later_without_a_record(
    new_workshop: Callable[..., Workshop],
) -> None:
    workshop = on_its_evening(new_workshop(faults=f"half_published:{BY_DAY}:<1"))
    early = workshop.at(EVENING + timedelta(hours=8))
    done = sync_daily(early.context, [DAY], "DAILY_INCREMENTAL", refetch=True)
    assert isinstance(done.failure(), NotReady)
    assert done.outcome.postponed == (str(DAY),)
    assert done.outcome.failed == ()
    assert sync_daily(early.context, [DAY], "DAILY_INCREMENTAL", refetch=True).failure() is None


def test_a_day_is_new_from_its_publication_for_a_day() -> None:
    published = datetime.combine(DAY, time(18, 0), tzinfo=SHANGHAI)
    assert is_new(DAY, published)
    assert is_new(DAY, published + timedelta(hours=23, minutes=59))
    assert not is_new(DAY, published + timedelta(hours=24))
