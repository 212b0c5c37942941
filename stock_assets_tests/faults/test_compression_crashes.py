"""A client or its session dies while a chunk is being compressed: the chunk is as it was, and compressing goes on.

The server is shared with others, so it is never killed here.
"""

import sys
from collections.abc import Iterator
from typing import Literal

import pytest
import sqlalchemy as sa

from stock_assets.storage import index_management, migrate, timescale
from stock_assets.storage.bulk_load import Counts
from stock_assets.storage.database import Database
from stock_assets_tests.faults import storage_clients
from stock_assets_tests.faults.stopped_clients import (
    Clients,
    held,
    state_of,
    wait_until_it_waits_in,
    wait_until_noticed,
)
from stock_assets_tests.faults.storage_clients import CODES, DAYS
from stock_assets_tests.storage.made_up_rows import DAY

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")]
_CHUNKS = """
    SELECT format('%I.%I', chunk_schema, chunk_name), is_compressed FROM timescaledb_information.chunks
    WHERE hypertable_name = 'stock_daily_packed' ORDER BY range_start
"""
_TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :client"


@pytest.fixture(scope="module")
def clients() -> Iterator[Clients]:
    clients = Clients()
    yield clients
    clients.close()


def chunks(database: Database) -> dict[str, bool]:
    """Return the chunks, oldest first, and whether they are compressed."""
    with database.read() as conn:
        return {str(name): bool(is_packed) for name, is_packed in conn.execute(sa.text(_CHUNKS))}


@pytest.mark.parametrize("killed", ["client", "session"])
def test_a_chunk_whose_compression_died_is_as_it_was_and_is_compressed_next_time(
    timescale_database: Database, clients: Clients, killed: Literal["client", "session"]
) -> None:
    database, rows = timescale_database, len(CODES) * len(DAYS)
    assert storage_clients.load(database) == Counts(inserted=rows)
    before = state_of(database)
    names = list(chunks(database))
    # A reader of the third: its compression begins and cannot end.
    with clients.run("compress", database) as process:
        with held(database, f"LOCK {names[2]} IN ACCESS SHARE MODE"):
            wait_until_it_waits_in(database, process, "SELECT compress_chunk")
            if killed == "client":
                process.kill()
            else:
                with database.begin() as conn:
                    conn.execute(sa.text(_TERMINATE), {"client": f"stock_assets {process.popen.pid}"})
                assert process.finish() != 0
        wait_until_noticed(database, process)
    assert list(chunks(database).values()) == [True, True] + [False] * (len(names) - 2)
    assert state_of(database) == before
    migrate.upgrade(database)
    timescale.compress(database, settled=DAY)
    # The last one still gets days.
    assert list(chunks(database).values()) == [True] * (len(names) - 1) + [False]
    assert state_of(database) == before
    assert storage_clients.load(database) == Counts(unchanged=rows)
    assert index_management.dropped(database) == []
    assert state_of(database) == before
