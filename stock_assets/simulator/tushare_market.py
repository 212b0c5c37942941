"""A made-up market in Tushare's rows, made from the same bars and factors as BaoStock's, plus the Beijing exchange.

Volume is in lots of 100 shares, money in thousands of yuan, and a day on which a stock is suspended has no bar: it has a
row in suspend_d. Finance reports are in `tushare_finance`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, lru_cache
from heapq import merge
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from stock_assets.simulator.market import SimulatedMarket
from stock_assets.simulator.tushare_base import compact
from stock_assets.simulator.tushare_finance import Company, SimulatedFinance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from stock_assets.simulator.base import Market
    from stock_assets.simulator.base import Row as Bar
    from stock_assets.simulator.tushare_base import Cell, Row, Service

_FIRST_DAY: Final = date(1990, 12, 19)
_BEIJING_OPENED: Final = date(2021, 11, 15)
_BEIJING_SHARE: Final = 18
_OTHER_SEED: Final = 0x5EED
_REMEMBERED_DAYS: Final = 4
_STOCK: Final = "1"
_TRADES: Final = "1"
_NO_LIFE: Final = date.max
_EXCHANGES: Final = {"SH": "SSE", "SZ": "SZSE", "BJ": "BSE"}
_BOARDS: Final = (("688", "科创板"), ("30", "创业板"), ("920", "北交所"))
_AREAS: Final = ("北京", "上海", "深圳", "浙江", "江苏", "广东", "四川", "湖北")
_INDUSTRIES: Final = ("银行", "软件服务", "化工原料", "电气设备", "生物制药", "食品", "机械基件", "全国地产")
_BEFORE: Final = timedelta(days=1)


def beijing_market(seed: int, stocks: int, sessions: Sequence[date]) -> SimulatedMarket | None:
    """Return a market for the Beijing exchange, one stock for 18 others, or None before that exchange had opened."""
    since = [day for day in sessions if day >= _BEIJING_OPENED]
    if not since:
        return None
    return SimulatedMarket(seed ^ _OTHER_SEED, max(2, stocks // _BEIJING_SHARE), sessions=since)


class SimulatedTushare:
    """A `TushareMarket` over a market's bars; `beijing` adds that exchange's stocks, which BaoStock has not.

    The same markets and seed always give the same rows, in any order of asking.
    """

    def __init__(self, market: Market, beijing: SimulatedMarket | None = None, *, seed: int = 0) -> None:
        self._market = market
        self._parts = [_Part(market, _usual_code)]
        if beijing is not None:
            numbers = {code: f"920{number:03d}.BJ" for number, code in enumerate(beijing.codes)}
            self._parts.append(_Part(beijing, numbers.__getitem__, first_day=_BEIJING_OPENED))
        self._finance = SimulatedFinance(seed)
        self._tables: dict[str, Callable[[Mapping[str, str], date], Iterator[Row]]] = {
            "stock_basic": self._stock_basic,
            "trade_cal": self._trade_cal,
            "daily": lambda params, known: self._by_day(_daily_row, params, known),
            "daily_basic": lambda params, known: self._by_day(_basic_row, params, known),
            "adj_factor": self._adj_factor,
            "suspend_d": self._suspend_d,
        }

    @property
    def last_session(self) -> date:
        """The newest trading day of the market."""
        return self._market.last_session

    def rows(self, service: Service, params: Mapping[str, str], known: date) -> Iterator[Row]:
        """Yield an answer's rows, newest first."""
        table = self._tables.get(service.name)
        if table is not None:
            return table(params, known)
        companies = self._companies(known, _codes(params))
        if service.name == "disclosure_date":
            return self._finance.disclosures(companies, params, known)
        return self._finance.reports(service, companies, params, known)

    def _companies(self, known: date, codes: frozenset[str] | None) -> list[Company]:
        return [
            Company(stock.code, stock.listed, stock.left)
            for part in self._parts
            for stock in part.stocks(known)
            if codes is None or stock.code in codes
        ]

    def _stock_basic(self, params: Mapping[str, str], known: date) -> Iterator[Row]:
        wanted = frozenset(params.get("list_status", "L").split(","))
        codes = _codes(params)
        for part in self._parts:
            for stock in part.stocks(known):
                if stock.status in wanted and (codes is None or stock.code in codes):
                    row = stock.row()
                    if all(params.get(name, row[place]) == row[place] for name, place in _FILTERS.items()):
                        yield row

    def _trade_cal(self, params: Mapping[str, str], known: date) -> Iterator[Row]:
        exchange = params.get("exchange", "SSE")
        if exchange not in {"SSE", "SZSE"}:
            return
        start, end = _window(params, known)
        open_before = ""
        rows: list[Row] = []
        for name, is_open in self._market.trade_dates(_FIRST_DAY, end):
            day = name.replace("-", "")
            if name >= start.isoformat() and params.get("is_open", is_open) == is_open:
                rows.append((exchange, day, int(is_open), open_before or None))
            if is_open == "1":
                open_before = day
        yield from reversed(rows)

    def _adj_factor(self, params: Mapping[str, str], known: date) -> Iterator[Row]:
        def row(code: str, bar: Bar, part: _Part) -> Row:
            return code, bar[0].replace("-", ""), part.factor(bar[1], date.fromisoformat(bar[0]))

        return self._by_day(row, params, known)

    def _suspend_d(self, params: Mapping[str, str], known: date) -> Iterator[Row]:
        kinds, codes = params.get("suspend_type", "S,R").split(","), _codes(params)
        start, end = _window(params, known)
        halted: dict[date, set[str]] = {}
        for day in self._sessions(start - 14 * _BEFORE, end):
            halted[day] = {code for part in self._parts for code in part.halted(day)}
        days = sorted(halted)
        for before, day in reversed(list(pairwise(days))):
            if day < start:
                return
            marks = [(code, "S") for code in halted[day]] + [(code, "R") for code in halted[before] - halted[day]]
            for code, kind in sorted(marks):
                if kind in kinds and (codes is None or code in codes):
                    yield code, compact(day), None, kind

    def _by_day(
        self, row_of: Callable[[str, Bar, _Part], Row | None], params: Mapping[str, str], known: date
    ) -> Iterator[Row]:
        start, end = _window(params, known)
        codes = _codes(params)
        if codes is not None and start != end:
            lives = [part.life(code, start, end, row_of) for part in self._parts for code in sorted(codes)]
            yield from merge(*lives, key=lambda row: (-int(str(row[1])), str(row[0])))
            return
        for day in reversed(self._sessions(start, end)):
            for part in self._parts:
                for code, bar in part.bars(day):
                    if codes is None or code in codes:
                        row = row_of(code, bar, part)
                        if row is not None:
                            yield row

    def _sessions(self, start: date, end: date) -> list[date]:
        return [date.fromisoformat(name) for name, is_open in self._market.trade_dates(start, end) if is_open == "1"]


