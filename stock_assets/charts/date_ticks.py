"""Which sessions are named below a chart whose axis has no calendar: one place per session, however far apart they are."""

from collections.abc import Callable, Sequence
from datetime import date
from itertools import pairwise
from typing import Final

_UNITS: Final[tuple[tuple[Callable[[date], object], str], ...]] = (
    (lambda day: day, "%m-%d"),
    (lambda day: day.isocalendar()[:2], "%m-%d"),
    (lambda day: (day.year, day.month), "%Y-%m"),
    (lambda day: (day.year, (day.month - 1) // 3), "%Y-%m"),
    (lambda day: day.year, "%Y"),
    (lambda day: day.year // 2, "%Y"),
    (lambda day: day.year // 5, "%Y"),
)


_MOST: Final = 14


def date_ticks(days: Sequence[date]) -> list[tuple[int, str]]:
    """Return places and labels of at most 14 sessions: first sessions of weeks, months, quarters or years.

    `days` are in order; the finest unit that fits is taken. A day is named with its year where the year is new.
    """
    for unit_of, form in _UNITS:
        starts = [0] if unit_of is _UNITS[0][0] else []
        starts += [place + 1 for place, (a, b) in enumerate(pairwise(days)) if unit_of(a) != unit_of(b)]
        if len(starts) <= _MOST:
            return _labelled(days, starts or [0], form)
    return [(0, str(days[0].year)), (len(days) - 1, str(days[-1].year))]


def _labelled(days: Sequence[date], starts: list[int], form: str) -> list[tuple[int, str]]:
    ticks: list[tuple[int, str]] = []
    year = None
    # A holiday may leave a week of two days: its label would touch the next one.
    room = len(days) / _MOST / 1.6
    for place in starts:
        if ticks and place - ticks[-1][0] < room:
            continue
        day = days[place]
        is_new_year = day.year != year and "%Y" not in form
        ticks.append((place, f"{day:%Y-%m-%d}" if is_new_year else day.strftime(form)))
        year = day.year
    return ticks
