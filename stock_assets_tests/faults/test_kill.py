"""A history load that is killed again and again, or runs beside another, ends as if nothing had happened.

`STOCK_ASSETS_TEST_KILLS` says how often it is killed; from 20 on the load is that of a whole year. The far end lives in the
test's own process and survives.
"""

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.market import SimulatedMarket
from stock_assets.sources.exchange_calendar import exchange_calendar
from stock_assets.storage.database import Database
from stock_assets.storage.embedded import EmbeddedServer
from stock_assets_tests.databases import Server, own_database
from stock_assets_tests.faults.stores import new_home, remove_home

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="process groups and SIGKILL are POSIX"),
]
KILLS = int(os.environ.get("STOCK_ASSETS_TEST_KILLS", "3"))
# The summer before it has the ex-dates of most stocks.
TODAY = date(2026, 7, 31)
FULL_DRILL = 20
DAYS, STOCKS = 250 if KILLS >= FULL_DRILL else 40, 300
# Bars land about thirty days at a time, factors day by day: kills hit before, in and after transactions.
MOST_REQUESTS_BEFORE_KILL = 50
LONGEST_SECONDS = 300.0
# What a table says, without who wrote it and when.
CONTENT = {
    "stock_daily": "ts_code, trade_date, open, high, low, close, pre_close, volume, amount, turnover_rate, pct_chg,"
    " is_suspended, is_st, pe_ttm, pb_mrq, ps_ttm, pcf_ncf_ttm, source",
    "raw_baostock_daily": 'date, code, open, high, low, close, preclose, volume, amount, adjustflag, turn, tradestatus,'
    ' "pctChg", "peTTM", "pbMRQ", "psTTM", "pcfNcfTTM", "isST"',
    "adjust_factor": "ts_code, ex_date, back_adjust_factor, source",
    "load_ledger": "dataset, trade_date, status, rows_expected, rows_present, rows_rejected, source, digest, detail",
    "quality_finding": "dataset, trade_date, ts_code, rule, severity, detail",
    "rejected_row": "dataset, trade_date, ts_code, rule, row_digest, row_text, source",
    "security": "ts_code, name, exchange, board, list_date, delist_date, status, former_codes, source",
    "trading_day": "trade_date, is_open, previous_open, source_is_open, sources_agree, source",
}  # fmt: skip
_DIGEST = """
    SELECT count(*), md5(coalesce(string_agg(line, '' ORDER BY line), ''))
    FROM (SELECT md5(ROW({columns})::text) AS line FROM {table}) AS lines
"""
Digests = dict[str, tuple[int, str]]


@dataclass(frozen=True, slots=True)
class FarEnd:
    """The simulated source, and how many bars each asked day has."""

    server: BaoStockServer
    days: list[date]
    rows_of_day: dict[date, int]


