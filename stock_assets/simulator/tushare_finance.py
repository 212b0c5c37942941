"""Made-up finance reports as fina_indicator shows them: every version of every report of every stock, from one seed.

Most reports come twice with one announcement day, some of these pairs differ, some reports are restated a year later,
and a few are changed in silence. What the figures are is in `tushare_figures`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from stock_assets.simulator.randomness import Randomness
from stock_assets.simulator.tushare_base import compact
from stock_assets.simulator.tushare_figures import Figures

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stock_assets.simulator.randomness import Flags, Ints
    from stock_assets.simulator.tushare_base import Cell, Row, Service

_PAIR_SHARE, _DIFFERENT_SHARE, _SAME_FLAG_SHARE, _THINNER_SHARE = 0.817, 0.18, 0.06, 0.1
_RESTATED_SHARE, _SILENT_SHARE, _POSTPONED_SHARE = 0.06, 0.03, 0.15
_FIRST_YEAR: Final = 1998
_YEARS_BEFORE_LISTING: Final = 3
_YEAR_END: Final = 3
# No report comes more quarters after its period than those of a company that has just been listed.
_LONGEST_SILENCE: Final = 4 * _YEARS_BEFORE_LISTING + 4
# first day and length of the season in which reports for March, June, September and December come, in days after the
# period's end
_SEASONS: Final = ((10, 20), (15, 47), (10, 21), (20, 100))
_THINNER: Final = frozenset({"eps", "dt_eps", "extra_item", "profit_dedt", "roe_waa", "roe_dt"})
_SILENT: Final = frozenset({"ebit", "ebitda", "ebit_ps", "ebit_of_gr"})
_ANN, _PAIR, _DIFFERENT, _FLAGS, _THIN, _RESTATED, _RESTATED_AT, _SILENT_AT, _POSTPONED = range(61, 70)


@dataclass(frozen=True, slots=True)
class Company:
    """Who reports: a code, its first trading day and the day on which it left, if it has."""

    code: str
    listed: date
    left: date | None


@dataclass(frozen=True, slots=True)
class _Version:
    """One row of a report: `edition` 0 is as first published; `is_thin` lacks some of its values."""

    place: int
    ann_date: date
    flag: str
    edition: int
    is_thin: bool = False


class SimulatedFinance:
    """The reports of companies; the same seed and code always give the same reports."""

    def __init__(self, seed: int) -> None:
        self._random = Randomness(seed)
        self._figures = Figures(self._random)

    def reports(
        self, service: Service, companies: Sequence[Company], params: Mapping[str, str], known: date
    ) -> Iterator[Row]:
        """Yield the rows of fina_indicator that were known, newest period first; `start_date` and `end_date` are periods."""
        owners, quarters, firsts, names = self._calendar(companies, params, known)
        versions = [version for version in self._versions(owners, quarters, firsts) if version.ann_date <= known]
        for name in ("ann_date", "update_flag"):
            if wanted := params.get(name):
                versions = [v for v in versions if wanted == (v.flag if name == "update_flag" else compact(v.ann_date))]
        versions.sort(key=lambda v: (-quarters[v.place], names[v.place], -v.ann_date.toordinal(), v.flag))
        return self._rows(service, versions, (owners, quarters, firsts, names), known)

    def standing(self, company: Company, period: date, known: date) -> tuple[date, dict[str, float]] | None:
        """Return a report's first announcement and its newest figures, NaN where it has none; None before it was out."""
        owners, quarters, firsts, _ = self._calendar([company], {"period": compact(period)}, known)
        versions = [version for version in self._versions(owners, quarters, firsts) if version.ann_date <= known]
        if not versions:
            return None
        # Of two rows of one day the later one is the corrected.
        newest = max(reversed(versions), key=lambda version: version.ann_date)
        values = self._figures.of(owners, quarters, np.array([newest.edition], dtype=np.int64))
        return date.fromordinal(int(firsts[0])), {name: float(column[0]) for name, column in values.items()}

    def disclosures(self, companies: Sequence[Company], params: Mapping[str, str], known: date) -> Iterator[Row]:
        """Yield who plans to publish when, and who has; a plan is known from the end of its period on."""
        if period := params.get("end_date"):
            params = {**params, "period": period}
        owners, quarters, firsts, names = self._calendar(companies, params, known)
        postponed = self._random.uniform(_POSTPONED, owners, quarters) < _POSTPONED_SHARE
        order = sorted(range(len(names)), key=lambda place: (-int(quarters[place]), names[place]))
        for place in order:
            actual = date.fromordinal(int(firsts[place]))
            end = _end_of(int(quarters[place]))
            planned = max(actual - timedelta(days=5), end) if postponed[place] else actual
            row = (
                names[place],
                compact(end + timedelta(days=5)),
                compact(end),
                compact(planned),
                compact(actual) if actual <= known else None,
                f"{compact(planned)},{compact(actual)}" if postponed[place] else None,
            )
            asked = {"ann_date": row[1], "pre_date": row[3], "actual_date": row[4]}
            if all(params.get(name, value) == value for name, value in asked.items()):
                yield row

    def _calendar(
        self, companies: Sequence[Company], params: Mapping[str, str], known: date
    ) -> tuple[Ints, Ints, Ints, list[str]]:
        """Return owner, quarter, first announcement (ordinal) and code of each report that is asked for."""
        first, last = _first_and_last(params, known)
        owners: list[int] = []
        quarters: list[int] = []
        names: list[str] = []
        for company in companies:
            ends = company.left or known
            listed = _quarter_of(company.listed)
            for quarter in range(max(first, listed - 4 * _YEARS_BEFORE_LISTING), min(last, _quarter_of(ends)) + 1):
                # Before it was listed a company has told of whole years alone.
                if quarter >= listed or quarter % 4 == _YEAR_END:
                    owners.append(int(company.code[:6]))
                    quarters.append(quarter)
                    names.append(company.code)
        owner, quarter = np.array(owners, dtype=np.int64), np.array(quarters, dtype=np.int64)
        listed_on = {company.code: company.listed.toordinal() for company in companies}
        ends = np.array([_end_of(place).toordinal() for place in quarters], dtype=np.int64)
        earliest = np.array([listed_on[name] - 1 for name in names], dtype=np.int64)
        season = np.array(_SEASONS, dtype=np.int64)[quarter % 4]
        late = (self._random.uniform(_ANN, owner, quarter) ** 0.5 * season[:, 1]).astype(np.int64)
        return owner, quarter, np.maximum(ends + season[:, 0] + late, earliest), names

    def _versions(self, owners: Ints, quarters: Ints, firsts: Ints) -> Iterator[_Version]:
        def chance(stream: int, share: float) -> Flags:
            return self._random.uniform(stream, owners, quarters) < share

        pairs, differ = chance(_PAIR, _PAIR_SHARE), chance(_DIFFERENT, _DIFFERENT_SHARE)
        same_flags, thin = chance(_FLAGS, _SAME_FLAG_SHARE), chance(_THIN, _THINNER_SHARE)
        restated = chance(_RESTATED, _RESTATED_SHARE)
        after = 300 + (self._random.uniform(_RESTATED_AT, owners, quarters) * 120).astype(np.int64)
        for place in range(owners.size):
            first = date.fromordinal(int(firsts[place]))
            low, high = ("0", "1") if not same_flags[place] else ("1", "1") if quarters[place] % 2 else ("0", "0")
            yield _Version(place, first, low, 0)
            if pairs[place]:
                edition = 1 if differ[place] else 0
                yield _Version(place, first, high, edition, is_thin=bool(thin[place]) and not edition)
            if restated[place]:
                yield _Version(place, first + timedelta(days=int(after[place])), "1", 2)

    def _rows(
        self,
        service: Service,
        versions: list[_Version],
        calendar: tuple[Ints, Ints, Ints, list[str]],
        known: date,
    ) -> Iterator[Row]:
        owners, quarters, firsts, names = calendar
        places = np.array([version.place for version in versions], dtype=np.int64)
        editions = np.array([version.edition for version in versions], dtype=np.int64)
        values = self._figures.of(owners[places], quarters[places], editions)
        changed_at = firsts + 200 + (self._random.uniform(_SILENT_AT, owners, quarters) * 700).astype(np.int64)
        silent = self._random.uniform(_SILENT_AT, owners, quarters + 10_000) < _SILENT_SHARE
        is_changed = (silent & (changed_at <= known.toordinal()))[places]
        texts: list[list[Cell]] = []
        for field in service.fields[3:-1]:
            column = values[field]
            if field in _SILENT:
                column = np.where(is_changed, np.round(column * 1.01, 2), column)
            texts.append([None if math.isnan(value) else value for value in column.tolist()])
        thin_places = [place for place, field in enumerate(service.fields[3:-1]) if field in _THINNER]
        for place, version in enumerate(versions):
            numbers = [column[place] for column in texts]
            if version.is_thin:
                for gap in thin_places:
                    numbers[gap] = None
            end = compact(_end_of(int(quarters[version.place])))
            yield [names[version.place], compact(version.ann_date), end, *numbers, version.flag]


def _quarter_of(day: date) -> int:
    return day.year * 4 + (day.month - 1) // 3


def _end_of(quarter: int) -> date:
    year, season = divmod(quarter, 4)
    return date(year + (season == _YEAR_END), 1 if season == _YEAR_END else season * 3 + 4, 1) - timedelta(days=1)


def _first_and_last(params: Mapping[str, str], known: date) -> tuple[int, int]:
    """Return the first and last quarter that is asked for and over."""
    over = _quarter_of(known + timedelta(days=1)) - 1
    period = params.get("period")
    start, end = (period, period) if period else (params.get("start_date"), params.get("end_date"))
    first, last = _FIRST_YEAR * 4, over
    announced = next((params[name] for name in ("ann_date", "pre_date", "actual_date") if name in params), None)
    try:
        if announced:
            first = max(first, _quarter_of(_day(announced)) - _LONGEST_SILENCE)
        if start:
            first = max(first, _quarter_of(_day(start)))
        if end:
            # A period belongs to the window on its last day.
            last = min(last, _quarter_of(_day(end) + timedelta(days=1)) - 1)
    except ValueError:
        return 1, 0
    return first, last


def _day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))
