"""A question for daily bars: what has to be read for it, and the answer made of what was read.

It is asked of the store by `reader`, and of a stock's whole history in memory by whoever keeps one: the answers are the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from stock_assets.domain.adjustment import PRICES, Adjust, adjust_bars
from stock_assets.domain.errors import InvalidInput
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.storage.selection import Selection

_FACTORS = ("ts_code", "ex_date", "back_adjust_factor")
_APPLIED = "adjust_factor"


@dataclass(frozen=True, slots=True, kw_only=True)
class BarsQuestion:
    """Days, adjustment and columns that are asked for. Both ends of [start, end] belong to it, None is no limit.

    Errors: `InvalidInput` for qfq without an anchor.
    """

    start: date | None = None
    end: date | None = None
    adjust: Adjust = "none"
    anchor: date | None = None
    columns: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.adjust == "qfq" and self.anchor is None:
            raise InvalidInput(
                problem="qfq needs an anchor, the day whose prices stay as they were traded",
                problem_zh="qfq（前复权）需要 anchor，即价格保持不变的基准日",
            )

    @property
    def names(self) -> list[str]:
        """Return the columns of the answer in order."""
        return [*STOCK_DAILY.names, _APPLIED] if self.columns is None else list(self.columns)

    def selections(self, ts_codes: Sequence[str] | None = None, as_of: datetime | None = None) -> list[Selection]:
        """Return what has to be read of one state of the store: bars, and factors where any are applied.

        Errors: `InvalidInput` for columns that bars do not have.
        """
        found_by = ["ts_code", "trade_date"] if self.is_touched else []
        needed = list(dict.fromkeys([*found_by, *(name for name in self.names if name != _APPLIED)]))
        bars = Selection(STOCK_DAILY, needed, ts_codes, self.start, self.end, as_of)
        if self.adjust == "none" or not self.is_touched:
            return [bars]
        last = None if self.end is None else max(self.end, self.anchor or self.end)
        return [bars, Selection(ADJUST_FACTOR, _FACTORS, ts_codes, None, last, as_of)]

    def answer(self, bars: pl.DataFrame, factors: pl.DataFrame | None = None) -> pl.DataFrame:
        """Return the answer: `bars` has the columns that were to be read; `factors` may reach further than needed."""
        if self.adjust == "none" or not self.is_touched or factors is None:
            return adjust_bars(bars, ADJUST_FACTOR.empty(), "none").select(self.names)
        return adjust_bars(bars, factors, self.adjust, anchor=self.anchor).select(self.names)

    @property
    def is_touched(self) -> bool:
        """Whether adjustment shows in any column."""
        return not {_APPLIED, *PRICES}.isdisjoint(self.names)


def whole_history(ts_code: str) -> list[Selection]:
    """Return what has to be read to answer every question about one stock: its bars, and its factors."""
    return [Selection(STOCK_DAILY, None, [ts_code]), Selection(ADJUST_FACTOR, _FACTORS, [ts_code])]
