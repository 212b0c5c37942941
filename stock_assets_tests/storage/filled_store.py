"""A store with some bars for backups: filled by SQL, told apart by a digest."""

import sqlalchemy as sa

from stock_assets.storage.database import Database

_LEDGER = """
    INSERT INTO load_ledger (dataset, trade_date, status, rows_expected, rows_present, rows_rejected, source, run_id,
        started_at, finished_at)
    SELECT 'stock_daily', d::date, 'complete', 40, 40, 0, 'baostock', 'run', now(), now()
    FROM generate_series('2025-01-01'::date, '2026-06-30', '1 day') AS d
"""
_BARS = """
    INSERT INTO stock_daily (ts_code, trade_date, open, high, low, close, pre_close, volume, amount, is_suspended, is_st,
        source, updated_at)
    SELECT lpad(c::text, 6, '0') || '.SZ', d::date, 10, 11, 9, 10 + c / 1000.0, 10, 100, 1000, false, false, 'baostock',
        '2026-11-20 18:30+00'
    FROM generate_series(1, 40) AS c, generate_series('2025-01-01'::date, '2026-06-30', '1 day') AS d
"""
_DIGEST = "SELECT count(*), md5(string_agg(md5(line::text), '' ORDER BY ts_code, trade_date)) FROM stock_daily AS line"
BARS = 21_840


def fill(database: Database) -> Database:
    """Put 21,840 bars and their ledger into the store."""
    with database.begin() as conn:
        conn.execute(sa.text(_BARS))
        conn.execute(sa.text(_LEDGER))
    return database


def clear(database: Database) -> None:
    """Take bars and ledger away."""
    with database.begin() as conn:
        conn.execute(sa.text("TRUNCATE stock_daily, load_ledger"))


def digest(database: Database) -> tuple[object, ...]:
    """Return rows and digest of the bars."""
    with database.dedicated() as connection:
        row = connection.execute(_DIGEST).fetchone()
    assert row is not None
    return row


def address(database: Database) -> str:
    """Return the address, for another process."""
    return database.engine.url.render_as_string(hide_password=False)
