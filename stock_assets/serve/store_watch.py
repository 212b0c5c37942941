"""Looks now and then whether the store has changed, so that what is cached is not older than a few seconds for long."""

import threading
import time
from collections.abc import Callable

import structlog

from stock_assets.domain.errors import StockAssetsError
from stock_assets.storage.store_marks import StoreChanges, StoreMarks, changes

_log = structlog.get_logger(__name__)


class StoreWatch:
    """The newest known state of the store, looked at no more than once every `seconds`, by one of those who read.

    The others go on meanwhile with what was known. A look that fails is logged once and leaves what was known; values then
    grow as old as their kind allows. There is no thread: a store that nobody reads is not looked at.
    """

    def __init__(
        self,
        look: Callable[[StoreMarks | None], StoreMarks],
        *,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look = look
        self._seconds = seconds
        self._clock = clock
        self._one = threading.Lock()
        self._looked_at = clock()
        self._is_blind = False
        self.marks = look(None)

    def look_when_due(self, on_change: Callable[[StoreChanges], None]) -> bool:
        """Look if it is time and nobody else does, and tell `on_change` of any; return whether that was so."""
        if self._clock() - self._looked_at < self._seconds or not self._one.acquire(blocking=False):
            return False
        try:
            # Before the look: what is committed while it runs is for the next one.
            self._looked_at = self._clock()
            before, self.marks = self.marks, self._look(self.marks)
            self._is_blind = False
            # The new marks stand before anything is dropped: what is loaded from here on is of this state or a later one.
            if change := changes(before, self.marks):
                on_change(change)
        except StockAssetsError as error:
            if not self._is_blind:
                _log.warning("cache.unchecked", problem=error)
            self._is_blind = True
        finally:
            self._one.release()
        return True
