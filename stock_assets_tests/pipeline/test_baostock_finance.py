"""Reports without a Tushare account: BaoStock's six tables over the real wire, through the engine, into the store."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from stock_assets.domain.answers import Rows
from stock_assets.domain.errors import QuotaExhausted
from stock_assets.pipeline.finance import sync_finance_history, sync_finance_increment
from stock_assets.pipeline.finance_context import FinanceContext
from stock_assets.quality.finance_rules import judge_reports
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.market import SimulatedMarket
from stock_assets.simulator.tushare_base import SERVICES
from stock_assets.simulator.tushare_market import SimulatedTushare
from stock_assets.sources.baostock.client import connector
from stock_assets.sources.baostock.finance_source import BaoStockFinance
from stock_assets.sources.baostock.pool import BaoStockPool
from stock_assets.sources.baostock.translate_finance import RAW, SOURCES
from stock_assets.sources.retry import RetryPolicy
from stock_assets.storage.bulk_load import Counts
from stock_assets.storage.database import Database
from stock_assets.storage.finance import FinanceAnswer, FinanceCounts, land
from stock_assets.storage.quota import QuotaLedger
from stock_assets.storage.reader import Reader
from stock_assets_tests.pipeline.finance_workshop import CALENDAR, SEED, SESSIONS, SINCE, evening, save_stocks

CODES = ["000001.SZ", "600000.SH", "600163.SH"]
STOCK = CODES[1]
DAY = date(2024, 3, 29)
# Seven quarters are published by then, and an eighth, of 2023, by some.
QUARTERS = 8


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    """Three years of two dozen stocks, as Tushare's side has them."""
    return SimulatedMarket(SEED, 24, sessions=SESSIONS)


