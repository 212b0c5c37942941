"""Trading days of the mainland exchanges.

A `TradingCalendar` is a value: a sorted list of sessions and the day up to which they are known. Days after
`known_until` are *provisional*: every weekday counts, because the exchanges publish next year's holidays in December.
Where the sessions come from does not belong here.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from stock_assets.domain.errors import InvalidInput

SHANGHAI = ZoneInfo("Asia/Shanghai")
FIRST_SESSION = date(1990, 12, 19)
# The source's own page: daily bars at 17:30, adjustment factors at 18:00.
PUBLISHED_AT = time(18, 0)
_SATURDAY = 5
# Days, about: only how far one look reaches.
_LONGEST_CLOSURE = 30
_TIME_OF_DAY = re.compile(r"\d{4}-?\d{2}-?\d{2}[T ]\d{2}", re.ASCII)
_DAY = re.compile(r"(\d{4})(-?)(\d{2})\2(\d{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class TradingCalendar:
    """Sessions in order; provisional weekdays follow after `known_until`."""

    sessions: tuple[date, ...]
    known_until: date

    @classmethod
    def of(cls, sessions: Iterable[date], *, known_until: date | None = None) -> "TradingCalendar":
        """Return the calendar of these sessions, sorted, from 1990-12-19 on."""
        days = tuple(sorted({day for day in sessions if day >= FIRST_SESSION}))
        if not days:
            raise InvalidInput(problem="a trading calendar needs at least one session", problem_zh="交易日历为空")
        return cls(days, known_until or days[-1])

    def is_session(self, day: date) -> bool:
        """Return whether the exchanges trade on `day`."""
        if day > self.known_until:
            return day.weekday() < _SATURDAY
        index = bisect_left(self.sessions, day)
        return index < len(self.sessions) and self.sessions[index] == day

    def between(self, start: date, end: date) -> list[date]:
        """Return the sessions of [start, end], both included, in order."""
        known = list(self.sessions[bisect_left(self.sessions, start) : bisect_right(self.sessions, end)])
        day = max(start, self.known_until + timedelta(days=1))
        while day <= end:
            if day.weekday() < _SATURDAY:
                known.append(day)
            day += timedelta(days=1)
        return known

    def previous(self, day: date) -> date | None:
        """Return the last session before `day`, or None at the very beginning."""
        if day > self.known_until + timedelta(days=1):
            provisional = self.between(self.known_until + timedelta(days=1), day - timedelta(days=1))
            if provisional:
                return provisional[-1]
        index = bisect_left(self.sessions, day)
        return self.sessions[index - 1] if index else None

    def next(self, day: date) -> date:
        """Return the first session after `day`."""
        while True:
            found = self.between(day + timedelta(days=1), day + timedelta(days=_LONGEST_CLOSURE))
            if found:
                return found[0]
            day += timedelta(days=_LONGEST_CLOSURE)

    def closed_weekdays(self) -> list[date]:
        """Return the weekdays on which the exchanges are closed, first session to `known_until`."""
        open_days = set(self.sessions)
        span = (self.known_until - self.sessions[0]).days + 1
        days = (self.sessions[0] + timedelta(days=offset) for offset in range(span))
        return [day for day in days if day.weekday() < _SATURDAY and day not in open_days]

    def last_final(self, now: datetime) -> date:
        """Return the newest session whose data the source has published at `now` (aware)."""
        local = now.astimezone(SHANGHAI)
        day = local.date()
        if self.is_session(day) and is_final(day, now):
            return day
        found = self.previous(day)
        return found or self.sessions[0]


def is_final(day: date, now: datetime) -> bool:
    """Return whether the source should have published `day` at `now` (aware)."""
    return now >= published_at(day)


def published_at(day: date) -> datetime:
    """Return the moment from which the source promises the data of `day`, Shanghai time."""
    return datetime.combine(day, PUBLISHED_AT, tzinfo=SHANGHAI)


def parse_day(text: str) -> date:
    """Return `2026-11-20` or `20261120` as a date.

    Errors: `InvalidInput` names the accepted forms.
    """
    match = _DAY.fullmatch(text.strip())
    if match is not None:
        with suppress(ValueError):
            return date(int(match[1]), int(match[3]), int(match[4]))
    raise InvalidInput(
        problem=f"'{text}' is not a date; write it like 2026-11-20 or 20261120",
        problem_zh=f"“{text}”不是日期，请写成 2026-11-20 或 20261120",
    )


def parse_moment(text: str) -> datetime:
    """Return an ISO time as an aware moment; without a zone it is Shanghai's, and a day alone means its end.

    Errors: `InvalidInput` names the accepted forms.
    """
    stripped = text.strip()
    with suppress(InvalidInput):
        return datetime.combine(parse_day(stripped), time.max, tzinfo=SHANGHAI)
    if _TIME_OF_DAY.match(stripped):
        with suppress(ValueError):
            moment = datetime.fromisoformat(stripped)
            return moment if moment.tzinfo is not None else moment.replace(tzinfo=SHANGHAI)
    raise InvalidInput(
        problem=f"'{text}' is not a time; write it like 2026-11-20T18:30 (Shanghai time) or 2026-11-20T10:30Z",
        problem_zh=f"“{text}”不是时间，请写成 2026-11-20T18:30（北京时间）或 2026-11-20T10:30Z",
    )
