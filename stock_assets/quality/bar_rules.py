"""Rules on one bar at a time.

A hard rule refuses the row: it cannot be a bar of that stock on that day. A soft rule keeps the row and leaves a
finding: the sources' real data break it now and then, and a reader should know. Rules that compare a bar with the one
before live in `series_rules`.
"""

from collections.abc import Collection
from datetime import date
from typing import Final

import polars as pl

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.quality.consequences import without_consequences
from stock_assets.quality.findings import REJECTION_SCHEMA, Judged
from stock_assets.quality.marks import Mark, findings_of, first_broken, number, told

_DATASET: Final = STOCK_DAILY.name
_TRADED_PRICES: Final = ("open", "high", "low", "close")
_PRICES: Final = (*_TRADED_PRICES, "pre_close")
# Beyond this no board's daily limit reaches, rounding included; what is left are first days and re-listings.
_EXTREME_PCT: Final = 20.6
# Two decimals of the older recordings leave out 0.005; the largest difference in 105,295 recorded bars is that, but for one.
_PCT_TOLERANCE: Final = 0.05
# Shanghai's B shares are priced in thousandths of a dollar. Not one price of 132,000 recorded unadjusted bars is between two
# ticks (2.9e-11 of a tick at most); none of them is older than 1999-11.
_TICKS: Final = pl.when(pl.col("ts_code").str.starts_with("900")).then(1000).otherwise(100)
_OFF_TICK: Final = 1e-4
_TICKS_SINCE: Final = date(2000, 1, 1)
# Of 131,000 recorded unadjusted bars one has a mean price outside [low, high] by more than
# 0.0001 CNY. What rounding an amount to 1 CNY leaves out is added.
_HALF_TICK: Final = 0.005
_AMOUNT_ROUNDED: Final = 1.0
_IN_CNY: Final = ~pl.col("ts_code").str.contains("^(900|200|201)")
# The highest of 216,000 recorded bars is 87.96, of a first day.
_WHOLE_FLOAT: Final = 100.0

_HARD: tuple[tuple[str, pl.Expr], ...] = (
    ("adjusted_prices", pl.col("adjust_flag") != "3"),
    ("close_missing", pl.col("close").is_null()),
    ("price_not_positive", pl.any_horizontal(pl.col(name) <= 0 for name in _PRICES)),
    ("high_below_low", pl.col("high") < pl.col("low")),
    ("high_below_open_or_close", pl.col("high") < pl.max_horizontal("open", "close")),
    ("low_above_open_or_close", pl.col("low") > pl.min_horizontal("open", "close")),
    ("volume_negative", pl.col("volume") < 0),
    ("amount_negative", pl.col("amount") < 0),
    ("turnover_negative", pl.col("turnover_rate") < 0),
)

_IS_TRADED: Final = ~pl.col("is_suspended")
_HAS_VOLUME: Final = pl.col("volume") > 0
_COMPUTED_PCT: Final = (pl.col("close") / pl.col("pre_close") - 1) * 100
_MEAN_PRICE: Final = pl.col("amount") / pl.col("volume")
_SLACK: Final = _HALF_TICK + _AMOUNT_ROUNDED / pl.col("volume")


def _is_outside(price: pl.Expr) -> pl.Expr:
    return (price > pl.col("high") + _SLACK) | (price < pl.col("low") - _SLACK)


def _power_of_ten() -> pl.Expr:
    return (_MEAN_PRICE / pl.col("close")).log(10.0).round()


_OUTSIDE: Final = _IN_CNY & _HAS_VOLUME & (pl.col("amount") > 0) & _is_outside(_MEAN_PRICE)
_OTHER_UNIT: Final = (_power_of_ten().abs() >= 1) & ~_is_outside(_MEAN_PRICE / 10.0 ** _power_of_ten())
_MEAN_TOLD: Final = pl.concat_str(
    pl.lit("mean price "), number(_MEAN_PRICE.round(4)), pl.lit(", "), told("low", "high", "volume", "amount")
)

