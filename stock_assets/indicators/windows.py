"""Sums and extremes over the last N rows, in one order of operations whatever row comes first.

A sliding sum depends on every row it ever saw. Here the sum over ten rows is the sum over five plus the sum over the five
before, and so on: a value depends on the rows of its own window only, and a run that begins anywhere gives the same bits.
In every array the value of a row stands at the row's place; the rows before the first full window hold nothing of use.
"""

import numpy as np

from stock_assets.indicators.compiled import compiled
from stock_assets.indicators.panel import Array

PARTIAL = 1
"""The choice `partial` of `Conventions.windows`."""


@compiled
def joined(newer: Array, width: int, older: Array) -> Array:
    """Return the sums over both windows: `newer` over the last `width` rows, `older` over the rows before these."""
    sums = np.empty_like(newer)
    sums[width:] = newer[width:] + older[:-width]
    return sums


@compiled
def sums_of_5(values: Array) -> Array:
    """Return the sums over 5 rows."""
    sums = np.empty_like(values)
    sums[4:] = (values[4:] + values[3:-1]) + (values[2:-2] + values[1:-3]) + values[:-4]
    return sums


@compiled
def put_means(  # noqa: PLR0913  compiled functions take what they need
    sums: Array, width: int, skip: int, values: Array, windows: int, target: Array
) -> None:
    """Put `sums` over `width` rows as means into `target`, whose first row is row `skip`; NaN before the first full window.

    With partial windows, the mean of what there is. `values` are the rows that were summed.
    """
    target[:] = sums[skip:] / width
    lead = min(width - 1, len(values))
    if lead > skip:
        target[: lead - skip] = np.nan
        if windows == PARTIAL:
            total = 0.0
            for row in range(lead):
                total += values[row]
                if row >= skip:
                    target[row - skip] = total / (row + 1)
