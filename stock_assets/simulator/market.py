"""A whole made-up A-share market from one seed, in BaoStock's rows of text.

Prices and their laws come from `paths`, codes and names from `listing`; here they become bars, factors and lists.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from stock_assets.simulator.baostock_finance import QuarterlyTables
from stock_assets.simulator.listing import FRIDAY, make_listing
from stock_assets.simulator.paths import Paths
from stock_assets.simulator.randomness import Randomness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stock_assets.simulator.base import AdjustFlag, Row, Rows
    from stock_assets.simulator.randomness import Flags, Floats, Ints

# From here on suspended rows say nothing where they said zero before.
_EMPTY_SUSPENSIONS: Final = date(2021, 10, 27)
_OPEN, _HIGH, _LOW, _STILL, _TURN, _VWAP, _SHARES, _RATIO, _QUARTER = range(41, 50)
_QUARTER_SESSIONS: Final = 61
_REMEMBERED_LIVES: Final = 16
_MILLION: Final = 10**6
_STILL_SHARE, _LOSING_SHARE = 0.2, 0.15
_BUSY_DAYS: Final = 5


class SimulatedMarket:
    """A market of `stocks` made-up stocks that trade on `sessions`; the same three always give the same market.

    Any order of asking gives the same answer, and more sessions at the end change nothing that went before.
    `sessions` are trading days in order. Listing days are spread from 1990-12-19 to 2028, so that on a day not all
    stocks are listed; a stock that is older than the first session has bars from that session on.

    Rows follow `base.BAR_FIELDS` and its sisters. Prices are in yuan with 4 decimals (10 when adjusted), volume in
    shares, amount in yuan, turn and pctChg in percent.
    """

    def __init__(self, seed: int, stocks: int = 300, *, sessions: Sequence[date]) -> None:
        if not sessions:
            msg = "a market needs at least one session"
            raise ValueError(msg)
        self._sessions = tuple(sessions)
        self._names = [day.isoformat() for day in self._sessions]
        self._random = Randomness(seed)
        self._listing = make_listing(self._random, stocks, self._sessions)
        self._row_of = {code: row for row, code in enumerate(self._listing.codes)}
        self._paths = Paths(self._random, self._listing, self._sessions)
        self._empty_from = bisect_left(self._sessions, _EMPTY_SUSPENSIONS)
        owner = self._listing.owner
        self._quarterly = QuarterlyTables(seed)
        self._float_shares = np.floor(10.0 ** (7.7 + 1.8 * self._random.uniform(_SHARES, owner)))
        # Threads may ask at the same time: both then compute the same rows.
        self._remembered = lru_cache(_REMEMBERED_LIVES)(self._bars_of_row)

    @property
    def last_session(self) -> date:
        """The newest trading day of the market."""
        return self._sessions[-1]

    @property
    def codes(self) -> tuple[str, ...]:
        """All codes in order, indices and not yet listed stocks included."""
        return self._listing.codes

    def trade_dates(self, start: date, end: date) -> Rows:
        """Return one row for each calendar day between the market's first and last session, both included."""
        first, last = max(start, self._sessions[0]), min(end, self._sessions[-1])
        open_days = set(self._names[bisect_left(self._sessions, first) : bisect_right(self._sessions, last)])
        days = [(first + timedelta(days=ahead)).isoformat() for ahead in range((last - first).days + 1)]
        return [[day, "1" if day in open_days else "0"] for day in days]

    def all_stock(self, day: date) -> Rows:
        """Return code, tradeStatus and name of every security listed on the trading day; none on other days."""
        at = self._session(day)
        if at is None:
            return []
        rows = self._rows_on(at)
        halted = self._paths.is_suspended(rows, np.full(rows.size, at)).tolist()
        names = self._names_on(rows, at)
        codes = self._listing.codes
        return [
            [codes[row], "0" if still else "1", name]
            for row, still, name in zip(rows.tolist(), halted, names, strict=True)
        ]

    def stock_basic(self, as_of: date) -> Rows:
        """Return one row for each security listed by `as_of`; outDate and status 0 only once it has left the market."""
        last = bisect_right(self._sessions, as_of) - 1
        listing = self._listing
        rows = np.flatnonzero((listing.listed <= last) & (listing.bars_from <= last))
        names = self._names_on(rows, last)
        answer: list[Row] = []
        for row, name in zip(rows.tolist(), names, strict=True):
            until = int(listing.bars_until[row])
            gone = until <= last
            listed_on = listing.listed_on[row].isoformat()
            out = self._names[until] if gone else ""
            kind = "2" if listing.is_index[row] else "1"
            answer.append([listing.codes[row], name, listed_on, out, kind, "0" if gone else "1"])
        return answer

    def daily_bars(self, day: date) -> Rows:
        """Return the unadjusted bars of all stocks listed on the day, suspended ones included, ordered by code."""
        at = self._session(day)
        if at is None:
            return []
        rows = self._rows_on(at)
        rows = rows[self._listing.is_index[rows] == 0]
        return self._bars(rows, np.full(rows.size, at, dtype=np.int64))

    def stock_bars(self, code: str, adjust: AdjustFlag, start: date, end: date, as_of: date) -> Rows:
        """Return the bars of one code from `start` to `end`, but not beyond `as_of`, oldest first.

        Forward-adjusted prices are based on the last ex-date up to `as_of`. Indices, and a stock's first bar when there
        is nothing to adjust, have adjustflag 3 whatever is asked.
        """
        row = self._row_of.get(code)
        if row is None:
            return []
        first = max(bisect_left(self._sessions, start), int(self._listing.bars_from[row]))
        last = min(bisect_right(self._sessions, min(end, as_of)), int(self._listing.bars_until[row]))
        return self._remembered(row, adjust, first, last, bisect_right(self._sessions, as_of) - 1)

    def adjust_factors(self, code: str, as_of: date) -> Rows:
        """Return the factors of one code at each ex-date up to `as_of`; the last foreAdjustFactor is 1.000000."""
        row = self._row_of.get(code)
        return [] if row is None else self._factor_rows([row], bisect_right(self._sessions, as_of) - 1)

    def every_adjust_factor(self, as_of: date) -> Rows:
        """Return the factor rows of all stocks up to `as_of`, ordered by code and day; quicker than one by one."""
        stocks: list[int] = np.flatnonzero(self._listing.is_index == 0).tolist()
        return self._factor_rows(stocks, bisect_right(self._sessions, as_of) - 1)

    def daily_adjust_factors(self, day: date, as_of: date) -> Rows:
        """Return the factor rows of all stocks whose ex-date is `day`, ordered by code."""
        at = self._session(day)
        if at is None:
            return []
        rows = self._rows_on(at)
        rows = rows[self._paths.is_ex_date(rows, np.full(rows.size, at))]
        last, name = bisect_right(self._sessions, as_of) - 1, day.isoformat()
        return [found for found in self._factor_rows(rows.tolist(), last) if found[1] == name]

    def quarterly(self, table: str, code: str, period: date, as_of: date) -> Rows:
        """Return the report's row; its figures are those of Tushare's made-up reports of the same seed."""
        row = self._row_of.get(code)
        if row is None or self._listing.is_index[row]:
            return []
        last, until = bisect_right(self._sessions, as_of) - 1, int(self._listing.bars_until[row])
        if max(self._listing.listed[row], self._listing.bars_from[row]) > last:
            return []
        left = self._sessions[until] if until <= last else None
        return self._quarterly.rows(table, code, self._listing.listed_on[row], left, period, as_of)

    def _session(self, day: date) -> int | None:
        at = bisect_left(self._sessions, day)
        return at if at < len(self._sessions) and self._sessions[at] == day else None

    def _rows_on(self, at: int) -> Ints:
        return np.flatnonzero((self._listing.bars_from <= at) & (at < self._listing.bars_until))

    def _names_on(self, rows: Ints, at: int) -> list[str]:
        special = self._paths.is_st(rows, np.full(rows.size, at)).tolist()
        names = self._listing.names
        return [("ST" + names[row][:2]) if st else names[row] for row, st in zip(rows.tolist(), special, strict=True)]

    def _bars_of_row(self, row: int, adjust: AdjustFlag, first: int, last: int, as_of: int) -> Rows:
        at = np.arange(first, max(last, first), dtype=np.int64)
        bars = self._bars(np.full(at.size, row, dtype=np.int64), at)
        if adjust == "3" or self._listing.is_index[row]:
            return bars
        ((ex, back),) = self._back_factors([row], as_of)
        factors = back if adjust == "1" else _forward(back)
        millionths: list[int] = factors[np.searchsorted(ex, at, side="right")].tolist()
        for place, (bar, factor) in enumerate(zip(bars, millionths, strict=True)):
            for column in range(2, 7):
                bar[column] = _exact_product(bar[column], factor)
            is_plain = first + place == self._listing.listed[row] and factor == _MILLION
            bar[9] = "3" if is_plain else adjust
        return bars

    def _back_factors(self, rows: list[int], as_of: int) -> list[tuple[Ints, Ints]]:
        """Return for each row its ex-dates up to a session and the factors, in millionths, before and from them on."""
        all_ex = [ex[ex <= as_of] for ex in map(self._paths.ex_sessions, rows)]
        owners = np.repeat(np.array(rows, dtype=np.int64), [ex.size for ex in all_ex])
        at = np.concatenate([np.zeros(0, dtype=np.int64), *all_ex])
        ratios = self._paths.close_cents(owners, at - 1) / self._paths.pre_close_cents(owners, at)
        found: list[tuple[Ints, Ints]] = []
        used = 0
        for ex in all_ex:
            factors = np.cumprod(np.concatenate([np.ones(1), ratios[used : used + ex.size]]))
            found.append((ex, np.rint(factors * _MILLION).astype(np.int64)))
            used += ex.size
        return found

    def _factor_rows(self, rows: list[int], as_of: int) -> list[Row]:
        answer: list[Row] = []
        for row, (ex, back) in zip(rows, self._back_factors(rows, as_of), strict=True):
            code, forward = self._listing.codes[row], _forward(back)
            for at, fore_factor, back_factor in zip(ex.tolist(), forward.tolist()[1:], back.tolist()[1:], strict=True):
                back_text = _millionths_text(back_factor)
                answer.append([code, self._names[at], _millionths_text(fore_factor), back_text, back_text])
        return answer

    def _bars(self, rows: Ints, at: Ints) -> list[Row]:
        if rows.size and self._listing.is_index[rows[0]]:
            return self._index_bars(int(rows[0]), at)
        owner, paths = self._listing.owner[rows], self._paths
        close = paths.close_cents(rows, at)
        halted = paths.is_suspended(rows, at)
        pre_close = np.where(halted, close, paths.pre_close_cents(rows, at))
        opened, high, low = self._intraday(rows, at, close, pre_close)
        opened, high, low = (np.where(halted, close, prices) for prices in (opened, high, low))
        volume, amount = self._trade(rows, at, low, high)
        codes: list[str] = [self._listing.codes[row] for row in rows.tolist()]
        texts: list[list[str]] = [
            [self._names[place] for place in at.tolist()],
            codes,
            *(_price_texts(prices) for prices in (opened, high, low, close, pre_close)),
            [f"{shares:.0f}" for shares in volume.tolist()],
            [f"{cents / 100.0:.4f}" for cents in amount.tolist()],
            ["3"] * rows.size,
            _ratio_texts(volume / self._float_shares[rows] * 100.0),
            _flag_texts(~halted),
            _ratio_texts((close / pre_close - 1.0) * 100.0),
            *(_ratio_texts(ratio) for ratio in self._valuation(owner, at, close)),
            _flag_texts(paths.is_st(rows, at)),
        ]
        bars = [list(bar) for bar in zip(*texts, strict=True)]
        for place in np.flatnonzero(halted).tolist():
            bar, silent = bars[place], bool(at[place] >= self._empty_from)
            bar[7], bar[8], bar[10], bar[12] = ("", "", "", "") if silent else ("0", "0.0000", "", "0.000000")
        return bars

    def _intraday(self, rows: Ints, at: Ints, close: Ints, pre_close: Ints) -> tuple[Ints, Ints, Ints]:
        owner, random = self._listing.owner[rows], self._random
        lowest, highest = self._paths.limits_cents(rows, at, pre_close)
        first = at == self._listing.listed[rows]
        around = np.where(first, close, pre_close)
        opened = np.rint(around * (1.0 + 0.007 * random.bell(_OPEN, owner, at))).astype(np.int64)
        opened = np.clip(opened, lowest, highest)
        top, bottom = np.maximum(opened, close), np.minimum(opened, close)
        high = top + np.rint(top * 0.02 * random.uniform(_HIGH, owner, at) ** 2).astype(np.int64)
        low = bottom - np.rint(bottom * 0.02 * random.uniform(_LOW, owner, at) ** 2).astype(np.int64)
        high, low = np.minimum(high, highest), np.maximum(low, lowest)
        # A day that never leaves its limit (一字板).
        still = ((close == highest) | (close == lowest)) & (random.uniform(_STILL, owner, at) < _STILL_SHARE)
        return np.where(still, close, opened), np.where(still, close, high), np.where(still, close, low)

    def _trade(self, rows: Ints, at: Ints, low: Ints, high: Ints) -> tuple[Floats, Floats]:
        """Return shares and cents; the mean price lies between low and high."""
        owner, random = self._listing.owner[rows], self._random
        usual = 0.002 + 0.02 * random.uniform(_TURN, owner) ** 2
        turn = usual * np.exp(0.55 * random.bell(_TURN, owner, at))
        new = at - self._listing.listed[rows] < _BUSY_DAYS
        turn = np.where(new, 0.2 + 0.3 * random.uniform(_TURN, owner, at), turn)
        volume = np.floor(np.minimum(turn, 0.6) * self._float_shares[rows]) + 1.0
        mean = low + (high - low) * (0.25 + 0.5 * random.uniform(_VWAP, owner, at))
        return volume, np.rint(volume * mean)

    def _valuation(self, owner: Ints, at: Ints, close: Ints) -> list[Floats]:
        """Return peTTM, pbMRQ, psTTM and pcfNcfTTM; profits and cash flows may be negative."""
        quarter = at // _QUARTER_SESSIONS
        ratios: list[Floats] = []
        for place, (typical, may_be_negative) in enumerate(((24.0, True), (2.6, False), (3.4, False), (30.0, True))):
            per_share = (0.5 + self._random.uniform(_RATIO, owner, place)) * 22.0 / typical
            per_share *= 1.0 + 0.2 * self._random.signed(_QUARTER, owner, quarter * 4 + place)
            losing = self._random.uniform(_RATIO, owner, 8 + place + quarter // 4 * 16) < _LOSING_SHARE
            ratios.append(close / 100.0 / np.where(losing & may_be_negative, -per_share, per_share))
        return ratios

    def _index_bars(self, row: int, at: Ints) -> list[Row]:
        owner = np.full(at.size, self._listing.owner[row])
        level = 3000.0 * np.exp(self._paths.walk(owner, at, 0.02))
        before = 3000.0 * np.exp(self._paths.walk(owner, at - 1, 0.02))
        opened = before * (1.0 + 0.003 * self._random.bell(_OPEN, owner, at))
        high = np.maximum(opened, level) * (1.0 + 0.006 * self._random.uniform(_HIGH, owner, at))
        low = np.minimum(opened, level) * (1.0 - 0.006 * self._random.uniform(_LOW, owner, at))
        volume = np.floor(2e10 * np.exp(0.3 * self._random.bell(_TURN, owner, at)))
        code, nothing = self._listing.codes[row], "0.000000"
        columns = np.stack((opened, high, low, level, before), axis=1).tolist()
        changes = ((level / before - 1.0) * 100.0).tolist()
        bars: list[Row] = []
        for place, prices, shares, change in zip(at.tolist(), columns, volume.tolist(), changes, strict=True):
            traded = [f"{shares:.0f}", f"{shares * 12.5:.4f}", "3", f"{shares / 3e12 * 100:.6f}", "1", f"{change:.6f}"]
            values = [f"{price:.4f}" for price in prices]
            bars.append([self._names[place], code, *values, *traded, nothing, nothing, nothing, nothing, "0"])
        return bars


def weekdays(first: date, last: date) -> list[date]:
    """Return Monday to Friday from `first` to `last`: sessions for who needs no real calendar."""
    days = (first + timedelta(days=ahead) for ahead in range((last - first).days + 1))
    return [day for day in days if day.weekday() <= FRIDAY]


def _price_texts(cents: Ints) -> list[str]:
    return [f"{price // 100}.{price % 100:02d}00" for price in cast("list[int]", cents.tolist())]


def _flag_texts(flags: Flags) -> list[str]:
    return ["1" if flag else "0" for flag in flags.tolist()]


def _ratio_texts(values: Floats) -> list[str]:
    return [f"{value:.6f}" for value in cast("list[float]", values.tolist())]


def _forward(back: Ints) -> Ints:
    """Return forward factors in millionths: the last one is 1."""
    return np.rint(back / back[-1] * _MILLION).astype(np.int64)


def _millionths_text(value: int) -> str:
    return f"{value // _MILLION}.{value % _MILLION:06d}"


def _exact_product(price: str, millionths: int) -> str:
    """Return a price of 4 decimals times a factor of 6 decimals, all 10 decimals."""
    product = int(price.replace(".", "")) * millionths
    return f"{product // 10**10}.{product % 10**10:010d}"
