"""The page of a day's quality: whole in itself, equal for equal content, and nothing of the data is taken for HTML."""

from datetime import date, timedelta
from html.parser import HTMLParser
from io import BytesIO

import polars as pl
import pytest
from PIL import Image

from stock_assets.charts.canvas import new_figure
from stock_assets.charts.quality_page import Column, QualityPage, Section, Tile, quality_page
from stock_assets.charts.quality_picture import draw_quality, quality_picture
from stock_assets_tests.charts.drawn_text import missing_glyphs, overlapping, texts

DAY = date(2026, 3, 20)
COLUMNS = (Column("证券 | stock"), Column("条数 | count", "number"), Column("说明 | detail", "long"))


class Reader(HTMLParser):
    """Collects the texts, the addresses and the tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        self.said.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag and where it points."""
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]


def page_of(*sections: Section, commands: tuple[str, ...] = ()) -> QualityPage:
    return QualityPage(
        title="数据质量 2026-03-20", grade="look", verdict="值得一看 deserves a look", facts="快照 snapshot 0123",
        tiles=[Tile("完整率 complete", "99.98%", "bad"), Tile("停牌 suspended", "3")],
        pictures=[("图 picture", b"\x89PNG")], commands=commands, sections=sections,
    )  # fmt: skip


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


def test_the_page_needs_no_other_file_and_no_host() -> None:
    found = read(quality_page(page_of(commands=("stock-assets nightly --date 2026-03-20",))))
    assert [address.partition(",")[0] for address in found.addresses] == ["data:image/png;base64"]
    assert not {"script", "link", "iframe"} & set(found.tags)
    assert "stock-assets nightly --date 2026-03-20" in found.said
    assert {"99.98%", "完整率 complete", "值得一看 deserves a look"} <= set(found.said)


def test_what_a_source_said_is_text_and_never_markup() -> None:
    section = Section("拒绝 | Refused", COLUMNS, [("600000.SH", "1", '<script>alert("1")</script>')], "-", ["bad"])
    page = quality_page(page_of(section))
    assert '<script>alert("1")</script>' in read(page).said
    assert "script" not in read(page).tags
    assert page == quality_page(page_of(section))


def test_an_empty_section_says_so_instead_of_an_empty_table() -> None:
    found = read(quality_page(page_of(Section("发现 | Findings", COLUMNS, [], "没有发现 nothing was found"))))
    assert "table" not in found.tags
    assert any("没有发现 nothing was found" in text for text in found.said)


def test_a_row_that_does_not_fit_its_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        quality_page(page_of(Section("发现 | Findings", COLUMNS, [("600000.SH", "1")], "-")))


def history(lacking: dict[int, int], sessions: int = 21) -> pl.DataFrame:
    days = [DAY - timedelta(days=sessions - 1 - place) for place in range(sessions)]
    present = [5300 - lacking.get(place, 0) for place in range(sessions)]
    return pl.DataFrame({"trade_date": days, "expected": [5300] * sessions, "present": present})


def market(stocks: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "ts_code": [f"{600000 + number}.SH" for number in range(stocks)],
            "pct_chg": [(number * 37 % 200) / 10 - 10 for number in range(stocks)],
            "turnover_rate": [0.01 * (number * 53 % 2000 + 1) for number in range(stocks)],
            "is_suspended": [number % 50 == 0 for number in range(stocks)],
        },
        schema={"ts_code": pl.String, "pct_chg": pl.Float64, "turnover_rate": pl.Float64, "is_suspended": pl.Boolean},
    )


@pytest.mark.parametrize(
    ("lacking", "sessions", "stocks", "odd"),
    [
        ({}, 21, 5000, 0),
        ({3: 3, 20: 5300}, 21, 5000, 40),
        ({0: 1}, 1, 3, 2),
        ({0: 1, 1: 2, 2: 5300}, 6, 60, 6),
        ({}, 0, 0, 0),
    ],
)
def test_no_text_of_the_picture_covers_another(lacking: dict[int, int], sessions: int, stocks: int, odd: int) -> None:
    bars = market(stocks)
    with new_figure(860, 300) as figure:
        draw_quality(figure, DAY, history(lacking, sessions), bars, bars["ts_code"].head(odd).to_list())
        assert overlapping(figure) == []
        assert missing_glyphs(figure) == set()
        words = {text.get_text() for text in texts(figure)}
    assert f"完整 Complete {sessions - len(lacking)}" in words
    assert f"不完整 Short {len(lacking)}" in words


def test_stocks_with_findings_are_marked_and_suspended_ones_are_not_shown() -> None:
    bars = market(100)
    with new_figure(860, 300) as figure:
        draw_quality(figure, DAY, history({}), bars, ["600000.SH", "600007.SH"])
        words = {text.get_text() for text in texts(figure)}
    # 600000.SH and 600050.SH are suspended.
    assert {"证券 Stocks 98", "有发现 With findings 1", "600007.SH"} <= words
    assert "600000.SH" not in words


def test_the_picture_is_small_and_the_same_each_time() -> None:
    first = quality_picture(DAY, history({3: 40}), market(5000), ["600007.SH"])
    assert first == quality_picture(DAY, history({3: 40}), market(5000), ["600007.SH"])
    assert Image.open(BytesIO(first)).size == (860, 300)
    assert len(first) < 60_000
