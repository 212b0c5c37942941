"""The reads that people ask most, through the cache: bars of one stock, a market day, and the snapshot of a day.

What is cached, for how long, and what a change of the store makes wrong is decided here; how a cache works is in `cache`.
"""

from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from queue import LifoQueue
from typing import Protocol, cast

import polars as pl

from stock_assets.domain.adjustment import Adjust
from stock_assets.domain.errors import InvalidInput
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.serve.asked import AskedStocks
from stock_assets.serve.cache import REFRESH_THREADS, Cache
from stock_assets.serve.cache_kinds import Expiry, Kind, Name
from stock_assets.serve.cache_stats import CacheStats
from stock_assets.serve.stock_history import StockHistory, frame_bytes, history_bytes
from stock_assets.serve.store_watch import StoreWatch
from stock_assets.storage.bars_question import BarsQuestion
from stock_assets.storage.reader import Reader
from stock_assets.storage.store_marks import StoreChanges

STOCK, MARKET_DAY, SNAPSHOT = "stock", "market_day", "snapshot"
READERS = REFRESH_THREADS + 3
"""Connections that loads share: refreshing never takes all of them."""


class Snapshots(Protocol):
    """Whoever has the ready-made snapshots of days."""

    def latest_day(self) -> date | None:
        """Return the newest day that has one."""
        ...

    def read(self, day: date) -> pl.DataFrame:
        """Return the snapshot of a day."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRules:
    """For how long values are good, and how many stocks are loaded at the start."""

    bars_seconds: float = 3600.0
    snapshot_seconds: float = 3600.0
    expiry: Expiry = "soft"
    warm_stocks: int = 100


class CachedReads:
    """Answers equal to the store's own, as old as the last look of the watch, or as `rules` allow where nothing is noticed.

    Every reader gets a frame of its own over the same values, which polars copies before it changes any: what a reader does to
    a frame, nobody else sees.
    Errors are those of `Reader` and of `snapshots`; they are told to whoever asked and never kept.
    """

    def __init__(  # noqa: PLR0913  what works together
        self,
        readers: Collection[Reader],
        cache: Cache,
        *,
        watch: StoreWatch,
        rules: CacheRules,
        asked: AskedStocks,
        snapshots: Snapshots | None = None,
    ) -> None:
        self._readers: LifoQueue[Reader] = LifoQueue()
        for reader in readers:
            self._readers.put(reader)
        self._cache = cache
        self._watch = watch
        self._asked = asked
        self._snapshots = snapshots
        bars, expiry = rules.bars_seconds, rules.expiry
        self._stock = Kind[StockHistory](STOCK, bars, history_bytes, expiry)
        self._market_day = Kind[pl.DataFrame](MARKET_DAY, bars, frame_bytes, expiry)
        self._snapshot = Kind[pl.DataFrame](SNAPSHOT, rules.snapshot_seconds, frame_bytes, expiry)
        self._warm(rules.warm_stocks)

    def bars(self, ts_codes: Sequence[str] | None, question: BarsQuestion) -> pl.DataFrame | None:
        """Return bars of one stock, or of every stock on one day, as `Reader.bars` would; None for other questions."""
        self._look_after()
        if ts_codes is not None and len(ts_codes) == 1:
            code = ts_codes[0]
            self._asked.note(code)
            return self._cache.get(self._stock, (code,), lambda: self._history(code)).answer(question).clone()
        if ts_codes is None and question.start is not None and question.start == question.end:
            return self._day(question.start, question)
        return None

    def snapshot(self, day: date) -> pl.DataFrame:
        """Return the snapshot of a day. Errors: `InvalidInput` where there are none."""
        if (snapshots := self._snapshots) is None:
            raise InvalidInput(problem="this store has no snapshots", problem_zh="该存储没有每日快照")
        self._look_after()
        return self._cache.get(self._snapshot, (day,), lambda: snapshots.read(day)).clone()

    def forget_stock(self, ts_code: str) -> None:
        """Read this stock anew when it is next asked for, here and in every process that shares the Redis."""
        self._cache.invalidate(self._stock, (ts_code,))

    def stats(self) -> CacheStats:
        """Return what the cache has done and holds."""
        return self._cache.stats()

    def close(self) -> None:
        """End background work and keep the counts of what was asked; the readers are closed by whoever made them."""
        self._cache.close()
        self._asked.save()

    def _look_after(self) -> None:
        if self._watch.look_when_due(self._forget):
            self._asked.save_when_due()

    def _warm(self, stocks: int) -> None:
        snapshots = self._snapshots
        if snapshots is not None and stocks and (day := snapshots.latest_day()) is not None:
            self._cache.prefetch(self._snapshot, (day,), lambda: snapshots.read(day))
        for code in self._asked.most_asked(stocks):
            self._cache.prefetch(self._stock, (code,), lambda code=code: self._history(code))

    def _history(self, ts_code: str) -> StockHistory:
        with self._reader() as reader:
            return StockHistory(*reader.history(ts_code))

    def _day(self, day: date, question: BarsQuestion) -> pl.DataFrame:
        if question.columns is not None:
            # Which columns are wanted changes what is shown, not what is read; whether there are such is asked all the same.
            question.selections()
        key = (day, question.adjust, question.anchor if question.adjust == "qfq" else None)
        whole = self._cache.get(self._market_day, key, lambda: self._market(*key))
        return whole.clone() if question.columns is None else whole.select(question.names)

    def _market(self, day: date, adjust: Adjust, anchor: date | None) -> pl.DataFrame:
        with self._reader() as reader:
            return reader.bars(None, day, day, adjust=adjust, anchor=anchor)

    @contextmanager
    def _reader(self) -> Generator[Reader]:
        """Lend a connection, the one used last first; who finds none waits for one."""
        reader = self._readers.get()
        try:
            yield reader
        finally:
            self._readers.put(reader)

    def _forget(self, change: StoreChanges) -> None:
        self._cache.drop([name for name in self._cache.names() if _is_touched(name, change)])


def _is_touched(name: Name, change: StoreChanges) -> bool:
    """Return whether a value may be wrong after a change."""
    kind, key = name
    day, *adjust = cast("tuple[object, ...]", key)
    if kind == SNAPSHOT:
        return any(day in days for days in change.days.values())
    bar_days = change.days.get(STOCK_DAILY.name, frozenset[date]())
    if kind == MARKET_DAY:
        return day in bar_days or (change.has_new_factors and adjust[0] != "none")
    return bool(bar_days) or change.has_new_factors
