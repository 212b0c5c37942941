"""Rules that compare a bar with the one before it: reference prices against adjustment factors, copies, floating shares."""

from collections.abc import Collection
from datetime import date
from typing import Final

import polars as pl

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.quality.findings import FINDING_SCHEMA
from stock_assets.quality.marks import Mark, findings_of, told

_BEFORE: Final = ("close", "volume", "amount", "turnover_rate", "open", "high", "low")
_HALF_TICK: Final = 0.005
# Both factors of a step are rounded by up to half of their last decimal: three at Tushare until 2023, four since, six at
# BaoStock. Of 137 ex-dates recorded with prices and factors the reference price is what the factors say to 0.000025 CNY at
# BaoStock and to 0.0101 CNY (of a stock of 1,675) at Tushare, but for four that are listed as faults.
_DECIMALS: Final = (1e-3, 1e-4, 1e-6)
# A percentage with two decimals gives the price it counts from to half of 0.01 percent.
_PCT_ROUNDED: Final = 1e-4
_PCT_TOLERANCE: Final = 0.05
# No step of a recorded factor is above 4; ten for ten and more in one go is possible, elevenfold has never been.
_EXTREME_STEP: Final = 11.0
# Both bars of a stock on two days are equal by chance where hardly anything is traded: 100 shares at one price, twice in
# 216,000 recorded bars, and never with more.
_COPIED_VOLUME: Final = 10_000
# The largest jump of recorded bars is 14.6-fold: shares that became tradable a year after the listing.
_SHARES_JUMP: Final = 50.0
# Turnover has four decimals: below this it says nothing about shares.
_LEAST_TURNOVER: Final = 0.001
# A mean price this far from the close is of other units: what is wrong is that bar, not the step from it.
_SAME_UNITS: Final = (0.5, 2.0)
# Even the largest company's float makes this many shares visible in four decimals.
_SEEN_VOLUME: Final = 1_000_000


def judge_continuity(bars: pl.DataFrame, previous: pl.DataFrame, calendar: TradingCalendar) -> pl.DataFrame:
    """Return findings on the step from each bar's predecessor to the bar, without knowing of factors.

    `bars` has ts_code, trade_date, pre_close, close; `previous` the last stored bar of each stock before the first day of
    `bars` (ts_code, trade_date, close). A step is judged only where the predecessor is of the session just before.
    `pre_close_above_previous_close`: an ex-date can only lower the reference price.
    """
    above = Mark("pre_close_above_previous_close", _IS_ABOVE, told("close_before", "pre_close"))
    return findings_of(with_bar_before(bars, previous, calendar), STOCK_DAILY.name, [above])