@dataclass(frozen=True, slots=True)
class Installation:
    """A data folder, a store and a source, as the command line finds them in its environment."""

    far_end: FarEnd
    home: Path
    database_url: str | None

    def load(self) -> "Load":
        """Start the history load in a process group of its own."""
        ours = ("STOCK_ASSETS_", "BAOSTOCK_", "DAGSTER", "LOG_", "PYTEST")
        environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        environ |= {
            "STOCK_ASSETS_HOME": str(self.home),
            "STOCK_ASSETS_SOURCE": "baostock",
            "STOCK_ASSETS_TODAY": TODAY.isoformat(),
            "STOCK_ASSETS_LANGUAGE": "en",
            "BAOSTOCK_HOST": self.far_end.server.host,
            "BAOSTOCK_PORT": str(self.far_end.server.port),
            "LOG_LEVEL": "ERROR",
        }
        if self.database_url is not None:
            environ["STOCK_ASSETS_DATABASE_URL"] = self.database_url
        days = self.far_end.days
        span = ["--start", days[0].isoformat(), "--end", days[-1].isoformat()]
        said = self.home / f"said-{uuid.uuid4().hex}.txt"
        with said.open("wb") as output:
            popen = subprocess.Popen(
                [sys.executable, "-m", "stock_assets.cli.main", "history", "daily", *span],
                cwd=self.home, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        return Load(popen, said, self.far_end.server)


@dataclass(frozen=True, slots=True)
class Load:
    """A running history load."""

    popen: "subprocess.Popen[bytes]"
    said: Path
    server: BaoStockServer

    def sends(self, requests: int) -> bool:
        """Wait until it has sent so many requests; return whether it still runs then."""
        wanted, until = self.server.requests.total() + requests, time.monotonic() + LONGEST_SECONDS
        while self.server.requests.total() < wanted and self.popen.poll() is None:
            if time.monotonic() > until:
                self.kill()
                pytest.fail(f"the load hangs: {self.said.read_text(encoding='utf-8')}")
            time.sleep(0.002)
        return self.popen.poll() is None

    def kill(self) -> None:
        """End it and all it has started, at once."""
        os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(10)

    def ends(self) -> tuple[int, str]:
        """Return its exit code and all it said."""
        try:
            code = self.popen.wait(LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return code, self.said.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def far_end(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarEnd]:
    calendar = exchange_calendar(tmp_path_factory.mktemp("calendar"))
    sessions = calendar.between(date(2025, 1, 1), TODAY)
    market = SimulatedMarket(7, STOCKS, sessions=sessions)
    days = sessions[-DAYS:]
    with BaoStockServer(market, latency_seconds=0.004) as server:
        yield FarEnd(server, days, {day: len(market.daily_bars(day)) for day in days})


@pytest.fixture(scope="module")
def new_installation(
    server: Server, migrated_template: str, far_end: FarEnd, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Installation]]:
    """Return a function that makes an installation with an empty store on the session's server."""
    with ExitStack() as stack:

        def make() -> Installation:
            url = stack.enter_context(own_database(server, migrated_template))
            return Installation(far_end, tmp_path_factory.mktemp("home"), url)

        yield make


@pytest.fixture(scope="module")
def undisturbed(new_installation: Callable[[], Installation]) -> Digests:
    """What a load that nobody disturbs leaves in the store."""
    installation = new_installation()
    code, said = installation.load().ends()
    assert code == 0, said
    database = opened(installation)
    digests = digests_of(database)
    assert halves(database, installation.far_end) == []
    database.close()
    assert digests["stock_daily"][0] == sum(installation.far_end.rows_of_day.values())
    assert digests["adjust_factor"][0] > 0
    return digests


def opened(installation: Installation) -> Database:
    """Return the store of an installation on the session's server."""
    assert installation.database_url is not None
    return Database(installation.database_url)


def digests_of(database: Database) -> Digests:
    """Return rows and digest of each table's content."""
    with database.read() as conn:
        return {
            table: tuple(conn.execute(sa.text(_DIGEST.format(table=table, columns=columns))).one())
            for table, columns in CONTENT.items()
        }


def halves(database: Database, far_end: FarEnd) -> list[str]:
    """Return the days that are stored in part: called complete without all rows, or with rows and no line."""
    count = "SELECT trade_date, count(*) FROM stock_daily GROUP BY trade_date"
    raw_count = "SELECT date::date, count(DISTINCT code) FROM raw_baostock_daily GROUP BY date"
    lines = "SELECT trade_date, status FROM load_ledger WHERE dataset = 'stock_daily'"
    with database.read() as conn:
        held = dict(map(tuple, conn.execute(sa.text(count))))
        raw = dict(map(tuple, conn.execute(sa.text(raw_count))))
        statuses = dict(map(tuple, conn.execute(sa.text(lines))))
    found = [f"{day} has rows and no line" for day in {*held, *raw} - set(statuses)]
    for day, status in statuses.items():
        rows = far_end.rows_of_day[day]
        if status != "complete" or held.get(day) != rows or raw.get(day) != rows:
            found.append(f"{day} is {status} with {held.get(day)} and raw {raw.get(day)} of {rows} rows")
    return found


@pytest.mark.slow
def test_a_load_that_is_killed_again_and_again_ends_as_if_nothing_had_happened(
    new_installation: Callable[[], Installation], far_end: FarEnd, undisturbed: Digests
) -> None:
    chance = random.Random(20261122)  # noqa: S311  repeatable, no secret
    kills, starts, began = 0, 0, time.monotonic()
    lines: list[int] = []
    while kills < KILLS:
        installation = new_installation()
        database = opened(installation)
        is_killed = True
        # A load that ends before it is killed is compared as well, and the rest of the kills go to a new one.
        while is_killed:
            load, starts = installation.load(), starts + 1
            is_killed = kills < KILLS and load.sends(chance.randint(1, MOST_REQUESTS_BEFORE_KILL))
            if is_killed:
                time.sleep(chance.uniform(0.0, 0.3))
                load.kill()
                kills += 1
            else:
                code, said = load.ends()
                assert code == 0, said
            assert halves(database, far_end) == []
            with database.read() as conn:
                lines.append(conn.execute(sa.text("SELECT count(*) FROM load_ledger")).scalar_one())
        assert digests_of(database) == undisturbed
        database.close()
    print(f"{kills} kills, {starts} starts, {time.monotonic() - began:.0f} s, lines of the ledger after each: {lines}")  # noqa: T201  the drill's figures


@pytest.mark.slow
def test_a_load_survives_the_death_of_its_embedded_server(far_end: FarEnd, undisturbed: Digests) -> None:
    home = new_home()
    try:
        installation = Installation(far_end, home, None)
        load = installation.load()
        assert load.sends(DAYS // 2), load.said.read_text(encoding="utf-8")
        postmaster = EmbeddedServer(home).status().pid
        assert postmaster is not None
        os.kill(postmaster, signal.SIGKILL)
        code, said = load.ends()
        assert code != 0
        assert "Traceback" not in said, said
        code, said = installation.load().ends()
        assert code == 0, said
        server = EmbeddedServer(home)
        database = Database(server.ensure_running())
        assert halves(database, far_end) == []
        assert digests_of(database) == undisturbed
        database.close()
        server.release()
    finally:
        remove_home(home)


@pytest.mark.slow
def test_of_two_loads_at_once_one_is_refused_and_the_store_is_what_one_leaves(
    new_installation: Callable[[], Installation], far_end: FarEnd, undisturbed: Digests
) -> None:
    installation = new_installation()
    loads = [installation.load(), installation.load()]
    ends = sorted(load.ends() for load in loads)
    assert [code for code, _ in ends] == [0, 75], ends
    assert "a task of type DAILY_HISTORY is running in another process" in ends[1][1]
    database = opened(installation)
    assert halves(database, far_end) == []
    assert digests_of(database) == undisturbed
    database.close()
    assert far_end.server.max_open_sessions == 1
