"""Where the formulas' authors differ, a named choice each; the defaults are those of the recorded truth."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

Seed = Literal["first_value", "mean"]
KdjSeed = Literal["first_value", "fifty"]
FlatRange = Literal["keep", "fifty", "zero"]
Windows = Literal["full", "partial"]
Deviation = Literal["population", "sample"]
AtrMean = Literal["simple", "wilder"]
Suspended = Literal["drop", "keep"]


class Choices(NamedTuple):
    """`Conventions` as kernels take them: the place of each choice among its alternatives."""

    seed: int
    kdj_seed: int
    flat_range: int
    windows: int
    deviation: int
    atr_mean: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Conventions:
    """The choices of one computation. What is stored always has the defaults.

    - `seed`: a recursive mean begins with its first value (通达信, 同花顺), or with the mean of its first N values (TA-Lib).
    - `kdj_seed`: K and D begin with the first RSV, or with 50 (textbooks).
    - `flat_range`: where the highest high equals the lowest low, K and D stay as they were, or RSV and WR are 50, or 0.
    - `windows`: a window of N rows has a value from row N on, or from the first row, over what there is (`partial`).
    - `deviation`: BOLL's deviation divides by N (`population`) or N - 1 (`sample`).
    - `atr_mean`: ATR is a simple mean of the true ranges (通达信), or Wilder's.
    - `suspended`: rows of suspended days are left out of the series, or kept with the prices they carry.
    """

    seed: Seed = "first_value"
    kdj_seed: KdjSeed = "first_value"
    flat_range: FlatRange = "keep"
    windows: Windows = "full"
    deviation: Deviation = "population"
    atr_mean: AtrMean = "simple"
    suspended: Suspended = "drop"

    def choices(self) -> Choices:
        """Return the choices as kernels take them."""
        return Choices(
            get_args(Seed).index(self.seed),
            get_args(KdjSeed).index(self.kdj_seed),
            get_args(FlatRange).index(self.flat_range),
            get_args(Windows).index(self.windows),
            get_args(Deviation).index(self.deviation),
            get_args(AtrMean).index(self.atr_mean),
        )


DEFAULT = Conventions()
