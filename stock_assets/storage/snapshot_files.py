"""Snapshots as files: Arrow IPC, one record batch, zstd buffers; written whole or not at all, never changed.

`FOLDER/2026/2026-11-20-0123456789abcdef.arrow`. The same rows and notes give the same bytes, with one version of Arrow and
zstd. Which file is the day's snapshot is in the table `cache_snapshot`, never in the folder.
"""

import hashlib
import json
import os
import re
import secrets
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any, Final, cast

import numpy as np
import polars as pl
import pyarrow as pa

from stock_assets.domain.contract import Table
from stock_assets.domain.errors import SnapshotDamaged
from stock_assets.domain.frame_digest import Array, PlainColumn, plain_columns
from stock_assets.storage.arrow_session import ARROW_TYPES, ArrowTable, arrow

# pyarrow ships no types.
_ipc: Any = cast("Any", pa).ipc
_SUFFIX: Final = ".arrow"
# Not a name that anybody's `*.arrow` finds.
_BEGUN: Final = ".partial"
REPORT: Final = ".quality-"
"""Between the name of a snapshot and the digest of a report about it."""
_NAME: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})-[0-9a-f]{16}(\.arrow|\.quality-[0-9a-f]{16}\.html)(\.[0-9a-f]+\.partial)?"
)
# The first level costs a third of the usual one's time and a hundredth of its space: these are mostly full floats.
_LEVEL: Final = 1


def path_of(day: date, snapshot_id: str) -> PurePosixPath:
    """Return where a snapshot lies, relative to the folder of snapshots."""
    return PurePosixPath(f"{day:%Y}") / f"{day}-{snapshot_id}{_SUFFIX}"


def encode(frame: pl.DataFrame, table: Table, notes: Mapping[str, str]) -> bytes:
    """Return the file of a conformed frame; every column carries its comment and unit, the file its `notes`."""
    fields = [
        arrow.field(
            column.name,
            ARROW_TYPES[column.kind],
            nullable=column.nullable,
            metadata={"comment": column.comment, "unit": column.unit},
        )
        for column in table.columns
    ]
    schema = arrow.schema(fields, metadata={**notes, "comment": table.comment})
    plain = plain_columns(frame.select(table.names))
    columns = [_array(column, field.type) for column, field in zip(plain, fields, strict=True)]
    sink = arrow.BufferOutputStream()
    options = _ipc.IpcWriteOptions(compression=arrow.Codec("zstd", _LEVEL))
    with _ipc.new_file(sink, schema, options=options) as writer:
        writer.write_batch(arrow.RecordBatch.from_arrays(columns, schema=schema))
    return sink.getvalue().to_pybytes()


def digest_of_file(content: bytes) -> str:
    """Return the digest by which a file is known to be whole."""
    return hashlib.sha256(content).hexdigest()


def write(folder: Path, path: PurePosixPath, content: bytes) -> None:
    """Put a file in its place; whoever looks sees all of it or none, through a power failure too.

    Errors: `OSError` when the folder cannot be written.
    """
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    begun = target.with_name(f"{target.name}.{secrets.token_hex(4)}{_BEGUN}")
    try:
        with begun.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        begun.replace(target)
    except BaseException:
        begun.unlink(missing_ok=True)
        raise
    _keep_name(target.parent)


def is_whole(folder: Path, path: str, digest: str) -> bool:
    """Return whether the file is there with the content that was recorded."""
    try:
        content = (folder / path).read_bytes()
    except OSError:
        return False
    return digest_of_file(content) == digest


def read_arrow(folder: Path, path: str, size: int, columns: Sequence[str] | None = None) -> ArrowTable:
    """Return the file's rows as a `pyarrow.Table`; of some columns only theirs are read.

    Errors: `FileNotFoundError`; `SnapshotDamaged` for a file of another size, or one that is no such file; `KeyError` for a
    column that it does not have.
    """
    with _mapped(folder / path, size) as mapped:
        return _rows(mapped, columns)


