"""A call to BaoStock and the verdict on it: retries where they help, refusals told to the ledger, costs measured.

Sessions, frames and rows are checked in the modules beside; which calls there are is in `client` and `finance_source`.
"""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import polars as pl
import structlog

from stock_assets.domain.answers import Answer, Broken, Refused, Rows, Truncated, verdict
from stock_assets.domain.errors import (
    AccessDenied,
    Banned,
    Permanent,
    RequestRefused,
    SessionExpired,
    SourceError,
    StockAssetsError,
)
from stock_assets.sources.baostock.frames import SOURCE
from stock_assets.sources.baostock.session import BaoStockSession, Reply
from stock_assets.sources.baostock.verify import Expectation, verified
from stock_assets.sources.base import NoLedger, RequestLedger, SessionSlots
from stock_assets.sources.meter import metering, timing_wait
from stock_assets.sources.retry import RetryPolicy, logged_in_again

_log = structlog.get_logger(__name__)

# BaoStock's published rule: the n-th ban of a year lasts n times six hours.
_BAN_STEP: Final = timedelta(hours=6)


class Sessions(Protocol):
    """Lends a logged-in session for one attempt, such as `BaoStockPool.session`."""

    def __call__(self, *, is_fresh: bool = False) -> AbstractContextManager[BaoStockSession]:
        """Lend a session; `is_fresh` asks for one that has not been used before."""
        ...


class SessionOfACall:
    """Logs in for every attempt and out again, holding a slot among all processes meanwhile: for a client without a pool."""

    def __init__(
        self, connect: Callable[[], BaoStockSession], slots: SessionSlots | None, timeout_seconds: float
    ) -> None:
        """Connect nothing yet; `timeout_seconds` is how long to wait for a slot."""
        self._connect = connect
        self._slots = slots
        self._timeout_seconds = timeout_seconds

    @contextmanager
    def __call__(self, *, is_fresh: bool = False) -> Generator[BaoStockSession]:  # noqa: ARG002  every one is fresh
        """Lend a session that lives as long as the context."""
        with ExitStack() as stack:
            if self._slots is not None:
                with timing_wait():
                    stack.enter_context(self._slots.take(SOURCE, timeout_seconds=self._timeout_seconds))
            session = self._connect()
            stack.callback(session.close)
            yield session


class BaoStockCalls:
    """Makes calls on lent sessions. No call raises for what the source did or failed to do: that is in the answer."""

    def __init__(
        self,
        sessions: Sessions,
        *,
        retry: RetryPolicy | None = None,
        ledger: RequestLedger | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Connect nothing yet; `ledger` is told of refusals and bans, while requests are counted by the sessions."""
        self._sessions = sessions
        self._retry = retry or RetryPolicy()
        self._ledger = ledger or NoLedger()
        self._now = now

    def fetch(self, expected: Expectation, arguments: dict[str, str], *, if_empty: Answer, **facts: object) -> Answer:
        """Return the verdict on one call and what it cost; `if_empty` is the verdict on a verified answer without rows."""
        with metering() as meter:
            answer = self._answer(expected, arguments, if_empty)
        _log.debug(
            "fetch",
            source=SOURCE,
            api=expected.api,
            verdict=verdict(answer),
            rows=answer.frame.height if isinstance(answer, Rows | Truncated) else 0,
            requests=meter.requests,
            wait_seconds=round(meter.wait_seconds, 3),
            api_seconds=round(meter.api_seconds, 3),
            **{name: str(value) for name, value in facts.items()},
        )
        return replace(answer, cost=meter.cost())

    def _answer(self, expected: Expectation, arguments: dict[str, str], if_empty: Answer) -> Answer:
        """Return the verdict on one call, made as often as the policy and the errors allow."""
        is_first = True
        partial: pl.DataFrame | None = None

        def attempt() -> pl.DataFrame:
            nonlocal is_first, partial
            # A session that has just failed, or whose answer was not to be trusted, is not asked again.
            is_fresh, is_first = not is_first, False
            reply, frame = self._ask(expected, arguments, is_fresh=is_fresh)
            if reply.lost is not None:
                partial = frame
                raise reply.lost
            return frame

        try:
            frame = self._retry.call(lambda: logged_in_again(attempt))
        except StockAssetsError as error:
            if isinstance(error, SourceError) and isinstance(error, Permanent):
                return Refused(self._noted(error, expected.api))
            if partial is not None:
                return Truncated(partial, str(error))
            return Broken(error)
        return Rows(frame) if frame.height else if_empty

    def _ask(self, expected: Expectation, arguments: dict[str, str], *, is_fresh: bool) -> tuple[Reply, pl.DataFrame]:
        with self._sessions(is_fresh=is_fresh) as session:
            try:
                reply = session.call(expected.api, expected.page_rows, **arguments)
                if isinstance(reply.lost, SessionExpired):
                    raise reply.lost
                # Inside the block: a session that answered with foreign rows must not be lent again.
                return reply, verified(reply, expected)
            except RequestRefused as error:
                # The request is at fault and the session is not: it stays in the pool.
                refusal = error
        raise refusal

    def _noted(self, error: SourceError, api: str) -> SourceError:
        """Return the error for the caller, once the ledger knows of what the source refused."""
        if isinstance(error, Banned) and error.facts.get("until") is None:
            self._ledger.record_refusal(SOURCE, api)
            # Recorded before it is counted: two processes that meet the same ban then both count it as one.
            now = self._now()
            self._ledger.record_ban(SOURCE, now + _BAN_STEP)
            until = now + _BAN_STEP * self._ledger.bans_this_year(SOURCE)
            self._ledger.record_ban(SOURCE, until)
            return Banned(**{**error.facts, "until": until})
        if isinstance(error, AccessDenied | RequestRefused):
            self._ledger.record_refusal(SOURCE, api)
        return error
