"""BaoStock's requests and what a market answers to them, without connections and faults."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, date
from typing import TYPE_CHECKING, Final, cast

from stock_assets.simulator.base import (
    ALL_STOCK_FIELDS,
    BAR_FIELDS,
    FACTOR_FIELDS,
    QUARTERLY_FIELDS,
    STOCK_BASIC_FIELDS,
    TRADE_DATE_FIELDS,
)
from stock_assets.simulator.wire import SERVER_VERSION, Frame, encode_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from stock_assets.simulator.base import AdjustFlag, Market, Rows

NOT_LOGGED_IN: Final = ("10001001", "用户未登录")
TOO_MANY_SESSIONS: Final = ("10001005", "账号登陆数达到上限")
BANNED: Final = ("10001011", "黑名单用户，请与管理员联系")
WRONG_PARAMETER_COUNT: Final = ("10004006", "请求参数个数不正确")
WRONG_PARAMETER: Final = ("10004006", "参数错误")
WRONG_START: Final = ("10004007", "起始日期格式不正确")
WRONG_END: Final = ("10004008", "截止日期格式不正确")
START_AFTER_END: Final = ("10004009", "起始日期大于终止日期")
WRONG_DAY: Final = ("10004010", "日期格式不正确")
WRONG_FIELD: Final = ("10004012", "无效的指标")
BROKEN_MESSAGE: Final = ("10004019", "消息格式不正确")
UNKNOWN_TYPE: Final = ("10004020", "错误的消息类型")
ERROR_TEXTS: Final[dict[str, str]] = dict(
    (
        NOT_LOGGED_IN,
        TOO_MANY_SESSIONS,
        BANNED,
        WRONG_PARAMETER_COUNT,
        WRONG_START,
        WRONG_END,
        START_AFTER_END,
        WRONG_DAY,
        WRONG_FIELD,
        BROKEN_MESSAGE,
        UNKNOWN_TYPE,
        ("10001006", "用户权限不足"),
    )
)

_NO_ROWS: Final[Rows] = ()
_QUARTER_ENDS: Final = {"1": "03-31", "2": "06-30", "3": "09-30", "4": "12-31"}

LOGIN_TYPE: Final = "00"
LOGOUT_TYPE: Final = "02"
LOGIN_PARTS: Final = 4


class RefusedError(Exception):
    """The server answers with an error frame: a code and its text."""

    def __init__(self, reason: tuple[str, str]) -> None:
        super().__init__(*reason)
        self.code, self.text = reason


@dataclass(frozen=True, slots=True)
class Knowledge:
    """How far the market's answers go: the last day whose bars, and whose factors, are published."""

    bars_until: date
    factors_until: date


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer before it becomes a frame; `page` is None for methods that do not page."""

    method: Method
    user: str
    rows: Rows
    fields: str
    echo: tuple[str, ...] = ()
    page: str | None = None
    per_page: str = ""

    def to_frame(self) -> Frame:
        """Return the answer's frame: success, method, user, page, data, the request's own parameters, fields."""
        paging = () if self.page is None else (self.page, self.per_page)
        tail = (*self.echo, self.fields)
        if self.method is K_DATA:
            # This method has its fields where the request had them, not at the end.
            tail = (self.echo[0], self.fields, *self.echo[1:])
        parts = ("0", "success", self.method.name, self.user, *paging, encode_rows(self.rows), *tail)
        return Frame(SERVER_VERSION, self.method.response_type, parts)


@dataclass(frozen=True, slots=True)
class Method:
    """One request type: `parameters` counts what follows method and user, the two of a page included."""

    name: str
    request_type: str
    response_type: str
    parameters: int
    read: Callable[[Market, Knowledge, list[str]], tuple[Rows, str]]
    pages: bool = True

    def answer(self, market: Market, known: Knowledge, parts: tuple[str, ...]) -> Answer:
        """Return the answer to the request's body; raises `RefusedError` for what the server refuses."""
        if len(parts) != 2 + self.parameters:
            raise RefusedError(WRONG_PARAMETER_COUNT)
        _, user, *parameters = parts
        if not self.pages:
            rows, fields = self.read(market, known, parameters)
            return Answer(self, user, rows, fields)
        page, per_page, *parameters = parameters
        if not (page.isdigit() and per_page.isdigit() and int(page) and int(per_page)):
            raise RefusedError(BROKEN_MESSAGE)
        rows, fields = self.read(market, known, parameters)
        size = int(per_page)
        rows = rows[(int(page) - 1) * size : int(page) * size]
        echo = tuple(parameters)
        if self is K_DATA:
            echo = (parameters[0], *parameters[2:])
        return Answer(self, user, rows, fields, echo, page, per_page)


def _trade_dates(market: Market, _known: Knowledge, parameters: list[str]) -> tuple[Rows, str]:
    start, end = _span(parameters[0], parameters[1])
    return market.trade_dates(start, end), ", ".join(TRADE_DATE_FIELDS)


