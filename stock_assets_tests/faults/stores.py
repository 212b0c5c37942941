"""Databases that live longer than one test."""

import shutil
import tempfile
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from psycopg import sql

from stock_assets.domain.errors import StockAssetsError
from stock_assets.storage.database import Database
from stock_assets.storage.embedded import EmbeddedServer
from stock_assets_tests.conftest import Server


@contextmanager
def own_database(server: Server, template: str) -> Generator[str]:
    """Give the address of a new migrated database, dropped at the end."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    admin = Database(server.url("postgres"))
    with admin.dedicated() as connection:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
    try:
        yield server.url(name)
    finally:
        with admin.dedicated() as connection:
            # Commands that ran on it have put Dagster's own database beside it.
            for one in (name, f"{name}_dagster"):
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(one)))
        admin.close()


def new_home() -> Path:
    """Return a data folder; not under pytest's own, which is closed to the account that runs the server as root."""
    return Path(tempfile.mkdtemp(prefix="stock-assets-tests-"))


def remove_home(home: Path) -> None:
    """Stop the server of a data folder and delete it."""
    with suppress(StockAssetsError):
        EmbeddedServer(home).stop()
    shutil.rmtree(home, ignore_errors=True)
