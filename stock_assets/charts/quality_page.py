"""The quality of a day as one page that needs nothing else: its pictures are inside, no other host is asked."""

import html
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from stock_assets.charts.style import BLUE, DOWN, FAINT, GRID, INK, ORANGE, PAPER, UP

Tone = Literal["good", "look", "bad", "absent"]
_TONES: Final[dict[Tone, str]] = {"good": DOWN, "look": ORANGE, "bad": UP, "absent": FAINT}
# The reader's own: of each system the one that has Chinese.
_FONTS: Final = (
    "'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', 'Noto Sans SC', 'WenQuanYi Micro Hei', sans-serif"
)
_FIXED: Final = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_STYLE: Final = f"""
* {{ box-sizing: border-box; }}
body {{ margin: 0; padding: 28px 32px 48px; background: {PAPER}; color: {INK}; font: 14px/1.55 {_FONTS}; }}
main {{ max-width: 960px; margin: 0 auto; }}
header {{ display: flex; align-items: baseline; gap: 14px; flex-wrap: wrap; }}
h1 {{ font-size: 24px; margin: 0; font-weight: 600; }}
h2 {{ font-size: 16px; margin: 32px 0 10px; font-weight: 600; }}
h2.nothing {{ margin: 16px 0 0; }}
h2 small, .faint, th small {{ color: {FAINT}; font-weight: 400; font-size: 12px; }}
.grade {{ color: {PAPER}; border-radius: 4px; padding: 2px 10px; font-size: 14px; }}
.tiles {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 10px; margin: 20px 0 8px; }}
.tile {{ border: 1px solid {GRID}; border-radius: 6px; padding: 10px 14px; }}
.tile b {{ display: block; font-size: 22px; font-weight: 600; line-height: 1.3; }}
.tile span {{ color: {FAINT}; font-size: 12px; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
th {{ text-align: left; font-weight: 600; font-size: 13px; border-bottom: 1px solid {INK}; padding: 5px 14px 5px 0; white-space: nowrap; }}
td {{ border-bottom: 1px solid {GRID}; padding: 5px 14px 5px 0; vertical-align: top; }}
td.number, th.number {{ text-align: right; white-space: nowrap; }}
td.word {{ white-space: nowrap; }}
td.long {{ overflow-wrap: anywhere; }}
.dot {{ display: inline-block; width: 9px; height: 9px; border-radius: 50%; margin-right: 7px; }}
code {{ font: 13px/1.5 {_FIXED}; background: #F6F7F9; border-radius: 4px; padding: 2px 7px; }}
ul.commands {{ list-style: none; padding: 0; margin: 0; }}
ul.commands li {{ margin: 4px 0; }}
img {{ display: block; max-width: 100%; height: auto; margin: 12px 0 4px; }}
a {{ color: {BLUE}; }}
@media print {{ body {{ padding: 0; }} h2 {{ break-after: avoid; }} tr {{ break-inside: avoid; }} }}
"""


@dataclass(frozen=True, slots=True)
class Tile:
    """One number that is read first; `label` in both languages."""

    label: str
    value: str
    tone: Tone | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its head, and whether it holds numbers, short words or long text."""

    head: str
    kind: Literal["number", "word", "long"] = "word"


@dataclass(frozen=True, slots=True)
class Section:
    """A table with its heading; `tones` gives each row a dot. Without rows `nothing` is said. `note` stands below."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    nothing: str
    tones: Sequence[Tone] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityPage:
    """What the page shows, in order: heading, verdict, numbers, pictures (description and PNG), commands, tables."""

    title: str
    grade: Tone
    verdict: str
    facts: str
    tiles: Sequence[Tile]
    pictures: Sequence[tuple[str, bytes]]
    commands: Sequence[str]
    sections: Sequence[Section]


def quality_page(page: QualityPage) -> str:
    """Return the page as HTML; the same content gives the same bytes."""
    title = html.escape(page.title)
    tiles = "".join(_tile(tile) for tile in page.tiles)
    pictures = "".join(
        f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{b64encode(png).decode("ascii")}">\n'
        for alt, png in page.pictures
    )
    commands = "".join(f"<li><code>{html.escape(command)}</code></li>" for command in page.commands)
    to_do = f'<h2>下一步 <small>Next</small></h2>\n<ul class="commands">{commands}</ul>\n' if commands else ""
    sections = "".join(_section(section) for section in page.sections)
    return (
        f'<!DOCTYPE html>\n<html lang="zh-CN">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<header><h1>{title}</h1>"
        f'<span class="grade" style="background:{_TONES[page.grade]}">{html.escape(page.verdict)}</span></header>\n'
        f'<p class="faint">{html.escape(page.facts)}</p>\n<div class="tiles">{tiles}</div>\n'
        f"{pictures}{to_do}{sections}</main>\n</body>\n</html>\n"
    )


def _tile(tile: Tile) -> str:
    colour = "" if tile.tone is None else f' style="color:{_TONES[tile.tone]}"'
    return f'<div class="tile"><b{colour}>{html.escape(tile.value)}</b><span>{html.escape(tile.label)}</span></div>'


def _section(section: Section) -> str:
    zh, _, en = section.title.partition(" | ")
    if not section.rows:
        return f'<h2 class="nothing">{html.escape(zh)} <small>{html.escape(en)}　{html.escape(section.nothing)}</small></h2>\n'
    heading = f"<h2>{html.escape(zh)} <small>{html.escape(en)}</small></h2>\n"
    note = f'<p class="faint">{html.escape(section.note)}</p>\n' if section.note else ""
    heads = "".join(_head(column) for column in section.columns)
    tones: Sequence[Tone | None] = section.tones or [None] * len(section.rows)
    rows = "\n".join(_row(section.columns, row, tone) for row, tone in zip(section.rows, tones, strict=True))
    return f'{heading}<div class="wide"><table>\n<tr>{heads}</tr>\n{rows}\n</table></div>\n{note}'


def _head(column: Column) -> str:
    zh, _, en = column.head.partition(" | ")
    return f'<th class="{column.kind}">{html.escape(zh)} <small>{html.escape(en)}</small></th>'


def _row(columns: Sequence[Column], row: Sequence[str], tone: Tone | None) -> str:
    dot = "" if tone is None else f'<span class="dot" style="background:{_TONES[tone]}"></span>'
    cells = [
        f'<td class="{column.kind}">{dot if place == 0 else ""}{html.escape(cell)}</td>'
        for place, (column, cell) in enumerate(zip(columns, row, strict=True))
    ]
    return f"<tr>{''.join(cells)}</tr>"
