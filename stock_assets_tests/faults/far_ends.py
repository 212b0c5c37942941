"""The two simulated sources as a pipeline meets them: real sockets, clients, pool and limiter; only waiting takes no time.

Each far end has its market, what the market really says, and the faults that its server knows.
"""

import ssl
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from typing import Final, Protocol

from pydantic import SecretStr

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.domain.quarters import periods_between
from stock_assets.pipeline.context import PipelineContext
from stock_assets.pipeline.finance_context import FinanceContext
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.base import QUARTERLY_FIELDS
from stock_assets.simulator.faults import KINDS, TUSHARE_KINDS
from stock_assets.simulator.market import SimulatedMarket
from stock_assets.simulator.tushare_base import SERVICES
from stock_assets.simulator.tushare_limits import Period
from stock_assets.simulator.tushare_market import SimulatedTushare
from stock_assets.simulator.tushare_server import TOKEN, TushareServer
from stock_assets.sources.baostock.client import BaoStockClient, connector
from stock_assets.sources.baostock.finance_source import BaoStockFinance
from stock_assets.sources.baostock.pool import BaoStockPool
from stock_assets.sources.limiter import RateLimiter
from stock_assets.sources.retry import RetryPolicy
from stock_assets.sources.tushare.client import TushareClient
from stock_assets.sources.tushare.finance_source import TushareFinance, finance_costs
from stock_assets.sources.tushare.interfaces import INTERFACES
from stock_assets.sources.tushare.source import TushareSource
from stock_assets.sources.tushare.transport import Deadlines
from stock_assets.sources.tushare_tiers import paces
from stock_assets.storage import reference
from stock_assets.storage.database import Database
from stock_assets.storage.quota import QuotaLedger
from stock_assets.storage.rate_state import StoredRates
from stock_assets_tests.faults.tushare_table import VirtualClock

SECURITIES, BARS, FACTORS, REPORTS = "security", "stock_daily", "adjust_factor", "finance_indicator"
"""What is asked of a source."""

_ATTEMPTS: Final = 2
_BREAKS: Final = 2
_POINTS: Final = 2_000
_UNLIMITED: Final[dict[str, tuple[int, Period]]] = dict.fromkeys(INTERFACES, (1_000_000, "minute"))
_PACE: Final = paces(_POINTS, least_interval_seconds=0.0)
_TRUST: Final = ssl.create_default_context()


@dataclass(frozen=True, slots=True)
class Desk:
    """What the verbs are given: about bars and factors, and about reports."""

    market: PipelineContext
    finance: FinanceContext


Truth = Mapping[tuple[str, date], tuple[float, ...]]


class FarEnd(Protocol):
    """A simulated source."""

    @property
    def name(self) -> str:
        """The source's name in the store."""
        ...

    @property
    def kinds(self) -> tuple[str, ...]:
        """The faults that its server knows."""
        ...

    @property
    def methods(self) -> Mapping[str, tuple[str, ...]]:
        """The requests by what they ask for."""
        ...

    @property
    def server(self) -> BaoStockServer | TushareServer:
        """The server."""
        ...

    @property
    def faults_done(self) -> int:
        """How many faults have happened since the server began."""
        ...

    def desk(
        self, database: Database, calendar: TradingCalendar, now: datetime, *, since: date, patience_seconds: float
    ) -> AbstractContextManager[Desk]:
        """Give what a run at `now` needs; a healthy answer takes less than `patience_seconds`."""
        ...

    def bars(self, day: date) -> Truth:
        """Return open, high, low, close, pre_close and volume of each stock that trades on the day, by (ts_code, day).

        Of a suspended one there are no values.
        """
        ...

    def factors(self, day: date) -> Truth:
        """Return the factor of each stock with an ex-date on the day."""
        ...

    def reports(self, through: date, since: date) -> Mapping[tuple[str, date], date]:
        """Return the day of its first announcement for each (ts_code, period) published by `through`, of periods from `since` on."""
        ...


@dataclass(slots=True)
class BaoStockEnd:
    """BaoStock over a made-up market."""

    simulated: SimulatedMarket
    server: BaoStockServer = field(init=False)
    name: str = "baostock"
    kinds: tuple[str, ...] = KINDS
    methods: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {
            SECURITIES: ("query_stock_basic",),
            BARS: ("query_daily_history_k_AStock", "query_history_k_data_plus"),
            FACTORS: ("query_daily_adjust_factor", "query_adjust_factor"),
            REPORTS: tuple(QUARTERLY_FIELDS),
        }
    )

    def __post_init__(self) -> None:
        self.server = BaoStockServer(self.simulated)

    @property
    def faults_done(self) -> int:
        """How many faults have happened since the server began."""
        return self.server.faults_done.total()

    @contextmanager
    def desk(
        self, database: Database, calendar: TradingCalendar, now: datetime, *, since: date, patience_seconds: float
    ) -> Generator[Desk]:
        """Put one process's source and store together as `wiring` does."""
        quota = QuotaLedger(database, daily_limits={}, now=lambda: now)
        pool = BaoStockPool(
            connector(host=self.server.host, port=self.server.port, ledger=quota, timeout_seconds=patience_seconds),
            timeout_seconds=5.0,
        )
        retry = RetryPolicy(attempts=_ATTEMPTS, sleep=_at_once)
        source = BaoStockClient(pool, ledger=quota, retry=retry, now=lambda: now)
        reports = BaoStockFinance(pool.session, listed=_listed_in(database), ledger=quota, retry=retry, now=lambda: now)
        try:
            yield _desk(source, reports, database, calendar, lambda: now, since)
        finally:
            source.close()
            quota.close()

    def bars(self, day: date) -> Truth:
        """Return the market's bars."""
        return _bars_of(self.simulated, day)

    def factors(self, day: date) -> Truth:
        """Return the market's factors."""
        return _factors_of(self.simulated, day)

    def reports(self, through: date, since: date) -> Mapping[tuple[str, date], date]:
        """Return what the first of the six tables says."""
        periods, found = periods_between(since, through), dict[tuple[str, date], date]()
        for code in (row[0] for row in self.simulated.stock_basic(through) if row[4] == "1"):
            for period in periods:
                for row in self.simulated.quarterly("query_profit_data", code, period, through):
                    found[_ours(code), period] = date.fromisoformat(row[1])
        return found


