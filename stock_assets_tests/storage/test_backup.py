"""Backups: whole or not there at all, nobody else's to read, refused when damaged."""

import os
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from stock_assets.domain.errors import BackupFailed, ConfigurationError, InvalidInput
from stock_assets.storage import migrate, postgres_programs
from stock_assets.storage.backup import Backup, default_path, make_backup, read_backup
from stock_assets.storage.database import Database
from stock_assets.storage.postgres_programs import Programs, programs_for, server_version
from stock_assets.storage.restore import restore
from stock_assets_tests.storage.conftest import ROOT
from stock_assets_tests.storage.filled_store import address

NOW = datetime(2026, 11, 20, 18, 30, 5, tzinfo=UTC)


def test_a_backup_made_while_a_load_commits_holds_whole_transactions(store: Database, tmp_path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            with store.begin() as conn:
                for table in ("stock_daily", "load_ledger"):
                    newest = f"(SELECT max(trade_date) FROM {table})"  # noqa: S608  one of two names
                    conn.execute(sa.text(f"DELETE FROM {table} WHERE trade_date = {newest}"))  # noqa: S608  as above

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = make_backup(store, tmp_path / "busy.dump")
    finally:
        stop.set()
        writer.join()
    restore(made, store)
    with store.dedicated() as connection:
        of_bars = connection.execute("SELECT count(DISTINCT trade_date), max(trade_date) FROM stock_daily").fetchone()
        of_ledger = connection.execute("SELECT count(*), max(trade_date) FROM load_ledger").fetchone()
    assert of_bars == of_ledger


def test_a_backup_is_named_for_its_revision_and_time_and_only_its_owner_may_read_it(
    store: Database, tmp_path: Path
) -> None:
    path = default_path(store, tmp_path, NOW)
    assert path == tmp_path / "backups" / f"stock_assets-{migrate.head()}-20261120T183005Z.dump"
    make_backup(store, path)
    if os.name != "nt":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    # A second one in the same second gets a name of its own.
    assert default_path(store, tmp_path, NOW) == path.with_stem(f"{path.stem}-2")


def test_a_backup_never_overwrites_a_file(store: Database, made: Backup) -> None:
    before = made.path.read_bytes()
    with pytest.raises(InvalidInput, match="not overwritten"):
        make_backup(store, made.path)
    assert made.path.read_bytes() == before


def test_a_backup_that_fails_leaves_no_file(store: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(_: Database) -> tuple[str, dict[str, str]]:
        return "host=127.0.0.1 port=1 dbname=x", {}

    monkeypatch.setattr(Database, "for_program", nowhere)
    with pytest.raises(BackupFailed, match=r"pg_dump failed .*port 1 failed"):
        make_backup(store, tmp_path / "store.dump")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_full_disk_is_one_sentence_and_leaves_no_file(store: Database, tmp_path: Path) -> None:
    # A limit on the size of files is this test's full disk; programs that it starts inherit it.
    code = """
import resource, signal, sys
from pathlib import Path
from stock_assets.storage.backup import make_backup
from stock_assets.storage.database import Database
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    make_backup(Database(sys.argv[1]), Path(sys.argv[2]))
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""
    command = [sys.executable, "-c", code, address(store), str(tmp_path / "store.dump")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.startswith("BackupFailed: pg_dump failed")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_store_has_nothing_to_back_up(store: Database, tmp_path: Path) -> None:
    migrate.downgrade(store, "base")
    with pytest.raises(ConfigurationError, match="nothing to back up"):
        make_backup(store, tmp_path / "store.dump")


@pytest.mark.parametrize("part", [0.02, 0.5, 0.97])
@pytest.mark.parametrize("damage", ["cut off", "spoilt"])
def test_a_damaged_backup_is_refused_before_anything_is_touched(
    store: Database, made: Backup, part: float, damage: str
) -> None:
    whole = made.path.read_bytes()
    at = int(len(whole) * part)
    made.path.write_bytes(whole[:at] if damage == "cut off" else whole[:at] + bytes(64) + whole[at + 64 :])
    with pytest.raises(InvalidInput):
        read_backup(made.path, server_version(store))


def test_a_file_that_is_no_backup_is_refused(store: Database, tmp_path: Path) -> None:
    other = tmp_path / "other.dump"
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_backup(other, server_version(store))
    other.write_text("PGDM? no")
    with pytest.raises(InvalidInput, match="is not a backup"):
        read_backup(other, server_version(store))


def test_a_dump_of_another_database_is_refused(store: Database, tmp_path: Path) -> None:
    with store.begin() as conn:
        conn.execute(sa.text("DROP TABLE load_ledger"))
    with pytest.raises(InvalidInput, match="holds no store"):
        make_backup(store, tmp_path / "other.dump")
    assert list(tmp_path.iterdir()) == []


def test_programs_older_than_the_server_are_named_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    old = [Programs(Path("/usr/bin"), 14)]
    monkeypatch.setattr(postgres_programs, "_found", lambda: iter(old))
    with pytest.raises(ConfigurationError, match="PostgreSQL 15 or newer are needed, and the newest one here is 14"):
        programs_for(15)
    monkeypatch.setattr(postgres_programs, "_found", lambda: iter([]))
    with pytest.raises(ConfigurationError, match="none was found"):
        programs_for(15)


def test_the_program_closest_to_the_server_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Programs(Path("wheel"), 18), Programs(Path("path"), 15)]
    monkeypatch.setattr(postgres_programs, "_found", lambda: iter(found))
    assert [one.major for one in programs_for(15)] == [15, 18]
    assert [one.major for one in programs_for(16)] == [18]


def test_no_password_is_in_the_list_of_processes(
    store: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    really: Any = subprocess.run

    def run(command: list[str], **options: object) -> object:
        commands.append(command)
        return really(command, **options)

    monkeypatch.setattr(subprocess, "run", run)
    with_password = Database(store.engine.url.set(password="hunter2").render_as_string(hide_password=False))
    make_backup(with_password, tmp_path / "store.dump")
    with_password.close()
    assert any("pg_dump" in command[0] for command in commands)
    assert "hunter2" not in str(commands)
