"""Whether a newest day's answer is really the day: judged by the answer itself, never by the clock alone.

A source begins to publish a day with part of the market, or with prices that are not final yet, and each such answer is
well-formed. Older days are not judged here: what a source says of them is landed, and completeness says what lacks.
"""

from datetime import date, datetime, timedelta

import polars as pl

from stock_assets.domain.answers import Rows
from stock_assets.domain.calendar import SHANGHAI, published_at
from stock_assets.domain.completeness import is_half_published
from stock_assets.domain.errors import NotReady
from stock_assets.domain.frame_digest import digest_of
from stock_assets.pipeline.landing import JudgedAnswer

TRY_AGAIN_AFTER = timedelta(minutes=30)
_NEW_FOR = timedelta(days=1)
# Rules that a row breaks whose stock traded and whose price or volume is still to come.
_NOT_FINAL = ("close_missing", "traded_without_volume")


def is_new(day: date, now: datetime) -> bool:
    """Return whether `day` was published in the day before `now`: its source may still be at it."""
    return published_at(day) <= now < published_at(day) + _NEW_FOR


def why_not_whole(judged: JudgedAnswer, expected: int) -> str | None:
    """Return why a whole-market answer is not the whole day yet, for people; None where it is.

    `expected` is how many stocks are listed on the day. A row counts whatever rule it breaks, so that bad rows are told
    as bad rows, except one of a traded stock without price or volume.
    """
    came = pl.concat([judged.accepted["ts_code"], judged.rejected["ts_code"]]).n_unique()
    if _are_too_few(came, expected):
        return f"{came} of {expected} expected stocks came"
    waiting = sum(int(frame["rule"].is_in(_NOT_FINAL).sum()) for frame in (judged.rejected, judged.findings))
    if _are_too_few(came - waiting, expected):
        return f"{waiting} of {came} stocks have no final price or volume"
    return None


def has_changed(first: Rows, second: Rows) -> bool:
    """Return whether two answers to the same question differ; the order of their rows does not matter."""
    return digest_of(_ordered(first.frame)) != digest_of(_ordered(second.frame))


def not_ready(source: str, day: date, reason: str, now: datetime) -> NotReady:
    """Return the error that says so and when it is worth asking again."""
    again = (now + TRY_AGAIN_AFTER).astimezone(SHANGHAI)
    return NotReady(source=source, trade_date=day, reason=reason, ready_at=f"{again:%Y-%m-%d %H:%M}")


def _are_too_few(rows: int, expected: int) -> bool:
    return expected - rows > 1 and is_half_published(rows, expected)


def _ordered(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sort(frame.columns)
