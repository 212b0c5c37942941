"""What settings choose."""

import threading
from datetime import date
from pathlib import Path

import pytest

from stock_assets.domain.answers import Rows
from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.errors import ConfigurationError, Stopped
from stock_assets.settings import Settings
from stock_assets.storage.database import Database
from stock_assets.storage.quota import QuotaUsage
from stock_assets.wiring import Installation


def test_tushares_limiter_paces_by_the_setting_and_counts_what_it_lets_pass(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    settings = Settings(
        home=tmp_path,
        database_url=database_url,  # pyright: ignore[reportArgumentType]  pydantic makes a secret of it
        tushare_min_interval_seconds=0.5,
    )
    with Installation(settings) as installation:
        for _ in range(2):
            installation.tushare_limiter.before_request("tushare", "daily")
        with database.dedicated() as connection:
            row = connection.execute("SELECT extract(epoch FROM next_at - updated_at) FROM rate_state").fetchone()
        assert row is not None
        assert 0.5 <= float(row[0]) <= 1.0
        day = installation.now().astimezone(SHANGHAI).date()
        assert QuotaUsage("daily", 2, 0, None) in installation.quota.usage("tushare", day)
        installation.tushare_limiter.record_refusal("tushare", "daily", "minute")
        threading.Timer(0.2, installation.stop.set).start()
        with pytest.raises(Stopped):
            installation.tushare_limiter.before_request("tushare", "daily")


def test_tushare_as_the_source_needs_a_token(database_url: str, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database_url=database_url, source="tushare")  # pyright: ignore[reportArgumentType]
    with Installation(settings) as installation, pytest.raises(ConfigurationError, match="TUSHARE_TOKEN"):
        installation.source  # noqa: B018


def test_the_simulated_market_has_a_tushare_of_its_own(database_url: str, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database_url=database_url, source="simulated", simulated_stocks=20)  # pyright: ignore[reportArgumentType]
    with Installation(settings) as installation:
        client = installation.tushare_client
        assert client is not None
        answer = client.stock_basic()
        assert isinstance(answer, Rows)
        assert answer.frame["ts_code"].str.ends_with(".BJ").any()


@pytest.mark.parametrize(
    ("chosen", "token", "points", "asked"),
    [
        ("auto", None, 2000, "baostock"),
        ("auto", "t", 2000, "tushare"),
        ("auto", "t", 120, "baostock"),
        ("baostock", "t", 5000, "baostock"),
        ("tushare", "t", 2000, "tushare"),
        ("tushare", "t", 120, None),
        ("simulated", None, 2000, "simulated"),
    ],
)
def test_reports_come_from_tushare_or_else_from_baostock(
    database_url: str, tmp_path: Path, chosen: str, token: str | None, points: int, asked: str | None
) -> None:
    settings = Settings(
        home=tmp_path,
        database_url=database_url,  # pyright: ignore[reportArgumentType]  pydantic makes secrets of them
        source=chosen,  # pyright: ignore[reportArgumentType]
        tushare_token=token,  # pyright: ignore[reportArgumentType]
        tushare_points=points,
        simulated_stocks=20,
    )
    with Installation(settings) as installation:
        source = installation.finance_source
        assert (source and source.name) == asked
        if source is not None:
            assert (source.costs.requests_per_report == 6) == (asked == "baostock")


def test_where_a_report_takes_six_requests_a_batch_and_what_was_never_asked_for_are_small(
    database_url: str, tmp_path: Path
) -> None:
    shared = {"home": tmp_path, "database_url": database_url, "today": date(2026, 3, 2)}
    with Installation(Settings(**shared)) as installation:  # pyright: ignore[reportArgumentType]
        finance = installation.finance(since=date(2020, 1, 1))
        # 24 quarters and six tables: 144 requests a stock, a tenth of the day for those never asked for.
        assert (finance.batch_size, finance.missing_limit) == (10, 34)
    with Installation(Settings(**shared, tushare_token="t")) as installation:  # pyright: ignore[reportArgumentType]
        finance = installation.finance(since=date(2020, 1, 1))
        assert (finance.batch_size, finance.missing_limit) == (100, 300)
