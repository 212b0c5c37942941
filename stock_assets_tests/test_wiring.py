"""What settings choose."""

import threading
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
