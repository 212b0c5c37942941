"""The chart as an image: every sign is in its font, and no label covers another."""

from io import BytesIO
from typing import Any

import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from PIL import Image

from stock_assets.charts.canvas import new_figure
from stock_assets.charts.chart_image import chart_png, draw_chart
from stock_assets.charts.stock_chart import StockChart, stock_chart
from stock_assets.charts.style import DOWN, UP
from stock_assets_tests.charts.drawn_text import missing_glyphs, overlapping, texts
from stock_assets_tests.charts.made_up_stock import made_up_bars

NOTE = "前复权（基准 2026-11-20）forward-adjusted　截至 as of 2026-11-20 18:30"


def chart_of(days: int) -> StockChart:
    """Return a chart of so many days with the longest texts that there are."""
    return stock_chart(made_up_bars(days), title="600000.SH *ST浦发银行A 日线 Daily bars", note=NOTE)


@pytest.mark.parametrize("days", [1, 3, 14, 60, 250, 1_000])
def test_every_sign_has_a_glyph_and_no_label_covers_another(days: int) -> None:
    with new_figure(1200, 900) as figure:
        draw_chart(figure, chart_of(days))
        assert overlapping(figure) == []
        assert missing_glyphs(figure) == set()
        said = {text.get_text() for text in texts(figure)}
    assert {"MACD(12,26,9)", "KDJ(9,3,3)", NOTE} < said
    assert any(text.startswith("MA60") for text in said)


def test_each_day_has_a_candle_in_its_place_and_rises_are_hollow() -> None:
    chart = chart_of(30)
    with new_figure(1200, 900) as figure:
        draw_chart(figure, chart)
        bodies: list[Any] = [shape for shape in figure.axes[0].collections if isinstance(shape, PolyCollection)]
        places = [[round(path.vertices[:, 0].mean()) for path in shape.get_paths()] for shape in bodies]
        faces = [to_hex(shape.get_facecolor()[0]) for shape in bodies]
    ups = [place for place, is_up in enumerate(chart.is_up) if is_up]
    assert places == [ups, sorted(set(range(30)) - set(ups))]
    assert faces == ["#ffffff", DOWN.lower()]


def test_the_font_has_every_sign_of_common_chinese() -> None:
    every = "".join(
        bytes([high, low]).decode("gb2312", "ignore") for high in range(0xB0, 0xF8) for low in range(0xA1, 0xFF)
    )
    assert len(every) == 6_763
    with new_figure(100, 100) as figure:
        figure.text(0, 0, every)
        assert missing_glyphs(figure) == set()


def test_the_same_chart_is_the_same_bytes_of_1200_by_900() -> None:
    content = chart_png(chart_of(60))
    assert content == chart_png(chart_of(60))
    image = Image.open(BytesIO(content))
    assert (image.format, image.size) == ("PNG", (1200, 900))
    colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 24) or []}
    assert {tuple(bytes.fromhex(colour[1:])) for colour in (UP, DOWN)} <= colours


def test_a_line_that_has_not_begun_is_not_drawn() -> None:
    chart = chart_of(1)
    assert chart.means[0].values == [None]
    assert chart_png(chart)
