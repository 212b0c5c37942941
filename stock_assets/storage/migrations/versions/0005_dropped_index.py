"""Remember the indexes that are dropped while a whole table is loaded. Frozen, as every migration."""
# ruff: noqa: E501 - one column a line is what a reader of a migration looks for

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TEXT = sa.Text(collation="C")
_TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the record."""
    op.create_table(
        "dropped_index",
        sa.Column("index_name", _TEXT, nullable=False, comment="索引名 | index"),
        sa.Column("table_name", _TEXT, nullable=False, comment="所属表 | table it belongs to"),
        sa.Column("definition", _TEXT, nullable=False, comment="重建语句 | statement that builds it"),
        sa.Column("run_id", _TEXT, nullable=True, comment="写入该行的运行编号 | run that wrote the row"),
        sa.Column("dropped_at", _TIMESTAMP, nullable=False, comment="删除时间 | when it was dropped"),
        sa.Column(
            "problem",
            _TEXT,
            nullable=True,
            comment="最近一次重建失败的原因 | why it could not be built last time",
        ),
        sa.PrimaryKeyConstraint("index_name", name="pk_dropped_index"),
        comment="整体装载期间暂时删除的索引；平时为空，残留的会在下次装载开始时重建 | Indexes dropped while a whole table is loaded; empty otherwise, what is left is built again when the next load starts",
    )


def downgrade() -> None:
    """Build what is still dropped, and drop the record."""
    conn = op.get_bind()
    for name, definition in list(conn.execute(sa.text("SELECT index_name, definition FROM dropped_index"))):
        # It may be there, whole or half built.
        conn.exec_driver_sql(f"DROP INDEX IF EXISTS {name}")
        conn.exec_driver_sql(definition)
    op.drop_table("dropped_index")
