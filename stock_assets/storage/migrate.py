"""Bring the database to a revision, and tell which one it has.

Everything happens in one transaction under one lock: a migration that fails leaves nothing behind, and of two processes
that start together one migrates while the other waits and then finds nothing to do.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from stock_assets.domain.errors import ConfigurationError
from stock_assets.storage.database import Database

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "alembic_version"
# Any number does, as long as every version of this project takes the same one.
_LOCK = 0x570C_4A55


def upgrade(database: Database, revision: str = "head") -> None:
    """Bring the database up to `revision`; nothing happens when it is there already.

    Errors: `ConfigurationError` when the database has a revision that this code does not know.
    """
    from alembic import command  # noqa: PLC0415  (costs a second that most starts need not pay)

    with _exclusive(database) as config:
        command.upgrade(config, revision)


def downgrade(database: Database, revision: str) -> None:
    """Bring the database down to `revision`; `base` drops every table with its rows.

    Errors: `ConfigurationError` as for `upgrade`.
    """
    from alembic import command  # noqa: PLC0415  (as above)

    with _exclusive(database) as config:
        command.downgrade(config, revision)


def current(database: Database) -> str | None:
    """Return the database's revision, or None when it was never migrated."""
    versions = sa.table(VERSION_TABLE, sa.column("version_num", sa.String), schema=database.schema)
    with database.read() as conn:
        if not sa.inspect(conn).has_table(VERSION_TABLE, schema=database.schema):
            return None
        return conn.scalar(sa.select(versions.c.version_num))


def head() -> str:
    """Return the newest revision this code knows."""
    return max(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def pending(database: Database) -> bool:
    """Return whether the database is not at the newest revision this code knows."""
    return current(database) != head()


@contextmanager
def _exclusive(database: Database) -> Generator["Config"]:
    from alembic.config import Config  # noqa: PLC0415  (as above)
    from alembic.util import CommandError  # noqa: PLC0415  (as above)

    config = Config()
    # Alembic reads its options through a parser to which a percent sign is special.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with database.begin() as conn:
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        # Asked first: IF NOT EXISTS needs the right to create even where nothing has to be created.
        if not sa.inspect(conn).has_schema(database.schema):
            conn.execute(sa.schema.CreateSchema(database.schema))
        config.attributes.update(connection=conn, schema=database.schema)
        try:
            yield config
        except CommandError as error:
            raise ConfigurationError(
                problem=f"the database cannot be migrated ({error}); it may belong to a newer version of this program",
                problem_zh=f"数据库无法迁移（{error}），它可能属于更新的程序版本",
            ) from error
