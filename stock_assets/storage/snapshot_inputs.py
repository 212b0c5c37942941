"""What snapshots are made of, read for a list of days at once: a range costs no more queries than a day.

Rows that hold from a day on (factors, reports) are read as they stood on the first day, and then only what came after.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl
from psycopg import sql

from stock_assets.domain.contract import Kind, Table
from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.domain.tables import ADJUST_FACTOR, SECURITY
from stock_assets.storage.arrow_session import ArrowSession, arrow, arrow_schema

# What decides between versions that are known on the same day, best first: as in `finance_indicator_as_of`.
_RANK: Final = {"is_second_hand": "boolean", "is_undated": "boolean", "announced": "date", "version": "integer"}
_RANKED = sql.SQL(
    "source = 'baostock' AS is_second_hand, ann_date_basis = 'first_seen' AS is_undated,"
    " GREATEST(ann_date, f_ann_date) AS announced, version"
)
_BEST = sql.SQL(
    "end_date DESC, source = 'baostock', ann_date_basis = 'first_seen', GREATEST(ann_date, f_ann_date) DESC,"
    " ann_date DESC, version DESC"
)
_OF_DAYS = sql.SQL(
    "SELECT {columns} FROM {table} WHERE trade_date BETWEEN {first} AND {last} AND trade_date = ANY({days}::date[])"
)
_FACTORS_ON = sql.SQL("""
    SELECT security.ts_code, newest.ex_date, newest.back_adjust_factor FROM security CROSS JOIN LATERAL (
        SELECT ex_date, back_adjust_factor FROM adjust_factor
        WHERE adjust_factor.ts_code = security.ts_code AND ex_date <= {day} ORDER BY ex_date DESC LIMIT 1
    ) AS newest
""")
_FACTORS_AFTER = sql.SQL(
    "SELECT ts_code, ex_date, back_adjust_factor FROM adjust_factor WHERE ex_date > {day} AND ex_date <= {last}"
)
# Stock by stock through the key: of a table with decades of reports only the newest are touched.
_REPORTS_ON = sql.SQL("""
    SELECT {names} FROM security CROSS JOIN LATERAL (
        SELECT {columns}, {ranked} FROM finance_indicator
        WHERE finance_indicator.ts_code = security.ts_code AND known_from <= {day} AND is_chosen
        ORDER BY {best} LIMIT 1
    ) AS newest
""")
_REPORTS_AFTER = sql.SQL(
    "SELECT {columns}, {ranked} FROM finance_indicator WHERE known_from > {day} AND known_from <= {last} AND is_chosen"
)


@dataclass(frozen=True, slots=True)
class DayRows:
    """Of one day: its bars, its indicators, the factors in force and each stock's newest known report, in no order."""

    day: date
    bars: pl.DataFrame
    technicals: pl.DataFrame
    factors: pl.DataFrame
    reports: pl.DataFrame


def read_securities(session: ArrowSession) -> pl.DataFrame:
    """Return every stock ever listed: code, name, exchange, board and days, in no order."""
    names = ("ts_code", "name", "exchange", "board", "list_date", "delist_date")
    return _read(session, sql.SQL("SELECT {} FROM security").format(_columns(names)), _kinds(SECURITY, names))


def read_days(
    session: ArrowSession, days: Sequence[date], *, bars: "Part", technicals: "Part", figures: Sequence[str]
) -> Iterator[DayRows]:
    """Yield the rows of each of `days` (in order), all of one state of the store.

    `figures` are columns of `finance_indicator`. What is in memory grows with the number of days: some megabytes each.
    """
    first, last = days[0], days[-1]
    of_days = {part.table.name: _of_days(session, part, days) for part in (bars, technicals)}
    factors = _Standing(
        _read(session, _FACTORS_ON.format(day=first), _factor_kinds()),
        _read(session, _FACTORS_AFTER.format(day=first, last=last), _factor_kinds()),
        since="ex_date",
        order=[("ex_date", True)],
    )
    reports = _Standing(*_reports(session, first, last, figures), since="known_from", order=_report_order())
    for day in days:
        yield DayRows(
            day,
            of_days[bars.table.name].get(day, pl.DataFrame(schema=bars.schema)),
            of_days[technicals.table.name].get(day, pl.DataFrame(schema=technicals.schema)),
            factors.on(day),
            reports.on(day).drop(*_RANK),
        )


