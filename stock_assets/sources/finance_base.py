"""What a source of finance reports offers to the pipeline: the same five answers as a `MarketSource`, about reports.

Periods are the last days of quarters; announcements are on calendar days, weekends included.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import polars as pl

from stock_assets.domain.answers import Answer
from stock_assets.domain.contract import Table
from stock_assets.sources.base import Translated


@dataclass(frozen=True, slots=True, kw_only=True)
class FinanceCosts:
    """What questions about reports cost at this source, known before anything is asked.

    A report is one stock and one quarter. `reports_per_request` is how many of them one request surely brings whole, all
    of their versions counted; `requests_per_report` how many requests make up one report where it comes in parts. So
    Tushare has 40 and 1, BaoStock 1 and 6. `request_seconds` is the spacing of requests that settings allow.

    `has_market_calls`: one request, of `market_request_seconds`, brings all stocks' reports of a period or of a day.
    `has_disclosures`: one request tells who has published on a day. `exchanges` are those whose stocks it knows.
    """

    request_seconds: float
    requests_per_report: int = 1
    reports_per_request: int = 1
    has_market_calls: bool = False
    market_request_seconds: float = 0.0
    has_disclosures: bool = False
    exchanges: tuple[str, ...] = ("SH", "SZ", "BJ")

    def stocks_per_call(self, quarters: int) -> int:
        """Return how many stocks to ask for together when each is asked for so many quarters; at least one."""
        return max(1, self.reports_per_request // max(1, quarters))

    def requests(self, stocks: int, quarters: int) -> int:
        """Return the requests that bring so many quarters of so many stocks, in calls of `stocks_per_call` stocks."""
        if not stocks or not quarters:
            return 0
        together = self.stocks_per_call(quarters)
        calls = -(-stocks // together)
        return calls * -(-min(together, stocks) * quarters // self.reports_per_request) * self.requests_per_report


class FinanceSource(Protocol):
    """A source of finance reports.

    Answers about reports have one form, whatever was asked: `translate_reports` and `raw_reports` take the rows of any of
    them. No method raises for what the source did or failed to do: that is in the answer.
    """

    @property
    def name(self) -> str:
        """The source's name as it stands in `source` columns."""
        ...

    @property
    def costs(self) -> FinanceCosts:
        """What its questions cost."""
        ...

    def reports_of_codes(self, ts_codes: Sequence[str], start: date, end: date) -> Answer:
        """Every version of every report of these stocks whose period ends in [start, end]."""
        ...

    def reports_of_period(self, period: date) -> Answer:
        """Every version of every stock's report for the period that ends on `period`.

        Errors: `NotImplementedError` unless the source `has_market_calls`.
        """
        ...

    def reports_of_day(self, ann_date: date) -> Answer:
        """Every report that was announced on one calendar day, of whatever period.

        Errors: `NotImplementedError` unless the source `has_market_calls`.
        """
        ...

    def published_on(self, day: date) -> Answer:
        """Whose report for which period was published on one calendar day.

        Errors: `NotImplementedError` unless the source `has_disclosures`.
        """
        ...

    def translate_reports(self, frame: pl.DataFrame) -> Translated:
        """Reports in our names and units (`quality.finance_rules.REPORT_SCHEMA`)."""
        ...

    def translate_published(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Columns ts_code, end_date, actual_date (`quality.finance_versions.DISCLOSURE_SCHEMA`), one row a report.

        Errors: `NotImplementedError` unless the source `has_disclosures`.
        """
        ...

    def raw_reports(self, frame: pl.DataFrame) -> list[tuple[Table, pl.DataFrame]]:
        """The raw tables that keep an answer about reports, each with its rows word by word."""
        ...
