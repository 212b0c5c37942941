"""Daily bars as tasks: whole in the end, failures recorded and retried, and an increment that repairs what it missed."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
import sqlalchemy as sa

from stock_assets.domain.alerts import Alert
from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.errors import AlreadyRunning, NotReady, SourceUnavailable
from stock_assets.pipeline.daily_sync import DailyJob, DailySync, days_of_records, days_without_factors, sync_daily
from stock_assets.pipeline.factors import ingest_factors
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.storage import coverage, sync_tasks
from stock_assets.storage.sync_tasks import SyncFailureRecord, SyncTask
from stock_assets_tests.pipeline.conftest import SESSIONS, Workshop

MONTH = SESSIONS[-31:-1]
# A listed stock that the source has never heard of.
UNKNOWN = "600999.SH"
BY_DAY, BY_CODE = "query_daily_history_k_AStock", "query_history_k_data_plus"


def sync(workshop: Workshop, days: Sequence[date], job_type: DailyJob = "DAILY_HISTORY", **how: object) -> DailySync:
    return sync_daily(workshop.context, days, job_type, **how)  # pyright: ignore[reportArgumentType]


def missing(workshop: Workshop, days: Sequence[date]) -> set[tuple[str, date]]:
    with workshop.database.read() as conn:
        return set(coverage.missing_bars(conn, days[0], days[-1]).iter_rows())


def records(workshop: Workshop, job_type: DailyJob = "DAILY_HISTORY") -> dict[str, SyncFailureRecord]:
    with workshop.database.read() as conn:
        return {record.third_code: record for record in sync_tasks.open_failures(conn, job_type)}


def newest(workshop: Workshop, job_type: DailyJob = "DAILY_HISTORY") -> SyncTask:
    with workshop.database.read() as conn:
        task = sync_tasks.latest(conn, job_type)
    assert task is not None
    return task


def rows(workshop: Workshop, query: str = "SELECT count(*) FROM stock_daily") -> int:
    with workshop.database.read() as conn:
        return int(conn.scalars(sa.text(query)).one())


def list_a_stock(workshop: Workshop, ts_code: str = UNKNOWN) -> None:
    with workshop.database.begin() as conn:
        conn.execute(
            sa.text(
                "INSERT INTO security (ts_code, name, exchange, board, list_date, status, source, updated_at)"
                " VALUES (:code, 'nobody', 'SH', 'main', '2020-01-02', 'listed', 'baostock', now())"
            ),
            {"code": ts_code},
        )


def known_market(workshop: Workshop) -> None:
    """Load the first day of the month, and with it the securities."""
    ingest_days(workshop.context, MONTH[:1])


def test_a_history_is_one_task_whose_figures_are_those_of_the_store(workshop: Workshop) -> None:
    told: list[tuple[int, int]] = []

    def progress(*, done: int, total: int, rows: int, label: str, **_counted: object) -> None:
        assert label
        assert rows >= 0
        told.append((done, total))

    done = sync_daily(replace(workshop.context, progress=progress), MONTH, batch_size=7)
    assert done.failure() is None
    assert missing(workshop, MONTH) == set()
    task = newest(workshop)
    assert task == done.outcome.task
    assert (task.status, task.current_offset, task.total_items) == ("COMPLETED", len(MONTH), len(MONTH))
    assert task.total_processed == rows(workshop) == done.report.inserted
    assert told == [(number, len(MONTH)) for number in range(1, len(MONTH) + 1)]
    before = workshop.server.requests.total()
    assert sync(workshop, MONTH).outcome.task.status == "COMPLETED"
    assert workshop.server.requests.total() == before


def test_what_one_stock_lacks_is_one_call_and_one_record_and_ends_with_a_person(workshop: Workshop) -> None:
    known_market(workshop)
    list_a_stock(workshop)
    told: list[Alert] = []

    def tell(_: str, alerts: Sequence[Alert]) -> None:
        told.extend(alerts)

    context = replace(workshop.context, notify=tell)
    for attempt in range(4):
        done = sync_daily(context, MONTH)
        assert done.failure() is None
        assert (done.outcome.task.status, done.outcome.failed) == ("FAILED", (UNKNOWN,))
        assert missing(workshop, MONTH) == {(UNKNOWN, day) for day in MONTH}
        record = records(workshop)[UNKNOWN]
        assert list(records(workshop)) == [UNKNOWN]
        assert record.retry_count == attempt
        assert record.error_message
    assert workshop.server.requests[BY_CODE] == 4
    before = workshop.server.requests.total()
    done = sync_daily(context, MONTH)
    assert workshop.server.requests.total() == before
    assert (done.outcome.task.status, done.outcome.need_a_person) == ("COMPLETED", (UNKNOWN,))
    assert [alert.cause for alert in told] == ["failed"] * 4 + ["needs_a_person"] * 2


def test_a_record_says_which_bars_a_day_lacks(workshop: Workshop) -> None:
    known_market(workshop)
    for number in range(990, 995):
        list_a_stock(workshop, f"600{number}.SH")
    assert sync(workshop, MONTH[1:2]).outcome.task.status == "FAILED"
    assert list(records(workshop)) == [str(MONTH[1])]
    text = records(workshop)[str(MONTH[1])].error_message
    assert text.startswith("5 bars are missing: 600990.SH, 600991.SH")


def test_a_record_of_another_range_is_neither_asked_nor_forgotten(workshop: Workshop) -> None:
    known_market(workshop)
    list_a_stock(workshop)
    sync(workshop, MONTH[:5])
    before = workshop.server.requests[BY_CODE]
    with workshop.database.begin() as conn:
        left = sa.text("UPDATE security SET delist_date = :day WHERE ts_code = :code")
        conn.execute(left, {"day": MONTH[10], "code": UNKNOWN})
    assert sync(workshop, MONTH[15:20]).outcome.task.status == "COMPLETED"
    assert workshop.server.requests[BY_CODE] == before
    assert list(records(workshop)) == [UNKNOWN]


def test_a_day_that_failed_is_first_the_next_time_and_its_record_has_the_sources_words(workshop: Workshop) -> None:
    known_market(workshop)
    # Three attempts a call: the third day fails for good, alone.
    workshop.server.faults = ",".join(f"close:{BY_DAY}:{number}" for number in (3, 4, 5))
    done = sync(workshop, MONTH[:8])
    assert done.outcome.failed == (str(MONTH[3]),)
    assert isinstance(done.failure(), SourceUnavailable)
    record = records(workshop)[str(MONTH[3])]
    assert record.error_message.startswith("source baostock is unavailable")
    workshop.server.faults = ""
    with workshop.database.begin() as conn:
        conn.execute(sa.text("DELETE FROM stock_daily WHERE trade_date = :day"), {"day": MONTH[1]})
    labels: list[str] = []

    def progress(*, done: int, total: int, rows: int, label: str, **_counted: object) -> None:
        assert done <= total
        assert rows >= 0
        labels.append(label)

    # One call a batch, so that their order shows.
    done = sync_daily(replace(workshop.context, progress=progress), MONTH[:8], batch_size=1)
    assert labels == [str(MONTH[3]), str(MONTH[1])]
    assert (done.outcome.task.status, records(workshop)) == ("COMPLETED", {})


def test_a_source_that_goes_down_leaves_what_came_and_no_record_of_what_it_could_not_bring(workshop: Workshop) -> None:
    known_market(workshop)
    workshop.server.faults = ",".join(f"close:{BY_DAY}:{number}" for number in range(11, 60))
    done = sync(workshop, MONTH, batch_size=4)
    assert isinstance(done.failure(), SourceUnavailable)
    assert isinstance(done.outcome.stopped_by, SourceUnavailable)
    task = done.outcome.task
    assert (task.status, task.current_offset) == ("FAILED", 10)
    assert {day for _, day in missing(workshop, MONTH)} == set(MONTH[11:])
    assert records(workshop) == {}
    workshop.server.faults = ""
    again = sync(workshop, MONTH)
    assert (again.outcome.task.id, again.outcome.task.status) == (task.id, "COMPLETED")
    assert again.outcome.task.current_offset == len(MONTH) - 1


def test_a_week_without_service_is_repaired_by_one_night(workshop: Workshop) -> None:
    first, last = MONTH[3], MONTH[9]
    for day in MONTH[3:5]:
        sync(workshop, [day], "DAILY_INCREMENTAL", refetch=True)
        ingest_factors(workshop.context, [day])
    with workshop.database.begin() as conn:
        conn.execute(sa.text("DELETE FROM stock_daily WHERE trade_date = :day AND ts_code < '300000'"), {"day": first})
    before = workshop.server.requests.copy()
    done = sync(workshop, [last], "DAILY_INCREMENTAL", refetch=True)
    assert done.failure() is None
    assert missing(workshop, MONTH[3:10]) == set()
    # The hole, the four days of the outage and the night itself; nothing before the store's first day.
    assert (workshop.server.requests - before)[BY_DAY] == 6
    assert rows(workshop, "SELECT count(DISTINCT trade_date) FROM stock_daily") == 7
    assert days_without_factors(workshop.context, MONTH[0], last) == MONTH[5:10]
    assert (done.outcome.task.status, done.outcome.task.config) == ("COMPLETED", {"start": str(last), "end": str(last)})


def test_a_look_back_is_a_month_and_what_failed_before_it_is_still_tried(workshop: Workshop) -> None:
    days = SESSIONS[-60:-1]
    ingest_days(workshop.context, days)
    old, older, recent = days[20], days[5], days[-10]
    with workshop.database.begin() as conn:
        gone = sa.text("DELETE FROM stock_daily WHERE trade_date = ANY(:days)")
        conn.execute(gone, {"days": [old, older, recent]})
        failed = {str(old): "reset"}
        sync_tasks.note_failures(conn, "DAILY_INCREMENTAL", failed, max_retries=3, now=workshop.context.now())
    assert old < days[-1] - timedelta(days=30) < recent
    sync(workshop, [days[-1]], "DAILY_INCREMENTAL")
    assert {day for _, day in missing(workshop, days)} == {older}
    assert records(workshop, "DAILY_INCREMENTAL") == {}


def test_a_bad_day_of_the_look_back_fails_no_night(workshop: Workshop) -> None:
    sync(workshop, [MONTH[0]], "DAILY_INCREMENTAL", refetch=True)
    # The missing day is refused; the night comes after it.
    workshop.server.faults = f"error=10004011:{BY_DAY}:1"
    done = sync(workshop, [MONTH[2]], "DAILY_INCREMENTAL", refetch=True)
    assert done.failure() is None
    assert {day for _, day in missing(workshop, MONTH[:3])} == {MONTH[1]}
    assert list(records(workshop, "DAILY_INCREMENTAL")) == [str(MONTH[1])]


def test_a_day_that_is_not_whole_on_its_own_evening_is_late_and_no_failure(
    new_workshop: Callable[..., Workshop],
) -> None:
    workshop = new_workshop(faults=f"half_published:{BY_DAY}:<2")
    day = MONTH[-1]
    evening = workshop.at(datetime(day.year, day.month, day.day, 18, 30, tzinfo=SHANGHAI))
    for _ in range(2):
        done = sync(evening, [day], "DAILY_INCREMENTAL", refetch=True)
        assert isinstance(done.failure(), NotReady)
        assert (done.outcome.task.status, done.outcome.postponed) == ("FAILED", (str(day),))
        assert records(workshop, "DAILY_INCREMENTAL") == {}
    assert sync(evening, [day], "DAILY_INCREMENTAL", refetch=True).outcome.task.status == "COMPLETED"


def test_what_was_repaired_some_other_way_is_resolved_without_a_call(workshop: Workshop) -> None:
    known_market(workshop)
    workshop.server.faults = ",".join(f"close:{BY_DAY}:{number}" for number in (1, 2, 3))
    sync(workshop, MONTH[:2])
    workshop.server.faults = ""
    ingest_days(workshop.context, MONTH[:2])
    before = workshop.server.requests.total()
    assert sync(workshop, MONTH[5:6], only_records=True).outcome.task.status == "COMPLETED"
    assert workshop.server.requests.total() == before
    assert records(workshop) == {}


def test_only_what_has_a_record_is_asked_for_again(workshop: Workshop) -> None:
    known_market(workshop)
    workshop.server.faults = ",".join(f"close:{BY_DAY}:{number}" for number in (1, 2, 3))
    sync(workshop, MONTH[:2])
    workshop.server.faults = ""
    assert days_of_records(workshop.context, "DAILY_HISTORY") == [MONTH[1]]
    before = workshop.server.requests[BY_DAY]
    assert sync(workshop, MONTH[:9], only_records=True).outcome.task.status == "COMPLETED"
    assert workshop.server.requests[BY_DAY] == before + 1
    assert records(workshop) == {}
    assert {day for _, day in missing(workshop, MONTH[:9])} == set(MONTH[2:9])


def test_some_stocks_are_a_task_of_their_own(workshop: Workshop) -> None:
    known_market(workshop)
    with workshop.database.read() as conn:
        chosen = coverage.expected_codes(conn, MONTH[0])[:2]
    done = sync(workshop, MONTH[1:6], ts_codes=chosen)
    assert (done.outcome.task.status, done.outcome.task.current_offset) == ("COMPLETED", 2)
    assert done.outcome.task.config["codes"] == chosen
    assert rows(workshop, f"SELECT count(*) FROM stock_daily WHERE trade_date > '{MONTH[0]}'") == 10  # noqa: S608  our own day


def test_a_second_run_is_refused_before_it_asks_anything(workshop: Workshop) -> None:
    told: list[Alert] = []

    def tell(_: str, alerts: Sequence[Alert]) -> None:
        told.extend(alerts)

    with sync_tasks.held(workshop.database, "DAILY_HISTORY"), pytest.raises(AlreadyRunning):
        sync_daily(replace(workshop.context, notify=tell), MONTH)
    assert workshop.server.requests.total() == 0
    assert told == []
    # A load without a task of its own goes on beside it.
    with sync_tasks.held(workshop.database, "DAILY_HISTORY"):
        assert ingest_days(workshop.context, MONTH[:1]).failure() is None


def test_a_mistake_of_ours_is_told_and_marks_the_task(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Alert] = []

    def tell(_: str, alerts: Sequence[Alert]) -> None:
        told.extend(alerts)

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("stock_assets.pipeline.daily_work.fill_gaps", broken)
    with pytest.raises(ZeroDivisionError):
        sync_daily(replace(workshop.context, notify=tell), MONTH)
    assert newest(workshop).status == "FAILED"
    assert "ZeroDivisionError" in told[0].en
