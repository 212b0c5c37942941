"""Keep findings that cannot be right and yet do not refuse their row. Frozen, as every migration."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_CONSTRAINT = "ck_quality_finding_severity_choice"


def upgrade() -> None:
    """Let a finding be an error."""
    op.execute(f"ALTER TABLE quality_finding DROP CONSTRAINT {_CONSTRAINT}")
    op.execute(
        f"ALTER TABLE quality_finding ADD CONSTRAINT {_CONSTRAINT} CHECK (severity IN ('info', 'warning', 'error'))"
    )


def downgrade() -> None:
    """Call such findings warnings again."""
    op.execute("UPDATE quality_finding SET severity = 'warning' WHERE severity = 'error'")
    op.execute(f"ALTER TABLE quality_finding DROP CONSTRAINT {_CONSTRAINT}")
    op.execute(f"ALTER TABLE quality_finding ADD CONSTRAINT {_CONSTRAINT} CHECK (severity IN ('info', 'warning'))")
