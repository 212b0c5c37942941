"""A cache in this process: values by kind and key, each loaded once for all who wait, renewed behind their readers' backs.

State changes under one lock; loading, logging and talking to the store behind happen outside it. What is kept, and when a
change of the store makes it wrong, is known in `cached_reads`; what is held within how many bytes, in `shelf`.
"""

import threading
import time
from collections.abc import Callable, Collection, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, cast

import structlog

from stock_assets.serve.cache_kinds import Behind, Kind, Name, Slot, Value
from stock_assets.serve.cache_stats import CacheStats, CountingLock, Counts
from stock_assets.serve.refresh_pool import Pool, RefreshPool
from stock_assets.serve.refresh_rounds import RefreshRounds
from stock_assets.serve.shelf import Entry, Shelf

REFRESH_THREADS = 5
_log = structlog.get_logger(__name__)
# What an entry costs beside its value.
_ENTRY_BYTES = 512
# A refresh that failed is not tried again for every reader who comes by.
_RETRY_SECONDS = 10.0


@dataclass(slots=True, eq=False)
class _Flight:
    """A load that is queued or under way; there is never a second one of its name."""

    kind: Kind[Any]
    key: Hashable
    load: Callable[[], Any]
    is_started: bool = False
    is_void: bool = False
    """What it brings was made wrong meanwhile: it is for those who asked before, and not kept."""
    is_lost: bool = False
    """Whoever loaded was interrupted: somebody else has to."""
    value: Any = None
    error: Exception | None = None
    trace: TracebackType | None = None
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def name(self) -> Name:
        return (self.kind.name, self.key)


