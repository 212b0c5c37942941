"""The table of stored indicators, made from the catalogue: one column an indicator, prices back-adjusted.

A new ex-date changes no stored row: forward-adjusted prices are the stored ones divided by the factor of the anchor.
"""

from collections.abc import Sequence

from stock_assets.domain.contract import Column, Table
from stock_assets.indicators.catalog import FAMILIES, LIMITS
from stock_assets.indicators.family import Family, Indicator

DIGEST = "input_digest"


def indicators_of(families: Sequence[Family] = FAMILIES) -> tuple[Indicator, ...]:
    """Return every stored indicator, in the order of the table's columns; those of one's own come last."""
    ours = [indicator for family in FAMILIES if family in families for indicator in family.indicators]
    own = [indicator for family in families if family not in FAMILIES for indicator in family.indicators]
    return (*ours, *LIMITS, *own)


def shown_columns(families: Sequence[Family] = FAMILIES) -> list[str]:
    """Return what a reader gets who names no columns: the key and every indicator that is no mere state."""
    return ["ts_code", "trade_date", *(one.name for one in indicators_of(families) if not one.is_state)]


def price_columns(families: Sequence[Family] = FAMILIES) -> list[str]:
    """Return the columns that follow the adjustment of prices, states included."""
    return [one.name for one in indicators_of(families) if one.basis == "price"]


def technical_table(families: Sequence[Family] = FAMILIES) -> Table:
    """Return the contract of `technical_daily` with the columns of these families."""
    return Table(
        "technical_daily",
        "技术指标：每只股票每个有成交的交易日一行，价格类为后复权；停牌日没有行",
        "Technical indicators: one row for each traded day of a stock, prices back-adjusted; no row for suspended days",
        (
            Column("ts_code", "text", "证券代码，如 600000.SH", "security code such as 600000.SH"),
            Column("trade_date", "date", "交易日", "trading day"),
            *(indicator.column for indicator in indicators_of(families)),
            Column(
                DIGEST,
                "integer",
                "该行输入的摘要：行情、复权因子、板块与 ST、指标版本",
                "digest of what the row is computed from: bar, factor, board and ST, version of the indicators",
            ),
        ),
        ("ts_code", "trade_date"),
        indexes=(("trade_date", "ts_code"),),
        derived=True,
    )


TECHNICAL_DAILY = technical_table()
FORWARD_ADJUSTED = "technical_daily_qfq"
"""The view of the same rows, forward-adjusted to each stock's latest factor, without the columns that are mere state."""
