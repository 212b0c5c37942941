"""The rules of quality on what is in the store: reads it and hands it to the validator. Nothing is written."""

from collections.abc import Sequence
from datetime import date
from typing import Final

import polars as pl

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.quality.findings import STORED_FINDING_SCHEMA
from stock_assets.quality.validator import Evidence, validate, worst_first
from stock_assets.storage import bars, reference
from stock_assets.storage.database import Connection, Database

# Sessions of a whole market that are in memory together.
_DAYS_AT_ONCE: Final = 60


def judge_stored(
    database: Database, calendar: TradingCalendar, days: Sequence[date], *, ts_codes: Sequence[str] | None = None
) -> pl.DataFrame:
    """Return what the rules find on what is stored of `days`, of these stocks or (None) of all.

    STORED_FINDING_SCHEMA, the worst first, then by day and stock. Nothing is said of days that are not loaded.
    """
    asked = sorted(set(days))
    found = [pl.DataFrame(schema=STORED_FINDING_SCHEMA)]
    with database.read() as conn:
        securities = reference.read_securities(conn)
        for first in range(0, len(asked), _DAYS_AT_ONCE):
            block = asked[first : first + _DAYS_AT_ONCE]
            found.append(validate(_evidence(conn, calendar, block, securities, ts_codes)))
    return worst_first(pl.concat(found))


def _evidence(
    conn: Connection,
    calendar: TradingCalendar,
    days: Sequence[date],
    securities: pl.DataFrame,
    ts_codes: Sequence[str] | None,
) -> Evidence:
    previous = bars.previous_closes(conn, days[0])
    return Evidence(
        days=days,
        calendar=calendar,
        securities=securities,
        bars=bars.read_bars(conn, ts_codes, days[0], days[-1]),
        previous=previous if ts_codes is None else previous.filter(pl.col("ts_code").is_in(list(ts_codes))),
        factors=bars.read_factors(conn, ts_codes, None, days[-1]),
    )
