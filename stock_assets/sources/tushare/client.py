"""Tushare Pro as a source: questions in, verdicts out.

Single requests, their answers and the way to narrower questions are in the modules beside; here they become one of the
five answers, with retries where they help. Waiting is the limiter's business, what the rows mean `translate`'s.
"""

import re
import ssl
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

import polars as pl
import structlog
from pydantic import SecretStr

from stock_assets.domain.answers import Answer, Broken, ProvenEmpty, Refused, Rows, Truncated, verdict
from stock_assets.domain.codes import is_stock_code
from stock_assets.domain.errors import (
    AnswerBroken,
    NotReady,
    Permanent,
    RateLimited,
    RequestRefused,
    SourceError,
    StockAssetsError,
)
from stock_assets.sources.base import Sleep
from stock_assets.sources.meter import metering, timing_wait
from stock_assets.sources.retry import RetryPolicy
from stock_assets.sources.tushare.api import DEFAULT_ADDRESSES, TushareApi
from stock_assets.sources.tushare.interfaces import (
    ADJ_FACTOR,
    DAILY,
    DAILY_BASIC,
    DISCLOSURE_DATE,
    FINA_INDICATOR,
    FINA_INDICATOR_VIP,
    INTERFACES,
    STOCK_BASIC,
    SUSPEND_D,
    TRADE_CAL,
    Interface,
)
from stock_assets.sources.tushare.limits import NoLimiter, TushareLimiter
from stock_assets.sources.tushare.questions import Question, windows
from stock_assets.sources.tushare.refusals import allowed_calls, kind_of
from stock_assets.sources.tushare.transport import SOURCE, Deadlines, Transport
from stock_assets.sources.tushare.verify import is_cut_off, verified

_log = structlog.get_logger(__name__)

_EVERY_STATUS: Final = (("list_status", "L,D,P"),)
_CODES_LAST_SECONDS: Final = 600.0
# A stock has some 243 bars a year: these windows stay below the cap of their interface.
_BAR_DAYS: Final = 8_900
_SUSPENSION_DAYS: Final = 92
_FINANCE_DAYS: Final = 3_650
_READY: Final = {DAILY.name: "16:30", DAILY_BASIC.name: "17:30", ADJ_FACTOR.name: "09:30"}
# Stocks that have left kept codes like this one.
_OLD_CODE: Final = re.compile(r"T\d{5}\.(?:SH|SZ)")


