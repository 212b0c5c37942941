"""Faults on request: which answer is spoiled, when and how. Sending spoiled bytes is done in `delivery`."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias, TypeVar, cast, get_args

RowT = TypeVar("RowT", bound=Sequence[object])
ConnectionKind: TypeAlias = Literal[
    "close", "half", "stall", "late", "slow_drip", "garbage", "corrupt", "connect_refused"
]
RefusalKind: TypeAlias = Literal["not_logged_in", "banned", "error"]
RowKind: TypeAlias = Literal["lost_rows", "empty", "half_published", "duplicate_rows", "bad_row"]
SwapKind: TypeAlias = Literal["other_stock", "other_method", "stale"]
TushareKind: TypeAlias = Literal[
    "reset", "http", "html", "no_json", "no_code", "null_data", "null_rows", "not_a_number",
    "minute", "hour", "day", "permission", "token", "addresses", "parameters",
]  # fmt: skip
FaultKind: TypeAlias = ConnectionKind | RefusalKind | RowKind | SwapKind | TushareKind

KINDS: Final = tuple(kind for family in (ConnectionKind, RefusalKind, RowKind, SwapKind) for kind in get_args(family))
TUSHARE_KINDS: Final[tuple[str, ...]] = (
    *("close", "half", "stall", "late", "slow_drip", "garbage", "connect_refused", "error"),
    *get_args(RowKind),
    "other_stock",
    *get_args(TushareKind),
)
"""The kinds that a Tushare server knows; `KINDS` are BaoStock's."""
ANY: Final = "*"

