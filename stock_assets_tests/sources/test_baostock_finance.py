"""Reports out of six tables: whole, proven empty, or why not."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from stock_assets.domain.answers import Answer, Broken, ProvenEmpty, Refused, Rows, Truncated, closes_gap, verdict
from stock_assets.domain.errors import Banned, QuotaExhausted, RequestRefused, Stopped
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.faults import KINDS
from stock_assets.simulator.market import SimulatedMarket, weekdays
from stock_assets.simulator.recorded import RecordedMarket
from stock_assets.sources.baostock.client import connector
from stock_assets.sources.baostock.finance_source import BaoStockFinance
from stock_assets.sources.baostock.pool import BaoStockPool
from stock_assets.sources.baostock.translate_finance import RAW, SOURCES, TABLES
from stock_assets.sources.retry import RetryPolicy
from stock_assets_tests.sources.conftest import no_sleep
from stock_assets_tests.sources.test_baostock_client import Books

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    FinanceOf = Callable[..., BaoStockFinance]

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
CODE, OTHER = "600000.SH", "600163.SH"
YEAR = date(2022, 1, 1), date(2022, 12, 31)
PERIODS = [date(2022, 3, 31), date(2022, 6, 30), date(2022, 9, 30), date(2022, 12, 31)]


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    """A small market that knows of 2022 and most of 2023."""
    return SimulatedMarket(7, 60, sessions=weekdays(date(2020, 1, 1), date(2024, 2, 29)))


@pytest.fixture
def far_end(market: SimulatedMarket) -> Iterator[BaoStockServer]:
    """The simulated source."""
    with BaoStockServer(market) as server:
        yield server


@pytest.fixture
def finance_of() -> Iterator[FinanceOf]:
    """Return a function that makes a source on a far end; its sessions end with the test."""
    pools: list[BaoStockPool] = []

    def make(far_end: BaoStockServer, *, timeout_seconds: float = 5.0, **options: Any) -> BaoStockFinance:  # noqa: ANN401
        ledger = options.get("ledger")
        connect = connector(host=far_end.host, port=far_end.port, ledger=ledger, timeout_seconds=timeout_seconds)
        pools.append(BaoStockPool(connect))
        settings: dict[str, Any] = {"retry": RetryPolicy(sleep=no_sleep), "now": lambda: NOW, **options}
        return BaoStockFinance(pools[-1].session, **settings)

    yield make
    for pool in pools:
        pool.close()


def source_code(ts_code: str) -> str:
    return f"{ts_code[7:].lower()}.{ts_code[:6]}"


def told(market: SimulatedMarket, ts_codes: list[str], periods: list[date], table: str) -> list[tuple[str, ...]]:
    rows = (market.quarterly(table, source_code(code), period, NOW.date()) for code in ts_codes for period in periods)
    return [tuple(row) for found in rows for row in found]


def test_a_report_is_six_requests_and_every_table_is_kept_word_by_word(
    market: SimulatedMarket, far_end: BaoStockServer, finance_of: FinanceOf
) -> None:
    books = Books()
    finance = finance_of(far_end, ledger=books)
    answer = finance.reports_of_codes([CODE, OTHER, CODE], *YEAR)
    assert isinstance(answer, Rows)
    assert answer.frame.select("code", "statDate").rows() == [
        (source_code(code), str(period)) for code in (CODE, OTHER) for period in PERIODS
    ]
    assert {table: far_end.requests[table] for table in TABLES} == dict.fromkeys(TABLES, 8)
    assert answer.cost.requests == 48 + 1 == len(books.requests)
    assert answer.cost.requests - 1 == finance.costs.requests(2, 4)
    parts = finance.raw_reports(answer.frame)
    assert [table for table, _ in parts] == list(RAW.values())
    for name, (_, rows) in zip(TABLES, parts, strict=True):
        assert rows.rows() == told(market, [CODE, OTHER], PERIODS, name)
        assert not rows["pubDate"].eq("").any()


def test_fractions_are_percent_in_our_columns(
    market: SimulatedMarket, far_end: BaoStockServer, finance_of: FinanceOf
) -> None:
    finance = finance_of(far_end)
    answer = finance.reports_of_codes([CODE], PERIODS[1], PERIODS[1])
    assert isinstance(answer, Rows)
    translated = finance.translate_reports(answer.frame)
    assert translated.unreadable == ()
    report = translated.frame.row(0, named=True)
    for name, source in SOURCES.items():
        ((*texts,),) = told(market, [CODE], PERIODS[1:2], source.table)
        text = texts[RAW[source.table].empty_text().columns.index(source.field)]
        assert report[name] == round(float(text) * source.scale, 8), name
    assert (report["ts_code"], report["end_date"], report["update_flag"]) == (CODE, PERIODS[1], None)


def test_a_quarter_that_nobody_has_published_is_proven_empty_by_two_tables(
    far_end: BaoStockServer, finance_of: FinanceOf
) -> None:
    answer = finance_of(far_end).reports_of_codes([CODE], date(2023, 12, 1), date(2024, 12, 31))
    assert isinstance(answer, ProvenEmpty)
    assert {table: far_end.requests[table] for table in TABLES if far_end.requests[table]} == {
        "query_profit_data": 1,
        "query_growth_data": 1,
    }


def test_quarters_without_a_report_in_sight_are_not_asked_for(far_end: BaoStockServer, finance_of: FinanceOf) -> None:
    lives: dict[str, tuple[date, date | None]] = {
        CODE: (date(2022, 11, 15), None),
        OTHER: (date(2010, 1, 5), date(2022, 8, 1)),
        "688001.SH": (date(2024, 3, 11), None),
    }
    finance = finance_of(far_end, listed=lives.get)
    every = date(1990, 1, 1), date(2030, 1, 1)
    assert isinstance(finance.reports_of_codes(["688001.SH"], *every), ProvenEmpty)
    assert far_end.requests.total() == 0
    counts: list[int] = []
    for code in (CODE, OTHER, "600246.SH"):
        far_end.requests.clear()
        finance.reports_of_codes([code], *every)
        counts.append(far_end.requests["query_profit_data"])
    # Two years before the listing to the end of 2023; 2010, and two years before it, to the second quarter of 2022; 2007 on.
    assert counts == [13, 58, 68]


def test_a_stock_of_the_beijing_exchange_is_refused(far_end: BaoStockServer, finance_of: FinanceOf) -> None:
    answer = finance_of(far_end).reports_of_codes([CODE, "920002.BJ"], PERIODS[0], PERIODS[0])
    assert isinstance(answer, Refused)
    assert isinstance(answer.error, RequestRefused)
    assert "BJ" not in finance_of(far_end).costs.exchanges


@pytest.mark.parametrize("table", TABLES)
def test_a_report_that_one_table_lacks_is_truncated_and_never_a_report_without_figures(
    far_end: BaoStockServer, finance_of: FinanceOf, table: str
) -> None:
    far_end.faults = f"empty:{table}"
    answer = finance_of(far_end).reports_of_codes([CODE], *YEAR)
    assert isinstance(answer, Truncated)
    assert answer.reason == f"{table} lack the report of sh.600000 for 2022-03-31 that others have"
    assert not closes_gap(answer)
    # It was asked for once more.
    assert far_end.requests[table] == 2


def test_a_table_that_was_late_is_asked_once_more(far_end: BaoStockServer, finance_of: FinanceOf) -> None:
    far_end.faults = "empty:query_balance_data:1,empty:query_profit_data:3"
    answer = finance_of(far_end).reports_of_codes([CODE], *YEAR)
    assert isinstance(answer, Rows)
    assert answer.frame.height == 4
    assert answer.frame.null_count().sum_horizontal().item() == 0
    assert answer.cost.requests == 4 * 6 + 2 + 1


def asked_under(far_end: BaoStockServer, finance: BaoStockFinance, plan: str) -> Answer:
    far_end.faults = plan
    return finance.reports_of_codes([CODE], PERIODS[0], PERIODS[1])


@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_wrong_once_is_right_in_the_end(far_end: BaoStockServer, finance_of: FinanceOf, kind: str) -> None:
    finance = finance_of(far_end, timeout_seconds=0.4)
    right = finance.reports_of_codes([CODE], PERIODS[0], PERIODS[1])
    assert isinstance(right, Rows)
    plan = f"{kind}{'=0.3' if kind == 'connect_refused' else ''}:query_growth_data:2"
    answer = asked_under(far_end, finance_of(far_end, timeout_seconds=0.4), plan)
    if kind == "banned":
        assert isinstance(answer, Refused)
    elif kind == "connect_refused":
        assert isinstance(answer, Rows | Broken)
    else:
        assert isinstance(answer, Rows), (answer, verdict(answer))
        assert answer.frame.equals(right.frame)


@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_wrong_every_time_closes_no_gap(far_end: BaoStockServer, finance_of: FinanceOf, kind: str) -> None:
    answer = asked_under(far_end, finance_of(far_end, timeout_seconds=0.3), f"{kind}:query_growth_data")
    expected = (
        Refused if kind == "banned" else Truncated if kind in {"empty", "half_published", "lost_rows"} else Broken
    )
    assert isinstance(answer, expected), answer
    assert answer.cost.requests >= 1


def test_a_ban_and_a_spent_quota_stop_at_once_and_are_told(far_end: BaoStockServer, finance_of: FinanceOf) -> None:
    books = Books(limit=20)
    spent = finance_of(far_end, ledger=books).reports_of_codes([CODE], *YEAR)
    assert isinstance(spent, Refused)
    assert isinstance(spent.error, QuotaExhausted)
    assert sum(far_end.requests[table] for table in TABLES) == 19
    assert ("baostock", "query_dupont_data") in books.requests
    far_end.ban()
    banned = finance_of(far_end, ledger=(books := Books())).reports_of_codes([CODE, OTHER], *YEAR)
    assert isinstance(banned, Refused)
    assert isinstance(banned.error, Banned)
    assert books.banned_until[-1] - NOW == timedelta(hours=6)
    assert len(books.requests) == 1


def test_who_is_told_to_stop_ends_after_the_report_at_hand(far_end: BaoStockServer, finance_of: FinanceOf) -> None:
    stop = threading.Event()

    class Interrupted(Books):
        def before_request(self, source: str, api: str) -> None:
            super().before_request(source, api)
            if len(self.requests) == 8:
                stop.set()

    answer = finance_of(far_end, ledger=Interrupted(), stop=stop).reports_of_codes([CODE, OTHER], *YEAR)
    assert isinstance(answer, Broken)
    assert isinstance(answer.error, Stopped)
    assert answer.cost.requests == 1 + 2 * 6


def test_there_are_no_calls_for_the_whole_market(far_end: BaoStockServer, finance_of: FinanceOf) -> None:
    finance = finance_of(far_end)
    assert not finance.costs.has_market_calls
    assert not finance.costs.has_disclosures
    for call in (finance.reports_of_period, finance.reports_of_day, finance.published_on):
        with pytest.raises(NotImplementedError):
            call(PERIODS[0])
    with pytest.raises(NotImplementedError):
        finance.translate_published(pl.DataFrame())


@pytest.fixture(scope="module")
def recorded(recorded_data: Path) -> RecordedMarket:
    """What was recorded of BaoStock."""
    return RecordedMarket(recorded_data / "recorded" / "baostock")


def test_recorded_reports_come_through_the_protocol_unchanged(
    recorded_data: Path, recorded: RecordedMarket, finance_of: FinanceOf
) -> None:
    now = datetime(2025, 4, 8, tzinfo=UTC)
    with BaoStockServer(recorded) as far_end:
        finance = finance_of(far_end, now=lambda: now)
        answer = finance.reports_of_codes([CODE], date(2007, 1, 1), date(2012, 12, 31))
        assert isinstance(answer, Rows)
        assert answer.frame.height == 24
        folder = recorded_data / "recorded" / "baostock" / "fundamentals_sh.600000"
        for name, (_, rows) in zip(TABLES, finance.raw_reports(answer.frame), strict=True):
            file = pl.read_csv(folder / f"{name}.csv", infer_schema=False).fill_null("")
            assert rows.equals(file.filter(pl.col("statDate") < "2013"))
        assert finance.translate_reports(answer.frame).unreadable == ()


def test_a_stock_of_which_only_two_tables_were_recorded_is_truncated(
    recorded: RecordedMarket, finance_of: FinanceOf
) -> None:
    with BaoStockServer(recorded) as far_end:
        finance = finance_of(far_end, now=lambda: datetime(2025, 4, 8, tzinfo=UTC))
        answer = finance.reports_of_codes(["600519.SH"], date(2022, 1, 1), date(2022, 12, 31))
    assert isinstance(answer, Truncated)
    assert answer.frame["roeAvg"].null_count() == 0
    assert [table.name for table, _ in finance.raw_reports(answer.frame)] == [
        "raw_baostock_profit",
        "raw_baostock_growth",
    ]
