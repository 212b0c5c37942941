"""Quarters as reports have them: a period is named by its last day, and has a day by which its report must be public."""

from datetime import date, timedelta

_MONTHS = 3
_DAY = timedelta(days=1)
# Days by which reports for March, June, September and December are due: of a whole year by the end of the next April.
_DEADLINES = {3: (0, 4, 30), 6: (0, 8, 31), 9: (0, 10, 31), 12: (1, 4, 30)}
# No report comes earlier after its period's end: the first recorded one came on the ninth day.
_EARLIEST = timedelta(days=8)


def period_of(day: date) -> date:
    """Return the last day of the quarter that `day` is in."""
    return _first_of_next(day) - _DAY


def first_day_of(period: date) -> date:
    """Return the first day of the quarter that ends on `period`."""
    return date(period.year, period.month - _MONTHS + 1, 1)


def periods_between(start: date, end: date) -> list[date]:
    """Return the periods that end in [start, end], in order."""
    periods: list[date] = []
    period = period_of(start)
    while period <= end:
        periods.append(period)
        period = period_of(period + _DAY)
    return periods


def quarters_before(day: date, quarters: int) -> date:
    """Return the first day of the quarter so many before the one that `day` is in."""
    place = day.year * 4 + (day.month - 1) // _MONTHS - quarters
    return date(place // 4, place % 4 * _MONTHS + 1, 1)


def deadline_of(period: date) -> date:
    """Return the day by which the report for a period must be public."""
    years, month, day = _DEADLINES[period.month]
    return date(period.year + years, month, day)


def newest_open(day: date) -> date:
    """Return the newest period whose reports may be public on `day`."""
    return period_of(quarters_before(day - _EARLIEST, 1))


def opened_on(period: date) -> date:
    """Return the first day on which reports for a period may be public."""
    return period + _EARLIEST + _DAY


def _first_of_next(day: date) -> date:
    return quarters_before(day, -1)
