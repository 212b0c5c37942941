"""Rows of stocks computed from the first bar of their series: group by group, in bounded memory."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from stock_assets.indicators.table import DIGEST
from stock_assets.pipeline.context import STOCKS_COUNTED
from stock_assets.pipeline.technical_context import TechnicalContext, TechnicalReport
from stock_assets.pipeline.technical_rows import RowMaker
from stock_assets.storage import technicals
from stock_assets.storage.arrow_session import ArrowSession


@dataclass(slots=True)
class WholeSeries:
    """The rows of [first, last] of some stocks.

    `lengths` has ts_code and the number of `rows` of each stock's series up to `last`. Stocks whose rows from `first` on have
    the count and the digests that `stored` says (ts_code, rows, mark) are left out.
    """

    context: TechnicalContext
    report: TechnicalReport
    maker: RowMaker
    session: ArrowSession
    first: date
    last: date
    lengths: pl.DataFrame
    stored: pl.DataFrame | None = None
    rows_of_day: dict[date, int] = field(default_factory=dict[date, int])
    """How many rows there are of each day, of the groups so far, those left out included."""
    seen: set[str] = field(default_factory=set[str])
    """The stocks that have any row from `first` on, of the groups so far."""

    def frames(self) -> Generator[pl.DataFrame]:
        """Yield the rows by code and day; every frame has whole stocks."""
        done = 0
        for codes in self._groups():
            with self.report.step("read"):
                bars = self._changed(technicals.series_of(self.session, codes, self.last))
            if bars.height:
                for frame in self.maker.whole(bars, self.first, self.context.write_rows):
                    self.report.stocks.update(frame["ts_code"].unique())
                    yield frame
            done += len(codes)
            rows = self.report.rows_written
            self.context.progress(
                done=done, total=self.lengths.height, rows=rows, label=codes[-1], counted=STOCKS_COUNTED
            )

    def _groups(self) -> Iterator[list[str]]:
        """Yield codes, in order, of about so many rows together as may be read at a time."""
        number = (pl.col("rows").cum_sum() - 1) // self.context.read_rows
        for _, group in self.lengths.sort("ts_code").group_by(number.alias("group"), maintain_order=True):
            yield group["ts_code"].to_list()

    def _changed(self, bars: pl.DataFrame) -> pl.DataFrame:
        """Return the bars of stocks whose rows are not stored already, and count the rows of all."""
        given = self.maker.inputs(self.maker.series(bars).filter(pl.col("trade_date") >= self.first))
        for day, rows in given.group_by("trade_date").len().iter_rows():
            self.rows_of_day[day] = self.rows_of_day.get(day, 0) + rows
        self.seen.update(given["ts_code"].unique())
        if self.stored is None or self.stored.is_empty():
            return bars
        marks = given.group_by("ts_code").agg(
            pl.len().cast(pl.Int64).alias("rows"), pl.col(DIGEST).bitwise_xor().alias("mark")
        )  # fmt: skip
        return bars.join(marks.join(self.stored, on=["ts_code", "rows", "mark"], how="semi"), on="ts_code", how="anti")
