"""Loads, a clock and a pool that tests steer."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from stock_assets.serve.refresh_pool import Job


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


class LaterPool:
    """Does jobs when a test says so."""

    def __init__(self) -> None:
        self.jobs: deque[Job] = deque()

    def submit(self, job: Job) -> None:
        self.jobs.append(job)

    def run(self) -> None:
        while self.jobs:
            self.jobs.popleft()()

    def close(self) -> None:
        self.jobs.clear()


@dataclass
class Loads:
    """Counts loads by key, and how many of one key were under way at once."""

    work: Callable[[Hashable], object] = field(default=lambda key: f"value of {key}")
    counts: Counter[Hashable] = field(default_factory=Counter[Hashable])
    running: Counter[Hashable] = field(default_factory=Counter[Hashable])
    most_of_a_key: int = 0
    threads: set[str] = field(default_factory=set[str])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, key: Hashable) -> Callable[[], object]:
        def load() -> object:
            with self.lock:
                self.counts[key] += 1
                self.running[key] += 1
                self.most_of_a_key = max(self.most_of_a_key, self.running[key])
                self.threads.add(threading.current_thread().name)
            try:
                return self.work(key)
            finally:
                with self.lock:
                    self.running[key] -= 1

        return load
