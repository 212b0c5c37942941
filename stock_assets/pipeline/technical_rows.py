"""From bars to rows of `technical_daily`: the series, its segments, the kernels' values, and what stands beside them."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
import polars as pl

from stock_assets.domain.adjustment import in_force
from stock_assets.domain.contract import Table
from stock_assets.domain.price_limits import with_listed_sessions, with_price_limits
from stock_assets.indicators.catalog import LIMITS
from stock_assets.indicators.compute import column_names, compute
from stock_assets.indicators.family import Family
from stock_assets.indicators.panel import Array, Bars, Segments, bars_of, in_series
from stock_assets.indicators.table import DIGEST, technical_table
from stock_assets.pipeline.technical_context import TechnicalReport
from stock_assets.pipeline.technical_digests import row_digests, version_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What rows are made of beside the bars: every factor, the securities' facts, the exchanges' sessions."""

    factors: pl.DataFrame
    facts: pl.DataFrame
    sessions: Sequence[date]


class RowMaker:
    """Makes rows for one set of families; the report is told what it took."""

    def __init__(self, families: Sequence[Family], around: Surroundings, report: TechnicalReport) -> None:
        self.table: Table = technical_table(families)
        self.names = column_names(families)
        self._report = report
        self._families = families
        self._around = around
        self._version = version_of(families)
        self._buffer = np.empty(0)

    def series(self, bars: pl.DataFrame) -> pl.DataFrame:
        """Return the bars that belong to a series, with the `adjust_factor` in force; `bars` are by code and day."""
        found = bars.filter(in_series())
        return found.with_columns(in_force(found.select("ts_code", "trade_date"), self._around.factors).alias("adjust_factor"))  # fmt: skip

    def inputs(self, series: pl.DataFrame) -> pl.DataFrame:
        """Return rows of `series` with what their limits need, and their digest."""
        facts = series.join(self._around.facts, on="ts_code", how="left", maintain_order="left")
        return facts.with_columns(row_digests(facts, self._version))

    def values(self, bars: Bars, segments: Segments, before: Array | None = None) -> Array:
        """Return the kernels' values as they are stored: NaN where there is none; they stand until the next call."""
        rows, columns = int((segments.end - segments.first).sum()), len(self.names)
        if len(self._buffer) < rows * columns:
            self._buffer = np.empty(rows * columns)
        with self._report.step("compute"):
            out = self._buffer[: rows * columns].reshape(columns, rows)
            compute(bars, segments, self._families, before=before, out=out, seconds=self._report.family_seconds)
            # Zero has no sign in the store, and what cannot be divided has no value.
            out += 0.0
            out[~np.isfinite(out)] = np.nan
        return out

    def rows(self, inputs: pl.DataFrame, values: Array) -> pl.DataFrame:
        """Return the rows of the table for `inputs`, whose values stand in the same order."""
        columns = [inputs["ts_code"], inputs["trade_date"], inputs[DIGEST]]
        kinds = {column.name: column.kind for column in self.table.columns}
        for name, found in zip(self.names, values, strict=True):
            value = pl.Series(name, found).fill_nan(None)
            if kinds[name] == "integer":
                value = value.cast(pl.Int64)
            elif kinds[name] == "boolean":
                value = value != 0
            columns.append(value)
        limits = with_price_limits(with_listed_sessions(inputs, self._around.sessions))
        columns += [limits[limit.name] for limit in LIMITS]
        return self.table.conform(pl.DataFrame(columns))

    def whole(self, bars: pl.DataFrame, first: date, most: int) -> Generator[pl.DataFrame]:
        """Yield the rows from `first` on of stocks whose series are all in `bars`, about `most` at a time, by code and day."""
        series = self.series(bars)
        if series.is_empty():
            return
        arrays, segments = bars_of(series), _segments_from(series, first)
        for part in _parts(segments, most):
            values = self.values(arrays, part)
            given = pl.concat(
                [series.slice(begin, end - begin) for begin, end in zip(part.first.tolist(), part.end.tolist(), strict=True)]
            )  # fmt: skip
            yield self.rows(self.inputs(given), values)


def _segments_from(series: pl.DataFrame, first: date) -> Segments:
    """Return the segments of whole series of which the rows from `first` on are to be computed; stocks with none are out."""
    lengths = series["ts_code"].rle().struct.field("len").to_numpy().astype(np.int64)
    end = np.cumsum(lengths)
    begin = end - lengths
    earlier = np.concatenate([[0], np.cumsum((series["trade_date"] < first).to_numpy())])
    start = begin + earlier[end] - earlier[begin]
    asked = start < end
    begin, start, end = begin[asked], start[asked], end[asked]
    rows = end - start
    return Segments(begin, start, end, np.cumsum(rows) - rows, np.arange(len(end)), np.ones(len(end), dtype=np.bool_))


def _parts(segments: Segments, most: int) -> Generator[Segments]:
    """Yield the segments in parts of about `most` rows to compute, each with places of its own."""
    rows = segments.end - segments.first
    numbers = (np.cumsum(rows) - rows) // most
    bounds = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
    for start, stop in pairwise(bounds):
        if start < stop:
            part = segments.part(start, stop)
            yield part._replace(place=part.place - part.place[0])
