"""A store with some bars for backups, told apart by a digest."""

from datetime import UTC, date, datetime

import polars as pl
import sqlalchemy as sa

from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.storage.bulk_load import load
from stock_assets.storage.database import Database
from stock_assets.storage.layout import rows_of

_LEDGER = """
    INSERT INTO load_ledger (dataset, trade_date, status, rows_expected, rows_present, rows_rejected, source, run_id,
        started_at, finished_at)
    SELECT 'stock_daily', d::date, 'complete', 40, 40, 0, 'baostock', 'run', now(), now()
    FROM generate_series('2025-01-01'::date, '2026-06-30', '1 day') AS d
"""
_DIGEST = "SELECT count(*), md5(string_agg(md5(line::text), '' ORDER BY ts_code, trade_date)) FROM stock_daily AS line"
BARS = 21_840
_BAR: dict[str, object] = {
    "open": 10.0,
    "high": 11.0,
    "low": 9.0,
    "pre_close": 10.0,
    "volume": 100,
    "amount": 1000.0,
    "is_suspended": False,
    "is_st": False,
    "source": "baostock",
    "updated_at": datetime(2026, 11, 20, 18, 30, tzinfo=UTC),
}


def fill(database: Database) -> Database:
    """Put 21,840 bars and their ledger into the store."""
    with database.begin() as conn:
        load(conn, STOCK_DAILY, _bars(), is_new=True)
        conn.execute(sa.text(_LEDGER))
    return database


def _bars() -> pl.DataFrame:
    number = pl.int_range(1, 41, eager=True).alias("number").to_frame()
    days = pl.date_range(date(2025, 1, 1), date(2026, 6, 30), eager=True).alias("trade_date").to_frame()
    rest = [name for name in STOCK_DAILY.names if name not in {"ts_code", "trade_date", "close"}]
    bars = number.join(days, how="cross").with_columns(
        (pl.col("number").cast(pl.String).str.zfill(6) + ".SZ").alias("ts_code"),
        (10 + pl.col("number") / 1000.0).alias("close"),
        *(pl.lit(_BAR.get(name), dtype=STOCK_DAILY.schema[name]).alias(name) for name in rest),
    )
    return STOCK_DAILY.conform(bars)


def clear(database: Database) -> None:
    """Take bars and ledger away."""
    with database.begin() as conn:
        conn.execute(sa.text(f"TRUNCATE {rows_of(conn, 'stock_daily')}, load_ledger"))


def digest(database: Database) -> tuple[object, ...]:
    """Return rows and digest of the bars."""
    with database.dedicated() as connection:
        row = connection.execute(_DIGEST).fetchone()
    assert row is not None
    return row


def address(database: Database) -> str:
    """Return the address, for another process."""
    return database.engine.url.render_as_string(hide_password=False)
