"""A few daemon threads that work off a queue; what the work is, and that no key is queued twice, belongs to the cache."""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

Job = Callable[[], None]
# A load that hangs is left behind: its thread is a daemon.
_PATIENCE_SECONDS = 30.0


class Pool(Protocol):
    """Whoever does jobs later."""

    def submit(self, job: Job) -> None:
        """Do `job`, which does not raise, some time later; nothing when the pool is closed."""
        ...

    def close(self) -> None:
        """Forget what has not begun and wait for the rest."""
        ...


class RefreshPool:
    """At most `size` daemon threads, each started when it is first needed."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._changed = threading.Condition()
        self._jobs: deque[Job] = deque()
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._is_closed = False

    def submit(self, job: Job) -> None:
        """Do `job`, which does not raise, as soon as a thread is free; nothing when the pool is closed."""
        with self._changed:
            if self._is_closed:
                return
            self._jobs.append(job)
            is_needed = self._busy + len(self._jobs) > len(self._threads) < self._size
            if is_needed:
                name = f"stock-assets-refresh-{len(self._threads) + 1}"
                thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Forget the jobs that have not begun, and wait until those under way have ended, half a minute at most."""
        with self._changed:
            self._is_closed = True
            self._jobs.clear()
            self._changed.notify_all()
            threads = [thread for thread in self._threads if thread is not threading.current_thread()]
        deadline = time.monotonic() + _PATIENCE_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._jobs:
                    if self._is_closed:
                        return
                    self._changed.wait()
                job = self._jobs.popleft()
                self._busy += 1
            # Jobs do not raise; should a log that was closed under one do so, its thread is needed all the same.
            with suppress(Exception):
                job()
            with self._changed:
                self._busy -= 1
