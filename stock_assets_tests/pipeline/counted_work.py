"""A list of work over numbers: tables say what is wanted and what is there, and every call to the source is counted."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from stock_assets.domain.errors import SourceUnavailable, StockAssetsError
from stock_assets.pipeline.history import Batch
from stock_assets.storage.database import Database
from stock_assets.storage.sync_tasks import JobType

ROWS_PER_ITEM = 3


def make_tables(database: Database, items: int) -> None:
    """Want the numbers below `items`."""
    with database.begin() as conn:
        conn.execute(sa.text("CREATE TABLE wanted (item bigint PRIMARY KEY)"))
        conn.execute(sa.text("CREATE TABLE got (item bigint, part int, PRIMARY KEY (item, part))"))
        conn.execute(sa.text("CREATE TABLE called (id bigserial, item bigint)"))
        conn.execute(sa.text("INSERT INTO wanted SELECT generate_series(0, :last)"), {"last": items - 1})


def numbers(database: Database, query: str) -> list[int]:
    """Return the first column of a query."""
    with database.read() as conn:
        return [int(value) for value in conn.scalars(sa.text(query))]


@dataclass(slots=True)
class CountedWork:
    """The list: what is wanted and not got.

    `fails` says how often an item's call still fails; `silent` are never there, `late` ones not yet.
    """

    database: Database
    fails: dict[int, int] = field(default_factory=dict[int, int])
    silent: frozenset[int] = frozenset()
    late: frozenset[int] = frozenset()
    pause_seconds: float = 0.0
    before_commit: Callable[[Sequence[int]], None] | None = None
    error: StockAssetsError | None = None
    job_type: JobType = "FINANCE_HISTORY"

    def remaining(self) -> Sequence[int]:
        """Return what is wanted and not there."""
        return numbers(self.database, "SELECT item FROM wanted WHERE item NOT IN (SELECT item FROM got) ORDER BY item")

    def third_code(self, item: int) -> str:
        """Return the item's name."""
        return f"{item:06d}"

    def work(self, batch: Batch[int]) -> None:
        """Call for each item, then write all that came in one transaction."""
        came = [item for item in batch.items if self._call(item, batch)]
        if self.error is not None:
            raise self.error
        with batch.transaction() as transaction:
            for item in came:
                for part in range(ROWS_PER_ITEM):
                    transaction.connection.execute(
                        sa.text("INSERT INTO got VALUES (:item, :part)"), {"item": item, "part": part}
                    )
            transaction.done(came, rows=ROWS_PER_ITEM * len(came))
            if self.before_commit is not None:
                self.before_commit(came)

    def _call(self, item: int, batch: Batch[int]) -> bool:
        time.sleep(self.pause_seconds)
        with self.database.begin() as conn:
            conn.execute(sa.text("INSERT INTO called (item) VALUES (:item)"), {"item": item})
        if self.fails.get(item, 0) > 0:
            self.fails[item] -= 1
            batch.failed(item, SourceUnavailable(source="far", reason="reset"))
            return False
        if item in self.late:
            batch.later(item)
        if item in self.silent:
            batch.lacks(item, f"{item} has no rows")
        return item not in self.silent | self.late
