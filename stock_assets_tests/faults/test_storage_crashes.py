"""A client or the server dies in the middle of a load, of building indexes, of a migration: started again, all is whole.

Every step is reached for certain: the test holds a lock for which the client's statement must wait, sees it wait, and
kills then. The server and its databases belong to this module alone.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pytest
import sqlalchemy as sa

from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.storage import index_management, migrate
from stock_assets.storage.bulk_load import Counts
from stock_assets.storage.database import Database, ensure_database
from stock_assets.storage.embedded import EmbeddedServer
from stock_assets_tests.databases import own_database
from stock_assets_tests.faults import storage_clients
from stock_assets_tests.faults.stopped_clients import (
    Clients,
    Step,
    held,
    rows_and_ledger,
    state_of,
    tell,
    wait_until_it_stops,
    wait_until_it_waits_in,
    wait_until_noticed,
)
from stock_assets_tests.faults.storage_clients import AT_START, CODES, DAYS
from stock_assets_tests.faults.stores import new_home, remove_home
from stock_assets_tests.storage.conftest import Process
from stock_assets_tests.storage.made_up_rows import NOW
from stock_assets_tests.storage.test_crash import kill_server

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")]
Killed = Literal["client", "server"]
KILLED: tuple[Killed, ...] = ("client", "server")
# A rule that is always kept, but whose check of one bar waits while the test holds this lock: writing stops at that bar.
HOLD_BAR = "SELECT pg_advisory_xact_lock(77)"
STOPS_AT = 3
_BREAKPOINT = f"""
    CREATE FUNCTION wait_here() RETURNS boolean LANGUAGE plpgsql AS $body$
        BEGIN PERFORM pg_advisory_xact_lock_shared(77); RETURN true; END
    $body$;
    ALTER TABLE stock_daily ADD CONSTRAINT breakpoint CHECK (
        ts_code <> '{CODES[len(CODES) // 2]}' OR trade_date <> '{DAYS[STOPS_AT]}' OR wait_here()
    )
