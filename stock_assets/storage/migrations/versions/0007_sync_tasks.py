"""Keep the state of long synchronizations and what failed in them. Frozen, as every migration."""
# ruff: noqa: E501 - one column a line is what a reader of a migration looks for

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TEXT = sa.Text(collation="C")
_INTEGER = sa.BigInteger()
_TIMESTAMP = sa.DateTime(timezone=True)
_ID = "数据库生成的行号 | row number given by the database"


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "sync_tasks",
        sa.Column("id", _INTEGER, sa.Identity(always=True), nullable=False, comment=_ID),
        sa.Column("job_type", _TEXT, nullable=False, comment="任务类型 | type of job"),
        sa.Column(
            "status",
            _TEXT,
            nullable=False,
            comment="状态；无进程持有的 RUNNING 会被接着运行 | state; RUNNING without a living process is gone on with",
        ),
        sa.Column("current_offset", _INTEGER, nullable=False, comment="已完成的项数 | items done [items]"),
        sa.Column(
            "total_items",
            _INTEGER,
            nullable=True,
            comment="总项数（最近一次清点） | items in all, when last counted [items]",
        ),
        sa.Column("batch_size", _INTEGER, nullable=False, comment="每批项数 | items per batch [items]"),
        sa.Column("total_processed", _INTEGER, nullable=False, comment="已写入行数 | rows written [rows]"),
        sa.Column("attempts", _INTEGER, nullable=False, comment="启动次数 | times it was started [times]"),
        sa.Column("started_at", _TIMESTAMP, nullable=False, comment="首次启动时间 | when it was first started"),
        sa.Column("updated_at", _TIMESTAMP, nullable=False, comment="最近一次进展的时间 | when it last moved"),
        sa.Column("completed_at", _TIMESTAMP, nullable=True, comment="完成时间 | when it was complete"),
        sa.Column("error_message", _TEXT, nullable=True, comment="停止或失败的原因 | why it stopped"),
        sa.Column("config", _TEXT, nullable=False, comment="任务参数（JSON） | what it was made for, JSON"),
        sa.PrimaryKeyConstraint("id", name="pk_sync_tasks"),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_sync_tasks_attempts_range")),
        sa.CheckConstraint("batch_size >= 1", name=op.f("ck_sync_tasks_batch_size_range")),
        sa.CheckConstraint(
            "(status = 'COMPLETED') = (completed_at IS NOT NULL)", name=op.f("ck_sync_tasks_completed_has_time")
        ),
        sa.CheckConstraint("current_offset >= 0", name=op.f("ck_sync_tasks_current_offset_range")),
        sa.CheckConstraint(
            "job_type IN ('DAILY_HISTORY', 'FINANCE_HISTORY', 'DAILY_INCREMENTAL', 'FINANCE_INCREMENTAL')",
            name=op.f("ck_sync_tasks_job_type_choice"),
        ),
        sa.CheckConstraint(
            "status IN ('PENDING', 'RUNNING', 'COMPLETED', 'FAILED', 'PAUSED')",
            name=op.f("ck_sync_tasks_status_choice"),
        ),
        sa.CheckConstraint("total_items >= 0", name=op.f("ck_sync_tasks_total_items_range")),
        sa.CheckConstraint("total_processed >= 0", name=op.f("ck_sync_tasks_total_processed_range")),
        comment="同步任务：进度与其数据在同一事务写入，中断后由此继续 | Synchronization tasks: progress is written in the transaction of its data, and gone on from",
    )
    op.create_index(
        "ix_sync_tasks_job_type",
        "sync_tasks",
        ["job_type"],
        unique=True,
        postgresql_where=sa.text("status = 'RUNNING'"),
    )
    op.create_table(
        "sync_failure_records",
        sa.Column("id", _INTEGER, sa.Identity(always=True), nullable=False, comment=_ID),
        sa.Column("job_type", _TEXT, nullable=False, comment="任务类型 | type of job"),
        sa.Column(
            "third_code", _TEXT, nullable=False, comment="失败项：证券代码、日期等 | what failed: a code, a day …"
        ),
        sa.Column("error_message", _TEXT, nullable=False, comment="失败原因 | why it failed"),
        sa.Column("retry_count", _INTEGER, nullable=False, comment="已重试次数 | failed retries [times]"),
        sa.Column(
            "max_retries", _INTEGER, nullable=False, comment="自动重试上限 | retries before a person is needed [times]"
        ),
        sa.Column("last_attempt_at", _TIMESTAMP, nullable=False, comment="最近一次尝试的时间 | when it was last tried"),
        sa.Column("resolved_at", _TIMESTAMP, nullable=True, comment="解决时间 | when it was done"),
        sa.PrimaryKeyConstraint("id", name="pk_sync_failure_records"),
        sa.CheckConstraint(
            "job_type IN ('DAILY_HISTORY', 'FINANCE_HISTORY', 'DAILY_INCREMENTAL', 'FINANCE_INCREMENTAL')",
            name=op.f("ck_sync_failure_records_job_type_choice"),
        ),
        sa.CheckConstraint("max_retries >= 0", name=op.f("ck_sync_failure_records_max_retries_range")),
        sa.CheckConstraint("retry_count >= 0", name=op.f("ck_sync_failure_records_retry_count_range")),
        comment="同步失败记录：每次同步先重试未解决的，超过次数则等人处理 | Failures of synchronizations: open ones are tried first, and after enough retries wait for a person",
    )
    op.create_index(
        "ix_sync_failure_records_job_type_third_code",
        "sync_failure_records",
        ["job_type", "third_code"],
        unique=True,
        postgresql_where=sa.text("resolved_at IS NULL"),
    )


def downgrade() -> None:
    """Drop both: what was synchronized stays."""
    op.drop_table("sync_failure_records")
    op.drop_table("sync_tasks")
