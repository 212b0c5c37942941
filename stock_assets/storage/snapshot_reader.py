"""Read snapshots: of a day the current one, or any by its name. Opened files are remembered: they never change."""

import difflib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final, cast

import polars as pl

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.domain.errors import InvalidInput, SnapshotDamaged
from stock_assets.storage import snapshot_files, snapshots
from stock_assets.storage.arrow_session import ArrowTable
from stock_assets.storage.database import Database
from stock_assets.storage.snapshots import SnapshotRow

# Some thirty days of the whole market.
_REMEMBERED_BYTES: Final = 128 << 20
_CLOSE: Final = 5


class OpenedFiles:
    """The files opened last by this process, at most so many bytes of them; safe for threads."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._held = 0
        self._opened: OrderedDict[object, tuple[ArrowTable, pl.DataFrame]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._opened)

    def get(self, key: object) -> tuple[ArrowTable, pl.DataFrame] | None:
        """Return what was opened under `key`, both as Arrow has it and as a frame, or None."""
        with self._lock:
            if (found := self._opened.get(key)) is not None:
                self._opened.move_to_end(key)
            return found

    def put(self, key: object, table: ArrowTable, frame: pl.DataFrame) -> None:
        """Remember a file; those used least recently make room."""
        with self._lock:
            if key in self._opened or table.nbytes > self._most:
                return
            self._opened[key] = table, frame
            self._held += table.nbytes
            while self._held > self._most:
                self._held -= self._opened.popitem(last=False)[1][0].nbytes


# One for the process: whoever opens the store again finds what it has read before.
_OPENED: Final = OpenedFiles(_REMEMBERED_BYTES)


class SnapshotReader:
    """Reads of the snapshots of one store below `folder`. Threads may share it.

    `day` is a trading day, or the name of a snapshot, 16 hexadecimal digits. Errors of every read: `InvalidInput` for a day without
    a snapshot, a name that is not known and a column that is not there; `SnapshotDamaged`; `StoreUnavailable`.
    """

    def __init__(
        self, database: Database, folder: Path, calendar: TradingCalendar, *, opened: OpenedFiles = _OPENED
    ) -> None:
        self._database = database
        self._folder = folder
        self._calendar = calendar
        self._opened = opened

    def read(self, day: date | str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Return a snapshot, one row per listed stock by code; of some columns only theirs are read."""
        # A copy of the names, not of the values: whoever renames a column renames his own.
        return self._open(day, columns)[1].clone()

    def arrow(self, day: date | str, columns: Sequence[str] | None = None) -> ArrowTable:
        """Return the same as a `pyarrow.Table`, whose fields carry comment and unit and whose schema the file's notes."""
        return self._open(day, columns)[0]

    def row(self, day: date | str) -> SnapshotRow:
        """Return what is known of a snapshot besides its content."""
        with self._database.read() as conn:
            found = snapshots.find(conn, day) if isinstance(day, str) else snapshots.current(conn, [day]).get(day)
        if found is None:
            raise self._nothing(day)
        return found

    def latest_day(self) -> date | None:
        """Return the newest day that has a snapshot."""
        with self._database.read() as conn:
            return snapshots.latest_day(conn)

    def listed(self, start: date | None = None, end: date | None = None) -> pl.DataFrame:
        """Return the rows of `cache_snapshot` of [start, end], the newest day first, and of a day the current one."""
        with self._database.read() as conn:
            return snapshots.listed(conn, start, end)

    def _open(self, of: date | str, columns: Sequence[str] | None) -> tuple[ArrowTable, pl.DataFrame]:
        asked = None if columns is None else tuple(columns)
        # What has a name never changes; which one is the day's may.
        row = None if isinstance(of, str) else self.row(of)
        name = (self._folder, of if row is None else row.snapshot_id)
        if (known := self._opened.get((name, asked))) is not None:
            return known
        if asked is not None and (whole := self._opened.get((name, None))) is not None:
            table = whole[0].select(self._there(whole[0].schema.names, asked))
            return table, whole[1].select(asked)
        row = row or self.row(of)
        try:
            table = self._read(row, asked)
        except FileNotFoundError as error:
            # It may have been let go since its row was read.
            again = self.row(of)
            if again == row:
                raise SnapshotDamaged(path=str(self._folder / row.path)) from error
            return self._open(again.snapshot_id, columns)
        # One record batch: as it lies, without looking at each column for pieces to join.
        frame = cast("pl.DataFrame", cast("Any", pl).from_arrow(table, rechunk=False))
        self._opened.put((name, asked), table, frame)
        return table, frame

    def _read(self, row: SnapshotRow, columns: Sequence[str] | None) -> ArrowTable:
        if columns is not None:
            self._there(snapshot_files.names(self._folder, row.path, row.bytes), columns)
        return snapshot_files.read(self._folder, row.path, row.bytes, columns)

    def _there(self, names: Sequence[str], columns: Sequence[str]) -> list[str]:
        unknown = [name for name in columns if name not in names]
        if unknown:
            close = [near for name in unknown for near in difflib.get_close_matches(name, names, _CLOSE)]
            like, like_zh = (
                (f"; like it are {', '.join(close)}", f"；相近的有 {'、'.join(close)}") if close else ("", "")
            )
            raise InvalidInput(
                problem=f"the snapshot has no column {', '.join(unknown)}{like}",
                problem_zh=f"快照没有列 {'、'.join(unknown)}{like_zh}",
            )
        if not columns or len(set(columns)) < len(columns):
            raise InvalidInput(problem="name at least one column, each once", problem_zh="请至少指定一列，且不要重复")
        return list(columns)

    def _nothing(self, of: date | str) -> InvalidInput:
        if isinstance(of, str):
            return InvalidInput(
                problem=f"there is no snapshot {of}; `stock-assets snapshot --list` shows those there are",
                problem_zh=f"没有编号为 {of} 的快照；stock-assets snapshot --list 列出全部快照",
            )
        if not self._calendar.is_session(of):
            before = self._calendar.previous(of)
            return InvalidInput(
                problem=f"{of} is not a trading day; the last one before it is {before}",
                problem_zh=f"{of} 不是交易日，上一个交易日是 {before}",
            )
        return InvalidInput(
            problem=f"there is no snapshot of {of}; `stock-assets backfill-snapshots --start {of}` makes it",
            problem_zh=f"没有 {of} 的快照；stock-assets backfill-snapshots --start {of} 可生成",
        )
