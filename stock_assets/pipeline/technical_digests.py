"""What indicators were computed from, in numbers that tell whether it is still so.

A row's digest covers the row's own inputs, a day's digest what the day's rows brought into the series: a bar, a factor that
takes effect, a security that is listed. Equal digests of all days mean equal indicators, because nothing else enters.
"""

import hashlib
import inspect
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from stock_assets.indicators.family import Family

KERNELS = 1
"""Raise it whenever a kernel, or a rule of price limits, gives another number for the same bars."""

Bits = npt.NDArray[np.uint64]

_INPUTS = ("open", "high", "low", "close", "pre_close", "volume", "amount", "adjust_factor", "is_st")
# The finalizer of SplitMix64: every bit of a value moves every bit of the result, the same on every machine.
_STEPS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_INCREMENT = np.uint64(0x9E3779B97F4A7C15)
_LAST_SHIFT = np.uint64(31)


def version_of(families: Sequence[Family]) -> str:
    """Return a digest of what is computed and how: names, formulas, and of indicators of one's own the code itself."""
    parts = [str(KERNELS)]
    for family in families:
        parts += [family.name, *(f"{one.name}:{one.formula}:{one.basis}:{one.kind}" for one in family.indicators)]
        if not isinstance(family.kernel, str):
            module = inspect.getmodule(getattr(family.kernel, "py_func", family.kernel))
            parts.append(inspect.getsource(module) if module is not None else repr(family.kernel))
    return hashlib.md5("\n".join(parts).encode(), usedforsecurity=False).hexdigest()


def row_digests(rows: pl.DataFrame, version: str) -> pl.Series:
    """Return the `input_digest` of each row: ts_code, trade_date, the bar, its factor, and the security's facts.

    `rows` has the columns of `technical_inputs.inputs_of`.
    """
    found = np.full(rows.height, int(version[:16], 16), dtype=np.uint64)
    days = rows["trade_date"].cast(pl.Int32)
    for values in (_numbers(rows["ts_code"]), days, *(rows[name] for name in _INPUTS), *_fact_numbers(rows)):
        found = _mixed(found ^ _bits(values))
    return pl.Series("input_digest", found.view(np.int64))


def fact_marks(facts: pl.DataFrame) -> pl.Series:
    """Return a number for each security of `facts` (ts_code, board, list_date), another one when any of these is."""
    found = np.zeros(facts.height, dtype=np.uint64)
    for values in (_numbers(facts["ts_code"]), *_fact_numbers(facts)):
        found = _mixed(found ^ _bits(values))
    return pl.Series("mark", found.view(np.int64))


def day_digests(lines: pl.DataFrame, factors: pl.DataFrame, facts: pl.DataFrame, version: str) -> pl.Series:
    """Return the digest of each day of `lines` (trade_date, status, rows, digest, detail, in order of days).

    `factors` (ex_date, mark) count for the first day from their ex-date on, `facts` (list_date, mark) for every day from the
    listing on.
    """
    days = lines["trade_date"]
    by_factor = _marks_until(days, factors["ex_date"], factors["mark"])
    by_fact = _marks_until(days, facts["list_date"], facts["mark"])
    rows = lines.select("status", "rows", "digest", "detail").iter_rows()
    return pl.Series(
        "expected",
        [
            hashlib.md5(repr((version, *row, by_factor[n] ^ by_factor[n - 1], by_fact[n])).encode(), usedforsecurity=False)
            .hexdigest()
            for n, row in enumerate(rows, start=1)
        ],
        dtype=pl.String,
    )  # fmt: skip


def _marks_until(days: pl.Series, dates: pl.Series, marks: pl.Series) -> list[int]:
    """Return 0, and for each day all marks of dates up to it, taken together."""
    order = dates.arg_sort()
    together = np.concatenate([[0], np.bitwise_xor.accumulate(marks.gather(order).to_numpy().astype(np.int64))])
    places = dates.gather(order).search_sorted(days, side="right")
    return [0, *together[places.to_numpy()].tolist()]


def _fact_numbers(facts: pl.DataFrame) -> list[pl.Series]:
    boards = {name: number for number, name in enumerate(("main", "chinext", "star", "bse", "b_share"), start=1)}
    board = facts["board"].cast(pl.String).replace_strict(boards, default=0, return_dtype=pl.Int32)
    return [board, facts["list_date"].cast(pl.Int32)]


def _numbers(codes: pl.Series) -> pl.Series:
    """Return each code as a number of its own: the digits, and the exchange's two letters."""
    letters = codes.str.slice(7, 2)
    exchange = letters.replace_strict({"SH": 1, "SZ": 2, "BJ": 3}, default=0, return_dtype=pl.Int64)
    return codes.str.slice(0, 6).cast(pl.Int64) * 4 + exchange


def _bits(values: pl.Series) -> Bits:
    """Return the values as doubles, bit by bit; a null is a NaN, of which there is one here, and -0.0 is 0.0."""
    doubles = values.cast(pl.Float64).fill_null(float("nan")).to_numpy() + 0.0
    return np.ascontiguousarray(doubles).view(np.uint64)


def _mixed(values: Bits) -> Bits:
    values = values + _INCREMENT
    for shift, factor in _STEPS:
        values ^= values >> np.uint64(shift)
        values *= np.uint64(factor)
    return values ^ (values >> _LAST_SHIFT)
