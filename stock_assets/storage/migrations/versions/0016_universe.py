"""Say which stocks were listed on a day, each security once. Frozen, as every migration."""
# ruff: noqa: E501 - one comment a line is what a reader of a migration looks for

from alembic import op

revision = "0016"
down_revision = "0014"
branch_labels = None
depends_on = None

# A security that was given another number is known by the newest one; its own row names the former ones.
_UNIVERSE = """
    CREATE FUNCTION universe(day date) RETURNS TABLE (
        ts_code text, name text, exchange text, board text, list_date date, delist_date date,
        is_suspended boolean, is_st boolean, security_code text
    ) LANGUAGE sql STABLE PARALLEL SAFE AS $body$
        WITH code AS (
            SELECT DISTINCT ON (former) former, newest.ts_code AS newest, newest.delist_date
            FROM security AS newest CROSS JOIN LATERAL unnest(string_to_array(newest.former_codes, ',')) AS former
            ORDER BY former, length(newest.former_codes) DESC
        ), begun AS (
            SELECT code.newest, min(old.list_date) AS list_date
            FROM code JOIN security AS old ON old.ts_code = code.former GROUP BY code.newest
        )
        SELECT s.ts_code, s.name, s.exchange, s.board, LEAST(s.list_date, begun.list_date),
               CASE WHEN code.newest IS NULL THEN s.delist_date ELSE code.delist_date END,
               bar.is_suspended, bar.is_st, coalesce(code.newest, s.ts_code)
        FROM security AS s
        LEFT JOIN code ON code.former = s.ts_code
        LEFT JOIN begun ON begun.newest = s.ts_code
        LEFT JOIN stock_daily AS bar ON bar.ts_code = s.ts_code AND bar.trade_date = day
        WHERE s.list_date <= day AND (s.delist_date IS NULL OR day < s.delist_date)
    $body$
"""
_COMMENT = """
    COMMENT ON FUNCTION universe(date) IS '该日上市的全部证券，含此后退市的；每只证券一行 | the stocks listed on the day, those that left since included, each security once'
"""
_COLUMN = """
    COMMENT ON COLUMN security.list_date IS '上市日；换过代码的证券，为该代码启用日 | first trading day under this code'
"""
_COLUMN_BEFORE = "COMMENT ON COLUMN security.list_date IS '上市日 | first trading day'"


def upgrade() -> None:
    """Create the function."""
    op.execute(_UNIVERSE)
    op.execute(_COMMENT)
    op.execute(_COLUMN)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP FUNCTION universe(date)")
    op.execute(_COLUMN_BEFORE)
