"""Tushare's bars and factors through wire, client and pipeline into the store, beside BaoStock's."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from stock_assets.domain.tables import RAW_TUSHARE_DAILY, RAW_TUSHARE_SUSPEND
from stock_assets.pipeline.context import PipelineContext
from stock_assets.pipeline.factors import ingest_factors
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.pipeline.stored_answers import compare_stored
from stock_assets.quality.reconciliation import together
from stock_assets.simulator.market import SimulatedMarket
from stock_assets.simulator.tushare_market import SimulatedTushare, beijing_market
from stock_assets.simulator.tushare_server import TOKEN, TushareServer
from stock_assets.sources.tushare.client import TushareClient
from stock_assets.sources.tushare.source import TushareSource
from stock_assets.storage import bars
from stock_assets.storage.database import Database
from stock_assets.storage.raw import newest_answers, save_answer
from stock_assets_tests.pipeline.conftest import SESSIONS, TODAY, Workshop

# 600000.SH is suspended from the second of these days on.
DAYS = list(SESSIONS[180:185])
RAW = ("raw_tushare_daily", "raw_tushare_daily_basic", "raw_tushare_suspend", "raw_tushare_adj_factor")


@pytest.fixture
def far_end(market: SimulatedMarket) -> Iterator[TushareServer]:
    with TushareServer(SimulatedTushare(market, beijing_market(11, 60, SESSIONS), seed=11), points=5000) as server:
        yield server


@pytest.fixture
def context(far_end: TushareServer, workshop: Workshop) -> Iterator[PipelineContext]:
    """The workshop's store with Tushare as the source."""
    client = TushareClient(SecretStr(TOKEN), addresses=[far_end.url], attempts=1)
    yield replace(workshop.context, source=TushareSource(client))
    client.close()


def count(database: Database, table: str) -> int:
    with database.read() as conn:
        return conn.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one()  # noqa: S608  our own names


def stored(database: Database) -> pl.DataFrame:
    with database.read() as conn:
        return bars.read_bars(conn, None, DAYS[0], DAYS[-1])


def test_days_land_whole_with_suspended_stocks_and_every_raw_part(context: PipelineContext) -> None:
    report = ingest_days(context, DAYS)
    assert [outcome.status for outcome in report.outcomes] == ["complete"] * len(DAYS), report.outcomes
    found = stored(context.database)
    assert set(found["source"]) == {"tushare"}
    assert found["ts_code"].str.ends_with(".BJ").any()
    traded = found.filter(~pl.col("is_suspended")).height
    assert 0 < traded < found.height
    assert count(context.database, "raw_tushare_daily") == count(context.database, "raw_tushare_daily_basic") == traded
    assert count(context.database, "raw_tushare_suspend") >= found["is_suspended"].sum()
    again = ingest_days(context, DAYS, refetch=True)
    assert (again.inserted, again.updated) == (0, 0)
    assert count(context.database, "raw_tushare_daily") == traded


def test_one_stock_lands_like_whole_days(context: PipelineContext) -> None:
    ingest_days(context, DAYS)
    whole = stored(context.database)
    halted = whole.filter(pl.col("is_suspended"))["ts_code"][0]
    with context.database.begin() as conn:
        conn.execute(sa.text("DELETE FROM stock_daily"))
    for code in (halted, "920001.BJ"):
        ingest_days(context, DAYS, ts_codes=[code])
    values: Any = [name for name in whole.columns if name != "updated_at"]
    expected = whole.filter(pl.col("ts_code").is_in([halted, "920001.BJ"]))
    assert (
        stored(context.database)
        .select(values)
        .sort("ts_code", "trade_date")
        .equals(expected.select(values).sort("ts_code", "trade_date"))
    )


def test_a_return_is_no_bar_and_is_kept_with_its_own_day(context: PipelineContext) -> None:
    code = "000781.SZ"
    halted, back = SESSIONS[43], SESSIONS[44]
    ingest_days(context, SESSIONS[42:46], ts_codes=[code])
    with context.database.begin() as conn:
        found = bars.read_bars(conn, [code], SESSIONS[42], SESSIONS[45])
        assert found.sort("trade_date")["is_suspended"].to_list() == [False, True, False, False]
        kinds = [newest_answers(conn, RAW_TUSHARE_SUSPEND, [day])["suspend_type"].to_list() for day in (halted, back)]
        assert kinds == [["S"], ["R"]]
        conn.execute(sa.text("DELETE FROM raw_tushare_suspend"))
    ingest_days(context, [back], refetch=True)
    with context.database.read() as conn:
        assert newest_answers(conn, RAW_TUSHARE_SUSPEND, [back]).select("ts_code", "suspend_type").rows() == [
            (code, "R")
        ]


def test_factors_land_with_every_session_kept_word_by_word(context: PipelineContext) -> None:
    days = list(SESSIONS[110:140])
    report = ingest_factors(context, days)
    assert {outcome.status for outcome in report.outcomes} <= {"complete", "empty"}
    assert 0 < count(context.database, "adjust_factor") < count(context.database, "raw_tushare_adj_factor")


def test_what_both_sources_last_said_is_compared(context: PipelineContext, workshop: Workshop) -> None:
    ingest_days(workshop.context, DAYS)
    ingest_days(context, DAYS, refetch=True)
    with context.database.read() as conn:
        days = compare_stored(conn, DAYS)
    assert [(one.day, one.told_by, one.in_part) for one in days] == [
        (day, ("baostock", "tushare"), None) for day in DAYS
    ]
    result = together([one.result for one in days if one.result is not None])
    assert result.is_passed, result.worst()
    assert (result.first, result.second) == ("baostock", "tushare")
    assert result.compared > 0
    assert "suspension" in result.counts
    with context.database.begin() as conn:
        row = pl.DataFrame([{"ts_code": "600000.SH", "trade_date": f"{DAYS[0]:%Y%m%d}"}])
        names = RAW_TUSHARE_DAILY.empty_text().columns
        wrong = row.with_columns(pl.lit("1.0").alias(name) for name in names if name not in row.columns).select(names)
        save_answer(conn, RAW_TUSHARE_DAILY, wrong, fetched_at=TODAY, run_id=None)
    with context.database.read() as conn:
        first, *others = compare_stored(conn, [*DAYS, date(2025, 1, 1)])
    assert first.result is not None
    assert not first.result.is_passed
    assert [one.result is not None and one.result.is_passed for one in others] == [True] * (len(DAYS) - 1) + [False]
    assert (others[-1].told_by, others[-1].result) == ((), None)
