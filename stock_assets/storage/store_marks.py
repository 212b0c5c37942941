"""Whether the store has changed since somebody last looked, and which days: read off the ledger and the factors.

Every load writes its days' lines of the ledger in the transaction of the rows, but for a line that would say the same; bars
have a digest in theirs, factors have none and are looked at themselves. What somebody changes by hand, past the ledger, is
not noticed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl
from psycopg import sql
from sqlalchemy import Connection, text

from stock_assets.storage.copy_frames import copy_out

# A new version of a row has a new xmin, whatever it holds and whichever clock wrote it; a row that somebody committed late
# shows as well, where the newest of the rows' own times would hide it.
_TOTALS = text("""
    SELECT (SELECT system_identifier FROM pg_control_system())::text || '.' ||
               (SELECT oid FROM pg_database WHERE datname = current_database())::text AS store,
           (SELECT count(*) || '.' || coalesce(sum(xmin::text::bigint), 0) FROM load_ledger) AS ledger,
           (SELECT count(*) || '.' || coalesce(sum(xmin::text::bigint), 0) FROM adjust_factor) AS factors
""")
_LINES = sql.SQL("SELECT dataset, trade_date, xmin::text::bigint FROM load_ledger")
_LINE_SCHEMA = {"dataset": pl.String(), "trade_date": pl.Date(), "mark": pl.Int64()}


@dataclass(frozen=True, slots=True)
class StoreMarks:
    """One state of the store; `store` tells this database from every other one."""

    store: str
    ledger: str
    factors: str
    lines: pl.DataFrame

    @property
    def name(self) -> str:
        """Return a name for this state, the same to every process that sees it."""
        return f"{self.store}:{self.ledger}:{self.factors}"


@dataclass(frozen=True, slots=True)
class StoreChanges:
    """What changed between two looks: days by dataset, and whether any factor did."""

    days: Mapping[str, frozenset[date]]
    has_new_factors: bool

    def __bool__(self) -> bool:
        """Return whether anything changed."""
        return bool(self.days) or self.has_new_factors


def read_marks(conn: Connection, known: StoreMarks | None = None) -> StoreMarks:
    """Return the marks of what `conn` sees, which must be one state; cheap when nothing changed since `known`."""
    totals = conn.execute(_TOTALS).one()
    has_same = known is not None and known.ledger == totals.ledger
    lines = known.lines if known is not None and has_same else copy_out(conn, _LINES, _LINE_SCHEMA)
    return StoreMarks(totals.store, totals.ledger, totals.factors, lines)


def changes(before: StoreMarks, after: StoreMarks) -> StoreChanges:
    """Return what changed: lines that are new, were written again, or are gone."""
    changed = pl.concat(
        [
            after.lines.join(before.lines, on=list(_LINE_SCHEMA), how="anti"),
            before.lines.join(after.lines, on=["dataset", "trade_date"], how="anti"),
        ]
    )
    days = {
        str(dataset): frozenset(lines["trade_date"])
        for (dataset,), lines in changed.partition_by("dataset", as_dict=True).items()
    }
    return StoreChanges(days, before.factors != after.factors)
