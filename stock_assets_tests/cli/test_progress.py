"""Progress: a bar with rows, percent and time left on a terminal, plain lines elsewhere."""

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from stock_assets.cli.progress import ProgressDisplay
from stock_assets.domain.errors import Language
from stock_assets.pipeline.context import DAYS_COUNTED, STOCKS_COUNTED


def shown(language: Language, *, is_terminal: bool, rows: int = 3218) -> str:
    """Return what a load of two parts leaves on a console of 80 cells, without the codes that move and colour."""
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=is_terminal, color_system=None, legacy_windows=False)
    with ProgressDisplay(console, language) as display:
        for done in range(1, 8701):
            display(done=done, total=8700, rows=done * rows, label="2026-11-19")
        if is_terminal:
            # What the next tenth of a second would have shown.
            display._bar.refresh()  # pyright: ignore[reportPrivateUsage]
        for done in range(1, 4):
            display(done=done, total=3, rows=0, label="2026-11-20")
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())


@pytest.mark.parametrize(
    ("language", "rows", "left"), [("zh", "27,996,600 行", "剩余"), ("en", "27,996,600 rows", "left")]
)
def test_a_terminal_shows_calls_percent_rows_and_time_left_on_one_line(
    language: Language, rows: str, left: str
) -> None:
    text = shown(language, is_terminal=True)
    shape = rf"2026-11-19 \S+ 8700/8700 100% {rows} {left} 0:00:00"
    line = re.search(shape, text)
    assert line is not None, text[-400:]
    assert cell_len(line[0]) <= 80
    assert "3/3" in text


def test_elsewhere_a_part_ends_with_one_line_and_says_nothing_of_rows_before_any_landed() -> None:
    assert shown("en", is_terminal=False).splitlines() == [
        "8700/8700 calls, 100%, 27,996,600 rows, 2026-11-19",
        "3/3 calls, 100%, 2026-11-20",
    ]


@pytest.mark.parametrize(
    ("language", "lines"),
    [
        ("zh", ["2/2 次请求，100%，x", "5/5 只股票，100%，600000.SH", "5/5 天，100%，x", "9/9 次请求，100%，x"]),
        ("en", ["2/2 calls, 100%, x", "5/5 stocks, 100%, 600000.SH", "5/5 days, 100%, x", "9/9 calls, 100%, x"]),
    ],
)
def test_each_part_names_what_it_counts(language: Language, lines: list[str]) -> None:
    stream = io.StringIO()
    with ProgressDisplay(Console(file=stream, width=80), language) as display:
        display(done=2, total=2, rows=0, label="x")
        display(done=5, total=5, rows=0, label="600000.SH", counted=STOCKS_COUNTED)
        display(done=5, total=5, rows=0, label="x", counted=DAYS_COUNTED)
        display(done=9, total=9, rows=0, label="x")
    assert stream.getvalue().splitlines() == lines


def test_a_long_part_says_every_ten_seconds_how_much_time_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr("stock_assets.pipeline.progress_lines.time.monotonic", lambda: float(next(clock)))
    stream = io.StringIO()
    with ProgressDisplay(Console(file=stream, width=80), "en") as display:
        for done in range(1, 9):
            display(done=done, total=8, rows=done, label="x")
    lines = stream.getvalue().splitlines()
    assert 2 <= len(lines) < 8
    assert re.fullmatch(r"\d/8 calls, \d+%, \d rows, about 0:00:\d\d left, x", lines[0])
