"""The whole content of a small store, kept aside and put back: many experiments begin in the same state."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from stock_assets.storage.database import Database

_TABLES: Final = sa.text("""
    SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = 'public' AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'alembic_version'
    ORDER BY relname
""")
# Nobody is to notice: no version is kept of what is put back, and no row waits for another.
_UNSEEN: Final = sa.text("SET LOCAL session_replication_role = replica")


@dataclass(slots=True)
class KeptStore:
    """States of a store and of the folder beside it, by name."""

    database: Database
    folder: Path
    _filled: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    _tables: list[str] = field(default_factory=list[str])

    def keep(self, name: str) -> None:
        """Remember what is there now."""
        with self.database.begin() as conn:
            self._tables = list(conn.scalars(_TABLES))
            conn.execute(sa.text(f"CREATE SCHEMA {name}"))
            self._filled[name] = []
            for table in self._tables:
                if conn.scalar(sa.text(f"SELECT EXISTS (SELECT FROM public.{table})")):  # noqa: S608  names of ours
                    conn.execute(sa.text(f"CREATE TABLE {name}.{table} AS TABLE public.{table}"))
                    self._filled[name].append(table)
        aside = self._aside(name)
        if self.folder.exists():
            shutil.copytree(self.folder, aside)
        else:
            aside.mkdir(parents=True)

    def put_back(self, name: str) -> None:
        """Make it so again."""
        with self.database.begin() as conn:
            conn.execute(_UNSEEN)
            for table in self._tables:
                conn.execute(sa.text(f"DELETE FROM public.{table}"))  # noqa: S608  names of ours
            for table in self._filled[name]:
                conn.execute(
                    sa.text(f"INSERT INTO public.{table} OVERRIDING SYSTEM VALUE SELECT * FROM {name}.{table}")  # noqa: S608
                )
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self._aside(name), self.folder)

    def forget(self, name: str) -> None:
        """Remember it no longer."""
        with self.database.begin() as conn:
            conn.execute(sa.text(f"DROP SCHEMA {name} CASCADE"))
        del self._filled[name]
        shutil.rmtree(self._aside(name))

    def _aside(self, name: str) -> Path:
        return self.folder.parent / f"{self.folder.name}-{name}"
