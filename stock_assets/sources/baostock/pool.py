"""Sessions shared by the threads of one process, never more than the cap, never two threads on one.

State changes under the lock; connecting, logging in and out, waiting for a slot and closing happen outside it, so that a
slow server holds up only the thread that talks to it.
"""

import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

import structlog

from stock_assets.domain.errors import SlotsTaken, StockAssetsError
from stock_assets.sources.baostock.frames import SOURCE
from stock_assets.sources.baostock.session import BaoStockSession
from stock_assets.sources.base import SessionSlots
from stock_assets.sources.meter import timing_wait

_log = structlog.get_logger(__name__)
# A wait that is longer than this is told to the person.
_QUIET_WAIT_SECONDS = 3.0


@dataclass(slots=True, eq=False)
class _Seat:
    """One unit of the cap: the slot it holds among all processes, and the session sitting on it, if any."""

    slot: AbstractContextManager[object] | None = None
    slot_since: float = 0.0
    session: BaoStockSession | None = None
    idle_since: float = 0.0
    process: int = field(default_factory=os.getpid)


class BaoStockPool:
    """At most `size` sessions, made on demand, each lent to one thread at a time by `with pool.session() as s`.

    A session older than `ttl_seconds` is replaced before it is lent again. One that lay idle for `idle_seconds` is
    logged out at the next use of the pool, so that other processes get its slot; `release_idle` does it at once. While
    another process waits, a session is logged out after `turn_seconds` and the call at hand: nobody waits for a load of
    hours. `slot_wait_seconds` is how long to wait for other processes, `timeout_seconds` (its default) for this one's threads.
    `connect` returns a logged-in session. A slot may be entered by one thread and left by another.
    """

    def __init__(  # noqa: PLR0913 - each is one decision of the caller
        self,
        connect: Callable[[], BaoStockSession],
        *,
        size: int = 1,
        timeout_seconds: float = 30.0,
        ttl_seconds: float = 3600.0,
        idle_seconds: float | None = None,
        turn_seconds: float = 10.0,
        slot_wait_seconds: float | None = None,
        slots: SessionSlots | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open nothing yet: the first session is made by the first use."""
        if size < 1:
            msg = "a pool needs room for one session"
            raise ValueError(msg)
        self._connect = connect
        self._size = size
        self._timeout_seconds = timeout_seconds
        self._ttl_seconds = ttl_seconds
        self._idle_seconds = idle_seconds
        self._turn_seconds = turn_seconds
        self._slot_wait_seconds = timeout_seconds if slot_wait_seconds is None else slot_wait_seconds
        self._slots = slots
        self._clock = clock
        self._abandoned: list[list[_Seat]] = []
        self._is_closed = False
        self._start()

    def __repr__(self) -> str:
        """Return what is in use and what is not, such as `<BaoStockPool 1 in use, 0 idle, cap 1>`."""
        closed = ", closed" if self._is_closed else ""
        return f"<BaoStockPool {self._in_use} in use, {len(self._idle)} idle, cap {self._size}{closed}>"

    @contextmanager
    def session(self, *, is_fresh: bool = False) -> Generator[BaoStockSession]:
        """Lend a logged-in session; `is_fresh` asks for one that has not been used before.

        It goes back when the block ends well, and is closed when the block raises or the session failed.

        Errors: `SlotsTaken` when none became free in time; whatever the log-in raised.
        """
        self._notice_fork()
        seat, leaving = self._take_seat()
        is_good = False
        try:
            self._close_all(leaving)
            session = self._seated(seat, is_fresh=is_fresh)
            yield session
            is_good = session.is_usable
        finally:
            self._leave_seat(seat, is_good=is_good)

    def release_idle(self) -> None:
        """Log out every idle session and free its slot."""
        self._notice_fork()
        with self._changed:
            leaving, self._idle = self._idle, []
            self._closing += len(leaving)
        self._close_all(leaving)

    def close(self) -> None:
        """Close every idle session and wait for none in use; those are closed as they come back."""
        self._is_closed = True
        self.release_idle()
        with self._changed:
            self._changed.notify_all()

    def _start(self) -> None:
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._idle: list[_Seat] = []
        self._in_use = 0
        self._closing = 0

    def _notice_fork(self) -> None:
        if os.getpid() == self._process:
            return
        # A forked child starts with nothing. What it inherited is the parent's: it stays referenced for ever, because
        # collecting it could log out the parent's sessions or free its slots.
        self._abandoned.append(self._idle)
        self._start()

    def _take_seat(self) -> tuple[_Seat, list[_Seat]]:
        """Return a seat to use and the seats to close first; seats change hands here, sessions are not touched."""
        started = time.monotonic()
        with timing_wait(), self._changed:
            while True:
                if self._is_closed:
                    msg = "the pool is closed"
                    raise RuntimeError(msg)
                leaving = self._overdue()
                seat = self._idle.pop() if self._idle else None
                if seat is None and leaving:
                    seat = leaving.pop()
                if seat is None and self._in_use + self._closing < self._size:
                    seat = _Seat()
                if seat is not None:
                    self._in_use += 1
                    self._closing += len(leaving)
                    return seat, leaving
                waited = time.monotonic() - started
                if not self._changed.wait(self._timeout_seconds - waited) and waited >= self._timeout_seconds:
                    raise SlotsTaken(source=SOURCE, limit=self._size, waited_seconds=round(waited, 1))

    def _overdue(self) -> list[_Seat]:
        """Take out the idle seats whose session has lain too long or grown too old."""
        now = self._clock()
        longest = self._idle_seconds
        overdue = [
            seat
            for seat in self._idle
            if (longest is not None and now - seat.idle_since >= longest) or self._is_too_old(seat.session)
        ]
        self._idle = [seat for seat in self._idle if seat not in overdue]
        return overdue

    def _is_too_old(self, session: BaoStockSession | None) -> bool:
        return session is not None and session.age_seconds >= self._ttl_seconds

    def _seated(self, seat: _Seat, *, is_fresh: bool) -> BaoStockSession:
        """Return the seat's session, replaced where it cannot be used; the old one ends before the new one begins."""
        session = seat.session
        if session is not None:
            if not is_fresh and session.is_quiet and not self._is_too_old(session):
                return session
            seat.session = None
            session.close()
        if seat.slot is None:
            with timing_wait():
                seat.slot = self._slot()
            seat.slot_since = self._clock()
        seat.session = self._connect()
        return seat.session

    def _slot(self) -> AbstractContextManager[object]:
        """Return a slot that is held, telling the person when others make us wait."""
        if self._slots is None:
            return nullcontext()
        quiet = min(_QUIET_WAIT_SECONDS, self._slot_wait_seconds)
        slot = self._slots.take(SOURCE, timeout_seconds=quiet)
        try:
            slot.__enter__()
        except SlotsTaken:
            rest = self._slot_wait_seconds - quiet
            if not rest:
                raise
            _log.warning("source.waiting", source=SOURCE, at_most_seconds=rest)
            slot = self._slots.take(SOURCE, timeout_seconds=rest)
            slot.__enter__()
        return slot

    def _is_turn_over(self, seat: _Seat) -> bool:
        """Return whether another process waits and this one has had its turn."""
        if self._slots is None or seat.slot is None or self._clock() - seat.slot_since < self._turn_seconds:
            return False
        # Asked once a turn: it is a question to the database.
        seat.slot_since = self._clock()
        try:
            return self._slots.is_wanted(SOURCE)
        except StockAssetsError:
            # The store cannot be asked, and with its connection the slot is gone.
            return True

    def _leave_seat(self, seat: _Seat, *, is_good: bool) -> None:
        if os.getpid() != seat.process:
            self._abandoned.append([seat])
            return
        is_good = is_good and not self._is_turn_over(seat)
        with self._changed:
            self._in_use -= 1
            is_kept = is_good and not self._is_closed
            if is_kept:
                seat.idle_since = self._clock()
                self._idle.append(seat)
            else:
                self._closing += 1
            self._changed.notify()
        if not is_kept:
            self._close_all([seat])

    def _close_all(self, seats: list[_Seat]) -> None:
        for seat in seats:
            try:
                if seat.session is not None:
                    seat.session.close()
            finally:
                if seat.slot is not None:
                    seat.slot.__exit__(None, None, None)
                with self._changed:
                    self._closing -= 1
                    self._changed.notify()