_SOFT: Final = (
    Mark("suspended_with_volume", pl.col("is_suspended") & _HAS_VOLUME, told("volume")),
    Mark("traded_without_volume", _IS_TRADED & (pl.col("volume").is_null() | (pl.col("volume") == 0)), told("volume")),
    Mark(
        "suspended_prices_move",
        pl.col("is_suspended")
        & pl.any_horizontal((pl.col(name) - pl.col("close")).abs() > _HALF_TICK for name in ("open", "high", "low")),
        told(*_TRADED_PRICES),
    ),
    Mark(
        "price_missing",
        _IS_TRADED & pl.any_horizontal(pl.col(name).is_null() for name in ("open", "high", "low", "pre_close")),
        told("open", "high", "low", "pre_close"),
    ),
    Mark(
        "price_off_tick",
        (pl.col("trade_date") >= _TICKS_SINCE)
        & pl.any_horizontal(
            ((pl.col(name) * _TICKS) - (pl.col(name) * _TICKS).round()).abs() > _OFF_TICK for name in _PRICES
        ),
        told(*_PRICES),
    ),
    Mark(
        "pct_chg_missing", _IS_TRADED & pl.col("pct_chg").is_null() & pl.col("pre_close").is_not_null(), told("pct_chg")
    ),
    Mark(
        "pct_chg_inconsistent",
        (pl.col("pct_chg") - _COMPUTED_PCT).abs() > _PCT_TOLERANCE,
        pl.concat_str(told("pct_chg"), pl.lit(", computed "), number(_COMPUTED_PCT.round(4))),
    ),
    Mark("extreme_move", pl.col("pct_chg").abs() > _EXTREME_PCT, told("pct_chg")),
    Mark(
        "amount_missing",
        _HAS_VOLUME & (pl.col("amount").is_null() | (pl.col("amount") == 0)),
        told("volume", "amount"),
    ),
    Mark("units_inconsistent", _OUTSIDE & _OTHER_UNIT, _MEAN_TOLD),
    Mark("mean_price_outside_range", _OUTSIDE & ~_OTHER_UNIT.fill_null(value=False), _MEAN_TOLD),
    Mark("turnover_above_100", pl.col("turnover_rate") > _WHOLE_FLOAT, told("turnover_rate", "volume")),
    Mark(
        "outside_listing",
        (pl.col("trade_date") < pl.col("list_date")) | (pl.col("trade_date") >= pl.col("delist_date")),
        pl.concat_str(
            pl.lit("listed "),
            pl.col("list_date").cast(pl.String),
            pl.lit(" to "),
            pl.col("delist_date").cast(pl.String).fill_null("today"),
        ),
    ),
)


def judge_bars(
    bars: pl.DataFrame,
    *,
    asked_days: Collection[date],
    securities: pl.DataFrame,
    unreadable: tuple[tuple[int, str], ...] = (),
) -> Judged:
    """Return the verdict on translated bars of any number of days.

    `bars` has the columns of `stock_daily` without source and updated_at, plus `raw_row` and `adjust_flag`; `securities`
    ts_code, list_date, delist_date of every known stock. The first broken rule in the order below names the refusal:
    unreadable value, unknown code, a day that was not asked, then the rules on values, then duplicate keys: of equal
    copies the first is kept, of contradicting ones none.
    """
    business = [name for name in bars.columns if name not in {"raw_row", "adjust_flag"}]
    known = bars.join(
        securities.select("ts_code", "list_date", "delist_date"), on="ts_code", how="left", maintain_order="left"
    )
    unreadable_rows = pl.Series("raw_row", sorted({row for row, _ in unreadable}), dtype=pl.Int64)
    contradicts = pl.struct(business).n_unique().over("ts_code", "trade_date") > 1
    is_later_copy = pl.col("raw_row") != pl.col("raw_row").min().over("ts_code", "trade_date")
    hard = (
        ("unreadable_value", pl.col("raw_row").is_in(unreadable_rows.implode())),
        ("unknown_code", pl.col("list_date").is_null()),
        ("date_not_asked", ~pl.col("trade_date").is_in(list(asked_days)) | pl.col("trade_date").is_null()),
        *_HARD,
        ("duplicate_key", contradicts | is_later_copy),
    )
    rule = pl.coalesce(pl.when(broken.fill_null(value=False)).then(pl.lit(name)) for name, broken in hard)
    marked = known.with_columns(rule.alias("rule"))
    accepted = marked.filter(pl.col("rule").is_null())
    return Judged(
        accepted=accepted.select("raw_row", *business),
        rejected=marked.filter(pl.col("rule").is_not_null()).select(list(REJECTION_SCHEMA)),
        findings=_findings(accepted),
    )


def stored_bar_findings(bars: pl.DataFrame, *, securities: pl.DataFrame, calendar: TradingCalendar) -> pl.DataFrame:
    """Return findings (FINDING_SCHEMA) on stored bars, each taken alone; `securities` as for `judge_bars`.

    A row that should have been refused is an error by the first rule that it breaks, and nothing else is said of it.
    """
    known = bars.join(securities.select("ts_code", "list_date", "delist_date"), on="ts_code", how="left")
    seen = told(*_PRICES, "volume", "amount", "turnover_rate")
    closed = [day for day in bars["trade_date"].unique().to_list() if not calendar.is_session(day)]
    hard = (
        Mark("unknown_code", pl.col("list_date").is_null(), pl.lit("not in the list of securities")),
        Mark("not_a_session", pl.col("trade_date").is_in(closed), seen),
        *(Mark(name, broken, seen) for name, broken in _HARD if name != "adjusted_prices"),
        Mark("duplicate_key", pl.struct("ts_code", "trade_date").is_duplicated(), seen),
    )
    errors, sound = first_broken(known, _DATASET, hard)
    return pl.concat([errors, _findings(sound)])


def _findings(bars: pl.DataFrame) -> pl.DataFrame:
    found = findings_of(bars, _DATASET, _SOFT).select(pl.lit(_DATASET).alias("dataset"), pl.all())
    return without_consequences(found).drop("dataset")