_FILTERS: Final = {"market": 8, "exchange": 9, "name": 2, "is_hs": 14}


@dataclass(frozen=True, slots=True)
class _Stock:
    code: str
    name: str
    listed: date
    left: date | None

    @property
    def status(self) -> str:
        return "L" if self.left is None else "D"

    def row(self) -> list[Cell]:
        """Return the stock's row of stock_basic; one that has left has no area and no industry."""
        number, _, exchange = self.code.partition(".")
        place = int(number)
        is_listed = self.left is None
        return [
            self.code,
            number,
            self.name if is_listed else f"{self.name}(退)",
            _AREAS[place % len(_AREAS)] if is_listed else None,
            _INDUSTRIES[place % len(_INDUSTRIES)] if is_listed else None,
            f"{self.name}股份有限公司",
            None,
            "mncs",
            next((board for start, board in _BOARDS if number.startswith(start)), "主板"),
            _EXCHANGES[exchange],
            "CNY",
            self.status,
            compact(self.listed),
            compact(self.left) if self.left else None,
            ("H" if exchange == "SH" else "S") if place % 2 else "N",
            None,
            None,
        ]


_NO_STEPS: Final[tuple[list[date], list[float]]] = ([], [1.0])


class _Part:
    """One market and how its codes are spelled here."""

    def __init__(self, market: Market, code_of: Callable[[str], str], *, first_day: date = _FIRST_DAY) -> None:
        self._market = market
        self._code_of = code_of
        self._first_day = first_day
        # Bars, factors and valuations of one day are asked for one after another.
        self._remembered = lru_cache(_REMEMBERED_DAYS)(self._bars_of)

    def stocks(self, known: date) -> list[_Stock]:
        """Return the stocks listed by `known`, ordered by code."""
        found: list[_Stock] = []
        for code, name, listed, left, kind, _ in self._market.stock_basic(known):
            if kind == _STOCK:
                day = max(date.fromisoformat(listed), self._first_day)
                found.append(_Stock(self._code_of(code), name, day, date.fromisoformat(left) if left else None))
        return found

    def bars(self, day: date) -> list[tuple[str, Bar]]:
        """Return the bars of the day, suspended stocks included."""
        return self._remembered(day)

    def halted(self, day: date) -> list[str]:
        """Return who is suspended on the day."""
        states = {code: state for code, state, _ in self._market.all_stock(day)}
        return [code for code, source_code in self._source_codes.items() if states.get(source_code, _TRADES) != _TRADES]

    def life(
        self, ts_code: str, start: date, end: date, row_of: Callable[[str, Bar, _Part], Row | None]
    ) -> Iterator[Row]:
        """Yield the rows of one stock, newest first."""
        code = self._source_codes.get(ts_code)
        if code is None:
            return
        for bar in reversed(self._market.stock_bars(code, "3", start, end, end)):
            row = row_of(ts_code, bar, self)
            if row is not None:
                yield row

    def factor(self, code: str, day: date) -> float:
        """Return the factor in force, 1 from the listing on."""
        days, factors = self._steps.get(code, _NO_STEPS)
        return factors[bisect_right(days, day)]

    @cached_property
    def _steps(self) -> dict[str, tuple[list[date], list[float]]]:
        """The ex-dates of each code, and the factors before and from each of them on."""
        market = self._market
        rows: list[Sequence[str]] = []
        if isinstance(market, SimulatedMarket):
            rows.extend(market.every_adjust_factor(_NO_LIFE))
        else:
            for stock in market.stock_basic(_NO_LIFE):
                rows.extend(market.adjust_factors(stock[0], _NO_LIFE))
        steps: dict[str, tuple[list[date], list[float]]] = {}
        for code, day, _, back, _ in rows:
            days, factors = steps.setdefault(code, ([], [1.0]))
            days.append(date.fromisoformat(day))
            factors.append(round(float(back), 4))
        return steps

    def _bars_of(self, day: date) -> list[tuple[str, Bar]]:
        return [(self._code_of(bar[1]), bar) for bar in self._market.daily_bars(day)]

    @cached_property
    def _source_codes(self) -> dict[str, str]:
        rows = self._market.stock_basic(_NO_LIFE)
        return {self._code_of(row[0]): row[0] for row in rows if row[4] == _STOCK}


