"""What one call costs, gathered where the cost arises: while waiting for a turn and on the wire (requests, time).

A call opens the meter in its own thread; whatever that thread then does for it, log-ins, pages, repeated attempts and
log-outs included, adds to it. Work outside any call adds to nothing.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from stock_assets.domain.answers import CallCost


@dataclass(slots=True)
class Meter:
    """The running cost of one call."""

    requests: int = 0
    wait_seconds: float = 0.0
    api_seconds: float = 0.0

    def cost(self) -> CallCost:
        """Return the cost so far as a value."""
        return CallCost(self.requests, self.wait_seconds, self.api_seconds)


_running: ContextVar[Meter | None] = ContextVar("source_meter", default=None)


@contextmanager
def metering() -> Generator[Meter]:
    """Gather the costs of the block."""
    meter = Meter()
    token = _running.set(meter)
    try:
        yield meter
    finally:
        _running.reset(token)


def count_request() -> None:
    """Add one request that leaves now."""
    if (meter := _running.get()) is not None:
        meter.requests += 1


@contextmanager
def timing_wait() -> Generator[None]:
    """Add the block's duration to the time spent waiting for a session or a slot."""
    started = time.monotonic()
    try:
        yield
    finally:
        if (meter := _running.get()) is not None:
            meter.wait_seconds += time.monotonic() - started


@contextmanager
def timing_api() -> Generator[None]:
    """Add the block's duration to the time spent on the wire."""
    started = time.monotonic()
    try:
        yield
    finally:
        if (meter := _running.get()) is not None:
            meter.api_seconds += time.monotonic() - started
