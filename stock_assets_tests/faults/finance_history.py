"""A finance history at a limit, on a clock that only waiting moves, in processes that are killed at random moments.

Limiter and server read one clock, a number in a file that every process maps: hours of waiting take no time, and a window
of sixty seconds is one of that clock's. Run as a program it is one attempt; `history` starts attempts and kills them.
"""

import logging
import mmap
import random
import struct
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

import sqlalchemy as sa
import structlog
from pydantic import SecretStr

from stock_assets.domain.calendar import SHANGHAI, TradingCalendar
from stock_assets.domain.codes import is_stock_code
from stock_assets.domain.errors import AlreadyRunning
from stock_assets.domain.quarters import periods_between
from stock_assets.pipeline.finance import sync_finance_history
from stock_assets.pipeline.finance_context import FinanceContext, FinanceReport
from stock_assets.simulator.market import weekdays
from stock_assets.simulator.tushare_base import Row, Service
from stock_assets.simulator.tushare_finance import Company, SimulatedFinance
from stock_assets.simulator.tushare_server import TOKEN, TushareServer
from stock_assets.sources.base import NoLedger
from stock_assets.sources.finance_planner import FinancePlan, history_ways
from stock_assets.sources.limiter import RateLimiter
from stock_assets.sources.retry import RetryPolicy
from stock_assets.sources.tushare.client import TushareClient
from stock_assets.sources.tushare.finance_source import TushareFinance, finance_costs
from stock_assets.sources.tushare_tiers import paces
from stock_assets.storage.database import Database
from stock_assets.storage.rate_state import StoredRates

SINCE, DAY = date(2020, 1, 1), date(2026, 6, 30)
CALENDAR = TradingCalendar.of(weekdays(date(2019, 12, 2), DAY), known_until=date(2026, 12, 31))
EVENING = datetime(2026, 6, 30, 20, 0, tzinfo=SHANGHAI)
POINTS, LIMIT = 2_000, 200
API: Final = "fina_indicator"
PACE_OF = paces(POINTS, least_interval_seconds=0.0)
COSTS = finance_costs(POINTS, PACE_OF)
_EPOCH = datetime(2026, 6, 30, tzinfo=UTC)
_RUNNING = 75
DIGEST = """
    SELECT md5(string_agg(row_digest, '' ORDER BY ts_code, end_date, ann_date, version)), count(*)
    FROM (SELECT ts_code, end_date, ann_date, version, md5((to_jsonb(i) - 'fetched_at' - 'run_id')::text) AS row_digest
          FROM finance_indicator AS i) AS rows
"""
LEDGER = (
    "SELECT trade_date, status, rows_present, detail FROM load_ledger WHERE dataset = 'finance_indicator' ORDER BY 1"
)


class VirtualClock:
    """Seconds that pass only while somebody sleeps; every process that maps the file sees the same."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(struct.pack("d", 0.0))
        with path.open("r+b") as file:
            self._seconds = mmap.mmap(file.fileno(), 8)

    def seconds(self) -> float:
        """Return the seconds that have passed."""
        return float(struct.unpack("d", self._seconds[:8])[0])

    def sleep(self, seconds: float) -> None:
        """Let them pass at once."""
        self._seconds[:8] = struct.pack("d", self.seconds() + seconds)

    def moment(self) -> datetime:
        """Return the time as a moment."""
        return _EPOCH + timedelta(seconds=self.seconds())


class ReportsAlone:
    """A market of companies that publish reports and do nothing else."""

    last_session = DAY

    def __init__(self, stocks: int) -> None:
        self._finance = SimulatedFinance(5)
        every = (f"{number:06d}.{exchange}" for exchange in ("SZ", "SH") for number in range(1, 690_000))
        codes = list(islice(filter(is_stock_code, every), stocks))
        self.companies = {code: Company(code, date(2001 + place % 19, 3, 1), None) for place, code in enumerate(codes)}

    def rows(self, service: Service, params: Mapping[str, str], known: date) -> Iterator[Row]:
        """Yield the rows of fina_indicator."""
        asked = [self.companies[code] for code in params["ts_code"].split(",")]
        return self._finance.reports(service, asked, params, known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a history took: requests as the server counted them, time as the virtual clock did."""

    digest: tuple[str, int]
    ledger: list[tuple[object, ...]]
    requests: int
    refused: int
    busiest_minute: int
    virtual_seconds: float
    real_seconds: float
    kills: int


