"""The ring: of each stock the newest bars of its series, and the newest values, in one file that spares reading them again.

It is worth nothing by itself: its token says of which days it was made, and a file with another token, or one that is
damaged, is made anew from the store.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import polars as pl
import structlog

from stock_assets.indicators.panel import LOOKBACK, Array, Bars, Segments, bars_of

_log = structlog.get_logger(__name__)
_MAGIC = b"stock_assets ring 1\n"
_FIELDS = len(Bars._fields)
# So few that their bars stay near the processor on the way.
_STOCKS_A_PIECE = 128
Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ring:
    """Bars and values of `codes`, in order of codes, up to and with a day.

    `bars[field, stock]` has LOOKBACK places, of which the last `lengths[stock]` are in use: with fewer than LOOKBACK they are
    the whole series. `values[column, stock]` is the newest row.
    """

    codes: tuple[str, ...]
    lengths: Places
    bars: Array
    values: Array

    @classmethod
    def of(cls, series: pl.DataFrame, values: pl.DataFrame, columns: Sequence[str]) -> "Ring":
        """Return the ring of the newest bars of each stock, by code and day, and of its newest stored row.

        `series` has what `panel.bars_of` needs. A stock without a stored row has no place: its series is new.
        """
        stocks = (
            series.select("ts_code").unique().join(values.select("ts_code"), on="ts_code", how="semi").sort("ts_code")
        )
        codes = stocks["ts_code"]
        kept = series.join(stocks, on="ts_code", how="semi", maintain_order="left")
        counts = kept.group_by("ts_code").len().sort("ts_code")["len"].to_numpy().astype(np.int64)
        bars = np.zeros((_FIELDS, len(codes), LOOKBACK))
        stock = np.repeat(np.arange(len(codes)), counts)
        place = LOOKBACK - np.repeat(np.cumsum(counts), counts) + np.arange(len(stock))
        for field, found in enumerate(bars_of(kept)):
            bars[field, stock, place] = found
        chosen = stocks.join(values, on="ts_code", how="left", maintain_order="left")
        return cls(tuple(codes), counts, bars, _numbers(chosen, columns))

    @classmethod
    def empty(cls, columns: int) -> "Ring":
        """Return the ring of a store without indicators."""
        return cls((), np.zeros(0, dtype=np.int64), np.zeros((_FIELDS, 0, LOOKBACK)), np.zeros((columns, 0)))

    def with_stocks(self, codes: Sequence[str]) -> "Ring":
        """Return the ring with a place for each of these stocks; new ones have no bars yet."""
        every = sorted({*self.codes, *codes})
        if len(every) == len(self.codes):
            return self
        places = np.searchsorted(every, self.codes) if self.codes else np.zeros(0, dtype=np.int64)
        lengths = np.zeros(len(every), dtype=np.int64)
        bars = np.zeros((_FIELDS, len(every), LOOKBACK))
        values = np.full((len(self.values), len(every)), np.nan)
        lengths[places], bars[:, places], values[:, places] = self.lengths, self.bars, self.values
        return Ring(tuple(every), lengths, bars, values)

    def panel(self, series: pl.DataFrame) -> "Panel":
        """Return the ring's bars with those of `series` after them.

        `series` has what `panel.bars_of` needs, by code and day, of stocks that have a place.
        """
        runs = series["ts_code"].rle().struct.unnest()
        counts = runs["len"].to_numpy().astype(np.int64)
        stocks = np.searchsorted(self.codes, runs["value"].to_list()).astype(np.int64)
        width = LOOKBACK + int(counts.max(initial=0))
        together = np.empty((_FIELDS, len(self.codes), width))
        together[:, :, :LOOKBACK] = self.bars
        rows = np.arange(series.height) - np.repeat(np.cumsum(counts) - counts, counts)
        for field, found in enumerate(bars_of(series)):
            together[field, np.repeat(stocks, counts), LOOKBACK + rows] = found
        origin = stocks * width
        segments = Segments(
            begin=origin + LOOKBACK - self.lengths[stocks],
            first=origin + LOOKBACK,
            end=origin + LOOKBACK + counts,
            place=np.cumsum(counts) - counts,
            slot=stocks,
            is_new=self.lengths[stocks] < LOOKBACK,
        )
        return Panel(self, segments, together)


@dataclass(frozen=True, slots=True)
class Panel:
    """A ring and the bars that came after it: what is to be computed is told by `segments`, before it is `ring.values`."""

    ring: Ring
    segments: Segments
    together: Array

    @property
    def bars(self) -> Bars:
        """Return the bars as kernels take them."""
        return Bars(*(self.together[field].reshape(-1) for field in range(_FIELDS)))

    def moved_on(self, values: Array) -> "MovedRing":
        """Return what the ring is after the last of these bars; `values` are the results of the segments."""
        ring, chosen = self.ring, self.segments.slot
        counts = self.segments.end - self.segments.first
        steps = np.zeros(len(ring.codes), dtype=np.int64)
        steps[chosen] = counts
        newest = ring.values.copy()
        newest[:, chosen] = values[:, self.segments.place + counts - 1]
        return MovedRing(ring.codes, np.minimum(ring.lengths + steps, LOOKBACK), newest, self.together, steps)


@dataclass(frozen=True, slots=True)
class MovedRing:
    """A ring on its way to a file: of `together` the LOOKBACK places from `steps` on, stock by stock."""

    codes: tuple[str, ...]
    lengths: Places
    values: Array
    together: Array
    steps: Places

    def parts(self) -> Iterator[Array]:
        """Yield the file's numbers piece by piece: a copy of all bars would cost more than writing them."""
        yield self.lengths.astype(np.float64)
        for field in self.together:
            for first in range(0, len(self.codes), _STOCKS_A_PIECE):
                stocks = slice(first, first + _STOCKS_A_PIECE)
                places = self.steps[stocks, np.newaxis] + np.arange(LOOKBACK)
                yield np.take_along_axis(field[stocks], places, axis=1)
        yield self.values


