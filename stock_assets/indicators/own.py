"""Indicators of one's own: a function of the last N rows becomes a kernel, and a file with a `Family` in it joins ours.

Such a file has a tuple `FAMILIES`; nothing of ours has to be changed. Where an indicator needs its own value of the row before,
write the kernel itself, as `family.Kernel` says: plain NumPy, or compiled by `compiled.compiled`.
"""

from collections.abc import Callable, Sequence

import numpy as np

from stock_assets.indicators.conventions import Choices
from stock_assets.indicators.family import Kernel
from stock_assets.indicators.panel import LOOKBACK, Array, Bars, Places, Segments

_AT_ONCE = 256
"""Windows that a function is given at once: always so many, since NumPy's sums may depend on how many there are."""


def windowed(function: Callable[..., Array | Sequence[Array]], *, rows: int, inputs: Sequence[str]) -> Kernel:
    """Return the kernel of a function that looks at the last `rows` rows of a stock.

    `function` is given one array for each of `inputs`, a window in each line with the newest row last, and returns one
    value a window, or a sequence of such arrays for a family of several columns. A row before the first full window has no
    value; NaN is no value either, and a division by zero is no error.

    Errors: `ValueError` for more rows than a run has at hand.
    """
    if not 1 <= rows <= LOOKBACK + 1:
        raise ValueError(f"a window has 1 to {LOOKBACK + 1} rows, not {rows}")

    def kernel(bars: Bars, segments: Segments, _choices: Choices, _before: Array, out: Array) -> None:
        ends, places = _windows(segments, rows, out)
        fields = [np.asarray(getattr(bars, name)) for name in inputs]
        back = np.arange(1 - rows, 1)
        for begin in range(0, len(ends), _AT_ONCE):
            chosen = ends[begin : begin + _AT_ONCE]
            # The last ones are filled up by repeating a window: every call is of the same size.
            numbers = np.resize(chosen, _AT_ONCE)[:, np.newaxis] + back
            found = function(*(field[numbers] for field in fields))
            columns = found if isinstance(found, list | tuple) else [found]
            for row, values in zip(out, columns, strict=True):
                row[places[begin : begin + _AT_ONCE]] = np.asarray(values)[: len(chosen)]

    return kernel


def _windows(segments: Segments, rows: int, out: Array) -> tuple[Places, Places]:
    """Return the last row of every full window, and the place of its value; the rows without one are made NaN."""
    nothing: Places = np.empty(0, dtype=np.int64)
    ends, places = [nothing], [nothing]
    for stock in range(len(segments.begin)):
        begin, first, end, place = (int(field[stock]) for field in segments[:4])
        full = min(max(first, begin + rows - 1), end)
        out[:, place : place + full - first] = np.nan
        ends.append(np.arange(full, end, dtype=np.int64))
        places.append(np.arange(place + full - first, place + end - first, dtype=np.int64))
    return np.concatenate(ends), np.concatenate(places)
