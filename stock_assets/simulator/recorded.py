"""Recorded BaoStock answers as a market: the recorded values and nothing else, faults of the source included."""

from __future__ import annotations

import csv
import gzip
import threading
from bisect import bisect_left, bisect_right
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from stock_assets.simulator.base import BAR_FIELDS, FACTOR_FIELDS, QUARTERLY_FIELDS, STOCK_BASIC_FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from stock_assets.simulator.base import AdjustFlag, Row, Rows

_DERIVED_FACTOR: Final = "backAdjustFactor_derived"
_STOCK: Final = "1"
# Sorts after every row of its day: rows begin with their date and a comma.
_END_OF_DAY: Final = "~"


class RecordedMarket:
    """The market of a folder of CSV files in BaoStock's own form, plain or gzipped.

    `k_daily_adjustflag{1,2,3}_*` hold the bars: flag 3 is the market, the others answer k-data of that flag alone.
    Where two files hold the same bar, the file with more columns wins and the other fills what is empty.
    `query_stock_basic*` names the securities (the newest file wins); a code without a line there is listed from its
    first bar with no name. Quarterly tables are `query_profit_data*` and its sisters, and where these lack a report, files of
    these names in `fundamentals_*`. Factors come from `query_adjust_factor*`, else from `DERIVED_back_adjust_factor*`. The
    calendar comes from the folder, else from the folder `calendar` two levels up, else from `sessions`.

    Raises `FileNotFoundError` when there are no bars or no calendar.
    """

    def __init__(self, directory: Path, *, sessions: Sequence[date] | None = None) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._lives: dict[str, dict[str, list[str]]] = {"3": self._read_lives("3")}
        if not self._lives["3"]:
            msg = f"no k_daily_adjustflag3 files in {directory}"
            raise FileNotFoundError(msg)
        self._reports: dict[str, dict[tuple[str, str], Row]] = {}
        self._by_day: dict[str, list[str]] = {}
        for code in sorted(self._lives["3"]):
            for line in self._lives["3"][code]:
                self._by_day.setdefault(line[: line.index(",")], []).append(line)
        self._basics = self._read_basics()
        self._factors = self._read_factors()
        self._open_days = self._read_calendar() or _calendar_of(sessions or ())
        if not self._open_days:
            msg = f"no calendar for {directory}: pass the sessions"
            raise FileNotFoundError(msg)

    @property
    def last_session(self) -> date:
        """The newest day that has bars."""
        return date.fromisoformat(max(self._by_day))

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes that have unadjusted bars, in order."""
        return tuple(self._basics)

    def trade_dates(self, start: date, end: date) -> Rows:
        """Return the calendar's rows from `start` to `end`, both included."""
        first, last = start.isoformat(), end.isoformat()
        return [[day, is_open] for day, is_open in self._open_days.items() if first <= day <= last]

    def all_stock(self, day: date) -> Rows:
        """Return code, tradestatus and name of each security that has a bar on the day."""
        bars = (line.split(",") for line in self._by_day.get(day.isoformat(), ()))
        return [[bar[1], bar[11], self._basics[bar[1]][1]] for bar in bars]

    def stock_basic(self, as_of: date) -> Rows:
        """Return the recorded row of each code that has bars and was listed by `as_of`."""
        last = as_of.isoformat()
        return [row for row in self._basics.values() if row[2] <= last]

    def daily_bars(self, day: date) -> Rows:
        """Return the recorded unadjusted bars of all stocks on the day, ordered by code."""
        bars = (line.split(",") for line in self._by_day.get(day.isoformat(), ()))
        return [bar for bar in bars if self._basics[bar[1]][4] == _STOCK]

    def stock_bars(self, code: str, adjust: AdjustFlag, start: date, end: date, as_of: date) -> Rows:
        """Return the bars recorded for this flag; nothing is computed from bars of another flag."""
        with self._lock:
            if adjust not in self._lives:
                self._lives[adjust] = self._read_lives(adjust)
            lines = self._lives[adjust].get(code, [])
        last = min(end, as_of).isoformat() + _END_OF_DAY
        return [line.split(",") for line in lines[bisect_left(lines, start.isoformat()) : bisect_right(lines, last)]]

    def adjust_factors(self, code: str, as_of: date) -> Rows:
        """Return the recorded factors of one code up to `as_of`, oldest first."""
        return [row for row in self._factors.get(code, ()) if row[1] <= as_of.isoformat()]

    def daily_adjust_factors(self, day: date, as_of: date) -> Rows:
        """Return the recorded factors whose ex-date is `day`, ordered by code."""
        name = day.isoformat() if day <= as_of else ""
        return [row for code in sorted(self._factors) for row in self._factors[code] if row[1] == name]

    def quarterly(self, table: str, code: str, period: date, as_of: date) -> Rows:
        """Return the recorded row of the report, once it was published."""
        with self._lock:
            if table not in self._reports:
                self._reports[table] = self._read_reports(table)
            row = self._reports[table].get((code, period.isoformat()))
        return [] if row is None or row[1] > as_of.isoformat() else [row]

    def _read_reports(self, table: str) -> dict[tuple[str, str], Row]:
        reports: dict[tuple[str, str], Row] = {}
        for pattern in (f"fundamentals_*/{table}*.csv*", f"{table}*.csv*"):
            for path in sorted(self._directory.glob(pattern)):
                for row in _records(path):
                    reports[row["code"], row["statDate"]] = [row[field] for field in QUARTERLY_FIELDS[table]]
        return reports

    def _read_lives(self, adjust: str) -> dict[str, list[str]]:
        """Return the bars of each code as text lines in date order; lines take a fifth of the memory of split rows."""
        files = [_lines(path) for path in sorted(self._directory.glob(f"k_daily_adjustflag{adjust}_*.csv*"))]
        # Fuller files first: they keep what they say.
        files.sort(key=lambda lines: -len(lines[0].split(",")))
        found: dict[tuple[str, str], str] = {}
        for header, *lines in files:
            columns = header.split(",")
            arrange = [columns.index(field) if field in columns else -1 for field in BAR_FIELDS]
            is_whole = columns == list(BAR_FIELDS)
            for line in lines:
                if is_whole:
                    day, code, _ = line.split(",", 2)
                    found.setdefault((code, day), line)
                    continue
                values = line.split(",")
                bar = ",".join(["" if place < 0 else values[place] for place in arrange])
                key = values[arrange[1]], values[arrange[0]]
                known = found.get(key)
                found[key] = bar if known is None else _filled(known, bar)
        lives: dict[str, list[str]] = {}
        for code, day in sorted(found):
            lives.setdefault(code, []).append(found[code, day])
        return lives

    def _read_basics(self) -> dict[str, Row]:
        recorded: dict[str, Row] = {}
        for path in sorted(self._directory.glob("query_stock_basic*.csv*")):
            recorded |= {row["code"]: [row[field] for field in STOCK_BASIC_FIELDS] for row in _records(path)}
        lives = self._lives["3"]
        return {
            code: recorded.get(code) or [code, "", lives[code][0].split(",", 1)[0], "", _STOCK, "1"]
            for code in sorted(lives)
        }

    def _read_factors(self) -> dict[str, list[Row]]:
        factors: dict[str, list[Row]] = {}
        for path in sorted(self._directory.glob("query_adjust_factor*.csv*")):
            for row in _records(path):
                factors.setdefault(row["code"], []).append([row[field] for field in FACTOR_FIELDS])
        derived: dict[str, list[tuple[str, str]]] = {}
        for path in sorted(self._directory.glob("DERIVED_back_adjust_factor*.csv*")):
            for row in _records(path):
                if row["code"] not in factors:
                    derived.setdefault(row["code"], []).append((row["dividOperateDate"], row[_DERIVED_FACTOR]))
        for code, steps in derived.items():
            steps.sort()
            newest = float(steps[-1][1])
            factors[code] = [[code, day, f"{float(back) / newest:.6f}", back, back] for day, back in steps]
        for rows in factors.values():
            rows.sort(key=lambda row: row[1])
        return factors

    def _read_calendar(self) -> dict[str, str]:
        for folder in (self._directory, self._directory.parent.parent / "calendar"):
            for pattern in ("query_trade_dates*.csv*", "GENERATED_consensus_baostock_format*.csv*"):
                days = [row for path in sorted(folder.glob(pattern)) for row in _records(path)]
                if days:
                    return dict(sorted((row["calendar_date"], row["is_trading_day"]) for row in days))
        return {}


def _filled(known: str, other: str) -> str:
    pairs = zip(known.split(","), other.split(","), strict=True)
    return ",".join([value or filling for value, filling in pairs])


def _calendar_of(sessions: Sequence[date]) -> dict[str, str]:
    if not sessions:
        return {}
    is_open = set(sessions)
    days = (sessions[0] + timedelta(days=ahead) for ahead in range((sessions[-1] - sessions[0]).days + 1))
    return {day.isoformat(): "1" if day in is_open else "0" for day in days}


def _lines(path: Path) -> list[str]:
    return _text(path).splitlines()


def _records(path: Path) -> Iterator[dict[str, str]]:
    return _dictionaries(csv.reader(_lines(path)))


def _dictionaries(rows: Iterable[list[str]]) -> Iterator[dict[str, str]]:
    iterator = iter(rows)
    header = [name.strip() for name in next(iterator)]
    for row in iterator:
        yield dict(zip(header, row, strict=True))


def _text(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
