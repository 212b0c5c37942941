"""Keep which gaps a source was asked for and could not fill. Frozen, as every migration."""
# ruff: noqa: E501 - one column a line is what a reader of a migration looks for

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_TEXT = sa.Text(collation="C")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "asked_gap",
        sa.Column("dataset", _TEXT, nullable=False, comment="数据集（业务表名） | dataset, the business table's name"),
        sa.Column("ts_code", _TEXT, nullable=False, comment="证券代码，如 600000.SH | security code such as 600000.SH"),
        sa.Column("trade_date", sa.Date(), nullable=False, comment="交易日 | trading day"),
        sa.Column("source", _TEXT, nullable=False, comment="被问的数据源 | who was asked"),
        sa.Column(
            "asked_days",
            sa.BigInteger(),
            nullable=False,
            comment="问过的天数（北京时间）；两天起视为该源确实没有 | on how many days it was asked, Shanghai time; from two on the source is taken to have none [days]",
        ),
        sa.Column("first_asked_on", sa.Date(), nullable=False, comment="首次询问日 | when it was first asked"),
        sa.Column("last_asked_on", sa.Date(), nullable=False, comment="最近一次询问日 | when it was last asked"),
        sa.Column(
            "ask_again_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="此刻之前不再自动询问 | not asked again by itself before",
        ),
        sa.PrimaryKeyConstraint("dataset", "ts_code", "trade_date", "source", name="pk_asked_gap"),
        sa.CheckConstraint("asked_days >= 1", name=op.f("ck_asked_gap_asked_days_range")),
        sa.CheckConstraint("ts_code ~ '^[0-9]{6}[.](SH|SZ|BJ)$'", name=op.f("ck_asked_gap_ts_code_form")),
        sa.CheckConstraint("first_asked_on <= last_asked_on", name=op.f("ck_asked_gap_first_before_last")),
        comment="问过而没有的行：数据源完整应答了该日（或该证券），其中没有这一行；行到达时即删除 | Gaps that were asked for: a source answered wholly for the day or the stock and had no such row; gone once the row lands",
    )
    op.create_index("ix_asked_gap_dataset_trade_date", "asked_gap", ["dataset", "trade_date"])


def downgrade() -> None:
    """Drop it: what no source had counts as missing again, and is asked for."""
    op.drop_table("asked_gap")
