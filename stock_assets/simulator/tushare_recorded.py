"""Recorded Tushare answers as a market: the recorded values and nothing else, oddities of the source included."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Final

from stock_assets.simulator.tushare_base import SERVICES, compact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from stock_assets.simulator.tushare_base import Cell, Row, Service

# Where the rows of each interface are, the fullest recording first; patterns are of the folder.
_FILES: Final[dict[str, tuple[str, ...]]] = {
    "daily": ("daily_2*.csv*",),
    "adj_factor": ("adj_factor_*.csv*", "by_stock/adj_factor_*.csv*"),
    "daily_basic": ("daily_basic_*.csv*", "by_stock/daily_basic_*.csv*"),
    "suspend_d": ("suspend_d_*.csv*",),
    "fina_indicator": ("fina_indicator_vip_*.csv*", "by_stock/fina_indicator_*.csv*"),
    "disclosure_date": ("disclosure_date_*.csv*",),
}
_SAME: Final = {"fina_indicator_vip": "fina_indicator"}
_SORTED_BY: Final = {"fina_indicator": "end_date", "disclosure_date": "end_date"}
_FILTERS: Final = ("trade_date", "ann_date", "period", "pre_date", "actual_date", "suspend_type", "update_flag")
_COLUMN_OF: Final = {"period": "end_date"}
_TEXTS: Final = frozenset(
    {
        "symbol", "name", "area", "industry", "fullname", "enname", "cnspell", "market", "exchange", "curr_type",
        "list_status", "is_hs", "act_name", "act_ent_type", "ts_code", "suspend_timing", "suspend_type", "update_flag",
        "trade_date", "ann_date", "end_date", "pre_date", "actual_date", "modify_date", "list_date", "delist_date",
    }
)  # fmt: skip
_LISTED: Final = "L"


@dataclass(frozen=True, slots=True)
class _Table:
    """The rows of one interface, newest first, and where those of each code and day are."""

    rows: list[list[Cell]]
    by_code: dict[str, list[list[Cell]]]
    by_day: dict[str, list[list[Cell]]]


class RecordedTushare:
    """The `TushareMarket` of a folder of CSV files in Tushare's own form, plain or gzipped.

    Files are named for their interface, as in `daily_20260401.csv.gz`, also in a folder `by_stock`; columns that were
    not recorded are null, and so is what was recorded empty. Interfaces without a file answer no rows. Of the lists of
    stocks the newest wins; a code with bars and without a line is listed from its first bar with no name. The calendar
    comes from the folder, else from the folder `calendar` two levels up.

    Raises `FileNotFoundError` when there are no bars or no calendar.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._tables: dict[str, _Table] = {}
        if not self._table("daily").rows:
            msg = f"no daily files in {directory}"
            raise FileNotFoundError(msg)
        if not self._calendar:
            msg = f"no calendar for {directory}"
            raise FileNotFoundError(msg)

    @property
    def last_session(self) -> date:
        """The newest day that has bars."""
        day = max(self._table("daily").by_day)
        return date(int(day[:4]), int(day[4:6]), int(day[6:]))

    def rows(self, service: Service, params: Mapping[str, str], known: date) -> Iterator[Row]:
        """Yield the recorded rows of an answer, newest first; nothing is computed from other rows."""
        if service.name == "trade_cal":
            return self._trade_cal(params)
        if service.name == "stock_basic":
            return self._stock_basic(params)
        return self._recorded(service, params, compact(known))

    def _recorded(self, service: Service, params: Mapping[str, str], known: str) -> Iterator[Row]:
        name = _SAME.get(service.name, service.name)
        table = self._table(name)
        sorted_by = service.fields.index(_SORTED_BY.get(name, "trade_date"))
        seen_at = service.fields.index("ann_date") if "ann_date" in service.fields else sorted_by
        if codes := params.get("ts_code"):
            rows: Iterable[list[Cell]] = chain.from_iterable(table.by_code.get(code, ()) for code in codes.split(","))
            rows = sorted(rows, key=lambda row: str(row[sorted_by]), reverse=True)
        else:
            rows = table.by_day.get(params["trade_date"], ()) if "trade_date" in params else table.rows
        asked = [
            (service.fields.index(_COLUMN_OF.get(field, field)), params[field]) for field in _FILTERS if field in params
        ]
        start, end = params.get("start_date", ""), params.get("end_date", "~")
        if name == "disclosure_date" and "end_date" in params:
            start = end
        for row in rows:
            is_asked = start <= str(row[sorted_by]) <= end and all(row[place] == value for place, value in asked)
            if is_asked and str(row[seen_at] or "") <= known:
                yield row

    def _stock_basic(self, params: Mapping[str, str]) -> Iterator[Row]:
        codes = frozenset(params["ts_code"].split(",")) if "ts_code" in params else None
        fields = SERVICES["stock_basic"].fields
        status = fields.index("list_status")
        for row in self._stocks.values():
            if str(row[status]) in params.get("list_status", _LISTED) and (codes is None or row[0] in codes):
                yield row

    def _trade_cal(self, params: Mapping[str, str]) -> Iterator[Row]:
        exchange = params.get("exchange", "SSE")
        start, end = params.get("start_date", ""), params.get("end_date", "~")
        for day, is_open, before in reversed(self._calendar):
            if start <= day <= end and params.get("is_open", is_open) == is_open and exchange in {"SSE", "SZSE"}:
                yield exchange, day, int(is_open), before or None

    @cached_property
    def _stocks(self) -> dict[str, list[Cell]]:
        fields = SERVICES["stock_basic"].fields
        found: dict[str, list[Cell]] = {}
        for path in sorted(self._directory.glob("stock_basic_*.csv*")):
            for record in _records(path):
                found[record["ts_code"]] = _row(fields, {"list_status": _LISTED, **record})
        for code, bars in self._table("daily").by_code.items():
            if code not in found:
                record = {"ts_code": code, "list_status": _LISTED, "list_date": str(bars[-1][1])}
                found[code] = _row(fields, record)
        return dict(sorted(found.items()))

    @cached_property
    def _calendar(self) -> list[tuple[str, str, str]]:
        for folder in (self._directory, self._directory.parent.parent / "calendar"):
            for pattern in ("trade_cal*.csv*", "GENERATED_consensus_tushare_format*.csv*"):
                for path in sorted(folder.glob(pattern)):
                    return [(row["cal_date"], row["is_open"], row["pretrade_date"]) for row in _records(path)]
        return []

    def _table(self, name: str) -> _Table:
        """Return an interface's rows, read when they are first asked for; two threads may both read them."""
        if name in self._tables:
            return self._tables[name]
        fields = SERVICES[name].fields
        sorted_by = fields.index(_SORTED_BY.get(name, "trade_date"))
        rows: list[list[Cell]] = []
        seen: set[tuple[Cell, Cell]] = set()
        for pattern in _FILES[name]:
            for path in sorted(self._directory.glob(pattern)):
                fresh = [_row(fields, record) for record in _records(path)]
                # One report may have several rows in a file; the same row in two files is one.
                rows += [row for row in fresh if (row[0], row[sorted_by]) not in seen]
                seen |= {(row[0], row[sorted_by]) for row in fresh}
        rows.sort(key=lambda row: str(row[0]))
        rows.sort(key=lambda row: str(row[sorted_by]), reverse=True)
        table = _Table(rows, {}, {})
        for row in rows:
            table.by_code.setdefault(str(row[0]), []).append(row)
            table.by_day.setdefault(str(row[sorted_by]), []).append(row)
        self._tables[name] = table
        return table


def _row(fields: tuple[str, ...], record: Mapping[str, str]) -> list[Cell]:
    return [_cell(field, record.get(field)) for field in fields]


def _cell(field: str, text: str | None) -> Cell:
    if not text:
        return None
    return text if field in _TEXTS else float(text)


def _records(path: Path) -> Iterator[dict[str, str]]:
    data = path.read_bytes()
    return csv.DictReader((gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines())
