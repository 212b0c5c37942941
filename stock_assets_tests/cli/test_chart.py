"""`bars --chart`: the file is the chart of those days, and what cannot be drawn is said in a sentence."""

import re
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from stock_assets.charts.stock_chart import INDICATORS
from stock_assets.cli.chart import warm_up_from
from stock_assets.domain.calendar import FIRST_SESSION
from stock_assets.indicators.frames import with_technicals
from stock_assets.storage import bars
from stock_assets.wiring import Installation
from stock_assets_tests.charts.test_chart_page import drawn
from stock_assets_tests.cli.conftest import FIRST, LAST, Call
from stock_assets_tests.cli.test_look import WEEK, a_code


def test_a_page_and_an_image_are_drawn_from_the_same_bars(loaded: Installation, call: Call, tmp_path: Path) -> None:
    code = a_code(loaded)
    page, image = tmp_path / "chart.html", tmp_path / "chart.PNG"
    for path in (page, image):
        said = call("bars", code, *WEEK, "--adjust", "qfq", "--chart", str(path))
        assert (said.code, said.out) == (0, "")
        assert said.err == f"{path} drawn, 5 trading days\n"
    assert image.read_bytes().startswith(b"\x89PNG")
    traces, layout, _ = drawn(page.read_text(encoding="utf-8"))
    frame = loaded.reader().bars([code], FIRST, LAST, adjust="qfq", anchor=LAST)
    assert traces[0]["x"] == [str(day) for day in frame["trade_date"]]
    assert traces[0]["close"] == frame["close"].to_list()
    name = loaded.reader().arrow("security", columns=["name"], ts_codes=[code])["name"][0].as_py()
    assert f"{code} {name}" in layout["title"]["text"]
    assert f"前复权（基准 {LAST}）forward-adjusted" in layout["title"]["text"]


def test_lines_begin_before_the_first_day_that_is_drawn(loaded: Installation, call: Call, tmp_path: Path) -> None:
    code, path = a_code(loaded), tmp_path / "chart.html"
    call("bars", code, "--start", "2026-11-19", "--end", str(LAST), "--chart", str(path))
    traces, _, _ = drawn(path.read_text(encoding="utf-8"))
    with loaded.database.read() as conn:
        week = bars.read_bars(conn, [code], FIRST, LAST)
    lines = with_technicals(week, INDICATORS).filter(pl.col("trade_date") >= pl.date(2026, 11, 19))
    by_name = {trace["name"]: trace["y"] for trace in traces[1:]}
    # The store holds five days: the average of five has a value on the last of them, which is not one of two drawn.
    assert by_name["MA5"] == [None, pytest.approx(week["close"].mean())]
    assert by_name["MACD"] == lines["macd"].to_list()
    assert by_name["K"] == lines["kdj_k"].to_list()


def test_250_sessions_before_the_first_day_are_read(installation: Installation) -> None:
    calendar, first = installation.calendar, date(2026, 10, 9)
    assert len(calendar.between(warm_up_from(calendar, first), first)) == 250 + 1
    assert warm_up_from(calendar, FIRST_SESSION) == FIRST_SESSION


def test_a_chart_and_a_file_of_its_rows_go_together(loaded: Installation, call: Call, tmp_path: Path) -> None:
    code, out = a_code(loaded), tmp_path / "bars.csv"
    said = call("bars", code, *WEEK, "--chart", str(tmp_path / "chart.png"), "--out", str(out))
    assert said.code == 0
    assert len(out.read_text(encoding="utf-8").splitlines()) == 1 + 5


@pytest.mark.usefixtures("no_store")
@pytest.mark.parametrize("name", ["chart.pdf", "chart", "600000.svg"])
def test_a_name_of_no_kind_is_refused_before_anything_is_read(call: Call, name: str) -> None:
    said = call("bars", "600000", "--chart", name)
    assert said.code == 2
    assert re.fullmatch(r"\S+ is neither a page nor an image; name the chart like (\w+)\.html or \1\.png\n", said.err)


def test_what_cannot_be_drawn_is_said_with_what_to_do(loaded: Installation, call: Call, tmp_path: Path) -> None:
    code, path = a_code(loaded), tmp_path / "chart.html"
    said = call("bars", code, "--start", "2026-11-02", "--end", "2026-11-06", "--chart", str(path))
    assert said.code == 2
    assert "backfill-daily --start 2026-11-02 --end 2026-11-06" in said.err
    assert "there is no day to draw" in said.err
    assert not path.exists()
    said = call("bars", code, *WEEK, "--chart", "nowhere/chart.png")
    assert said.code == 2
    assert said.err.startswith(
        "nowhere/chart.png cannot be written (No such file or directory); choose another --chart"
    )
    for two in ([code, "000001"], [f"{code},000001"]):
        said = call("bars", *two, "--chart", str(path))
        assert (said.code, path.exists()) == (2, False)
        assert "000001" in said.err
    assert "is more than one code; this command takes one at a time" in said.err
