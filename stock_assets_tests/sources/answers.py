"""Right answers for the scripted server, and the ways to make them wrong."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from stock_assets.sources.baostock.verify import DAILY_FIELDS, FACTOR_FIELDS
from stock_assets_tests.sources.scripted_server import Step, compressed, plain, record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    class Paged(Protocol):
        def __call__(self, body: list[str], page: str | None = None) -> Step: ...


CODE = "sh.600000"
DAY = date(2026, 2, 5)
# As the official page prints it, with the code replaced.
BAR = (
    "2026-02-05", CODE, "10.7000", "10.7800", "10.6400", "10.7400", "10.6800", "4465487", "47925519.1900", "3",
    "0.392500", "1", "0.561800", "21.493688", "0.962863", "2.226877", "-58.658491", "0",
)  # fmt: skip
FIRST = date(2010, 1, 1)
LAST = date(2025, 12, 31)


def bars_of_code(count: int, code: str = CODE) -> list[list[str]]:
    """Return `count` bars of one stock on consecutive days."""
    return [[str(FIRST + timedelta(days=number)), code, *BAR[2:]] for number in range(count)]


def bars_of_day(count: int, day: date = DAY) -> list[list[str]]:
    """Return one bar of each of `count` stocks."""
    return [[str(day), f"sh.{600000 + number}", *BAR[2:]] for number in range(count)]


def paged(rows: Sequence[Sequence[str]], *, page_rows: int = 2000) -> Paged:
    """Return a script for k-data that echoes the request and serves its page of `rows`."""

    def answer(body: list[str], page: str | None = None) -> Step:
        """Answer the body's page; `page` is what the answer calls it."""
        first = (int(body[2]) - 1) * page_rows
        part = rows[first : first + page_rows]
        head = ("0", "success", body[0], body[1], page or body[2], str(min(page_rows, int(body[3]))), record(part))
        return compressed("96", *head, *body[4:])

    return answer


def daily_of_day(
    rows: Sequence[Sequence[str]], *, fields: Sequence[str] = DAILY_FIELDS, method: str = "query_daily_history_k_AStock"
) -> bytes:
    """Return the answer to a whole market day."""
    return compressed("99", "0", "success", method, "anonymous", record(rows), ",".join(fields))


def factors_of_day(rows: Sequence[Sequence[str]]) -> bytes:
    """Return the answer to the factors of one day."""
    head = ("0", "success", "query_daily_adjust_factor", "anonymous")
    return compressed("9D", *head, record(rows), ",".join(FACTOR_FIELDS))


def trade_dates(body: list[str]) -> bytes:
    """Answer `query_trade_dates` with every day of the asked range."""
    start, end = date.fromisoformat(body[4]), date.fromisoformat(body[5])
    days = [[str(start + timedelta(days=number)), "1"] for number in range((end - start).days + 1)]
    return plain("34", "0", "success", *body[:4], record(days), *body[4:], "calendar_date, is_trading_day")
