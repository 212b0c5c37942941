"""One partition is one trading day, from 1990-12-19 on, keys `YYYY-MM-DD`.

Dagster lists a day from its own midnight on, and on a holiday already the next session: what is *due* is decided by the
calendar and the source's published time, never by this grid.
"""

from collections.abc import Iterable
from datetime import date, datetime, time

from dagster import TimeWindowPartitionsDefinition

from stock_assets.domain.calendar import FIRST_SESSION, TradingCalendar, parse_day

KEY_FORMAT = "%Y-%m-%d"


def trading_days(calendar: TradingCalendar) -> TimeWindowPartitionsDefinition:
    """Return the partitions: the weekdays of the calendar without its holidays."""
    closed = [datetime.combine(day, time.min) for day in calendar.closed_weekdays()]
    return TimeWindowPartitionsDefinition(
        start=FIRST_SESSION.isoformat(),
        cron_schedule="0 0 * * 1-5",
        fmt=KEY_FORMAT,
        timezone="Asia/Shanghai",
        end_offset=1,
        exclusions=closed,
    )


def days_of(partition_keys: Iterable[str]) -> list[date]:
    """Return the days that keys stand for, in order."""
    return sorted(parse_day(key) for key in partition_keys)
