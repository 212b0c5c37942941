"""A stock's chart as one page that needs nothing else: its script is inside, no other host is asked."""

import html
from typing import Any, Final, cast

import plotly.io
from plotly.offline import get_plotlyjs

from stock_assets.charts.stock_chart import Line, StockChart
from stock_assets.charts.style import DOWN, FAINT, GRID, INK, PAPER, UP

# The reader's own: of each system the one that has Chinese.
_FONTS: Final = (
    "'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', 'Noto Sans SC', 'WenQuanYi Micro Hei', sans-serif"
)
# Of all that there are, one would send the chart to another host.
_BUTTONS: Final = ["toImage", "pan2d", "zoom2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]
_GAP: Final = 0.035
# Heights of the panels, candles first.
_SHARES: Final = (4.6, 1.35, 1.35, 1.35)

# Moves and zooms go along the days; the heights follow what is in sight.
_FIT: Final = """
(function () {
  const chart = document.getElementById("{plot_id}");
  let busy = false;
  function fit() {
    if (busy) return;
    const days = chart.layout.xaxis.range, first = Math.max(0, Math.ceil(days[0])), last = Math.floor(days[1]);
    const found = {};
    chart.data.forEach(function (trace) {
      const axis = "yaxis" + (trace.yaxis || "y").slice(1);
      const lists = trace.type === "candlestick" ? [trace.low, trace.high] : [trace.y];
      const range = (found[axis] = found[axis] || [Infinity, -Infinity]);
      if (trace.type === "bar") { range[0] = Math.min(range[0], 0); range[1] = Math.max(range[1], 0); }
      lists.forEach(function (list) {
        for (let i = first; i <= last && i < list.length; i++) {
          if (list[i] === null || list[i] === undefined) continue;
          range[0] = Math.min(range[0], list[i]); range[1] = Math.max(range[1], list[i]);
        }
      });
    });
    const update = {};
    Object.keys(found).forEach(function (axis) {
      const low = found[axis][0], high = found[axis][1], room = (high - low || 1) * 0.05;
      if (low <= high) update[axis + ".range"] = [low === 0 ? 0 : low - room, high + room];
    });
    busy = true;
    Plotly.relayout(chart, update).then(function () { busy = false; });
  }
  chart.on("plotly_relayout", fit);
  fit();
})();
"""


def chart_page(chart: StockChart) -> str:
    """Return the chart as an HTML page: zoom with the wheel, move with the mouse, values of a day under the pointer."""
    body = cast("Any", plotly.io).to_html(
        {"data": _traces(chart), "layout": _layout(chart)},
        config={"displaylogo": False, "scrollZoom": True, "responsive": True, "modeBarButtons": [_BUTTONS]},
        include_plotlyjs=False,
        include_mathjax=False,
        full_html=False,
        default_height="100vh",
        div_id="chart",
        post_script=_FIT,
        validate=False,
    )  # fmt: skip
    title = html.escape(chart.title)
    return (
        f'<!DOCTYPE html>\n<html lang="zh-CN">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"<style>html, body {{ margin: 0; height: 100%; background: {PAPER}; }}</style>\n"
        f"<script>{get_plotlyjs()}</script>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _traces(chart: StockChart) -> list[dict[str, Any]]:
    days = [str(day) for day in chart.days]
    candles: dict[str, Any] = {
        "type": "candlestick",
        "name": "日线 Daily",
        "x": days,
        "open": chart.open,
        "high": chart.high,
        "low": chart.low,
        "close": chart.close,
        "text": [_words(chart, place) for place in range(len(days))],
        "hoverinfo": "text",
        "increasing": {"line": {"color": UP, "width": 1}, "fillcolor": PAPER},
        "decreasing": {"line": {"color": DOWN, "width": 1}, "fillcolor": DOWN},
        "showlegend": False,
        "yaxis": "y",
    }
    traces = [candles, *(_line(days, line, "y", "legend") for line in chart.means)]
    for number, panel in enumerate(chart.panels, start=2):
        axis, legend = f"y{number}", f"legend{number}"
        if panel.columns is not None:
            columns = panel.columns
            traces.append({
                "type": "bar", "name": columns.name, "x": days, "y": columns.values, "marker": {"color": columns.colours},
                "hovertemplate": f"{columns.name} %{{y:,.2f}}<extra></extra>", "showlegend": False, "yaxis": axis,
            })  # fmt: skip
        traces += [_line(days, line, axis, legend) for line in panel.lines]
    return traces


def _line(days: list[str], line: Line, axis: str, legend: str) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "lines", "name": line.name, "x": days, "y": line.values, "yaxis": axis, "legend": legend,
        "line": {"color": line.colour, "width": 1.2}, "hovertemplate": f"{line.name} %{{y:.2f}}<extra></extra>",
    }  # fmt: skip


def _words(chart: StockChart, place: int) -> str:
    pct = chart.pct_chg[place]
    change = "" if pct is None else f"<br>涨跌 Chg {pct:+.2f}%"
    return (
        f"开 O {chart.open[place]:.2f}<br>高 H {chart.high[place]:.2f}<br>低 L {chart.low[place]:.2f}"
        f"<br>收 C {chart.close[place]:.2f}{change}"
    )


def _layout(chart: StockChart) -> dict[str, Any]:
    layout: dict[str, Any] = {
        "title": {
            "text": f"{html.escape(chart.title)}　<span style='font-size:13px;color:{FAINT}'>{html.escape(chart.note)}</span>",
            "x": 0.037, "y": 0.975, "font": {"size": 19},
        },
        "font": {"family": _FONTS, "size": 12, "color": INK},
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "margin": {"l": 44, "r": 68, "t": 64, "b": 32},
        "dragmode": "pan",
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "hoverlabel": {"bgcolor": "rgba(255,255,255,0.94)", "font": {"size": 12}},
        "bargap": 0.3,
        "xaxis": {
            "type": "category", "nticks": 12, "tickangle": 0, "rangeslider": {"visible": False}, "gridcolor": GRID,
            "anchor": f"y{1 + len(chart.panels)}", "showspikes": True, "spikemode": "across", "spikesnap": "cursor",
            "spikethickness": 1, "spikecolor": FAINT, "spikedash": "dot", "range": [-1, len(chart.days)],
        },
        "annotations": [],
        "shapes": [],
    }  # fmt: skip
    domains = _domains(1 + len(chart.panels))
    for number, (low, high) in enumerate(domains, start=1):
        name = "yaxis" if number == 1 else f"yaxis{number}"
        layout[name] = {
            "domain": [low, high], "side": "right", "gridcolor": GRID, "zeroline": False, "fixedrange": True,
            "nticks": 8 if number == 1 else 4, "tickformat": ".2f" if number == 1 else "",
        }  # fmt: skip
        layout["legend" if number == 1 else f"legend{number}"] = {
            "orientation": "h", "x": 0 if number == 1 else 0.12, "y": high, "yanchor": "bottom", "xanchor": "left",
            "bgcolor": "rgba(0,0,0,0)", "itemwidth": 30,
        }  # fmt: skip
    for number, (panel, (_, high)) in enumerate(zip(chart.panels, domains[1:], strict=True), start=2):
        layout["annotations"].append({
            "text": html.escape(panel.label), "xref": "paper", "yref": "paper", "x": 0, "y": high, "xanchor": "left",
            "yanchor": "bottom", "showarrow": False, "font": {"color": FAINT},
        })  # fmt: skip
        layout["shapes"] += [
            {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": f"y{number}", "y0": level, "y1": level,
             "line": {"color": FAINT, "width": 0.7, "dash": "dot"}, "layer": "below"}
            for level in panel.levels
        ]  # fmt: skip
    return layout


def _domains(count: int) -> list[tuple[float, float]]:
    """Return bottom and top of each panel from 0 to 1, the candles' first."""
    unit = (1 - _GAP * (count - 1)) / sum(_SHARES[:count])
    top, found = 1.0, list[tuple[float, float]]()
    for share in _SHARES[:count]:
        found.append((max(top - share * unit, 0.0), top))
        top -= share * unit + _GAP
    return found
