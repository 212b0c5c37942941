"""Exported files hold what the store holds, in the order and form that was promised, or they are not there."""

import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest
import sqlalchemy as sa
from polars.testing import assert_frame_equal
from pyarrow import parquet as _parquet

from stock_assets.domain.errors import StoreUnavailable
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.storage import export
from stock_assets.storage.bulk_load import load
from stock_assets.storage.database import Database
from stock_assets.storage.export import ExportedFile, export_table
from stock_assets.storage.reader import Reader
from stock_assets.storage.reference import save_securities
from stock_assets.storage.selection import Selection, table_named
from stock_assets_tests.storage.conftest import Process
from stock_assets_tests.storage.made_up_rows import bars, securities, security

parquet: Any = cast("Any", _parquet)
CODES = ["000001.SZ", "300750.SZ", "600000.SH"]
DAYS = [date(2023, 12, 29), date(2025, 1, 2), date(2025, 12, 31), date(2026, 1, 5)]
NAMES = [f"stock_daily-{year}.parquet" for year in (2023, 2025, 2026)]
EXPORT = """
import sys
from pathlib import Path
from stock_assets.storage.export import export_table
from stock_assets.storage.reader import Reader
from stock_assets.storage.selection import Selection, table_named
def progress(done, total, name):
    if name.endswith("2026.parquet"):
        print("half way", flush=True)
        sys.stdin.read()
export_table(Reader.at(sys.argv[1]), Selection(table_named("stock_daily")), Path(sys.argv[2]), progress=progress)
"""


@pytest.fixture
def filled(database: Database) -> Database:
    """Three stocks on days of three years; nothing in 2024."""
    with database.begin() as conn:
        load(conn, STOCK_DAILY, bars(CODES, DAYS, pb_mrq=None))
        save_securities(conn, securities([security(code, date(2000, 1, 3)) for code in reversed(CODES)]))
    return database


def write(database: Database, folder: Path, table: str = "stock_daily", **slice_: Any) -> list[ExportedFile]:  # noqa: ANN401
    """Export a table."""
    with Reader(database) as reader:
        return export_table(reader, Selection(table_named(table), **slice_), folder)


