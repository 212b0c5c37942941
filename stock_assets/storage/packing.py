"""Daily bars as whole numbers: how a hypertable holds them, because TimescaleDB packs these in a third of the room.

Prices are held in cents (or thousandths, where a row needs them), rates in millionths, `pct_chg` as what is left of it once
`close` and `pre_close` have said the rest, `updated_at` in milliseconds and the microseconds beyond them. Nothing is rounded:
a row with a value that would not come back to its last bit is held as it came, in `exact`. A zero loses its sign.

The same packing in polars and in SQL, and the way back in SQL. What tables and views are made of it is known in
`packed_table`.
"""

import re
from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stock_assets.domain.contract import Column, Table
from stock_assets.domain.tables import STOCK_DAILY

Bits = NDArray[np.bool_]
Doubles = NDArray[np.float64]

PRICES = ("open", "high", "low", "close", "pre_close")
RATES = ("turnover_rate", "pct_chg", "pe_ttm", "pb_mrq", "ps_ttm", "pcf_ncf_ttm")
SCALED = (*PRICES, *RATES)
"""The columns in the order of `exact`."""

PRICE_SCALES = (100, 1000)
RATE_SCALE = 1_000_000
# Far below 2^53, so that a whole number divided by its scale is the double next to the true value; and so far below 2^63
# that what is foretold of `pct_chg` stays a bigint.
LIMIT = 2**42
_MOST_TIMES = 1000
_SCALE, _REST, _EXACT = "price_scale", "updated_at_us", "exact"


def _held(column: Column) -> list[Column]:
    if column.name == "updated_at":
        ms = Column(column.name, "integer", f"{column.zh}，自 1970 年", f"{column.en}, since 1970", unit="ms")
        return [ms, Column(_REST, "integer", "其后的微秒", "microseconds beyond it", unit="us")]
    if column.name not in SCALED:
        return [column]
    zh, en = f"× {_SCALE}", f"times {_SCALE}"
    if column.name in RATES:
        zh, en = f"× {RATE_SCALE}", f"times {RATE_SCALE}"
    if column.name == "pct_chg":
        zh, en = f"{zh}，减去由 close 与 pre_close 算得的部分", f"{en}, less what close and pre_close say of it"
    scaled = Column(column.name, "integer", f"{column.zh}，{zh}", f"{column.en}, {en}", column.unit, nullable=True)
    if column.name != PRICES[-1]:
        return [scaled]
    return [scaled, Column(_SCALE, "integer", "该行价格的倍数", "what the prices of the row are multiplied by")]


PACKED = Table(
    f"{STOCK_DAILY.name}_packed",
    f"{STOCK_DAILY.name} 的压缩存储形式；请读视图 {STOCK_DAILY.name}",
    f"How {STOCK_DAILY.name} lies on disk; read the view {STOCK_DAILY.name}",
    (
        *(held for column in STOCK_DAILY.columns for held in _held(column)),
        Column(
            _EXACT,
            "floats",
            f"无法以整数表示的行的原值：{', '.join(SCALED)}",
            f"the values of a row that whole numbers cannot hold: {', '.join(SCALED)}",
            nullable=True,
        ),
    ),
    STOCK_DAILY.key,
    STOCK_DAILY.indexes,
)
HELD_IN = {STOCK_DAILY.name: PACKED}
"""The tables that a hypertable holds packed."""


