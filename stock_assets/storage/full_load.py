"""Load a whole table, many millions of rows, in bounded memory: frame by frame, each a transaction of its own."""

from collections.abc import Callable, Iterable
from datetime import datetime

import polars as pl
from sqlalchemy import Connection

from stock_assets.domain.contract import Table
from stock_assets.storage.bulk_load import Counts, load
from stock_assets.storage.database import Database
from stock_assets.storage.index_management import without_indexes
from stock_assets.storage.layout import refresh_statistics


def nothing_more(_conn: Connection, _frame: pl.DataFrame) -> None:
    """Write nothing beside the rows."""


def load_whole(  # noqa: PLR0913  what to load, who says so, and what else is true then
    database: Database,
    table: Table,
    frames: Iterable[pl.DataFrame],
    *,
    rows: int,
    run_id: str | None,
    now: datetime,
    beside: Callable[[Connection, pl.DataFrame], None] = nothing_more,
) -> Counts:
    """Make `table` hold the rows of conformed `frames`, about `rows` of them; return what became of them.

    `beside(conn, frame)` writes the ledger of a frame in the frame's own transaction. A load that is killed is simply
    started again: what was committed counts as unchanged then. Order by the table's key where there is a choice.

    Errors: as `bulk_load.load`; earlier frames stay.
    """
    counts = Counts()
    with without_indexes(database, table, rows_coming=rows, run_id=run_id, now=now):
        for frame in frames:
            with database.begin() as conn:
                counts += load(conn, table, frame, is_new=True, run_id=run_id)
                beside(conn, frame)
    with database.begin() as conn:
        refresh_statistics(conn, table.name)
    return counts