@dataclass(slots=True)
class TushareEnd:
    """Tushare over a made-up market, without the Beijing exchange, which BaoStock has not."""

    simulated: SimulatedMarket
    tushare: SimulatedTushare = field(init=False)
    server: TushareServer = field(init=False)
    name: str = "tushare"
    kinds: tuple[str, ...] = TUSHARE_KINDS
    methods: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {
            SECURITIES: ("stock_basic",),
            BARS: ("daily", "daily_basic", "suspend_d"),
            FACTORS: ("adj_factor",),
            REPORTS: ("fina_indicator", "disclosure_date"),
        }
    )

    def __post_init__(self) -> None:
        self.tushare = SimulatedTushare(self.simulated, seed=5)
        self.server = TushareServer(self.tushare, points=_POINTS, limits=_UNLIMITED)

    @property
    def faults_done(self) -> int:
        """How many faults have happened since the server began."""
        return self.server.faults_done.total()

    @contextmanager
    def desk(
        self, database: Database, calendar: TradingCalendar, now: datetime, *, since: date, patience_seconds: float
    ) -> Generator[Desk]:
        """Put one process's source and store together as `wiring` does; the clock that waits is made up."""
        clock = VirtualClock(now)
        quota, store = QuotaLedger(database, daily_limits={}, now=clock.now), StoredRates(database, now=clock.now)
        limiter = RateLimiter(store, _PACE, ledger=quota, sleep=clock.sleep, monotonic=clock.monotonic)
        client = TushareClient(
            SecretStr(TOKEN),
            addresses=[self.server.url],
            limiter=limiter,
            deadlines=Deadlines(
                connect_seconds=patience_seconds, idle_seconds=patience_seconds, total_seconds=2 * patience_seconds
            ),
            ssl_context=_TRUST,
            retry=RetryPolicy(attempts=_ATTEMPTS, jitter_seconds=0, sleep=clock.sleep),
        )
        reports = TushareFinance(client, finance_costs(_POINTS, _PACE))
        try:
            yield _desk(TushareSource(client), reports, database, calendar, clock.now, since)
        finally:
            client.close()
            quota.close()
            store.close()

    def bars(self, day: date) -> Truth:
        """Return the market's bars."""
        return _bars_of(self.simulated, day)

    def factors(self, day: date) -> Truth:
        """Return the market's factors."""
        return _factors_of(self.simulated, day)

    def reports(self, through: date, since: date) -> Mapping[tuple[str, date], date]:
        """Return what fina_indicator says; of several announcements the first."""
        service, found = SERVICES["fina_indicator"], dict[tuple[str, date], date]()
        codes = ",".join(_ours(row[0]) for row in self.simulated.stock_basic(through) if row[4] == "1")
        for row in self.tushare.rows(service, {"ts_code": codes}, through):
            period, announced = (date.fromisoformat(str(row[place])) for place in (2, 1))
            if period >= since and announced <= through:
                key = str(row[0]), period
                found[key] = min(announced, found.get(key, announced))
        return found


def _desk(
    source: BaoStockClient | TushareSource,
    reports: BaoStockFinance | TushareFinance,
    database: Database,
    calendar: TradingCalendar,
    now: Callable[[], datetime],
    since: date,
) -> Desk:  # fmt: skip
    return Desk(
        PipelineContext(source, database, calendar, now, run_id="matrix", slow_seconds=600.0, breaks_in_a_row=_BREAKS),
        FinanceContext(
            source=reports,
            database=database,
            calendar=calendar,
            now=now,
            since=since,
            run_id="matrix",
            breaks_in_a_row=_BREAKS,
        ),
    )


@cache
def _bars_of(market: SimulatedMarket, day: date) -> Truth:
    return {
        (_ours(row[1]), day): tuple(map(float, row[2:8])) if row[11] == "1" else () for row in market.daily_bars(day)
    }


@cache
def _factors_of(market: SimulatedMarket, day: date) -> Truth:
    return {(_ours(row[0]), day): (float(row[3]),) for row in market.daily_adjust_factors(day, market.last_session)}


def _listed_in(database: Database) -> Callable[[str], tuple[date, date | None] | None]:
    @cache
    def lives() -> dict[str, tuple[date, date | None]]:
        with database.read() as conn:
            frame = reference.read_securities(conn).select("ts_code", "list_date", "delist_date")
        return {code: (listed, left) for code, listed, left in frame.iter_rows()}

    return lambda ts_code: lives().get(ts_code)


def _ours(code: str) -> str:
    return f"{code[3:]}.{code[:2].upper()}"


def _at_once(_seconds: float) -> None:
    """Wait for nobody."""
