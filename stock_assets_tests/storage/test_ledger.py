import threading
from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import pytest
import sqlalchemy as sa

from stock_assets.domain.errors import DataRefused
from stock_assets.domain.tables import LOAD_LEDGER
from stock_assets.storage.database import Database
from stock_assets.storage.ledger import closed_days, lock_days, read_entries, statuses, summary, write_entry
from stock_assets_tests.storage.made_up_rows import DAY, LATER, NOW, entry, wait_until_blocked

NEXT = DAY + timedelta(days=1)


def test_a_line_that_says_the_same_is_not_written_again(database: Database) -> None:
    with database.begin() as conn:
        assert write_entry(conn, entry(run_id="one"))
    with database.begin() as conn:
        query = sa.text("SELECT ctid::text, xmin::text, xmax::text FROM load_ledger")
        before = conn.execute(query).all()
        assert not write_entry(conn, entry(run_id="two", started_at=LATER, finished_at=LATER))
        assert conn.execute(query).all() == before
        assert read_entries(conn, "stock_daily", DAY, DAY)["run_id"].item() == "one"


@pytest.mark.parametrize(
    "news",
    [
        {"status": "partial", "detail": "x"},
        {"rows_expected": None},
        {"rows_present": 3},
        {"rows_rejected": 1},
        {"source": "tushare"},
        {"digest": "abc"},
        {"detail": "x"},
    ],
    ids=str,
)
def test_a_line_with_news_replaces_the_old_one_with_its_run_and_times(
    database: Database, news: dict[str, object]
) -> None:
    second = entry(**news, run_id="two", finished_at=LATER)
    with database.begin() as conn:
        write_entry(conn, entry(run_id="one"))
        assert write_entry(conn, second)
        assert not write_entry(conn, second)
        row = read_entries(conn, "stock_daily", DAY, DAY).row(0, named=True)
    assert row == {name: getattr(second, name) for name in LOAD_LEDGER.names}


def test_a_line_that_contradicts_itself_is_refused(database: Database) -> None:
    with pytest.raises(DataRefused, match="complete_misses_no_row"), database.begin() as conn:
        write_entry(conn, entry(rows_expected=3, rows_present=2))


def test_only_complete_and_proven_empty_days_are_closed(database: Database) -> None:
    days = [DAY + timedelta(offset) for offset in range(4)]
    with database.begin() as conn:
        write_entry(conn, entry(trade_date=days[0]))
        write_entry(conn, entry(trade_date=days[1], status="empty", rows_expected=0, rows_present=0))
        write_entry(conn, entry(trade_date=days[2], status="partial", rows_expected=9, detail="7 missing"))
        write_entry(conn, entry(trade_date=days[3], status="refused", detail="banned"))
        write_entry(conn, entry(dataset="adjust_factor", trade_date=days[2]))
        assert closed_days(conn, "stock_daily", days[0], days[3]) == set(days[:2])
        assert closed_days(conn, "stock_daily", days[1], days[3]) == {days[1]}
        assert read_entries(conn, "stock_daily", days[1], days[2])["status"].to_list() == ["empty", "partial"]
        assert statuses(conn, "stock_daily", [days[2], NEXT, LATER.date() + timedelta(days=30)]) == {
            NEXT: "empty",
            days[2]: "partial",
        }
        assert summary(conn).rows() == [
            ("adjust_factor", 1, 0, 0, 0, days[2], days[2], 2),
            ("stock_daily", 1, 1, 1, 1, days[0], days[1], 6),
        ]


def test_an_empty_ledger_has_a_summary_without_rows(database: Database) -> None:
    with database.read() as conn:
        assert summary(conn).is_empty()
        assert read_entries(conn, "stock_daily", DAY, NEXT).schema == pl.Schema(LOAD_LEDGER.schema)


def _queues_up(database: Database, mine: tuple[str, list[date]], yours: tuple[str, list[date]]) -> bool:
    entered = threading.Event()

    def second() -> None:
        with database.begin() as conn:
            lock_days(conn, *yours)
            entered.set()

    thread = threading.Thread(target=second)
    with database.begin() as conn:
        lock_days(conn, *mine)
        thread.start()
        passed = entered.wait(0.5)
    thread.join(10)
    assert entered.is_set()
    return not passed


def test_two_runs_of_one_day_queue_up_and_others_pass(database: Database) -> None:
    assert _queues_up(database, ("stock_daily", [DAY, NEXT]), ("stock_daily", [NEXT]))
    assert not _queues_up(database, ("stock_daily", [DAY]), ("stock_daily", [NEXT]))
    assert not _queues_up(database, ("stock_daily", [DAY]), ("adjust_factor", [DAY]))


def test_days_are_taken_in_one_order_so_that_two_runs_cannot_wait_for_each_other(database: Database) -> None:
    errors: list[Exception] = []

    def second() -> None:
        try:
            with database.begin() as conn:
                lock_days(conn, "stock_daily", [NEXT, DAY])
        except Exception as error:  # noqa: BLE001  (a thread's error belongs to the test)
            errors.append(error)

    thread = threading.Thread(target=second)
    with database.begin() as conn:
        lock_days(conn, "stock_daily", [DAY])
        thread.start()
        wait_until_blocked(database)
        # The other run waits for the first day: it must not hold the second one yet.
        lock_days(conn, "stock_daily", [NEXT])
    thread.join(30)
    assert errors == []


def test_a_line_is_a_value() -> None:
    assert replace(entry(), finished_at=NOW) == entry()


RECORDED = "5bd706ef7dcc5d72f159ef4cc8274260d54744624c1e0c185bcd32f3b353ef41"
