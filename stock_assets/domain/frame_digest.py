"""What a frame says, apart from how it happens to lie in memory: plain values, and digests of them."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class PlainColumn:
    """A column without polars around it: `values` (texts as a list) are zero or empty where `nulls` are true.

    Days are numbers of days; -0.0 is 0.0. `nulls` is None for a column without any.
    """

    name: str
    dtype: pl.DataType
    values: Array | list[str]
    nulls: Array | None


def plain_columns(frame: pl.DataFrame) -> Iterator[PlainColumn]:
    """Yield the columns of a frame of text, numbers, booleans and days."""
    # In a few expressions for the whole frame: a hundred columns one by one take ten times as long.
    filled = frame.select(
        cs.string().fill_null(""),
        cs.boolean().fill_null(value=False),
        cs.float().fill_null(0.0) + 0.0,
        cs.integer().fill_null(0),
        cs.date().to_physical().fill_null(0),
    ).rechunk()
    counts = frame.null_count().row(0)
    nulls = frame.select(pl.all().is_null())
    for (name, dtype), count in zip(frame.schema.items(), counts, strict=True):
        values = filled[name]
        yield PlainColumn(
            name,
            dtype,
            values.to_list() if dtype == pl.String() else values.to_numpy(),
            nulls[name].to_numpy() if count else None,
        )


def digest_of(frame: pl.DataFrame) -> str:
    """Return 32 hexadecimal digits that two frames share when they have the same columns and rows in the same order."""
    hasher = hashlib.sha256(f"{frame.height}".encode())
    for column in plain_columns(frame):
        hasher.update(f"\n{column.name}\t{column.dtype}\t{column.nulls is not None}\n".encode())
        if column.nulls is not None:
            hasher.update(np.packbits(column.nulls).tobytes())
        if isinstance(column.values, list):
            texts = [text.encode() for text in column.values]
            hasher.update(np.array([len(text) for text in texts], dtype=np.int64).tobytes())
            hasher.update(b"".join(texts))
        else:
            hasher.update(column.values.tobytes())
    return hasher.hexdigest()[:32]


def digest_of_facts(facts: Mapping[str, object], *, digits: int) -> str:
    """Return so many hexadecimal digits of a digest of facts that JSON can say, in whatever order they come."""
    text = json.dumps(facts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:digits]
