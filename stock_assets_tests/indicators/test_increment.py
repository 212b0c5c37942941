"""A run that takes up a series anywhere computes what one run over the whole series would have: the same bits."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stock_assets.indicators import compiled
from stock_assets.indicators.catalog import FAMILIES
from stock_assets.indicators.compute import column_names, compute
from stock_assets.indicators.conventions import Conventions
from stock_assets.indicators.panel import Array, Bars
from stock_assets_tests.indicators.made_up_series import made_up_bars, same_bits, whole
from stock_assets_tests.indicators.runs import run

NAMES = column_names(FAMILIES)


@pytest.fixture(autouse=True, scope="module")
def compiled_kernels() -> Iterator[None]:
    """The law is that of compiled kernels; that plain ones have their bits is tested in `test_compiled`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "WORTH_COMPILING", 0)
        yield


def whole_series(bars: Bars, lengths: list[int], conventions: Conventions) -> Array:
    return compute(bars, whole(lengths), FAMILIES, conventions=conventions, threads=1)


def differing(one: Array, other: Array) -> list[str]:
    return [name for name, left, right in zip(NAMES, one, other, strict=True) if not same_bits(left, right)]


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.one_of(st.integers(1, 40), st.integers(230, 280), st.integers(1, 600)), min_size=1, max_size=4),
    cuts=st.lists(st.integers(1, 600), max_size=6),
    shift=st.integers(0, 40),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_split_of_a_history_gives_the_bits_of_the_whole(
    lengths: list[int], cuts: list[int], shift: int, seed: int
) -> None:
    bars, conventions = made_up_bars(lengths, seed), Conventions()
    expected = whole_series(bars, lengths, conventions)
    known = np.full_like(expected, np.nan)
    bounds = [0, *sorted(set(cuts)), 1000]
    for low, high in pairwise(bounds):
        # Every stock is cut at other rows.
        split = [(low + shift * stock if low else 0, high + shift * stock) for stock in range(len(lengths))]
        known = run(bars, lengths, split, known, conventions, FAMILIES)
    assert differing(known, expected) == []


CHOICES = (
    Conventions(seed="mean"),
    Conventions(kdj_seed="fifty"),
    Conventions(flat_range="fifty"),
    Conventions(flat_range="zero", windows="partial"),
    Conventions(windows="partial", deviation="sample"),
    Conventions(atr_mean="wilder"),
    Conventions(atr_mean="wilder", seed="mean", kdj_seed="fifty", windows="partial"),
)


@pytest.mark.parametrize("conventions", CHOICES, ids=str)
def test_other_conventions_keep_the_law(conventions: Conventions) -> None:
    lengths = [1, 2, 33, 249, 251, 400, 600]
    bars = made_up_bars(lengths, 7)
    expected = whole_series(bars, lengths, conventions)
    known = np.full_like(expected, np.nan)
    for low, high in pairwise([0, 1, 5, 9, 14, 27, 100, 250, 251, 300, 599, 1000]):
        known = run(bars, lengths, [(low, high)] * len(lengths), known, conventions, FAMILIES)
    assert differing(known, expected) == []


def test_one_row_a_night_for_300_nights_gives_the_bits_of_the_whole() -> None:
    lengths = [310, 420, 600, 330]
    bars, conventions = made_up_bars(lengths, 11), Conventions()
    expected = whole_series(bars, lengths, conventions)
    known = expected.copy()
    bounds = np.cumsum([0, *lengths]).tolist()
    for end in bounds[1:]:
        known[:, end - 300 : end] = np.nan
    for night in range(300):
        rows = [length - 300 + night for length in lengths]
        known = run(bars, lengths, [(row, row + 1) for row in rows], known, conventions, FAMILIES)
    assert differing(known, expected) == []


def test_the_threads_and_the_chunks_change_nothing() -> None:
    lengths = [600] * 60
    bars = made_up_bars(lengths, 5)
    assert same_bits(
        compute(bars, whole(lengths), FAMILIES, threads=4), compute(bars, whole(lengths), FAMILIES, threads=1)
    )


def test_every_indicator_has_its_first_value_where_the_catalog_says() -> None:
    random = np.random.default_rng(3)
    close = 20 * np.exp(np.cumsum(random.normal(0, 0.02, 600)))
    high, low = close * (1 + random.random(600) / 50), close * (1 - random.random(600) / 50)
    direction = np.sign(np.diff(close, prepend=20.0))
    bars = Bars(close, high, low, close, random.integers(1, 10**7, 600).astype(np.float64), close, direction)
    values = compute(bars, whole([600]), FAMILIES, threads=1)
    missing = np.isnan(values)
    assert {name: int(np.argmin(row)) + 1 for name, row in zip(NAMES, missing, strict=True)} == {
        indicator.name: indicator.first_row for family in FAMILIES for indicator in family.indicators
    }
    # And no row after the first one is without a value.
    assert all(row.sum() == np.argmin(row) for row in missing)
