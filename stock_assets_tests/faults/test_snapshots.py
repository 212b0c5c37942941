"""Snapshots under kills and crowds: a day has one whole current file and one row, whoever died or came at the same time."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from stock_assets.domain.errors import InvalidInput
from stock_assets.pipeline.snapshot import prune_snapshots
from stock_assets.pipeline.snapshot_columns import SNAPSHOT
from stock_assets.storage import ledger, snapshot_files
from stock_assets.storage.database import Database
from stock_assets.storage.snapshots import sweep
from stock_assets_tests.faults.snapshot_clients import STEPS
from stock_assets_tests.pipeline.snapshot_workshop import SnapshotWorkshop
from stock_assets_tests.storage.made_up_days import WEEK

KILLS = 3
FRIDAY = WEEK[-1]


@pytest.fixture
def workshop(database: Database, tmp_path: Path) -> SnapshotWorkshop:
    """A filled store of this test alone."""
    return SnapshotWorkshop.filled(database, tmp_path / "snapshots")


@pytest.fixture
def client(database_url: str, workshop: SnapshotWorkshop) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts processes that publish; none outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def start(what: str, step: str = "") -> "subprocess.Popen[str]":
        one = subprocess.Popen(
            [sys.executable, "-m", "stock_assets_tests.faults.snapshot_clients"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(one)
        tell(one, "\t".join([database_url, str(workshop.folder), what, step]))
        wait_for(one, "here")
        return one

    yield start
    for one in started:
        one.kill()
        one.communicate()


def tell(client: "subprocess.Popen[str]", line: str) -> None:
    assert client.stdin is not None
    client.stdin.write(f"{line}\n")
    client.stdin.flush()


def wait_for(client: "subprocess.Popen[str]", *words: str) -> str:
    """Return the first of these words that it says; its log lines are passed over."""
    assert client.stdout is not None
    for line in client.stdout:
        if line.strip() in words:
            return line.strip()
    raise AssertionError(client.wait(10))


def wait_until_unlocked(database: Database) -> None:
    """Wait until the server has noticed that a killed process is gone, and has let go of its days."""
    query = (
        "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
        " WHERE locktype = 'advisory' AND datname = current_database()"
    )
    until = time.monotonic() + 10
    with database.dedicated() as connection:
        while connection.execute(query).fetchone() != (0,):
            assert time.monotonic() < until
            time.sleep(0.02)


def check_whole(workshop: SnapshotWorkshop) -> None:
    """Every row has its whole file, and each day's line in the ledger names its current snapshot."""
    rows = workshop.listed()
    for row in rows.iter_rows(named=True):
        assert snapshot_files.is_whole(workshop.folder, row["path"], row["digest"])
    current = rows.filter("is_current").sort("trade_date")
    assert current["trade_date"].is_unique().all()
    with workshop.database.read() as conn:
        lines = ledger.read_entries(conn, "cache_snapshot", WEEK[0], FRIDAY)
    assert lines["digest"].to_list() == current["snapshot_id"].to_list()


@pytest.mark.parametrize("step", STEPS)
def test_a_publication_killed_at_any_step_leaves_nothing_or_whole_snapshots(
    workshop: SnapshotWorkshop, client: Callable[..., "subprocess.Popen[str]"], step: str
) -> None:
    killed = client("until", step)
    # Files of days that are not committed are there, but no row says so.
    assert workshop.files()
    assert workshop.listed().is_empty()
    killed.kill()
    killed.wait()
    with pytest.raises(InvalidInput):
        workshop.reader().read(FRIDAY)
    wait_until_unlocked(workshop.database)
    report = workshop.publish()
    assert report.swept > 0
    assert report.count("published") == len(WEEK)
    check_whole(workshop)
    assert workshop.files() == set(workshop.listed()["path"])


@pytest.mark.slow
def test_killed_again_and_again_it_leaves_whole_snapshots(
    workshop: SnapshotWorkshop, client: Callable[..., "subprocess.Popen[str]"]
) -> None:
    chance = random.Random(20261123)  # noqa: S311  repeatable, no secret
    for _ in range(KILLS):
        killed = client("for ever")
        time.sleep(chance.uniform(0, 0.8))
        killed.kill()
        killed.wait()
        check_whole(workshop)
    workshop.publish()
    check_whole(workshop)
    assert workshop.files() == set(workshop.listed()["path"])


def test_two_processes_that_publish_a_day_at_once_make_one_row_and_one_whole_file(
    workshop: SnapshotWorkshop, client: Callable[..., "subprocess.Popen[str]"]
) -> None:
    both = [client("friday"), client("friday")]
    for one in both:
        tell(one, "go")
    verdicts = [wait_for(one, "published", "rewritten", "unchanged") for one in both]
    assert sorted(verdicts) == ["published", "unchanged"]
    check_whole(workshop)
    assert workshop.listed().height == len(workshop.files()) == 1


def test_a_file_that_another_process_is_about_to_commit_is_not_swept(
    workshop: SnapshotWorkshop, client: Callable[..., "subprocess.Popen[str]"]
) -> None:
    slow = client("until", "row to be written")
    waiting = workshop.files()
    prune_snapshots(workshop.context, workshop.folder, keep_versions=1)
    assert sweep(workshop.database, workshop.folder) == []
    assert workshop.files() == waiting
    tell(slow, "go on")
    assert slow.wait(30) == 0
    check_whole(workshop)


def read_until(stop: threading.Event, workshop: SnapshotWorkshop, shapes: set[tuple[int, int]]) -> None:
    """Read the day, and the version that was its own a moment ago, until told to stop."""
    reader = workshop.reader()
    while not stop.is_set():
        name = workshop.row(FRIDAY).snapshot_id
        shapes.add(reader.read(FRIDAY).shape)
        # It may be let go between its row and its file.
        with suppress(InvalidInput):
            shapes.add(workshop.reader().read(name).shape)


def test_readers_see_whole_snapshots_or_a_clear_sentence_while_versions_come_and_go(workshop: SnapshotWorkshop) -> None:
    workshop.publish(FRIDAY)
    stop, shapes = threading.Event(), set[tuple[int, int]]()
    change = "UPDATE stock_daily SET close = :close WHERE ts_code = '600000.SH'"
    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read_until, stop, workshop, shapes) for _ in range(3)]
        for number in range(6):
            workshop.change(change, close=10 + number / 100)
            workshop.publish(FRIDAY)
            prune_snapshots(workshop.context, workshop.folder, keep_versions=1)
        stop.set()
        for one in readers:
            assert one.exception(30) is None
    assert shapes == {(5, len(SNAPSHOT.names))}
    assert workshop.files() == set(workshop.listed()["path"])


def test_who_has_opened_a_snapshot_reads_it_on_after_it_is_gone(workshop: SnapshotWorkshop) -> None:
    workshop.publish(FRIDAY)
    row, reader = workshop.row(FRIDAY), workshop.reader()
    frame = reader.read(row.snapshot_id)
    workshop.change("UPDATE stock_daily SET close = 10.9 WHERE ts_code = '600000.SH'")
    workshop.publish(FRIDAY)
    prune_snapshots(workshop.context, workshop.folder, keep_versions=1)
    assert not (workshop.folder / row.path).exists()
    assert_frame_equal(reader.read(row.snapshot_id), frame)
    with pytest.raises(InvalidInput, match="there is no snapshot"):
        workshop.reader().read(row.snapshot_id)
