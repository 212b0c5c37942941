"""A slower pace than the source allows, by the user's wish: at most so many requests a minute, evenly spaced."""

import threading
import time
from collections.abc import Callable
from datetime import datetime

from stock_assets.sources.base import RequestLedger, Sleep


class PacedLedger:
    """A `RequestLedger` that lets requests pass no faster than `per_minute`, in the order in which they come.

    Only this process is paced; the count before the request and the ban stay the business of the ledger behind it.
    """

    def __init__(
        self,
        ledger: RequestLedger,
        *,
        per_minute: float,
        sleep: Sleep = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._spacing_seconds = 60.0 / per_minute
        self._sleep = sleep
        self._clock = clock
        self._lock = threading.Lock()
        self._next_at = float("-inf")

    def before_request(self, source: str, api: str) -> None:
        """Wait for this request's turn, then count it."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next_at)
            self._next_at = turn + self._spacing_seconds
        if turn > now:
            self._sleep(turn - now)
        self._ledger.before_request(source, api)

    def record_refusal(self, source: str, api: str) -> None:
        """Count one refusal."""
        self._ledger.record_refusal(source, api)

    def record_ban(self, source: str, until: datetime) -> None:
        """Remember that nothing may be sent before `until`."""
        self._ledger.record_ban(source, until)

    def bans_this_year(self, source: str) -> int:
        """Return how often the source has banned us this year."""
        return self._ledger.bans_this_year(source)