class TushareClient:
    """The nine interfaces we use, each whole: an answer that was cut off is asked again in narrower questions.

    Rows are all text, numbers as they were sent, null where nothing was sent, in the columns of `interfaces`, newest
    first where the interface has days. No method raises for what the source did or failed to do: that is in the answer.
    """

    def __init__(  # noqa: PLR0913 - each is one decision of the caller
        self,
        token: SecretStr,
        *,
        addresses: Sequence[str] = DEFAULT_ADDRESSES,
        limiter: TushareLimiter | None = None,
        caps: Mapping[str, int] | None = None,
        timeout_seconds: float = 30.0,
        deadlines: Deadlines | None = None,
        ssl_context: ssl.SSLContext | None = None,
        attempts: int = 3,
        rate_attempts: int | None = None,
        retry: RetryPolicy | None = None,
        sleep: Sleep = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect nothing yet.

        `addresses` are tried in order until one answers (see `api.addresses_of`). `caps` says where an interface cuts
        its answers off now, if it is not where it was measured.

        A call that is refused as too many in this minute is made `rate_attempts` times in all, by default three times
        with a limiter, which then waits, and once without.
        """
        transport = Transport(deadlines or Deadlines.of(timeout_seconds), ssl_context=ssl_context)
        self._api = TushareApi(token, transport, addresses=addresses)
        self._limiter = limiter or NoLimiter()
        self._caps = {name: interface.cap for name, interface in INTERFACES.items()} | dict(caps or {})
        self._rate_attempts = rate_attempts or (1 if limiter is None else 3)
        self._retry = retry or RetryPolicy(attempts=attempts, sleep=sleep)
        self._clock = clock
        self._codes_until = float("-inf")
        self._known_codes: tuple[str, ...] = ()

    def __reduce__(self) -> tuple[object, ...]:
        """Refuse: connections and the token stay in their process."""
        raise TypeError("a TushareClient is made anew in each process")

    def stock_basic(self) -> Answer:
        """Return every stock, delisted and paused ones included."""
        return self._fetch([Question(STOCK_BASIC, extra=_EVERY_STATUS)], if_empty=_no_market(STOCK_BASIC))

    def trade_cal(self, start: date, end: date, *, exchange: str = "SSE") -> Answer:
        """Return every calendar day of [start, end] that the source knows, with its trading flag."""
        question = Question(TRADE_CAL, within="cal_date", start=start, end=end, extra=(("exchange", exchange),))
        return self._fetch([question])

    def daily_of_day(self, day: date) -> Answer:
        """Return the unadjusted bars of every stock that traded on one trading day."""
        return self._market_day(DAILY, day)

    def daily_of_code(self, ts_code: str, start: date, end: date) -> Answer:
        """Return the unadjusted bars of one stock over [start, end]; a day on which it was halted has none."""
        return self._of_code(DAILY, ts_code, start, end)

    def adj_factor_of_day(self, day: date) -> Answer:
        """Return the adjustment factor of every stock on one trading day, halted ones included."""
        return self._market_day(ADJ_FACTOR, day)

    def adj_factor_of_code(self, ts_code: str, start: date, end: date) -> Answer:
        """Return the adjustment factor of one stock on every session of [start, end]."""
        return self._of_code(ADJ_FACTOR, ts_code, start, end)

    def daily_basic_of_day(self, day: date) -> Answer:
        """Return turnover rates and valuations of every stock that traded on one trading day."""
        return self._market_day(DAILY_BASIC, day)

    def daily_basic_of_code(self, ts_code: str, start: date, end: date) -> Answer:
        """Return turnover rates and valuations of one stock over [start, end]."""
        return self._of_code(DAILY_BASIC, ts_code, start, end)

    def suspend_d_of_day(self, day: date) -> Answer:
        """Return who is suspended (S) and who comes back (R) on one day."""
        return self._fetch([Question(SUSPEND_D, of="trade_date", day=day)], day=day)

    def suspend_d(self, start: date, end: date, *, ts_code: str | None = None) -> Answer:
        """Return suspensions and returns over [start, end], of one stock or of all."""
        if ts_code is not None:
            return self._of_code(SUSPEND_D, ts_code, start, end)
        return self._fetch(
            [
                Question(SUSPEND_D, within="trade_date", start=first, end=last)
                for first, last in windows(start, end, _SUSPENSION_DAYS)
            ]
        )

    def fina_indicator(self, ts_codes: str | Sequence[str], start: date, end: date) -> Answer:
        """Return every version of every report of these stocks whose period ends in [start, end].

        All 167 fields; rows of one report differ in `ann_date`, `update_flag` or values, or not at all. An answer holds
        100 rows, some eight for each year and stock: a list pays for few periods only.
        """
        codes = (ts_codes,) if isinstance(ts_codes, str) else tuple(ts_codes)
        if (refusal := _refused_code(FINA_INDICATOR, codes)) is not None:
            return refusal
        return self._fetch(
            [
                Question(FINA_INDICATOR, codes=codes, within="end_date", start=first, end=last)
                for first, last in windows(start, end, _FINANCE_DAYS)
            ],
            ts_code=",".join(codes[:3]),
        )

    def fina_indicator_vip_of_period(self, period: date) -> Answer:
        """Return every version of every stock's report for the period that ends on `period`; asks for 5,000 points."""
        question = Question(FINA_INDICATOR_VIP, of="end_date", asked_as="period", day=period)
        return self._fetch([question], day=period)

    def fina_indicator_vip_of_day(self, ann_date: date) -> Answer:
        """Return the reports of all stocks that were announced on one day; asks for 5,000 points."""
        return self._fetch([Question(FINA_INDICATOR_VIP, of="ann_date", day=ann_date)], day=ann_date)

    def disclosure_date(self, period: date) -> Answer:
        """Return when each stock plans to publish, and has published, its report for the period ending on `period`."""
        return self._fetch([Question(DISCLOSURE_DATE, of="end_date", day=period)], day=period)

    def disclosure_date_of_day(self, actual_date: date) -> Answer:
        """Return whose report was published on one day."""
        return self._fetch([Question(DISCLOSURE_DATE, of="actual_date", day=actual_date)], day=actual_date)

    def close(self) -> None:
        """Close every connection."""
        self._api.close()

    def _market_day(self, interface: Interface, day: date) -> Answer:
        # No trading day is without bars and factors: an empty answer means that they are not published.
        not_ready = NotReady(
            source=SOURCE,
            trade_date=day,
            reason="the answer has no rows",
            ready_at=f"{day} {_READY[interface.name]}",
        )
        return self._fetch([Question(interface, of="trade_date", day=day)], if_empty=Refused(not_ready), day=day)

    def _of_code(self, interface: Interface, ts_code: str, start: date, end: date) -> Answer:
        if (refusal := _refused_code(interface, (ts_code,))) is not None:
            return refusal
        return self._fetch(
            [
                Question(interface, codes=(ts_code,), within="trade_date", start=first, end=last)
                for first, last in windows(start, end, _BAR_DAYS)
            ],
            ts_code=ts_code,
        )

    def _fetch(self, questions: Sequence[Question], *, if_empty: Answer | None = None, **facts: object) -> Answer:
        """Return the verdict on all of the questions together; they are of one interface."""
        with metering() as meter:
            answer = self._verdict(questions, if_empty)
        _log.debug(
            "fetch",
            source=SOURCE,
            api=questions[0].interface.name if questions else "",
            verdict=verdict(answer),
            rows=answer.frame.height if isinstance(answer, Rows | Truncated) else 0,
            requests=meter.requests,
            wait_seconds=round(meter.wait_seconds, 3),
            api_seconds=round(meter.api_seconds, 3),
            **{name: str(value) for name, value in facts.items()},
        )
        return replace(answer, cost=meter.cost())

    def _verdict(self, questions: Sequence[Question], if_empty: Answer | None) -> Answer:
        if not questions:
            return ProvenEmpty("nothing was asked")
        try:
            frame = pl.concat([self._whole(question) for question in questions])
        except _CutOff as cut:
            return Truncated(cut.frame, cut.reason)
        except StockAssetsError as error:
            if isinstance(error, SourceError) and isinstance(error, Permanent):
                return Refused(error)
            return Broken(error)
        if frame.height:
            return Rows(frame)
        return if_empty or ProvenEmpty(
            f"{questions[0].interface.name} answered with code 0, all the columns that were asked for, and no rows"
        )

    def _whole(self, question: Question) -> pl.DataFrame:
        """Return every row that belongs to a question.

        Errors: `_CutOff` when rows are missing and the question cannot be made narrower, else those of the source.
        """
        if question.interface is DISCLOSURE_DATE:
            return self._paged(question)
        frame, is_cut = self._ask(question)
        if not is_cut:
            return frame
        interface = question.interface
        if not question.codes and question.start is None:
            codes = self._codes()
            if interface.is_unique:
                rest = [self._whole(part) for part in question.for_the_rest(frame, codes)]
                return pl.concat([frame, *rest]).unique(interface.key, keep="first", maintain_order=True)
            narrower = question.by_lists(sorted({*codes, *frame["ts_code"]}))
        else:
            narrower = question.halves()
        if not narrower:
            raise _CutOff(frame, f"{frame.height} rows came and more may exist of one code and one day")
        whole = pl.concat([self._whole(part) for part in narrower])
        # Of one report several rows may come, some of them equal: every one is counted.
        lost = Counter(frame.rows()) - Counter(whole.rows())
        if lost:
            problem = f"a row of {next(iter(lost))[0]} came at first and was missing from the narrower answers"
            raise AnswerBroken(source=SOURCE, api=interface.name, reason=problem)
        return whole

    def _paged(self, question: Question) -> pl.DataFrame:
        """Return every row in pages of the cap; only for one row a key, where pages that do not fit show a row twice."""
        interface = question.interface
        pages: list[pl.DataFrame] = []
        is_cut = True
        while is_cut and (not pages or pages[-1].height):
            had = sum(page.height for page in pages)
            page = (*question.extra, ("limit", str(self._caps[interface.name])), ("offset", str(had)))
            frame, is_cut = self._ask(replace(question, extra=page))
            pages.append(frame)
        whole = pl.concat(pages)
        if whole.select(interface.key).is_duplicated().any():
            raise AnswerBroken(source=SOURCE, api=interface.name, reason="a row came on two pages")
        return whole

    def _codes(self) -> tuple[str, ...]:
        """Return the code of every stock, not older than some minutes."""
        if self._clock() >= self._codes_until:
            frame = self._whole(Question(STOCK_BASIC, extra=_EVERY_STATUS))
            self._known_codes = tuple(sorted(frame["ts_code"]))
            self._codes_until = self._clock() + _CODES_LAST_SECONDS
        return self._known_codes

    def _ask(self, question: Question) -> tuple[pl.DataFrame, bool]:
        """Return the rows of one request and whether more may exist, asked as often as policy and errors allow."""
        left = self._rate_attempts
        while True:
            try:
                return self._retry.call(lambda: self._attempt(question))
            except RateLimited as error:
                left -= 1
                # What has no code was said by the limiter, which will not wait.
                if not left or error.facts.get("period") != "minute" or "code" not in error.facts:
                    raise

    def _attempt(self, question: Question) -> tuple[pl.DataFrame, bool]:
        interface = question.interface
        with timing_wait():
            self._limiter.before_request(SOURCE, interface.name)
        try:
            reply = self._api.query(interface.name, interface.fields, question.params())
            frame = verified(reply, question)
        except SourceError as error:
            if (kind := kind_of(error)) is not None:
                self._limiter.record_refusal(SOURCE, interface.name, kind, limit=allowed_calls(error))
            raise
        self._limiter.record_success(SOURCE, interface.name)
        return frame, is_cut_off(reply, self._caps[interface.name])


class _CutOff(Exception):
    """Rows are missing, and no narrower question is left."""

    def __init__(self, frame: pl.DataFrame, reason: str) -> None:
        super().__init__(reason)
        self.frame, self.reason = frame, reason


def _no_market(interface: Interface) -> Answer:
    return Broken(AnswerBroken(source=SOURCE, api=interface.name, reason="a market without any stock"))


def _refused_code(interface: Interface, codes: Sequence[str]) -> Refused | None:
    """Return the refusal of a code that no exchange has: the source answers it with no rows, as if it had never traded."""
    for code in codes:
        if not is_stock_code(code) and not _OLD_CODE.fullmatch(code):
            reason = f"{code} is a code of no exchange"
            return Refused(RequestRefused(source=SOURCE, api=interface.name, reason=reason))
    if codes:
        return None
    return Refused(RequestRefused(source=SOURCE, api=interface.name, reason="no code"))