@dataclass(slots=True)
class Shop:
    """The far end, the store and what a run is given."""

    far_end: BaoStockServer
    database: Database
    limit: int = 50_000
    open_ones: ExitStack = field(default_factory=ExitStack)

    def at(self, day: date, **options: Any) -> FinanceContext:  # noqa: ANN401
        """Return the context of an evening; the far end knows what was announced by then."""
        self.far_end.last_ready_day = day
        quota = QuotaLedger(self.database, daily_limits={"baostock": self.limit}, now=lambda: evening(day))
        pool = BaoStockPool(connector(host=self.far_end.host, port=self.far_end.port, ledger=quota))
        self.open_ones.callback(quota.close)
        self.open_ones.callback(pool.close)
        source = BaoStockFinance(
            pool.session,
            ledger=quota,
            retry=RetryPolicy(attempts=2, sleep=lambda _: None),
            now=lambda: evening(day),
        )
        values: dict[str, Any] = {"since": SINCE, "run_id": f"run {day}", **options}
        return FinanceContext(
            source=source, database=self.database, calendar=CALENDAR, now=lambda: evening(day), **values
        )

    def rows(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self.database.read() as conn:
            return [tuple(row) for row in conn.execute(sa.text(query), values)]

    def stored(self) -> list[tuple[Any, ...]]:
        """Return every version without the moments at which it came."""
        return self.rows(
            "SELECT (to_jsonb(f) - 'fetched_at' - 'run_id')::text FROM finance_indicator AS f "
            "ORDER BY ts_code, end_date, ann_date, version"
        )


@pytest.fixture
def shop(market: SimulatedMarket, database: Database) -> Iterator[Shop]:
    """An empty store that knows the market's stocks, and a simulated BaoStock."""
    with database.begin() as conn:
        save_stocks(conn, SimulatedTushare(market, seed=SEED))
    with BaoStockServer(market) as far_end:
        shop = Shop(far_end, database)
        with shop.open_ones:
            yield shop


def hear(shop: Shop, day: date, code: str = STOCK, end: date = date(2023, 6, 30)) -> FinanceCounts:
    """Land one stock's report as BaoStock tells it on an evening."""
    context = shop.at(day)
    answer = context.source.reports_of_codes([code], end, end)
    assert isinstance(answer, Rows)
    translated = context.source.translate_reports(answer.frame)
    heard = FinanceAnswer(
        rows=answer.frame,
        judged=judge_reports(translated.frame, unreadable=translated.unreadable),
        raw=context.source.raw_reports(answer.frame),
        source=context.source.name,
        fetched_at=evening(day),
    )
    with shop.database.begin() as conn:
        return land(conn, heard, calendar=CALENDAR)


def test_a_report_lands_in_percent_with_every_table_word_by_word(shop: Shop, market: SimulatedMarket) -> None:
    counts = hear(shop, DAY)
    assert (counts.first, counts.rejected, counts.raw) == (1, 0, Counts(inserted=6))
    stored = pl.DataFrame(shop.rows("SELECT * FROM finance_indicator"), orient="row")
    assert stored.height == 1
    names = [name for name, in shop.rows(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'finance_indicator' ORDER BY ordinal_position"
    )]  # fmt: skip
    report = dict(zip(names, stored.row(0), strict=True))
    for table, raw in RAW.items():
        (told,) = market.quarterly(table, "sh.600000", date(2023, 6, 30), DAY)
        columns = raw.empty_text().columns
        quoted = ", ".join(f'"{column}"' for column in columns)
        assert shop.rows(f"SELECT {quoted} FROM {raw.name}") == [tuple(told)]  # noqa: S608
        for name, source in SOURCES.items():
            if source.table == table:
                assert report[name] == round(float(told[columns.index(source.field)]) * source.scale, 8), name
        assert report["ann_date"] == date.fromisoformat(told[1])
    assert report["known_from"] == CALENDAR.next(report["ann_date"])
    assert (report["source"], report["update_flag"], report["eps"]) == ("baostock", None, None)
    again = hear(shop, DAY + timedelta(days=3))
    assert (again.written, again.unchanged, again.raw) == (0, 1, Counts(unchanged=6))


def test_both_sources_land_the_same_figures_and_neither_corrects_the_other(shop: Shop, market: SimulatedMarket) -> None:
    hear(shop, DAY)
    service = SERVICES["fina_indicator"]
    asked = {"ts_code": STOCK, "period": "20230630"}
    told = [
        dict(zip(service.fields, row, strict=True))
        for row in SimulatedTushare(market, seed=SEED).rows(service, asked, DAY)
    ]
    newest = max(told, key=lambda row: (str(row["ann_date"]), str(row["update_flag"])))
    columns = list(SOURCES)
    (report,) = shop.rows(f"SELECT {', '.join(columns)} FROM finance_indicator")  # noqa: S608
    assert dict(zip(columns, report, strict=True)) == {name: newest[name] for name in columns}


def test_a_silent_restatement_is_known_from_the_day_after_it_was_seen(shop: Shop, market: SimulatedMarket) -> None:
    def told(code: str, day: date) -> list[str]:
        rows = market.quarterly("query_profit_data", f"{code[7:].lower()}.{code[:6]}", date(2022, 6, 30), day)
        return rows[0] if rows else []

    early, late = date(2022, 9, 30), date(2024, 12, 20)
    listed = [f"{row[0][3:]}.{row[0][:2].upper()}" for row in market.stock_basic(late) if row[4:] == ["1", "1"]]
    code = next(code for code in listed if told(code, early) and told(code, early) != told(code, late))
    first = hear(shop, early, code, date(2022, 6, 30))
    second = hear(shop, late, code, date(2022, 6, 30))
    assert (first.first, second.corrected) == (1, 1)
    versions = shop.rows("SELECT version, ann_date, known_from FROM finance_indicator ORDER BY version")
    announced = date.fromisoformat(told(code, early)[1])
    assert versions == [(1, announced, CALENDAR.next(announced)), (2, announced, CALENDAR.next(late))]


def test_two_years_of_a_few_stocks_are_read_as_they_were_known(shop: Shop) -> None:
    report = sync_finance_history(shop.at(DAY), CODES)
    assert report.stopped_by is None
    assert report.failed == ()
    pairs = shop.rows("SELECT ts_code, end_date, ann_date, known_from FROM finance_indicator ORDER BY 1, 2")
    assert len(CODES) * (QUARTERS - 1) <= len(pairs) <= len(CODES) * QUARTERS
    # Six requests a report, two for a quarter that was not published, and the log-in.
    unpublished = len(CODES) * QUARTERS - len(pairs)
    assert report.requests == 6 * len(pairs) + 2 * unpublished + 1
    assert shop.rows("SELECT requests FROM source_quota WHERE source = 'baostock' AND api = '*'") == [
        (report.requests,)
    ]
    reader = Reader(shop.database)
    for code, end, announced, known_from in pairs:
        for day, is_known in ((announced, False), (known_from - timedelta(days=1), False), (known_from, True)):
            found = reader.finance([code], end, end, as_of=evening(day), columns=["ts_code", "roe"])
            assert found.height == is_known
    reader.close()
    again = sync_finance_history(shop.at(DAY), CODES)
    assert (again.requests, again.rows_written) == (0, 0)


def test_a_history_goes_on_the_next_day_where_the_quota_ended(shop: Shop, database: Database) -> None:
    shop.limit = 90
    first = sync_finance_history(shop.at(DAY), CODES)
    assert isinstance(first.stopped_by, QuotaExhausted)
    assert {code for (code,) in shop.rows("SELECT ts_code FROM finance_progress")} == {CODES[0]}
    days: list[datetime] = []
    for offset in (3, 4, 5):
        context = shop.at(DAY + timedelta(days=offset))
        if sync_finance_history(context, CODES).stopped_by is None:
            break
        days.append(context.now())
    assert len(days) < 2
    assert shop.rows("SELECT max(requests) FROM source_quota WHERE api = '*'") == [(90,)]
    interrupted = shop.stored()
    with database.begin() as conn:
        conn.execute(sa.text("TRUNCATE finance_indicator, finance_progress, source_quota, sync_tasks"))
    shop.limit = 50_000
    sync_finance_history(shop.at(DAY + timedelta(days=offset)), CODES)
    assert shop.stored() == interrupted


def test_a_stock_of_which_a_table_lacks_a_report_is_left_open_and_the_others_land(shop: Shop) -> None:
    shop.far_end.faults = "empty:query_balance_data:<2"
    report = sync_finance_history(shop.at(DAY), CODES)
    assert report.failed == (CODES[0],)
    ((code, reason),) = shop.rows("SELECT third_code, error_message FROM sync_failure_records")
    assert code == CODES[0]
    assert "query_balance_data" in reason
    assert {code for (code,) in shop.rows("SELECT ts_code FROM finance_indicator")} == set(CODES[1:])
    healed = sync_finance_history(shop.at(DAY), CODES)
    assert healed.failed == ()
    assert {code for (code,) in shop.rows("SELECT ts_code FROM finance_indicator")} == set(CODES)
    assert shop.rows("SELECT count(*) FROM finance_indicator WHERE debt_to_assets IS NULL") == [(0,)]


def test_an_increment_asks_for_the_newest_quarter_alone(shop: Shop) -> None:
    sync_finance_history(shop.at(DAY), CODES)
    before = len(shop.stored())
    shop.far_end.requests.clear()
    through = date(2024, 5, 6)
    report = sync_finance_increment(shop.at(through, missing_limit=0), [through])
    assert report.stopped_by is None
    new = shop.rows("SELECT ts_code, end_date FROM finance_indicator WHERE run_id = 'run 2024-05-06' ORDER BY 1, 2")
    assert {code for code, end in new if end == date(2024, 3, 31)} == set(CODES)
    assert len(shop.stored()) == before + len(new)
    assert report.requests <= 6 * len(new) + 2 * len(CODES) + 1