def held_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the columns of a packed row that hold these columns and nothing else."""
    return tuple(held for name in names for held in ((name, _REST) if name == "updated_at" else (name,)))


def pack(bars: pl.DataFrame) -> pl.DataFrame:
    """Return conformed bars as `PACKED` holds them, in the order of the rows."""
    scale = np.select([_come_back(bars, PRICES, scale) for scale in PRICE_SCALES], PRICE_SCALES, 0)
    is_whole = (scale > 0) & _come_back(bars, RATES, RATE_SCALE)
    scales = pl.Series(_SCALE, np.where(is_whole, scale, PRICE_SCALES[0]), dtype=pl.Int64)
    fits = pl.col("fits")
    microseconds = pl.col("updated_at").dt.epoch("us")
    whole = {
        name: pl.when(fits).then((pl.col(name) * (pl.col(_SCALE) if name in PRICES else RATE_SCALE)).round())
        for name in SCALED
    }
    packed = bars.with_columns(scales, fits=pl.Series(is_whole, dtype=pl.Boolean)).with_columns(
        **{name: value.cast(pl.Int64) for name, value in whole.items()},
        updated_at=microseconds // 1000,
        updated_at_us=microseconds % 1000,
        # Adding a zero takes the sign of a zero away.
        exact=pl.when(~fits).then(pl.concat_list([pl.col(name) + 0.0 for name in SCALED])),
    )
    return packed.with_columns(pl.col("pct_chg") - _foretold()).select(PACKED.names)


def _come_back(bars: pl.DataFrame, names: tuple[str, ...], scale: int) -> Bits:
    """Return for each row whether all these values would come back from whole numbers.

    By numpy: polars divides by a constant by multiplying with its inverse, which is another double every few times.
    """
    come_back = np.ones(bars.height, dtype=np.bool_)
    for name in names:
        values: Doubles = bars[name].to_numpy()
        with np.errstate(over="ignore", invalid="ignore"):
            is_same = (np.abs(values) < LIMIT / scale) & (np.rint(values * scale) / scale == values)
        come_back &= is_same | bars[name].is_null().to_numpy()
    return come_back


def _foretold() -> pl.Expr:
    """Return the change in percent, four decimals, in millionths: from whole numbers, so that no bit of it is in doubt."""
    close, before = pl.col("close"), pl.col("pre_close")
    is_told = (before > 0) & (close >= 0) & (close <= before * _MOST_TIMES)
    change = ((close * 2_000_000 + before) // (before * 2) - 1_000_000) * 100
    return pl.when(is_told).then(change).otherwise(0)


def _foretold_sql(close: str, before: str) -> str:
    is_told = f"{before} > 0 AND {close} BETWEEN 0 AND {before} * {_MOST_TIMES}"
    change = f"(({close} * 2000000 + {before}) / ({before} * 2) - 1000000) * 100"
    return f"CASE WHEN {is_told} THEN {change} ELSE 0 END"


def unpacked(name: str, row: str = "") -> str:
    """Return the value of a column of the bars, of a packed row: in SQL, `row` being a prefix such as `OLD.`."""
    if name == "updated_at":
        # As an interval: seconds as a double lose the microseconds of the years after 2106.
        return f"timestamptz 'epoch' + ({row}updated_at * 1000 + {row}{_REST}) * interval '1 microsecond'"
    if name not in SCALED:
        return f"{row}{name}"
    scale = f"{row}{_SCALE}::float8" if name in PRICES else f"{RATE_SCALE}.0::float8"
    whole = f"{row}{name}"
    if name == "pct_chg":
        whole = f"({whole} + {_foretold_sql(f'{row}close', f'{row}pre_close')})"
    return f"coalesce({row}{_EXACT}[{SCALED.index(name) + 1}], {whole} / {scale})"


def unpacking(names: Iterable[str]) -> str:
    """Return the columns of the bars, as a query on the packed table selects them."""
    return ", ".join(f"{unpacked(name)} AS {name}" for name in names)


def unpacked_rule(rule: str) -> str:
    """Return a rule on bars as a rule on packed rows."""
    return re.sub(rf"\b({'|'.join(SCALED)})\b", lambda found: unpacked(found[1]), rule)


def packed_moment(moment: str) -> tuple[str, str]:
    """Return a timestamptz as its milliseconds and its microseconds beyond them: in SQL."""
    microseconds = f"(extract(epoch FROM {moment}) * 1000000)::bigint"
    return f"{microseconds} / 1000", f"{microseconds} % 1000"


def packing(names: Iterable[str], source: str) -> str:
    """Return a query that gives bars, the rows of `source`, as packed rows with the columns `names`: `pack` in SQL."""
    expressions = {
        **dict(zip(held_names(["updated_at"]), packed_moment("updated_at"), strict=True)),
        _SCALE: f"CASE WHEN fits THEN {_SCALE} ELSE {PRICE_SCALES[0]} END",
        _EXACT: f"CASE WHEN NOT fits THEN ARRAY[{', '.join(f'{name} + 0' for name in SCALED)}]::float8[] END",
        **{name: f"CASE WHEN fits THEN {_whole_sql(name)} END" for name in SCALED},
    }
    columns = ", ".join(f"{expressions.get(name, name)} AS {name}" for name in names)
    scales = " ".join(f"WHEN {_fit_sql(PRICES, scale)} THEN {scale}" for scale in PRICE_SCALES)
    sized = f"SELECT *, CASE {scales} END AS {_SCALE}, {_fit_sql(RATES, RATE_SCALE)} AS rates_fit FROM {source}"  # noqa: S608  names of ours
    fitted = f"SELECT *, {_SCALE} IS NOT NULL AND rates_fit AS fits FROM ({sized}) AS sized"  # noqa: S608  as above
    return f"SELECT {columns} FROM ({fitted}) AS bars"  # noqa: S608  as above


def _fit_sql(names: tuple[str, ...], scale: int) -> str:
    # Only CASE promises that nothing is multiplied that would overflow.
    return " AND ".join(
        f"CASE WHEN abs({name}) < {LIMIT / scale!r}::float8 THEN round({name} * {scale}) / {scale} = {name}"
        f" ELSE {name} IS NULL END"
        for name in names
    )


def _whole_sql(name: str) -> str:
    if name in PRICES:
        return f"round({name} * {_SCALE})::bigint"
    whole = f"round({name} * {RATE_SCALE})::bigint"
    return f"{whole} - {_foretold_sql(_whole_sql('close'), _whole_sql('pre_close'))}" if name == "pct_chg" else whole
