"""What a reader asks for: a table, its columns, and a slice by codes, days and a moment; and the SQL that says so.

Values become literals and names identifiers here, so that nothing anybody passes is ever read as SQL.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from psycopg import sql

from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.contract import Column, Kind, Table
from stock_assets.domain.errors import InvalidInput
from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.domain.tables import day_text
from stock_assets.storage.arrow_session import ArrowSchema, arrow_schema
from stock_assets.storage.tables import TABLES

Order = Literal["key", "none"]
# The day a row is about. Raw tables keep it as the source's text, which sorts like days.
_DAYS = ("trade_date", "ex_date", "day", "date", "dividOperateDate")
# A report is found by the last day of its period.
_PERIOD = "end_date"
_CODE = "ts_code"


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows of one table. None is no limit; both ends of [start, end] belong to it; `as_of` is aware.

    Bars and factors `as_of` a moment are those that the store held then; reports are what a reader could know on its day in
    Shanghai, of each report the newest version.

    `order` "key" sorts by the table's key, or by its id where it has none; "none" leaves the order to the server, which is
    faster for whole tables.

    Errors: `InvalidInput` for what the table does not have.
    """

    table: Table
    columns: Sequence[str] | None = None
    ts_codes: Sequence[str] | None = None
    start: date | None = None
    end: date | None = None
    as_of: datetime | None = None
    order: Order = "key"

    def __post_init__(self) -> None:
        _check_columns(self.table, self.columns)
        if self.ts_codes is not None and _CODE not in self.table.names:
            raise InvalidInput(
                problem=f"{self.table.name} has no column {_CODE}, so it cannot be read by codes",
                problem_zh=f"{self.table.name} 没有 {_CODE} 列，不能按代码读取",
            )
        if (self.start or self.end) and self.day is None:
            raise InvalidInput(
                problem=f"{self.table.name} has no column of days, so it has no first and last day to read",
                problem_zh=f"{self.table.name} 没有日期列，不能按日期读取",
            )
        if self.as_of is not None:
            _check_moment(self.table, self.as_of)

    @property
    def names(self) -> list[str]:
        """Return the columns in order."""
        return self.table.names if self.columns is None else list(self.columns)

    @property
    def day(self) -> Column | None:
        """Return the column with the day a row is about, or None."""
        days = (_PERIOD,) if self.table.name == FINANCE_INDICATOR.name else _DAYS
        return next((column for column in self.table.columns if column.name in days), None)

    @property
    def schema(self) -> ArrowSchema:
        """Return the Arrow schema of the rows."""
        kinds: dict[str, Kind] = {column.name: column.kind for column in self.table.columns}
        return arrow_schema({name: kinds[name] for name in self.names})

    @property
    def query(self) -> sql.Composed:
        """Return the rows."""
        columns = sql.SQL(", ").join(map(sql.Identifier, self.names))
        keys = sql.SQL(", ").join(map(sql.Identifier, self.table.key or ("id",)))
        order = sql.SQL(" ORDER BY {}").format(keys) if self.order == "key" else sql.SQL("")
        return sql.SQL("SELECT {}{}{}").format(columns, self._from_where, order)

    @property
    def extent(self) -> sql.Composed:
        """Return one row: how many rows there are, and their first and last day as text, null without days."""
        ends = sql.SQL("NULL::text AS first, NULL::text AS last")
        if self.day is not None:
            ends = sql.SQL("min({0})::text AS first, max({0})::text AS last").format(sql.Identifier(self.day.name))
        return sql.SQL("SELECT count(*) AS rows, {}{}").format(ends, self._from_where)

    @property
    def _moment(self) -> datetime | date | None:
        """Return what the function of the table is asked for: reports are known by day, the rest by moment."""
        if self.as_of is None or self.table.name != FINANCE_INDICATOR.name:
            return self.as_of
        return self.as_of.astimezone(SHANGHAI).date()

    @property
    def _from_where(self) -> sql.Composable:
        source: sql.Composable = sql.Identifier(self.table.name)
        if self.as_of is not None:
            source = sql.SQL("{}({})").format(sql.Identifier(f"{self.table.name}_as_of"), self._moment)
        conditions: list[sql.Composable] = []
        if self.ts_codes is not None:
            codes = [code for code in self.ts_codes if "\0" not in code]
            conditions.append(sql.SQL("{} = ANY({}::text[])").format(sql.Identifier(_CODE), codes))
        if self.day is not None:
            name = sql.Identifier(self.day.name)
            for comparison, day in ((sql.SQL(">="), self.start), (sql.SQL("<="), self.end)):
                if day is not None:
                    value = day if self.day.kind == "date" else day_text(self.day.name, day)
                    conditions.append(sql.SQL("{} {} {}").format(name, comparison, value))
        where = sql.SQL(" WHERE {}").format(sql.SQL(" AND ").join(conditions)) if conditions else sql.SQL("")
        return sql.SQL(" FROM {}{}").format(source, where)


def table_named(name: str) -> Table:
    """Return the business table called `name`.

    Errors: `InvalidInput` names the tables there are.
    """
    found = next((table for table in TABLES if table.name == name), None)
    if found is None:
        names = [table.name for table in TABLES]
        raise InvalidInput(
            problem=f"there is no table '{name}'; choose one of {', '.join(names)}",
            problem_zh=f"没有表“{name}”，可用的表：{'、'.join(names)}",
        )
    return found


def _check_columns(table: Table, columns: Sequence[str] | None) -> None:
    unknown = [name for name in columns or () if name not in table.names]
    if unknown:
        raise InvalidInput(
            problem=f"{table.name} has no column {', '.join(unknown)}; it has {', '.join(table.names)}",
            problem_zh=f"{table.name} 没有列 {'、'.join(unknown)}；它的列是 {'、'.join(table.names)}",
        )
    if columns is not None and not (columns and len(set(columns)) == len(columns)):
        raise InvalidInput(problem="name at least one column, each once", problem_zh="请至少指定一列，且不要重复")


def _check_moment(table: Table, as_of: datetime) -> None:
    kept = {other.name for other in TABLES}
    names = sorted({FINANCE_INDICATOR.name, *(name for name in kept if f"{name}_history" in kept)})
    if table.name not in names:
        raise InvalidInput(
            problem=f"{table.name} keeps no history; as of a moment there are {', '.join(names)}",
            problem_zh=f"{table.name} 不保留历史；可按时点读取的表：{'、'.join(names)}",
        )
    if as_of.tzinfo is None:
        raise InvalidInput(
            problem=f"the moment {as_of} needs a time zone, such as Asia/Shanghai",
            problem_zh=f"时点 {as_of} 需要时区，如 Asia/Shanghai",
        )
