"""How many sessions the server allows and has, and how many a run of ours takes: measured, see `docs/maintenance.md`."""

from dataclasses import dataclass

import sqlalchemy as sa

from stock_assets.storage.database import Database

# Of a run: its transactions and its lock in the store, the lock and the reading session of indicators and snapshots, and
# Dagster's records of it.
_OF_A_RUN = 8
# Of each session with a source: the count of requests and the slot.
_OF_A_SOURCE_SESSION = 2
# Four runs at once (dagster.yaml), web server, daemon, code location, and a command typed by hand.
PROCESSES = 8
_ASKED = sa.text("""
    SELECT current_setting('max_connections')::integer AS most,
           current_setting('superuser_reserved_connections')::integer
           + coalesce(current_setting('reserved_connections', true)::integer, 0) AS reserved,
           (SELECT count(*) FROM pg_stat_activity WHERE coalesce(backend_type, 'client backend') = 'client backend') AS used
""")


@dataclass(frozen=True, slots=True)
class Capacity:
    """The server's connections: `most` of all, of which `reserved` are kept for administrators; `used` at the moment."""

    most: int
    reserved: int
    used: int

    @property
    def allowed(self) -> int:
        """Return how many are for everybody."""
        return self.most - self.reserved


def capacity(database: Database) -> Capacity:
    """Return the server's connections as they are now, our own question included."""
    with database.read() as conn:
        row = conn.execute(_ASKED).one()
    return Capacity(row.most, row.reserved, row.used)


def needed_by_a_run(source_sessions: int) -> int:
    """Return the most connections that one run takes while it keeps `source_sessions` sessions with its source open."""
    return _OF_A_RUN + _OF_A_SOURCE_SESSION * source_sessions
