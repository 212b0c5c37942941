"""Two sources over one market: each exchange has its own, and what the first one lacks comes from the second."""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta

import polars as pl
import pytest
import sqlalchemy as sa
from polars.testing import assert_frame_equal
from pydantic import SecretStr

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.domain.errors import AnswerBroken, SourceUnavailable
from stock_assets.domain.tables import ADJUST_FACTOR, SECURITY, STOCK_DAILY
from stock_assets.pipeline.context import PipelineContext
from stock_assets.pipeline.daily_sync import sync_daily
from stock_assets.pipeline.factors import ingest_factors
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.pipeline.refresh import refresh_calendar, refresh_securities
from stock_assets.simulator.base import AdjustFlag, Rows
from stock_assets.simulator.market import SimulatedMarket, weekdays
from stock_assets.simulator.tushare_base import SERVICES, Row, Service, TushareMarket
from stock_assets.simulator.tushare_market import SimulatedTushare, beijing_market
from stock_assets.simulator.tushare_server import TOKEN, TushareServer
from stock_assets.sources.baostock.client import BaoStockClient
from stock_assets.sources.tushare.client import TushareClient
from stock_assets.sources.tushare.source import TushareSource
from stock_assets.storage import bars, ledger, reference, sync_tasks
from stock_assets.storage.database import Database
from stock_assets_tests.pipeline.conftest import SESSIONS, Workshop
from stock_assets_tests.pipeline.test_ingest import rows_of

DAYS = list(SESSIONS[180:184])
LONG = list(SESSIONS[60:180])
YEARS = weekdays(date(2023, 1, 2), SESSIONS[-1])
# An old event that only one source knows of, and what it does to all later factors.
EVENT, LEVEL = YEARS[40], 1.17
# Said alike by both sources, to the last digit.
_ALIKE = ("ts_code", "trade_date", "open", "high", "low", "close", "pre_close", "volume", "is_suspended")


class OtherLevel(SimulatedTushare):
    """A Tushare that knows of one more event of every old stock."""

    def rows(self, service: Service, params: Mapping[str, str], known: date) -> Iterator[Row]:
        old = {row[0] for row in super().rows(SERVICES["stock_basic"], {}, known) if str(row[12]) < f"{EVENT:%Y%m%d}"}
        for row in super().rows(service, params, known):
            is_changed = service.name == "adj_factor" and row[0] in old and str(row[1]) >= f"{EVENT:%Y%m%d}"
            yield [*row[:2], float(str(row[2])) * LEVEL] if is_changed else row


class Holes(SimulatedMarket):
    """A market that BaoStock tells with holes."""

    missing: frozenset[tuple[str, date]] = frozenset()

    def daily_bars(self, day: date) -> Rows:
        return [row for row in super().daily_bars(day) if (row[1], day) not in self.missing]


class Silent(SimulatedMarket):
    """A market that has no bars of 600000.SH."""

    def daily_bars(self, day: date) -> Rows:
        return [row for row in super().daily_bars(day) if row[1] != "sh.600000"]

    def stock_bars(self, code: str, adjust: AdjustFlag, start: date, end: date, as_of: date) -> Rows:
        return [] if code == "sh.600000" else super().stock_bars(code, adjust, start, end, as_of)


@dataclass(frozen=True, slots=True)
class Both:
    """Two far ends and a context over them."""

    baostock: Workshop
    tushare: TushareServer
    context: PipelineContext

    @property
    def database(self) -> Database:
        """The store."""
        return self.context.database


@contextmanager
def opened(workshop: Workshop, tushare: TushareMarket, context: PipelineContext) -> Generator[Both]:
    with TushareServer(tushare, points=5000) as server:
        client = TushareClient(SecretStr(TOKEN), addresses=[server.url], attempts=1)
        yield Both(workshop, server, replace(context, fallbacks=(TushareSource(client),)))
        client.close()


@pytest.fixture
def both(workshop: Workshop, market: SimulatedMarket) -> Iterator[Both]:
    tushare = SimulatedTushare(market, beijing_market(11, 60, SESSIONS), seed=11)
    with opened(workshop, tushare, workshop.context) as found:
        yield found


