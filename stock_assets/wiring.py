"""Picks the real things: the only room that knows both the settings and what implements them.

An `Installation` is one process's view of a person's set-up. Everything in it is made on first use, so that a command
that only reads the store never opens a session and `--help` never starts a server.
"""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, date, datetime, time
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

from stock_assets.alerts import AlertHook
from stock_assets.domain.alerts import Notify, tell_nobody
from stock_assets.domain.calendar import FIRST_SESSION, SHANGHAI, TradingCalendar
from stock_assets.domain.codes import EXCHANGES, Exchange
from stock_assets.domain.completeness import SourcesInUse
from stock_assets.domain.errors import ConfigurationError
from stock_assets.domain.quarters import periods_between
from stock_assets.indicators.catalog import FAMILIES
from stock_assets.indicators.family import Family
from stock_assets.logs.setup import configure_logging, log_file
from stock_assets.pipeline.context import PipelineContext, Progress, no_progress
from stock_assets.pipeline.finance_context import FinanceContext
from stock_assets.pipeline.own_indicators import own_families
from stock_assets.pipeline.snapshot import SnapshotContext
from stock_assets.pipeline.technical_context import TechnicalContext
from stock_assets.settings import Settings, load_settings
from stock_assets.sources.exchange_calendar import exchange_calendar
from stock_assets.sources.limiter import PacedLedger, RateLimiter, pause
from stock_assets.sources.pacing import Pace
from stock_assets.sources.tushare_tiers import paces as tushare_paces
from stock_assets.sources.tushare_tiers import tier_of
from stock_assets.storage import finance_progress, index_management, ledger, migrate, reference
from stock_assets.storage.database import Database, ensure_database
from stock_assets.storage.embedded import EmbeddedServer
from stock_assets.storage.quota import QuotaLedger
from stock_assets.storage.rate_state import StoredRates
from stock_assets.storage.reader import Reader
from stock_assets.storage.slots import AdvisorySlots
from stock_assets.storage.snapshot_reader import SnapshotReader

if TYPE_CHECKING:
    from stock_assets.simulator.market import SimulatedMarket
    from stock_assets.simulator.tushare_server import TushareServer
    from stock_assets.sources.baostock.pool import BaoStockPool
    from stock_assets.sources.base import MarketSource, RequestLedger
    from stock_assets.sources.finance_base import FinanceSource
    from stock_assets.sources.tushare.client import TushareClient

DAGSTER_DATABASE = "stock_assets_dagster"
_AUTO, _BAOSTOCK, _TUSHARE, _SIMULATED = "auto", "baostock", "tushare", "simulated"
_DAGSTER_DRIVER = "postgresql+psycopg2"
# A fixed "today" stands for its evening: every session up to it is published.
_EVENING = time(22, 0)
# Other processes let us in between their calls, or when they end.
_PATIENCE = 20
# Most requests whose answers a dying run loses, where settings name more stocks a batch.
_AT_RISK = 1_500
# One part in so many of a day's requests goes to stocks that were never asked for.
_SHARE_FOR_MISSING = 10
# Calls a minute of each interface of the simulated market: more than can be made.
_UNHURRIED_CALLS = 1_000_000


