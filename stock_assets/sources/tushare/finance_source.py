"""Tushare as a source of finance reports: fina_indicator, its whole-market form from 5,000 points on, disclosure_date."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Final

import polars as pl

from stock_assets.domain.answers import Answer
from stock_assets.domain.contract import Table
from stock_assets.domain.finance_tables import RAW_TUSHARE_FINA_INDICATOR
from stock_assets.sources.base import Translated
from stock_assets.sources.finance_base import FinanceCosts
from stock_assets.sources.pacing import Pace
from stock_assets.sources.tushare.client import TushareClient
from stock_assets.sources.tushare.interfaces import FINA_INDICATOR, FINA_INDICATOR_VIP
from stock_assets.sources.tushare.translate_finance import raw_rows, translate_finance, translate_published
from stock_assets.sources.tushare.transport import SOURCE

LEAST_POINTS: Final = 2_000
"""Fewer points give no reports at all."""

MARKET_POINTS: Final = 5_000
"""From so many points on one request brings a period of the whole market."""

# An answer holds 100 rows, and a report has nearly two on average, seldom three.
_REPORTS_PER_REQUEST: Final = 40
# A whole market's period is some twelve thousand rows of 167 fields.
_MARKET_SECONDS: Final = 3.5


def finance_costs(points: int, pace_of: Callable[[str], Pace]) -> FinanceCosts:
    """Return what reports cost an account; `pace_of` says how fast settings let an interface be called."""
    return FinanceCosts(
        request_seconds=pace_of(FINA_INDICATOR.name).interval_seconds,
        reports_per_request=_REPORTS_PER_REQUEST,
        has_market_calls=points >= MARKET_POINTS,
        market_request_seconds=max(_MARKET_SECONDS, pace_of(FINA_INDICATOR_VIP.name).interval_seconds),
        has_disclosures=True,
    )


class TushareFinance:
    """A `FinanceSource` on Tushare; the client paces and splits, and stays the business of whoever made it."""

    def __init__(self, client: TushareClient, costs: FinanceCosts, *, name: str = SOURCE) -> None:
        """Connect nothing yet; `name` is what the rows' `source` says, where the far end is not Tushare itself."""
        self._client = client
        self._costs = costs
        self._name = name

    @property
    def name(self) -> str:
        """The source's name as it stands in `source` columns."""
        return self._name

    @property
    def costs(self) -> FinanceCosts:
        """What its questions cost."""
        return self._costs

    def reports_of_codes(self, ts_codes: Sequence[str], start: date, end: date) -> Answer:
        """Return every version of every report of these stocks whose period ends in [start, end]."""
        return self._client.fina_indicator(ts_codes, start, end)

    def reports_of_period(self, period: date) -> Answer:
        """Return every version of every stock's report for one period."""
        return self._client.fina_indicator_vip_of_period(period)

    def reports_of_day(self, ann_date: date) -> Answer:
        """Return every report that was announced on one calendar day."""
        return self._client.fina_indicator_vip_of_day(ann_date)

    def published_on(self, day: date) -> Answer:
        """Return whose report was published on one calendar day."""
        return self._client.disclosure_date_of_day(day)

    def translate_reports(self, frame: pl.DataFrame) -> Translated:
        """Return reports in our names and units."""
        return translate_finance(frame)

    def translate_published(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return whose report was published when; plans alone are left out."""
        return translate_published(frame)

    def raw_reports(self, frame: pl.DataFrame) -> list[tuple[Table, pl.DataFrame]]:
        """Return the different rows word by word."""
        return [(RAW_TUSHARE_FINA_INDICATOR, raw_rows(frame))]
