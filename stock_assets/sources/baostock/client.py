"""BaoStock as a market source: calls in, verdicts out.

How a call becomes one of the five answers is in `calls`, what the rows mean in `translate`.
"""

import time
from collections.abc import Callable, Collection
from datetime import UTC, date, datetime
from typing import Final

import polars as pl

from stock_assets.domain.answers import Answer, Broken, ProvenEmpty, Refused
from stock_assets.domain.codes import Exchange
from stock_assets.domain.contract import Table
from stock_assets.domain.errors import AnswerBroken, NotReady, RequestRefused
from stock_assets.domain.tables import RAW_BAOSTOCK_ADJUST_FACTOR, RAW_BAOSTOCK_DAILY, day_text
from stock_assets.sources.baostock import translate
from stock_assets.sources.baostock.calls import BaoStockCalls, SessionOfACall
from stock_assets.sources.baostock.frames import SOURCE
from stock_assets.sources.baostock.guard import Deadlines
from stock_assets.sources.baostock.pool import BaoStockPool
from stock_assets.sources.baostock.session import BaoStockSession
from stock_assets.sources.baostock.verify import (
    ALL_STOCK_FIELDS,
    DAILY_FIELDS,
    EX_DATE,
    FACTOR_FIELDS,
    SECURITY_FIELDS,
    TRADE_DATE_FIELDS,
    Expectation,
    all_equal,
    all_within,
    no_day_missing,
)
from stock_assets.sources.base import NoLedger, RequestLedger, SessionSlots, Sleep, Translated
from stock_assets.sources.planner import CostModel
from stock_assets.sources.retry import RetryPolicy

_RAW_PRICES: Final = "3"
# The page size of the client before 0.9.2, which the server still has to serve: every security in one request.
_WHOLE_LIST: Final = 10_000
_BARS_READY: Final = "17:30"


