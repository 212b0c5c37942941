"""A finance pipeline on a small simulated market: real wire, real client, real store, a clock that a test sets."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from stock_assets.domain.answers import Answer
from stock_assets.domain.calendar import SHANGHAI, TradingCalendar
from stock_assets.pipeline.finance_context import FinanceContext
from stock_assets.simulator.market import SimulatedMarket, weekdays
from stock_assets.simulator.tushare_base import SERVICES
from stock_assets.simulator.tushare_limits import Period
from stock_assets.simulator.tushare_market import SimulatedTushare
from stock_assets.simulator.tushare_server import TOKEN, TushareServer
from stock_assets.sources.finance_base import FinanceCosts, FinanceSource
from stock_assets.sources.retry import RetryPolicy
from stock_assets.sources.tushare.client import TushareClient
from stock_assets.sources.tushare.finance_source import TushareFinance
from stock_assets.storage.database import Connection, Database

FIRST, LAST = date(2022, 1, 4), date(2024, 12, 31)
SESSIONS = weekdays(FIRST, LAST)
CALENDAR = TradingCalendar.of(SESSIONS, known_until=date(2025, 12, 31))
SINCE = date(2022, 1, 1)
SEED, STOCKS = 7, 24
COSTS = FinanceCosts(request_seconds=0.3, reports_per_request=40, has_disclosures=True)
BY_MARKET = replace(COSTS, has_market_calls=True, market_request_seconds=3.5)
BY_DEADLINE = replace(COSTS, has_disclosures=False)


_STOCK = """
    INSERT INTO security (ts_code, name, exchange, board, list_date, delist_date, status, source, updated_at)
    VALUES (:ts_code, :name, right(:ts_code, 2), 'main', CAST(CAST(:list_date AS text) AS date),
            CAST(CAST(:delist_date AS text) AS date),
            CASE WHEN CAST(:delist_date AS text) IS NULL THEN 'listed' ELSE 'delisted' END, 'tushare', now())
"""


def evening(day: date) -> datetime:
    """Return a moment at which a day's announcements are published."""
    return datetime.combine(day, time(20), tzinfo=SHANGHAI)


def made_up_market(stocks: int = STOCKS) -> SimulatedTushare:
    """Return the far end's market."""
    return SimulatedTushare(SimulatedMarket(SEED, stocks, sessions=SESSIONS), seed=SEED)


@dataclass(slots=True)
class FinanceWorkshop:
    """The far end, and what the verbs are given; `source` may be wrapped by a test."""

    server: TushareServer
    database: Database
    client: TushareClient
    source: FinanceSource
    options: dict[str, Any] = field(default_factory=dict[str, Any])

    def at(self, day: date, **options: Any) -> FinanceContext:  # noqa: ANN401
        """Return the context of an evening; the far end knows what was announced by then."""
        self.server.last_ready_day = day
        values: dict[str, Any] = {"since": SINCE, "run_id": f"run {day}", **self.options, **options}
        return FinanceContext(
            source=self.source, database=self.database, calendar=CALENDAR, now=lambda: evening(day), **values
        )

    def asked(self) -> dict[str, int]:
        """Return the requests so far, by interface, and forget them."""
        counted = dict(self.server.requests)
        self.server.requests.clear()
        return counted

    def rows(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self.database.read() as conn:
            return [tuple(row) for row in conn.execute(sa.text(query), values)]

    def ledger(self, start: date = SINCE) -> dict[date, tuple[str, int]]:
        """Return status and rows of each day from `start` on."""
        query = "SELECT trade_date, status, rows_present FROM load_ledger WHERE dataset = 'finance_indicator' AND trade_date >= :start ORDER BY 1"  # noqa: E501
        return {day: (status, rows) for day, status, rows in self.rows(query, start=start)}


def always(answer: Answer) -> Callable[[date], Answer]:
    """Return a question about a day or period that is always answered so."""

    def ask(_: date) -> Answer:
        return answer

    return ask


@contextmanager
def workshop_on(
    database: Database, market: SimulatedTushare, costs: FinanceCosts = COSTS, *, points: int = 2000
) -> Generator[FinanceWorkshop]:
    """Give a workshop on an empty store that knows the market's stocks."""
    unhurried: dict[str, tuple[int, Period]] = dict.fromkeys(
        ("fina_indicator", "fina_indicator_vip", "disclosure_date"), (1_000_000, "minute")
    )
    with TushareServer(market, points=points, limits=unhurried) as server:
        client = TushareClient(
            SecretStr(TOKEN), addresses=[server.url], retry=RetryPolicy(attempts=2, sleep=lambda _: None)
        )
        with database.begin() as conn:
            save_stocks(conn, market)
        yield FinanceWorkshop(server, database, client, TushareFinance(client, costs))
        client.close()


def save_stocks(conn: Connection, market: SimulatedTushare, known: date = LAST) -> None:
    """Make the store know every stock of the market."""
    service = SERVICES["stock_basic"]
    rows = [
        dict(zip(service.fields, row, strict=True)) for row in market.rows(service, {"list_status": "L,D,P"}, known)
    ]
    told = [{name: row[name] for name in ("ts_code", "name", "list_date", "delist_date")} for row in rows]
    conn.execute(sa.text(_STOCK), told)
