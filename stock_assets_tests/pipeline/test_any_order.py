"""Whatever happens in whatever order to a store and its source: completeness says what counting pair by pair says.

`STOCK_ASSETS_TEST_ORDERS` sets how many orders are tried, each of up to `STOCK_ASSETS_TEST_STEPS` steps.
"""

import os
from collections import Counter
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from stock_assets.domain.calendar import SHANGHAI, TradingCalendar
from stock_assets.domain.completeness import SourcesInUse
from stock_assets.domain.errors import StockAssetsError
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.pipeline.context import LandingTransaction, PipelineContext
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.pipeline.refresh import refresh_calendar, refresh_securities
from stock_assets.pipeline.repair import find_gaps, next_repair
from stock_assets.pipeline.report import DayOutcome
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.sources.baostock.client import BaoStockClient, connector
from stock_assets.sources.baostock.pool import BaoStockPool
from stock_assets.sources.retry import RetryPolicy
from stock_assets.storage import bars, completeness, ledger, row_digests
from stock_assets.storage.copy_frames import driver
from stock_assets.storage.database import Connection, Database
from stock_assets_tests.databases import Server, own_database
from stock_assets_tests.faults.kept_store import KeptStore
from stock_assets_tests.pipeline.any_order_model import Model, Pair
from stock_assets_tests.pipeline.conftest import no_sleep
from stock_assets_tests.pipeline.made_up_exchange import LISTED_LONG_AGO, OLD, Condition, Life, MadeUpExchange

ORDERS = int(os.environ.get("STOCK_ASSETS_TEST_ORDERS", "8"))
STEPS = int(os.environ.get("STOCK_ASSETS_TEST_STEPS", "15"))
SESSIONS = [day for n in range(16) if (day := date(2025, 2, 10) + timedelta(n)).weekday() < 5]
# Before and after the change of a code.
BEGINS = [date(2025, 2, 15), date(2025, 2, 20)]
CALENDAR = TradingCalendar.of(SESSIONS, known_until=date(2025, 12, 31))
STOCKS = ("000001.SZ", "000002.SZ", OLD, "600000.SH", "600004.SH")
EMPTY = "any_order_empty"

# Places among the days that are over, counted round and round.
some_days = st.sets(st.integers(0, len(SESSIONS) - 1), min_size=1, max_size=8)
some_stock = st.sampled_from(STOCKS)
some_stocks = st.sets(some_stock, min_size=1, max_size=2)
some_day = st.sampled_from(SESSIONS)


@dataclass(frozen=True, slots=True)
class Shop:
    """One store and one far end for all orders, one after another."""

    store: KeptStore
    server: BaoStockServer

    @property
    def database(self) -> Database:
        """The store's database."""
        return self.store.database