def connector(  # noqa: PLR0913 - each is one decision of the caller
    *,
    host: str | None = None,
    port: int | None = None,
    ledger: RequestLedger | None = None,
    timeout_seconds: float = 30.0,
    api_key: str | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Callable[[], BaoStockSession]:
    """Return what a pool needs to make sessions: a function that logs in and returns the session.

    Every frame that such a session sends is counted in `ledger` first.
    """
    books = ledger or NoLedger()

    def connect() -> BaoStockSession:
        session = BaoStockSession(
            host=host,
            port=port,
            deadlines=Deadlines.of(timeout_seconds),
            api_key=api_key,
            before_request=lambda api: books.before_request(SOURCE, api),
            clock=clock,
        )
        session.login()
        return session

    return connect


class BaoStockClient:
    """A `MarketSource` on BaoStock.

    With a `pool` its sessions are used, and the pool's `connect` decides host, deadlines and ledger (see `connector`);
    without one each call logs in, asks and logs out. Both give the same rows.

    No method raises for what the source did or failed to do: that is in the answer.
    """

    def __init__(  # noqa: PLR0913 - each is one decision of the caller
        self,
        pool: BaoStockPool | None = None,
        *,
        name: str = SOURCE,
        host: str | None = None,
        port: int | None = None,
        ledger: RequestLedger | None = None,
        slots: SessionSlots | None = None,
        timeout_seconds: float = 30.0,
        api_key: str | None = None,
        attempts: int = 3,
        retry: RetryPolicy | None = None,
        sleep: Sleep = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Connect nothing yet; `name` is what the rows' `source` says, where the far end is not BaoStock itself."""
        self._name = name
        self._pool = pool
        connect = connector(
            host=host, port=port, ledger=ledger, timeout_seconds=timeout_seconds, api_key=api_key, clock=clock
        )
        # Without a pool every call holds a session of its own.
        self._calls = BaoStockCalls(
            pool.session if pool is not None else SessionOfACall(connect, slots, timeout_seconds),
            retry=retry or RetryPolicy(attempts=attempts, sleep=sleep),
            ledger=ledger,
            now=now,
        )

    @property
    def name(self) -> str:
        """The source's name as it stands in `source` columns."""
        return self._name

    @property
    def exchanges(self) -> frozenset[Exchange]:
        """Shanghai and Shenzhen."""
        return frozenset({"SH", "SZ"})

    @property
    def costs(self) -> CostModel:
        """One request a page."""
        return CostModel()

    def trade_dates(self, start: date, end: date) -> Answer:
        """Return every calendar day of [start, end] that the source knows, with its trading flag."""
        return self._fetch(
            Expectation(
                "query_trade_dates",
                TRADE_DATE_FIELDS,
                (all_within("calendar_date", start, end), no_day_missing("calendar_date")),
                page_rows=_WHOLE_LIST,
            ),
            {"start_date": str(start), "end_date": str(end)},
            if_empty=ProvenEmpty(f"method and dates {start} to {end} echoed, no calendar day"),
        )

    def securities(self) -> Answer:
        """Return every security the source knows, delisted ones included."""
        api = "query_stock_basic"
        return self._fetch(
            Expectation(api, SECURITY_FIELDS, page_rows=_WHOLE_LIST),
            {},
            if_empty=Broken(AnswerBroken(source=SOURCE, api=api, reason="a market without any security")),
        )

    def all_securities_of_day(self, day: date) -> Answer:
        """Return code, trading status and name of every security on one trading day, indices included."""
        return self._fetch(
            Expectation("query_all_stock", ALL_STOCK_FIELDS), {"day": str(day)}, if_empty=_not_published(day), day=day
        )

    def daily_of_day(self, day: date) -> Answer:
        """Return unadjusted bars of all stocks on one trading day, in one request.

        Nothing in an empty answer says for which day it is, and no trading day is without bars: it means not ready.
        """
        return self._fetch(
            Expectation("query_daily_history_k_AStock", DAILY_FIELDS, (all_equal("date", str(day)),)),
            {"date": str(day)},
            if_empty=_not_published(day),
            day=day,
        )

    def daily_of_code(self, ts_code: str, start: date, end: date) -> Answer:
        """Return unadjusted bars of one stock over [start, end], paged."""
        if (refusal := _not_covered(ts_code, "query_history_k_data_plus")) is not None:
            return refusal
        code = translate.source_code(ts_code)
        return self._fetch(
            Expectation(
                "query_history_k_data_plus",
                DAILY_FIELDS,
                (all_equal("code", code), all_within("date", start, end)),
            ),
            {
                "code": code,
                "fields": ",".join(DAILY_FIELDS),
                "start_date": str(start),
                "end_date": str(end),
                "frequency": "d",
                "adjustflag": _RAW_PRICES,
            },
            if_empty=ProvenEmpty(f"method, code {code}, fields and dates {start} to {end} echoed, no rows"),
            ts_code=ts_code,
        )

    def factors_of_day(self, day: date) -> Answer:
        """Return adjustment factors whose ex-date is `day`."""
        return self._fetch(
            Expectation("query_daily_adjust_factor", FACTOR_FIELDS, (all_equal(EX_DATE, str(day)),)),
            {"date": str(day)},
            if_empty=ProvenEmpty(f"method echoed and frame whole, no rows; the protocol does not echo the day ({day})"),
            day=day,
        )

    def factors_of_code(self, ts_code: str, start: date, end: date) -> Answer:
        """Return adjustment factors of one stock with ex-dates in [start, end]."""
        if (refusal := _not_covered(ts_code, "query_adjust_factor")) is not None:
            return refusal
        code = translate.source_code(ts_code)
        return self._fetch(
            Expectation(
                "query_adjust_factor",
                FACTOR_FIELDS,
                (all_equal("code", code), all_within(EX_DATE, start, end)),
            ),
            {"code": code, "start_date": str(start), "end_date": str(end)},
            if_empty=ProvenEmpty(f"method, code {code} and dates {start} to {end} echoed, no rows"),
            ts_code=ts_code,
        )

    def translate_trade_dates(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return columns trade_date (date), is_open (boolean)."""
        return translate.translate_trade_dates(frame)

    def translate_securities(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return stocks only: ts_code, name, list_date, delist_date, status."""
        return translate.translate_securities(frame)

    def translate_daily(self, frame: pl.DataFrame) -> Translated:
        """Return bars in our names and units."""
        return translate.translate_daily(frame)

    def translate_factors(self, frame: pl.DataFrame) -> Translated:
        """Return columns ts_code, ex_date, back_adjust_factor."""
        return translate.translate_factors(frame)

    def raw_daily(self, frame: pl.DataFrame) -> list[tuple[Table, pl.DataFrame]]:
        """Return the raw table of bars with the answer as it is."""
        return [(RAW_BAOSTOCK_DAILY, frame)]

    def raw_factors(self, frame: pl.DataFrame) -> list[tuple[Table, pl.DataFrame]]:
        """Return the raw table of factors with the answer as it is."""
        return [(RAW_BAOSTOCK_ADJUST_FACTOR, frame)]

    def no_daily(self) -> pl.DataFrame:
        """Return an answer about bars without rows."""
        return RAW_BAOSTOCK_DAILY.empty_text()

    def no_factors(self) -> pl.DataFrame:
        """Return an answer about factors without rows."""
        return RAW_BAOSTOCK_ADJUST_FACTOR.empty_text()

    def factors_on(self, frame: pl.DataFrame, days: Collection[date]) -> pl.DataFrame:
        """Return the rows whose ex-date is one of these days."""
        return frame.filter(pl.col(EX_DATE).is_in([day_text(EX_DATE, day) for day in days]))

    def close(self) -> None:
        """End every session."""
        if self._pool is not None:
            self._pool.close()

    def _fetch(self, expected: Expectation, arguments: dict[str, str], *, if_empty: Answer, **facts: object) -> Answer:
        return self._calls.fetch(expected, arguments, if_empty=if_empty, **facts)


def _not_covered(ts_code: str, api: str) -> Refused | None:
    # BaoStock answers a code that it does not know with no rows and no error, which would pass as proof that a stock of
    # the Beijing exchange never traded.
    if not ts_code.endswith(".BJ"):
        return None
    return Refused(RequestRefused(source=SOURCE, api=api, reason=f"{ts_code}: the Beijing exchange is not covered"))


def _not_published(day: date) -> Refused:
    return Refused(
        NotReady(source=SOURCE, trade_date=day, reason="the answer has no rows", ready_at=f"{day} {_BARS_READY}")
    )
