"""Whether the day of an evening is one to load, in words for people when it is not."""

from datetime import datetime

from stock_assets.domain.calendar import is_final, published_at
from stock_assets.wiring import Installation


def why_not_due(installation: Installation, now: datetime) -> str | None:
    """Return why the day of `now` (Shanghai time) cannot be loaded yet, or ever; None when it can."""
    day = now.date()
    is_chinese = installation.settings.language == "zh"
    if not installation.calendar.is_session(day):
        return f"{day} 休市，没有数据可取" if is_chinese else f"{day} is no trading day: nothing to fetch"
    if is_final(day, now):
        return None
    ready = f"{published_at(day):%H:%M}"
    return (
        f"{day} 的数据 {ready}（北京时间）之后才完整"
        if is_chinese
        else f"data of {day} is final after {ready} Shanghai time"
    )
