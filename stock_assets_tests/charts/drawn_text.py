"""The text of a drawn figure: what it says, and where."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pylopdf_fonts_zh_cn
from fontTools.ttLib import TTFont
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from stock_assets.charts.canvas import Drawing, font_family


def texts(figure: Drawing) -> Iterator[Drawing]:
    """Yield every visible text of a figure that has been drawn."""
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip():
            yield text


def missing_glyphs(figure: Drawing) -> set[str]:
    """Return the characters of the figure that its font cannot draw, after making sure that it is that font everywhere."""
    known: Any = TTFont(pylopdf_fonts_zh_cn.sans_path()).getBestCmap()
    said = list(texts(figure))
    assert {text.get_fontfamily()[0] for text in said} == {font_family()}
    return {sign for text in said for sign in text.get_text() if ord(sign) not in known and sign != "\n"}


def overlapping(figure: Drawing) -> list[tuple[str, str]]:
    """Return the pairs of texts whose boxes overlap, and texts that leave the figure."""
    # Only a drawn figure knows where its labels are; the canvas that every figure has draws nothing.
    FigureCanvasAgg(figure).draw()
    unseen = set(unseen_labels(figure))
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure) if text not in unseen]
    pairs = [(a, b) for (a, box_a), (b, box_b) in combinations(boxes, 2) if box_a.padded(-1).overlaps(box_b.padded(-1))]
    inside = figure.bbox.padded(1)
    outside = [(a, "") for a, box in boxes if not (inside.contains(box.x0, box.y0) and inside.contains(box.x1, box.y1))]
    return pairs + outside


def unseen_labels(figure: Drawing) -> Iterator[Drawing]:
    """Yield the labels of places beyond the ends of their axis: matplotlib keeps them and does not draw them."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                if not low <= tick.get_loc() <= high:
                    yield tick.label1
                    yield tick.label2
