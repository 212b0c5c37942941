"""A few made-up trading days of a small market, with everything that a snapshot of them is made of."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from stock_assets.domain.calendar import SHANGHAI, TradingCalendar
from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.domain.tables import ADJUST_FACTOR, SECURITY, STOCK_DAILY, TRADING_DAY
from stock_assets.indicators.table import DIGEST, TECHNICAL_DAILY
from stock_assets.storage import bulk_load
from stock_assets.storage.database import Database
from stock_assets_tests.storage.made_up_rows import BAR, NOW, frame_of, security

MONDAY = date(2026, 11, 16)
WEEK = [MONDAY + timedelta(offset) for offset in range(5)]
SESSIONS = [MONDAY - timedelta(days=7 * week - day) for week in range(20, 0, -1) for day in range(5)] + WEEK
CALENDAR = TradingCalendar.of(SESSIONS)
EVENING = datetime(2026, 11, 20, 20, 0, tzinfo=SHANGHAI)
CODES = ["000001.SZ", "300001.SZ", "600000.SH", "688001.SH", "830001.BJ"]


def technicals(codes: Sequence[str], days: Sequence[date], *, seed: int = 1) -> pl.DataFrame:
    """Return a row of indicators for each code and day, all of them made up."""
    random = np.random.default_rng(seed)
    rows = [{"ts_code": code, "trade_date": day, DIGEST: 7} for code in codes for day in days]
    columns = {
        column.name: {
            "float": lambda: random.uniform(1, 90, len(rows)),
            "integer": lambda: random.integers(0, 9, len(rows)),
            "boolean": lambda: random.integers(0, 9, len(rows)) == 0,
        }[column.kind]()
        for column in TECHNICAL_DAILY.columns
        if column.name not in ("ts_code", "trade_date", DIGEST)
    }
    return TECHNICAL_DAILY.conform(pl.DataFrame(rows).with_columns(**{n: pl.Series(v) for n, v in columns.items()}))


def a_report(code: str, end: date, announced: date, **values: object) -> dict[str, object]:
    """Return a version of a report that readers could know from the day after its announcement."""
    return {
        "ts_code": code, "end_date": end, "ann_date": announced, "version": 1, "known_from": announced + timedelta(1),
        "ann_date_basis": "stated", "is_chosen": True, "source": "tushare", "fetched_at": NOW,
    } | values  # fmt: skip


def fill(database: Database, days: Sequence[date] = WEEK) -> None:
    """Fill the store: five stocks, of which one is suspended on the last day, one goes ex on it and one is new."""
    listed = [
        security("000001.SZ", SESSIONS[0], name="平安银行"),
        security("300001.SZ", SESSIONS[0], name="特锐德", board="chinext"),
        security("600000.SH", SESSIONS[0], name="浦发银行"),
        security("688001.SH", WEEK[2], name="华兴源创", board="star"),
        security("830001.BJ", SESSIONS[0], name="北交", board="bse"),
        security("600001.SH", SESSIONS[0], WEEK[1], name="邯郸钢铁", status="delisted"),
    ]
    bars = [
        BAR | {"ts_code": code, "trade_date": day, "close": 10 + place / 10, "is_suspended": _halts(code, day)}
        for place, code in enumerate(CODES)
        for day in days
        if code != "688001.SH" or day >= WEEK[2]
    ]
    traded = [(str(bar["ts_code"]), bar["trade_date"]) for bar in bars if not bar["is_suspended"]]
    values = technicals(CODES, days).filter(
        pl.struct("ts_code", "trade_date").map_elements(
            lambda key: (key["ts_code"], key["trade_date"]) in traded, return_dtype=pl.Boolean
        )
    )
    factor = {"ts_code": "600000.SH", "back_adjust_factor": 2.0, "source": "baostock", "updated_at": NOW}
    factors = [factor | {"ex_date": SESSIONS[3]}, factor | {"ex_date": WEEK[4], "back_adjust_factor": 4.0}]
    reports = [
        a_report("600000.SH", date(2026, 6, 30), date(2026, 8, 28), eps=1.0, roe=5.0),
        a_report("600000.SH", date(2026, 9, 30), WEEK[1], eps=1.5, roe=7.5),
        a_report("600000.SH", date(2026, 9, 30), WEEK[3], eps=1.25, roe=7.0),
        a_report("000001.SZ", date(2026, 9, 30), WEEK[4], eps=9.0),
    ]
    with database.begin() as conn:
        bulk_load.load(conn, SECURITY, frame_of(SECURITY, listed))
        bulk_load.load(conn, STOCK_DAILY, frame_of(STOCK_DAILY, bars))
        bulk_load.load(conn, TECHNICAL_DAILY, values)
        bulk_load.load(conn, ADJUST_FACTOR, frame_of(ADJUST_FACTOR, factors))
        bulk_load.load(conn, FINANCE_INDICATOR, frame_of(FINANCE_INDICATOR, reports))


def fill_calendar(database: Database) -> None:
    """Fill the calendar of the sessions, which both calendars know."""
    days = [
        {"trade_date": day, "is_open": True, "previous_open": before, "source_is_open": True, "sources_agree": True,
         "source": "baostock", "updated_at": NOW}
        for before, day in zip([None, *SESSIONS], SESSIONS, strict=False)
    ]  # fmt: skip
    with database.begin() as conn:
        bulk_load.load(conn, TRADING_DAY, frame_of(TRADING_DAY, days))


def _halts(code: str, day: date) -> bool:
    return code == "000001.SZ" and day == WEEK[4]
