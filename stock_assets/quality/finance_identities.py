"""Rules on figures of one report that follow from one another, and on when it was known.

Measured on the 39 recorded reports of fina_indicator (25 of them with every figure; a bank has neither gross margin nor
current assets): what is rounded to four decimals differs by 0.0001, in parts of the value by 8e-5 at most.
"""

from typing import Final

import polars as pl

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.quality.findings import FINDING_SCHEMA
from stock_assets.quality.marks import Mark, findings_of, first_broken, told

_DATASET: Final = FINANCE_INDICATOR.name
_ROUNDED: Final = 0.002
_RELATIVE: Final = 2e-3
_PERCENT_ROUNDED: Final = 0.01
# Of companies whose debts reach their assets the multiplier says nothing that rounding does not drown.
_HIGHEST_DEBT: Final = 99.0
_WHOLES: Final = (
    ("grossprofit_margin", "cogs_of_sales"), ("ca_to_assets", "nca_to_assets"), ("currentdebt_to_debt", "longdeb_to_debt"),
)  # fmt: skip
_SHARES_OF_WHOLE: Final = ("ca_to_assets", "nca_to_assets", "currentdebt_to_debt", "longdeb_to_debt")


def judge_finance(reports: pl.DataFrame, calendar: TradingCalendar) -> pl.DataFrame:
    """Return findings (FINDING_SCHEMA) on rows of `finance_indicator`; `trade_date` is the session that learns of them.

    That is the day of the announcement, or the first session after it.
    """
    if reports.is_empty():
        return pl.DataFrame(schema=FINDING_SCHEMA)
    announced = reports["ann_date"].unique()
    sessions = pl.DataFrame(
        {"ann_date": announced, "trade_date": [_session_of(calendar, day) for day in announced]},
        schema={"ann_date": pl.Date, "trade_date": pl.Date},
    )
    rows = reports.join(sessions, on="ann_date", how="left", maintain_order="left")
    named = ("end_date", "ann_date")
    end = pl.col("end_date")
    hard = (
        Mark("period_not_quarter_end", (end != end.dt.month_end()) | (end.dt.month() % 3 != 0), told(*named)),
        Mark("announced_before_period_end", pl.col("ann_date") < end, told(*named)),
        Mark(
            "known_before_announced",
            pl.col("known_from") <= pl.col("ann_date"),
            told("end_date", "ann_date", "known_from"),
        ),
        Mark("duplicate_key", pl.struct(*FINANCE_INDICATOR.key).is_duplicated(), told(*named)),
    )
    errors, sound = first_broken(rows, _DATASET, hard)
    return pl.concat([errors, findings_of(sound, _DATASET, _soft())])


def _soft() -> tuple[Mark, ...]:
    debt, leverage = pl.col("debt_to_assets"), pl.col("assets_to_eqt")
    expected_leverage = 1 / (1 - debt / 100)
    shares = pl.col("retained_earnings") / pl.col("retainedps")
    ebit_ps, revenue_ps = pl.col("ebit_ps"), pl.col("total_revenue_ps")
    # Money is exact; retained earnings of less than 0.1 a share say little about the number of shares.
    is_measurable = pl.col("retainedps").abs() >= 0.1  # noqa: PLR2004
    return (
        Mark(
            "parts_not_whole",
            pl.any_horizontal((pl.col(one) + pl.col(other) - 100).abs() > _PERCENT_ROUNDED for one, other in _WHOLES),
            told("end_date", *(name for pair in _WHOLES for name in pair)),
        ),
        Mark(
            "share_out_of_bounds",
            pl.any_horizontal(
                (pl.col(name) < -_PERCENT_ROUNDED) | (pl.col(name) > 100 + _PERCENT_ROUNDED) for name in _SHARES_OF_WHOLE
            ) | (debt < 0),
            told("end_date", *_SHARES_OF_WHOLE, "debt_to_assets"),
        ),
        Mark(
            "leverage_inconsistent",
            (debt < _HIGHEST_DEBT)
            & (
                _is_apart(leverage, expected_leverage)
                | _is_apart(pl.col("debt_to_eqt"), debt / 100 * leverage)
            ),
            told("end_date", "debt_to_assets", "assets_to_eqt", "debt_to_eqt"),
        ),
        Mark(
            "per_share_inconsistent",
            _is_apart(pl.col("retainedps"), pl.col("surplus_rese_ps") + pl.col("undist_profit_ps"))
            | (is_measurable & _is_apart(ebit_ps, pl.col("ebit") / shares)),
            told("end_date", "retainedps", "surplus_rese_ps", "undist_profit_ps", "ebit_ps", "ebit", "retained_earnings"),
        ),
        Mark(
            "margin_inconsistent",
            _is_apart(pl.col("ebit_of_gr") / 100 * revenue_ps, ebit_ps),
            told("end_date", "ebit_of_gr", "ebit_ps", "total_revenue_ps"),
        ),
        Mark(
            "liquidity_out_of_order",
            (pl.col("quick_ratio") > pl.col("current_ratio") + _ROUNDED) | (pl.col("cash_ratio") > pl.col("quick_ratio") + _ROUNDED),
            told("end_date", "current_ratio", "quick_ratio", "cash_ratio"),
        ),
    )  # fmt: skip


def _is_apart(one: pl.Expr, other: pl.Expr) -> pl.Expr:
    return ((one - other).abs() > _ROUNDED + _RELATIVE * other.abs()).fill_null(value=False)


def _session_of(calendar: TradingCalendar, day: object) -> object:
    return day if calendar.is_session(day) else calendar.next(day)  # pyright: ignore[reportArgumentType]  a date