def load_ring(path: Path | None, token: str, columns: Sequence[str]) -> Ring | None:
    """Return the ring in `path`, or None when there is none of this token with these columns."""
    if path is None:
        return None
    try:
        return _read(path, token, list(columns))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        _log.warning("ring.useless", path=str(path), reason=" ".join(str(error).split()))
        return None


def _read(path: Path, token: str, columns: list[str]) -> Ring | None:
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError("not a ring")
        head = cast("dict[str, Any]", json.loads(file.read(int.from_bytes(file.read(8), "little"))))
        if head["token"] != token or head["columns"] != columns:
            return None
        content = np.fromfile(file, dtype=np.float64)
    if not len(content) or _checksum(content[:-1]) != int(content[-1:].view(np.uint64)[0]):
        raise ValueError("damaged")
    content = content[:-1]
    codes = tuple(cast("list[str]", head["codes"]))
    lengths, bars, values = np.split(content, np.cumsum((len(codes), _FIELDS * len(codes) * LOOKBACK)))
    return Ring(
        codes,
        lengths.astype(np.int64),
        bars.reshape(_FIELDS, len(codes), LOOKBACK),
        values.reshape(len(columns), len(codes)),
    )


def save_ring(path: Path | None, ring: MovedRing, token: str, columns: Sequence[str]) -> None:
    """Write the ring to `path`, whole or not at all; a disk that refuses costs the next run some seconds, and this one nothing."""
    if path is None:
        return
    text = json.dumps({"token": token, "columns": list(columns), "codes": ring.codes}).encode()
    begun = path.with_name(f".{path.name}-{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with begun.open("wb") as file:
            file.write(_MAGIC + len(text).to_bytes(8, "little") + text)
            checksum = 0
            for part in ring.parts():
                checksum = (checksum + _checksum(part)) % 2**64
                np.ascontiguousarray(part).tofile(file)
            file.write(checksum.to_bytes(8, "little"))
        begun.replace(path)
    except OSError as error:
        _log.warning("ring.not_written", path=str(path), reason=" ".join(str(error).split()))
        with suppress(OSError):
            begun.unlink()


def _checksum(values: Array) -> int:
    return int(np.ascontiguousarray(values).reshape(-1).view(np.uint64).sum(dtype=np.uint64))


def _numbers(rows: pl.DataFrame, columns: Sequence[str]) -> Array:
    """Return one row for each column, as kernels give them."""
    found = [rows[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in columns]
    return np.array(found).reshape(len(columns), rows.height)
