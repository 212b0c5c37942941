"""What assets are given: the store with its calendar and clock, and BaoStock over its session pool.

Both come from the `Installation` the definitions were built with. It opens them on first use; when a run ends its
sessions are logged out, so that the next run finds a free place. While the run lives, its lock says so.
"""

from collections.abc import Iterator

from dagster import InitResourceContext, ResourceDefinition, resource

from stock_assets.sources.base import MarketSource
from stock_assets.sources.limiter import RateLimiter
from stock_assets.storage.run_lock import running
from stock_assets.wiring import Installation


def store_resource(installation: Installation) -> ResourceDefinition:
    """Return the resource `store`: the installation, whose `pipeline` runs the verbs."""

    @resource(description="PostgreSQL 存储（内嵌或外部）、日历与时钟 | the PostgreSQL store, its calendar and clock")
    def store(context: InitResourceContext) -> Iterator[Installation]:
        if context.run is None:
            yield installation
            return
        with running(installation.database, context.run.run_id):
            yield installation

    return store


def baostock_resource(installation: Installation) -> ResourceDefinition:
    """Return the resource `baostock_pool`: the market source over the session pool."""

    @resource(description="BaoStock 会话池 | BaoStock over its session pool")
    def baostock_pool(_: InitResourceContext) -> Iterator[MarketSource]:
        yield installation.source
        installation.baostock_pool.release_idle()

    return baostock_pool


def tushare_resource(installation: Installation) -> ResourceDefinition:
    """Return the resource `tushare_limiter`: one pace per interface of Tushare, shared by all processes of this store."""

    @resource(description="Tushare 限流器，全部进程共用 | Tushare's limiter, shared by all processes")
    def tushare_limiter(_: InitResourceContext) -> RateLimiter:
        return installation.tushare_limiter

    return tushare_limiter
