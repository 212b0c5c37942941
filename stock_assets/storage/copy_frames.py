"""Frames through PostgreSQL's COPY inside a writer's transaction: no row ever becomes a Python object.

In it goes binary, block by block. Out it comes as CSV, in which a null is an empty field without quotes and an empty
string is `""`, so that no value can be taken for a null. `reader` reads outside of transactions, and faster.
"""

import io
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import pgpq as _pgpq
import polars as pl
import psycopg
import structlog
from psycopg import sql
from pyarrow import csv as _csv
from sqlalchemy import Connection
from sqlalchemy.exc import DataError, IntegrityError

from stock_assets.domain.contract import Table
from stock_assets.domain.errors import DataRefused

# Neither ships types that pyright can use.
csv: Any = cast("Any", _csv)
pgpq: Any = cast("Any", _pgpq)

_log = structlog.get_logger(__name__)
# One COPY at most: bounds what is held in memory beside the frame, about 10 MB of daily bars.
BLOCK_ROWS = 50_000
_INSERT_ROWS = 5_000


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
    """Append `frame` to the table or temporary table `target`; the columns are those of the frame.

    A block that COPY cannot bring in, for whatever reason but a broken rule or a lost connection, goes in by INSERT.
    """
    for block in frame.iter_slices(BLOCK_ROWS):
        try:
            with conn.begin_nested():
                arrived = _copy(driver(conn), target, block)
        except (psycopg.errors.IntegrityError, psycopg.OperationalError, psycopg.InterfaceError):
            raise
        except (psycopg.Error, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())
            _log.warning("copy.fallback", table=target, rows=block.height, reason=reason)
            arrived = _insert(driver(conn), target, block)
        if arrived != block.height:
            raise DataRefused(table=target, reason=f"{block.height} rows sent, {arrived} arrived")


def _copy(raw: psycopg.Connection[Any], target: str, block: pl.DataFrame) -> int:
    rows: Any = cast("Any", block).to_arrow(compat_level=pl.CompatLevel.oldest())
    encoder = pgpq.ArrowToPostgresBinaryEncoder(rows.schema)
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(sql.Identifier(target), _names(block))
    with raw.cursor() as cursor:
        with cursor.copy(statement) as copy:
            copy.write(encoder.write_header())
            for batch in rows.to_batches():
                copy.write(encoder.write_batch(batch))
            copy.write(encoder.finish())
        return cursor.rowcount


def _insert(raw: psycopg.Connection[Any], target: str, block: pl.DataFrame) -> int:
    places = sql.SQL(", ").join(sql.Placeholder() * block.width)
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(sql.Identifier(target), _names(block), places)
    arrived = 0
    with raw.cursor() as cursor:
        for part in block.iter_slices(_INSERT_ROWS):
            cursor.executemany(statement, part.rows())
            arrived += cursor.rowcount
    return arrived


def _names(block: pl.DataFrame) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, block.columns))


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
    """Turn a broken rule of the database into `DataRefused`, a key that is taken into `RowsExist`.

    A value that no column can hold is a broken rule too.
    """
    try:
        yield
    except (psycopg.errors.DataError, DataError) as error:
        raise DataRefused(table=table, reason=" ".join(str(error).split())) from error
    except (psycopg.errors.IntegrityError, IntegrityError) as error:
        origin = error.orig if isinstance(error, IntegrityError) else error
        if not isinstance(origin, psycopg.errors.IntegrityError):
            raise
        reason = f"{origin.diag.constraint_name}: {origin.diag.message_detail}"
        kind = RowsExist if isinstance(origin, psycopg.errors.UniqueViolation) else DataRefused
        raise kind(table=table, reason=reason) from error
