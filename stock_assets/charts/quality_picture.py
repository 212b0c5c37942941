"""A small picture of a day's quality: whether the last sessions are whole, and where the odd stocks stand among the others."""

from collections.abc import Collection
from datetime import date
from typing import Any, Final

import polars as pl
from matplotlib.ticker import FuncFormatter

from stock_assets.charts.canvas import Drawing, new_figure, png, write_words
from stock_assets.charts.style import BLUE, DOWN, GRID, INK, ORANGE, UP

_WIDTH, _HEIGHT = 860, 300
_COLOURS: Final = 64
_NAMED: Final = 6
# What a code takes, in pixels.
_WIDE, _HIGH = 70, 14
# So many sessions leave room for a number above each.
_WIDE_ENOUGH: Final = 8
_PALE: Final = "#C9D3DE"


def quality_picture(day: date, history: pl.DataFrame, bars: pl.DataFrame, odd: Collection[str]) -> bytes:
    """Return a PNG file of 860 x 300 pixels.

    `history` has trade_date, expected and present (bars) of `day` and sessions before it; `bars` are the day's: ts_code,
    pct_chg (percent), turnover_rate (percent), is_suspended; `odd` are the codes that something was found of.
    """
    with new_figure(_WIDTH, _HEIGHT) as figure:
        draw_quality(figure, day, history, bars, odd)
        return png(figure, colours=_COLOURS)


def draw_quality(figure: Drawing, day: date, history: pl.DataFrame, bars: pl.DataFrame, odd: Collection[str]) -> None:
    """Draw the picture on an empty figure."""
    places = figure.add_gridspec(1, 2, width_ratios=[1, 1.25], left=0.02, right=0.945, top=0.8, bottom=0.12, wspace=0.1)
    _completeness(figure.add_subplot(places[0]), history)
    _scatter(figure.add_subplot(places[1]), day, bars, odd)


def _completeness(axes: Drawing, history: pl.DataFrame) -> None:
    days = history["trade_date"].to_list()
    expected, present = history["expected"].to_list(), history["present"].to_list()
    places = range(len(days))
    axes.bar(places, expected, width=0.72, color="none", edgecolor=_PALE, linewidth=0.8)
    whole = [have == want and want > 0 for want, have in zip(expected, present, strict=True)]
    axes.bar(places, present, width=0.72, color=[DOWN if is_whole else ORANGE for is_whole in whole])
    short = [
        (place, want - have) for place, (want, have) in enumerate(zip(expected, present, strict=True)) if have < want
    ]
    for place, lacking in short[-_NAMED:]:
        axes.annotate(
            f"-{lacking:,}", (place, expected[place]), xytext=(0, 2), textcoords="offset points",
            horizontalalignment="center", fontsize=7.5, color=UP, rotation=90 if len(short) > 1 and len(days) > _WIDE_ENOUGH else 0,
        )  # fmt: skip
    axes.set_ylim(0, max([*expected, *present, 1]) * (1.3 if short else 1.08))
    axes.set_xlim(-0.8, max(len(days), 8) - 0.2)
    ends = sorted({0, len(days) - 1}) if days else []
    axes.set_xticks(ends, [f"{days[place]:%m-%d}" for place in ends], fontsize=8.5)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[["left", "right", "top"]].set_visible(False)
    complete = sum(whole)
    words = [(f"完整 Complete {complete}", DOWN), (f"不完整 Short {len(days) - complete}", ORANGE)]
    write_words(axes, [(f"近 {len(days)} 个交易日 Sessions", INK)], size=10, above=26)
    write_words(axes, words, size=9.5, above=8)


def _scatter(axes: Drawing, day: date, bars: pl.DataFrame, odd: Collection[str]) -> None:
    shown = bars.filter(~pl.col("is_suspended") & pl.col("pct_chg").is_not_null() & (pl.col("turnover_rate") > 0))
    is_odd = pl.col("ts_code").is_in(list(odd))
    plain, marked = shown.filter(~is_odd), shown.filter(is_odd)
    axes.scatter(plain["turnover_rate"], plain["pct_chg"], s=5, color=BLUE, alpha=0.35, linewidths=0)
    axes.scatter(marked["turnover_rate"], marked["pct_chg"], s=26, facecolors="none", edgecolors=UP, linewidths=1.1)
    if shown.height:
        axes.set_xscale("log")
    axes.axhline(0, color=GRID, linewidth=0.8, zorder=0.4)
    axes.margins(x=0.06, y=0.12)
    _name(axes, marked)
    axes.xaxis.set_major_formatter(FuncFormatter(_percent))
    axes.yaxis.set_major_formatter(FuncFormatter(_signed))
    axes.minorticks_off()
    axes.yaxis.tick_right()
    axes.tick_params(labelsize=8)
    axes.spines[["left", "top"]].set_visible(False)
    words = [(f"证券 Stocks {shown.height:,}", BLUE), (f"有发现 With findings {marked.height:,}", UP)]
    write_words(axes, [(f"{day} 涨跌幅 × 换手率 Change × turnover", INK)], size=10, above=26)
    write_words(axes, words, size=9.5, above=8)


def _name(axes: Drawing, marked: pl.DataFrame) -> None:
    """Write the codes of a few marked stocks, those that stand farthest out; of many, none could be read."""
    farthest = marked.sort(pl.col("pct_chg").abs(), descending=True).head(_NAMED)
    taken: list[tuple[float, float]] = []
    for code, turnover, change in farthest.select("ts_code", "turnover_rate", "pct_chg").iter_rows():
        x, y = axes.transData.transform((turnover, change))
        if any(abs(x - other_x) < 2 * _WIDE and abs(y - other_y) < _HIGH for other_x, other_y in taken):
            continue
        taken.append((x, y))
        is_right = axes.transAxes.inverted().transform((x, y))[0] > 1 / 2
        axes.annotate(
            code, (turnover, change), xytext=(-5 if is_right else 5, 3), textcoords="offset points",
            horizontalalignment="right" if is_right else "left", fontsize=7.5, color=INK,
        )  # fmt: skip


def _percent(value: float, _place: Any) -> str:  # noqa: ANN401  matplotlib's own
    return f"{value:g}%"


def _signed(value: float, _place: Any) -> str:  # noqa: ANN401  matplotlib's own
    return f"{value:+g}%" if value else "0"
