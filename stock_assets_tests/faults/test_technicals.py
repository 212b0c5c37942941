"""A run that computes indicators is killed in the middle of writing: nothing is half there, and the next run ends whole.

The place is reached for certain: a rule on the table waits at one row for a lock that the test holds.
"""

import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

from stock_assets.storage import ledger
from stock_assets.storage.database import Database
from stock_assets_tests.pipeline.technical_workshop import DAYS, Workshop
from stock_assets_tests.storage.conftest import Process

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
LATE = "900901.SH"
_STOPS_AT = """
    CREATE FUNCTION wait_here() RETURNS boolean LANGUAGE plpgsql AS $body$
        BEGIN PERFORM pg_advisory_xact_lock_shared(77); RETURN true; END
    $body$;
    ALTER TABLE technical_daily ADD CONSTRAINT breakpoint
        CHECK (ts_code <> '{code}' OR trade_date <> '{day}' OR wait_here()) NOT VALID
"""
_CLIENT = """
import sys
from datetime import date
from pathlib import Path
from stock_assets.storage.database import Database
from stock_assets_tests.pipeline.technical_workshop import Workshop
workshop = Workshop(Database(sys.argv[1]), Path(sys.argv[2]), write_rows=int(sys.argv[3]))
workshop.compute(date.fromisoformat(sys.argv[4]))
"""
Kill = Callable[[Workshop, str, date, date], None]


@pytest.fixture
def workshop(database: Database, tmp_path: Path) -> Workshop:
    # So few rows a frame that a whole computation writes several.
    return Workshop(database, tmp_path / "ring", write_rows=60)


@pytest.fixture
def kill_at(database_url: str) -> Iterator[Kill]:
    """Kills a process that computes `day` when it writes one row."""
    started: list[Process] = []

    def kill(workshop: Workshop, ts_code: str, at: date, day: date) -> None:
        with workshop.database.begin() as conn:
            conn.execute(sa.text(_STOPS_AT.format(code=ts_code, day=at)))
        with workshop.database.dedicated() as guard:
            guard.execute("SELECT pg_advisory_lock(77)")
            process = Process(_CLIENT, database_url, str(workshop.ring), str(workshop.write_rows), str(day))
            started.append(process)
            _wait_until_it_waits(workshop.database)
            process.kill()
        with workshop.database.begin() as conn:
            conn.execute(sa.text("ALTER TABLE technical_daily DROP CONSTRAINT breakpoint; DROP FUNCTION wait_here"))

    yield kill
    for process in started:
        if process.popen.poll() is None:
            process.kill()
        for stream in (process.popen.stdin, process.popen.stdout):
            if stream is not None:
                stream.close()


def _wait_until_it_waits(database: Database) -> None:
    """Wait until the process waits for the lock; loading compiled kernels may take it a while."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()"
    with database.dedicated() as connection:
        for _ in range(1200):
            row = connection.execute(query).fetchone()
            if row is not None and row[0]:
                return
            connection.execute("SELECT pg_sleep(0.1)")
    pytest.fail("it never came to that row")


def computed_days(workshop: Workshop) -> set[date]:
    """Return the days that the ledger says are computed."""
    with workshop.database.read() as conn:
        return ledger.known_days(conn, "technical_daily")


def test_a_night_that_is_killed_wrote_nothing(workshop: Workshop, kill_at: Kill) -> None:
    workshop.land(DAYS[:40])
    workshop.compute()
    before = workshop.stored()
    workshop.land(DAYS[40:42])
    kill_at(workshop, LATE, DAYS[41], DAYS[41])
    assert workshop.stored().equals(before)
    assert computed_days(workshop) == set(DAYS[:40])
    workshop.compute(DAYS[41])
    workshop.assert_whole()


def test_a_whole_computation_that_is_killed_claims_no_day_and_goes_on(workshop: Workshop, kill_at: Kill) -> None:
    workshop.land(DAYS[:80])
    kill_at(workshop, LATE, DAYS[10], DAYS[79])
    there = workshop.stored()
    assert 0 < there.height < workshop.expected().height
    assert computed_days(workshop) == set()
    before = workshop.versions()
    report = workshop.compute()
    # What was committed is not written again.
    assert workshop.written_since(before).isdisjoint(before)
    assert report.updated == 0
    workshop.assert_whole()


def test_a_correction_that_is_killed_is_made_by_the_next_run(workshop: Workshop, kill_at: Kill) -> None:
    workshop.land(DAYS[:80])
    workshop.compute()
    workshop.truth = workshop.truth.with_columns(
        pl.when(pl.col("trade_date") == DAYS[30]).then(pl.col("high") + 0.01).otherwise("high").alias("high")
    )
    workshop.land([DAYS[30]])
    traded = workshop.truth.filter(~pl.col("is_suspended"), ts_code=LATE)["trade_date"]
    kill_at(workshop, LATE, next(day for day in traded if day > DAYS[30]), DAYS[79])
    report = workshop.compute()
    assert [outcome.day for outcome in report.outcomes] == [DAYS[30]]
    workshop.assert_whole()
