"""Backups, restores and downgrades as people type them, and what `doctor` says of connections."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from stock_assets.storage import migrate
from stock_assets.storage.database import Database
from stock_assets.wiring import Installation
from stock_assets_tests.cli.conftest import FIRST, Call


def days_of(database: Database) -> int:
    with database.read() as conn:
        return conn.execute(sa.text("SELECT count(DISTINCT trade_date) FROM stock_daily")).scalar_one()


def backups_in(home: Path) -> list[Path]:
    return sorted((home / "backups").glob("*.dump"))


@pytest.fixture
def no_backups(home: Path) -> Path:
    """The data folder, without the backups of other tests."""
    for path in backups_in(home):
        path.unlink()
    return home


def test_a_backup_says_where_it_is_and_brings_the_days_back(loaded: Installation, call: Call, no_backups: Path) -> None:
    made = call("db", "backup")
    assert made.code == 0, made.err
    (path,) = backups_in(no_backups)
    assert made.out.startswith(f"backed up to {path} (revision {migrate.head()}, ")
    with loaded.database.begin() as conn:
        conn.execute(sa.text("DELETE FROM stock_daily"))
    loaded.close()
    restored = call("db", "restore", str(path), "--yes")
    assert restored.code == 0, restored.err
    assert days_of(loaded.database) == 5
    loaded.database.close()
    # What was there before is a file as well.
    assert len(backups_in(no_backups)) == 2


def test_a_restore_is_not_begun_while_the_store_is_used(loaded: Installation, call: Call, tmp_path: Path) -> None:
    assert call("db", "backup", "--out", str(tmp_path / "b.dump")).code == 0
    with loaded.database.dedicated():
        said = call("db", "restore", str(tmp_path / "b.dump"), "--yes")
    assert said.code == 75
    assert "stop `stock-assets up` and running loads" in said.err
    assert days_of(loaded.database) == 5


@pytest.mark.usefixtures("installation")
def test_a_file_that_is_no_backup_is_a_wrong_call(call: Call, tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("bars")
    said = call("db", "restore", str(other), "--yes")
    assert said.code == 2
    assert len(said.err.splitlines()) == 1


def test_a_downgrade_leaves_a_backup_unless_told_not_to(loaded: Installation, call: Call, no_backups: Path) -> None:
    said = call("db", "downgrade", "base", "--yes")
    assert said.code == 0, said.err
    (path,) = backups_in(no_backups)
    assert str(path) in said.out
    loaded.close()
    assert call("db", "restore", str(path), "--yes").code == 0
    assert days_of(loaded.database) == 5
    assert call("db", "downgrade", "base", "--yes", "--no-backup").code == 0
    assert backups_in(no_backups) == [path]


@pytest.mark.usefixtures("installation")
def test_doctor_shows_what_the_pool_and_the_server_allow(call: Call) -> None:
    said = call("doctor")
    assert "at most 10+20 a process" in said.out
    assert "for administrators" in said.out
    assert said.code == 0


@pytest.mark.usefixtures("installation")
def test_doctor_warns_when_the_processes_together_do_not_fit(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stock_assets.cli.doctor.PROCESSES", 1000)
    said = call("doctor")
    assert said.code == 78
    assert "raise max_connections of the server to at least 100" in said.out


def test_doctor_names_an_index_that_is_away_and_the_next_load_brings_it_back(loaded: Installation, call: Call) -> None:
    name = "ix_stock_daily_trade_date_ts_code"
    with loaded.database.begin() as conn:
        definition = f"CREATE INDEX {name} ON stock_daily (trade_date, ts_code)"
        record = "INSERT INTO dropped_index VALUES (:name, 'stock_daily', :definition, NULL, now(), 'disk full')"
        conn.execute(sa.text(record), {"name": name, "definition": definition.replace("(", "USING btree (")})
        conn.execute(sa.text(f"DROP INDEX {name}"))
    said = call("doctor")
    assert said.code == 78
    assert name in said.out
    assert "disk full" in said.out
    assert call("backfill-daily", "--start", str(FIRST), "--end", str(FIRST)).code == 0
    said = call("doctor")
    assert "indexes in place" in said.out
    assert said.code == 0


def test_compressing_a_store_without_timescaledb_says_why_not(loaded: Installation, call: Call) -> None:
    said = call("db", "compress")
    assert said.code == 78
    assert len(said.err.splitlines()) == 1
    assert "TimescaleDB" in said.err
    assert days_of(loaded.database) == 5
