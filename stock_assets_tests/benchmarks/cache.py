"""A thousand readers at once, with a cache and without, on a real store that changes meanwhile.

Of all questions 95 % go to 5 % of the keys: stocks, each with one of four questions about it, and market days. A reader waits
between two questions, for in one process a thousand that never pause measure the interpreter's lock and nothing else; what
they get then is printed too.
"""

import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import cast

import click
import numpy as np
import polars as pl
import psutil

from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.serve import Store
from stock_assets.serve.cache import Cache
from stock_assets.serve.cache_kinds import Kind
from stock_assets.serve.cache_stats import CountingLock
from stock_assets.serve.cached_reads import CachedReads
from stock_assets.serve.open_cache import open_cache
from stock_assets.settings import Settings
from stock_assets.storage import ledger
from stock_assets.storage.bulk_load import load
from stock_assets.storage.database import Database
from stock_assets.wiring import Installation
from stock_assets_tests.benchmarks.made_up_bars import UPDATED_AT, bars, codes, sessions

_HOT_SHARE, _HOT_KEYS = 0.95, 0.05
_MARKET_DAYS = 20
_MOST_READS = 2_000_000
_MOMENTS = (0.1, 0.25, 0.5, 0.75, 0.97)

Question = Callable[[Store], pl.DataFrame]


@dataclass
class Loads:
    """Loads of stocks, and how many of one stock were ever under way at once."""

    count: int = 0
    most_of_a_key: int = 0


@click.command()
@click.option("--seconds", default=600, show_default=True, help="how long the readers read with the cache")
@click.option("--readers", default=1000, show_default=True, help="threads that read")
@click.option("--think", default=1.0, show_default=True, help="mean seconds between two questions of one reader")
@click.option("--stocks", default=300, show_default=True, help="made-up stocks in the store")
@click.option("--days", default=2430, show_default=True, help="sessions of each, ten years by default")
@click.option("--ttl", default=60.0, show_default=True, help="CACHE_TTL_DAILY")
@click.option("--change", default=240.0, show_default=True, help="seconds between two changes of the store")
@click.option("--short", default=20.0, show_default=True, help="seconds of each measurement that is compared with")
def cache(
    seconds: int, readers: int, think: float, stocks: int, days: int, ttl: float, change: float, short: float
) -> None:
    """Print latencies, hit rate, refreshes and memory of many readers."""
    # Not below a folder that is closed to others: as root the server runs as an account of its own.
    home = Path(tempfile.mkdtemp(prefix="stock-assets-bench-"))
    settings = Settings(home=home, cache_ttl_daily_seconds=ttl, log_level="ERROR")
    with Installation(settings) as installation:
        installation.configure_logging()
        _fill(installation.database, stocks, days)
        questions = _questions(stocks, days)
        print(f"{stocks} stocks x {days} days, {len(questions)} keys; {readers} readers, {think:g} s between questions")
        print("| readers | s | reads/s begun | P50 ms | P95 ms | P99 ms | longest ms |")
        print("|---|---|---|---|---|---|---|")
        plain = Store(installation)
        _line("without a cache, with pauses", short, _read(plain, questions, readers, short, think))
        reads = open_cache(installation)
        loads = _watched(reads)
        store = Store(installation, cached=reads)
        rss = _Rss(seconds)
        with _changing(installation.database, change) as changes, rss.noted():
            _line("**with the cache, with pauses**", seconds, _read(store, questions, readers, seconds, think))
        stats = reads.stats()
        _line("with the cache, no pauses", short, _read(store, questions, readers, short, 0.0))
        reads.close()
    print()
    fresh = stats.hits / (stats.hits + stats.stale_answers + stats.misses)
    print(f"hit rate {stats.hit_rate:.4%} (fresh {fresh:.4%}, stale answers {stats.stale_answers:,})")
    print(f"refreshes {stats.refreshes:,} of {stats.refresh_seconds * 1000:.0f} ms, failed {stats.refresh_failures}")
    print(f"readers who waited {stats.misses:,} for {stats.loads:,} loads; changes of the store {len(changes)}")
    print(f"loads of one key at once, at most {loads.most_of_a_key}")
    print(f"held {stats.entries} values, {stats.bytes / 1e6:.0f} MB counted, evictions {stats.evictions}")
    print(f"lock: {stats.lock_waits:,} waits, {stats.lock_wait_seconds:.3f} s in all, longest "
          f"{stats.longest_lock_wait_seconds * 1000:.1f} ms")  # fmt: skip
    shares = " ".join(f"{share:.0%}" for share in _MOMENTS)
    print(f"RSS MB after {shares} of the time: {' '.join(f'{value / 1e6:.0f}' for value in rss.values)}")
    _locks()


