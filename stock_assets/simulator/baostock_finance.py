"""BaoStock's six quarterly tables of a made-up company, from the same reports as Tushare's simulator shows.

A report is one row of each table, dated by its first announcement for ever: a restatement changes its figures in silence.
Ratios are fractions; where a figure means the same in both sources it is the same number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from stock_assets.simulator.base import QUARTERLY_FIELDS
from stock_assets.simulator.tushare_finance import Company, SimulatedFinance

if TYPE_CHECKING:
    from datetime import date

    from stock_assets.simulator.base import Rows

_Figures: TypeAlias = Mapping[str, float]
_REMEMBERED_REPORTS: Final = 64
_COMMON_FIELDS: Final = 3
_FREE_SHARE, _NOTES_SHARE, _CASH_LIKE_SHARE = 0.8, 0.9, 1.1
_PARENTS_SHARE: Final = 0.97


def _ratio(name: str, factor: float = 1.0) -> Callable[[_Figures], float]:
    return lambda figures: figures[name] * factor


def _fraction(name: str) -> Callable[[_Figures], float]:
    return lambda figures: figures[name] / 100.0


_VALUES: Final[Mapping[str, Callable[[_Figures], float]]] = {
    "roeAvg": _fraction("roe"),
    "npMargin": _fraction("netprofit_margin"),
    "gpMargin": _fraction("grossprofit_margin"),
    "netProfit": _ratio("net_profit"),
    "epsTTM": _ratio("eps_ttm"),
    "MBRevenue": _ratio("revenue"),
    "totalShare": _ratio("shares"),
    "liqaShare": lambda figures: math.floor(figures["shares"] * _FREE_SHARE),
    "NRTurnRatio": _ratio("ar_turn", _NOTES_SHARE),
    "NRTurnDays": _ratio("arturn_days", 1 / _NOTES_SHARE),
    "INVTurnRatio": _ratio("inv_turn"),
    "INVTurnDays": _ratio("invturn_days"),
    "CATurnRatio": _ratio("ca_turn"),
    "AssetTurnRatio": _ratio("assets_turn"),
    "YOYEquity": _fraction("equity_yoy"),
    "YOYAsset": _fraction("assets_on_year"),
    "YOYNI": _fraction("net_on_year"),
    "YOYEPSBasic": _fraction("basic_eps_yoy"),
    "YOYPNI": _fraction("netprofit_yoy"),
    "dupontROE": _fraction("roe"),
    "dupontAssetStoEquity": _ratio("dp_assets_to_eqt"),
    "dupontAssetTurn": _ratio("assets_turn"),
    "dupontPnitoni": lambda _figures: _PARENTS_SHARE,
    "dupontNitogr": _fraction("profit_to_gr"),
    "dupontTaxBurden": lambda figures: 1.0 - figures["tax_to_ebt"] / 100.0,
    "dupontIntburden": lambda figures: figures["profit_to_op"] / 1.002 / figures["ebit_of_gr"],
    "dupontEbittogr": _fraction("ebit_of_gr"),
    "currentRatio": _ratio("current_ratio"),
    "quickRatio": _ratio("quick_ratio"),
    "cashRatio": _ratio("cash_ratio", _CASH_LIKE_SHARE),
    "YOYLiability": _fraction("debt_on_year"),
    "liabilityToAsset": _fraction("debt_to_assets"),
    "assetToEquity": _ratio("assets_to_eqt"),
    "CAToAsset": _fraction("ca_to_assets"),
    "NCAToAsset": _fraction("nca_to_assets"),
    "tangibleAssetToAsset": _fraction("tbassets_to_totalassets"),
    "ebitToInterest": _ratio("ebit_to_interest"),
    "CFOToOR": _fraction("ocf_to_or"),
    "CFOToNP": lambda figures: figures["ocf_to_or"] / figures["netprofit_margin"],
    "CFOToGr": lambda figures: figures["ocf_to_or"] / 100.0 / 1.002,
}
_SHARES: Final = frozenset({"totalShare", "liqaShare"})
# Told in the reports of half years and years alone.
_HALF_YEARLY: Final = frozenset({"MBRevenue"})
_HALF_YEARS: Final = (6, 12)


class QuarterlyTables:
    """The six tables of every made-up company; safe for many threads."""

    def __init__(self, seed: int) -> None:
        # Six requests in a row are about one report.
        self._standing = lru_cache(_REMEMBERED_REPORTS)(SimulatedFinance(seed).standing)

    def rows(self, table: str, code: str, listed: date, left: date | None, period: date, known: date) -> Rows:  # noqa: PLR0913
        """Return the row of the report for the quarter that ends on `period`; none while it was not published."""
        found = self._standing(Company(f"{code[3:]}.{code[:2].upper()}", listed, left), period, known)
        if found is None:
            return []
        announced, figures = found
        names = QUARTERLY_FIELDS[table][_COMMON_FIELDS:]
        return [[code, announced.isoformat(), period.isoformat(), *(_text(name, figures, period) for name in names)]]


def _text(name: str, figures: _Figures, period: date) -> str:
    value = _VALUES[name](figures)
    if not math.isfinite(value) or (name in _HALF_YEARLY and period.month not in _HALF_YEARS):
        return ""
    return f"{value:.2f}" if name in _SHARES else f"{value:.6f}"
