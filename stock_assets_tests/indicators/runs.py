"""A run that takes up made-up series where an earlier one has left them."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from stock_assets.indicators.compute import compute
from stock_assets.indicators.conventions import Conventions
from stock_assets.indicators.family import Family
from stock_assets.indicators.panel import LOOKBACK, Array, Bars, Segments


def run(
    bars: Bars,
    lengths: list[int],
    split: list[tuple[int, int]],
    known: Array,
    conventions: Conventions,
    families: Sequence[Family],
) -> Array:
    """Compute rows [low, high) of every stock, as far as it has them, from what a run before them has left."""
    bounds = np.cumsum([0, *lengths]).tolist()
    asked = [
        (begin, begin + min(low, end - begin), begin + min(high, end - begin))
        for (begin, end), (low, high) in zip(pairwise(bounds), split, strict=True)
    ]
    asked = [(begin, first, end) for begin, first, end in asked if end > first]
    firsts = np.array([first for _, first, _ in asked], dtype=np.int64)
    ends = np.array([end for *_, end in asked], dtype=np.int64)
    begins = np.array([begin for begin, *_ in asked], dtype=np.int64)
    is_new = firsts - begins < LOOKBACK
    segments = Segments(
        np.where(is_new, begins, firsts - LOOKBACK),
        firsts,
        ends,
        np.cumsum(ends - firsts) - (ends - firsts),
        np.arange(len(asked)),
        is_new,
    )
    before = np.full((len(known), len(asked)), np.nan)
    before[:, ~is_new] = known[:, firsts[~is_new] - 1]
    # Only what a run may look at is there to be looked at.
    seen = np.zeros(len(bars.close), dtype=bool)
    for begin, end in zip(segments.begin, ends, strict=True):
        seen[begin:end] = True
    shown = Bars(*(np.where(seen, field, np.nan) for field in bars))
    found = compute(shown, segments, families, conventions=conventions, before=before, threads=1)
    for first, end, place in zip(firsts, ends, segments.place, strict=True):
        known[:, first:end] = found[:, place : place + end - first]
    return known
