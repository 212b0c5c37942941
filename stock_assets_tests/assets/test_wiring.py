"""What an installation picks, and what it refuses to mix."""

from collections.abc import Callable
from datetime import date

import pytest

from stock_assets.domain.errors import ConfigurationError
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.wiring import Installation

DAY = date(2026, 11, 20)


def test_made_up_rows_and_real_ones_never_meet_in_one_store(new_installation: Callable[..., Installation]) -> None:
    simulated = new_installation(STOCK_ASSETS_SOURCE="simulated", SIMULATED_STOCKS="30")
    assert ingest_days(simulated.pipeline(), [DAY]).failure() is None
    simulated.close()
    with pytest.raises(ConfigurationError, match="must not be mixed"):
        _ = new_installation(STOCK_ASSETS_SOURCE="baostock").source
    again = new_installation(STOCK_ASSETS_SOURCE="simulated", SIMULATED_STOCKS="30")
    assert again.source.name == "simulated"


def test_the_password_of_the_store_is_in_no_repr(new_installation: Callable[..., Installation]) -> None:
    installation = new_installation(STOCK_ASSETS_DATABASE_URL="postgresql://someone:s3cret@127.0.0.1:1/nowhere")
    assert "s3cret" not in repr(installation.settings)
    assert "s3cret" not in repr(installation.open_database())


def test_a_fixed_today_is_its_evening(new_installation: Callable[..., Installation]) -> None:
    installation = new_installation(STOCK_ASSETS_TODAY="2026-11-20")
    assert installation.last_final() == DAY