class Installation:
    """Settings and what they choose: store, source, calendar, clock. Close it to end sessions and hand back the server."""

    def __init__(self, settings: Settings | None = None, *, progress: Progress = no_progress) -> None:
        self.settings = settings or load_settings()
        self.progress = progress
        self.requests_per_minute: int | None = None
        self.stop = threading.Event()
        """Set it to end whatever waits for its turn, soon and cleanly."""
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        """Return the installation; leaving the context closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """End sessions, close connections, and stop the embedded server when nobody else uses it.

        Whoever asks it for something afterwards gets it made anew, and must close it once more.
        """
        self._exit.close()
        for name, value in vars(type(self)).items():
            if isinstance(value, cached_property):
                vars(self).pop(name, None)

    def configure_logging(self) -> None:
        """Send this process's log where settings say."""
        configure_logging(
            self.settings.log_level,
            self.settings.log_format,
            language=self.settings.language,
            file=log_file(self.settings.home),
            slow_seconds=self.settings.slow_item_seconds,
            secrets=self.settings.secrets(),
        )

    def now(self) -> datetime:
        """Return the time in whole milliseconds, which are held in fewer bytes, or the evening of the fixed today."""
        if self.settings.today is not None:
            return datetime.combine(self.settings.today, _EVENING, tzinfo=SHANGHAI)
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    @cached_property
    def calendar(self) -> TradingCalendar:
        """The exchanges' calendar."""
        return exchange_calendar(self.settings.home / "cache")

    @cached_property
    def embedded(self) -> EmbeddedServer | None:
        """The embedded server, or None when settings name another one."""
        return None if self.settings.database_url is not None else EmbeddedServer(self.settings.home)

    @cached_property
    def database_url(self) -> str:
        """The store's URL; starts the embedded server when that is the store."""
        if self.settings.database_url is not None:
            return self.settings.database_url.get_secret_value()
        server = EmbeddedServer(self.settings.home)
        url = server.ensure_running()
        self._exit.callback(server.release)
        return url

    def dagster_url(self) -> str:
        """Return the URL of Dagster's own database, made when absent, in the store's server.

        The driver is named: dagster-postgres is written for psycopg2, and SQLAlchemy's default is another one.
        """
        if self.embedded is not None:
            ensure_database(self.database_url, DAGSTER_DATABASE)
            url = self.embedded.url(DAGSTER_DATABASE)
        else:
            parts = urlsplit(self.database_url)
            name = f"{parts.path.lstrip('/')}_dagster"
            ensure_database(self.database_url, name)
            url = urlunsplit(parts._replace(path=f"/{name}"))
        return _DAGSTER_DRIVER + url[url.index("://") :]

    @cached_property
    def database(self) -> Database:
        """The store, migrated to what this version needs."""
        database = self.open_database()
        if migrate.pending(database):
            migrate.upgrade(database)
        return database

    def open_database(self) -> Database:
        """Return the store as it is, migrated or not."""
        database = Database(
            self.database_url, pool_size=self.settings.db_pool_size, max_overflow=self.settings.db_max_overflow
        )
        self._exit.callback(database.close)
        return database

    @property
    def snapshot_folder(self) -> Path:
        """Where the files of the store's snapshots lie; another store of the same home has a folder of its own."""
        return self.settings.home / "snapshots" / self.database.name

    def snapshots(self, *, run_id: str | None = None) -> SnapshotContext:
        """Return what publishing and letting go of snapshots needs: the store, and no source.

        Errors: `ConfigurationError` as `families`.
        """
        return SnapshotContext(
            database=self.database,
            calendar=self.calendar,
            now=self.now,
            run_id=run_id,
            progress=self.progress,
            families=self.families,
        )

    def snapshot_reader(self) -> SnapshotReader:
        """Return a reader of the store's snapshots."""
        return SnapshotReader(self.database, self.snapshot_folder, self.calendar)

    def reader(self) -> Reader:
        """Return a reader of the store, closed with the installation."""
        reader = Reader(self.database, families=self._readable_families())
        self._exit.callback(reader.close)
        return reader

    @cached_property
    def families(self) -> tuple[Family, ...]:
        """The indicators of this store: those that every store has, and those of one's own.

        Errors: `ConfigurationError` when a file of one's own cannot be used.
        """
        folder = self.settings.indicators_folder or self.settings.home / "indicators"
        return (*FAMILIES, *own_families(folder))

    def _readable_families(self) -> tuple[Family, ...]:
        """Return the indicators that can be read whatever is wrong with a file of one's own."""
        try:
            return self.families
        except ConfigurationError:
            return FAMILIES

    def technicals(self, *, run_id: str | None = None) -> TechnicalContext:
        """Return what computing and checking indicators needs: the store, and no source.

        Errors: `ConfigurationError` as `families`.
        """
        index_management.restore(self.database)
        return TechnicalContext(
            database=self.database,
            calendar=self.calendar,
            now=self.now,
            families=self.families,
            ring=self.settings.home / "cache" / f"ring-{self.database.name}.bin",
            run_id=run_id,
            progress=self.progress,
        )

    @cached_property
    def quota(self) -> QuotaLedger:
        """The requests of every source, counted for all processes."""
        tier = tier_of(self.settings.tushare_points)
        limits = {_BAOSTOCK: self.settings.baostock_daily_quota}
        if tier.daily is not None:
            limits[_TUSHARE] = tier.daily
        of_api = {} if tier.daily_of_api is None else {_TUSHARE: tier.daily_of_api}
        quota = QuotaLedger(self.database, daily_limits=limits, daily_limits_of_api=of_api, now=self.now)
        self._exit.callback(quota.close)
        return quota

    def paced_quota(self) -> "RequestLedger":
        """The quota, behind the pace that a person asked for."""
        pace = self.requests_per_minute
        return self.quota if pace is None else PacedLedger(self.quota, per_minute=pace)

    @cached_property
    def tushare_limiter(self) -> RateLimiter:
        """Tushare's limiter: one pace per interface for all processes of this store, and the count of its requests.

        The simulated market answers as fast as it is asked.
        """
        store = StoredRates(self.database)
        self._exit.callback(store.close)
        return RateLimiter(store, self._tushare_pace_of(), ledger=self.paced_quota(), stop=self.stop)

    @cached_property
    def tushare_client(self) -> "TushareClient | None":
        """Tushare's nine interfaces, or None where settings have no token; for the simulated market its own server's.

        Errors: `ConfigurationError` when Tushare is the source and there is no token.
        """
        from stock_assets.sources.tushare.api import addresses_of  # noqa: PLC0415  not needed to read the store
        from stock_assets.sources.tushare.client import TushareClient  # noqa: PLC0415

        settings, token, url = self.settings, self.settings.tushare_token, self.settings.tushare_url
        if settings.source == _SIMULATED:
            server = self._simulated_tushare()
            token, url = SecretStr(server.token), server.url
        if token is None and settings.source == _TUSHARE:
            raise ConfigurationError(
                problem="STOCK_ASSETS_SOURCE=tushare needs a token; set TUSHARE_TOKEN",
                problem_zh="STOCK_ASSETS_SOURCE=tushare 需要 token，请设置 TUSHARE_TOKEN",
            )
        if token is None:
            return None
        client = TushareClient(
            token,
            addresses=addresses_of(url),
            limiter=self.tushare_limiter,
        )
        self._exit.callback(client.close)
        return client

    def _simulated_tushare(self) -> "TushareServer":
        from stock_assets.simulator.tushare_market import SimulatedTushare, beijing_market  # noqa: PLC0415
        from stock_assets.simulator.tushare_server import TushareServer  # noqa: PLC0415
        from stock_assets.sources.tushare.interfaces import INTERFACES  # noqa: PLC0415

        settings, seed = self.settings, self.settings.simulated_seed
        beijing = beijing_market(seed, settings.simulated_stocks, self._simulated_sessions())
        server = TushareServer(
            SimulatedTushare(self.simulated_market(), beijing, seed=seed),
            points=settings.tushare_points,
            limits=dict.fromkeys(INTERFACES, (_UNHURRIED_CALLS, "minute")),
            now=lambda: self.now().astimezone(SHANGHAI),
        )
        return self._exit.enter_context(server)

    @cached_property
    def slots(self) -> AdvisorySlots:
        """The sessions that all processes of this store may hold together."""
        return AdvisorySlots(self.database, limits={_BAOSTOCK: self.settings.baostock_pool_size})

    @cached_property
    def baostock_address(self) -> tuple[str, int]:
        """Where BaoStock listens; for the simulated market a server of this process that is started now."""
        if self.settings.source != _SIMULATED:
            return self.settings.baostock_host, self.settings.baostock_port
        from stock_assets.simulator.baostock_server import BaoStockServer  # noqa: PLC0415  only a simulated run needs it

        server = self._exit.enter_context(BaoStockServer(self.simulated_market(), last_ready_day=self.last_final()))
        return server.host, server.port

    def simulated_market(self) -> "SimulatedMarket":
        """Return the made-up market of the settings, trading on the real calendar."""
        from stock_assets.simulator.market import SimulatedMarket  # noqa: PLC0415

        settings = self.settings
        return SimulatedMarket(settings.simulated_seed, settings.simulated_stocks, sessions=self._simulated_sessions())

    def _simulated_sessions(self) -> tuple[date, ...]:
        return tuple(self.calendar.between(FIRST_SESSION, self.now().astimezone(SHANGHAI).date()))

    @cached_property
    def baostock_pool(self) -> "BaoStockPool":
        """BaoStock's sessions: capped in this process by the pool, across processes by the slots."""
        from stock_assets.sources.baostock.client import connector  # noqa: PLC0415  not needed to read the store
        from stock_assets.sources.baostock.pool import BaoStockPool  # noqa: PLC0415

        settings = self.settings
        host, port = self.baostock_address
        key = settings.baostock_api_key
        pool = BaoStockPool(
            connector(
                host=host,
                port=port,
                ledger=self.paced_quota(),
                timeout_seconds=settings.baostock_timeout_seconds,
                api_key=None if key is None else key.get_secret_value(),
            ),
            size=settings.baostock_pool_size,
            timeout_seconds=settings.baostock_timeout_seconds,
            slot_wait_seconds=_PATIENCE * settings.baostock_timeout_seconds,
            ttl_seconds=settings.baostock_session_ttl_seconds,
            slots=self.slots,
        )
        self._exit.callback(pool.close)
        return pool

    @cached_property
    def source(self) -> "MarketSource":
        """The source that settings choose; `auto` is BaoStock.

        Errors: `ConfigurationError` when the store holds made-up rows and the source is real, or the other way round, and
        when Tushare is the source and has no token.
        """
        self._refuse_a_mixture()
        if self.settings.source == _TUSHARE and self.tushare_client is not None:
            return self._tushare_source(self.tushare_client)
        from stock_assets.sources.baostock.client import BaoStockClient  # noqa: PLC0415

        return BaoStockClient(self.baostock_pool, name=self._named(_BAOSTOCK), ledger=self.quota, now=self.now)

    @cached_property
    def fallbacks(self) -> "tuple[MarketSource, ...]":
        """Who is asked for what the first source lacks: Tushare, where `auto` has a token for it."""
        if self.settings.source != _AUTO or self.tushare_client is None:
            return ()
        return (self._tushare_source(self.tushare_client),)

    def _tushare_source(self, client: "TushareClient") -> "MarketSource":
        from stock_assets.sources.tushare.source import TushareSource  # noqa: PLC0415

        return TushareSource(client, interval_seconds=self._tushare_pace_of()("daily").interval_seconds)

    @cached_property
    def finance_source(self) -> "FinanceSource | None":
        """Who is asked for finance reports: Tushare from 2,000 points on, else BaoStock, unless Tushare alone is wanted."""
        from stock_assets.sources.tushare.finance_source import (  # noqa: PLC0415
            LEAST_POINTS,
            TushareFinance,
            finance_costs,
        )

        settings = self.settings
        self._refuse_a_mixture()
        if settings.source == _BAOSTOCK or settings.tushare_points < LEAST_POINTS or self.tushare_client is None:
            return None if settings.source == _TUSHARE else self._baostock_finance()
        costs = finance_costs(settings.tushare_points, self._tushare_pace_of())
        return TushareFinance(self.tushare_client, costs, name=self._named(_TUSHARE))

    def why_no_finance(self) -> ConfigurationError | None:
        """Return why reports are not asked for along with the day's bars; None where they are."""
        try:
            source = self.finance_source
        except ConfigurationError as error:
            return error
        if source is None:
            return _no_finance_source()
        if source.costs.requests_per_report == 1:
            return None
        with self.database.read() as conn:
            stocks = finance_progress.read_stocks(conn, source.name, source.costs.exchanges)
        if stocks["known_through"].null_count() < stocks.height:
            return None
        return ConfigurationError(
            problem=f"no finance report is in the store, and a history from {source.name} takes hours; "
            "run `stock-assets history finance` once",
            problem_zh=f"尚无财务数据，而从 {source.name} 装载历史需数小时；请先运行一次 stock-assets history finance",
        )

    def finance(self, *, run_id: str | None = None, since: date | None = None) -> FinanceContext:
        """Return what the verbs about finance reports need; `since` defaults to the settings' first day.

        Errors: `ConfigurationError` where nobody can be asked.
        """
        settings, source = self.settings, self.finance_source
        since = since or settings.sync_finance_history_start_date
        if source is None:
            raise _no_finance_source()
        a_stock = source.costs.requests(1, len(periods_between(since, self.now().astimezone(SHANGHAI).date())))
        missing_limit = settings.sync_incremental_missing_limit
        if source.costs.requests_per_report > 1:
            # A few hundred stocks would use up the day's requests, which the day's bars need too.
            missing_limit = min(missing_limit, settings.baostock_daily_quota // _SHARE_FOR_MISSING // max(1, a_stock))
        return FinanceContext(
            source=source,
            database=self.database,
            calendar=self.calendar,
            now=self.now,
            since=since,
            run_id=run_id,
            batch_size=min(settings.sync_finance_history_batch_size, max(1, _AT_RISK // max(1, a_stock))),
            missing_limit=missing_limit,
            max_retries=settings.sync_failure_max_retries,
            stop=self.stop,
            progress=self.progress,
            notify=self.notify,
        )

    def _baostock_finance(self) -> "FinanceSource":
        from stock_assets.sources.baostock.finance_source import BaoStockFinance  # noqa: PLC0415

        return BaoStockFinance(
            self.baostock_pool.session,
            name=self._named(_BAOSTOCK),
            listed=self._listed,
            ledger=self.quota,
            requests_per_minute=self.requests_per_minute,
            stop=self.stop,
            now=self.now,
        )

    def _listed(self, ts_code: str) -> tuple[date, date | None] | None:
        return self._lives.get(ts_code)

    @cached_property
    def _lives(self) -> dict[str, tuple[date, date | None]]:
        """Since when each stock of the store is listed, and until when."""
        with self.database.read() as conn:
            securities = reference.read_securities(conn)
        lives = securities.select("ts_code", "list_date", "delist_date").iter_rows()
        return {code: (listed, delisted) for code, listed, delisted in lives}

    def _tushare_pace_of(self) -> Callable[[str], Pace]:
        """Return how fast settings let Tushare's interfaces be called; the simulated market answers any pace."""
        settings = self.settings
        if settings.source == _SIMULATED:
            return _unhurried
        return tushare_paces(
            settings.tushare_points,
            least_interval_seconds=settings.tushare_min_interval_seconds,
            is_adaptive=settings.tushare_is_adaptive,
        )

    @property
    def uses_baostock(self) -> bool:
        """Whether bars are asked of BaoStock, or of a simulated one."""
        return self.settings.source != _TUSHARE

    @property
    def uses_tushare(self) -> bool:
        """Whether bars are asked of Tushare, first or for what BaoStock lacks."""
        return self.settings.source == _TUSHARE or (
            self.settings.source == _AUTO and self.settings.tushare_token is not None
        )

    @property
    def sources_in_use(self) -> SourcesInUse:
        """Every source that bars are asked of, with the exchanges it has; nothing is connected to know it."""
        in_use: dict[str, frozenset[Exchange]] = {}
        if self.uses_baostock:
            in_use[self._named(_BAOSTOCK)] = frozenset({"SH", "SZ"})
        if self.uses_tushare:
            in_use[_TUSHARE] = EXCHANGES
        return in_use

    def _named(self, source: str) -> str:
        """Return the name that rows of a source get: made-up ones never look like a real source's."""
        return _SIMULATED if self.settings.source == _SIMULATED else source

    def _refuse_a_mixture(self) -> None:
        """Refuse to load made-up rows into a store with real ones, or the other way round."""
        is_simulated = self.settings.source == _SIMULATED
        with self.database.read() as conn:
            others = {name for name in ledger.sources(conn) if name.startswith(_SIMULATED) != is_simulated}
        if others:
            name = self.settings.source
            raise ConfigurationError(
                problem=f"this store was loaded from {', '.join(sorted(others))} and must not be mixed with {name}; "
                "choose another STOCK_ASSETS_HOME, or the STOCK_ASSETS_SOURCE it was loaded from",
                problem_zh=f"该存储的数据来自 {'、'.join(sorted(others))}，不能与 {name} 混用；"
                "请换一个 STOCK_ASSETS_HOME，或把 STOCK_ASSETS_SOURCE 改回原来的来源",
            )

    def last_final(self) -> date:
        """Return the newest session whose data should be published by now."""
        return self.calendar.last_final(self.now())

    def pipeline(self, *, source: "MarketSource | None" = None, run_id: str | None = None) -> PipelineContext:
        """Return what the verbs need; `source` defaults to the one of the settings."""
        index_management.restore(self.database)
        return PipelineContext(
            source=source or self.source,
            fallbacks=self.fallbacks,
            database=self.database,
            calendar=self.calendar,
            now=self.now,
            run_id=run_id,
            concurrency=min(self.settings.daily_sync_concurrency, self.settings.baostock_pool_size),
            batch_size=self.settings.daily_sync_batch_size,
            progress=self.progress,
            slow_seconds=self.settings.slow_item_seconds,
            notify=self.notify,
            await_second_look=self._second_look(),
        )

    def _second_look(self) -> Callable[[], None] | None:
        """Return what waits for the second look at a new day; where the market stands still, none unless asked for."""
        settings = self.settings
        stands_still = settings.today is not None or settings.source == _SIMULATED
        is_asked = "readiness_second_look_seconds" in settings.model_fields_set
        if settings.readiness_second_look_seconds == 0 or (stands_still and not is_asked):
            return None
        return lambda: pause(settings.readiness_second_look_seconds, stop=self.stop)

    @cached_property
    def notify(self) -> Notify:
        """Whoever is told when a person is needed."""
        url = self.settings.alert_url
        if url is None:
            return tell_nobody
        secret = self.settings.alert_secret
        return AlertHook(
            url.get_secret_value(),
            self.settings.home / "state" / "alerts.json",
            now=self.now,
            form=self.settings.alert_form,
            secret=None if secret is None else secret.get_secret_value(),
        )


def _no_finance_source() -> ConfigurationError:
    return ConfigurationError(
        problem="no source of finance reports: Tushare gives them from 2,000 points on; set TUSHARE_TOKEN and TUSHARE_POINTS",
        problem_zh="没有财务数据源：Tushare 需 2000 积分以上，请设置 TUSHARE_TOKEN 与 TUSHARE_POINTS",
    )


def _unhurried(_api: str) -> Pace:
    return Pace(_UNHURRIED_CALLS, least_interval_seconds=0.0)
