"""The same days of the same stocks in two sources, compared: every difference gets a class, the whole a verdict.

A difference is one of five kinds; only `unit` and `real` fail:

`unit`        one value is the other times a power of ten: lots for shares, thousands for CNY, fractions for percent
`rounding`    both say the same as far as the coarser source can tell
`suspension`  nothing traded: one source writes a row and the other none, or zero, or the last price, where the other is silent
`factor`      adjustment factors on another base: every price is adjusted alike
`real`        anything else: another price, a traded day that is missing, a factor whose step differs

Compared is what the exchange published. Turnover rates, valuations and `is_st` are each source's own reckoning: in 2026
the sources' floating shares differed for 1 to 2 % of the stocks. Which source is right is not decided here.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, get_args

import polars as pl

from stock_assets.domain.codes import Exchange

Kind = Literal["unit", "rounding", "suspension", "factor", "real"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
FAILING: Final[frozenset[Kind]] = frozenset({"unit", "real"})
EVERY_EXCHANGE: Final[tuple[Exchange, ...]] = get_args(Exchange)
ROW: Final = "row"
"""Stands in `column` for a bar that one source has and the other has not."""
FACTOR: Final = "back_adjust_factor"

_PRICE: Final = "price_cny"
_TOLERANCE_OF: Final = {
    "open": _PRICE,
    "high": _PRICE,
    "low": _PRICE,
    "close": _PRICE,
    "pre_close": _PRICE,
    "volume": "volume_shares",
    "amount": "amount_cny",
    "pct_chg": "pct_points",
}
_FLAG: Final = "is_suspended"
COMPARED: Final = (*_TOLERANCE_OF, _FLAG)
_BAR_KEY: Final = ("ts_code", "trade_date")
# What is left of a decimal number after a change of its unit, far below anything that a source writes.
_FLOAT_NOISE: Final = 1e-12

DIFFERENCES: Final = pl.Schema(
    {
        "ts_code": pl.String(),
        "trade_date": pl.Date(),
        "column": pl.String(),
        "first": pl.Float64(),
        "second": pl.Float64(),
        "relative": pl.Float64(),
        "kind": pl.String(),
    }
)


@dataclass(frozen=True, slots=True)
class Tolerances:
    """How far two values may lie apart and still be one: what the coarser of two sources leaves out by rounding.

    Half a tick of a price; one lot of volume; one thousand CNY; two roundings of a percentage to two decimals. A factor
    written with four decimals moves by up to 0.0002 of itself on days without an event; the smallest event recorded is
    0.00105. `unit_ratio` is how close to a power of ten a ratio must be to mean another unit.
    """

    price_cny: float = 0.005
    volume_shares: float = 100.0
    amount_cny: float = 1000.0
    pct_points: float = 0.011
    factor_step: float = 5e-4
    unit_ratio: float = 1e-3


TOLERANCES: Final = Tolerances()


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The verdict on two sources.

    `compared` counts stock-days (and ex-dates) that both sources have; `left_out` the rows of exchanges that were not to
    be compared. `differences` is DIFFERENCES, one row per stock, day and column, ordered worst first: what fails before
    what does not, then by relative size. `relative` is the difference in parts of the larger value, 1 where one source
    has none; `first` and `second` are 1 and 0 for rows and flags.
    """

    first: str
    second: str
    compared: int
    left_out: int
    differences: pl.DataFrame

    @property
    def is_passed(self) -> bool:
        """Whether no difference is of a kind that fails."""
        return not self.failing

    @property
    def failing(self) -> int:
        """The number of differences of a kind that fails."""
        return int(self.differences["kind"].is_in(list(FAILING)).sum())

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """The number of differences by kind and column; kinds without any are left out."""
        found: dict[str, dict[str, int]] = {}
        counted = self.differences.group_by("kind", "column").len()
        for kind, column, number in counted.sort("kind", "column").iter_rows():
            found.setdefault(kind, {})[column] = number
        return {kind: found[kind] for kind in KINDS if kind in found}

    def worst(self, most: int = 20) -> pl.DataFrame:
        """Return at most so many differences, the worst first."""
        return self.differences.head(most)

    def metadata(self, most: int = 20) -> dict[str, object]:
        """Return the verdict as plain values: numbers, texts, lists and dicts."""
        worst = self.worst(most).with_columns(pl.col("trade_date").cast(pl.String))
        return {
            "first": self.first,
            "second": self.second,
            "compared": self.compared,
            "left_out": self.left_out,
            "passed": self.is_passed,
            "failing": self.failing,
            "counts": self.counts,
            "worst": worst.to_dicts(),
        }


