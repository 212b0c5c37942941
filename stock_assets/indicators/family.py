"""What an indicator is: its columns in words, and the kernel that computes a family of them together."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Literal, cast

from stock_assets.domain.contract import Column
from stock_assets.indicators.conventions import Choices
from stock_assets.indicators.panel import Array, Bars, Segments

Basis = Literal["price", "traded", "none"]
"""How a column follows the adjustment of prices: in proportion (`price`), not at all because it is a price as traded
(`traded`), or not at all because no price level is in it (`none`)."""

Kernel = Callable[[Bars, Segments, Choices, Array, Array], None]
"""`kernel(bars, segments, choices, before, out)`: put the family's columns into the rows of `out`.

`before[column, slot]` holds the same columns of the row before, for segments that are not new. NaN is no value.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """One column: `first_row` is the row of a series, counted from 1, that has the first value.

    `formula` is in the language of 通达信; `is_state` marks what the next day is computed from and no reader asks for.
    """

    name: str
    zh: str
    en: str
    formula: str
    first_row: int
    basis: Basis = "none"
    unit: str = ""
    kind: Literal["float", "integer", "boolean"] = "float"
    is_state: bool = False

    @property
    def column(self) -> Column:
        """Return the column of a table that holds it; null before the first value."""
        return Column(self.name, self.kind, self.zh, self.en, unit=self.unit, nullable=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Indicators that one kernel computes in one pass over the bars.

    `inputs` are the fields of `Bars` it looks at; `kernel` is the function, or `module:function` where the module should
    not be imported before it is needed. `lookback` is how many rows before the first one the kernel looks at, at most
    `panel.LOOKBACK`; what it needs of older rows it must find in its own columns of the row before.
    """

    name: str
    zh: str
    en: str
    inputs: tuple[str, ...]
    indicators: tuple[Indicator, ...]
    kernel: str | Kernel
    lookback: int
    source: str

    def function(self) -> Kernel:
        """Return the kernel."""
        if not isinstance(self.kernel, str):
            return self.kernel
        module, _, name = self.kernel.partition(":")
        return cast("Kernel", getattr(import_module(module), name))

    @property
    def names(self) -> list[str]:
        """Return the names of the columns, in the order of the kernel's rows."""
        return [indicator.name for indicator in self.indicators]
