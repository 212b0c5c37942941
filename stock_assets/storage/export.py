"""Tables as Parquet files that DuckDB, polars and pandas open as they are.

`FOLDER/stock_daily/stock_daily-2026.parquet`: one file for each year with rows; a table without a column of days, or with
days only as a source's text, is one file, `FOLDER/security/security.parquet`. Rows are sorted by the table's key and
compressed with zstd. No column is told by a folder's name, so every reader sees the same columns.

All files of an export hold one state of the store. They get their names when the last one is complete: an export that is
killed leaves what was there before, and the next one removes what it had begun.
"""

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, cast

import psutil
from pyarrow import parquet as _parquet

from stock_assets.storage.arrow_session import ArrowBatch, ArrowSession, ArrowTable, arrow, arrow_schema
from stock_assets.storage.reader import Reader
from stock_assets.storage.selection import Selection

# pyarrow ships no types.
parquet: Any = cast("Any", _parquet)

# What a reader can skip by its smallest and largest key, and what is in memory at a time: 40 MB of daily bars.
_GROUP_ROWS = 1 << 18
# Not a name that anybody's `*.parquet` finds.
_BEGUN = ".partial"
_EXTENT = arrow_schema({"rows": "integer", "first": "text", "last": "text"})


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file that was written: its rows, and its size in bytes."""

    path: Path
    rows: int
    size: int


def export_table(
    reader: Reader,
    selection: Selection,
    folder: Path,
    *,
    progress: Callable[[int, int, str], None] = lambda _done, _total, _file: None,
) -> list[ExportedFile]:
    """Write the selected rows below `folder`, replacing files of the same years, and return what was written.

    A year without rows writes no file and touches none. `progress` hears of rows written, rows in all, and the file.

    Errors: those of `Reader`; `OSError` when the folder cannot be written.
    """
    target = folder / selection.table.name
    written: list[ExportedFile] = []
    with reader.snapshot() as session, _workshop(target) as workshop:
        total, parts = _parts(session, selection)
        done = 0
        for name, part in parts:
            rows = 0
            begun = workshop / f"{name}{_BEGUN}"
            for rows in _write(session, part, begun):
                progress(done + rows, total, name)
            if rows:
                written.append(ExportedFile(target / name, rows, begun.stat().st_size))
            done += rows
        for file in written:
            (workshop / f"{file.path.name}{_BEGUN}").replace(file.path)
    return written


def _parts(session: ArrowSession, selection: Selection) -> tuple[int, list[tuple[str, Selection]]]:
    """Return the number of rows, and each file's name with the selection of its rows."""
    table = selection.table
    (extent,) = _table(session.batches(selection.extent, _EXTENT), _EXTENT).to_pylist()
    if not extent["rows"]:
        return 0, []
    if selection.day is None or selection.day.kind != "date":
        return extent["rows"], [(f"{table.name}.parquet", selection)]
    first, last = (date.fromisoformat(extent[end]) for end in ("first", "last"))
    years = [
        replace(selection, start=max(first, date(year, 1, 1)), end=min(last, date(year, 12, 31)))
        for year in range(first.year, last.year + 1)
    ]
    return extent["rows"], [(f"{table.name}-{year.start:%Y}.parquet", year) for year in years]


def _write(session: ArrowSession, selection: Selection, path: Path) -> Generator[int]:
    """Write the rows to `path`, yielding how many there are so far; without rows there is no file."""
    schema = selection.schema
    order = parquet.SortingColumn.from_ordering(schema, [(name, "ascending") for name in selection.table.key])
    rows = 0
    groups = _groups(session.batches(selection.query, schema))
    group = next(groups, None)
    if group is None:
        return
    with path.open("wb") as file:
        with parquet.ParquetWriter(file, schema, compression="zstd", sorting_columns=order) as writer:
            while group is not None:
                writer.write_table(group, row_group_size=group.num_rows)
                rows += group.num_rows
                yield rows
                group = next(groups, None)
        # A name must not survive a power failure that its bytes do not.
        file.flush()
        os.fsync(file.fileno())


def _groups(batches: Iterable[ArrowBatch]) -> Generator[ArrowTable]:
    """Yield the rows of `batches` in tables of `_GROUP_ROWS`, the last one smaller."""
    waiting: list[ArrowBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        while rows >= _GROUP_ROWS:
            table = arrow.Table.from_batches(waiting)
            yield table.slice(0, _GROUP_ROWS)
            waiting = table.slice(_GROUP_ROWS).to_batches()
            rows -= _GROUP_ROWS
    if rows:
        yield arrow.Table.from_batches(waiting)


def _table(batches: Iterable[ArrowBatch], schema: object) -> ArrowTable:
    return arrow.Table.from_batches(list(batches), schema=schema)


@contextmanager
def _workshop(target: Path) -> Generator[Path]:
    """Give a hidden folder beside the final files, on the same disk; it is gone at the end, whatever happens."""
    target.mkdir(parents=True, exist_ok=True)
    machine = f".export-{socket.gethostname()}-"
    for left in target.glob(f"{machine}*"):
        if _is_left_over(left):
            shutil.rmtree(left, ignore_errors=True)
    workshop = Path(tempfile.mkdtemp(prefix=f"{machine}{os.getpid()}-", dir=target))
    try:
        yield workshop
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _is_left_over(workshop: Path) -> bool:
    """Return whether the process that made this folder has ended; its number may belong to a younger one by now."""
    owner = workshop.name.rsplit("-", 2)[1]
    try:
        return psutil.Process(int(owner)).create_time() > workshop.stat().st_mtime
    except (psutil.NoSuchProcess, ValueError):
        return True