def _all_stock(market: Market, known: Knowledge, parameters: list[str]) -> tuple[Rows, str]:
    day = _day(parameters[0], WRONG_DAY)
    return (market.all_stock(day) if day <= known.bars_until else _NO_ROWS), ",".join(ALL_STOCK_FIELDS)


def _stock_basic(market: Market, known: Knowledge, parameters: list[str]) -> tuple[Rows, str]:
    code, name = parameters
    known_rows = market.stock_basic(known.bars_until)
    rows = [row for row in known_rows if code in {"", row[0]} and name in row[1]]
    return rows, ", ".join(STOCK_BASIC_FIELDS)


def _daily_bars(market: Market, known: Knowledge, parameters: list[str]) -> tuple[Rows, str]:
    day = _day(parameters[0], WRONG_DAY)
    return (market.daily_bars(day) if day <= known.bars_until else _NO_ROWS), ",".join(BAR_FIELDS)


def _daily_etf_bars(_market: Market, _known: Knowledge, parameters: list[str]) -> tuple[Rows, str]:
    _day(parameters[0], WRONG_DAY)
    return _NO_ROWS, ",".join(BAR_FIELDS)


def _adjust_factors(market: Market, known: Knowledge, parameters: list[str]) -> tuple[Rows, str]:
    start, end = (day.isoformat() for day in _span(parameters[1], parameters[2]))
    rows = [row for row in market.adjust_factors(parameters[0], known.factors_until) if start <= row[1] <= end]
    return rows, ",".join(FACTOR_FIELDS)


def _daily_adjust_factors(market: Market, known: Knowledge, parameters: list[str]) -> tuple[Rows, str]:
    day = _day(parameters[0], WRONG_DAY)
    rows = market.daily_adjust_factors(day, known.factors_until) if day <= known.factors_until else _NO_ROWS
    return rows, ",".join(FACTOR_FIELDS)


def _quarterly(table: str) -> Callable[[Market, Knowledge, list[str]], tuple[Rows, str]]:
    def read(market: Market, known: Knowledge, parameters: list[str]) -> tuple[Rows, str]:
        code, year, quarter = parameters
        if not year.isdigit() or not MINYEAR <= int(year) <= MAXYEAR or quarter not in _QUARTER_ENDS:
            raise RefusedError(WRONG_PARAMETER)
        period = date.fromisoformat(f"{int(year):04d}-{_QUARTER_ENDS[quarter]}")
        return market.quarterly(table, code, period, known.bars_until), ",".join(QUARTERLY_FIELDS[table])

    return read


def _k_data(market: Market, known: Knowledge, parameters: list[str]) -> tuple[Rows, str]:
    code, fields, start_text, end_text, frequency, adjust = parameters
    start, end = _span(start_text, end_text)
    names = [name.strip() for name in fields.split(",")]
    if frequency != "d" or adjust not in {"1", "2", "3"} or not set(names) <= set(BAR_FIELDS):
        raise RefusedError(WRONG_FIELD)
    rows = market.stock_bars(code, cast("AdjustFlag", adjust), start, end, known.bars_until)
    if tuple(names) == BAR_FIELDS:
        return rows, fields
    columns = [BAR_FIELDS.index(name) for name in names]
    return [[row[column] for column in columns] for row in rows], fields


def _day(text: str, reason: tuple[str, str]) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise RefusedError(reason) from None
    if text != day.isoformat():
        raise RefusedError(reason)
    return day


def _span(start_text: str, end_text: str) -> tuple[date, date]:
    start, end = _day(start_text, WRONG_START), _day(end_text, WRONG_END)
    if start > end:
        raise RefusedError(START_AFTER_END)
    return start, end


K_DATA: Final = Method("query_history_k_data_plus", "95", "96", 8, read=_k_data)
METHODS: Final = {
    method.request_type: method
    for method in (
        Method("query_trade_dates", "33", "34", 4, read=_trade_dates),
        Method("query_all_stock", "35", "36", 3, read=_all_stock),
        Method("query_stock_basic", "45", "46", 4, read=_stock_basic),
        Method("query_adjust_factor", "15", "16", 5, read=_adjust_factors),
        Method("query_daily_history_k_AStock", "98", "99", 1, read=_daily_bars, pages=False),
        Method("query_daily_history_k_ETF", "9A", "9B", 1, read=_daily_etf_bars, pages=False),
        Method("query_daily_adjust_factor", "9C", "9D", 1, read=_daily_adjust_factors, pages=False),
        Method("query_profit_data", "17", "18", 5, read=_quarterly("query_profit_data")),
        Method("query_operation_data", "19", "20", 5, read=_quarterly("query_operation_data")),
        Method("query_growth_data", "21", "22", 5, read=_quarterly("query_growth_data")),
        Method("query_dupont_data", "23", "24", 5, read=_quarterly("query_dupont_data")),
        Method("query_balance_data", "25", "26", 5, read=_quarterly("query_balance_data")),
        Method("query_cash_flow_data", "27", "28", 5, read=_quarterly("query_cash_flow_data")),
        K_DATA,
    )
}