def reconcile(  # noqa: PLR0913 - two sources, and each way to narrow what is compared
    first: pl.DataFrame,
    second: pl.DataFrame,
    factors: tuple[pl.DataFrame, pl.DataFrame] | None = None,
    *,
    names: tuple[str, str] = ("first", "second"),
    columns: Sequence[str] = COMPARED,
    exchanges: Collection[Exchange] = EVERY_EXCHANGE,
    tolerances: Tolerances = TOLERANCES,
) -> Reconciliation:
    """Return the verdict on the bars of two sources and, where given, on their adjustment factors.

    `first` and `second` have the columns of `stock_daily` (at least the keys, `volume` and `columns`) and must be asked
    for the same days and stocks: what only one of them has counts as missing in the other. `exchanges` are those that
    both sources cover. `factors` are two frames of ts_code, ex_date, back_adjust_factor, see `factor_differences`.

    Errors: polars' `ComputeError` when a key comes twice in one frame.
    """
    parts = [_covered(frame, exchanges) for frame in (first, second)]
    left_out = first.height + second.height - parts[0].height - parts[1].height
    differences = [bar_differences(parts[0], parts[1], columns=columns, tolerances=tolerances)]
    compared = parts[0].join(parts[1], on=_BAR_KEY, how="semi").height
    if factors is not None:
        steps = [_covered(frame, exchanges) for frame in factors]
        left_out += sum(frame.height for frame in factors) - steps[0].height - steps[1].height
        differences.append(factor_differences(steps[0], steps[1], tolerances=tolerances))
        compared += steps[0].join(steps[1], on=["ts_code", "ex_date"], how="semi").height
    return Reconciliation(names[0], names[1], compared, left_out, _worst_first(differences))


def reconcile_days(
    first: pl.DataFrame, second: pl.DataFrame, *, names: tuple[str, str] = ("first", "second")
) -> dict[date, Reconciliation]:
    """Return the verdict on each day of two sources' bars, which are of exchanges that both cover (see `reconcile`)."""
    pairs = first.join(second, on=_BAR_KEY, how="semi").group_by("trade_date").len()
    compared: dict[date, int] = dict(pairs.iter_rows())
    parts = bar_differences(first, second).partition_by("trade_date", as_dict=True)
    days = sorted({*first["trade_date"], *second["trade_date"]})
    none = DIFFERENCES.to_frame()
    return {
        day: Reconciliation(names[0], names[1], compared.get(day, 0), 0, _worst_first([parts.get((day,), none)]))
        for day in days
    }


def together(parts: Sequence[Reconciliation]) -> Reconciliation:
    """Return one verdict on several days or stocks of the same two sources; there must be at least one."""
    return Reconciliation(
        parts[0].first,
        parts[0].second,
        sum(part.compared for part in parts),
        sum(part.left_out for part in parts),
        _worst_first([part.differences for part in parts]),
    )


def tolerance_of(column: str, tolerances: Tolerances = TOLERANCES) -> tuple[str, float] | None:
    """Return name and size of the tolerance of a compared column; rows and flags have none."""
    name = "factor_step" if column == FACTOR else _TOLERANCE_OF.get(column)
    return None if name is None else (name, getattr(tolerances, name))


def bar_differences(
    first: pl.DataFrame,
    second: pl.DataFrame,
    *,
    columns: Sequence[str] = COMPARED,
    tolerances: Tolerances = TOLERANCES,
) -> pl.DataFrame:
    """Return DIFFERENCES between two frames of bars, in no particular order; equal values give no row."""
    needed = list(dict.fromkeys((*_BAR_KEY, "volume", *columns)))
    both = (
        first.select(*needed, pl.lit(value=True).alias("here"))
        .join(
            second.select(*needed, pl.lit(value=True).alias("here")),
            on=_BAR_KEY,
            how="full",
            coalesce=True,
            suffix="_2",
            validate="1:1",
        )
        .with_columns(_is_quiet("volume").alias("quiet"), _is_quiet("volume_2").alias("quiet_2"))
    )
    pairs = both.filter(pl.col("here") & pl.col("here_2"))
    alone = both.filter(pl.col("here").is_null() | pl.col("here_2").is_null())
    return pl.concat(
        [
            _missing_rows(alone),
            *(_values(pairs, name, tolerances) for name in columns if name != _FLAG),
            *(_flags(pairs) for name in columns if name == _FLAG),
        ]
    )


def factor_differences(
    first: pl.DataFrame, second: pl.DataFrame, *, tolerances: Tolerances = TOLERANCES
) -> pl.DataFrame:
    """Return DIFFERENCES between two frames of adjustment factors: ts_code, ex_date, back_adjust_factor.

    Steps are compared, not levels: what happens to the factor from one ex-date to the next that both sources have. The
    first one of a stock shows only the base of its levels, so frames should begin on the same ex-date, or each with the
    factor in force before. An ex-date that one source lacks must be a step of 1 in the other.
    """
    key = ["ts_code", "ex_date"]
    one, two = pl.col(FACTOR), pl.col(f"{FACTOR}_2")
    is_alone = one.is_null() | two.is_null()
    both = (
        first.select(*key, FACTOR)
        .join(second.select(*key, FACTOR), on=key, how="full", coalesce=True, suffix="_2", validate="1:1")
        .sort(key)
        .with_columns((one / two).alias("ratio"))
        .with_columns(
            _before(one).alias("before"), _before(two).alias("before_2"), _before(pl.col("ratio")).alias("ratio_before")
        )
    )
    own_step = pl.when(two.is_null()).then(_apart(one, pl.col("before"))).otherwise(_apart(two, pl.col("before_2")))
    step_apart = pl.when(is_alone).then(own_step).otherwise(_apart(pl.col("ratio"), pl.col("ratio_before")))
    is_step = step_apart <= tolerances.factor_step
    is_base = ~is_alone & pl.col("ratio_before").is_null()
    is_level = is_alone | (_apart(one, two) <= tolerances.factor_step)
    kind = (
        pl.when((is_step | is_base) & is_level)
        .then(pl.lit("rounding"))
        .when(is_step | is_base)
        .then(pl.lit("factor"))
        .otherwise(pl.lit("real"))
    )
    is_different = is_alone | (_apart(one, two) > _FLOAT_NOISE)
    return _rows(both.filter(is_different).rename({"ex_date": "trade_date"}), FACTOR, kind)


