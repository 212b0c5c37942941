"""Digests of rows by month and by day, computed by the database: whether two stores hold the same without moving a row."""

from datetime import date
from typing import Final, Literal

import polars as pl
from psycopg import sql
from sqlalchemy import Connection

from stock_assets.domain.completeness import digest_of_rows
from stock_assets.domain.contract import Table
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.indicators.table import DIGEST, TECHNICAL_DAILY
from stock_assets.storage.copy_frames import copy_out

DIGESTED: Final = {table.name: table for table in (STOCK_DAILY, ADJUST_FACTOR, TECHNICAL_DAILY)}
"""The tables that have digests."""
DIGEST_SCHEMA: Final = {"first_day": pl.Date(), "rows": pl.Int64(), "digest": pl.String()}

# Who said a row and when, and what a row was computed from, tell nothing of its values.
_CIRCUMSTANCES: Final = frozenset({"source", "updated_at", "run_id", DIGEST})
# The sum of the rows' hashes: any order of them gives the same, and the server need not sort.
_DIGESTS: Final = """
    SELECT date_trunc({by}, {day}::timestamp)::date AS part, count(*), sum(hash_record_extended(ROW({columns}), 0))::text
    FROM {table} WHERE {day} BETWEEN {start} AND {end} GROUP BY part ORDER BY part
"""


def digests(
    conn: Connection, table: Table, start: date, end: date, *, by: Literal["month", "day"] = "month"
) -> pl.DataFrame:
    """Return `first_day`, `rows` and `digest` of each month, or day, of [start, end] that has rows.

    Two stores with the same values have the same digests, whichever source and way brought them, on whichever version of
    the server and in whichever layout they lie.
    """
    day = table.key[-1]
    columns = [name for name in table.names if name not in _CIRCUMSTANCES]
    query = sql.SQL(_DIGESTS).format(
        by=by,
        day=sql.Identifier(day),
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        table=sql.Identifier(table.name),
        start=start,
        end=end,
    )
    found = copy_out(conn, query, {"first_day": pl.Date(), "rows": pl.Int64(), "total": pl.String()})
    made = [digest_of_rows(rows, int(total)) for _, rows, total in found.iter_rows()]
    return found.select("first_day", "rows", pl.Series("digest", made, dtype=pl.String))
