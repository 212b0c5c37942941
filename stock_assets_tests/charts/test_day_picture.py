"""The picture of a market day: its numbers, its size, and nothing over something else."""

from datetime import date, timedelta
from io import BytesIO

import polars as pl
import pytest
from PIL import Image

from stock_assets.charts.canvas import new_figure
from stock_assets.charts.day_picture import day_picture, draw_day, spread_of
from stock_assets_tests.charts.drawn_text import missing_glyphs, overlapping, texts

DAY = date(2026, 3, 20)
SIGNS = {
    "close": [11.0, 10.8, 10.6, 10.4, 10.01, 10.0, 9.99, 9.6, 9.4, 9.2, 9.0, 10.0, 12.0, None],
    "is_limit_up": [True, *[False] * 13],
    "is_limit_down": [*[False] * 10, True, False, False, False],
    "is_suspended": [*[False] * 11, True, False, False],
    "pre_close": [*[10.0] * 12, None, 10.0],
}
EACH = pl.DataFrame(SIGNS)


def turnover(sessions: int, *, last: float = 1.2e12) -> pl.DataFrame:
    """Return the market's turnover of so many days, the last one DAY."""
    days = [DAY - timedelta(days=sessions - 1 - place) for place in range(sessions)]
    return pl.DataFrame(
        {"trade_date": days, "amount": [1e12] * (sessions - 1) + [last][:sessions]},
        schema={"trade_date": pl.Date, "amount": pl.Float64},
    )


def said(bars: pl.DataFrame, amounts: pl.DataFrame) -> list[str]:
    """Return the texts of the picture, once it was seen that none covers another and all can be drawn."""
    with new_figure(860, 270) as figure:
        draw_day(figure, DAY, bars, amounts)
        assert overlapping(figure) == []
        assert missing_glyphs(figure) == set()
        return [text.get_text() for text in texts(figure)]


def test_every_stock_that_traded_is_in_one_bar() -> None:
    traded = EACH.filter(~pl.col("is_suspended") & pl.col("pre_close").is_not_null() & pl.col("close").is_not_null())
    spread = spread_of(traded)
    assert [(label, count) for label, count, _ in spread] == [
        ("跌停", 1), (">7%", 1), ("7~5%", 1), ("5~3%", 1), ("3~0%", 1), ("平", 1),
        ("0~3%", 1), ("3~5%", 1), ("5~7%", 1), (">7%", 1), ("涨停", 1),
    ]  # fmt: skip
    assert sum(count for _, count, _ in spread) == traded.height == 11
    words = said(EACH, turnover(21))
    assert {"涨 Up 5", "平 Flat 1", "跌 Down 5", "涨停 Limit-up 1", "跌停 Limit-down 1"} < set(words)


def test_a_change_on_a_border_belongs_to_the_bar_that_begins_there() -> None:
    closes = [10.3, 10.5, 10.7, 9.7, 9.5, 9.3, 20.6]
    rows = EACH[[5] * len(closes)].with_columns(
        close=pl.Series(closes), pre_close=pl.Series([*[10.0] * 6, 20.0]), is_limit_up=pl.lit(value=False)
    )
    counts = {label: [count for name, count, _ in spread_of(rows) if name == label] for label, _, _ in spread_of(rows)}
    assert (counts["3~5%"], counts["5~7%"], counts["5~3%"], counts["7~5%"]) == ([2], [1], [1], [1])
    assert (counts[">7%"], counts["0~3%"], counts["3~0%"]) == ([1, 1], [0], [0])


def test_the_turnover_is_compared_with_the_20_sessions_before() -> None:
    words = said(EACH, turnover(30))
    assert {"成交额 Turnover 1.20 万亿元", "前 20 日均 Mean 1.00 万亿元", "+20.0%", "03-20", "02-28"} < set(words)
    assert "成交额 Turnover 9,500 亿元" in said(EACH, turnover(3, last=9.5e11))
    assert "成交额 Turnover 1.20 万亿元" in said(EACH, turnover(1))


@pytest.mark.parametrize("amounts", [turnover(0), turnover(5).filter(pl.col("trade_date") < DAY)])
def test_a_day_without_turnover_says_so(amounts: pl.DataFrame) -> None:
    assert "成交额 Turnover —" in said(EACH, amounts)


@pytest.mark.parametrize("sign", ["is_limit_up", "is_limit_down"])
def test_the_widest_numbers_have_room(sign: str) -> None:
    row = EACH[0 if sign == "is_limit_up" else 10]
    assert "5,999" in said(pl.concat([row] * 5_999), turnover(21, last=1.234e13))


def test_a_picture_is_small_and_the_same_for_the_same_day() -> None:
    content = day_picture(DAY, EACH, turnover(21))
    assert content == day_picture(DAY, EACH, turnover(21))
    assert len(content) < 20_000
    assert Image.open(BytesIO(content)).size == (860, 270)
    assert day_picture(DAY, EACH.clear(), turnover(0))
