"""The request whose rows a confused server would hand out instead of the right ones."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from stock_assets.simulator.base import QUARTERLY_FIELDS
from stock_assets.simulator.methods import METHODS

if TYPE_CHECKING:
    from stock_assets.simulator.base import Market
    from stock_assets.simulator.methods import Knowledge, Method

_CODE_AT: Final = {"query_history_k_data_plus": 4, "query_adjust_factor": 4, **dict.fromkeys(QUARTERLY_FIELDS, 4)}
_DAY_AT: Final = {
    "query_all_stock": 4,
    "query_daily_history_k_AStock": 2,
    "query_daily_history_k_ETF": 2,
    "query_daily_adjust_factor": 2,
}
_LOOK_BACK: Final = timedelta(days=21)


def for_another_stock_or_day(market: Market, known: Knowledge, parts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the request's body with the next stock's code, or with the trading day before, in its place."""
    name = parts[0]
    if name in _CODE_AT and len(parts) > _CODE_AT[name]:
        place = _CODE_AT[name]
        codes = [row[0] for row in market.stock_basic(known.bars_until) if row[4] == "1" and row[5] == "1"]
        other = next((code for code in codes if code > parts[place]), codes[0] if codes else parts[place])
    elif name in _DAY_AT and len(parts) > _DAY_AT[name]:
        place = _DAY_AT[name]
        other = _day_before(market, parts[place])
    else:
        return parts
    return (*parts[:place], other, *parts[place + 1 :])


def of_another_method(known: Knowledge, parts: tuple[str, ...]) -> tuple[Method, tuple[str, ...]]:
    """Return another method and a request for it: the calendar, or the list of securities for who asked for that."""
    name, user, *_ = (*parts, "", "")
    if name == "query_trade_dates":
        return METHODS["45"], ("query_stock_basic", user, "1", "2000", "", "")
    start, end = known.bars_until - _LOOK_BACK, known.bars_until
    return METHODS["33"], ("query_trade_dates", user, "1", "2000", start.isoformat(), end.isoformat())


def _day_before(market: Market, text: str) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return text
    open_days = [row[0] for row in market.trade_dates(day - _LOOK_BACK, day) if row[1] == "1" and row[0] < text]
    return open_days[-1] if open_days else text
