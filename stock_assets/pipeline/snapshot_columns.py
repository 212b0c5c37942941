"""The columns of a snapshot: what is known of a stock at the end of one trading day, in the order of the file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from stock_assets.domain.contract import Column, Table
from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.domain.tables import SECURITY, STOCK_DAILY
from stock_assets.indicators.catalog import FAMILIES
from stock_assets.indicators.family import Family
from stock_assets.indicators.table import indicators_of, price_columns

CODE_VERSION: Final = "1"
"""The version of what makes a snapshot of its inputs. Raise it with every change of values, order or encoding."""

NEW_FOR_SESSIONS: Final = 60
"""A stock is a new listing in its first so many sessions."""

PRICES: Final = ("open", "high", "low", "close", "pre_close")
BARS: Final = (*PRICES, "volume", "amount", "turnover_rate", "pct_chg", "pe_ttm", "pb_mrq", "ps_ttm", "pcf_ncf_ttm")
FLAGS: Final = ("is_suspended", "is_st")
LIMIT_FLAGS: Final = ("is_limit_up", "is_limit_down")
DESCRIPTION: Final = ("name", "exchange", "board", "list_date")
REPORT_DAYS: Final = ("end_date", "ann_date", "known_from")
# Which people screen by, of 164.
FIGURES: Final = (
    "eps", "dt_eps", "bps", "ocfps", "roe", "roe_dt", "roa", "grossprofit_margin", "netprofit_margin", "debt_to_assets",
    "current_ratio", "quick_ratio", "assets_turn", "or_yoy", "netprofit_yoy", "dt_netprofit_yoy", "ocf_yoy",
)  # fmt: skip
_STATUS = Column(
    "status",
    "text",
    "当日状态：traded 有成交，suspended 停牌，missing 存储中没有当日行情",
    "the day's state: traded, suspended, or missing where the store has no bar of the day",
    choices=("traded", "suspended", "missing"),
)
_FACTOR = Column(
    "adjust_factor",
    "float",
    "当日有效的后复权因子：后复权价 = 价格 × 因子",
    "back-adjustment factor in force on the day: back-adjusted price = price x factor",
    "ratio",
)
_AGE = (
    Column(
        "days_since_listing",
        "integer",
        "上市以来的交易日数，上市首日为 0",
        "sessions since the listing, 0 on the first day",
        "sessions",
        nullable=True,
        minimum=0,
    ),
    Column(
        "is_new_listing",
        "boolean",
        f"是否为次新股：上市后的前 {NEW_FOR_SESSIONS} 个交易日",
        f"new listing: one of its first {NEW_FOR_SESSIONS} sessions",
    ),
)
# How the units of back-adjusted prices read once they are divided by the factor of the day.
_BACK, _FORWARD = "back-adjusted", "forward-adjusted to the day"


def snapshot_table(families: Sequence[Family] = FAMILIES) -> Table:
    """Return the contract of a snapshot with the indicators of these families."""
    indicators = [one for one in indicators_of(families) if not one.is_state]
    technicals = (
        replace(one.column, unit=one.column.unit.replace(_BACK, _FORWARD))
        for one in indicators
        if one.name not in LIMIT_FLAGS
    )
    return Table(
        "snapshot",
        "每日快照：当日上市的每只证券一行，价格为成交价，技术指标前复权到当日，财务为当日可知的最新一期",
        "Snapshot of a day: one row for each stock listed, prices as traded, indicators forward-adjusted to the day, finance "
        "of the newest report known on it",
        (
            _of(STOCK_DAILY, "ts_code"),
            _of(STOCK_DAILY, "trade_date"),
            *(_of(SECURITY, name) for name in DESCRIPTION),
            _STATUS,
            *(_of(STOCK_DAILY, name, nullable=True) for name in (*FLAGS, *BARS)),
            _FACTOR,
            *_AGE,
            *(replace(one.column) for one in indicators if one.name in LIMIT_FLAGS),
            *technicals,
            *(_of(FINANCE_INDICATOR, name, nullable=True) for name in (*REPORT_DAYS, *FIGURES)),
        ),
        ("ts_code",),
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a snapshot, which of them come from `technical_daily`, and which of these follow the adjustment."""

    table: Table
    technicals: tuple[str, ...]
    prices: tuple[str, ...]


@cache
def layout_of(families: tuple[Family, ...] = FAMILIES) -> Layout:
    """Return the layout with the indicators of these families."""
    table = snapshot_table(families)
    shown = tuple(one.name for one in indicators_of(families) if not one.is_state)
    prices = set(price_columns(families))
    return Layout(table, shown, tuple(name for name in shown if name in prices))


def _of(table: Table, name: str, *, nullable: bool | None = None) -> Column:
    column = next(column for column in table.columns if column.name == name)
    return column if nullable is None else replace(column, nullable=nullable)


SNAPSHOT: Final = snapshot_table()
