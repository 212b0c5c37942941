"""A stock's bars with the columns of its chart, made up: what the lines are worth is not what is tested here."""

from datetime import date, timedelta

import polars as pl

from stock_assets.charts.stock_chart import INDICATORS

FIRST = date(2026, 1, 5)


def made_up_bars(days: int = 40, *, code: str = "600000.SH", suspended: tuple[int, ...] = ()) -> pl.DataFrame:
    """Return bars of so many weekdays from 2026-01-05 on; rises and falls take turns, `suspended` are places of days."""
    weekdays = [day for day in (FIRST + timedelta(days=n) for n in range(2 * days)) if day.weekday() < 5][:days]
    closes = [10.0 + place % 7 * 0.3 + place * 0.02 for place in range(days)]
    before = [9.9, *closes[:-1]]
    frame = pl.DataFrame(
        {
            "ts_code": [code] * days,
            "trade_date": weekdays,
            "open": before,
            "high": [max(pair) + 0.2 for pair in zip(before, closes, strict=True)],
            "low": [min(pair) - 0.2 for pair in zip(before, closes, strict=True)],
            "close": closes,
            "pre_close": before,
            "volume": [1_500_000 + 40_000 * place for place in range(days)],
            "is_suspended": [place in suspended for place in range(days)],
        }
    )
    lines = {name: pl.Series([None, *[10.0 + 0.1 * place for place in range(days - 1)]]) for name in INDICATORS}
    signs = pl.Series("macd", [0.1 if place % 3 else -0.1 for place in range(days)])
    return frame.with_columns(**lines).with_columns(signs)
