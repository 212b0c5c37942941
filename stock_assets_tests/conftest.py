"""What the tests of every floor share: one server for the session, a fresh database for a test, the recorded data."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from stock_assets.storage import migrate
from stock_assets.storage.database import Database
from stock_assets.storage.embedded import EmbeddedServer
from stock_assets_tests.databases import ExternalServer, Server, own_database

# A shell that starts the tests in the background makes them, and every process that they start, deaf to Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TEST_DATABASE_URL = "STOCK_ASSETS_TEST_DATABASE_URL"
TEST_TIMESCALE_URL = "STOCK_ASSETS_TEST_TIMESCALE_URL"
_MEMORY, _ROOM_BYTES = Path("/dev/shm"), 8 * 2**30  # noqa: S108  nothing secret is in a test's store


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests first: what takes minutes must not begin when the other processes are done."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def structlog_as_it_was() -> Iterator[None]:
    """A test that sets the log up does not decide what the next one sees."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One PostgreSQL for the whole session: embedded in a home of its own, or the one the environment names."""
    external = os.environ.get(TEST_DATABASE_URL)
    if external:
        yield ExternalServer(external)
        return
    # Not under pytest's own temporary folder: pytest closes that one to the account that runs the server as root.
    home = Path(tempfile.mkdtemp(prefix="stock-assets-tests-", dir=_in_memory()))
    embedded = EmbeddedServer(home)
    embedded.ensure_running()
    admin = Database(embedded.url())
    with admin.dedicated() as connection:
        # What is killed here is processes, never the machine: nothing has to wait for the disk.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    admin.close()
    yield embedded
    embedded.release()
    shutil.rmtree(home, ignore_errors=True)


def _in_memory() -> Path | None:
    """Return a folder whose files are kept in memory, None where there is none with room: six hundred files a database."""
    if not _MEMORY.is_dir() or not os.access(_MEMORY, os.W_OK):
        return None
    return _MEMORY if shutil.disk_usage(_MEMORY).free >= _ROOM_BYTES else None


@pytest.fixture(scope="session")
def migrated_template(server: Server) -> Iterator[str]:
    """The name of a database at the newest revision, without rows and without connections."""
    with own_database(server) as url:
        template = Database(url)
        migrate.upgrade(template)
        template.close()
        yield template.name


@pytest.fixture
def database_url(server: Server, migrated_template: str) -> Iterator[str]:
    """The address of a migrated database of this test alone, for tests that connect from other processes."""
    with own_database(server, migrated_template) as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated database of this test alone."""
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture(scope="session")
def timescale_server() -> Server:
    """The server with TimescaleDB that `STOCK_ASSETS_TEST_TIMESCALE_URL` names; without it the test is skipped."""
    address = os.environ.get(TEST_TIMESCALE_URL)
    if not address:
        pytest.skip(f"NO TIMESCALEDB: {TEST_TIMESCALE_URL} is not set")
    return ExternalServer(address)


@pytest.fixture
def timescale_url(timescale_server: Server) -> Iterator[str]:
    """The address of a migrated database of this test alone in which TimescaleDB is there."""
    with own_database(timescale_server, "template0") as url:
        database = Database(url)
        with database.dedicated() as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        migrate.upgrade(database)
        database.close()
        yield url


@pytest.fixture
def timescale_database(timescale_url: str) -> Iterator[Database]:
    """A migrated database of this test alone in which TimescaleDB is there."""
    database = Database(timescale_url)
    yield database
    database.close()


@pytest.fixture(scope="session")
def recorded_data() -> Path:
    """The folder of recorded answers beside the checkout; without it the test is skipped."""
    folder = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"RECORDED DATA MISSING: no folder {folder}")
    return folder
