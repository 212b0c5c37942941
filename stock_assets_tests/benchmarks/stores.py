"""A store of its own for a benchmark: an embedded server in a fresh folder, or a database that was named."""

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from stock_assets.storage import migrate
from stock_assets.storage.database import Database
from stock_assets.storage.embedded import EmbeddedServer


@contextmanager
def store(url: str | None) -> Generator[Database]:
    """Give an empty, migrated store; `url` names an empty database, by default a server is started."""
    # Not below a folder that is closed to others: as root the server runs as an account of its own.
    home = Path(tempfile.mkdtemp(prefix="stock-assets-bench-"))
    server = None if url else EmbeddedServer(home)
    database = Database(url or ("" if server is None else server.ensure_running()))
    try:
        migrate.upgrade(database)
        yield database
    finally:
        database.close()
        if server is not None:
            server.release()
        shutil.rmtree(home, ignore_errors=True)


def wal_bytes(database: Database) -> int:
    """Return how much WAL the server has written so far."""
    with database.read() as conn:
        return int(conn.execute(sa.text("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")).scalar_one())


def checkpoint(database: Database) -> None:
    """Bring what is written to disk, so that no measurement pays for the one before it."""
    with database.dedicated() as connection:
        connection.execute("CHECKPOINT")
