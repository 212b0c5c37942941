"""Figures of matplotlib with Chinese text, the same on every machine: the font comes with the package, not from the system."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from typing import Any, Final, TypeAlias, cast

import matplotlib as mpl
import pylopdf_fonts_zh_cn
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager
from PIL import Image

from stock_assets.charts.style import FAINT, GRID, INK, PAPER

# A figure or its axes: the library's own types leave most arguments of a call unknown.
Drawing: TypeAlias = Any
_DOTS_PER_INCH: Final = 100
_THIN: Final = 0.6


_STYLE: Final = {
    "font.size": 9,
    "text.color": INK,
    # A dollar sign is a dollar sign.
    "text.parse_math": False,
    "axes.edgecolor": GRID,
    "axes.linewidth": _THIN,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": _THIN,
}


@contextmanager
def new_figure(width: int, height: int) -> Generator[Drawing]:
    """Give an empty figure of so many pixels; draw on it, and make bytes of it, inside the context."""
    with cast("Any", mpl).rc_context({**_STYLE, "font.family": font_family()}):
        size = (width / _DOTS_PER_INCH, height / _DOTS_PER_INCH)
        yield Figure(figsize=size, dpi=_DOTS_PER_INCH, facecolor=PAPER)


def png(figure: Drawing, *, colours: int | None = None) -> bytes:
    """Return the figure as a PNG file; with few `colours` it is a third as large, and thin lines may change theirs."""
    file = BytesIO()
    # No version of the library in the file: the same picture is the same bytes.
    figure.savefig(file, format="png", metadata={"Software": None})
    if colours is None:
        return file.getvalue()
    small = BytesIO()
    Image.open(file).convert("RGB").quantize(colours).save(small, format="png", optimize=True)
    return small.getvalue()


def write_words(axes: Drawing, words: Sequence[tuple[str, str]], *, size: float = 8.5, above: float = 5) -> None:
    """Write words beside each other, each in its colour, so many points above the left corner of the axes."""
    beside, corner, gap = axes.transAxes, 0, 0
    for text, colour in words:
        beside = axes.annotate(
            text,
            (corner, 1),
            xycoords=(beside, axes.transAxes),
            xytext=(gap, above),
            textcoords="offset points",
            color=colour,
            fontsize=size,
        )
        corner, gap = 1, 9


@cache
def font_family() -> str:
    """Return the name of the Chinese font, which matplotlib knows from then on."""
    path = str(pylopdf_fonts_zh_cn.sans_path())
    cast("Any", fontManager).addfont(path)
    return FontProperties(fname=path).get_name()
