"""Publishing snapshots of a small made-up market, in this process and in others."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import sqlalchemy as sa

from stock_assets.pipeline.snapshot import SnapshotContext, SnapshotReport, publish_snapshots
from stock_assets.storage import snapshots
from stock_assets.storage.database import Database
from stock_assets.storage.snapshot_reader import OpenedFiles, SnapshotReader
from stock_assets.storage.snapshots import SnapshotRow
from stock_assets_tests.storage.made_up_days import CALENDAR, EVENING, WEEK, fill


@dataclass(frozen=True, slots=True)
class SnapshotWorkshop:
    """A filled store, and a folder for its snapshots."""

    database: Database
    folder: Path

    @classmethod
    def filled(cls, database: Database, folder: Path) -> "SnapshotWorkshop":
        """Return the workshop of a store that is filled now."""
        fill(database)
        return cls(database, folder)

    @property
    def context(self) -> SnapshotContext:
        """What publishing is given."""
        return SnapshotContext(self.database, CALENDAR, lambda: EVENING, "test-run")

    def publish(self, *days: date) -> SnapshotReport:
        """Publish these days, all of the week by default."""
        return publish_snapshots(self.context, days or WEEK, self.folder)

    def row(self, day: date) -> SnapshotRow:
        """Return the day's current snapshot."""
        return self.reader().row(day)

    def reader(self) -> SnapshotReader:
        """Return a reader that has opened nothing yet."""
        return SnapshotReader(self.database, self.folder, CALENDAR, opened=OpenedFiles(1 << 20))

    def change(self, statement: str, **values: object) -> None:
        """Correct what is stored."""
        with self.database.begin() as conn:
            conn.execute(sa.text(statement), values)

    def listed(self) -> pl.DataFrame:
        """Return all rows."""
        with self.database.read() as conn:
            return snapshots.listed(conn)

    def files(self) -> set[str]:
        """Return every file below the folder."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}

    def state(self) -> list[object]:
        """Return what tells whether anything was written: the rows' versions and the files' times."""
        with self.database.read() as conn:
            rows = conn.execute(
                sa.text("SELECT snapshot_id, xmin::text FROM cache_snapshot UNION ALL"
                        " SELECT trade_date::text, xmin::text FROM load_ledger ORDER BY 1")
            ).all()  # fmt: skip
        times = sorted((name, (self.folder / name).stat().st_mtime_ns) for name in self.files())
        return [*map(tuple, rows), *times]