"""


@dataclass(frozen=True, slots=True)
class Crashes:
    """A server of this module, with an empty store and a loaded one as templates, and what the loaded one is like."""

    server: EmbeddedServer
    clients: Clients
    undisturbed: dict[str, object]


@pytest.fixture(scope="module")
def crashes() -> Iterator[Crashes]:
    home = new_home()
    server = EmbeddedServer(home)
    clients = Clients()
    server.ensure_running()
    try:
        for name in ("empty", "loaded"):
            ensure_database(server.url("postgres"), name)
            database = Database(server.url(name))
            migrate.upgrade(database)
            with database.begin() as conn:
                conn.execute(sa.text(_BREAKPOINT))
            if name == "loaded":
                assert storage_clients.load(database) == Counts(inserted=len(DAYS) * len(CODES))
            state = state_of(database)
            database.close()
        yield Crashes(server, clients, state)
    finally:
        clients.close()
        server.release()
        remove_home(home)


@pytest.fixture
def empty(crashes: Crashes) -> Iterator[Database]:
    yield from _store(crashes, "empty")


@pytest.fixture
def loaded(crashes: Crashes) -> Iterator[Database]:
    yield from _store(crashes, "loaded")


def _store(crashes: Crashes, template: str) -> Iterator[Database]:
    with own_database(crashes.server, template) as url:
        database = Database(url)
        yield database
        database.close()
        crashes.server.ensure_running()


def kill(killed: Killed, process: Process, server: EmbeddedServer) -> None:
    """Kill the client with -9, or the server and all its processes, which the client does not take for success."""
    if killed == "client":
        process.kill()
        return
    kill_server(server.home)
    assert process.finish() != 0
    server.ensure_running()


def crash(killed: Killed, step: Step, call: str, database: Database, crashes: Crashes) -> None:
    """Run a client into a step and kill; a call that stops by itself is held only from there on."""
    with crashes.clients.run(call, database) as process:
        if step.stop_at is not None:
            wait_until_it_stops(process)
        with held(database, step.hold):
            if step.stop_at is not None:
                tell(process)
            wait_until_it_waits_in(database, process, step.waits_in)
            kill(killed, process, crashes.server)
        wait_until_noticed(database, process)


LOADING = {
    "an index is being dropped": (Step("LOCK dropped_index IN SHARE MODE", "INSERT INTO dropped_index", AT_START), 0),
    "rows are on their way": (Step(HOLD_BAR, "COPY", AT_START), STOPS_AT),
    "rows are there and their ledger is not": (
        Step("LOCK load_ledger IN SHARE MODE", "INSERT INTO load_ledger", STOPS_AT),
        STOPS_AT,
    ),
    "an index is built and still called dropped": (
        Step("LOCK dropped_index IN SHARE MODE", "DELETE FROM dropped_index", STOPS_AT),
        len(DAYS),
    ),
}
RESTORING = {
    "no part is begun": Step("LOCK stock_daily_from_1990 IN SHARE UPDATE EXCLUSIVE MODE", "CREATE INDEX CONCURRENTLY"),
    "a part is half built": Step("LOCK stock_daily_from_2018 IN ROW EXCLUSIVE MODE", "CREATE INDEX CONCURRENTLY"),
    "all is built and still called dropped": Step("LOCK dropped_index IN SHARE MODE", "DELETE FROM dropped_index"),
}


@pytest.mark.parametrize("killed", KILLED)
@pytest.mark.parametrize("where", LOADING)
def test_a_load_that_died_leaves_whole_frames_with_their_ledger_and_is_simply_started_again(
    empty: Database, crashes: Crashes, where: str, killed: Killed
) -> None:
    step, committed = LOADING[where]
    crash(killed, step, f"load {step.stop_at}", empty, crashes)
    assert_whole_frames(empty, committed)
    assert_can_be_loaded_again(empty, crashes, committed)


@pytest.mark.parametrize("killed", KILLED)
def test_a_load_that_died_between_two_frames_is_simply_started_again(
    empty: Database, crashes: Crashes, killed: Killed
) -> None:
    with crashes.clients.run(f"load {STOPS_AT}", empty) as process:
        wait_until_it_stops(process)
        kill(killed, process, crashes.server)
        wait_until_noticed(empty, process)
    assert_whole_frames(empty, STOPS_AT)
    assert len(index_management.dropped(empty)) == 1
    assert_can_be_loaded_again(empty, crashes, STOPS_AT)


@pytest.mark.parametrize("killed", KILLED)
@pytest.mark.parametrize("where", RESTORING)
def test_indexes_whose_building_died_are_built_at_the_next_start(
    loaded: Database, crashes: Crashes, where: str, killed: Killed
) -> None:
    lose_indexes(loaded)
    crash(killed, RESTORING[where], "restore", loaded, crashes)
    assert len(index_management.dropped(loaded)) == 1
    migrate.upgrade(loaded)
    index_management.restore(loaded)
    assert index_management.dropped(loaded) == []
    assert state_of(loaded) == crashes.undisturbed


@pytest.mark.parametrize("where", RESTORING)
def test_indexes_whose_building_died_are_built_by_the_next_load(loaded: Database, crashes: Crashes, where: str) -> None:
    lose_indexes(loaded)
    crash("client", RESTORING[where], "restore", loaded, crashes)
    assert_can_be_loaded_again(loaded, crashes, len(DAYS))


@pytest.mark.parametrize("killed", KILLED)
@pytest.mark.parametrize("call", ["upgrade", "downgrade"])
def test_a_migration_that_died_while_it_copied_bars_has_done_nothing_and_can_be_started_again(
    loaded: Database, crashes: Crashes, call: str, killed: Killed
) -> None:
    if call == "upgrade":
        migrate.downgrade(loaded, "0003")
    before = state_of(loaded)
    crash(killed, Step(HOLD_BAR, "INSERT INTO stock_daily_new"), call, loaded, crashes)
    assert state_of(loaded) == before
    if call == "downgrade":
        migrate.downgrade(loaded, "0003")
        assert state_of(loaded)["bars"] == crashes.undisturbed["bars"]
    migrate.upgrade(loaded)
    assert state_of(loaded) == crashes.undisturbed
    assert_can_be_loaded_again(loaded, crashes, len(DAYS))


def lose_indexes(database: Database) -> None:
    """Do what a load does that dies at once."""
    assert index_management._drop_all(database, STOCK_DAILY, "dead", NOW)  # pyright: ignore[reportPrivateUsage]


def assert_whole_frames(database: Database, frames: int) -> None:
    """The first so many frames are there, and the ledger names exactly these."""
    expected = [(day, len(CODES)) for day in DAYS[:frames]]
    assert rows_and_ledger(database) == (expected, expected)


def assert_can_be_loaded_again(database: Database, crashes: Crashes, frames: int) -> None:
    """The same load, simply started again, writes what is missing and leaves what an undisturbed one leaves."""
    migrate.upgrade(database)
    there = frames * len(CODES)
    assert storage_clients.load(database) == Counts(inserted=len(DAYS) * len(CODES) - there, unchanged=there)
    assert index_management.dropped(database) == []
    assert state_of(database) == crashes.undisturbed
