"""What points allow, as Tushare's page of 2026 says."""

import pytest

from stock_assets.sources.tushare_tiers import paces, tier_of


@pytest.mark.parametrize(
    ("points", "per_minute", "daily", "daily_of_api"),
    [
        (0, 50, 8_000, None),
        (120, 50, 8_000, None),
        (1_999, 50, 8_000, None),
        (2_000, 200, None, 100_000),
        (4_999, 200, None, 100_000),
        (5_000, 500, None, None),
        (15_000, 500, None, None),
    ],
)
def test_points_decide_the_calls_a_minute_and_a_day(
    points: int, per_minute: int, daily: int | None, daily_of_api: int | None
) -> None:
    tier = tier_of(points)
    assert (tier.per_minute, tier.daily, tier.daily_of_api) == (per_minute, daily, daily_of_api)


def test_an_interface_with_a_limit_of_its_own_keeps_it_at_any_points() -> None:
    pace_of = paces(5_000, least_interval_seconds=0.35)
    assert (pace_of("stock_basic").limit, pace_of("daily").limit) == (50, 500)
    assert pace_of("daily").interval_seconds == 0.35
