"""What a BaoStock server asks of a market, and BaoStock's own field lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from datetime import date

Row: TypeAlias = list[str]
Rows: TypeAlias = Sequence[Row]
AdjustFlag: TypeAlias = Literal["1", "2", "3"]
"""1 back-adjusted (后复权), 2 forward-adjusted (前复权), 3 as traded."""

BAR_FIELDS: Final = (
    "date", "code", "open", "high", "low", "close", "preclose", "volume", "amount", "adjustflag", "turn", "tradestatus",
    "pctChg", "peTTM", "pbMRQ", "psTTM", "pcfNcfTTM", "isST",
)  # fmt: skip
FACTOR_FIELDS: Final = ("code", "dividOperateDate", "foreAdjustFactor", "backAdjustFactor", "adjustFactor")
TRADE_DATE_FIELDS: Final = ("calendar_date", "is_trading_day")
ALL_STOCK_FIELDS: Final = ("code", "tradeStatus", "code_name")
STOCK_BASIC_FIELDS: Final = ("code", "code_name", "ipoDate", "outDate", "type", "status")
_REPORT: Final = ("code", "pubDate", "statDate")
QUARTERLY_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "query_profit_data": (
        *_REPORT, "roeAvg", "npMargin", "gpMargin", "netProfit", "epsTTM", "MBRevenue", "totalShare", "liqaShare",
    ),
    "query_operation_data": (
        *_REPORT, "NRTurnRatio", "NRTurnDays", "INVTurnRatio", "INVTurnDays", "CATurnRatio", "AssetTurnRatio",
    ),
    "query_growth_data": (*_REPORT, "YOYEquity", "YOYAsset", "YOYNI", "YOYEPSBasic", "YOYPNI"),
    "query_dupont_data": (
        *_REPORT, "dupontROE", "dupontAssetStoEquity", "dupontAssetTurn", "dupontPnitoni", "dupontNitogr",
        "dupontTaxBurden", "dupontIntburden", "dupontEbittogr",
    ),
    "query_balance_data": (
        *_REPORT, "currentRatio", "quickRatio", "cashRatio", "YOYLiability", "liabilityToAsset", "assetToEquity",
    ),
    "query_cash_flow_data": (
        *_REPORT, "CAToAsset", "NCAToAsset", "tangibleAssetToAsset", "ebitToInterest", "CFOToOR", "CFOToNP", "CFOToGr",
    ),
}  # fmt: skip
"""The six quarterly tables of finance figures, by the name of the request."""


class Market(Protocol):
    """Rows of text in BaoStock's form, as they are known at the end of the day `as_of`.

    Every method answers no rows for what it does not know: an unknown code, a day without trading.
    """

    @property
    def last_session(self) -> date:
        """The newest trading day that has bars."""
        ...

    def trade_dates(self, start: date, end: date) -> Rows:
        """Return one `TRADE_DATE_FIELDS` row for each calendar day from `start` to `end`, both included."""
        ...

    def all_stock(self, day: date) -> Rows:
        """Return an `ALL_STOCK_FIELDS` row for each security listed on the trading day, indices included."""
        ...

    def stock_basic(self, as_of: date) -> Rows:
        """Return a `STOCK_BASIC_FIELDS` row for each security that was listed on `as_of` or before."""
        ...

    def daily_bars(self, day: date) -> Rows:
        """Return the `BAR_FIELDS` rows of all stocks on the day, unadjusted, ordered by code, without indices."""
        ...

    def stock_bars(self, code: str, adjust: AdjustFlag, start: date, end: date, as_of: date) -> Rows:
        """Return the `BAR_FIELDS` rows of one code from `start` to `end`, not beyond `as_of`, oldest first."""
        ...

    def adjust_factors(self, code: str, as_of: date) -> Rows:
        """Return the `FACTOR_FIELDS` rows of one code up to `as_of`, oldest first."""
        ...

    def daily_adjust_factors(self, day: date, as_of: date) -> Rows:
        """Return the `FACTOR_FIELDS` rows of all codes whose ex-date is `day`, ordered by code."""
        ...

    def quarterly(self, table: str, code: str, period: date, as_of: date) -> Rows:
        """Return the `QUARTERLY_FIELDS[table]` row of a code's report for the quarter that ends on `period`, if published."""
        ...
