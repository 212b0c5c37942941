"""Keep which snapshots of a trading day there are. Frozen, as every migration."""
# ruff: noqa: E501 - one column a line is what a reader of a migration looks for

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TEXT = sa.Text(collation="C")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "cache_snapshot",
        sa.Column("trade_date", sa.Date(), nullable=False, comment="交易日 | trading day"),
        sa.Column(
            "snapshot_id",
            _TEXT,
            nullable=False,
            comment="快照编号：输入内容、列与代码版本的摘要 | digest of the inputs' content, the columns and the code version",
        ),
        sa.Column(
            "is_current",
            sa.Boolean(),
            nullable=False,
            comment="是否为该日当前的快照 | whether it is the day's snapshot now",
        ),
        sa.Column("digest", _TEXT, nullable=False, comment="文件内容的 SHA-256 | SHA-256 of the file"),
        sa.Column("bytes", sa.BigInteger(), nullable=False, comment="文件大小 | size of the file [bytes]"),
        sa.Column(
            "rows",
            sa.BigInteger(),
            nullable=False,
            comment="行数：当日上市的证券 | rows: the stocks listed on the day [rows]",
        ),
        sa.Column(
            "path",
            _TEXT,
            nullable=False,
            comment="文件，相对于快照目录 | the file, relative to the folder of snapshots",
        ),
        sa.Column("inputs", _TEXT, nullable=False, comment="各项输入的摘要（JSON） | digest of each input, JSON"),
        sa.Column("reason", _TEXT, nullable=False, comment="为何产生这个版本 | why there is this version"),
        sa.Column("code_version", _TEXT, nullable=False, comment="生成代码的版本 | version of the code that made it"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="发布时间 | when it was published",
        ),
        sa.Column("run_id", _TEXT, nullable=True, comment="写入该行的运行编号 | run that wrote the row"),
        sa.PrimaryKeyConstraint("trade_date", "snapshot_id", name="pk_cache_snapshot"),
        sa.CheckConstraint("bytes >= 1", name=op.f("ck_cache_snapshot_bytes_range")),
        sa.CheckConstraint("rows >= 0", name=op.f("ck_cache_snapshot_rows_range")),
        sa.CheckConstraint("snapshot_id ~ '^[0-9a-f]{16}$'", name=op.f("ck_cache_snapshot_snapshot_id_form")),
        sa.CheckConstraint("digest ~ '^[0-9a-f]{64}$'", name=op.f("ck_cache_snapshot_digest_form")),
        comment="每日快照：每个交易日的每个版本一行，内容在文件中 | Daily snapshots: one row for every version of a trading day's snapshot, whose content is in a file",
    )
    op.create_index("ix_cache_snapshot_snapshot_id", "cache_snapshot", ["snapshot_id"])
    op.create_index(
        "ix_cache_snapshot_trade_date",
        "cache_snapshot",
        ["trade_date"],
        unique=True,
        postgresql_where=sa.text("is_current"),
    )


def downgrade() -> None:
    """Drop it: the files are no longer known, and the next publication removes them."""
    op.drop_table("cache_snapshot")
