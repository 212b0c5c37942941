"""Small conformed frames: every value has a default, a test names what it is about. And a meeting of two writers."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime

import polars as pl
import pytest

from stock_assets.domain.contract import Table
from stock_assets.domain.tables import RAW_BAOSTOCK_DAILY, REJECTED_ROW, SECURITY, STOCK_DAILY, TRADING_DAY
from stock_assets.storage.database import Database
from stock_assets.storage.ledger import LedgerEntry

NOW = datetime(2026, 11, 20, 18, 30, tzinfo=UTC)
LATER = datetime(2026, 11, 21, 18, 30, tzinfo=UTC)
DAY = date(2026, 11, 20)
BAR: dict[str, object] = {
    "ts_code": "600000.SH",
    "trade_date": DAY,
    "open": 10.0,
    "high": 11.0,
    "low": 9.5,
    "close": 10.5,
    "pre_close": 10.0,
    "volume": 1000,
    "amount": 10500.0,
    "turnover_rate": 0.5,
    "pct_chg": 5.0,
    "is_suspended": False,
    "is_st": False,
    "pe_ttm": -3.25,
    "pb_mrq": None,
    "ps_ttm": 1.5,
    "pcf_ncf_ttm": None,
    "source": "baostock",
    "updated_at": NOW,
}


def frame_of(table: Table, rows: Sequence[Mapping[str, object]]) -> pl.DataFrame:
    """Return rows as a conformed frame of `table`; a column that a row leaves out is null."""
    return table.conform(pl.DataFrame(rows, schema=table.schema, orient="row"))


def bars(codes: Iterable[str], days: Iterable[date], **values: object) -> pl.DataFrame:
    """Return one bar for each code on each day."""
    ordered = list(days)
    rows = [BAR | {"ts_code": code, "trade_date": day} | values for code in codes for day in ordered]
    return frame_of(STOCK_DAILY, rows)


def security(ts_code: str, list_date: date, delist_date: date | None = None, **values: object) -> dict[str, object]:
    """Return one row of the securities."""
    row = {"ts_code": ts_code, "exchange": ts_code[-2:], "board": "main", "list_date": list_date}
    return row | {"delist_date": delist_date, "status": "listed", "source": "baostock", "updated_at": NOW} | values


def securities(rows: Sequence[Mapping[str, object]]) -> pl.DataFrame:
    """Return the securities as a frame."""
    return frame_of(SECURITY, rows)


def trading_days(days: Iterable[date], *, is_open: bool = True) -> pl.DataFrame:
    """Return these days of the calendar."""
    rows = [{"trade_date": day, "is_open": is_open, "source": "calendar", "updated_at": NOW} for day in days]
    return frame_of(TRADING_DAY, rows)


def entry(**values: object) -> LedgerEntry:
    """Return a line of the ledger for a complete day."""
    line: dict[str, object] = {
        "dataset": "stock_daily",
        "trade_date": DAY,
        "status": "complete",
        "rows_expected": 2,
        "rows_present": 2,
        "rows_rejected": 0,
        "source": "baostock",
        "started_at": NOW,
        "finished_at": NOW,
    }
    return LedgerEntry(**(line | values))  # pyright: ignore[reportArgumentType]


def answer(codes: list[str], **values: str | None) -> pl.DataFrame:
    """Return a source's answer for one day: every field is `1.0000` unless said."""
    fields = [name for name in RAW_BAOSTOCK_DAILY.names if name not in {"fetched_at", "run_id"}]
    rows = [dict.fromkeys(fields, "1.0000") | {"date": "2026-11-20", "code": code} | values for code in codes]
    return pl.DataFrame(rows, schema=dict.fromkeys(fields, pl.String()), orient="row")


def rejected(*digests: str, day: date = DAY, dataset: str = "stock_daily", **values: object) -> pl.DataFrame:
    """Return one rejected row for each digest."""
    row: dict[str, object] = {
        "dataset": dataset,
        "trade_date": day,
        "ts_code": "600000.SH",
        "rule": "high_below_low",
        "row_text": '{"high": "1"}',
        "source": "baostock",
        "run_id": "run",
        "rejected_at": NOW,
    }
    return frame_of(REJECTED_ROW, [row | {"row_digest": digest} | values for digest in digests])


def wait_until_blocked(database: Database) -> None:
    """Wait until a transaction on `database` waits for a lock of another."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with database.dedicated() as connection:
        for _ in range(500):
            row = connection.execute(waiting).fetchone()
            if row is not None and row[0]:
                return
            connection.execute("SELECT pg_sleep(0.01)")
    pytest.fail("nobody waited for a lock")
