"""Arguments as people write them: days, ranges, codes, formats."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import click

from stock_assets.domain.calendar import TradingCalendar, parse_day, parse_moment
from stock_assets.domain.codes import parse_code
from stock_assets.domain.errors import InvalidInput

FORMATS = click.Choice(["table", "json", "csv"])


class Day(click.ParamType[date]):
    """`2026-11-20` or `20261120`."""

    # What help shows in the value's place.
    name = "yyyy-mm-dd"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Return the date; a bad one is one clear sentence."""
        del param, ctx
        return value if isinstance(value, date) else parse_day(str(value))


class Moment(click.ParamType[datetime]):
    """`2026-11-20T18:30` in Shanghai time, the same with a zone, or a day, which means its end."""

    name = "timestamp"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the aware moment."""
        del param, ctx
        return value if isinstance(value, datetime) else parse_moment(str(value))


class Code(click.ParamType[str]):
    """A security code in any common spelling."""

    name = "code"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the `ts_code`."""
        del param, ctx
        text = str(value).strip()
        if "," in text or " " in text:
            raise InvalidInput(
                problem=f"'{text}' is more than one code; this command takes one at a time",
                problem_zh=f"“{text}”不止一个代码，此命令一次只接受一个",
            )
        return parse_code(text)


class Codes(click.ParamType[Sequence[str]]):
    """Several codes, separated by commas or blanks."""

    name = "codes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """Return the codes as `ts_code`, each once, in order."""
        del param, ctx
        if not isinstance(value, str):
            return list(value)
        return list(dict.fromkeys(parse_code(part) for part in value.replace(",", " ").split()))


DAY, MOMENT, CODE, CODES = Day(), Moment(), Code(), Codes()


def check_range(start: date, end: date) -> None:
    """Refuse a range that ends before it starts.

    Errors: `InvalidInput`.
    """
    if end < start:
        raise InvalidInput(
            problem=f"the range ends ({end}) before it starts ({start})", problem_zh=f"截止日 {end} 早于起始日 {start}"
        )


def sessions_of(calendar: TradingCalendar, start: date, end: date) -> list[date]:
    """Return the trading days of [start, end].

    Errors: `InvalidInput` for a reversed range, and for one without a trading day.
    """
    check_range(start, end)
    days = calendar.between(start, end)
    if not days:
        raise InvalidInput(
            problem=f"there is no trading day from {start} to {end}", problem_zh=f"{start} 至 {end} 之间没有交易日"
        )
    return days