def predicted(stocks: int, batch_size: int) -> FinancePlan:
    """Return what the planner says beforehand."""
    quarters = len(periods_between(SINCE, DAY))
    return history_ways(COSTS, stocks=stocks, quarters=quarters, batch_size=batch_size)[0]


@contextmanager
def far_end(stocks: int, clock: VirtualClock) -> Generator[TushareServer]:
    """Give a server that allows 200 calls in any minute of the clock."""
    with TushareServer(ReportsAlone(stocks), points=POINTS, clock=clock.seconds) as server:
        yield server


def attempt(url: str, address: str, clock_file: Path, batch_size: int) -> FinanceReport:
    """Run the history in this process until it ends."""
    clock, database = VirtualClock(clock_file), Database(url)
    rates = StoredRates(database, now=clock.moment)
    limiter = RateLimiter(rates, PACE_OF, ledger=NoLedger(), sleep=clock.sleep, monotonic=clock.seconds)
    client = TushareClient(
        SecretStr(TOKEN), addresses=[address], limiter=limiter, retry=RetryPolicy(attempts=2, sleep=clock.sleep)
    )
    context = FinanceContext(
        source=TushareFinance(client, COSTS),
        database=database,
        calendar=CALENDAR,
        now=lambda: EVENING,
        since=SINCE,
        batch_size=batch_size,
    )
    try:
        return sync_finance_history(context)
    finally:
        client.close()
        rates.close()
        database.close()


def history(
    database: Database, url: str, folder: Path, *, stocks: int, batch_size: int, kills: int, seed: int
) -> Measured:
    """Run the history in processes of which `kills` are killed, and measure the whole."""
    clock_file = folder / f"clock-{kills}"
    clock, chance = VirtualClock(clock_file), random.Random(seed)  # noqa: S311  moments, not secrets
    _save_stocks(database, stocks)
    began, killed = time.monotonic(), 0
    with far_end(stocks, clock) as server:
        command = [sys.executable, "-m", __name__, url, server.url, str(clock_file), str(batch_size)]
        while True:
            process = subprocess.Popen(command)
            if killed < kills and _waited(process, server, chance, batch_size):
                process.kill()
                killed += 1
            code = process.wait()
            if code == 0:
                break
            if code not in {-9, _RUNNING} and code > 0:
                message = f"an attempt ended with {code}"
                raise AssertionError(message)
        counted, busiest = len(server.account.arrivals[API]), server.account.busiest(API)
        refused = server.requests[API] - counted
    with database.read() as conn:
        digest = conn.execute(sa.text(DIGEST)).one()
        ledger = [tuple(row) for row in conn.execute(sa.text(LEDGER))]
    return Measured(
        digest=(str(digest[0]), int(digest[1])),
        ledger=ledger,
        requests=counted,
        refused=refused,
        busiest_minute=busiest,
        virtual_seconds=clock.seconds(),
        real_seconds=time.monotonic() - began,
        kills=killed,
    )


def _waited(process: subprocess.Popen[bytes], server: TushareServer, chance: random.Random, batch_size: int) -> bool:
    """Wait for a random number of requests and a random while after; return whether the process still lives."""
    until = server.requests[API] + chance.randint(0, 2 * batch_size)
    stuck = time.monotonic() + 60
    while process.poll() is None and server.requests[API] < until and time.monotonic() < stuck:
        time.sleep(0.002)
    # Into the transaction, where the requests of a batch are over.
    time.sleep(chance.choice([0.0, chance.random() / 10, chance.random() * batch_size / 30]))
    return process.poll() is None


def _save_stocks(database: Database, stocks: int) -> None:
    companies = ReportsAlone(stocks).companies.values()
    with database.begin() as conn:
        conn.execute(
            sa.text(
                "INSERT INTO security (ts_code, exchange, board, list_date, status, source, updated_at)"
                " VALUES (:code, right(:code, 2), 'main', :listed, 'listed', 'tushare', now())"
            ),
            [{"code": company.code, "listed": company.listed} for company in companies],
        )


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        outcome = attempt(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    except AlreadyRunning:
        # The server has not noticed yet that the one before is dead.
        sys.exit(_RUNNING)
    if outcome.stopped_by is not None or outcome.failed:
        sys.exit(f"stopped by {outcome.stopped_by!r}: {outcome.stopped_by}; failed: {outcome.failed}")
