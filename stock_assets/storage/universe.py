"""Which stocks there were on a day, those that have left since included."""

from datetime import date
from typing import Final

import polars as pl
from psycopg import sql

from stock_assets.domain.contract import Kind
from stock_assets.storage.arrow_session import ArrowSession, arrow, arrow_schema

_KINDS: Final[dict[str, Kind]] = {
    "ts_code": "text",
    "name": "text",
    "exchange": "text",
    "board": "text",
    "list_date": "date",
    "delist_date": "date",
    "is_suspended": "boolean",
    "is_st": "boolean",
    "security_code": "text",
}


def read_universe(session: ArrowSession, day: date) -> pl.DataFrame:
    """Return the stocks listed on `day`, by code; the two flags are null where the store has no bar of the day."""
    columns = sql.SQL(", ").join(map(sql.Identifier, _KINDS))
    query = sql.SQL("SELECT {} FROM universe({}) ORDER BY ts_code").format(columns, day)
    schema = arrow_schema(_KINDS)
    return pl.DataFrame(arrow.Table.from_batches(list(session.batches(query, schema)), schema=schema))
