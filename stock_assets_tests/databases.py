"""Servers and databases of the tests: where they are, and how one is made and dropped."""

import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import sqlalchemy as sa
from psycopg import sql

from stock_assets.storage.database import Database


class Server(Protocol):
    """A running PostgreSQL on which tests may create databases."""

    def url(self, database: str = "postgres") -> str:
        """Return the address of one of its databases."""
        ...


@dataclass(frozen=True, slots=True)
class ExternalServer:
    """A server that the environment names."""

    address: str

    def url(self, database: str = "postgres") -> str:
        """Return its address with another database."""
        return sa.make_url(self.address).set(database=database).render_as_string(hide_password=False)


@contextmanager
def own_database(server: Server, template: str = "template1", owner: str | None = None) -> Generator[str]:
    """Give the address of a new database, a copy of `template`; it is dropped at the end."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    admin = Database(server.url("postgres"))
    try:
        with admin.dedicated() as connection:
            create = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {} {}")
            role = sql.Identifier(owner) if owner else sql.SQL("DEFAULT")
            # A third of the time where nothing waits for the disk; elsewhere a checkpoint would cost more than it saves.
            how = sql.SQL("" if isinstance(server, ExternalServer) else "STRATEGY FILE_COPY")
            connection.execute(create.format(sql.Identifier(name), sql.Identifier(template), role, how))
        yield server.url(name)
    finally:
        with admin.dedicated() as connection:
            # Commands that ran on it have put Dagster's own database beside it.
            for one in (name, f"{name}_dagster"):
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(one)))
        admin.close()
