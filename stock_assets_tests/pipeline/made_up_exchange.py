"""A handful of stocks whose every bar a test decides, as BaoStock would tell them; it remembers what it was asked.

One of them changes its code on the way: its bars are told under the code that it has by then, whatever their day.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

from stock_assets.simulator.base import AdjustFlag, Row, Rows

OLD, NEW, CHANGED_ON = "300114.SZ", "302132.SZ", date(2025, 2, 17)
LISTED_LONG_AGO = date(2010, 8, 27)

Condition = Literal["traded", "suspended", "bad", "none"]


@dataclass(slots=True)
class Life:
    """From when on and until when a stock is listed."""

    first: date
    until: date | None = None

    def has(self, day: date) -> bool:
        """Return whether it is listed on the day."""
        return self.first <= day and (self.until is None or day < self.until)


@dataclass(slots=True)
class MadeUpExchange:
    """A `simulator.base.Market`; `stocks` has the one that changes its code under its old one.

    `condition` says what there is of a stock's day where it is no ordinary bar, `versions` how often it was restated.
    `day_calls` and `code_calls` are what was asked since they were last emptied.
    """

    sessions: Sequence[date]
    today: date
    stocks: dict[str, Life]
    condition: dict[tuple[str, date], Condition] = field(default_factory=dict[tuple[str, date], Condition])
    versions: dict[tuple[str, date], int] = field(default_factory=dict[tuple[str, date], int])
    day_calls: list[date] = field(default_factory=list[date])
    code_calls: dict[str, tuple[date, date]] = field(default_factory=dict[str, tuple[date, date]])

    @property
    def last_session(self) -> date:
        """The newest day that has bars."""
        return max(day for day in self.sessions if day < self.today)

    @property
    def is_renamed(self) -> bool:
        """Whether the change of code is over."""
        return self.today >= CHANGED_ON

    def code_of(self, stock: str, day: date) -> str:
        """Return the code that a stock has on a day, as far as anybody can know today."""
        return NEW if stock == OLD and self.is_renamed and day >= CHANGED_ON else stock

    def what(self, stock: str, day: date) -> Condition:
        """Return what there is of a stock's day."""
        return self.condition.get((stock, day), "traded") if self.stocks[stock].has(day) else "none"

    def close(self, stock: str, day: date) -> float:
        """Return the close that is told now."""
        return round(10 + self.sessions.index(day) + self.versions.get((stock, day), 0) / 100, 2)

    def trade_dates(self, start: date, end: date) -> Rows:
        """Return every day."""
        days = (start + timedelta(days=ahead) for ahead in range((end - start).days + 1))
        return [[day.isoformat(), "1" if day in self.sessions else "0"] for day in days]

    def all_stock(self, day: date) -> Rows:
        """Return who is listed."""
        return [[_theirs(self.code_of(stock, day)), "1", stock] for stock, life in self.stocks.items() if life.has(day)]

    def stock_basic(self, as_of: date) -> Rows:
        """Return every stock, the one that changes its code under both of them once it has."""
        del as_of
        told: list[Row] = []
        for stock, life in self.stocks.items():
            codes = [OLD, NEW] if stock == OLD and self.is_renamed else [stock]
            until = "" if life.until is None else life.until.isoformat()
            told += [
                [_theirs(code), "某某股份", life.first.isoformat(), until, "1", "0" if until else "1"] for code in codes
            ]
        return told

    def daily_bars(self, day: date) -> Rows:
        """Return the bars of a day under today's codes."""
        self.day_calls.append(day)
        return list(self._rows_of_day(day))

    def stock_bars(self, code: str, adjust: AdjustFlag, start: date, end: date, as_of: date) -> Rows:
        """Return the bars that a code had."""
        del adjust, as_of
        ours = f"{code[3:]}.{code[:2].upper()}"
        self.code_calls[ours] = start, end
        stock = OLD if ours == NEW else ours
        days = [day for day in self.sessions if start <= day <= end and day < self.today]
        if ours == OLD and self.is_renamed:
            days = [day for day in days if day < CHANGED_ON]
        return [row for day in days for row in self._rows(stock, day, ours)]

    def adjust_factors(self, code: str, as_of: date) -> Rows:
        """Return no factor."""
        del code, as_of
        return []

    def daily_adjust_factors(self, day: date, as_of: date) -> Rows:
        """Return no factor."""
        del day, as_of
        return []

    def quarterly(self, table: str, code: str, period: date, as_of: date) -> Rows:
        """Return no report."""
        del table, code, period, as_of
        return []

    def _rows_of_day(self, day: date) -> Iterator[Row]:
        if day in self.sessions and day < self.today:
            for stock in sorted(self.stocks):
                yield from self._rows(stock, day, NEW if stock == OLD and self.is_renamed else stock)

    def _rows(self, stock: str, day: date, code: str) -> Iterator[Row]:
        what, price = self.what(stock, day), f"{self.close(stock, day):.4f}"
        if what == "none":
            return
        traded = [price, price, price, "" if what == "bad" else price, price, "1000", f"{1000 * float(price):.4f}"]
        still = [price, price, price, price, price, "", ""]
        is_still = what == "suspended"
        tail = ["3", "" if is_still else "0.100000", "0" if is_still else "1", "" if is_still else "0.000000"]
        yield [day.isoformat(), _theirs(code), *(still if is_still else traded), *tail, *["1.000000"] * 4, "0"]


def _theirs(ts_code: str) -> str:
    return f"{ts_code[7:].lower()}.{ts_code[:6]}"
