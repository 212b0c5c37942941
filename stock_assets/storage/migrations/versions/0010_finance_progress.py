"""Keep how far each stock's reports are in the store, by source. Frozen, as every migration."""
# ruff: noqa: E501 - one column a line is what a reader of a migration looks for

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TEXT = sa.Text(collation="C")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "finance_progress",
        sa.Column("ts_code", _TEXT, nullable=False, comment="证券代码，如 600000.SH | security code such as 600000.SH"),
        sa.Column("source", _TEXT, nullable=False, comment="数据来源 | who was asked"),
        sa.Column(
            "first_period",
            sa.Date(),
            nullable=False,
            comment="报告期末日不早于此日的报告均已取得 | reports for periods that end on or after this day are in the store",
        ),
        sa.Column(
            "known_through",
            sa.Date(),
            nullable=False,
            comment="截至此自然日的公告均已取得 | announcements up to this calendar day are in the store",
        ),
        sa.Column(
            "fetched_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="最近一次就该股票取数的时间 | when this stock was last asked for",
        ),
        sa.Column("run_id", _TEXT, nullable=True, comment="写入该行的运行编号 | run that wrote the row"),
        sa.PrimaryKeyConstraint("ts_code", "source", name="pk_finance_progress"),
        sa.CheckConstraint("ts_code ~ '^[0-9]{6}[.](SH|SZ|BJ)$'", name=op.f("ck_finance_progress_ts_code_form")),
        sa.CheckConstraint(
            "known_through >= first_period", name=op.f("ck_finance_progress_known_through_not_before_first")
        ),
        comment="财务指标的取数进度：每个数据源每只股票一行，与其数据在同一事务写入 | How far reports are in the store: one row for each stock of a source, written in the transaction of its reports",
    )


def downgrade() -> None:
    """Drop it: the reports stay, and are asked for again."""
    op.drop_table("finance_progress")
