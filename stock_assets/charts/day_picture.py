"""A small picture of one market day: how many stocks rose and by how much, the limits, and the turnover."""

from datetime import date
from itertools import pairwise
from typing import Final

import polars as pl

from stock_assets.charts.canvas import Drawing, new_figure, png, write_words
from stock_assets.charts.style import DOWN, FAINT, FLAT, INK, UP

_WIDTH, _HEIGHT = 860, 270
_COLOURS: Final = 64
_SHOWN_SESSIONS: Final = 20
_HUNDRED_MILLION: Final = 1e8
_IN_TRILLION: Final = 10_000
_PALE: Final = "#C9D3DE"
# Half of the smallest tick: what differs by less is the same price.
_HALF_TICK: Final = 0.0005
# Between the bars of limits and of no change: percent, from and below.
_STEPS: Final = (0.0, 3.0, 5.0, 7.0, float("inf"))


def day_picture(day: date, bars: pl.DataFrame, turnover: pl.DataFrame) -> bytes:
    """Return a PNG file of 860 x 270 pixels, some 10 KB.

    `bars` are the market's of `day`: close, pre_close, is_suspended, is_limit_up, is_limit_down; suspended stocks and those
    without a previous close are left out. `turnover` has trade_date and amount (CNY, of the whole market) of `day` and
    sessions before it, of which the last 20 are compared; it may be empty.
    """
    with new_figure(_WIDTH, _HEIGHT) as figure:
        draw_day(figure, day, bars, turnover)
        return png(figure, colours=_COLOURS)


def draw_day(figure: Drawing, day: date, bars: pl.DataFrame, turnover: pl.DataFrame) -> None:
    """Draw the picture on an empty figure."""
    traded = bars.filter(~pl.col("is_suspended") & (pl.col("pre_close") > 0) & pl.col("close").is_not_null())
    places = figure.add_gridspec(
        1, 2, width_ratios=[1.55, 1], left=0.02, right=0.985, top=0.72, bottom=0.1, wspace=0.06
    )
    spread = figure.add_subplot(places[0])
    _spread(spread, traded)
    _headline(spread, day, traded)
    _turnover(figure.add_subplot(places[1]), day, turnover)


def spread_of(traded: pl.DataFrame) -> list[tuple[str, int, str]]:
    """Return label, number of stocks and colour of each bar of the spread, from limit-down to limit-up."""
    rows = traded.select(
        ((pl.col("close") / pl.col("pre_close") - 1) * 100).round(6).alias("pct"),
        pl.col("is_limit_up").alias("up"),
        pl.col("is_limit_down").alias("down"),
        (pl.col("close") - pl.col("pre_close")).alias("change"),
    )
    free = rows.filter(~pl.col("up") & ~pl.col("down"))
    bounds = list(pairwise(_STEPS))
    size, rose, fell = pl.col("pct").abs(), pl.col("change") > _HALF_TICK, pl.col("change") < -_HALF_TICK
    falls, rises = list[tuple[str, int, str]](), list[tuple[str, int, str]]()
    for low, high in bounds:
        inside = (size >= low) & (size < high)
        is_last = high == _STEPS[-1]
        falls.append((f">{low:g}%" if is_last else f"{high:g}~{low:g}%", free.filter(fell & inside).height, DOWN))
        rises.append((f">{low:g}%" if is_last else f"{low:g}~{high:g}%", free.filter(rose & inside).height, UP))
    return [
        ("跌停", rows.filter(pl.col("down")).height, DOWN),
        *reversed(falls),
        ("平", free.filter(~rose & ~fell).height, FLAT),
        *rises,
        ("涨停", rows.filter(pl.col("up")).height, UP),
    ]


def _spread(axes: Drawing, traded: pl.DataFrame) -> None:
    bars = spread_of(traded)
    counts = [count for _, count, _ in bars]
    axes.bar(range(len(bars)), counts, width=0.72, color=[colour for _, _, colour in bars])
    for place, (_, count, colour) in enumerate(bars):
        axes.annotate(
            f"{count:,}", (place, count), xytext=(0, 2), textcoords="offset points", horizontalalignment="center",
            fontsize=8.5, color=colour,
        )  # fmt: skip
    axes.set_xticks(range(len(bars)), [label for label, _, _ in bars], fontsize=8.5)
    axes.set_ylim(0, max(*counts, 1) * 1.12)
    _bare(axes)


def _headline(axes: Drawing, day: date, traded: pl.DataFrame) -> None:
    change = traded["close"] - traded["pre_close"]
    rose, fell = int((change > _HALF_TICK).sum()), int((change < -_HALF_TICK).sum())
    words = [
        (f"涨 Up {rose:,}", UP),
        (f"平 Flat {traded.height - rose - fell:,}", FLAT),
        (f"跌 Down {fell:,}", DOWN),
        (f"涨停 Limit-up {int(traded['is_limit_up'].sum()):,}", UP),
        (f"跌停 Limit-down {int(traded['is_limit_down'].sum()):,}", DOWN),
    ]
    write_words(axes, [(str(day), INK)], size=14, above=33)
    write_words(axes, words, size=9.5, above=13)


def _turnover(axes: Drawing, day: date, turnover: pl.DataFrame) -> None:
    shown = turnover.filter((pl.col("trade_date") <= day) & (pl.col("amount") > 0)).sort("trade_date")
    days = shown["trade_date"].tail(1 + _SHOWN_SESSIONS).to_list()
    amounts = [amount / _HUNDRED_MILLION for amount in shown["amount"].tail(1 + _SHOWN_SESSIONS)]
    _bare(axes)
    if not days or days[-1] != day:
        write_words(axes, [("成交额 Turnover —", FAINT)], size=10, above=33)
        axes.set_xticks([])
        return
    *before, last = amounts
    axes.bar(range(len(days)), amounts, width=0.7, color=[*[_PALE] * len(before), INK])
    write_words(axes, [(f"成交额 Turnover {_amount(last)}", INK)], size=10, above=33)
    if before:
        mean = sum(before) / len(before)
        axes.axhline(mean, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
        colour = UP if last > mean else DOWN
        compared = [(f"前 {len(before)} 日均 Mean {_amount(mean)}", FAINT), (f"{last / mean - 1:+.1%}", colour)]
        write_words(axes, compared, size=9.5, above=13)
    ends = sorted({0, len(days) - 1})
    axes.set_xticks(ends, [f"{days[place]:%m-%d}" for place in ends], fontsize=8.5)
    axes.set_xlim(-0.8, max(len(days), 8) - 0.2)


def _bare(axes: Drawing) -> None:
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[["left", "right", "top"]].set_visible(False)


def _amount(hundred_millions: float) -> str:
    """Return an amount of 100 million CNY as people say it."""
    if hundred_millions >= _IN_TRILLION:
        return f"{hundred_millions / _IN_TRILLION:.2f} 万亿元"
    return f"{hundred_millions:,.0f} 亿元" if hundred_millions >= 1 else f"{hundred_millions * _IN_TRILLION:,.0f} 万元"
