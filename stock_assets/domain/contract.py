"""What a table's contract is: columns, units, keys and simple rules, once, for the database, the frames and the docs.

`Table.conform` is the border control between floors: a frame that passes has exactly these columns in this order, these
types, no null where none may be, no duplicate key and no value below its minimum. SQL does not belong here.
"""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from stock_assets.domain.errors import DataRefused

Kind = Literal["text", "date", "float", "floats", "integer", "boolean", "timestamp"]
DTYPES: dict[Kind, pl.DataType] = {
    "text": pl.String(),
    "date": pl.Date(),
    "float": pl.Float64(),
    "floats": pl.List(pl.Float64()),
    "integer": pl.Int64(),
    "boolean": pl.Boolean(),
    "timestamp": pl.Datetime("us", "UTC"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, kind and unit, and its meaning in two languages."""

    name: str
    kind: Kind
    zh: str
    en: str
    unit: str = ""
    nullable: bool = False
    minimum: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def comment(self) -> str:
        """Return meaning and unit, Chinese first."""
        unit = f" [{self.unit}]" if self.unit else ""
        return f"{self.zh} | {self.en}{unit}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table's contract. `surrogate` tables get an `id` from the database and `key` is then a unique rule.

    Rows of a `derived` table are computed from rows that have passed their own tables' rules: `conform` checks them, the
    database does not once more.
    """

    name: str
    zh: str
    en: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    indexes: tuple[tuple[str, ...], ...] = ()
    surrogate: bool = False
    derived: bool = False

    @property
    def comment(self) -> str:
        """Return what the table holds, Chinese first."""
        return f"{self.zh} | {self.en}"

    @property
    def names(self) -> list[str]:
        """Return the column names in order."""
        return [column.name for column in self.columns]

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """Return the frame's schema."""
        return {column.name: DTYPES[column.kind] for column in self.columns}

    def empty(self) -> pl.DataFrame:
        """Return a frame of this table without rows."""
        return pl.DataFrame(schema=self.schema)

    def empty_text(self) -> pl.DataFrame:
        """Return an answer without rows for a raw table: the source's columns, all text."""
        return pl.DataFrame(
            schema={
                column.name: pl.String() for column in self.columns if column.kind == "text" and column.name != "run_id"
            }
        )

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return `frame` with the table's columns in order, once every rule of the contract holds.

        Errors: `DataRefused` names the first broken rule; nothing is repaired or dropped here.
        """
        missing = [name for name in self.names if name not in frame.columns]
        if missing:
            raise DataRefused(table=self.name, reason=f"columns missing: {', '.join(missing)}")
        frame = frame.select(self.names)
        if not self._is_sound(frame):
            for column in self.columns:
                self._check(column, frame[column.name])
        if self.key and frame.select(self.key).is_duplicated().any():
            raise DataRefused(table=self.name, reason=f"duplicate key ({', '.join(self.key)})")
        return frame

    def _is_sound(self, frame: pl.DataFrame) -> bool:
        """Return whether every column passes `_check`: all rules in one go, for a hundred columns take a while one by one."""
        if frame.schema != pl.Schema(self.schema):
            return False
        broken: list[pl.Expr] = []
        for column in self.columns:
            values = pl.col(column.name)
            if not column.nullable:
                broken.append(values.is_null().any())
            if column.kind == "float":
                broken.append(~values.is_finite().all())
            if column.minimum is not None:
                broken.append((values < column.minimum).any())
            if column.choices:
                broken.append(~values.drop_nulls().is_in(column.choices).all())
        return not broken or not frame.select(pl.any_horizontal(broken)).item()

    def _check(self, column: Column, values: pl.Series) -> None:
        if values.dtype != DTYPES[column.kind]:
            raise DataRefused(table=self.name, reason=f"{column.name} is {values.dtype}, not {column.kind}")
        if not column.nullable and values.null_count():
            raise DataRefused(table=self.name, reason=f"{column.name} has {values.null_count()} nulls")
        if column.kind == "float" and not values.is_finite().all():
            raise DataRefused(table=self.name, reason=f"{column.name} holds NaN or infinity")
        if column.minimum is not None and (values < column.minimum).any():
            raise DataRefused(table=self.name, reason=f"{column.name} is below {column.minimum:g}")
        if column.choices and not values.drop_nulls().is_in(column.choices).all():
            raise DataRefused(table=self.name, reason=f"{column.name} is none of {', '.join(column.choices)}")
