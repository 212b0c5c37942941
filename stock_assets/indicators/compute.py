"""Run the kernels of some families over a panel: stock by stock in chunks that stay in the processor's own memory."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from time import perf_counter

import numpy as np

from stock_assets.indicators.compiled import quickest
from stock_assets.indicators.conventions import DEFAULT, Conventions
from stock_assets.indicators.family import Family
from stock_assets.indicators.panel import Array, Bars, Segments

# Rows of a chunk: few enough to stay near the processor, enough to make the steps between chunks cheap; handing one to a
# kernel takes some 20 microseconds. Fewer rows are shared among the threads if they are worth a thread.
_ROWS, _WORTH_A_THREAD = 131_072, 8192

Seconds = dict[str, float]


def column_names(families: Sequence[Family]) -> list[str]:
    """Return the columns that `compute` gives, in the order of its rows."""
    return [name for family in families for name in family.names]


def compute(  # noqa: PLR0913  what to compute, and how
    bars: Bars,
    segments: Segments,
    families: Sequence[Family],
    *,
    conventions: Conventions = DEFAULT,
    before: Array | None = None,
    out: Array | None = None,
    threads: int = 2,
    seconds: Seconds | None = None,
) -> Array:
    """Return one row for each of `column_names(families)`, one column for each bar that was to be computed; NaN is no value.

    `before` holds the same columns of the bars before, as `Segments.slot` says; it may be left out where every segment is
    new. `out` is used for the result where it is given, which spares the first touch of fresh memory. Processor seconds of
    each family, over all threads, are added to `seconds`.
    """
    names = column_names(families)
    rows = int((segments.end - segments.first).sum())
    result = np.empty((len(names), rows)) if out is None else out
    known = np.empty((len(names), 0)) if before is None else before
    choices = conventions.choices()
    kernels = [quickest(family.function(), rows) for family in families]
    ends = np.cumsum([len(family.indicators) for family in families])
    places = list(pairwise([0, *ends.tolist()]))

    def work(start: int, stop: int) -> Seconds:
        part, spent = segments.part(start, stop), Seconds()
        # Kernels without a compiler divide by what may be zero, and say NaN themselves where it is.
        with np.errstate(all="ignore"):
            for family, kernel, (low, high) in zip(families, kernels, places, strict=True):
                began = perf_counter()
                kernel(bars, part, choices, known[low:high], result[low:high])
                spent[family.name] = perf_counter() - began
        return spent

    for spent in _in_threads(work, _chunks(segments, threads), threads):
        if seconds is not None:
            for name, added in spent.items():
                seconds[name] = seconds.get(name, 0.0) + added
    return result


def _chunks(segments: Segments, threads: int) -> list[tuple[int, int]]:
    """Return [start, stop) of segments with about as many rows each, context included."""
    if not len(segments.begin):
        return []
    rows = np.cumsum(segments.end - segments.begin)
    asked = int((segments.end - segments.first).sum())
    pieces = max(-(-asked // _ROWS), min(2 * threads, -(-int(rows[-1]) // _WORTH_A_THREAD)))
    numbers = rows * pieces // (rows[-1] + 1)
    starts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
    return list(pairwise(starts))


def _in_threads(work: Callable[[int, int], Seconds], chunks: list[tuple[int, int]], threads: int) -> list[Seconds]:
    if threads == 1 or len(chunks) == 1:
        return [work(*chunk) for chunk in chunks]
    with ThreadPoolExecutor(threads, thread_name_prefix="indicators") as pool:
        return list(pool.map(work, [start for start, _ in chunks], [stop for _, stop in chunks]))