class AnyOrder(RuleBasedStateMachine):
    """Loads, corrections, restatements, repairs, backfills, deaths, delistings and a change of code."""

    shop: Shop
    openings = 0

    @initialize(
        begins=st.sampled_from(BEGINS),
        starts=st.lists(st.sampled_from([-1, -1, 0, 2, 4]), min_size=len(STOCKS), max_size=len(STOCKS)),
        condition=st.dictionaries(
            st.tuples(some_stock, some_day), st.sampled_from(["none", "none", "bad", "suspended"]), max_size=12
        ),
    )
    def begin(self, begins: date, starts: list[int], condition: dict[Pair, Condition]) -> None:
        self.shop.store.put_back(EMPTY)
        firsts = [LISTED_LONG_AGO if place < 0 else SESSIONS[place] for place in starts]
        lives = {
            code: Life(LISTED_LONG_AGO if code == OLD else first) for code, first in zip(STOCKS, firsts, strict=True)
        }
        self.market = MadeUpExchange(SESSIONS, begins, lives, condition)
        self.shop.server.market = self.market
        self.model = Model(self.market)
        self.know_the_list()

    def know_the_list(self) -> None:
        """Refresh the securities, as each evening's run does."""
        with self.context() as context:
            refresh_securities(context)

    @contextmanager
    def context(self) -> Generator[PipelineContext]:
        """Open what an evening's run needs; what was asked before is forgotten."""
        # The far end remembers what it said for one day of knowledge: here it knows more each time.
        AnyOrder.openings += 1
        self.shop.server.last_ready_day = date(2030, 1, 1) + timedelta(days=AnyOrder.openings)
        self.market.day_calls.clear()
        self.market.code_calls.clear()
        with _opened(self.shop.server, self.shop.database, self.market.today) as context:
            yield context

    def over(self, places: Collection[int]) -> list[date]:
        """Return the days at these places among those that are over."""
        days = self.model.days()
        return sorted({days[place % len(days)] for place in places})

    def ingest(
        self,
        days: Sequence[date],
        *,
        codes: Collection[str] | None = None,
        refetch: bool = False,
        only_due: bool = False,
    ) -> None:
        """Work, and let the model follow what the far end was asked."""
        model = self.model
        gaps = model.open_pairs(days, codes)
        whole = {day for day in days if refetch} | self.disputed(days, codes)
        gaps |= {(code, day) for day in whole for code in model.expected(day) if codes is None or code in codes}
        if only_due:
            gaps = model.due(gaps)
        with self.context() as context:
            report = ingest_days(
                context, days, ts_codes=None if codes is None else sorted(codes), refetch=refetch, only_due=only_due
            )
        model.land(gaps, codes, days)
        statuses = {outcome.day: outcome.status for outcome in report.outcomes if outcome.status != "refused"}
        assert statuses == {day: model.status(day) for day in statuses}

    def disputed(self, days: Collection[date], codes: Collection[str] | None) -> set[date]:
        """Return the days that lack no bar, and of which a row was refused all the same."""
        if codes is not None:
            return set()
        refused = {day for _, day in self.model.rejected}
        return {day for day in days if day in refused and not self.model.open_pairs([day])}

    @rule(days=some_days)
    def load(self, days: set[int]) -> None:
        self.ingest(self.over(days))

    @rule(stocks=some_stocks, days=some_days)
    def backfill(self, stocks: set[str], days: set[int]) -> None:
        chosen = self.over(days)
        self.ingest(chosen, codes={self.market.code_of(stock, day) for stock in stocks for day in chosen})

    @rule(days=some_days)
    def correct(self, days: set[int]) -> None:
        self.ingest(self.over(days), refetch=True)

    @rule()
    def repair(self) -> None:
        with self.context() as context, self.shop.database.read() as conn:
            gaps = find_gaps(conn, self.model.days(), now=context.now(), sources=context.in_use)
        chosen = next_repair(replace(gaps, factors=gaps.factors.clear(), technicals=gaps.technicals.clear()))
        wanted = self.model.due(self.model.open_pairs(self.model.days()))
        # Days of which no missing bar tells that a row was refused: its bar is there, or it is off the list by now.
        refused = {day for _, day in self.model.rejected}
        whole_days = refused - {day for _, day in self.model.rejected & self.model.open_pairs(self.model.days())}
        assert {pair for pair in gaps.bars.iter_rows() if pair[0] is not None} == wanted
        assert {day for code, day in gaps.bars.iter_rows() if code is None} == whole_days
        if chosen is not None:
            self.ingest(CALENDAR.between(chosen.first, chosen.last), only_due=True)
            assert set(self.market.day_calls) <= {day for _, day in wanted} | whole_days
            assert whole_days or set(self.market.code_calls) <= {code for code, _ in wanted}
            left = self.model.due(self.model.open_pairs(self.model.days()))
            assert left <= self.hard_to_have()

    def hard_to_have(self) -> set[Pair]:
        """Return the pairs that the far end does not give now, for whatever reason."""
        market = self.market
        return {
            (market.code_of(stock, day), day)
            for stock in market.stocks
            for day in self.model.days()
            if market.what(stock, day) in {"none", "bad"}
        }

    @rule(days=some_days)
    def die_while_landing(self, days: set[int]) -> None:
        chosen, before = self.over(days), self.content()
        with self.context() as context:
            died = replace(context, transaction=lambda: _dying(self.shop.database))
            with suppress(StockAssetsError):
                ingest_days(died, chosen)
        assert self.content() == before

    @rule(stocks=some_stocks, days=some_days, what=st.sampled_from(["suspended", "bad", "none", "traded"]))
    def source_changes(self, stocks: set[str], days: set[int], what: Condition) -> None:
        self.market.condition |= {(stock, day): what for stock in stocks for day in self.over(days)}

    @rule()
    def source_recovers(self) -> None:
        self.market.condition.clear()

    @rule(stocks=some_stocks, days=some_days, what=st.sampled_from(["bad", "none"]))
    def correct_while_the_source_is_wrong(self, stocks: set[str], days: set[int], what: Condition) -> None:
        self.source_changes(stocks, days, what)
        self.ingest(self.over(days), refetch=True)

    @rule(stocks=some_stocks, days=some_days)
    def restate(self, stocks: set[str], days: set[int]) -> None:
        for pair in ((stock, day) for stock in stocks for day in self.over(days)):
            self.market.versions[pair] = self.market.versions.get(pair, 0) + 1

    @rule(stock=st.sampled_from([code for code in STOCKS if code != OLD]), day=st.sampled_from(SESSIONS[3:]))
    def delist(self, stock: str, day: date) -> None:
        life = self.market.stocks[stock]
        if life.until is None and day > life.first and day <= self.market.today:
            life.until = day
            self.know_the_list()

    @rule(days=st.sampled_from([1, 1, 2, 5, 40]))
    def time_passes(self, days: int) -> None:
        self.market.today += timedelta(days=days)
        self.know_the_list()

    @rule(days=st.sampled_from([1, 1, 2, 32]))
    def next_night(self, days: int) -> None:
        self.time_passes(days)
        self.ingest(self.model.days())

    @rule(days=some_days)
    def load_twice(self, days: set[int]) -> None:
        chosen = self.over(days)
        self.ingest(chosen)
        before = self.content()
        if not self.disputed(chosen, None):
            self.ingest(chosen)
            assert self.content() == before

    @rule(one=some_days, other=some_days)
    def load_in_either_order(self, one: set[int], other: set[int]) -> None:
        first = self.over(one)
        second = [day for day in self.over(other) if day not in first]
        if not second:
            return
        here, store = "any_order_here", self.shop.store
        store.keep(here)
        model = self.model.copy()
        self.ingest(first)
        self.ingest(second)
        there = self.content()
        store.put_back(here)
        store.forget(here)
        self.model = model
        self.ingest(second)
        self.ingest(first)
        assert self.content() == there

    def content(self) -> dict[str, object]:
        """Return all that the store says of bars."""
        with self.shop.database.read() as conn:
            return {
                "rows": row_digests.digests(conn, STOCK_DAILY, SESSIONS[0], SESSIONS[-1], by="day").rows(),
                "ledger": sorted(ledger.statuses(conn, STOCK_DAILY.name, SESSIONS).items()),
                "asked": _rows(conn, "SELECT ts_code, trade_date, asked_days, last_asked_on FROM asked_gap"),
                "refused": _rows(conn, "SELECT ts_code, trade_date FROM rejected_row WHERE resolved_at IS NULL"),
            }

    @invariant()
    def completeness_is_what_counting_gives(self) -> None:
        days, codes = self.model.days(), self.model.codes()
        counted = {(code, day): self.model.state(code, day) for code in codes for day in days}
        in_use: SourcesInUse = {"baostock": ("SH", "SZ")}
        with self.shop.database.read() as conn:
            states = completeness.stock_states(conn, codes, days[0], days[-1], sources=in_use)
            counts = completeness.state_counts(conn, STOCK_DAILY.name, days[0], days[-1], sources=in_use)
            gaps = completeness.open_gaps(conn, STOCK_DAILY.name, days[0], days[-1], sources=in_use)
            none = completeness.no_source_has(conn, STOCK_DAILY.name, days[0], days[-1], sources=in_use)
            stored = bars.read_bars(conn, None, days[0], days[-1])
            closed = ledger.closed_days(conn, STOCK_DAILY.name, days[0], days[-1])
            asked = _rows(conn, "SELECT ts_code, trade_date, asked_days FROM asked_gap")
            refused = _rows(conn, "SELECT DISTINCT ts_code, trade_date FROM rejected_row WHERE resolved_at IS NULL")
        assert {(code, day): state for code, day, state in states.iter_rows()} == counted
        named = gaps.filter(pl.col("ts_code").is_not_null())
        open_states = {"missing", "rejected"}
        assert {(code, day): state for code, day, state in named.iter_rows()} == {
            pair: state for pair, state in counted.items() if state in open_states
        }
        assert {(code, day) for code, day, _ in none.iter_rows()} == {
            pair for pair, state in counted.items() if state == "source_has_none"
        }
        for row in counts.iter_rows(named=True):
            found = Counter(state for (_, day), state in counted.items() if day == row["trade_date"])
            assert {state: row[state] for state in found} == dict(found)
            assert row["expected"] == sum(found.values()) - found["not_listed"]
        held = {
            (row["ts_code"], row["trade_date"]): (row["close"], row["is_suspended"])
            for row in stored.iter_rows(named=True)
        }
        assert held == self.model.held
        assert {(code, day): times for code, day, times in asked} == {
            pair: len(times) for pair, times in self.model.asked.items()
        }
        assert set(refused) == self.model.rejected
        short = {day for (_, day), state in counted.items() if state in open_states}
        told = set(counts.filter((pl.col("missing") > 0) | (pl.col("rejected") > 0))["trade_date"])
        assert short == told
        assert not closed & short