_DEFAULT_ARGUMENTS: Final[dict[str, float]] = {
    "late": 1.0,
    "slow_drip": 0.05,
    "lost_rows": 0.1,
    "half_published": 0.27,
    "error": 10005001,
    "http": 503,
}
_TAKES_ARGUMENT: Final = frozenset({*_DEFAULT_ARGUMENTS, "connect_refused"})
_NEEDS_ROWS: Final = frozenset({*get_args(RowKind), "other_stock", "other_method"})
_WITHOUT_ROWS: Final = frozenset({"login", "logout"})
_WITHOUT_STOCK_OR_DAY: Final = frozenset({"login", "logout", "query_trade_dates", "query_stock_basic"})
_WHEN: Final = re.compile(r"(?P<sign>[%<~]?)(?P<number>\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault and the requests it meets.

    `method` is a method's name or `*`; `page` limits it to one page. Of the requests that fit, it meets all, or the
    `nth` alone, or each `every`-th, or the `first` so many, or each with `probability`.

    `argument` means: seconds to wait (`late`), seconds for each byte (`slow_drip`), seconds without a listener
    (`connect_refused`; for good without it), the code (`error`), the status (`http`), a share of the rows (`lost_rows`,
    `half_published`).
    """

    kind: FaultKind
    method: str = ANY
    page: int | None = None
    nth: int | None = None
    every: int | None = None
    first: int | None = None
    probability: float | None = None
    argument: float | None = None

    def fits(self, method: str, page: int | None) -> bool:
        """Return whether a request is of the kind that the fault counts."""
        if self.method not in {ANY, method} or (self.page is not None and self.page != page):
            return False
        if self.kind == "other_stock":
            return method not in _WITHOUT_STOCK_OR_DAY
        return not (self.kind in _NEEDS_ROWS and method in _WITHOUT_ROWS)

    def meets(self, count: int, seed: int) -> bool:
        """Return whether the fault happens at the `count`-th fitting request, counted from 1."""
        if self.nth is not None:
            return count == self.nth
        if self.every is not None:
            return count % self.every == 0
        if self.first is not None:
            return count <= self.first
        if self.probability is not None:
            chance = random.Random(f"{seed}/{self.kind}/{self.method}/{count}")  # noqa: S311  repeatable, no secret
            return chance.random() < self.probability
        return True


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """The faults of a server, the first one that meets a request wins; `seed` decides those with a probability."""

    faults: tuple[Fault, ...] = ()
    seed: int = 0

    @classmethod
    def parse(cls, text: str, *, seed: int = 0, kinds: Sequence[str] = KINDS) -> FaultPlan:
        """Return the plan of a text such as `stall:query_history_k_data_plus:3,close:*:%7,late=2:login`.

        Entries are separated by commas. An entry is `kind[=argument][:method[@page][:when]]`; `when` is `3` (the
        third), `%7` (every seventh), `<5` (the first five) or `~0.1` (one in ten, by chance); without it always. `kinds`
        are those that the server knows.

        Raises `FaultTextError`, a `ValueError` that names the entry and what is wrong with it.
        """
        return cls(tuple(_parse_entry(entry.strip(), kinds) for entry in text.split(",") if entry.strip()), seed)


class FaultCounter:
    """Counts the requests of one server and says which fault meets each; safe for many threads."""

    def __init__(self, plan: FaultPlan) -> None:
        self.plan = plan
        self._counts = [0] * len(plan.faults)
        self._lock = threading.Lock()

    def next(self, method: str, page: int | None) -> Fault | None:
        """Count one request and return the fault that meets it."""
        met: Fault | None = None
        with self._lock:
            for place, fault in enumerate(self.plan.faults):
                if fault.fits(method, page):
                    self._counts[place] += 1
                    if met is None and fault.meets(self._counts[place], self.plan.seed):
                        met = fault
        return met


def spoil_rows(fault: Fault, rows: Sequence[RowT]) -> Sequence[RowT]:
    """Return the rows as the fault leaves them; other kinds of fault leave them whole."""
    share = argument_of(fault)
    spoiled = list(rows)
    match fault.kind:
        case "empty":
            return []
        case "half_published":
            return spoiled[: int(len(rows) * share)]
        case "lost_rows":
            lost = min(max(1, int(len(rows) * share)), len(rows))
            dropped = {int((number + 0.5) * len(rows) / lost) for number in range(lost)}
            return [row for place, row in enumerate(rows) if place not in dropped]
        case "duplicate_rows":
            return [row for place, row in enumerate(rows) for _ in range(2 if place % 10 == 0 else 1)]
        case "bad_row" if rows:
            middle = len(rows) // 2
            spoiled[middle] = cast("RowT", spoiled[middle][:-1])
            return spoiled
        case _:
            return rows


def argument_of(fault: Fault) -> float:
    """Return the fault's argument or what it is when nothing was said."""
    return fault.argument if fault.argument is not None else _DEFAULT_ARGUMENTS.get(fault.kind, 0.0)


class FaultTextError(ValueError):
    """One entry of a plan's text cannot be read."""

    def __init__(self, entry: str, what: str) -> None:
        super().__init__(f"fault {entry!r}: {what}")


def _parse_entry(entry: str, kinds: Sequence[str]) -> Fault:
    kind_text, *rest = entry.split(":")
    kind, has_argument, argument = kind_text.partition("=")
    if len(rest) > len(("method", "when")):
        raise FaultTextError(entry, "more than kind:method:when")
    if kind not in kinds:
        raise FaultTextError(entry, f"no kind {kind!r}; there are {', '.join(kinds)}")
    fault = Fault(cast("FaultKind", kind))
    if has_argument:
        fault = replace(fault, argument=_argument(entry, kind, argument))
    if rest:
        method, has_page, page = rest[0].partition("@")
        if not re.fullmatch(r"\*|\w+", method):
            raise FaultTextError(entry, f"{method!r} is no method; * means any")
        if has_page and not page.isdigit():
            raise FaultTextError(entry, f"{page!r} is no page number")
        fault = replace(fault, method=method, page=int(page) if has_page else None)
    return _with_occurrence(fault, entry, rest[1]) if len(rest) > 1 else fault


def _with_occurrence(fault: Fault, entry: str, when: str) -> Fault:
    found = _WHEN.fullmatch(when)
    sign, number = (found["sign"], float(found["number"])) if found else ("", 0.0)
    if sign == "~" and 0 <= number <= 1:
        return replace(fault, probability=number)
    if sign == "~" or number < 1 or not number.is_integer():
        raise FaultTextError(entry, f"{when!r} is none of 3 (the third), %7 (every seventh), <5 (the first five), ~0.1")
    count = int(number)
    match sign:
        case "%":
            return replace(fault, every=count)
        case "<":
            return replace(fault, first=count)
        case _:
            return replace(fault, nth=count)


def _argument(entry: str, kind: str, text: str) -> float:
    if kind not in _TAKES_ARGUMENT:
        raise FaultTextError(entry, f"{kind} takes no argument")
    try:
        return float(text)
    except ValueError:
        raise FaultTextError(entry, f"the argument {text!r} is not a number") from None
