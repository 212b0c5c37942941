"""Backups of the store: one file each, made by pg_dump beside running work, whole or not there at all.

A backup is a dump of the store's database in PostgreSQL's custom format, and after it a line with the dump's digest:
pg_restore does not look beyond the dump, and would not notice a spoilt list of contents. Dagster's records of runs are in
a database of their own and not part of it. Nothing here removes a backup.
"""

import hashlib
import itertools
import os
import re
import subprocess
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from stock_assets.domain.errors import BackupFailed, ConfigurationError, InvalidInput
from stock_assets.storage import migrate
from stock_assets.storage.database import Database
from stock_assets.storage.postgres_programs import Programs, complaint, programs_for, server_version

_SEAL = re.compile(rb"\nstock_assets sha256 ([0-9a-f]{64})\n")
_SEAL_BYTES = len("\nstock_assets sha256 \n") + 64
_BLOCK_BYTES = 2**20
_TABLE = re.compile(r"^\d+; \d+ \d+ TABLE (\S+) (\S+) \S+$", re.MULTILINE)
_GRANTS = re.compile(r"^\d+; \d+ \d+ (?:ACL|DEFAULT ACL) .*$", re.MULTILINE)
_TIMESCALE = re.compile(r"^\d+; \d+ \d+ EXTENSION - timescaledb\s*$", re.MULTILINE)
# What every store has, whatever its revision.
_OURS = {migrate.VERSION_TABLE, "load_ledger"}


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that can be read from its first to its last byte.

    `tables` are its tables as (schema, name), `grants` the lines of its list that give rights to roles, `programs` those
    that can read it.
    """

    path: Path
    revision: str
    size_bytes: int
    tables: frozenset[tuple[str, str]]
    grants: tuple[str, ...]
    needs_timescale: bool
    programs: Programs


def default_path(database: Database, home: Path, now: datetime) -> Path:
    """Return where a backup of the store as it is now goes: a file named by revision and time in UTC, not there yet."""
    name = f"stock_assets-{_revision_of(database)}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    path = home / "backups" / f"{name}.dump"
    # Two backups in one second are usual: a restore saves what it replaces first.
    others = itertools.count(2)
    while path.exists():
        path = path.with_name(f"{name}-{next(others)}.dump")
    return path


def make_backup(database: Database, path: Path) -> Backup:
    """Dump the database into the new file `path` (mode 0600), and return it once it was read again and is on disk.

    Work on the store may go on: the dump holds what was committed when it began. Errors: `InvalidInput` when the file
    exists, `ConfigurationError` when the store is empty or no pg_dump fits its server, `BackupFailed` otherwise.
    """
    _revision_of(database)
    _refuse_existing(path)
    major = server_version(database)
    programs = programs_for(major)[0]
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made by us, so that nobody else can read it at any moment.
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        programs.run("pg_dump", ["--format=custom", f"--file={draft}"], database=database)
        programs.run("pg_restore", ["--file=-", str(draft)], output=subprocess.DEVNULL)
        _seal(draft)
        made = read_backup(draft, major)
        _refuse_existing(path)
        draft.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise BackupFailed(program="pg_dump", reason=str(error)) from error
    finally:
        draft.unlink(missing_ok=True)
    return replace(made, path=path)


def read_backup(path: Path, server_major: int) -> Backup:
    """Return the backup in `path`, to be restored into a server of version `server_major`; all of it is read.

    Errors: `InvalidInput` when it cannot be read, is no backup of a store, or is damaged; `ConfigurationError` when no
    pg_restore here knows its format.
    """
    _check_seal(path)
    programs, listing = _listed(path, server_major)
    tables = frozenset((schema, name) for schema, name in _TABLE.findall(listing))
    if not {name for _, name in tables} >= _OURS:
        raise InvalidInput(problem=f"{path} holds no store of this program", problem_zh=f"{path} 中没有本程序的存储")
    return Backup(
        path,
        revision=_stored_revision(programs, path),
        size_bytes=path.stat().st_size,
        tables=tables,
        grants=tuple(_GRANTS.findall(listing)),
        needs_timescale=_TIMESCALE.search(listing) is not None,
        programs=programs,
    )


def _seal(path: Path) -> None:
    """Write the digest of a dump after it, and see that all of it is on disk."""
    with path.open("r+b") as file:
        digest = _digest(file, path.stat().st_size)
        file.write(f"\nstock_assets sha256 {digest}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def _check_seal(path: Path) -> None:
    try:
        with path.open("rb") as file:
            size = max(0, path.stat().st_size - _SEAL_BYTES)
            digest = _digest(file, size)
            seal = _SEAL.fullmatch(file.read())
            file.seek(0)
            is_dump = file.read(5) == b"PGDMP"
    except OSError as error:
        raise InvalidInput(
            problem=f"{path} cannot be read ({error.strerror})", problem_zh=f"无法读取 {path}（{error.strerror}）"
        ) from error
    if not is_dump:
        raise InvalidInput(
            problem=f"{path} is not a backup made by `stock-assets db backup`",
            problem_zh=f"{path} 不是 stock-assets db backup 生成的备份",
        )
    if seal is None or seal[1].decode() != digest:
        raise InvalidInput(
            problem=f"the backup {path} is damaged, cut off, or was not made by `stock-assets db backup`",
            problem_zh=f"备份 {path} 已损坏或不完整，或不是 stock-assets db backup 生成的",
        )


def _digest(file: IO[bytes], size: int) -> str:
    """Return the SHA-256 of the next `size` bytes."""
    digest = hashlib.sha256()
    while size > 0:
        block = file.read(min(_BLOCK_BYTES, size))
        if not block:
            break
        digest.update(block)
        size -= len(block)
    return digest.hexdigest()


def _revision_of(database: Database) -> str:
    revision = migrate.current(database)
    if revision is None:
        raise ConfigurationError(
            problem="the store is empty: there is nothing to back up", problem_zh="存储为空，没有可备份的内容"
        )
    return revision


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise InvalidInput(
            problem=f"{path} exists and is not overwritten; choose another name",
            problem_zh=f"{path} 已存在，不会覆盖；请换一个名称",
        )


def _listed(path: Path, server_major: int) -> tuple[Programs, str]:
    """Return the first programs that know the format of the file, and the file's list of contents."""
    refusals: list[str] = []
    for programs in programs_for(server_major):
        done = programs.start("pg_restore", ["--list", str(path)])
        if done.returncode == 0:
            return programs, done.stdout
        refusals.append(complaint(done))
    if any("unsupported version" in refusal for refusal in refusals):
        raise ConfigurationError(
            problem=f"{path} was made by a newer PostgreSQL than the pg_restore here ({refusals[0]})",
            problem_zh=f"{path} 由比本机 pg_restore 更新的 PostgreSQL 生成（{refusals[0]}）",
        )
    raise InvalidInput(
        problem=f"pg_restore cannot read {path} ({refusals[0]})",
        problem_zh=f"pg_restore 无法读取 {path}（{refusals[0]}）",
    )


def _stored_revision(programs: Programs, path: Path) -> str:
    arguments = ["--file=-", "--data-only", f"--table={migrate.VERSION_TABLE}", str(path)]
    lines = iter(programs.run("pg_restore", arguments).splitlines())
    if any(line.startswith("COPY ") for line in lines):
        revision = next(lines, "\\.")
        if revision != "\\.":
            return revision
    raise InvalidInput(problem=f"{path} holds a store without a revision", problem_zh=f"{path} 中的存储没有版本")


def _sync_folder(folder: Path) -> None:
    """See that the names in a folder are on disk; Windows cannot be asked for it."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
