"""Quality reports as files beside the snapshot that they speak of; written whole, never changed, and let go with it.

`FOLDER/2026/2026-11-20-0123456789abcdef.quality-89abcdef01234567.html`: the snapshot's name, then the digest of the page. A
report that says something else is another file; the newest one of a snapshot is the day's.
"""

import hashlib
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Final

from stock_assets.storage import snapshot_files

_DIGITS: Final = 16


def path_of(day: date, snapshot_id: str, content: bytes) -> PurePosixPath:
    """Return where a report lies, relative to the folder of snapshots."""
    digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
    snapshot = snapshot_files.path_of(day, snapshot_id)
    return snapshot.with_name(f"{snapshot.stem}{snapshot_files.REPORT}{digest}.html")


def keep(folder: Path, day: date, snapshot_id: str, content: bytes) -> tuple[Path, bool]:
    """Put a report beside its snapshot and return where it is, and whether it was new; an equal one is not written again.

    The day must be locked, as for publishing a snapshot. Errors: `OSError` when the folder cannot be written.
    """
    path = path_of(day, snapshot_id, content)
    place = folder / path
    if place.exists() and place.read_bytes() == content:
        # It is the newest once more.
        place.touch()
        return place, False
    snapshot_files.write(folder, path, content)
    return place, True


def newest(folder: Path, day: date, snapshot_id: str) -> Path | None:
    """Return the newest report of a snapshot, or None."""
    snapshot = folder / snapshot_files.path_of(day, snapshot_id)
    found = snapshot.parent.glob(f"{snapshot.stem}{snapshot_files.REPORT}*.html")
    return max(found, key=lambda place: (place.stat().st_mtime_ns, place.name), default=None)