def _worst_first(differences: Sequence[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(differences).sort(
        pl.col("kind").is_in(list(FAILING)),
        "relative",
        "ts_code",
        "trade_date",
        "column",
        descending=[True, True, False, False, False],
    )


def _before(value: pl.Expr) -> pl.Expr:
    """Return the last value of the stock before this row."""
    return value.forward_fill().shift(1).over("ts_code")


def _covered(frame: pl.DataFrame, exchanges: Collection[Exchange]) -> pl.DataFrame:
    return frame.filter(pl.col("ts_code").str.slice(7).is_in(list(exchanges)))


def _is_quiet(volume: str) -> pl.Expr:
    """Whether nothing traded. The sources' own flags are not to be trusted for that: some bars carry the wrong one."""
    return pl.col(volume).is_null() | (pl.col(volume) == 0)


def _apart(one: pl.Expr, two: pl.Expr) -> pl.Expr:
    """Return the difference in parts of the larger value, 0 for two zeros."""
    larger = pl.max_horizontal(one.abs(), two.abs())
    return pl.when(one == two).then(0.0).otherwise((one - two).abs() / larger)


def _rows(frame: pl.DataFrame, column: str, kind: pl.Expr) -> pl.DataFrame:
    one, two = pl.col(column).cast(pl.Float64), pl.col(f"{column}_2").cast(pl.Float64)
    return frame.select(
        *_BAR_KEY,
        pl.lit(column).alias("column"),
        one.alias("first"),
        two.alias("second"),
        _apart(one, two).fill_null(1.0).alias("relative"),
        kind.alias("kind"),
    ).cast(DIFFERENCES)


def _missing_rows(alone: pl.DataFrame) -> pl.DataFrame:
    quiet = pl.when(pl.col("here").is_not_null()).then(pl.col("quiet")).otherwise(pl.col("quiet_2"))
    kind = pl.when(quiet).then(pl.lit("suspension")).otherwise(pl.lit("real"))
    presence = alone.with_columns(
        pl.col("here").is_not_null().alias(ROW), pl.col("here_2").is_not_null().alias(f"{ROW}_2")
    )
    return _rows(presence, ROW, kind)


def _flags(pairs: pl.DataFrame) -> pl.DataFrame:
    kind = pl.when(pl.col("quiet") & pl.col("quiet_2")).then(pl.lit("suspension")).otherwise(pl.lit("real"))
    return _rows(pairs.filter(pl.col(_FLAG) != pl.col(f"{_FLAG}_2")), _FLAG, kind)


def _values(pairs: pl.DataFrame, column: str, tolerances: Tolerances) -> pl.DataFrame:
    one, two = pl.col(column), pl.col(f"{column}_2")
    tolerance: float = getattr(tolerances, _TOLERANCE_OF[column])
    either = pl.coalesce(one, two)
    is_price = _TOLERANCE_OF[column] == _PRICE
    # A halted day has no trades, so that of volume, amount and change only a zero says the same as silence.
    says_nothing = (one.is_null() | two.is_null()) & pl.col("quiet") & pl.col("quiet_2")
    says_nothing = says_nothing if is_price else says_nothing & (either == 0)
    kind = (
        pl.when(says_nothing)
        .then(pl.lit("suspension"))
        .when((one - two).abs() <= tolerance * (1 + _FLOAT_NOISE))
        .then(pl.lit("rounding"))
        .when(_is_other_unit(one, two, tolerances.unit_ratio))
        .then(pl.lit("unit"))
        .otherwise(pl.lit("real"))
    )
    is_different = (one.is_null() != two.is_null()) | (_apart(one, two) > _FLOAT_NOISE)
    return _rows(pairs.filter(is_different), column, kind)


def _is_other_unit(one: pl.Expr, two: pl.Expr, unit_ratio: float) -> pl.Expr:
    ratio = pl.max_horizontal(one.abs(), two.abs()) / pl.min_horizontal(one.abs(), two.abs())
    power = ratio.log(10.0).round()
    same_sign = (one > 0) == (two > 0)
    return same_sign & (one != 0) & (two != 0) & (power >= 1) & ((ratio / 10.0**power - 1).abs() <= unit_ratio)
