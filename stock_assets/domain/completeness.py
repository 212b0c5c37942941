"""What can become of a row that should be there, and when nobody has to be asked for it any more.

Expected is one bar for each security listed on each open day; where it is not, there is one reason for it.
"""

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final

from stock_assets.domain.codes import Exchange

SourcesInUse = Mapping[str, Collection[Exchange]]
"""The sources that are asked, by name, each with the exchanges whose stocks it has."""

ASKED_DAYS_OF_PROOF: Final = 2
"""A source has proven that it has no such row once it was asked on this many different days, Shanghai time."""

HALF_PUBLISHED: Final = 0.98
"""Below this share of the expected rows a day is half published: nothing may be computed from it."""
# One that lacks more is no answer about what it lacks, however old the day.
_BROKEN_OFF: Final = 0.5
_SETTLED: Final = timedelta(days=30)
_LONGEST_WAIT_DAYS: Final = 30


class State(StrEnum):
    """What is known of one stock on one day."""

    PRESENT = "present"
    SUSPENDED = "suspended"
    NOT_LISTED = "not_listed"
    SOURCE_HAS_NONE = "source_has_none"
    REJECTED = "rejected"
    MISSING = "missing"

    @property
    def is_closed(self) -> bool:
        """Whether nobody has to be asked: the row is there, or there is none to be had."""
        return self not in _OPEN


_OPEN: Final = frozenset({State.REJECTED, State.MISSING})


def is_half_published(present: int, expected: int) -> bool:
    """Return whether so many rows of the expected ones are too few to compute anything from them."""
    return present < HALF_PUBLISHED * expected


def tells_what_it_lacks(present: int, expected: int, *, day: date, today: date) -> bool:
    """Return whether an answer with so many of a day's expected rows proves that the others are not to be had.

    A half-published one does not, be it for one stock of a few. Of a day that is over for long, more may be missing for
    good: of the first years of the market sources lack a tenth and more.
    """
    if present == 0:
        return False
    if expected - present <= 1 or not is_half_published(present, expected):
        return True
    return is_settled(day, today) and present >= _BROKEN_OFF * expected


def is_settled(day: date, today: date) -> bool:
    """Return whether a day is so long over that no source is still to publish it."""
    return today - day > _SETTLED


def ask_again_on(asked_days: int, last_asked_on: date) -> date:
    """Return the day from which on a source is asked again for what it lacked on so many days: the wait doubles."""
    wait = min(2 ** min(asked_days - 1, _LONGEST_WAIT_DAYS), _LONGEST_WAIT_DAYS)
    return last_asked_on + timedelta(days=wait)


def digest_of_rows(rows: int, total: int) -> str:
    """Return the digest of a set of rows from their number and the sum of their hashes: their order does not matter."""
    return sha256(f"{rows}:{total}".encode()).hexdigest()[:16]
