"""What the clients do that the crash tests kill: each is one function, run in a process of its own."""

import sys
from collections.abc import Callable, Iterator
from datetime import timedelta

import polars as pl
from sqlalchemy import Connection

from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.storage import index_management, migrate, timescale
from stock_assets.storage.bulk_load import Counts
from stock_assets.storage.database import Database
from stock_assets.storage.full_load import load_whole
from stock_assets.storage.ledger import write_entry
from stock_assets_tests.storage.made_up_rows import DAY, NOW, bars, entry

CODES = [f"{number:06d}.SZ" for number in range(200)]
# Oldest first, each in a part of its own.
DAYS = [DAY - timedelta(days=800 * back) for back in reversed(range(6))]
AT_START = -1


def frames(stop_at: int | None = None) -> Iterator[pl.DataFrame]:
    """Give one frame for each day; before that of number `stop_at` it says so and waits for a line."""
    for number, day in enumerate(DAYS):
        if number == stop_at:
            stop()
        yield bars(CODES, [day], close=9.5 + number / 10)


def write_line(conn: Connection, frame: pl.DataFrame) -> None:
    """Write the ledger of a frame of one day."""
    write_entry(conn, entry(trade_date=frame["trade_date"][0], rows_expected=frame.height, rows_present=frame.height))


def load(database: Database, stop_at: int | None = None) -> Counts:
    """Load every frame, with the indexes away: so many rows are announced that it pays."""
    if stop_at == AT_START:
        stop()
    coming = frames(stop_at)
    return load_whole(database, STOCK_DAILY, coming, rows=10**9, run_id="run", now=NOW, beside=write_line)


def restore(database: Database) -> None:
    """Build what is dropped while others go on."""
    index_management.restore(database)


def upgrade(database: Database) -> None:
    """Migrate up to the newest revision."""
    migrate.upgrade(database)


def downgrade(database: Database) -> None:
    """Migrate down to where the bars lie in one plain table."""
    migrate.downgrade(database, "0003")


def compress(database: Database) -> None:
    """Compress every chunk that is over."""
    timescale.compress(database, settled=DAY)


def stop() -> None:
    """Say that the step is reached, and wait for a line."""
    print("here", flush=True)  # noqa: T201  the test reads it
    sys.stdin.readline()


CALLS: dict[str, Callable[..., object]] = {
    call.__name__: call for call in (load, restore, upgrade, downgrade, compress)
}


def main() -> None:
    """Do what a line says: the store's address, a call, its numbers."""
    address, call, *numbers = sys.stdin.readline().split()
    CALLS[call](Database(address), *map(int, numbers))
