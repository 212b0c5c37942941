"""A daily history that is killed again and again: the task's row is true after each kill, and the end is as if undisturbed.

`test_kill` does the same to the command line; here it is the engine alone, so that more kills fit into the time.
"""

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date

import pytest
import sqlalchemy as sa

from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.market import SimulatedMarket, weekdays
from stock_assets.storage import sync_tasks
from stock_assets.storage.database import Database
from stock_assets.storage.sync_tasks import SyncTask
from stock_assets_tests.databases import Server, own_database
from stock_assets_tests.faults.test_kill import Digests, digests_of

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")]
KILLS, BATCH = 7, 4
SESSIONS = weekdays(date(2025, 6, 2), date(2025, 12, 31))
# Fewer days than stocks: each is one call.
DAYS = SESSIONS[-48:]
LOADER = """
import sys
from datetime import date, datetime
from stock_assets.domain.calendar import SHANGHAI, TradingCalendar
from stock_assets.pipeline.context import PipelineContext
from stock_assets.pipeline.daily_sync import sync_daily
from stock_assets.simulator.market import weekdays
from stock_assets.sources.baostock.client import BaoStockClient, connector
from stock_assets.sources.baostock.pool import BaoStockPool
from stock_assets.storage.database import Database
url, host, port, first, batch = sys.argv[1:]
now = datetime(2026, 1, 5, 20, 0, tzinfo=SHANGHAI)
sessions = weekdays(date(2025, 6, 2), date(2025, 12, 31))
pool = BaoStockPool(connector(host=host, port=int(port), timeout_seconds=5.0), timeout_seconds=5.0)
context = PipelineContext(
    source=BaoStockClient(pool, now=lambda: now), database=Database(url), calendar=TradingCalendar.of(sessions),
    now=lambda: now,
)
days = [day for day in sessions if day >= date.fromisoformat(first)]
done = sync_daily(context, days, batch_size=int(batch))
assert done.failure() is None, done.failure()
print(done.outcome.task.status)
pool.close()
"""


@pytest.fixture(scope="module")
def far_end() -> Iterator[BaoStockServer]:
    """Half a year of sixty stocks, not too quick to be interrupted."""
    with BaoStockServer(SimulatedMarket(11, 60, sessions=SESSIONS), latency_seconds=0.006) as server:
        yield server


@pytest.fixture(scope="module")
def new_store(server: Server, migrated_template: str) -> Iterator[Callable[[], str]]:
    """Return a function that makes an empty store and gives its address."""
    stores = [own_database(server, migrated_template) for _ in range(2)]
    addresses = [store.__enter__() for store in stores]
    yield addresses.pop
    for store in stores:
        store.__exit__(None, None, None)


def load(url: str, far_end: BaoStockServer) -> "subprocess.Popen[str]":
    """Start the history of all days."""
    arguments = [url, far_end.host, str(far_end.port), DAYS[0].isoformat(), str(BATCH)]
    return subprocess.Popen(
        [sys.executable, "-c", LOADER, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finished(popen: "subprocess.Popen[str]") -> str:
    """Return the last line of a load that must succeed."""
    out, err = popen.communicate(timeout=120)
    assert popen.returncode == 0, err
    return out.splitlines()[-1]


def numbers(database: Database, query: str) -> int:
    with database.read() as conn:
        return int(conn.scalars(sa.text(query)).one())


def newest(database: Database) -> SyncTask | None:
    with database.read() as conn:
        return sync_tasks.latest(conn, "DAILY_HISTORY")


def bars_asked(far_end: BaoStockServer) -> int:
    return far_end.requests["query_daily_history_k_AStock"] + far_end.requests["query_history_k_data_plus"]


@pytest.fixture(scope="module")
def undisturbed(far_end: BaoStockServer, new_store: Callable[[], str]) -> Digests:
    """What a load leaves that nobody disturbs."""
    url = new_store()
    assert finished(load(url, far_end)) == "COMPLETED"
    assert bars_asked(far_end) == len(DAYS)
    database = Database(url)
    digests = digests_of(database)
    database.close()
    return digests


def test_after_each_kill_the_task_is_what_the_store_holds_and_the_end_is_as_if_undisturbed(
    far_end: BaoStockServer, new_store: Callable[[], str], undisturbed: Digests
) -> None:
    url, chance = new_store(), random.Random(20261123)  # noqa: S311  repeatable, no secret
    database, asked_before = Database(url), bars_asked(far_end)
    kills, offsets = 0, list[int]()
    while kills < KILLS:
        wanted = bars_asked(far_end) + chance.randint(1, 2 * len(DAYS) // KILLS)
        popen, until = load(url, far_end), time.monotonic() + 60
        while bars_asked(far_end) < wanted and popen.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.001)
        time.sleep(chance.uniform(0.0, 0.05))
        popen.kill()
        popen.communicate()
        kills += 1
        task = newest(database)
        assert task is not None
        assert task.total_processed == numbers(database, "SELECT count(*) FROM stock_daily")
        # Each item is a day; the source has all of each.
        whole = "SELECT count(*) FROM load_ledger WHERE dataset = 'stock_daily' AND status = 'complete'"
        assert task.current_offset == numbers(database, whole)
        offsets.append(task.current_offset)
    assert finished(load(url, far_end)) == "COMPLETED"
    task = newest(database)
    assert task is not None
    assert (task.current_offset, numbers(database, "SELECT count(*) FROM sync_tasks")) == (len(DAYS), 1)
    assert digests_of(database) == undisturbed
    wasted = bars_asked(far_end) - asked_before - len(DAYS)
    print(f"{kills} kills at {offsets}, {wasted} calls wasted of {len(DAYS)}")  # noqa: T201  the drill's figures
    assert 0 <= wasted <= kills * BATCH
    database.close()
