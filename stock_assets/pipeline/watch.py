"""What some calls are made for, and how much of it is there: kept true by what is landed."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice

import polars as pl

from stock_assets.pipeline.report import DayOutcome
from stock_assets.sources.planner import Call, CodeCall, DayCall

_NAMED = 20


def name_of(call: Call) -> str:
    """Return a call's name in failure records: its day, or its stock."""
    return call.day.isoformat() if isinstance(call, DayCall) else call.ts_code


@dataclass(slots=True)
class Watch:
    """What the store lacks of some calls, kept true by what is landed.

    `calls` are those still to do, by name; `lacking` has the stocks that each day lacks, and `days_of_code` counts the
    days by stock. `rejected` are the refused rows of each landed day; they count where the whole market was asked for.
    """

    calls: dict[str, Call]
    lacking: dict[date, set[str]]
    days_of_code: Counter[str]
    is_whole_market: bool
    rejected: dict[date, int] = field(default_factory=dict[date, int])

    @classmethod
    def over(cls, calls: Sequence[Call], gaps: pl.DataFrame, *, is_whole_market: bool) -> "Watch":
        """Return the watch over calls and the gaps (ts_code, trade_date) that they are made for."""
        lacking: dict[date, set[str]] = {}
        for day, codes in gaps.group_by("trade_date").agg("ts_code").iter_rows():
            lacking[day] = set(codes)
        days_of_code = Counter(dict(gaps.group_by("ts_code").len().iter_rows()))
        return cls({name_of(call): call for call in calls}, lacking, days_of_code, is_whole_market)

    def landed(self, outcomes: Sequence[DayOutcome], lacking: Mapping[date, Collection[str]]) -> list[Call]:
        """Take note of what these days lack now; return the calls that are done with them."""
        done: list[Call] = []
        for outcome in outcomes:
            before = self.lacking.get(outcome.day, set())
            still = before.intersection(lacking[outcome.day])
            self.lacking[outcome.day] = still
            self.rejected[outcome.day] = outcome.rows_rejected if self.is_whole_market else 0
            names = [code for code in before - still if self._is_last_day(code)]
            if not still and not self.rejected[outcome.day]:
                names.append(outcome.day.isoformat())
            done += [self.calls.pop(name) for name in names if name in self.calls]
        return done

    def lacking_days(self, call: Call) -> set[date]:
        """Return the days on which a call's bars are missing."""
        if isinstance(call, DayCall):
            return {call.day} if self.lacking.get(call.day) else set()
        return {day for day, codes in self.lacking.items() if call.ts_code in codes}

    def text(self, call: Call) -> str:
        """Return what a call's item lacks, in words; nothing when it lacks nothing."""
        if isinstance(call, CodeCall):
            days = sorted(self.lacking_days(call))
            return f"no bar on {len(days)} days: {_listed(map(str, days), len(days))}" if days else ""
        codes, rejected = sorted(self.lacking.get(call.day, ())), self.rejected.get(call.day, 0)
        parts = [f"{len(codes)} bars are missing: {_listed(codes, len(codes))}"] if codes else []
        parts += [f"{rejected} rows were refused, see rejected_row"] if rejected else []
        return "; ".join(parts)

    def _is_last_day(self, code: str) -> bool:
        self.days_of_code[code] -= 1
        return not self.days_of_code[code]


def _listed(names: Iterable[str], count: int) -> str:
    named = ", ".join(islice(names, _NAMED))
    return named if count <= _NAMED else f"{named} and {count - _NAMED} more"