@pytest.fixture
def years(workshop: Workshop) -> Iterator[Both]:
    """Three years, in which stocks have several ex-dates."""
    market = SimulatedMarket(11, 40, sessions=YEARS)
    workshop.server.market = market
    with opened(workshop, OtherLevel(market), replace(workshop.context, calendar=TradingCalendar.of(YEARS))) as found:
        yield found


def stored(both: Both, days: list[date]) -> pl.DataFrame:
    with both.database.read() as conn:
        return bars.read_bars(conn, None, days[0], days[-1])


def makers(both: Both, dataset: str, days: list[date]) -> dict[date, set[str]]:
    with both.database.read() as conn:
        return ledger.closing_sources(conn, dataset, days[0], days[-1])


def details(both: Both, dataset: str, day: date) -> list[str | None]:
    with both.database.read() as conn:
        return ledger.read_entries(conn, dataset, day, day)["detail"].to_list()


def codes(both: Both) -> set[str]:
    with both.database.read() as conn:
        return set(reference.read_securities(conn)["ts_code"])


def silence(server: TushareServer) -> None:
    server.refuse_connections()
    server.drop_connections()


def is_of(exchange: str) -> pl.Expr:
    return pl.col("ts_code").str.ends_with(exchange)


def values(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(_ALIKE).sort("ts_code", "trade_date")


def test_each_exchange_comes_from_the_first_source_that_has_it(both: Both) -> None:
    report = ingest_days(both.context, DAYS)
    found = stored(both, DAYS)
    assert set(found.filter(is_of("BJ"))["source"]) == {"tushare"}
    assert set(found.filter(~is_of("BJ"))["source"]) == {"baostock"}
    assert [outcome.status for outcome in report.outcomes] == ["complete"] * len(DAYS)
    assert set(map(frozenset, makers(both, STOCK_DAILY.name, DAYS).values())) == {frozenset({"baostock", "tushare"})}
    asked = (both.baostock.server.requests.total(), both.tushare.requests.total())
    again = ingest_days(both.context, DAYS)
    assert (again.requests, again.rows_written) == (0, 0)
    assert asked == (both.baostock.server.requests.total(), both.tushare.requests.total())


def test_asking_again_never_lets_one_source_overwrite_the_other(both: Both) -> None:
    ingest_days(both.context, DAYS)
    before = {name: rows_of(both.database, name) for name in ("stock_daily", "stock_daily_history", "load_ledger")}
    report = ingest_days(both.context, DAYS, refetch=True)
    assert report.rows_written == 0
    assert report.unchanged == stored(both, DAYS).height
    assert before == {name: rows_of(both.database, name) for name in before}


def test_days_for_which_the_first_source_is_down_come_from_the_second(both: Both) -> None:
    refresh_calendar(both.context)
    both.baostock.server.close()
    report = ingest_days(both.context, DAYS)
    assert report.failure() is None
    assert list(report.handed_on) == ["baostock"]
    assert isinstance(report.handed_on["baostock"], SourceUnavailable)
    assert set(stored(both, DAYS)["source"]) == {"tushare"}
    assert {outcome.status for outcome in report.outcomes} == {"complete"}
    # Once the first one is back it is asked again for its exchanges only, and says the same.
    by_tushare = values(stored(both, DAYS))
    both.baostock.server.open()
    ingest_days(both.context, DAYS, refetch=True)
    found = stored(both, DAYS)
    assert set(found.filter(~is_of("BJ"))["source"]) == {"baostock"}
    assert_frame_equal(values(found), by_tushare)


def test_a_day_that_the_first_source_is_late_with_comes_from_the_second(both: Both) -> None:
    both.baostock.server.last_ready_day = DAYS[-2]
    report = ingest_days(both.context, DAYS)
    assert report.failure() is None
    assert not report.handed_on
    found = stored(both, DAYS)
    assert set(found.filter(pl.col("trade_date") == DAYS[-1])["source"]) == {"tushare"}
    assert set(found.filter((pl.col("trade_date") < DAYS[-1]) & ~is_of("BJ"))["source"]) == {"baostock"}
    assert set(makers(both, STOCK_DAILY.name, DAYS)) == set(DAYS)


def test_of_a_day_with_holes_only_the_holes_come_from_the_second(both: Both) -> None:
    holes = Holes(11, 60, sessions=SESSIONS)
    traded = [row[1] for row in holes.daily_bars(DAYS[1]) if row[11] == "1"][:3]
    holes.missing = frozenset({(traded[0], DAYS[1]), (traded[1], DAYS[1]), (traded[2], DAYS[2])})
    both.baostock.server.market = holes
    report = ingest_days(both.context, DAYS)
    assert {outcome.status for outcome in report.outcomes} == {"complete"}
    filled = stored(both, DAYS).filter(~is_of("BJ") & (pl.col("source") == "tushare"))
    told = {(f"{code[3:]}.{code[:2].upper()}", day) for code, day in holes.missing}
    assert set(filled.select("ts_code", "trade_date").rows()) == told
    # Nothing came twice: no row was written over.
    assert rows_of(both.database, "stock_daily_history") == []


def test_when_nobody_answers_the_first_sources_reason_is_told(both: Both) -> None:
    refresh_calendar(both.context)
    refresh_securities(both.context)
    both.baostock.server.close()
    silence(both.tushare)
    report = ingest_days(both.context, DAYS)
    assert set(report.handed_on) == {"baostock", "tushare"}
    assert report.failure() is not None
    assert stored(both, DAYS).is_empty()
    both.tushare.accept_connections()
    assert ingest_days(both.context, DAYS).failure() is None


def test_without_the_second_source_beijing_stays_open_and_shanghai_lands(both: Both) -> None:
    refresh_securities(both.context)
    silence(both.tushare)
    report = ingest_days(both.context, DAYS)
    assert report.failure() is not None
    found = stored(both, DAYS)
    assert found.height > 0
    assert not found["ts_code"].str.ends_with(".BJ").any()
    both.tushare.accept_connections()
    assert ingest_days(both.context, DAYS).failure() is None
    assert stored(both, DAYS)["ts_code"].str.ends_with(".BJ").any()


def test_a_refusal_of_the_second_source_takes_nothing_from_what_the_first_one_landed(both: Both) -> None:
    refresh_securities(both.context)
    both.tushare.faults = "http=503:daily"
    report = ingest_days(both.context, DAYS[:1])
    # Beijing is its own: without it the day is not done.
    assert isinstance(report.failure(), AnswerBroken | SourceUnavailable)
    assert [outcome.status for outcome in report.outcomes] == ["partial"]
    assert stored(both, DAYS[:1]).height > 0


def test_nobody_has_to_have_what_the_first_source_left_open(both: Both) -> None:
    ingest_days(both.context, DAYS[:1])
    traded = stored(both, DAYS[:1]).filter(~is_of("BJ"))["ts_code"][:3].to_list()
    with both.database.begin() as conn:
        conn.execute(sa.text("DELETE FROM stock_daily WHERE ts_code = ANY(:codes)"), {"codes": traded})
    holes = Holes(11, 60, sessions=SESSIONS)
    holes.missing = frozenset((f"{code[-2:].lower()}.{code[:6]}", DAYS[0]) for code in traded)
    both.baostock.server.market = holes
    both.baostock.server.last_ready_day = SESSIONS[-2]
    both.tushare.faults = "http=503:*"
    report = ingest_days(both.context, DAYS[:1])
    assert report.failure() is None
    assert [outcome.status for outcome in report.outcomes] == ["partial"]


def test_securities_of_a_silent_source_are_added_by_the_next_and_asked_for_again(both: Both) -> None:
    refresh_securities(both.context)
    with both.database.begin() as conn:
        conn.exec_driver_sql("DELETE FROM security WHERE ts_code IN ('600000.SH', '920002.BJ')")
    before = codes(both)
    both.baostock.server.close()
    refresh_securities(both.context)
    after = codes(both)
    assert after - before == {"600000.SH", "920002.BJ"}
    day = both.context.last_final()
    with both.database.read() as conn:
        entry = ledger.read_entries(conn, SECURITY.name, day, day).to_dicts()[0]
        told = bars.rows_of_day(conn, day)
    assert told.is_empty()
    assert entry["status"] == "partial"
    assert "baostock" in entry["detail"]
    both.baostock.server.open()
    assert refresh_securities(both.context).counts.updated == 1


def ex_days(market: SimulatedMarket) -> list[date]:
    return [day for day in YEARS if market.daily_adjust_factors(day, YEARS[-1])]


def factors(both: Both) -> pl.DataFrame:
    with both.database.read() as conn:
        return bars.read_factors(conn, None).sort("ts_code", "ex_date")


def steps(frame: pl.DataFrame) -> pl.DataFrame:
    """Return each factor against the one before it; the first one against 1."""
    factor = pl.col("back_adjust_factor")
    step = factor / factor.shift(1, fill_value=1.0).over("ts_code")
    return frame.select("ts_code", "ex_date", step.alias("step"))


@pytest.mark.slow
@pytest.mark.parametrize("began", ["baostock", "tushare"])
def test_factors_of_two_sources_stand_on_one_level(years: Both, began: str) -> None:
    market = years.baostock.server.market
    assert isinstance(market, SimulatedMarket)
    days = [day for day in ex_days(market) if day > EVENT]
    told = [row for day in days for row in market.daily_adjust_factors(day, YEARS[-1])]
    expected = pl.DataFrame(
        [(f"{row[0][3:]}.{row[0][:2].upper()}", date.fromisoformat(row[1]), float(row[3])) for row in told],
        schema=["ts_code", "ex_date", "back_adjust_factor"],
        orient="row",
    ).sort("ts_code", "ex_date")
    other = {"baostock": "tushare", "tushare": "baostock"}
    # Each in its turn, so that every stock has factors of both.
    for place, first in enumerate(range(0, len(days), 12)):
        source = began if place % 2 == 0 else other[began]
        (years.baostock.server.open if source == "baostock" else years.baostock.server.close)()
        report = ingest_factors(years.context, days[first : first + 12])
        assert report.failure() is None, report.failures
    found = factors(years)
    mixed = found.filter(pl.col("source").n_unique().over("ts_code") == 2)
    assert mixed["ts_code"].n_unique() > 10
    # The first factor of a stock says which level its series has; every later step is the market's own, as exact as
    # Tushare's four decimals are.
    later = pl.col("ex_date") != pl.col("ex_date").min().over("ts_code")
    assert_frame_equal(steps(found).filter(later), steps(expected).filter(later), rel_tol=1e-4)
    levels = set((found["back_adjust_factor"] / expected["back_adjust_factor"]).round(3))
    assert levels == {1.0, LEVEL}


@pytest.mark.slow
def test_a_factor_of_another_source_is_the_same_however_the_days_are_cut(years: Both) -> None:
    market = years.baostock.server.market
    assert isinstance(market, SimulatedMarket)
    days = [day for day in ex_days(market) if day > EVENT]
    ingest_factors(years.context, days[:20])
    years.baostock.server.close()
    ingest_factors(years.context, days[20:])
    before = factors(years)
    assert set(before["source"]) == {"baostock", "tushare"}
    for part in (days[20:][::2], days[20:][1::2]):
        assert ingest_factors(years.context, part, refetch=True).rows_written == 0
    assert_frame_equal(factors(years), before)


def test_a_factor_whose_level_cannot_be_found_out_leaves_its_day_open(years: Both) -> None:
    market = years.baostock.server.market
    assert isinstance(market, SimulatedMarket)
    of_code: dict[str, list[date]] = {}
    for day in ex_days(market)[:60]:
        for row in market.daily_adjust_factors(day, YEARS[-1]):
            of_code.setdefault(row[0], []).append(day)
    first, second = next(days for days in of_code.values() if len(days) > 1)[:2]
    ingest_factors(years.context, [first])
    years.baostock.server.close()
    # Of the day, of the session before, and then of one stock's whole series.
    years.tushare.faults = "http=503:adj_factor:3"
    ingest_factors(years.context, [second])
    assert makers(years, ADJUST_FACTOR.name, [second]) == {}
    short = factors(years).filter(pl.col("ex_date") == second).height
    assert short == len(market.daily_adjust_factors(second, YEARS[-1])) - 1
    years.tushare.faults = None
    assert ingest_factors(years.context, [second]).failure() is None
    assert makers(years, ADJUST_FACTOR.name, [second]) == {second: {"tushare"}}
    assert factors(years).filter(pl.col("ex_date") == second).height == short + 1


def test_a_day_of_factors_closes_when_every_exchange_was_answered(both: Both) -> None:
    refresh_securities(both.context)
    day = DAYS[0]
    silence(both.tushare)
    ingest_factors(both.context, [day])
    assert makers(both, ADJUST_FACTOR.name, [day]) == {}
    assert details(both, ADJUST_FACTOR.name, day) != [None]
    both.tushare.accept_connections()
    report = ingest_factors(both.context, [day])
    assert report.failure() is None
    assert makers(both, ADJUST_FACTOR.name, [day]) == {day: {"baostock", "tushare"}}
    asked = both.tushare.requests.total()
    assert ingest_factors(both.context, [day]).requests == 0
    assert both.tushare.requests.total() == asked


def test_days_that_one_source_closed_are_asked_of_the_second_for_its_exchange_alone(both: Both) -> None:
    ingest_factors(replace(both.context, fallbacks=()), DAYS)
    assert set(map(frozenset, makers(both, ADJUST_FACTOR.name, DAYS).values())) == {frozenset({"baostock"})}
    refresh_securities(both.context)
    asked = both.baostock.server.requests.total()
    ingest_factors(both.context, DAYS)
    assert both.baostock.server.requests.total() == asked
    assert set(map(frozenset, makers(both, ADJUST_FACTOR.name, DAYS).values())) == {frozenset({"baostock", "tushare"})}


def test_one_stock_over_many_days_is_asked_stock_by_stock_of_both(both: Both) -> None:
    codes = ["600000.SH", "920002.BJ"]
    ingest_days(both.context, LONG, ts_codes=codes)
    found = stored(both, LONG)
    assert set(found.select("ts_code", "source").rows()) == {("600000.SH", "baostock"), ("920002.BJ", "tushare")}
    assert both.tushare.requests["daily"] == 1
    assert found.height == 2 * len(LONG)


def test_a_plan_for_tushare_costs_what_it_says(both: Both, new_workshop: Callable[..., Workshop]) -> None:
    del new_workshop
    source = both.context.fallbacks[0]
    assert not isinstance(source, BaoStockClient)
    context = replace(both.context, source=source, fallbacks=())
    refresh_calendar(context)
    refresh_securities(context)
    before = both.tushare.requests.total()
    report = ingest_days(context, DAYS)
    sent = both.tushare.requests.total() - before
    assert sent == report.requests
    halted = stored(both, DAYS).filter("is_suspended")["ts_code"].n_unique()
    assert source.costs.parts * len(DAYS) <= sent <= source.costs.parts * len(DAYS) + 1 + 2 * halted * len(DAYS)


def test_every_calendar_day_is_told_by_the_second_when_the_first_is_down(both: Both) -> None:
    both.baostock.server.close()
    report = refresh_calendar(both.context)
    assert not report.disagreements
    assert report.known_until >= SESSIONS[-1] - timedelta(days=1)


def test_stocks_that_the_first_source_lacks_for_long_land_together_from_the_second(both: Both) -> None:
    code = "600000.SH"
    holes = Silent(11, 60, sessions=SESSIONS)
    both.baostock.server.market = holes
    report = ingest_days(both.context, LONG, ts_codes=[code])
    found = stored(both, LONG)
    assert set(found["source"]) == {"tushare"}
    assert found.height == len(LONG)
    assert {outcome.status for outcome in report.outcomes} == {"partial"}
    # A stock that nobody has costs no transaction a day.
    both.tushare.market = SimulatedTushare(holes)
    both.tushare.last_ready_day = SESSIONS[-2]
    with both.database.begin() as conn:
        conn.execute(sa.text("DELETE FROM stock_daily"))
    report = ingest_days(both.context, LONG, ts_codes=[code])
    assert report.rows_written == 0
    assert "raw_tushare_daily" not in report.raw_tables


def test_a_source_that_is_down_is_given_up_once_for_a_whole_history(both: Both) -> None:
    ingest_days(both.context, LONG[:1])
    both.baostock.server.faults = "close:query_daily_history_k_AStock"
    before = both.baostock.server.requests["query_daily_history_k_AStock"]
    days = LONG[1:31]
    done = sync_daily(both.context, days, batch_size=5)
    assert done.failure() is None
    assert set(stored(both, days)["source"]) == {"tushare"}
    # Three calls in a row, three attempts each, and at most two more that were under way: not for each batch anew.
    assert both.baostock.server.requests["query_daily_history_k_AStock"] - before <= 15
    with both.database.read() as conn:
        assert sync_tasks.open_failures(conn) == []
