"""The embedded server's settings: durable whatever else they say, taken over as they stand, sane on small and large machines."""

from collections.abc import Iterator

import psycopg
import pytest

from stock_assets.storage.embedded import EmbeddedServer
from stock_assets.storage.server_settings import laptop_settings
from stock_assets_tests.faults.stores import new_home, remove_home

GIB = 2**30
DURABLE = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "data_checksums": "on",
    "ignore_checksum_failure": "off",
    "zero_damaged_pages": "off",
}


@pytest.fixture(scope="module")
def running() -> Iterator[psycopg.Connection]:
    """A session of a running embedded server."""
    home = new_home()
    server = EmbeddedServer(home)
    with psycopg.connect(server.ensure_running(), autocommit=True) as connection:
        yield connection
    server.release()
    remove_home(home)


@pytest.mark.parametrize(("setting", "value"), DURABLE.items())
def test_no_setting_makes_a_committed_row_less_safe(running: psycopg.Connection, setting: str, value: str) -> None:
    assert running.execute("SELECT current_setting(%s)", [setting]).fetchone() == (value,)


def test_the_table_leaves_durability_alone() -> None:
    for memory in (None, GIB, 64 * GIB):
        assert DURABLE.keys() & laptop_settings(memory).keys() == set()


def test_the_server_has_taken_every_value_over(running: psycopg.Connection) -> None:
    refused = running.execute("SELECT name, error FROM pg_file_settings WHERE error IS NOT NULL").fetchall()
    assert refused == []
    query = "SELECT name FROM pg_file_settings WHERE applied AND sourcefile LIKE '%stock_assets.conf'"
    applied = {str(name).lower() for (name,) in running.execute(query).fetchall()}
    assert applied >= set(laptop_settings())


@pytest.mark.parametrize(
    ("gib", "buffers", "cache", "maintenance"), [(1, 256, 512, 64), (4, 256, 2048, 256), (64, 256, 32768, 256)]
)
def test_memory_stays_within_bounds_on_every_machine(gib: int, buffers: int, cache: int, maintenance: int) -> None:
    settings = laptop_settings(gib * GIB)
    assert settings["shared_buffers"] == f"{buffers}MB"
    assert settings["effective_cache_size"] == f"{cache}MB"
    assert settings["maintenance_work_mem"] == f"{maintenance}MB"
    # A build with two helpers and a sort in each of ten sessions, beside the buffers.
    assert buffers + maintenance + 10 * 16 < gib * 1024 / 2