def files(folder: Path) -> list[str]:
    """Return every file below, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_there_is_one_file_for_each_year_with_rows(filled: Database, tmp_path: Path) -> None:
    written = write(filled, tmp_path)
    assert [file.path.name for file in written] == NAMES
    assert [file.rows for file in written] == [3, 6, 3]
    assert [file.path.stat().st_size for file in written] == [file.size for file in written]
    assert files(tmp_path) == [f"stock_daily/{name}" for name in NAMES]
    assert [path.name for path in (tmp_path / "stock_daily").iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("glob", ["stock_daily/**/*.parquet", "stock_daily/*.parquet", "stock_daily"])
def test_polars_opens_the_files_as_they_are(filled: Database, tmp_path: Path, glob: str) -> None:
    write(filled, tmp_path)
    found = pl.scan_parquet(tmp_path / glob).collect()
    assert_frame_equal(found.sort(STOCK_DAILY.key), bars(CODES, DAYS), check_exact=True)


def test_duckdb_opens_the_files_as_they_are(filled: Database, tmp_path: Path) -> None:
    write(filled, tmp_path)
    read = tmp_path / "read.parquet"
    # In a process of its own: at its end the library prints what it believes to have leaked.
    code = f"import duckdb; duckdb.read_parquet('{tmp_path}/stock_daily/**/*.parquet').write_parquet('{read}')"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    found = pl.read_parquet(read).sort(STOCK_DAILY.key)
    assert_frame_equal(found, bars(CODES, DAYS), check_exact=True)


def test_files_are_sorted_by_key_say_so_and_are_compressed_with_zstd(filled: Database, tmp_path: Path) -> None:
    with filled.begin() as conn:
        # A changed row lies behind the others.
        conn.execute(sa.text("UPDATE stock_daily SET close = 9.75 WHERE ts_code = '000001.SZ'"))
    for file in write(filled, tmp_path):
        frame = pl.read_parquet(file.path)
        assert frame.select("ts_code", "trade_date").rows() == sorted(frame.select("ts_code", "trade_date").rows())
        group = parquet.read_metadata(file.path).row_group(0)
        assert {group.column(index).compression for index in range(group.num_columns)} == {"ZSTD"}
        assert [column.column_index for column in group.sorting_columns] == [0, 1]


def test_only_the_chosen_rows_are_written(filled: Database, tmp_path: Path) -> None:
    written = write(filled, tmp_path, ts_codes=CODES[1:], start=DAYS[2], end=DAYS[2])
    assert [(file.path.name, file.rows) for file in written] == [(NAMES[1], 2)]
    assert write(filled, tmp_path / "none", ts_codes=["999999.SH"]) == []
    assert files(tmp_path / "none") == []


def test_a_table_without_days_is_one_file(filled: Database, tmp_path: Path) -> None:
    (written,) = write(filled, tmp_path, "security")
    assert files(tmp_path) == ["security/security.parquet"]
    assert pl.read_parquet(written.path)["ts_code"].to_list() == CODES
    assert write(filled, tmp_path, "rejected_row") == []


def test_again_replaces_the_years_it_writes_and_leaves_the_others(filled: Database, tmp_path: Path) -> None:
    write(filled, tmp_path)
    before = {name: (tmp_path / "stock_daily" / name).read_bytes() for name in NAMES}
    with filled.begin() as conn:
        conn.execute(sa.text("UPDATE stock_daily SET close = 9.75"))
    write(filled, tmp_path, start=date(2026, 1, 1))
    after = {name: (tmp_path / "stock_daily" / name).read_bytes() for name in NAMES}
    assert [name for name in NAMES if before[name] != after[name]] == NAMES[2:]
    assert set(pl.read_parquet(tmp_path / "stock_daily" / NAMES[2])["close"]) == {9.75}


def test_rows_are_written_in_groups_that_bound_memory(
    filled: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_GROUP_ROWS", 4)
    seen: list[tuple[int, int]] = []
    with Reader(filled) as reader:
        selection = Selection(STOCK_DAILY)
        export_table(reader, selection, tmp_path, progress=lambda done, total, _file: seen.append((done, total)))
    groups = parquet.read_metadata(tmp_path / "stock_daily" / NAMES[1])
    assert [groups.row_group(index).num_rows for index in range(groups.num_row_groups)] == [4, 2]
    assert_frame_equal(pl.read_parquet(tmp_path / "stock_daily" / "*.parquet").sort(STOCK_DAILY.key), bars(CODES, DAYS))
    assert seen == [(3, 12), (7, 12), (9, 12), (12, 12)]


def test_all_files_hold_one_state_of_the_store(filled: Database, tmp_path: Path) -> None:
    def change(_done: int, _total: int, _file: str) -> None:
        with filled.begin() as conn:
            conn.execute(sa.text("UPDATE stock_daily SET close = 9.75"))

    with Reader(filled) as reader:
        export_table(reader, Selection(STOCK_DAILY), tmp_path, progress=change)
    assert set(pl.read_parquet(tmp_path / "stock_daily" / "*.parquet")["close"]) == {10.5}


def test_an_error_half_way_leaves_the_old_files_and_nothing_else(filled: Database, tmp_path: Path) -> None:
    write(filled, tmp_path)
    before = {name: (tmp_path / "stock_daily" / name).read_bytes() for name in NAMES}
    with filled.begin() as conn:
        conn.execute(sa.text("UPDATE stock_daily SET close = 9.75"))

    def fail(_done: int, _total: int, file: str) -> None:
        if file == NAMES[2]:
            raise StoreUnavailable(reason="gone")

    with Reader(filled) as reader, pytest.raises(StoreUnavailable):
        export_table(reader, Selection(STOCK_DAILY), tmp_path, progress=fail)
    assert {name: (tmp_path / "stock_daily" / name).read_bytes() for name in NAMES} == before
    assert files(tmp_path) == [f"stock_daily/{name}" for name in NAMES]


def test_a_killed_export_leaves_no_file_with_a_final_name_and_the_next_one_tidies_up(
    filled: Database, database_url: str, tmp_path: Path, process: Callable[..., Process]
) -> None:
    killed, running = (process(EXPORT, database_url, str(tmp_path)) for _ in range(2))
    for one in (killed, running):
        assert one.line() == "half way"
    killed.kill()
    left = files(tmp_path)
    assert left
    assert not [name for name in left if name.endswith(".parquet")]
    write(filled, tmp_path)
    # What belongs to the export that still runs is left to it.
    begun = [name for name in files(tmp_path) if name.endswith(".partial")]
    assert begun
    assert all(f"-{running.popen.pid}-" in name for name in begun)
    assert running.finish() == 0
    assert files(tmp_path) == [f"stock_daily/{name}" for name in NAMES]
    assert pl.read_parquet(tmp_path / "stock_daily" / "*.parquet").height == 12
