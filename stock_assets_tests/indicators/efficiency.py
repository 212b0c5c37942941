"""Kaufman's efficiency ratio, as an example of an indicator of one's own."""

import numpy as np

from stock_assets.indicators.family import Family, Indicator
from stock_assets.indicators.own import windowed
from stock_assets.indicators.panel import Array


def efficiency(close: Array) -> Array:
    """Return how far the price has come over how far it has gone, 0 to 1."""
    return np.abs(close[:, -1] - close[:, 0]) / np.abs(np.diff(close, axis=1)).sum(axis=1)


FAMILIES = (
    Family(
        name="efficiency",
        zh="效率系数(10)",
        en="efficiency ratio",
        inputs=("close",),
        indicators=(
            Indicator(
                name="efficiency_10",
                zh="10 日效率系数",
                en="efficiency ratio of 10 sessions",
                formula="ABS(CLOSE-REF(CLOSE,10))/SUM(ABS(CLOSE-REF(CLOSE,1)),10)",
                first_row=11,
            ),
        ),
        kernel=windowed(efficiency, rows=11, inputs=("close",)),
        lookback=10,
        source="Kaufman, Trading Systems and Methods",
    ),
)
