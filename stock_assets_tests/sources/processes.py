"""What several processes share, and the end of a forked one."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stock_assets.domain.errors import SlotsTaken, StockAssetsError

if TYPE_CHECKING:
    from collections.abc import Generator


class CountedSlots:
    """Slots as several processes would share them."""

    def __init__(self, limit: int) -> None:
        self.limit, self.taken, self.most = limit, 0, 0
        self.is_waited_for = False
        self.error: StockAssetsError | None = None

    def is_wanted(self, source: str) -> bool:  # noqa: ARG002 - the protocol's signature
        if self.error is not None:
            raise self.error
        return self.is_waited_for

    @contextmanager
    def take(self, source: str, *, timeout_seconds: float) -> Generator[None]:
        if self.taken >= self.limit:
            raise SlotsTaken(source=source, limit=self.limit, waited_seconds=timeout_seconds)
        self.taken += 1
        self.most = max(self.most, self.taken)
        try:
            yield
        finally:
            self.taken -= 1


def ended_well(child: int, seconds: float = 5.0) -> bool:
    """Return whether a forked child ends by itself in time and without an error."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status == 0
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False
