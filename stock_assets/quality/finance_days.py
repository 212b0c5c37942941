"""Which trading days know every announcement: the law of the ledger's lines of finance reports.

Trading day T holds the announcements of (T-1, T]. It is whole when every stock that is listed on it is known on it: asked
for since a period before T, with announcements through T in the store. A stock without progress is known on no day.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import polars as pl

STOCK_SCHEMA = pl.Schema(
    {
        "ts_code": pl.String(),
        "list_date": pl.Date(),
        "delist_date": pl.Date(),
        "first_period": pl.Date(),
        "known_through": pl.Date(),
        "fetched_at": pl.Datetime("us", "UTC"),
    }
)
"""A stock and how far it is known; `delist_date` is null while it trades, the last three before it was ever asked for."""

_NEVER = date(9999, 12, 31)
_DAY = timedelta(days=1)


def unknown_stocks(stocks: pl.DataFrame, days: Sequence[date]) -> list[int]:
    """Return of each of `days` (sorted) how many of the stocks (STOCK_SCHEMA) listed on it are not known on it."""
    life = stocks.select(
        pl.col("list_date").alias("begin"),
        pl.col("delist_date").fill_null(_NEVER).alias("end"),
        pl.col("first_period").fill_null(_NEVER).alias("known"),
        # Known on this day too: unknown again from the next one on.
        (pl.col("known_through").fill_null(_NEVER - _DAY) + _DAY).alias("unknown"),
    )
    before = life.select("begin", pl.min_horizontal("end", "known").alias("end"))
    after = life.select(pl.max_horizontal("begin", "unknown", "known").alias("begin"), "end")
    stretches = pl.concat([before, after]).filter(pl.col("begin") < pl.col("end"))
    asked = np.array(days, dtype="datetime64[D]")
    begun = np.searchsorted(np.sort(stretches["begin"].to_numpy()), asked, side="right")
    over = np.searchsorted(np.sort(stretches["end"].to_numpy()), asked, side="right")
    return [int(count) for count in begun - over]


def stocks_unknown_on(stocks: pl.DataFrame, day: date) -> list[str]:
    """Return the stocks that keep a day from being whole, in order of codes."""
    is_known = (pl.col("first_period") <= day) & (pl.col("known_through") >= day)
    is_listed = (pl.col("list_date") <= day) & (pl.col("delist_date").is_null() | (day < pl.col("delist_date")))
    return stocks.filter(is_listed & ~is_known.fill_null(value=False))["ts_code"].sort().to_list()
