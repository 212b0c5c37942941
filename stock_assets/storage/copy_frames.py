"""Frames through PostgreSQL's COPY, in and out: no row ever becomes a Python object.

The text between is CSV with everything but numbers quoted: a null is an empty field without quotes, an empty string is
`""`, so that no value can be taken for a null.
"""

import io
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import polars as pl
import psycopg
from psycopg import sql
from pyarrow import csv as _csv
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from stock_assets.domain.errors import DataRefused
from stock_assets.domain.tables import Table

# pyarrow ships no types.
csv: Any = cast("Any", _csv)

# Bounds the text held in memory beside the frame: about 10 MB of daily bars.
BLOCK_ROWS = 50_000


class RowsExist(DataRefused):
    """Rows that the caller promised to be new are already there; the transaction is lost, the data are not harmed."""

    zh = "表 {table} 中已有这些行，未写入：{reason}"
    en = "table {table} already holds some of these rows, nothing was written: {reason}"


def driver(conn: Connection) -> psycopg.Connection[Any]:
    """Return the psycopg connection under `conn`, in the same transaction."""
    raw = conn.connection.driver_connection
    if not isinstance(raw, psycopg.Connection):
        raise TypeError(raw)
    return cast("psycopg.Connection[Any]", raw)


def copy_in(conn: Connection, target: str, frame: pl.DataFrame) -> None:
    """Append `frame` to the table or temporary table `target`; the columns are those of the frame."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(
        sql.Identifier(target), sql.SQL(", ").join(map(sql.Identifier, frame.columns))
    )
    with driver(conn).cursor() as cursor:
        with cursor.copy(statement) as copy:
            for block in frame.iter_slices(BLOCK_ROWS):
                text = io.BytesIO()
                block.write_csv(text, include_header=False, quote_style="non_numeric")
                copy.write(text.getbuffer())
        if cursor.rowcount != frame.height:
            raise DataRefused(table=target, reason=f"{frame.height} rows sent, {cursor.rowcount} arrived")


def copy_out(conn: Connection, query: sql.Composable, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Return the rows of `query` as a frame of `schema`; names and types come from the schema, by position."""
    text = io.BytesIO()
    statement = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(query)
    with driver(conn).cursor() as cursor, cursor.copy(statement) as copy:
        for piece in copy:
            text.write(piece)
    if not text.tell():
        return pl.DataFrame(schema=schema)
    text.seek(0)
    types = cast("Any", pl.DataFrame(schema=schema)).to_arrow().schema
    rows = csv.read_csv(
        text,
        read_options=csv.ReadOptions(column_names=list(schema), block_size=1 << 22),
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types={name: types.field(name).type for name in schema},
            null_values=[""],
            true_values=["t"],
            false_values=["f"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    # The schema's types are what Arrow was asked for: no value is converted here.
    return pl.DataFrame(rows, schema=schema)


def columns_of(table: Table) -> sql.Composable:
    """Return the column list of `table`, in the order of its schema."""
    return sql.SQL(", ").join(map(sql.Identifier, table.names))


@contextmanager
def refusals(table: str) -> Generator[None]:
    """Turn a broken rule of the database into `DataRefused`, a key that is taken into `RowsExist`."""
    try:
        yield
    except (psycopg.errors.IntegrityError, IntegrityError) as error:
        origin = error.orig if isinstance(error, IntegrityError) else error
        if not isinstance(origin, psycopg.errors.IntegrityError):
            raise
        reason = f"{origin.diag.constraint_name}: {origin.diag.message_detail}"
        kind = RowsExist if isinstance(origin, psycopg.errors.UniqueViolation) else DataRefused
        raise kind(table=table, reason=reason) from error
