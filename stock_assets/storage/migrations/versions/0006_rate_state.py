"""Keep the pace of every interface where all processes see it. Frozen, as every migration."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TEXT = sa.Text(collation="C")
_TIMESTAMP = sa.DateTime(timezone=True)
_FLOAT: sa.Double[float] = sa.Double()


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "rate_state",
        sa.Column("source", _TEXT, nullable=False, comment="数据来源 | who said it"),
        sa.Column("api", _TEXT, nullable=False, comment="接口名 | interface"),
        sa.Column(
            "next_at", _TIMESTAMP, nullable=False, comment="下一次请求的最早时间 | earliest moment of the next call"
        ),
        sa.Column(
            "interval_seconds",
            _FLOAT,
            nullable=True,
            comment="放慢后的请求间隔；空 = 按设置 | spacing while slowed; null = the settings' [s]",
        ),
        sa.Column("closed_until", _TIMESTAMP, nullable=True, comment="此前不再请求 | no call before this moment"),
        sa.Column("closed_reason", _TEXT, nullable=True, comment="关闭原因 | why it is closed"),
        sa.Column(
            "learned_limit",
            sa.BigInteger(),
            nullable=True,
            comment="由拒绝得知的每分钟上限 | most calls a minute, as its refusals showed [calls]",
        ),
        sa.Column(
            "refused_at",
            _TIMESTAMP,
            nullable=True,
            comment="最近一次得知上限的时间 | when that was learned",
        ),
        sa.Column(
            "updated_at", _TIMESTAMP, nullable=False, comment="最近一次内容变化的时间 | when the content last changed"
        ),
        sa.PrimaryKeyConstraint("source", "api", name="pk_rate_state"),
        sa.CheckConstraint(
            "interval_seconds >= 0 AND interval_seconds < 'Infinity'",
            name=op.f("ck_rate_state_interval_seconds_range"),
        ),
        sa.CheckConstraint(
            "closed_reason IN ('minute', 'hour', 'day', 'permission')",
            name=op.f("ck_rate_state_closed_reason_choice"),
        ),
        sa.CheckConstraint("learned_limit >= 1", name=op.f("ck_rate_state_learned_limit_range")),
        sa.CheckConstraint(
            "(closed_until IS NULL) = (closed_reason IS NULL)", name=op.f("ck_rate_state_closed_has_reason")
        ),
        comment="请求节奏：每个接口一行，所有进程共用 | Pace of requests: one row per interface, shared by all processes",
    )


def downgrade() -> None:
    """Drop it: every interface begins anew."""
    op.drop_table("rate_state")
