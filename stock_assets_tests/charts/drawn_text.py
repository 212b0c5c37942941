"""The text of a drawn figure: what it says, and where."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pylopdf_fonts_zh_cn
from fontTools.ttLib import TTFont
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
    figure.canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure) if is_shown(text)]
    pairs = [(a, b) for (a, box_a), (b, box_b) in combinations(boxes, 2) if box_a.padded(-1).overlaps(box_b.padded(-1))]
    inside = figure.bbox.padded(1)
    outside = [(a, "") for a, box in boxes if not (inside.contains(box.x0, box.y0) and inside.contains(box.x1, box.y1))]
    return pairs + outside


def is_shown(text: Drawing) -> bool:
    """Return whether a label belongs to a place inside its axis; matplotlib keeps those beyond its ends, undrawn."""
    axes = text.axes
    if axes is None:
        return True
    for axis, span in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        for tick in axis.get_major_ticks():
            if text in (tick.label1, tick.label2):
                return min(span) <= tick.get_loc() <= max(span)
    return True
