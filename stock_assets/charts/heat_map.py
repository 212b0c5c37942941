"""A calendar of how complete a dataset is: a cell for every session and for every month, as a page or as an image.

A cell tells what came of the expected rows. Rows that no source has are closed, as are those that are there: only what is
missing or was rejected makes a day short.
"""

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from stock_assets.charts.canvas import Drawing, new_figure, png
from stock_assets.charts.style import FAINT, INK, PAPER
from stock_assets.domain.completeness import is_half_published

_WHOLE: Final = "#3F9E6E"
_SHORT: Final = "#F0A830"
_HALF: Final = "#D9352A"
_EMPTY: Final = "#B4B4B4"
_NOTHING_DUE: Final = "#F1F1F1"
_LEGEND: Final = (
    ("完整 complete", _WHOLE),
    ("不足 2% short by up to 2%", _SHORT),
    ("不足更多 short by more", _HALF),
    ("全无 nothing there", _EMPTY),
)
_MONTHS: Final = 12
_WEEKDAYS: Final = ("一 Mon", "二 Tue", "三 Wed", "四 Thu", "五 Fri")
# In an image, days are drawn of so many years at most; a page has all of them.
_DRAWN_YEARS: Final = 4
_WIDTH: Final = 1160
_CELL: Final = 17
_COLOURS: Final = 128
_LEFT: Final = 62
_HEAD: Final = 98


