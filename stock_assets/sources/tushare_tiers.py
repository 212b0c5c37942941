"""What Tushare allows by points: calls a minute and a day, of every interface for itself unless said otherwise.

Source: https://tushare.pro/document/1?doc_id=290. Points are a threshold and are not spent.
"""

from collections.abc import Callable
from dataclasses import dataclass

from stock_assets.sources.pacing import Pace


@dataclass(frozen=True, slots=True)
class Tier:
    """What accounts from `points` on may call: `daily` of everything together, `daily_of_api` of one interface."""

    points: int
    per_minute: int
    daily: int | None = None
    daily_of_api: int | None = None


TIERS = (Tier(120, 50, daily=8_000), Tier(2_000, 200, daily_of_api=100_000), Tier(5_000, 500))
_OF_API = {"stock_basic": 50}


def tier_of(points: int) -> Tier:
    """Return the tier of an account; below the lowest one the lowest."""
    return next((tier for tier in reversed(TIERS) if points >= tier.points), TIERS[0])


def paces(points: int, *, least_interval_seconds: float, is_adaptive: bool = True) -> Callable[[str], Pace]:
    """Return a function from an interface's name to its pace."""
    tier = tier_of(points)

    def pace_of(api: str) -> Pace:
        limit = min(tier.per_minute, _OF_API.get(api, tier.per_minute))
        return Pace(limit, least_interval_seconds=least_interval_seconds, is_adaptive=is_adaptive)

    return pace_of
