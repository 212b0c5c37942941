"""What a cache counts: its readers, its loads, and who had to wait for its lock."""

import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What a cache has done so far, and what it holds now. A reader is counted once: as hit, stale answer or miss."""

    hits: int
    """Readers who were served a fresh value at once."""
    stale_answers: int
    """Readers who were served an expired value at once, while it was being renewed."""
    misses: int
    """Readers who waited for a load, their own or somebody else's."""
    loads: int
    """Loads that readers waited for and that ended well."""
    load_failures: int
    refreshes: int
    """Loads in the background that ended well."""
    refresh_failures: int
    refresh_seconds: float
    """The mean of the background loads."""
    queue_length: int
    """Refreshes that have not begun."""
    refreshing: int
    """Threads that refresh now, 5 at most."""
    evictions: int
    """Values that were dropped to make room."""
    invalidations: int
    """Values that were dropped because they had become wrong."""
    too_large: int
    """Values that were handed out and not kept, because they alone are larger than the cache."""
    behind_hits: int
    """Loads that the store behind the cache answered."""
    bytes: int
    entries: int
    lock_waits: int
    """How often a thread found the cache's lock taken."""
    lock_wait_seconds: float
    """All of those waits together."""
    longest_lock_wait_seconds: float

    @property
    def hit_rate(self) -> float:
        """Return the share of readers who were served at once, 0 to 1; 0 before the first."""
        served = self.hits + self.stale_answers
        return served / (served + self.misses) if served + self.misses else 0.0

    @property
    def refresh_failure_rate(self) -> float:
        """Return the share of refreshes that failed, 0 to 1."""
        ended = self.refreshes + self.refresh_failures
        return self.refresh_failures / ended if ended else 0.0


@dataclass(slots=True)
class Counts:
    """The counters while they run; the cache changes them under its lock."""

    hits: int = 0
    stale: int = 0
    misses: int = 0
    loads: int = 0
    load_failures: int = 0
    refreshes: int = 0
    refresh_failures: int = 0
    refresh_seconds: float = 0.0
    invalidations: int = 0
    behind_hits: int = 0


class CountingLock:
    """A lock that counts how often, and how long, somebody had to wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.waits = 0
        self.wait_seconds = 0.0
        self.longest_seconds = 0.0

    def __enter__(self) -> None:
        if self._lock.acquire(blocking=False):
            return
        began = time.perf_counter()
        self._lock.acquire()
        waited = time.perf_counter() - began
        self.waits += 1
        self.wait_seconds += waited
        self.longest_seconds = max(self.longest_seconds, waited)

    def __exit__(self, *_error: object) -> None:
        self._lock.release()
