"""Closing prices of every stock on every session, each computed on its own: no day needs the day before it.

The logarithm of a price is a sum of parts that can be looked up: a random walk built by halving intervals, the step
and slow recovery of ex-dates, the first days after listing, and single days that close at the price limit. Each part is
bounded, so that no day breaks the price limit of its board.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from stock_assets.simulator.listing import CHINEXT, LAST_LISTING_DAY, MAIN, NEVER, STAR, Listing, session_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stock_assets.simulator.randomness import Flags, Floats, Ints, Randomness

_KNOT: Final = 512
_LONG: Final = 64
# A walk never starts below place zero, also for the day before the first session.
_SHIFT: Final = 8 * _KNOT
_ST_CALM: Final = 0.3
_ST_SHARE: Final = 0.1
_ST_EARLIEST, _ST_SHORTEST = timedelta(days=400), timedelta(days=300)
_RECOVERY: Final = 240
_LIMIT_WINDOW, _LIMIT_FADE = 48, 16
_LIMITS_BEGIN: Final = date(1996, 12, 16)
_CHINEXT_REFORM: Final = date(2020, 8, 24)
_MAIN_FIRST_DAY_RULE: Final = date(2014, 1, 1)
_MAIN_REFORM: Final = date(2023, 4, 10)
_FEWER_HALTS: Final = date(2017, 1, 1)
_FREE_DAYS: Final = 5
NO_LIMIT: Final = 0
_USUAL_LIMIT, _ST_LIMIT, _WIDE_LIMIT, _FIRST_DAY_LIMIT, _FIRST_DAY_DROP = 10, 5, 20, 44, 36
_EX_SHARE, _BONUS_SHARE = 0.75, 0.12
_NO_SESSION: Final = -9

_BASE, _STEP, _WALK, _HALT, _HALT_AT, _HALT_LENGTH, _EX, _EX_AT, _EX_SIZE = range(21, 30)
_ST, _ST_AT, _ST_LENGTH, _LIMIT_DAY, _LIMIT_AT, _FIRST_DAYS, _POP = range(30, 37)


class Paths:
    """Prices in cents and states of the rows of a `Listing`; `rows` and `at` are arrays of equal length.

    `at` is the index of a session; -1 is the day before the first one. Ask only for days on which the row has bars.
    """

    def __init__(self, random: Randomness, listing: Listing, sessions: Sequence[date]) -> None:
        self._random = random
        self._listing = listing
        years = np.array([day.year for day in sessions])
        self._year_start = np.flatnonzero(np.diff(years, prepend=years[0] - 1)).astype(np.int64)
        self._year_of = (np.cumsum(np.diff(years, prepend=years[0]) != 0)).astype(np.int64)
        self._limits_begin = session_index(sessions, _LIMITS_BEGIN)
        self._chinext_reform = session_index(sessions, _CHINEXT_REFORM)
        self._main_first_day_rule = session_index(sessions, _MAIN_FIRST_DAY_RULE)
        self._main_reform = session_index(sessions, _MAIN_REFORM)
        self._fewer_halts = session_index(sessions, _FEWER_HALTS)
        owner = listing.owner
        self._base = np.log(11.0) + random.uniform(_BASE, owner) ** 2 * 2.0
        step = 0.011 + 0.0055 * random.uniform(_STEP, owner)
        self._step = np.where(listing.board == STAR, step * 1.7, step) * np.sqrt(3.0)
        self._plan_halts()
        self._plan_ex_dates()
        self._plan_st(sessions)

    def close_cents(self, rows: Ints, at: Ints) -> Ints:
        """Return the close of each row and session; on a suspended day the last close before it."""
        log_price = self._log_price_without_limit_days(rows, at)
        window = (at - _LIMIT_FADE) // _LIMIT_WINDOW
        owner = self._listing.owner[rows]
        limit_at = window * _LIMIT_WINDOW + _LIMIT_FADE
        inside = self._random.uniform(_LIMIT_AT, owner, window + 8) * (_LIMIT_WINDOW - _LIMIT_FADE)
        limit_at += inside.astype(np.int64)
        since = at - limit_at
        chance = np.where(self._listing.board[rows] == MAIN, 0.6, 0.3)
        touched = (since >= 0) & (since < _LIMIT_FADE) & (self._random.uniform(_LIMIT_DAY, owner, window + 8) < chance)
        places = np.flatnonzero(touched)
        places = places[self._may_close_at_limit(rows[places], limit_at[places])]
        if places.size:
            some, days = rows[places], limit_at[places]
            here = self._log_price_without_limit_days(some, days)
            before = _cents(self._log_price_without_limit_days(some, days - 1))
            reference = self._after_ex(some, days, before)
            low, high = self._limit_prices(reference, self.limit_percent(some, days))
            target = np.where(here >= np.log(reference / 100.0), high, low)
            offset = np.log(target / 100.0) - here
            log_price[places] += offset * (1.0 - since[places] / _LIMIT_FADE)
        return _cents(log_price)

    def pre_close_cents(self, rows: Ints, at: Ints) -> Ints:
        """Return the close of the day before; the exchange's reference on ex-dates, the issue price on the first day."""
        pre_close = self._after_ex(rows, at, self.close_cents(rows, at - 1))
        first = np.flatnonzero(at == self._listing.listed[rows])
        if first.size:
            pre_close[first] = self._issue_price_cents(rows[first], at[first])
        return pre_close

    def limits_cents(self, rows: Ints, at: Ints, pre_close: Ints) -> tuple[Ints, Ints]:
        """Return the lowest and highest price allowed; 1 and a huge number where nothing limits the price."""
        percent = self.limit_percent(rows, at)
        low, high = self._limit_prices(pre_close, percent)
        return np.where(percent == NO_LIMIT, 1, low), np.where(percent == NO_LIMIT, 1 << 40, high)

    def limit_percent(self, rows: Ints, at: Ints) -> Ints:
        """Return the daily price limit in percent of each row and session: 5, 10, 20, 44, or `NO_LIMIT`.

        44 is the limit of main board first days from 2014 to the registration reform; its lower side is 36 percent.
        """
        board = self._listing.board[rows]
        listed = self._listing.listed[rows]
        after_reform = at >= self._chinext_reform
        percent = np.where((board == STAR) | ((board == CHINEXT) & after_reform), _WIDE_LIMIT, _USUAL_LIMIT)
        percent = np.where(self.is_st(rows, at) & (percent == _USUAL_LIMIT), _ST_LIMIT, percent)
        age = at - listed
        starts_free = self._starts_free(rows)
        free = (age < _FREE_DAYS) & starts_free
        percent = np.where(free | (at < self._limits_begin), NO_LIMIT, percent)
        first_day = np.where(listed >= self._main_first_day_rule, _FIRST_DAY_LIMIT, NO_LIMIT)
        return np.where((age == 0) & ~starts_free, first_day, percent)

    def is_suspended(self, rows: Ints, at: Ints) -> Flags:
        """Return True where the stock does not trade on the session."""
        year = self._year(at)
        return (at >= self._halt_start[rows, year]) & (at < self._halt_end[rows, year])

    def is_st(self, rows: Ints, at: Ints) -> Flags:
        """Return True where the stock is under special treatment (ST)."""
        return (at >= self._st_start[rows]) & (at < self._st_end[rows])

    def is_ex_date(self, rows: Ints, at: Ints) -> Flags:
        """Return True where the session is an ex-date (除权除息日) of the stock."""
        return self._ex_session[rows, self._year(at)] == at

    def ex_sessions(self, row: int) -> Ints:
        """Return the sessions of one row's ex-dates after its first bar, oldest first."""
        sessions = self._ex_session[row]
        # The first bar of an older stock lies before the first session.
        first = max(int(self._listing.bars_from[row]), 0)
        return sessions[(sessions > first) & (sessions < self._listing.bars_until[row])]

    def walk(self, owner: Ints, count: Ints, step: Floats | float) -> Floats:
        """Return a bounded random walk at the places `count`; it stays within about one in both directions."""
        place = count + _SHIFT
        low = place // _KNOT * _KNOT
        high = low + _KNOT
        low_value = self._random.signed(_WALK, owner, low) * 0.45
        high_value = self._random.signed(_WALK, owner, high) * 0.45
        half = _KNOT // 2
        while half:
            middle = low + half
            size = step * np.sqrt(half / 2) * (0.6 if half >= _LONG else 1.0)
            value = (low_value + high_value) / 2 + self._random.signed(_WALK, owner, middle) * size
            beyond = place >= middle
            low = np.where(beyond, middle, low)
            low_value = np.where(beyond, value, low_value)
            high_value = np.where(beyond, high_value, value)
            half //= 2
        return low_value

    def _log_price_without_limit_days(self, rows: Ints, at: Ints) -> Floats:
        owner, step = self._listing.owner[rows], self._step[rows]
        count = self._traded(rows, at)
        log_price = self._base[rows] + self.walk(owner, count, step)
        calm = np.flatnonzero(at >= self._st_start[rows])
        if calm.size:
            some, before, last = rows[calm], self._st_before[rows[calm]], self._st_last[rows[calm]]
            moved = self.walk(owner[calm], np.clip(count[calm], before, last), step[calm])
            log_price[calm] -= (1.0 - _ST_CALM) * (moved - self.walk(owner[calm], before, self._step[some]))
        year = self._year(at)
        for back in (0, 1):
            earlier = np.maximum(year - back, 0)
            ex = self._ex_session[rows, earlier]
            recovered = np.minimum((count - self._ex_count[rows, earlier]) / _RECOVERY, 1.0)
            open_gap = np.where((ex >= 0) & (at >= ex) & (year >= back), recovered - 1.0, 0.0)
            log_price += open_gap * self._ex_size[rows, earlier]
        age = at - self._listing.listed[rows]
        young = np.flatnonzero((age >= 1) & (age <= _FREE_DAYS - 2))
        if young.size:
            free = self._starts_free(rows[young])
            log_price[young] += 0.12 * free * self._random.signed(_FIRST_DAYS, owner[young], at[young])
        return log_price

    def _issue_price_cents(self, rows: Ints, at: Ints) -> Ints:
        close = self.close_cents(rows, at)
        pop = 0.3 + 2.0 * self._random.uniform(_POP, self._listing.owner[rows]) ** 2
        limited = self.limit_percent(rows, at) == _FIRST_DAY_LIMIT
        return np.where(
            limited, -(-close * 100 // (100 + _FIRST_DAY_LIMIT)), np.maximum((close / (1.0 + pop)).astype(np.int64), 1)
        )

    def _after_ex(self, rows: Ints, at: Ints, close_before: Ints) -> Ints:
        """Return the closes of the day before as the exchange refers to them: lower on an ex-date, in whole cents."""
        size = np.where(self.is_ex_date(rows, at), self._ex_size[rows, self._year(at)], 0.0)
        return np.where(size > 0.0, np.floor(close_before * np.exp(-size) + 0.5).astype(np.int64), close_before)

    def _starts_free(self, rows: Ints) -> Flags:
        """Return True for stocks that began to trade under the rule of five days without limit."""
        board = self._listing.board[rows]
        free_from = np.where(board == STAR, 0, np.where(board == CHINEXT, self._chinext_reform, self._main_reform))
        return self._listing.listed[rows] >= free_from

    def _may_close_at_limit(self, rows: Ints, at: Ints) -> Flags:
        year = self._year(at)
        halted = (at - 1 < self._halt_end[rows, year]) & (at + _LIMIT_FADE >= self._halt_start[rows, year])
        old_enough = at > self._listing.listed[rows] + 30
        return ~halted & old_enough & (at >= 1) & (self.limit_percent(rows, at) != NO_LIMIT)

    @staticmethod
    def _limit_prices(reference: Ints, percent: Ints) -> tuple[Ints, Ints]:
        down = np.where(percent == _FIRST_DAY_LIMIT, _FIRST_DAY_DROP, percent)
        return (reference * (100 - down) + 50) // 100, (reference * (100 + percent) + 50) // 100

    def _year(self, at: Ints) -> Ints:
        return self._year_of[np.clip(at, 0, self._year_of.size - 1)]

    def _traded(self, rows: Ints, at: Ints) -> Ints:
        """Return how many sessions up to `at` the stock was not suspended; it stands still while it is suspended."""
        year = self._year(at)
        start, end = self._halt_start[rows, year], self._halt_end[rows, year]
        return at - self._halts_before[rows, year] - np.clip(at - start + 1, 0, end - start)

    def _plan_halts(self) -> None:
        """Give each stock and year at most one suspension, away from ex-dates and from the turn of the year."""
        owner, place = self._by_year()
        often = np.array([0.35 if self._is_early(year) else 0.12 for year in range(self._year_start.size)])
        first_half = self._random.signed(_HALT_AT, owner, place * 2) < 0
        earliest, latest = np.where(first_half, 18, 150), np.where(first_half, 66, 232)
        start = earliest + (self._random.uniform(_HALT_AT, owner, place * 2 + 1) * 40).astype(np.int64)
        length = 1 + (self._random.uniform(_HALT_LENGTH, owner, place) ** 4 * 45).astype(np.int64)
        end = np.minimum(start + length, latest)
        start, end = start + self._year_start, end + self._year_start
        year_end = np.append(self._year_start[1:], NEVER)
        real = (self._random.uniform(_HALT, owner, place) < often) & (end <= year_end)
        real &= (start > self._listing.listed[:, None] + 10) & (self._listing.is_index[:, None] == 0)
        self._halt_start = np.where(real, start, _NO_SESSION)
        self._halt_end = np.where(real, end, _NO_SESSION)
        lengths = self._halt_end - self._halt_start
        self._halts_before = np.cumsum(lengths, axis=1) - lengths

    def _plan_ex_dates(self) -> None:
        """Give most stocks one ex-date a year between spring and late summer."""
        owner, place = self._by_year()
        ex = 72 + (self._random.uniform(_EX_AT, owner, place) * 74).astype(np.int64) + self._year_start
        cash = 0.004 + 0.036 * self._random.uniform(_EX_SIZE, owner, place * 2)
        shares = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.8])[
            (self._random.uniform(_EX_SIZE, owner, place * 2 + 1) * 6).astype(np.int64)
        ]
        kind = self._random.uniform(_EX, owner, place)
        year_end = np.append(self._year_start[1:], NEVER)
        real = (kind < _EX_SHARE) & (ex < year_end) & (ex > self._listing.listed[:, None] + 40)
        real &= self._listing.is_index[:, None] == 0
        self._ex_session = np.where(real, ex, _NO_SESSION)
        self._ex_size = np.where(real, np.where(kind < _BONUS_SHARE, np.log(1 + shares), 0.0) + cash, 0.0)
        rows: Ints = np.arange(ex.size, dtype=np.int64) // ex.shape[1]
        self._ex_count = self._traded(rows.reshape(ex.shape), ex)

    def _plan_st(self, sessions: Sequence[date]) -> None:
        """Put one main board stock in ten under special treatment for a year or two."""
        listing = self._listing
        owner, always = listing.owner, self._random.uniform(_ST, listing.owner) < _ST_SHARE
        # The first stock is everybody's example and stays ordinary.
        chosen = np.flatnonzero(always & (listing.board == MAIN) & (listing.is_index == 0) & (owner > 0)).tolist()
        when = self._random.uniform(_ST_AT, owner).tolist()
        how_long = self._random.uniform(_ST_LENGTH, owner).tolist()
        self._st_start = np.full(owner.size, NEVER, dtype=np.int64)
        self._st_end = np.full(owner.size, NEVER, dtype=np.int64)
        for row in chosen:
            earliest = listing.listed_on[row] + _ST_EARLIEST
            start = earliest + max(LAST_LISTING_DAY - earliest, timedelta(0)) * when[row]
            self._st_start[row] = max(session_index(sessions, start), 1)
            self._st_end[row] = max(session_index(sessions, start + _ST_SHORTEST * (1.0 + how_long[row])), 1)
        rows = np.arange(owner.size)
        self._st_before = self._traded(rows, self._st_start - 1)
        self._st_last = self._traded(rows, self._st_end - 1)

    def _by_year(self) -> tuple[Ints, Ints]:
        return self._listing.owner[:, None], np.arange(self._year_start.size, dtype=np.int64)[None, :]

    def _is_early(self, year: int) -> bool:
        return bool(self._year_start[year] < self._fewer_halts)


def _cents(log_price: Floats) -> Ints:
    return np.floor(np.exp(log_price) * 100.0 + 0.5).astype(np.int64)