def _usual_code(code: str) -> str:
    return f"{code[3:]}.{code[:2].upper()}"


def _codes(params: Mapping[str, str]) -> frozenset[str] | None:
    named = params.get("ts_code")
    return frozenset(named.split(",")) if named else None


def _window(params: Mapping[str, str], known: date) -> tuple[date, date]:
    """Return the first and last trading day that is asked for, not beyond what is known; nonsense gives no day."""
    try:
        if day := params.get("trade_date"):
            start = end = _day(day)
        else:
            start = _day(params.get("start_date", compact(_FIRST_DAY)))
            end = _day(params.get("end_date", compact(known)))
    except ValueError:
        return known, known - _BEFORE
    return start, min(end, known)


def _day(text: str) -> date:
    if len(text) != len("20240105") or not text.isdigit():
        raise ValueError(text)
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))


def _daily_row(code: str, bar: Bar, _part: _Part) -> Row | None:
    if bar[11] != _TRADES:
        return None
    opened, high, low, close, before = map(float, bar[2:7])
    change = round(close - before, 2)
    lots, thousands = int(bar[7]) / 100, round(float(bar[8]) / 1000, 3)
    moved = round(change / before * 100, 4)
    return code, bar[0].replace("-", ""), opened, high, low, close, before, change, moved, lots, thousands


def _basic_row(code: str, bar: Bar, _part: _Part) -> Row | None:
    if bar[11] != _TRADES:
        return None
    # A recorder may have left some of them out.
    close, turn, earnings, book, sales = (float(text or 0) for text in (bar[5], bar[10], *bar[13:16]))
    # The ten thousands of shares that trade freely, back from the turnover.
    floating = int(bar[7]) / max(turn, 1e-6) / 100
    total = floating * (1.1 + int(code[:6]) % 7 / 10)
    price_to_earnings = round(earnings, 4) if earnings > 0 else None
    yields = round(100 / earnings * 0.3, 4) if earnings > 0 else None
    return (
        code,
        bar[0].replace("-", ""),
        close,
        round(turn, 4),
        round(turn * 1.6, 4),
        round(0.5 + int(bar[7]) % 150 / 100, 2),
        price_to_earnings,
        price_to_earnings,
        round(book, 4) if book > 0 else None,
        round(sales * 1.02, 4),
        round(sales, 4),
        yields,
        yields,
        round(total, 4),
        round(floating, 4),
        round(floating * 0.6, 4),
        round(total * close, 4),
        round(floating * close, 4),
    )
