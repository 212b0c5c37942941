"""Rules on the trading calendar as it is stored."""

from typing import Final

import polars as pl

from stock_assets.domain.tables import TRADING_DAY
from stock_assets.quality.findings import FINDING_SCHEMA, WHOLE_DAY
from stock_assets.quality.marks import Mark, findings_of, told

_FRIDAY: Final = 5


def judge_calendar(days: pl.DataFrame) -> pl.DataFrame:
    """Return findings on rows of `trading_day` in any order, each about the whole day.

    Every calendar day between the first and the last has a row; `previous_open` is the newest open day before; the
    exchanges do not trade on weekends (8,797 recorded sessions, not one of them); both calendars say the same.
    """
    if days.is_empty():
        return pl.DataFrame(schema=FINDING_SCHEMA)
    rows = days.sort("trade_date").with_columns(
        pl.lit(WHOLE_DAY).alias("ts_code"),
        pl.when("is_open").then("trade_date").forward_fill().shift(1).alias("newest_open"),
        (pl.col("trade_date") - pl.col("trade_date").shift(1)).dt.total_days().alias("days_since"),
    )
    is_other = pl.col("previous_open").is_not_null() & (pl.col("previous_open") != pl.col("newest_open"))
    marks = (
        Mark("duplicate_key", pl.col("days_since") == 0, pl.lit("several rows")),
        Mark("calendar_day_missing", pl.col("days_since") > 1, told("days_since")),
        Mark("session_on_weekend", pl.col("is_open") & (pl.col("trade_date").dt.weekday() > _FRIDAY), told("is_open")),
        Mark("previous_open_wrong", is_other & (pl.col("days_since") == 1), told("previous_open", "newest_open")),
        Mark("calendars_differ", ~pl.col("sources_agree"), told("is_open", "source_is_open")),
    )
    return findings_of(rows, TRADING_DAY.name, marks)