def read_frame(folder: Path, path: str, size: int, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Return the same as a frame, which polars reads a third faster than it takes an Arrow table; errors as `read_arrow`."""
    place = folder / path
    if place.stat().st_size != size:
        raise SnapshotDamaged(path=str(place))
    try:
        frame = pl.read_ipc(place, columns=None if columns is None else list(columns))
    except FileNotFoundError:
        raise
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SnapshotDamaged(path=str(place)) from error
    return frame if columns is None else frame.select(columns)


def names(folder: Path, path: str, size: int) -> list[str]:
    """Return the columns that a file has; errors as `read_arrow`."""
    with _mapped(folder / path, size) as mapped:
        return list(_ipc.open_file(mapped).schema.names)


def notes_of(table: ArrowTable) -> dict[str, object]:
    """Return what a file says of itself: trade_date, snapshot_id, code_version, inputs."""
    found_notes: dict[bytes, bytes] = table.schema.metadata or {}
    notes = {key.decode(): value.decode() for key, value in found_notes.items()}
    return {**notes, "inputs": json.loads(notes["inputs"])} if "inputs" in notes else dict(notes)


def found(folder: Path) -> Iterator[tuple[date, str]]:
    """Yield the day and the relative path of everything in the folder that has a snapshot's name, begun ones included."""
    for year in sorted(folder.glob("[0-9][0-9][0-9][0-9]")):
        with suppress(OSError):
            for entry in os.scandir(year):
                if (match := _NAME.fullmatch(entry.name)) is not None:
                    yield date.fromisoformat(match[1]), f"{year.name}/{entry.name}"


def snapshot_of(path: str) -> str:
    """Return the path of the snapshot that a file belongs to: of a report its snapshot's, of any other its own."""
    snapshot, mark, _ = path.partition(REPORT)
    is_begun = path.endswith(_BEGUN)
    return f"{snapshot}{_SUFFIX}" if mark and not is_begun else path


def remove(folder: Path, path: str) -> bool:
    """Remove a file and return whether it is gone; one that is still being read on Windows stays for the next time."""
    place = folder / path
    try:
        place.unlink(missing_ok=True)
    except OSError:
        return False
    return True


@contextmanager
def _mapped(place: Path, size: int) -> Generator[Any]:
    try:
        with arrow.memory_map(str(place)) as mapped:
            if mapped.size() != size:
                raise SnapshotDamaged(path=str(place))
            yield mapped
    except FileNotFoundError:
        raise
    except (arrow.ArrowInvalid, OSError) as error:
        raise SnapshotDamaged(path=str(place)) from error


def _rows(mapped: Any, columns: Sequence[str] | None) -> ArrowTable:  # noqa: ANN401  pyarrow ships no types
    if columns is None:
        return _ipc.open_file(mapped).read_all()
    names: list[str] = _ipc.open_file(mapped).schema.names
    places = {name: place for place, name in enumerate(names)}
    wanted = [places[name] for name in columns]
    options = _ipc.IpcReadOptions(included_fields=wanted or [0])
    return _ipc.open_file(mapped, options=options).read_all().select(list(columns))


def _array(column: PlainColumn, kind: Any) -> Any:  # noqa: ANN401  as `_rows`
    """Return a column as Arrow holds it, with nothing under its nulls: the bytes must follow from the values alone.

    Made of buffers: Arrow's own way from an array would import pandas, which takes longer than all the rest.
    """
    validity = None if column.nulls is None else _bits(~column.nulls)
    if isinstance(column.values, list):
        texts = [text.encode() for text in column.values]
        ends = np.cumsum([0, *map(len, texts)], dtype=np.int32)
        buffers = [validity, arrow.py_buffer(ends), arrow.py_buffer(b"".join(texts))]
    elif column.values.dtype == np.bool_:
        buffers = [validity, _bits(column.values)]
    else:
        buffers = [validity, arrow.py_buffer(np.ascontiguousarray(column.values))]
    return arrow.Array.from_buffers(kind, len(column.values), buffers)


def _bits(flags: Array) -> Any:  # noqa: ANN401  as `_rows`
    return arrow.py_buffer(np.packbits(flags, bitorder="little").tobytes())


def _keep_name(folder: Path) -> None:
    """Bring the folder's list of names to disk, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(place)
    finally:
        os.close(place)
