"""Answers of fina_indicator with few figures, and the sessions of the spring of 2024."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import polars as pl

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.domain.finance_fields import FINANCE_FIELDS
from stock_assets.quality.finance_rules import judge_reports
from stock_assets.quality.findings import Judged
from stock_assets.sources.tushare.translate_finance import translate_finance

FIELDS = [field.name for field in FINANCE_FIELDS]
YEAR, QUARTER = date(2023, 12, 31), date(2024, 3, 31)
HOLIDAYS = {date(2024, 4, 4), date(2024, 4, 5), *(date(2024, 5, day) for day in range(1, 6))}
# Until 2024-12-31 every weekday but the Qingming and May holidays.
SPRING = TradingCalendar.of(
    day for offset in range(600) if (day := date(2023, 6, 1) + timedelta(offset)).weekday() < 5 and day not in HOLIDAYS
)
Report = dict[str, str | None]


def at(day: date, hour: int = 4) -> datetime:
    """Return a moment of `day`, noon in Shanghai."""
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def compact(day: date | None) -> str | None:
    """Return a day as Tushare writes it."""
    return None if day is None else f"{day:%Y%m%d}"


def report(
    ann: date | None, *, code: str = "600000.SH", end: date = YEAR, flag: str | None = None, **figures: float | None
) -> Report:
    """Return one row of an answer; figures that are not given are null."""
    texts = {name: None if value is None else str(value) for name, value in figures.items()}
    return {"ts_code": code, "end_date": compact(end), "ann_date": compact(ann), "update_flag": flag, **texts}


def answer(rows: Sequence[Mapping[str, str | None]]) -> pl.DataFrame:
    """Return the rows as an answer with all fields."""
    return pl.DataFrame(list(rows), schema=dict.fromkeys(FIELDS, pl.String()), orient="row")


def judged(rows: pl.DataFrame) -> Judged:
    """Return the verdict on an answer."""
    translated = translate_finance(rows)
    return judge_reports(translated.frame, unreadable=translated.unreadable)
