"""What is asked of an interface, and how a question whose answer was cut off becomes narrower ones.

Offset pages are no way out: on some interfaces rows come twice and others never. Narrower windows and lists of codes are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

import polars as pl

from stock_assets.sources.tushare.interfaces import Interface

LONGEST_LIST: Final = 1000
"""More codes in one list are refused."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request: codes (none means all) and either one day or period in the column `of`, or a window of `within`.

    `asked_as` is the parameter of `of` where it has another name than the column.
    `known_code` is a code of which a row must come: it finds out an interface that ignores the list or answers nothing.
    """

    interface: Interface
    codes: tuple[str, ...] = ()
    of: str | None = None
    asked_as: str | None = None
    day: date | None = None
    within: str | None = None
    start: date | None = None
    end: date | None = None
    known_code: str | None = None
    extra: tuple[tuple[str, str], ...] = ()

    def params(self) -> dict[str, str]:
        """Return the request's parameters."""
        found = dict(self.extra)
        if self.codes:
            found["ts_code"] = ",".join(self.codes)
        if self.of is not None and self.day is not None:
            found[self.asked_as or self.of] = f"{self.day:%Y%m%d}"
        if self.start is not None and self.end is not None:
            found |= {"start_date": f"{self.start:%Y%m%d}", "end_date": f"{self.end:%Y%m%d}"}
        return found

    def halves(self) -> tuple["Question", ...]:
        """Return two questions that together ask the same, or none where it cannot be divided.

        Codes are divided before days; the later half comes first, as rows come newest first.
        """
        if len(self.codes) > 1:
            middle = len(self.codes) // 2
            return (
                replace(self, codes=self.codes[:middle], known_code=None),
                replace(self, codes=self.codes[middle:], known_code=None),
            )
        if self.start is None or self.end is None or self.start >= self.end:
            return ()
        middle_day = self.start + (self.end - self.start) // 2
        return replace(self, start=middle_day + timedelta(days=1)), replace(self, end=middle_day)

    def by_lists(self, codes: Sequence[str]) -> tuple["Question", ...]:
        """Return questions that ask the same for `codes` alone, as many at once as a list may hold."""
        return tuple(replace(self, codes=tuple(some)) for some in _lists(codes, LONGEST_LIST))

    def for_the_rest(self, had: pl.DataFrame, codes: Sequence[str]) -> tuple["Question", ...]:
        """Return questions for those of `codes` of which `had` has no row; of each code one row exists at most."""
        seen = set(had["ts_code"])
        rest = [code for code in codes if code not in seen]
        known = str(had["ts_code"][0])
        return tuple(replace(self, codes=(known, *some), known_code=known) for some in _lists(rest, LONGEST_LIST - 1))


def windows(start: date, end: date, days: int) -> tuple[tuple[date, date], ...]:
    """Return consecutive windows of at most `days` days that cover [start, end], newest first."""
    found: list[tuple[date, date]] = []
    while start <= end:
        first = max(start, end - timedelta(days=days - 1))
        found.append((first, end))
        end = first - timedelta(days=1)
    return tuple(found)


def _lists(codes: Sequence[str], most: int) -> list[Sequence[str]]:
    return [codes[first : first + most] for first in range(0, len(codes), most)]
