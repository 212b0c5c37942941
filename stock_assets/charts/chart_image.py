"""A stock's chart as an image."""

from collections.abc import Sequence
from typing import Any, Final

from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.ticker import MaxNLocator

from stock_assets.charts.canvas import Drawing, new_figure, png, write_words
from stock_assets.charts.date_ticks import date_ticks
from stock_assets.charts.stock_chart import Columns, Line, StockChart
from stock_assets.charts.style import DOWN, FAINT, GRID, INK, PAPER, UP

_WIDTH, _HEIGHT = 1200, 900
_BODY: Final = 0.36
# More candles than this are thinner than a line.
_FINE: Final = 260
_FEW: Final = 14


def chart_png(chart: StockChart) -> bytes:
    """Return the chart as a PNG file of 1200 x 900 pixels."""
    with new_figure(_WIDTH, _HEIGHT) as figure:
        draw_chart(figure, chart)
        return png(figure)


def draw_chart(figure: Drawing, chart: StockChart) -> None:
    """Draw candles, moving averages and panels on an empty figure."""
    grid = figure.add_gridspec(
        1 + len(chart.panels), 1, height_ratios=[4.6, *[1.35] * len(chart.panels)],
        left=0.025, right=0.94, top=0.9, bottom=0.045, hspace=0.17,
    )  # fmt: skip
    price = figure.add_subplot(grid[0])
    every = [price]
    _candles(price, chart)
    _mark_extremes(price, chart)
    write_words(price, [(_last(line, "{:.2f}"), line.colour) for line in chart.means])
    for place, panel in enumerate(chart.panels):
        axes = figure.add_subplot(grid[1 + place], sharex=price)
        every.append(axes)
        if panel.columns is not None:
            _columns(axes, panel.columns)
        for level in panel.levels:
            axes.axhline(level, color=FAINT, linewidth=0.6, linestyle=(0, (4, 4)), zorder=0.5)
        _lines(axes, panel.lines)
        axes.yaxis.set_major_locator(MaxNLocator(3, min_n_ticks=2))
        named = [(_last(line, "{:.2f}"), line.colour) for line in panel.lines]
        if panel.columns is not None:
            named.append((_last(panel.columns, "{:,.2f}"), panel.columns.colours[-1]))
        write_words(axes, [(panel.label, FAINT), *named])
    _axes(every, chart)
    figure.text(0.025, 0.972, chart.title, fontsize=16, verticalalignment="center")
    figure.text(
        0.94, 0.972, chart.note, fontsize=10, color=FAINT, verticalalignment="center", horizontalalignment="right"
    )
    figure.text(0.025, 0.937, _summary(chart), fontsize=10.5, color=_colour_of_last(chart), verticalalignment="center")


def _axes(every: Sequence[Drawing], chart: StockChart) -> None:
    ticks = date_ticks(chart.days)
    last = len(chart.days) - 1
    # Few candles stand in the middle, not as wide as the picture.
    spare = max(_FEW - last, 0) / 2
    for axes in every:
        axes.set_xlim(-1 - spare, last + 1 + spare)
        axes.tick_params(labelbottom=axes is every[-1])
        axes.yaxis.tick_right()
        axes.spines[["left", "top"]].set_visible(False)
    every[-1].set_xticks([place for place, _ in ticks], [label for _, label in ticks])


def _candles(axes: Drawing, chart: StockChart) -> None:
    """Draw rises hollow and falls filled, so that they differ without colours too."""
    width = 0.9 if len(chart.days) <= _FINE else 0.6
    for is_rise, colour in ((True, UP), (False, DOWN)):
        chosen = [place for place, is_up in enumerate(chart.is_up) if is_up is is_rise]
        wicks: list[Any] = []
        bodies: list[Any] = []
        for place in chosen:
            bottom, top = sorted((chart.open[place], chart.close[place]))
            wicks += [[(place, chart.low[place]), (place, bottom)], [(place, top), (place, chart.high[place])]]
            left, right = place - _BODY, place + _BODY
            bodies.append([(left, bottom), (left, top), (right, top), (right, bottom)])
        axes.add_collection(LineCollection(wicks, colors=colour, linewidths=width, zorder=2))
        face = PAPER if is_rise and len(chart.days) <= _FINE else colour
        axes.add_collection(PolyCollection(bodies, facecolors=face, edgecolors=colour, linewidths=width, zorder=2.1))
    _lines(axes, chart.means)
    axes.autoscale_view()
    axes.margins(y=0.09)
    axes.yaxis.set_major_formatter("{x:.2f}")


def _mark_extremes(axes: Drawing, chart: StockChart) -> None:
    """Write the highest and the lowest price of the chart beside their candles."""
    last = len(chart.days) - 1
    highest = max(range(last + 1), key=lambda place: chart.high[place])
    lowest = min(range(last + 1), key=lambda place: chart.low[place])
    for place, price, below in ((highest, chart.high[highest], False), (lowest, chart.low[lowest], True)):
        is_left = place > last / 2
        axes.annotate(
            f"{price:.2f} →" if is_left else f"← {price:.2f}",
            (place, price),
            xytext=(-4 if is_left else 4, -3 if below else 3),
            textcoords="offset points",
            verticalalignment="top" if below else "bottom",
            horizontalalignment="right" if is_left else "left",
            fontsize=8,
            color=INK,
        )


def _columns(axes: Drawing, columns: Columns) -> None:
    shapes: list[Any] = []
    for place, value in enumerate(columns.values):
        left, right, top = place - _BODY, place + _BODY, value or 0.0
        shapes.append([(left, 0.0), (left, top), (right, top), (right, 0.0)])
    edge = 0.4 if len(shapes) <= _FINE else 0.0
    axes.add_collection(PolyCollection(shapes, facecolors=columns.colours, edgecolors=columns.colours, linewidths=edge))
    axes.axhline(0, color=GRID, linewidth=0.8, zorder=0.4)
    axes.autoscale_view()


def _lines(axes: Drawing, lines: Sequence[Line]) -> None:
    for line in lines:
        values = [float("nan") if value is None else value for value in line.values]
        axes.plot(range(len(values)), values, color=line.colour, linewidth=1.0, zorder=3)


def _last(drawn: Line | Columns, form: str) -> str:
    value = drawn.values[-1]
    return drawn.name if value is None else f"{drawn.name} {form.format(value)}"


def _summary(chart: StockChart) -> str:
    pct = chart.pct_chg[-1]
    change = "" if pct is None else f"  {pct:+.2f}%"
    return (
        f"{chart.days[-1]}  开 O {chart.open[-1]:.2f}  高 H {chart.high[-1]:.2f}  低 L {chart.low[-1]:.2f}"
        f"  收 C {chart.close[-1]:.2f}{change}"
    )


def _colour_of_last(chart: StockChart) -> str:
    pct = chart.pct_chg[-1]
    return INK if not pct else UP if pct > 0 else DOWN
