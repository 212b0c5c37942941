"""The calendar of completeness: what a cell tells, and where it stands."""

import io
from datetime import date

import polars as pl
import pytest
from PIL import Image

from stock_assets.charts.heat_map import Cell, HeatMap, heat_map_page, heat_map_png

DAYS = [date(2025, 12, 31), date(2026, 1, 5), date(2026, 1, 6), date(2026, 2, 3)]


def counts(*missing: int, expected: int = 100, rejected: int = 0) -> pl.DataFrame:
    rows = [
        {"trade_date": day, "expected": expected, "missing": lost, "rejected": rejected}
        for day, lost in zip(DAYS, missing, strict=False)
    ]
    return pl.DataFrame(
        rows, schema={"trade_date": pl.Date, "expected": pl.Int64, "missing": pl.Int64, "rejected": pl.Int64}
    )


def test_a_cell_has_one_of_five_colours_by_what_is_closed() -> None:
    cells = [Cell("day", 100, closed, 100 - closed, 0) for closed in (100, 99, 98, 97, 0)]
    whole, little, still_little, half, empty = (cell.colour for cell in cells)
    assert little == still_little
    assert len({whole, little, half, empty, Cell("day", 0, 0, 0, 0).colour}) == 5


def test_a_day_is_never_called_whole_that_is_not() -> None:
    assert "（99.99%）" in Cell("day", 1_000_000, 999_999, 1, 0).words


def test_a_month_is_the_sum_of_its_days() -> None:
    heat_map = HeatMap.of(counts(0, 1, 2, 0, rejected=1), title="t")
    assert heat_map.years == [2026, 2025]
    assert heat_map.months[2026, 1] == Cell("2026-01", 200, 195, 3, 2)
    assert heat_map.whole == Cell("", 400, 393, 3, 4)


def test_a_page_has_every_day_and_month_with_its_numbers_and_asks_no_other_host() -> None:
    page = heat_map_page(HeatMap.of(counts(0, 1, 100, 0), title="<t>"), worst=["repair <it>"])
    assert page.count("<rect") == 4 + 3
    assert "<title>2026-01-05　99/100（99.00%），缺 missing 1</title>" in page
    assert "&lt;t&gt;" in page
    assert "repair &lt;it&gt;" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("missing", [(0,), (0, 1), (0, 1, 100, 3)])
def test_an_image_has_a_strip_for_every_year(missing: tuple[int, ...]) -> None:
    drawn = heat_map_png(HeatMap.of(counts(*missing), title="完整性"))
    image = Image.open(io.BytesIO(drawn))
    years = len({day.year for day in DAYS[: len(missing)]})
    assert image.width == 1160
    assert image.height == 106 + years * 119 + (years > 1) * (34 + 17 * years)
    assert drawn == heat_map_png(HeatMap.of(counts(*missing), title="完整性"))


def test_nothing_to_draw_is_drawn() -> None:
    heat_map = HeatMap.of(counts(), title="t")
    assert heat_map_png(heat_map).startswith(b"\x89PNG")
    assert "<rect" not in heat_map_page(heat_map)