class Cache:
    """Values by kind and key, at most `max_bytes` of them, the longest unused going first. Threads share one.

    Values are handed out as they are: they must not change. `load` must not read the cache. A load that fails is told to all
    who wait for it and leaves nothing; a refresh that fails leaves the old value. `clock` counts seconds.
    """

    def __init__(
        self,
        max_bytes: int,
        *,
        behind: Behind | None = None,
        clock: Callable[[], float] = time.monotonic,
        pool: Pool | None = None,
    ) -> None:
        self._behind = behind
        self._clock = clock
        self._pool = pool or RefreshPool(REFRESH_THREADS)
        self._lock = CountingLock()
        self._shelf = Shelf(max_bytes)
        self._flights: dict[Name, _Flight] = {}
        self._counts = Counts()
        self._rounds = RefreshRounds(self._counts)
        self._refreshing = 0
        self._is_closed = False

    def get(self, kind: Kind[Value], key: Hashable, load: Callable[[], Value]) -> Value:
        """Return the value of `key`, loaded if need be; errors are those of `load`. A closed cache loads each time."""
        refresh, is_first, age = None, False, 0.0
        with self._lock:
            now = self._clock()
            entry = self._shelf.held((kind.name, key), now)
            if entry is None:
                self._counts.misses += 1
            elif now < entry.fresh_until:
                self._counts.hits += 1
            else:
                if (kind.name, key) not in self._flights and now >= entry.retry_at:
                    refresh, is_first = self._flight(kind, key, load), self._rounds.begin(now)
                    age = now - entry.fresh_until
                self._counts.stale += 1
        if entry is None:
            return self._wait_for(kind, key, load)
        if refresh is not None:
            self._pool.submit(lambda: self._refresh(refresh))
        if is_first:
            _log.warning("cache.stale", kind=kind.name, key=str(key), expired_seconds=round(age, 1))
        return cast("Value", entry.value)

    def prefetch(self, kind: Kind[Value], key: Hashable, load: Callable[[], Value]) -> None:
        """Load the value in the background unless it is held or on its way."""
        with self._lock:
            now = self._clock()
            name = (kind.name, key)
            if self._is_closed or name in self._flights or self._shelf.held(name, now) is not None:
                return
            flight = self._flight(kind, key, load)
            self._rounds.begin(now)
        self._pool.submit(lambda: self._refresh(flight))

    def names(self) -> list[Name]:
        """Return kind and key of all that is held or being loaded."""
        with self._lock:
            return [*self._shelf, *self._flights]

    def drop(self, names: Collection[Name]) -> None:
        """Forget these values: who asks from now on gets what is loaded from now on."""
        with self._lock:
            for name in names:
                self._counts.invalidations += self._shelf.pop(name, None) is not None
                flight = self._flights.get(name)
                if flight is None:
                    continue
                if flight.is_started:
                    flight.is_void = True
                else:
                    # Nobody waits for it, for a reader would have begun it; now nobody will begin it.
                    flight.is_started = True
                    del self._flights[name]

    def invalidate(self, kind: Kind[Any], key: Hashable) -> None:
        """Forget this value here and in the store behind."""
        self.drop([(kind.name, key)])
        # A load that is under way wipes out itself what it writes after this.
        if (slot := self._slot(kind, key)) is not None:
            slot.forget()

    def close(self) -> None:
        """Forget everything and end the background threads; loads under way end first, half a minute at most."""
        with self._lock:
            self._is_closed = True
            self._shelf.clear()
        self._pool.close()
        if self._behind is not None:
            self._behind.close()

    def stats(self) -> CacheStats:
        """Return the counters as of now."""
        with self._lock:
            counts = self._counts
            refreshed = counts.refreshes + counts.refresh_failures
            return CacheStats(
                hits=counts.hits,
                stale_answers=counts.stale,
                misses=counts.misses,
                loads=counts.loads,
                load_failures=counts.load_failures,
                refreshes=counts.refreshes,
                refresh_failures=counts.refresh_failures,
                refresh_seconds=counts.refresh_seconds / refreshed if refreshed else 0.0,
                queue_length=self._rounds.pending - self._refreshing,
                refreshing=self._refreshing,
                evictions=self._shelf.evictions,
                invalidations=counts.invalidations,
                too_large=self._shelf.too_large,
                behind_hits=counts.behind_hits,
                bytes=self._shelf.bytes,
                entries=len(self._shelf),
                lock_waits=self._lock.waits,
                lock_wait_seconds=self._lock.wait_seconds,
                longest_lock_wait_seconds=self._lock.longest_seconds,
            )

    def _wait_for(self, kind: Kind[Value], key: Hashable, load: Callable[[], Value]) -> Value:
        """Return the value of a load that is under way, or of our own."""
        name = (kind.name, key)
        while True:
            with self._lock:
                if self._is_closed:
                    break
                if (entry := self._shelf.held(name, self._clock())) is not None:
                    return cast("Value", entry.value)
                flight = self._flights.get(name)
                # One that still stands in the queue is not waited for.
                is_ours = flight is None or not flight.is_started
                if flight is None:
                    flight = self._flight(kind, key, load)
                flight.is_started = True
                is_void = flight.is_void
            if is_ours:
                return cast("Value", self._fly(flight, is_refresh=False))
            flight.done.wait()
            if is_void or flight.is_lost:
                continue
            if flight.error is not None:
                # With its own trace each time: raised in a thousand threads it would grow by each.
                raise flight.error.with_traceback(flight.trace)
            return cast("Value", flight.value)
        return load()

    def _refresh(self, flight: _Flight) -> None:
        """Do a load that was queued, unless a reader has taken it over or nobody wants it any more."""
        with self._lock:
            is_ours = not flight.is_started
            flight.is_started = True
            self._refreshing += is_ours
        if is_ours:
            # Nobody to tell: it is counted, said in the round's line, and readers keep the old value.
            with suppress(BaseException):
                self._fly(flight, is_refresh=True)
        with self._lock:
            self._refreshing -= is_ours
            line = self._rounds.end(self._clock(), entries=len(self._shelf), held_bytes=self._shelf.bytes)
        if line is not None:
            (_log.warning if "problem" in line else _log.info)("cache.round", **line)

    def _fly(self, flight: _Flight, *, is_refresh: bool) -> object:
        """Load, keep the value and tell all who wait for it; an error is told and raised."""
        kind, began = flight.kind, self._clock()
        try:
            # Its place first: what is loaded after this is at least as new as the place says.
            slot = self._slot(kind, flight.key)
            found = None if slot is None else slot.read()
            value, seconds = (flight.load(), kind.ttl_seconds) if found is None else found
            if slot is not None and found is None:
                slot.write(value, seconds)
            size = kind.size(value) + _ENTRY_BYTES
        except BaseException as error:
            self._land_error(flight, error, is_refresh=is_refresh)
            raise
        flight.value = value
        fresh_until = began + min(seconds, kind.ttl_seconds)
        with self._lock:
            counts = self._counts
            counts.behind_hits += found is not None
            if is_refresh:
                counts.refreshes += 1
                counts.refresh_seconds += self._clock() - began
            else:
                counts.loads += 1
            del self._flights[flight.name]
            if not (flight.is_void or self._is_closed):
                self._shelf.keep(flight.name, Entry(value, size, fresh_until, fresh_until + kind.grace_seconds))
        if flight.is_void and slot is not None:
            slot.forget()
        flight.done.set()
        return value

    def _land_error(self, flight: _Flight, error: BaseException, *, is_refresh: bool) -> None:
        if isinstance(error, Exception):
            flight.error, flight.trace = error, error.__traceback__
        else:
            flight.is_lost = True
        with self._lock:
            del self._flights[flight.name]
            if is_refresh:
                self._counts.refresh_failures += 1
                if (entry := self._shelf.get(flight.name)) is not None:
                    entry.retry_at = self._clock() + _RETRY_SECONDS
                self._rounds.problem = error
            else:
                self._counts.load_failures += 1
        flight.done.set()

    def _slot(self, kind: Kind[Any], key: Hashable) -> Slot | None:
        return None if self._behind is None else self._behind.slot(kind.name, key)

    def _flight(self, kind: Kind[Any], key: Hashable, load: Callable[[], Any]) -> _Flight:
        """Note a load; called under the lock."""
        flight = _Flight(kind, key, load)
        self._flights[flight.name] = flight
        return flight
