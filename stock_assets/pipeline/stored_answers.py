"""Two sources compared on what each of them last said, read back from the raw tables and translated again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from stock_assets.domain.tables import RAW_BAOSTOCK_DAILY, RAW_TUSHARE_DAILY
from stock_assets.quality.reconciliation import Reconciliation, reconcile_days
from stock_assets.sources.baostock import translate as baostock
from stock_assets.sources.tushare import translate as tushare
from stock_assets.storage.database import Connection
from stock_assets.storage.raw import newest_answers

_NAMES: Final = ("baostock", "tushare")
# BaoStock has no stock of Beijing's.
_EXCHANGES: Final = ("SH", "SZ")
# A source that told of fewer of the other's stocks was asked for some of them only.
_PART: Final = 0.5
# Read together: some days of a whole market, and not so many that they fill the memory.
_DAYS_AT_ONCE: Final = 10


@dataclass(frozen=True, slots=True)
class DayComparison:
    """What the sources said of one day: who told of it, and the verdict where both did.

    `in_part` is the source that told of less than half of what the other did, as when it was asked for some stocks only:
    then only those stocks are compared.
    """

    day: date
    told_by: tuple[str, ...]
    result: Reconciliation | None = None
    in_part: str | None = None


def compare_stored(conn: Connection, days: Sequence[date]) -> list[DayComparison]:
    """Return a comparison of BaoStock's and Tushare's stored bars for each of `days`, in their order.

    Shanghai and Shenzhen alone. Tushare writes no row for a suspended stock, which counts as told in another way. Cells
    that cannot be read are null, and real differences.
    """
    found: list[DayComparison] = []
    for first in range(0, len(days), _DAYS_AT_ONCE):
        block = days[first : first + _DAYS_AT_ONCE]
        ours = _comparable(baostock.translate_daily(newest_answers(conn, RAW_BAOSTOCK_DAILY, block)).frame)
        theirs = _comparable(tushare.translate_daily(newest_answers(conn, RAW_TUSHARE_DAILY, block)).frame)
        found += _compared(block, ours, theirs)
    return found


def _comparable(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.drop_nulls(["ts_code", "trade_date"]).filter(pl.col("ts_code").str.slice(7).is_in(list(_EXCHANGES)))


def _compared(days: Sequence[date], ours: pl.DataFrame, theirs: pl.DataFrame) -> list[DayComparison]:
    told, traded = [_by_day(bars) for bars in (ours, theirs)], [_by_day(_traded(bars)) for bars in (ours, theirs)]
    told_by = {day: tuple(name for name, of in zip(_NAMES, told, strict=True) if day in of) for day in days}
    both = [day for day in days if len(told_by[day]) == len(_NAMES)]
    in_part: dict[date, str] = {}
    for day in both:
        counts = [of.get(day, 0) for of in traded]
        if min(counts) < _PART * max(counts):
            in_part[day] = _NAMES[counts.index(min(counts))]
    ours, theirs = (bars.filter(pl.col("trade_date").is_in(both)) for bars in (ours, theirs))
    results = reconcile_days(
        _only_as(ours, theirs, [day for day, name in in_part.items() if name == _NAMES[1]]),
        _only_as(theirs, ours, [day for day, name in in_part.items() if name == _NAMES[0]]),
        names=_NAMES,
    )
    return [DayComparison(day, told_by[day], results.get(day), in_part.get(day)) for day in days]


def _traded(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.filter(pl.col("volume") > 0)


def _by_day(bars: pl.DataFrame) -> dict[date, int]:
    """Return the number of rows of each day that has any."""
    return dict(bars.group_by("trade_date").len().iter_rows())


def _only_as(bars: pl.DataFrame, others: pl.DataFrame, days: Sequence[date]) -> pl.DataFrame:
    """Return `bars`, of `days` only those that `others` has too."""
    is_theirs = pl.col("trade_date").is_in(days)
    kept = bars.filter(is_theirs).join(others, on=["ts_code", "trade_date"], how="semi")
    return pl.concat([bars.filter(~is_theirs), kept])
