"""The finance command: what was known on a day, the same in every format."""

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import date
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.wiring import Installation
from stock_assets_tests.cli.conftest import Call
from stock_assets_tests.house.repository import ROOT
from stock_assets_tests.quality.made_up_reports import QUARTER, YEAR, report
from stock_assets_tests.storage.test_finance import hear


@pytest.fixture(autouse=True)
def _told(new_installation: Callable[..., Installation]) -> None:  # pyright: ignore[reportUnusedFunction]  pytest's
    """A year announced in March and restated in October, and a quarter."""
    with new_installation().database.begin() as conn:
        rows = [
            report(date(2024, 3, 28), eps=1.5, roe=8.8887, rd_exp=0.1),
            report(date(2024, 4, 26), end=QUARTER, eps=0.4),
            report(date(2024, 10, 8), eps=1.25, roe=7.5),
        ]
        hear(conn, *rows, on=date(2024, 10, 8))


@pytest.mark.parametrize(
    ("day", "known"),
    [
        ("2024-03-28", []),
        ("20240329", [(YEAR, 1.5)]),
        ("2024-04-29", [(YEAR, 1.5), (QUARTER, 0.4)]),
        ("2024-10-08", [(YEAR, 1.5), (QUARTER, 0.4)]),
        ("2024-10-09T09:00", [(YEAR, 1.25), (QUARTER, 0.4)]),
        (None, [(YEAR, 1.25), (QUARTER, 0.4)]),
    ],
)
def test_a_day_shows_what_was_known_before_it_opened(
    call: Call, day: str | None, known: list[tuple[date, float]]
) -> None:
    asked = ("finance", "sh.600000", *(("--as-of", day) if day else ()), "--format", "json")
    found = json.loads(call(*asked).out)
    assert [(date.fromisoformat(row["end_date"]), row["eps"]) for row in found] == known


def test_every_format_but_the_table_has_every_column(call: Call, tmp_path: Path) -> None:
    asked = ("finance", "600000", "--as-of", "2024-06-30")
    out = tmp_path / "finance.parquet"
    assert call(*asked, "--out", str(out)).code == 0
    frame = pl.read_parquet(out)
    assert dict(frame.schema) == FINANCE_INDICATOR.schema
    (year, _) = csv.DictReader(io.StringIO(call(*asked, "--format", "csv").out))
    assert (year["rd_exp"], year["roe"], year["known_from"]) == ("0.1", "8.8887", "2024-03-29")
    assert json.loads(call(*asked, "--format", "json").out)[0].keys() == year.keys() == dict(frame.schema).keys()
    table = call(*asked).out
    assert "8.89" in table
    assert "known from" in table
    assert "rd_exp" not in table


def test_every_version_can_be_listed(call: Call) -> None:
    found = json.loads(call("finance", "600000", "--versions", "--end", "2023-12-31", "--format", "json").out)
    assert [(row["ann_date"], row["eps"]) for row in found] == [("2024-03-28", 1.5), ("2024-10-08", 1.25)]
    assert call("finance", "600000", "--versions").code == 0
    assert call("finance", "600000", "--versions", "--as-of", "2024-06-30").code == 2


def test_no_head_is_left_in_english_in_chinese_mode(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCK_ASSETS_LANGUAGE", "zh")
    lines = call("finance", "600000").out.splitlines()
    (head,) = (head for head, below in pairwise(lines) if set(below) == {"─"})
    assert "可用日" in head
    assert [word for word in head.split() if word.isascii()] == []


def test_every_example_of_the_page_runs(call: Call, new_installation: Callable[..., Installation]) -> None:
    page = (ROOT / "docs" / "finance.md").read_text(encoding="utf-8")
    # Loading and its price have a page's tests of their own (see test_examples).
    commands = re.findall(r"^uv run stock-assets (finance .*?)(?: +#.*)?$", page, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        said = call(*command.split())
        assert (said.code, said.err) == (0, ""), command
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, pl.DataFrame] = {}
    exec(code, names)  # noqa: S102  the page's own example
    assert [names[name].height for name in ("latest", "known", "market", "versions")] == [2, 2, 1, 3]
    (statements,) = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    with new_installation().database.read() as conn:
        rows = [conn.exec_driver_sql(statement).all() for statement in statements.strip().rstrip(";").split(";\n")]
    assert [len(found) for found in rows] == [2, 1]


def test_what_cannot_be_answered_is_said(call: Call) -> None:
    assert "nothing was known of 600000.SH" in call("finance", "600000", "--as-of", "2024-03-28").err
    assert "no finance indicators of 600001.SH" in call("finance", "600001").err
    assert call("finance", "600000", "--format", "parquet").code == 2
    assert call("finance", "600000", "--start", "2024-03-31", "--end", "2023-12-31").code == 2
