"""From a reply to a frame that certainly holds what was asked for, and nothing else.

The frame's echoes are checked where it arrives; here its rows are checked against the request. Whether values make sense
is for translation and quality to judge.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import polars as pl

from stock_assets.domain.errors import AnswerBroken
from stock_assets.sources.baostock.frames import SOURCE
from stock_assets.sources.baostock.session import Reply

DAILY_FIELDS: Final = (
    "date", "code", "open", "high", "low", "close", "preclose", "volume", "amount", "adjustflag", "turn", "tradestatus",
    "pctChg", "peTTM", "pbMRQ", "psTTM", "pcfNcfTTM", "isST",
)  # fmt: skip
EX_DATE: Final = "dividOperateDate"
FACTOR_FIELDS: Final = ("code", EX_DATE, "foreAdjustFactor", "backAdjustFactor", "adjustFactor")
SECURITY_FIELDS: Final = ("code", "code_name", "ipoDate", "outDate", "type", "status")
TRADE_DATE_FIELDS: Final = ("calendar_date", "is_trading_day")
ALL_STOCK_FIELDS: Final = ("code", "tradeStatus", "code_name")

# Says what is wrong with the rows, or None.
Check = Callable[[pl.DataFrame], str | None]


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the rows of one request must look like: their columns, in any order, and what belongs to the request.

    `page_rows` asks for larger pages than the package does by itself.
    """

    api: str
    fields: tuple[str, ...]
    checks: tuple[Check, ...] = ()
    page_rows: int | None = None


def verified(reply: Reply, expected: Expectation) -> pl.DataFrame:
    """Return the reply's rows as an all-text frame in the source's own columns.

    Errors: `AnswerBroken` for other columns, ragged or non-text rows, or rows that were not asked for.
    """

    def broken(reason: str) -> AnswerBroken:
        return AnswerBroken(source=SOURCE, api=expected.api, reason=reason)

    if not reply.rows:
        # An empty answer need not name its columns.
        return pl.DataFrame(schema=dict.fromkeys(expected.fields, pl.String()))
    if len(reply.fields) != len(expected.fields) or set(reply.fields) != set(expected.fields):
        raise broken(f"the columns are {', '.join(reply.fields)}")
    if any(len(row) != len(reply.fields) for row in reply.rows):
        raise broken("a row has not as many values as there are columns")
    try:
        frame = pl.DataFrame(
            [
                pl.Series(name, values, dtype=pl.String(), strict=True)
                for name, values in zip(reply.fields, zip(*reply.rows, strict=True), strict=True)
            ]
        )
    except TypeError as error:
        raise broken("a value is no text") from error
    if sum(frame.null_count().row(0)):
        raise broken("a value is no text")
    for check in expected.checks:
        problem = check(frame)
        if problem is not None:
            raise broken(problem)
    return frame


def all_equal(column: str, value: str) -> Check:
    """Every row has `value` in `column`."""

    def check(frame: pl.DataFrame) -> str | None:
        others = frame.filter(pl.col(column) != value)
        return f"a row of {others[column][0]} came where {column} {value} was asked" if others.height else None

    return check


def all_within(column: str, start: date, end: date) -> Check:
    """Every row has a day of [start, end] in `column`."""

    def check(frame: pl.DataFrame) -> str | None:
        days = pl.col(column).str.to_date("%Y-%m-%d", strict=False)
        others = frame.filter(~days.is_between(start, end).fill_null(value=False))
        return f"a row of '{others[column][0]}' came where {start} to {end} was asked" if others.height else None

    return check


def no_day_missing(column: str) -> Check:
    """`column` holds every calendar day from its first to its last, once."""

    def check(frame: pl.DataFrame) -> str | None:
        days = frame[column].str.to_date("%Y-%m-%d").sort()
        gaps = days.diff().drop_nulls() != timedelta(days=1)
        return "calendar days are missing or doubled" if gaps.any() else None

    return check
