"""Puts the cache of one installation together from its settings."""

from stock_assets.serve.asked import AskedStocks
from stock_assets.serve.cache import Cache
from stock_assets.serve.cached_reads import MARKET_DAY, READERS, STOCK, CachedReads, CacheRules, Snapshots
from stock_assets.serve.redis_store import RedisStore
from stock_assets.serve.stock_history import FrameBytes, HistoryBytes
from stock_assets.serve.store_watch import StoreWatch
from stock_assets.storage.store_marks import StoreMarks, read_marks
from stock_assets.wiring import Installation

_MEGABYTE = 1_000_000


def open_cache(installation: Installation, *, snapshots: Snapshots | None = None) -> CachedReads:
    """Return cached reads of the installation's store; close them before the installation.

    Errors: `StoreUnavailable` when the server cannot be reached; `ConfigurationError` for a Redis that cannot be used.
    """
    settings = installation.settings

    def look(known: StoreMarks | None) -> StoreMarks:
        with installation.database.read() as conn:
            return read_marks(conn, known)

    watch = StoreWatch(look, seconds=settings.cache_check_seconds)
    behind = None
    if settings.cache_redis_url is not None:
        behind = RedisStore(
            settings.cache_redis_url.get_secret_value(),
            state=lambda: watch.marks.name,
            packing={STOCK: HistoryBytes(), MARKET_DAY: FrameBytes()},
        )
    return CachedReads(
        [installation.reader() for _ in range(READERS)],
        Cache(settings.cache_megabytes * _MEGABYTE, behind=behind),
        watch=watch,
        rules=CacheRules(
            bars_seconds=settings.cache_ttl_daily_seconds,
            snapshot_seconds=settings.cache_ttl_snapshot_seconds,
            expiry=settings.cache_expiry,
            warm_stocks=settings.cache_warm_stocks,
        ),
        asked=AskedStocks(settings.home / "state" / "asked_stocks.json"),
        snapshots=snapshots,
    )
