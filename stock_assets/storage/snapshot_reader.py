"""Read snapshots: of a day the current one, or any by its name. Opened files are remembered: they never change."""

import difflib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Final, TypeVar

import polars as pl

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.domain.errors import InvalidInput, SnapshotDamaged
from stock_assets.storage import snapshot_files, snapshots
from stock_assets.storage.arrow_session import ArrowTable
from stock_assets.storage.database import Database
from stock_assets.storage.snapshots import SnapshotRow

RowsT = TypeVar("RowsT")
# Some thirty days of the whole market.
_REMEMBERED_BYTES: Final = 128 << 20
_CLOSE: Final = 5


class OpenedFiles:
    """The frames opened last by this process, at most so many bytes of them; safe for threads."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._held = 0
        self._opened: OrderedDict[object, pl.DataFrame] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: object) -> pl.DataFrame | None:
        """Return what was opened under `key`, or None."""
        with self._lock:
            if (found := self._opened.get(key)) is not None:
                self._opened.move_to_end(key)
            return found

    def put(self, key: object, frame: pl.DataFrame) -> None:
        """Remember a frame; those used least recently make room."""
        size = frame.estimated_size()
        with self._lock:
            if key in self._opened or size > self._most:
                return
            self._opened[key] = frame
            self._held += size
            while self._held > self._most:
                self._held -= self._opened.popitem(last=False)[1].estimated_size()


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
        asked = None if columns is None else tuple(columns)
        # What has a name never changes; which one is the day's may.
        row = None if isinstance(day, str) else self.row(day)
        name = day if row is None else row.snapshot_id
        # Copies of the names, not of the values: whoever renames a column renames his own.
        if (known := self._opened.get((self._folder, name, asked))) is not None:
            return known.clone()
        if asked is not None and (whole := self._opened.get((self._folder, name, None))) is not None:
            return whole.select(_there(whole.columns, asked))
        row, frame = self._from_file(day, row, asked, snapshot_files.read_frame)
        self._opened.put((self._folder, row.snapshot_id, asked), frame)
        return frame.clone()

    def arrow(self, day: date | str, columns: Sequence[str] | None = None) -> ArrowTable:
        """Return the same as a `pyarrow.Table`, whose fields carry comment and unit and whose schema the file's notes."""
        return self._from_file(day, None, columns, snapshot_files.read_arrow)[1]

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

    def _from_file(
        self,
        of: date | str,
        row: SnapshotRow | None,
        columns: Sequence[str] | None,
        read: Callable[[Path, str, int, Sequence[str] | None], RowsT],
    ) -> tuple[SnapshotRow, RowsT]:
        """Return what `read` makes of the file, and its row, which is looked up unless it was just now."""
        row = row or self.row(of)
        try:
            if columns is not None:
                _there(snapshot_files.names(self._folder, row.path, row.bytes), columns)
            return row, read(self._folder, row.path, row.bytes, columns)
        except FileNotFoundError as error:
            # It may have been let go since its row was read.
            again = self.row(of)
            if again == row:
                raise SnapshotDamaged(path=str(self._folder / row.path)) from error
        return self._from_file(of, again, columns, read)

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


def _there(names: Sequence[str], columns: Sequence[str]) -> list[str]:
    """Return the columns, once each of them is among `names`."""
    unknown = [name for name in columns if name not in names]
    if unknown:
        close = [near for name in unknown for near in difflib.get_close_matches(name, names, _CLOSE)]
        like, like_zh = (f"; like it are {', '.join(close)}", f"；相近的有 {'、'.join(close)}") if close else ("", "")
        raise InvalidInput(
            problem=f"the snapshot has no column {', '.join(unknown)}{like}",
            problem_zh=f"快照没有列 {'、'.join(unknown)}{like_zh}",
        )
    if not columns or len(set(columns)) < len(columns):
        raise InvalidInput(problem="name at least one column, each once", problem_zh="请至少指定一列，且不要重复")
    return list(columns)