def _fill(database: Database, stocks: int, days: int) -> None:
    named, traded = codes(stocks), sessions(days)
    factors = [
        {"ts_code": code, "ex_date": day, "back_adjust_factor": 1.0 + number / 10, "source": "made up"}
        for code in named
        for number, day in enumerate(traded[125::250])
    ]
    with database.begin() as conn:
        load(conn, STOCK_DAILY, bars(named, traded), is_new=True)
        load(conn, ADJUST_FACTOR, ADJUST_FACTOR.conform(pl.DataFrame(factors).with_columns(
            pl.lit(UPDATED_AT).cast(pl.Datetime("us", "UTC")).alias("updated_at"))))  # fmt: skip
        for day in traded:
            ledger.write_entry(conn, _entry(day, "first"))


def _entry(day: date, digest: str) -> ledger.LedgerEntry:
    now = datetime.now(UTC)
    return ledger.LedgerEntry(
        dataset=STOCK_DAILY.name,
        trade_date=day,
        status="complete",
        rows_expected=None,
        rows_present=1,
        rows_rejected=0,
        source="made up",
        digest=digest,
        started_at=now,
        finished_at=now,
    )


def _questions(stocks: int, days: int) -> list[Sequence[Question]]:
    """Return the keys in an order of chance, each with what is asked about it."""
    traded = sessions(days)
    last, year, month = traded[-1], traded[-250], traded[-20]

    def stock(code: str) -> Sequence[Question]:
        return (
            lambda store: store.bars(code, adjust="hfq"),
            lambda store: store.bars(code, year, adjust="qfq", anchor=last),
            lambda store: store.bars(code, year),
            lambda store: store.bars(code, month, last, columns=["trade_date", "close", "volume"]),
        )

    def market(day: date) -> Sequence[Question]:
        return (lambda store: store.bars(None, day, day),)

    keys = [stock(code) for code in codes(stocks)]
    keys += [market(day) for day in traded[-_MARKET_DAYS:]]
    random.Random(1).shuffle(keys)  # noqa: S311  (not a secret)
    return keys


