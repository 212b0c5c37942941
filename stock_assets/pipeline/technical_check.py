"""Whether what is stored is what the bars say: everything computed again from the first bar on, compared bit by bit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import polars as pl

from stock_assets.domain.calendar import FIRST_SESSION
from stock_assets.domain.contract import Table
from stock_assets.indicators.table import DIGEST
from stock_assets.pipeline.technical_context import TechnicalContext, TechnicalReport
from stock_assets.pipeline.technical_digests import version_of
from stock_assets.pipeline.technical_plan import TechnicalPlan
from stock_assets.pipeline.technical_rows import RowMaker, Surroundings
from stock_assets.pipeline.whole_series import WholeSeries
from stock_assets.storage import technicals
from stock_assets.storage.reader import Reader
from stock_assets.units import unit

_KEY = ["ts_code", "trade_date"]
_NAMED: Final = 20
DIFFERENCES: Final = {
    "ts_code": pl.String(), "trade_date": pl.Date(), "column": pl.String(), "stored": pl.String(), "computed": pl.String(),
}  # fmt: skip


@dataclass(slots=True)
class Recomputation:
    """What came of a comparison over [first, last]: rows and cells compared, and the first differences of each kind.

    `stale` are days that were computed of inputs that have changed since: they are no damage, and were not compared.
    """

    first: date
    last: date
    rows: int = 0
    cells: int = 0
    differing_cells: int = 0
    missing_rows: int = 0
    extra_rows: int = 0
    stale: list[date] = field(default_factory=list[date])
    codes: set[str] = field(default_factory=set[str])
    worst: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=DIFFERENCES))

    @property
    def is_equal(self) -> bool:
        """Whether all bits are equal."""
        return not (self.differing_cells or self.missing_rows or self.extra_rows)

    @property
    def repair(self) -> str:
        """Return the command that computes what differs again."""
        codes = "" if len(self.codes) > _NAMED else f" --codes {','.join(sorted(self.codes))}"
        days = self.worst["trade_date"]
        first = min(days) if len(days) and self.differing_cells < _NAMED else self.first
        return f"stock-assets backfill-technicals --start {first} --end {self.last} --again{codes}"

    def add(self, table: Table, computed: pl.DataFrame, stored: pl.DataFrame) -> None:
        """Compare rows of the same stocks and days."""
        self.rows += computed.height
        both = computed.join(stored, on=_KEY, how="inner", suffix=" stored", maintain_order="left")
        missing = computed.join(stored, on=_KEY, how="anti")
        extra = stored.join(computed, on=_KEY, how="anti")
        self.missing_rows += missing.height
        self.extra_rows += extra.height
        self._name(missing, "-", "missing", "a row")
        self._name(extra, "-", "a row", "nothing")
        for column in table.names:
            # A row that was made of other inputs tells so in its values, or it does not matter.
            if column in {*_KEY, DIGEST}:
                continue
            self.cells += both.height
            if (found := both.filter(both[f"{column} stored"].ne_missing(both[column]))).height:
                self.differing_cells += found.height
                named = found.head(_NAMED).select(
                    *_KEY,
                    pl.lit(column).alias("column"),
                    pl.col(f"{column} stored").map_elements(repr, pl.String, skip_nulls=False).alias("stored"),
                    pl.col(column).map_elements(repr, pl.String, skip_nulls=False).alias("computed"),
                )
                self.codes.update(found["ts_code"].unique())
                self.worst = pl.concat([self.worst, named]).head(_NAMED)

    def _name(self, rows: pl.DataFrame, column: str, stored: str, computed: str) -> None:
        self.codes.update(rows["ts_code"].unique())
        named = rows.head(_NAMED).select(
            *_KEY, pl.lit(column).alias("column"), pl.lit(stored).alias("stored"), pl.lit(computed).alias("computed")
        )
        self.worst = pl.concat([self.worst, named]).head(_NAMED)


def compare_recomputed(
    context: TechnicalContext, days: Sequence[date] | None, *, ts_codes: Sequence[str] | None = None
) -> Recomputation:
    """Compute the rows of `days`, or (None) all rows, from each stock's first bar on and compare them with what is stored.

    With `ts_codes` only those of these stocks. Days that are stale by the ledger, and those that were never computed, are left out.
    """
    report = TechnicalReport(dataset="technical_daily", days_asked=0)
    with context.database.read() as conn:
        plan = TechnicalPlan.read(conn, version_of(context.families))
        factors = technicals.read_factors(conn)
    computed = plan.lines.filter(pl.col("known").is_not_null())
    asked = computed if days is None else computed.filter(pl.col("trade_date").is_in(list(days)))
    stale = asked.filter(pl.col("known") != pl.col("expected"))["trade_date"].to_list()
    chosen = [day for day in asked["trade_date"] if day not in set(stale)]
    if not chosen:
        nothing = max(days) if days else FIRST_SESSION
        return Recomputation(nothing, nothing, stale=stale)
    found = Recomputation(chosen[0], chosen[-1], stale=stale)
    sessions = context.calendar.between(FIRST_SESSION, found.last)
    maker = RowMaker(context.families, Surroundings(factors=factors, facts=plan.facts, sessions=sessions), report)
    in_days = pl.col("trade_date").is_in(chosen)
    with (
        unit("technicals.check", first=found.first, last=found.last, slow_seconds=float("inf")) as work,
        Reader(context.database).snapshot() as session,
    ):
        lengths = technicals.series_lengths(session, found.last, ts_codes)
        whole = WholeSeries(context, report, maker, session, found.first, found.last, lengths)
        with Reader(context.database).snapshot() as beside:
            for frame in whole.frames():
                stored = technicals.stored_rows(
                    beside, maker.table, frame["ts_code"].unique().to_list(), found.first, found.last
                )
                found.add(maker.table, frame.filter(in_days), stored.filter(in_days))
            of_all = (
                technicals.stored_marks(beside, found.first, found.last)["ts_code"] if ts_codes is None else ts_codes
            )
            gone = sorted(set(of_all) - whole.seen)
            if gone:
                stored = technicals.stored_rows(beside, maker.table, gone, found.first, found.last)
                found.add(maker.table, maker.table.empty(), stored.filter(in_days))
        work.add(rows=found.rows, cells=found.cells, differing=found.differing_cells)
    return found
