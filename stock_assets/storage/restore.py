"""Puts a backup in the place of the store: into a new database first, which then takes the store's name.

Whatever fails, or kills the process, before the names change leaves the store as it was; both names change in one
transaction. What a killed restore left behind is removed by the next one.
"""

import hashlib
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg import sql

from stock_assets.domain.errors import BackupFailed, ConfigurationError, StoreInUse
from stock_assets.storage import migrate
from stock_assets.storage.backup import Backup
from stock_assets.storage.database import Database
from stock_assets.storage.database_copy import Session, create_like
from stock_assets.storage.packing import HELD_IN
from stock_assets.storage.postgres_programs import complaint, server_version
from stock_assets.storage.schema import metadata

# A name has at most 63 bytes.
_NAME_LENGTH = 40
# pg_restore sets it in every session from version 17 on, and servers before 17 do not know it.
_TIMEOUT_SETTING, _KNOWN_FROM = '"transaction_timeout"', 17
_MOST_JOBS = 4
_USERS = """
    SELECT pid, application_name FROM pg_stat_activity
    WHERE datname = %s AND pid <> pg_backend_pid() AND coalesce(backend_type, 'client backend') = 'client backend'
"""
_TABLES = """
    SELECT nspname, relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND NOT relispartition AND nspname !~ '^(pg_|information_schema$|_?timescaledb_)'
    AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
"""


def restore(backup: Backup, database: Database) -> None:
    """Replace the store by the backup; the database's own rights and settings stay.

    Errors: `StoreInUse` when others are connected, `ConfigurationError` when this server or user cannot do it,
    `BackupFailed` when pg_restore fails. After any error the store is what it was.
    """
    name = database.name
    new, old = f"{name[:_NAME_LENGTH]}_stock_assets_new", f"{name[:_NAME_LENGTH]}_stock_assets_old"
    with _alone(database) as admin, _rights_explained():
        _check_fits(backup, database)
        for leftover in (new, old):
            _drop(admin, leftover)
        try:
            with _held_still(database):
                create_like(admin, name, new)
                _fill(database.beside(new), backup)
            _swap(admin, name, new, old)
        except BaseException:
            with suppress(psycopg.Error):
                _drop(admin, new)
            raise
        with suppress(psycopg.Error):
            _drop(admin, old)


def refuse_when_used(database: Database) -> None:
    """Raise `StoreInUse` when a restore would be refused because of others."""
    with _alone(database):
        pass


@contextmanager
def _alone(database: Database) -> Generator[Session]:
    """Give a session beside the store in which nobody else can restore it.

    Errors: `StoreInUse` when somebody uses the store.
    """
    database.close()
    with database.beside("postgres").dedicated() as admin:
        name = f"stock_assets.restore.{database.name}"
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        if admin.execute("SELECT pg_try_advisory_lock(%s)", [key]).fetchone() != (True,):
            raise StoreInUse(who="db restore")
        users = admin.execute(_USERS, [database.name]).fetchall()
        if users:
            raise StoreInUse(who=", ".join(sorted({str(user) or f"pid {pid}" for pid, user in users})))
        yield admin


@contextmanager
def _rights_explained() -> Generator[None]:
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        reason = error.diag.message_primary
        raise ConfigurationError(
            problem=f"the database user may not restore ({reason}); it needs CREATEDB and must own the database",
            problem_zh=f"数据库用户无权恢复（{reason}）：需要 CREATEDB 权限，且须为该库的所有者",
        ) from error


def _check_fits(backup: Backup, database: Database) -> None:
    """Refuse a backup that this server or this program cannot hold, or that would take other people's tables away."""
    if backup.revision > migrate.head():
        raise ConfigurationError(
            problem=f"the backup has revision {backup.revision}, this program knows {migrate.head()}; update stock-assets",
            problem_zh=f"备份的版本为 {backup.revision}，本程序只到 {migrate.head()}；请升级 stock-assets",
        )
    with database.dedicated() as connection:
        known = connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'").fetchone()
        tables = {(str(schema), str(table)) for schema, table in connection.execute(_TABLES).fetchall()}
    if backup.needs_timescale and known is None:
        raise ConfigurationError(
            problem="the backup was made with TimescaleDB, which this server does not have",
            problem_zh="该备份来自带 TimescaleDB 的数据库，而当前服务器没有它",
        )
    packed = [held.name for held in HELD_IN.values()]
    ours = {(database.schema, table) for table in (*metadata.tables, *packed, migrate.VERSION_TABLE)}
    foreign = sorted(".".join(table) for table in tables - backup.tables - ours)
    if foreign:
        raise ConfigurationError(
            problem=f"the database also holds {', '.join(foreign)}, which the backup lacks and a restore would remove; "
            "move them, or give the store a database of its own",
            problem_zh=f"数据库中还有备份所没有的表 {'、'.join(foreign)}，恢复会删除它们；请先移走，或让存储独用一个库",
        )


@contextmanager
def _held_still(database: Database) -> Generator[None]:
    """Let nobody commit days into the store that is about to go; the lock ends with this process."""
    with database.dedicated() as connection, connection.transaction():
        if connection.execute("SELECT to_regclass('load_ledger')").fetchone() != (None,):
            connection.execute("LOCK TABLE load_ledger IN SHARE MODE")
        yield


def _fill(database: Database, backup: Backup) -> None:
    """Restore into an empty database, and gather the planner's statistics, which a dump does not hold."""
    jobs = 1 if backup.needs_timescale else min(_MOST_JOBS, os.cpu_count() or 1)
    arguments = ["--no-owner", "--no-acl", f"--jobs={jobs}"]
    with database.dedicated() as connection:
        if backup.needs_timescale:
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
            connection.execute("SELECT timescaledb_pre_restore()")
        _pg_restore(database, backup, arguments)
        if backup.needs_timescale:
            connection.execute("SELECT timescaledb_post_restore()")
        connection.execute("ANALYZE")
    if backup.grants:
        _grant(database, backup)


def _pg_restore(database: Database, backup: Backup, arguments: list[str]) -> None:
    programs = backup.programs
    is_older_server = server_version(database) < _KNOWN_FROM <= programs.major
    if not is_older_server:
        programs.run("pg_restore", ["--exit-on-error", *arguments, str(backup.path)], database=database)
        return
    done = programs.start("pg_restore", [*arguments, str(backup.path)], database=database)
    errors = [line for line in done.stderr.splitlines() if "error:" in line]
    if (done.returncode != 0 and not errors) or any(_TIMEOUT_SETTING not in line for line in errors):
        raise BackupFailed(program="pg_restore", reason=complaint(done, database))


def _grant(database: Database, backup: Backup) -> None:
    """Give roles their rights on tables again; a role that this server does not have is left out."""
    with tempfile.TemporaryDirectory(prefix="stock-assets-") as folder:
        chosen = Path(folder, "grants")
        chosen.write_text("\n".join(backup.grants) + "\n", encoding="utf-8")
        arguments = [f"--use-list={chosen}", "--no-owner", str(backup.path)]
        backup.programs.start("pg_restore", arguments, database=database)


def _swap(admin: Session, name: str, new: str, old: str) -> None:
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    try:
        with admin.transaction():
            admin.execute(rename.format(sql.Identifier(name), sql.Identifier(old)))
            admin.execute(rename.format(sql.Identifier(new), sql.Identifier(name)))
    except psycopg.errors.ObjectInUse as error:
        raise StoreInUse(who=str(error.diag.message_detail or error.diag.message_primary)) from error


def _drop(admin: Session, name: str) -> None:
    admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
