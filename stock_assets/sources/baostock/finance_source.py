"""BaoStock as a source of finance reports: six tables, each asked for one stock and one quarter at a time.

There are no calls for the whole market and nobody tells who has published: reports are asked for stock by stock.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Final, NoReturn

import polars as pl

from stock_assets.domain.answers import Answer, Broken, CallCost, ProvenEmpty, Refused, Rows, Truncated
from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.contract import Table
from stock_assets.domain.errors import RequestRefused, Stopped
from stock_assets.domain.quarters import periods_between
from stock_assets.sources.baostock.calls import BaoStockCalls, Sessions
from stock_assets.sources.baostock.frames import SOURCE
from stock_assets.sources.baostock.translate import source_code
from stock_assets.sources.baostock.translate_finance import RAW, TABLES, joined, raw_rows, translate_finance
from stock_assets.sources.baostock.verify import Expectation, all_equal
from stock_assets.sources.base import RequestLedger, Translated
from stock_assets.sources.finance_base import FinanceCosts
from stock_assets.sources.retry import RetryPolicy

FIRST_DAY: Final = date(2007, 1, 1)
"""BaoStock has no quarter before this day."""

# Of 118 stocks recorded from their first report on, none has one of a quarter that ended earlier before its listing.
_BEFORE_LISTING: Final = timedelta(days=2 * 366)
# All six have the same reports in every recorded answer: where these two have none, the others are not asked.
_ASKED_FIRST: Final = ("query_profit_data", "query_growth_data")
_ASKED_THEN: Final = tuple(table for table in TABLES if table not in _ASKED_FIRST)
_REQUEST_SECONDS: Final = 0.085

Listed = Callable[[str], tuple[date, date | None] | None]
"""Since which day a stock is listed, and until which; None for a stock that nobody knows anything about."""


def _nobody_knows(_ts_code: str) -> None:
    return None


class BaoStockFinance:
    """A `FinanceSource` on BaoStock; whoever made the pool closes it."""

    def __init__(  # noqa: PLR0913 - each is one decision of the caller
        self,
        sessions: Sessions,
        *,
        name: str = SOURCE,
        listed: Listed = _nobody_knows,
        ledger: RequestLedger | None = None,
        requests_per_minute: int | None = None,
        stop: threading.Event | None = None,
        retry: RetryPolicy | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Connect nothing yet; `sessions` lends them, such as `BaoStockPool.session`, and counts what they send.

        `listed` saves the requests for quarters in which a stock cannot have reported; `requests_per_minute` is the pace
        that the sessions keep, where a person asked for one. Once `stop` is set, nothing more is asked.
        """
        self._calls = BaoStockCalls(sessions, retry=retry, ledger=ledger, now=now)
        self._name = name
        self._listed = listed
        self._stop = stop or threading.Event()
        self._request_seconds = max(_REQUEST_SECONDS, 60 / requests_per_minute if requests_per_minute else 0.0)
        self._now = now

    @property
    def name(self) -> str:
        """The source's name as it stands in `source` columns."""
        return self._name

    @property
    def costs(self) -> FinanceCosts:
        """Six requests for a report; a quarter without one takes two."""
        return FinanceCosts(
            request_seconds=self._request_seconds, requests_per_report=len(TABLES), exchanges=("SH", "SZ")
        )

    def reports_of_codes(self, ts_codes: Sequence[str], start: date, end: date) -> Answer:
        """Return the report of each of these stocks for each quarter that ends in [start, end] and is over.

        A quarter of which some tables have the report and others do not is missing, not empty: the answer is truncated.
        """
        parts: list[pl.DataFrame] = []
        costs: list[CallCost] = []
        for ts_code in dict.fromkeys(ts_codes):
            if ts_code.endswith(".BJ"):
                # Asked for such a code BaoStock has no rows and no error, which would pass as proof that it never reported.
                return Refused(
                    RequestRefused(source=SOURCE, api=TABLES[0], reason=f"{ts_code}: not covered"), _sum(costs)
                )
            for period in self._periods(ts_code, start, end):
                if self._stop.is_set():
                    return Broken(Stopped(), _sum(costs))
                answer = self._report(source_code(ts_code), period)
                costs.append(answer.cost)
                if isinstance(answer, Truncated):
                    return Truncated(pl.concat([*parts, answer.frame]), answer.reason, _sum(costs))
                if isinstance(answer, Rows):
                    parts.append(answer.frame)
                elif not isinstance(answer, ProvenEmpty):
                    return replace(answer, cost=_sum(costs))
        if not parts:
            return ProvenEmpty(f"of {len(costs)} quarters that may have a report none has one", _sum(costs))
        return Rows(pl.concat(parts), _sum(costs))

    def reports_of_period(self, period: date) -> Answer:
        """Raise: there is no such call."""
        _no_such_call(period)

    def reports_of_day(self, ann_date: date) -> Answer:
        """Raise: there is no such call."""
        _no_such_call(ann_date)

    def published_on(self, day: date) -> Answer:
        """Raise: there is no such call."""
        _no_such_call(day)

    def translate_reports(self, frame: pl.DataFrame) -> Translated:
        """Return reports in our names and units, fractions as percent."""
        return translate_finance(frame)

    def translate_published(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Raise: there are no such answers."""
        _no_such_call(frame)

    def raw_reports(self, frame: pl.DataFrame) -> list[tuple[Table, pl.DataFrame]]:
        """Return the rows of each of the six tables word by word."""
        return raw_rows(frame)

    def _periods(self, ts_code: str, start: date, end: date) -> list[date]:
        """Return the quarters for which the stock may have published a report by now."""
        first, last = max(start, FIRST_DAY), min(end, self._now().astimezone(SHANGHAI).date() - timedelta(days=1))
        life = self._listed(ts_code)
        if life is not None:
            since, until = life
            if since > last:
                return []
            first, last = max(first, since - _BEFORE_LISTING), min(last, until or last)
        return periods_between(first, last)

    def _report(self, code: str, period: date) -> Answer:
        """Return one row with the columns of all six tables, or what kept them from being one."""
        rows = {table: RAW[table].empty_text() for table in TABLES}
        costs: list[CallCost] = []

        def ask(tables: Iterable[str]) -> Answer | None:
            """Hear these tables; return the answer that ends it all, if one does."""
            for table in tables:
                answer = self._row(table, code, period)
                costs.append(answer.cost)
                if isinstance(answer, Truncated):
                    return Truncated(joined(rows), answer.reason, _sum(costs))
                if isinstance(answer, Rows):
                    rows[table] = answer.frame
                elif not isinstance(answer, ProvenEmpty):
                    return replace(answer, cost=_sum(costs))
            return None

        def lacking(tables: Iterable[str]) -> list[str]:
            return [table for table in tables if rows[table].is_empty()]

        failed = ask(_ASKED_FIRST)
        if failed is None and lacking(_ASKED_FIRST) == list(_ASKED_FIRST):
            return ProvenEmpty(f"method, code {code} and quarter {period} echoed, no rows", _sum(costs))
        # Where others have the report it may just be being written: who lacks it is asked once more.
        failed = failed or ask(_ASKED_THEN) or ask(lacking(TABLES))
        if failed is not None:
            return failed
        if missing := lacking(TABLES):
            reason = f"{', '.join(missing)} lack the report of {code} for {period} that others have"
            return Truncated(joined(rows), reason, _sum(costs))
        return Rows(joined(rows), _sum(costs))

    def _row(self, table: str, code: str, period: date) -> Answer:
        fields = tuple(RAW[table].empty_text().columns)
        return self._calls.fetch(
            Expectation(table, fields, (all_equal("code", code), all_equal("statDate", str(period)), _one_row)),
            {"code": code, "year": str(period.year), "quarter": str((period.month + 2) // 3)},
            if_empty=ProvenEmpty("echoed, no row"),
            ts_code=code,
            end_date=period,
        )


def _one_row(frame: pl.DataFrame) -> str | None:
    return f"{frame.height} rows came for one report" if frame.height > 1 else None


def _sum(costs: Iterable[CallCost]) -> CallCost:
    total = CallCost()
    for cost in costs:
        total = CallCost(
            total.requests + cost.requests,
            total.wait_seconds + cost.wait_seconds,
            total.api_seconds + cost.api_seconds,
        )
    return total


def _no_such_call(_asked: object) -> NoReturn:
    msg = "BaoStock is asked stock by stock"
    raise NotImplementedError(msg)