def judge_steps(
    bars: pl.DataFrame,
    previous: pl.DataFrame,
    calendar: TradingCalendar,
    *,
    factors: pl.DataFrame,
    factor_days: Collection[date],
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return findings on `stock_daily` and on `adjust_factor`: reference prices against the factors of their days.

    `bars` and `previous` as for `judge_continuity`, with `pct_chg` in `bars`. `factors` as `steps_of` returns them;
    `factor_days` are the days whose factors are known to be whole. The reference price must be the close of the session
    before, divided by the step of the factor: to half a tick, and what the factors' rounding leaves out.
    """
    stepped = factors.select("ts_code", pl.col("ex_date").alias("trade_date"), "back_adjust_factor", "step", "rounded")
    rows = (
        with_bar_before(bars, previous, calendar)
        .filter(pl.col("pre_close").is_not_null() & pl.col("close_before").is_not_null())
        .join(stepped, on=["ts_code", "trade_date"], how="left")
        .with_columns((pl.col("close_before") / pl.col("step")).alias("expected"))
    )
    has_factor = pl.col("back_adjust_factor").is_not_null() & (pl.col("step") != 1).fill_null(value=True)
    slack = _HALF_TICK + pl.col("close_before") * pl.col("rounded") + _NOISE
    is_plain = (pl.col("pre_close") - pl.col("close_before")).abs() <= _HALF_TICK + _NOISE
    fits = (pl.col("pre_close") - pl.col("expected")).abs() <= slack
    counted_from = pl.col("close") / (1 + pl.col("pct_chg") / 100)
    is_contradicted = (counted_from - pl.col("close_before")).abs() <= _HALF_TICK + counted_from * _PCT_ROUNDED
    is_contradicted &= ((pl.col("close") / pl.col("pre_close") - 1) * 100 - pl.col("pct_chg")).abs() > _PCT_TOLERANCE
    is_contradicted = is_contradicted.fill_null(value=False)
    is_lowered = ~is_plain & ~_IS_ABOVE
    seen = told("close_before", "pre_close", "back_adjust_factor", "expected")
    ours = (
        Mark(
            "pre_close_contradicted",
            ~has_factor & ~is_plain & is_contradicted,
            told("close_before", "pre_close", "pct_chg"),
        ),
        Mark(
            "pre_close_above_previous_close",
            ~has_factor & _IS_ABOVE & ~is_contradicted,
            told("close_before", "pre_close"),
        ),
    )
    theirs = (
        Mark(
            "ex_date_without_factor",
            ~has_factor & is_lowered & ~is_contradicted & pl.col("trade_date").is_in(list(factor_days)),
            told("close_before", "pre_close"),
        ),
        Mark("factor_without_ex_date", has_factor & is_plain & ~fits & (pl.col("step") > 1), seen),
        Mark("factor_step_inconsistent", has_factor & ~is_plain & ~fits, seen),
        Mark(
            "factor_falls",
            (pl.col("step") < 1) & (~fits | is_plain),
            told("step", "close_before", "pre_close"),
        ),
    )
    return findings_of(rows, STOCK_DAILY.name, ours), findings_of(rows, ADJUST_FACTOR.name, theirs)


def judge_unseen_steps(factors: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Return findings on steps of factors (`steps_of`) that no bar of `bars` of their day can confirm, and on steps of 1."""
    unseen = factors.rename({"ex_date": "trade_date"})
    alone = unseen.join(bars.filter(pl.col("pre_close").is_not_null()), on=["ts_code", "trade_date"], how="anti")
    marks = (
        Mark("factor_falls", pl.col("step") < 1, told("step", "back_adjust_factor")),
        Mark("factor_step_extreme", pl.col("step") > _EXTREME_STEP, told("step", "back_adjust_factor")),
    )
    same = Mark("factor_unchanged", pl.col("step") == 1, told("back_adjust_factor"))
    return pl.concat([findings_of(alone, ADJUST_FACTOR.name, marks), findings_of(unseen, ADJUST_FACTOR.name, [same])])


def judge_repetition(bars: pl.DataFrame, calendar: TradingCalendar) -> pl.DataFrame:
    """Return findings on bars (columns of `stock_daily`) against the bar of the session before, which must be in `bars`.

    `bar_repeated`: a copy of the bar before. `float_shares_jump`: the floating shares that volume and turnover imply.
    `turnover_missing`: none, though most of the day's traded bars have one; a source may not tell it at all.
    """
    before = pl.DataFrame(schema={name: bars.schema[name] for name in ("ts_code", "trade_date", *_BEFORE)})
    rows = with_bar_before(bars, before, calendar)
    is_traded = ~pl.col("is_suspended") & (pl.col("volume") > 0)
    is_copy = pl.all_horizontal(pl.col(name) == pl.col(f"{name}_before") for name in _BEFORE if name != "turnover_rate")
    shares = pl.col("volume") / pl.col("turnover_rate")
    shares_before = pl.col("volume_before") / pl.col("turnover_rate_before")
    jump = pl.max_horizontal(shares / shares_before, shares_before / shares)
    is_measurable = pl.min_horizontal("turnover_rate", "turnover_rate_before") >= _LEAST_TURNOVER
    mean_before = pl.col("amount_before") / pl.col("volume_before") / pl.col("close_before")
    is_sound_before = mean_before.is_between(*_SAME_UNITS).fill_null(value=True)
    has_turnover = pl.col("turnover_rate").is_not_null()
    is_told = (has_turnover & is_traded).sum().over("trade_date") * 2 > is_traded.sum().over("trade_date")
    is_lost = ~has_turnover | ((pl.col("turnover_rate") == 0) & (pl.col("volume") >= _SEEN_VOLUME))
    marks = (
        Mark(
            "bar_repeated",
            is_traded & is_copy & (pl.col("volume") >= _COPIED_VOLUME),
            told("close", "volume", "amount"),
        ),
        Mark(
            "float_shares_jump",
            is_traded & (pl.col("volume_before") > 0) & is_sound_before & is_measurable & (jump >= _SHARES_JUMP),
            told("volume", "turnover_rate", "volume_before", "turnover_rate_before"),
        ),
        Mark("turnover_missing", is_traded & is_told & is_lost, told("volume", "turnover_rate")),
    )
    return findings_of(rows, STOCK_DAILY.name, marks)


def steps_of(factors: pl.DataFrame, *, known_from: date | None, securities: pl.DataFrame) -> pl.DataFrame:
    """Return `factors` (ts_code, ex_date, back_adjust_factor), one row a key, in order, with `step` and `rounded`.

    `step` is the factor by the one before, `rounded` what the decimals of both leave out of it, in parts. The first factor of
    a stock is a step from 1 where factors are known since its listing (`known_from` is the first day they are whole from);
    otherwise its step is null, for nobody knows what was in force before.
    """
    ordered = factors.select("ts_code", "ex_date", "back_adjust_factor").unique(["ts_code", "ex_date"], keep="first")
    listed = ordered.sort("ts_code", "ex_date").join(
        securities.select("ts_code", "list_date"), on="ts_code", how="left", maintain_order="left"
    )
    base = (
        pl.when(pl.col("list_date") >= known_from).then(1.0)
        if known_from is not None
        else pl.lit(None, dtype=pl.Float64)
    )
    factor = pl.col("back_adjust_factor")
    before = pl.coalesce(factor.shift(1).over("ts_code"), base)
    last_decimal = pl.coalesce(
        *(pl.when((factor / unit - (factor / unit).round()).abs() < _WHOLE).then(unit) for unit in _DECIMALS), 0.0
    )
    coarser = pl.max_horizontal(last_decimal, last_decimal.shift(1).over("ts_code"))
    return listed.with_columns((factor / before).alias("step"), (coarser / factor).alias("rounded")).drop("list_date")


_NOISE: Final = 1e-9
_WHOLE: Final = 1e-5
_IS_ABOVE: Final = pl.col("pre_close") > pl.col("close_before") + _HALF_TICK + _NOISE


def with_bar_before(bars: pl.DataFrame, previous: pl.DataFrame, calendar: TradingCalendar) -> pl.DataFrame:
    """Return `bars` with `close_before` and so on: what the stock's bar of the session before has, null where there is none.

    `previous` has bars before the first day of `bars`, with as many of their columns as are known.
    """
    names = [name for name in _BEFORE if name in bars.columns]
    earlier = pl.concat([bars.select("ts_code", "trade_date", *names),
                         previous.select("ts_code", "trade_date", *(n for n in names if n in previous.columns))],
                        how="diagonal_relaxed").unique(["ts_code", "trade_date"], keep="first")  # fmt: skip
    days = bars["trade_date"].unique().drop_nulls().sort()
    sessions = pl.DataFrame(
        {"trade_date": days, "session_before": [calendar.previous(day) for day in days.to_list()]},
        schema={"trade_date": pl.Date, "session_before": pl.Date},
    )
    return bars.join(sessions, on="trade_date", how="left", maintain_order="left").join(
        earlier.rename({"trade_date": "session_before", **{name: f"{name}_before" for name in names}}),
        on=["ts_code", "session_before"],
        how="left",
        maintain_order="left",
    )


NOTHING: Final = pl.DataFrame(schema=FINDING_SCHEMA)
"""No findings."""