def _read(
    store: Store, questions: list[Sequence[Question]], readers: int, seconds: float, think: float
) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return the seconds that each answer took, asked by `readers` threads for so long."""
    # Touched beforehand, so that what is measured does not grow the process.
    room = min(_MOST_READS, int(seconds * (2 / think if think else _MOST_READS / seconds / readers))) + 10
    room = room if think else _MOST_READS // readers
    took = np.full((readers, room), -1.0, dtype=np.float32)
    hot = max(1, int(len(questions) * _HOT_KEYS))
    barrier, ends = threading.Barrier(readers + 1), [0.0]
    failures: list[BaseException] = []

    def read(number: int) -> None:
        chance, row = random.Random(number), took[number]  # noqa: S311  (not a secret)
        barrier.wait()
        time.sleep(chance.uniform(0, think))
        try:
            for place in range(room):
                if time.perf_counter() >= ends[0]:
                    break
                chosen = (
                    chance.randrange(hot) if chance.random() < _HOT_SHARE else chance.randrange(hot, len(questions))
                )
                question = chance.choice(questions[chosen])
                began = time.perf_counter()
                question(store)
                row[place] = time.perf_counter() - began
                if think:
                    time.sleep(chance.uniform(0.5 * think, 1.5 * think))
        except BaseException as error:  # noqa: BLE001  raised again below
            failures.append(error)

    threads = [threading.Thread(target=read, args=(number,), daemon=True) for number in range(readers)]
    for thread in threads:
        thread.start()
    ends[0] = time.perf_counter() + seconds
    barrier.wait()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return cast("np.ndarray[tuple[int], np.dtype[np.float32]]", took[took >= 0])


def _line(name: str, seconds: float, took: np.ndarray[tuple[int], np.dtype[np.float32]]) -> None:
    p50, p95, p99, longest = (float(np.percentile(took, share)) * 1000 for share in (50, 95, 99, 100))
    print(f"| {name} | {seconds:g} | {len(took) / seconds:,.0f} | {p50:.2f} | {p95:.2f} | {p99:.2f} | {longest:,.0f} |",
          flush=True)  # fmt: skip


def _watched(reads: CachedReads) -> Loads:
    """Count what the cache loads."""
    loads, running, lock = Loads(), Counter[str](), threading.Lock()
    history = reads._history  # pyright: ignore[reportPrivateUsage]

    def counted(ts_code: str) -> object:
        with lock:
            loads.count += 1
            running[ts_code] += 1
            loads.most_of_a_key = max(loads.most_of_a_key, running[ts_code])
        try:
            return history(ts_code)
        finally:
            with lock:
                running[ts_code] -= 1

    reads._history = counted  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    return loads


@contextmanager
def _changing(database: Database, seconds: float) -> Generator[list[float]]:
    """Write a day's line anew every so often: as after a correction, every stock has to be loaded again."""
    is_over, made = threading.Event(), list[float]()
    day = sessions(1)[0]

    def change() -> None:
        while not is_over.wait(seconds):
            with database.begin() as conn:
                ledger.write_entry(conn, _entry(day, f"change {len(made)}"))
            made.append(time.monotonic())

    thread = threading.Thread(target=change, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        is_over.set()
        thread.join()


class _Rss:
    """The memory of this process at some moments of a measurement."""

    def __init__(self, seconds: float) -> None:
        self.values: list[int] = []
        self._moments = [share * seconds for share in _MOMENTS]
        self._is_over = threading.Event()

    @contextmanager
    def noted(self) -> Generator[None]:
        """Note it while the body runs."""
        thread = threading.Thread(target=self._note, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()

    def _note(self) -> None:
        began = time.monotonic()
        for moment in self._moments:
            self._is_over.wait(began + moment - time.monotonic())
            self.values.append(int(psutil.Process().memory_info().rss))


def _locks() -> None:
    """Print what the cache's lock costs a hit."""
    print()
    print("| a hit, ns | 1 thread | 8 threads, a read each |")
    print("|---|---|---|")
    kind = Kind[int]("n", 3600.0, lambda _value: 1)
    for name, lock in (
        ("with the lock", CountingLock()),
        ("without any", nullcontext()),
        ("a plain lock", threading.Lock()),
    ):
        cache = Cache(1_000_000)
        cache._lock = cast("CountingLock", lock)  # pyright: ignore[reportPrivateUsage]
        cache.get(kind, ("a",), lambda: 1)
        print(f"| {name} | {_per_hit(cache, kind, 1):.0f} | {_per_hit(cache, kind, 8):.0f} |")


def _per_hit(cache: Cache, kind: Kind[int], threads: int) -> float:
    times = 200_000 // threads

    def read() -> None:
        for _ in range(times):
            cache.get(kind, ("a",), lambda: 1)

    started = [threading.Thread(target=read) for _ in range(threads)]
    began = time.perf_counter()
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return (time.perf_counter() - began) / (times * threads) * 1e9


if __name__ == "__main__":
    cache()