@dataclass(frozen=True, slots=True)
class Cell:
    """A day or a month: rows expected, rows there (or proven to be nowhere), rows missing and rejected."""

    label: str
    expected: int
    closed: int
    missing: int
    rejected: int

    @property
    def colour(self) -> str:
        """Return what the cell is painted in."""
        if self.expected == 0:
            return _NOTHING_DUE
        if self.closed >= self.expected:
            return _WHOLE
        if self.closed == 0:
            return _EMPTY
        return _HALF if is_half_published(self.closed, self.expected) else _SHORT

    @property
    def words(self) -> str:
        """Return what the cell tells, in both languages."""
        if self.expected == 0:
            return f"{self.label}　无应有的行 nothing expected"
        # Rounded down: 100 % is said of what is complete only.
        share = self.closed * 10_000 // self.expected / 100
        rejected = f"，拒绝 rejected {self.rejected:,}" if self.rejected else ""
        return f"{self.label}　{self.closed:,}/{self.expected:,}（{share:.2f}%），缺 missing {self.missing:,}{rejected}"


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Cells by day and by (year, month); `title` names the dataset and the range."""

    title: str
    days: dict[date, Cell]
    months: dict[tuple[int, int], Cell]

    @classmethod
    def of(cls, counts: pl.DataFrame, *, title: str) -> "HeatMap":
        """Return the map of `completeness.state_counts`, one row a session."""
        days = {
            row["trade_date"]: Cell(
                str(row["trade_date"]), row["expected"], row["expected"] - row["missing"] - row["rejected"],
                row["missing"], row["rejected"],
            )
            for row in counts.iter_rows(named=True)
        }  # fmt: skip
        months: dict[tuple[int, int], list[Cell]] = {}
        for day, cell in days.items():
            months.setdefault((day.year, day.month), []).append(cell)
        return cls(title, days, {month: _together(month, cells) for month, cells in months.items()})

    @property
    def years(self) -> list[int]:
        """Return the years that have a session, the newest first."""
        return sorted({year for year, _ in self.months}, reverse=True)

    @property
    def whole(self) -> Cell:
        """Return everything as one cell."""
        return _sum("", list(self.days.values()))


def heat_map_png(heat_map: HeatMap) -> bytes:
    """Return a PNG file 1160 pixels wide: months of every year, and days of the newest four."""
    years = heat_map.years
    drawn = years[:_DRAWN_YEARS]
    height = _HEAD + _CELL * len(years) * (len(years) > 1) + 34 * (len(years) > 1) + (5 * _CELL + 34) * len(drawn) + 8
    with new_figure(_WIDTH, height) as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, _WIDTH)
        axes.set_ylim(height, 0)
        axes.axis("off")
        axes.text(16, 24, heat_map.title, fontsize=13, verticalalignment="center")
        axes.text(16, 48, heat_map.whole.words.strip("　"), fontsize=9.5, color=FAINT, verticalalignment="center")
        _draw_legend(axes)
        top = _HEAD
        if len(years) > 1:
            for cell, left, above, width in _month_places(heat_map, top + 18):
                _paint(axes, cell, left, above, width)
            _draw_month_names(axes, top + 10)
            for place, year in enumerate(years):
                axes.text(
                    _LEFT - 8, top + 18 + (place + 0.5) * _CELL, str(year), fontsize=8, color=FAINT,
                    horizontalalignment="right", verticalalignment="center",
                )  # fmt: skip
            top += 34 + _CELL * len(years)
        for year in drawn:
            axes.text(16, top + 8, str(year), fontsize=10, color=INK, verticalalignment="center")
            for cell, left, above in _day_places(heat_map, year, top + 18):
                _paint(axes, cell, left, above, _CELL)
            for place, name in enumerate(_WEEKDAYS):
                axes.text(
                    _LEFT - 8, top + 18 + (place + 0.5) * _CELL, name, fontsize=7.5, color=FAINT,
                    horizontalalignment="right", verticalalignment="center",
                )  # fmt: skip
            top += 34 + 5 * _CELL
        return png(figure, colours=_COLOURS)


def heat_map_page(heat_map: HeatMap, *, worst: Sequence[str] = ()) -> str:
    """Return an HTML page that needs nothing else: months and days of every year, a cell's numbers under the pointer.

    `worst` are lines below, such as what repairs it.
    """
    legend = "".join(
        f'<span class="key"><i style="background:{colour}"></i>{html.escape(words)}</span>' for words, colour in _LEGEND
    )
    lines = "".join(f"<p><code>{html.escape(line)}</code></p>" for line in worst)
    title = html.escape(heat_map.title)
    return (
        f'<!DOCTYPE html>\n<html lang="zh-CN">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n<style>'
        f"body{{margin:24px;background:{PAPER};color:{INK};font:14px 'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',"
        "'Noto Sans SC',sans-serif}h1{font-size:20px;margin:0 0 6px}h2{font-size:15px;margin:20px 0 4px}"
        f"p{{margin:4px 0;color:{FAINT}}}.key{{margin-right:18px}}.key i{{display:inline-block;width:12px;height:12px;"
        f"margin-right:6px}}text{{font-size:11px;fill:{FAINT}}}code{{color:{INK}}}</style>\n</head>\n<body>\n"
        f"<h1>{title}</h1>\n<p>{html.escape(heat_map.whole.words.strip('　'))}</p>\n<p>{legend}</p>\n{lines}"
        f"<h2>按月 by month</h2>\n{_months_svg(heat_map)}\n"
        + "".join(f"<h2>{year}</h2>\n{_days_svg(heat_map, year)}\n" for year in heat_map.years)
        + "</body>\n</html>\n"
    )


def _together(month: tuple[int, int], cells: Sequence[Cell]) -> Cell:
    return _sum(f"{month[0]}-{month[1]:02d}", cells)


def _sum(label: str, cells: Sequence[Cell]) -> Cell:
    return Cell(
        label,
        sum(cell.expected for cell in cells),
        sum(cell.closed for cell in cells),
        sum(cell.missing for cell in cells),
        sum(cell.rejected for cell in cells),
    )


def _month_places(heat_map: HeatMap, top: float) -> Iterator[tuple[Cell, float, float, float]]:
    """Yield each month with its left, its top and its width: a line for every year."""
    width = 4 * _CELL
    for place, year in enumerate(heat_map.years):
        for month in range(1, _MONTHS + 1):
            if (cell := heat_map.months.get((year, month))) is not None:
                yield cell, _LEFT + (month - 1) * width, top + place * _CELL, width


def _day_places(heat_map: HeatMap, year: int, top: float) -> Iterator[tuple[Cell, float, float]]:
    """Yield each session of a year with its left and its top: a column for every week."""
    begin = date(year, 1, 1).weekday()
    for day, cell in heat_map.days.items():
        if day.year == year:
            week = (day.timetuple().tm_yday - 1 + begin) // 7
            yield cell, _LEFT + week * _CELL, top + day.weekday() * _CELL


def _paint(axes: Drawing, cell: Cell, left: float, top: float, width: float) -> None:
    axes.fill(
        [left, left + width - 2, left + width - 2, left], [top, top, top + _CELL - 2, top + _CELL - 2],
        color=cell.colour, linewidth=0,
    )  # fmt: skip


def _draw_legend(axes: Drawing) -> None:
    left = 16.0
    for words, colour in _LEGEND:
        axes.fill([left, left + 11, left + 11, left], [66, 66, 77, 77], color=colour, linewidth=0)
        axes.text(left + 16, 72, words, fontsize=8.5, color=FAINT, verticalalignment="center")
        left += 26 + 6.2 * sum(1.6 if ord(letter) > 255 else 1 for letter in words)  # noqa: PLR2004  beyond Latin


def _draw_month_names(axes: Drawing, top: float) -> None:
    for month in range(_MONTHS):
        axes.text(_LEFT + (month + 0.5) * 4 * _CELL, top, f"{month + 1} 月", fontsize=8, color=FAINT,
                  horizontalalignment="center", verticalalignment="center")  # fmt: skip


def _months_svg(heat_map: HeatMap) -> str:
    parts = [_rect(cell, left, top, width) for cell, left, top, width in _month_places(heat_map, 18)]
    parts += [f'<text x="{_LEFT + month * 4 * _CELL + 20}" y="12">{month + 1} 月</text>' for month in range(_MONTHS)]
    parts += [f'<text x="16" y="{18 + place * _CELL + 12}">{year}</text>' for place, year in enumerate(heat_map.years)]
    return _svg(parts, _LEFT + _MONTHS * 4 * _CELL, 18 + len(heat_map.years) * _CELL)


def _days_svg(heat_map: HeatMap, year: int) -> str:
    parts = [_rect(cell, left, top, _CELL) for cell, left, top in _day_places(heat_map, year, 2)]
    parts += [f'<text x="16" y="{place * _CELL + 14}">{name}</text>' for place, name in enumerate(_WEEKDAYS)]
    return _svg(parts, _LEFT + 54 * _CELL, 5 * _CELL + 4)


def _rect(cell: Cell, left: float, top: float, width: float) -> str:
    return (
        f'<rect x="{left}" y="{top}" width="{width - 2}" height="{_CELL - 2}" fill="{cell.colour}">'
        f"<title>{html.escape(cell.words)}</title></rect>"
    )


def _svg(parts: Sequence[str], width: float, height: float) -> str:
    return f'<svg width="{width}" height="{height}" xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
