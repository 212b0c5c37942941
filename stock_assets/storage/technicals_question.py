"""A question for stored indicators: what has to be read for it, and the answer made of what was read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import polars as pl

from stock_assets.domain.adjustment import in_force
from stock_assets.domain.errors import InvalidInput
from stock_assets.domain.tables import ADJUST_FACTOR
from stock_assets.indicators.catalog import FAMILIES
from stock_assets.indicators.family import Family
from stock_assets.indicators.table import price_columns, shown_columns, technical_table
from stock_assets.storage.selection import Selection

PriceLevel = Literal["hfq", "qfq"]
_FACTORS = ("ts_code", "ex_date", "back_adjust_factor")


@dataclass(frozen=True, slots=True, kw_only=True)
class TechnicalsQuestion:
    """Days, adjustment and columns that are asked for. Both ends of [start, end] belong to it, None is no limit.

    `families` are the indicators of the store, those of one's own included. Errors: `InvalidInput` for qfq without an anchor.
    """

    start: date | None = None
    end: date | None = None
    adjust: PriceLevel = "hfq"
    anchor: date | None = None
    columns: tuple[str, ...] | None = None
    families: tuple[Family, ...] = FAMILIES

    def __post_init__(self) -> None:
        if self.adjust == "qfq" and self.anchor is None:
            raise InvalidInput(
                problem="qfq needs an anchor, the day on whose price level all prices are given",
                problem_zh="qfq（前复权）需要 anchor，即价格水平的基准日",
            )

    @property
    def names(self) -> list[str]:
        """Return the columns of the answer in order."""
        return shown_columns(self.families) if self.columns is None else list(self.columns)

    def selections(self, ts_codes: Sequence[str] | None = None) -> list[Selection]:
        """Return what has to be read of one state of the store: indicators, and factors where any are applied.

        Errors: `InvalidInput` for columns that the table does not have.
        """
        needed = list(dict.fromkeys(["ts_code", *self.names] if self._prices else self.names))
        rows = Selection(technical_table(self.families), needed, ts_codes, self.start, self.end)
        if not self._prices:
            return [rows]
        return [rows, Selection(ADJUST_FACTOR, _FACTORS, ts_codes, None, self.anchor)]

    def answer(self, rows: pl.DataFrame, factors: pl.DataFrame | None = None) -> pl.DataFrame:
        """Return the answer: `rows` has the columns that were to be read, `factors` those up to the anchor."""
        if not self._prices or factors is None:
            return rows.select(self.names)
        stocks = rows.select("ts_code").unique().with_columns(pl.lit(self.anchor).alias("trade_date"))
        divisors = stocks.select("ts_code", in_force(stocks, factors).alias("divisor"))
        joined = rows.join(divisors, on="ts_code", how="left", maintain_order="left")
        return joined.with_columns(pl.col(name) / pl.col("divisor") for name in self._prices).select(self.names)

    @property
    def _prices(self) -> list[str]:
        """The columns of the answer that are divided."""
        return [] if self.adjust == "hfq" else [name for name in price_columns(self.families) if name in self.names]
