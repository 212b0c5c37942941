"""The chart as a page: whole in itself, and holding what the chart holds."""

import json
import re
from itertools import pairwise
from typing import Any

from plotly.offline import get_plotlyjs

from stock_assets.charts.chart_page import chart_page
from stock_assets.charts.stock_chart import StockChart, stock_chart
from stock_assets_tests.charts.made_up_stock import made_up_bars


def drawn(page: str) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]:
    """Return traces, layout and configuration that the page hands to its script."""
    call = page.partition("Plotly.newPlot(")[2]
    decoder = json.JSONDecoder()
    found: list[Any] = []
    for _ in range(4):
        value, end = decoder.raw_decode(call.lstrip(" ,\n"))
        found.append(value)
        call = call.lstrip(" ,\n")[end:]
    return found[1], found[2], found[3]


def page_of(chart: StockChart) -> str:
    """Return the page without the library's script, once it was seen to be inside."""
    page = chart_page(chart)
    script = get_plotlyjs()
    assert page.count(script) == 1
    return page.replace(script, "")


def test_a_page_asks_no_other_host_and_sends_nothing() -> None:
    chart = stock_chart(made_up_bars(20), title="600000.SH 浦发银行")
    page = page_of(chart)
    assert re.findall(r"https?://|//cdn|\bsrc=|<link|@import", page) == []
    _, _, config = drawn(page)
    assert config["modeBarButtons"] == [["toImage", "pan2d", "zoom2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]]
    assert config["displaylogo"] is False


def test_a_page_holds_candles_lines_and_panels_of_the_traded_days() -> None:
    chart = stock_chart(made_up_bars(20, suspended=(5,)), title="600000.SH 浦发银行", note="不复权 unadjusted")
    traces, layout, _ = drawn(page_of(chart))
    assert [trace["name"] for trace in traces] == [
        "日线 Daily", "MA5", "MA10", "MA20", "MA60", "VOL", "MACD", "DIF", "DEA", "K", "D", "J",
    ]  # fmt: skip
    days = [str(day) for day in chart.days]
    assert all(trace["x"] == days for trace in traces)
    assert traces[0]["close"] == chart.close
    assert traces[1]["y"] == chart.means[0].values
    # One place a session, whatever the calendar says.
    assert layout["xaxis"]["type"] == "category"
    labels = [note["text"] for note in layout["annotations"]]
    assert labels == [panel.label for panel in chart.panels]
    tops = [layout[axis]["domain"] for axis in ("yaxis", "yaxis2", "yaxis3", "yaxis4")]
    assert all(below[1] < above[0] for above, below in pairwise(tops))


def test_a_name_cannot_become_a_part_of_the_page() -> None:
    page = page_of(stock_chart(made_up_bars(3), title="</script><script>alert(1)</script>", note="<b>"))
    assert "<script>alert" not in page
    _, layout, _ = drawn(page)
    assert "&lt;b&gt;" in layout["title"]["text"]