def _rows(conn: Connection, query: str) -> list[tuple[object, ...]]:
    return sorted((tuple(row) for row in conn.execute(sa.text(query))), key=str)


@dataclass(frozen=True, slots=True)
class _Dying:
    """A landing whose connection ends before it is committed."""

    connection: Connection

    def landed(self, outcomes: Sequence[DayOutcome], lacking: object, *, rows: int) -> None:
        """Lose the connection."""
        del outcomes, lacking, rows
        driver(self.connection).close()


@contextmanager
def _opened(server: BaoStockServer, database: Database, today: date) -> Generator[PipelineContext]:
    now = datetime.combine(today, time(23, 0), tzinfo=SHANGHAI)
    pool = BaoStockPool(connector(host=server.host, port=server.port, timeout_seconds=10.0), timeout_seconds=10.0)
    source = BaoStockClient(pool, retry=RetryPolicy(attempts=1, sleep=no_sleep), now=lambda: now)
    yield PipelineContext(source, database, CALENDAR, lambda: now, run_id="any order", slow_seconds=60.0)
    source.close()


@contextmanager
def _dying(database: Database) -> Generator[LandingTransaction]:
    with database.begin() as conn:
        yield _Dying(conn)


@pytest.fixture(scope="module")
def shop(server: Server, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The store and the far end of all orders."""
    with own_database(server, migrated_template) as url:
        database = Database(url)
        far_end = BaoStockServer(MadeUpExchange(SESSIONS, BEGINS[0], {}))
        with far_end:
            store = KeptStore(database, tmp_path_factory.mktemp("any_order") / "files")
            with _opened(far_end, database, BEGINS[0]) as context:
                refresh_calendar(context)
            store.keep(EMPTY)
            yield Shop(store, far_end)
        database.close()


def test_completeness_is_what_counting_gives_in_any_order(shop: Shop) -> None:
    machine = type("AnyOrderHere", (AnyOrder,), {"shop": shop})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=ORDERS,
            stateful_step_count=STEPS,
            deadline=None,
            # An order of so few steps is read as it is; to shorten it would take minutes.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        ),
    )
