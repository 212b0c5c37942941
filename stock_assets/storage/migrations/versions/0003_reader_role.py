"""Give people who only read a role of their own, on servers where the store's user may create one.

`GRANT stock_assets_reader TO alice` is all that a person needs. Frozen, as every migration.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# A role belongs to the whole server: another store may have made it before, or be making it now.
_GRANT = """
    DO $body$
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'stock_assets_reader') THEN
            BEGIN
                CREATE ROLE stock_assets_reader NOLOGIN;
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN NULL;
                WHEN insufficient_privilege THEN
                    RAISE WARNING 'the role stock_assets_reader was not made: this user may not create roles';
                    RETURN;
            END;
        END IF;
        BEGIN
            IF NOT pg_has_role(current_user, 'stock_assets_reader', 'MEMBER') THEN
                EXECUTE format('GRANT stock_assets_reader TO %I', current_user);
            END IF;
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE WARNING 'this user is no member of the role stock_assets_reader and may not become one';
        END;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO stock_assets_reader', current_schema());
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO stock_assets_reader', current_schema());
        EXECUTE format(
            'ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT ON TABLES TO stock_assets_reader', current_schema()
        );
    END
    $body$
"""
_REVOKE = """
    DO $body$
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'stock_assets_reader') THEN
            RETURN;
        END IF;
        EXECUTE format(
            'ALTER DEFAULT PRIVILEGES IN SCHEMA %I REVOKE SELECT ON TABLES FROM stock_assets_reader', current_schema()
        );
        EXECUTE format('REVOKE SELECT ON ALL TABLES IN SCHEMA %I FROM stock_assets_reader', current_schema());
        EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM stock_assets_reader', current_schema());
    END
    $body$
"""


def upgrade() -> None:
    """Create the role unless it is there, and let it read every table of this schema, later ones included."""
    op.execute(_GRANT)


def downgrade() -> None:
    """Take its rights in this schema; the role itself stays, because another store may use it."""
    op.execute(_REVOKE)
