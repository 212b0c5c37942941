"""Lay the daily bars out by trading day: native partitions, or a hypertable where TimescaleDB is present.

The statements live in `storage.layout`, which lays tables out at other times too; what they mean for columns and rules is
nothing, so that a later change of theirs cannot change what this revision stands for. A later revision that changes columns
of such a table lays it out plain before, and as it was after.
"""

from alembic import op

from stock_assets.storage.layout import best_layout, convert
from stock_assets.storage.timescale import arrange

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TABLES = ("stock_daily",)


def upgrade() -> None:
    """Rewrite the table into the best layout of this server, compressed by the server itself where it can."""
    conn = op.get_bind()
    layout = best_layout(conn)
    for table in _TABLES:
        convert(conn, table, layout)
        if layout == "hypertable":
            arrange(conn, table)


def downgrade() -> None:
    """Rewrite it into one plain table; TimescaleDB stays switched on in the database."""
    for table in _TABLES:
        convert(op.get_bind(), table, "plain")