@dataclass(frozen=True, slots=True)
class Part:
    """Columns of a table with rows by trading day; the day is always among them."""

    table: Table
    names: Sequence[str]

    @property
    def kinds(self) -> dict[str, Kind]:
        """Return the kinds of the columns, the day first."""
        return _kinds(self.table, list(dict.fromkeys(["trade_date", *self.names])))

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """Return the frame's schema."""
        return {name: self.table.schema[name] for name in self.kinds}


@dataclass(slots=True)
class _Standing:
    """What holds for each stock on a day that moves forward: `now` on the first one, `later` rows come in `since` theirs."""

    now: pl.DataFrame
    later: pl.DataFrame
    since: str
    order: Sequence[tuple[str, bool]]

    def on(self, day: date) -> pl.DataFrame:
        """Return the best row of each stock on `day`, which is not before the last one asked for."""
        come = pl.col(self.since) <= day
        new = self.later.filter(come)
        if not new.is_empty():
            self.later = self.later.filter(~come)
            names, is_last = zip(*self.order, strict=True)
            ranked = pl.concat([self.now, new]).sort(list(names), descending=list(is_last))
            self.now = ranked.unique("ts_code", keep="first", maintain_order=True)
        return self.now


def _report_order() -> list[tuple[str, bool]]:
    return [
        ("end_date", True),
        ("is_second_hand", False),
        ("is_undated", False),
        ("announced", True),
        ("ann_date", True),
        ("version", True),
    ]


def _reports(
    session: ArrowSession, first: date, last: date, figures: Sequence[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    names = ["ts_code", "end_date", "ann_date", "known_from", *figures]
    kinds: dict[str, Kind] = {**_kinds(FINANCE_INDICATOR, names), **_RANK}  # pyright: ignore[reportAssignmentType]
    columns = _columns(names)
    on = _REPORTS_ON.format(
        names=sql.SQL(", ").join(sql.Identifier("newest", name) for name in kinds),
        columns=columns, ranked=_RANKED, best=_BEST, day=first,
    )  # fmt: skip
    after = _REPORTS_AFTER.format(columns=columns, ranked=_RANKED, day=first, last=last)
    return _read(session, on, kinds), _read(session, after, kinds)


def _of_days(session: ArrowSession, part: Part, days: Sequence[date]) -> dict[date, pl.DataFrame]:
    query = _OF_DAYS.format(
        columns=_columns(part.kinds),
        table=sql.Identifier(part.table.name),
        first=days[0],
        last=days[-1],
        days=list(days),
    )
    rows = _read(session, query, part.kinds)
    return {key[0]: frame for key, frame in rows.partition_by("trade_date", as_dict=True).items()}


def _factor_kinds() -> dict[str, Kind]:
    return _kinds(ADJUST_FACTOR, ("ts_code", "ex_date", "back_adjust_factor"))


def _kinds(table: Table, names: Sequence[str]) -> dict[str, Kind]:
    kinds: dict[str, Kind] = {column.name: column.kind for column in table.columns}
    return {name: kinds[name] for name in names}


def _columns(names: Sequence[str] | dict[str, Kind]) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _read(session: ArrowSession, query: sql.Composable, kinds: dict[str, Kind]) -> pl.DataFrame:
    schema = arrow_schema(kinds)
    batches = list(session.batches(query, schema))
    return pl.DataFrame(arrow.Table.from_batches(batches, schema=schema))
