"""Tables for people: nothing is cut, points stand under each other, heads are in their language."""

from datetime import date

import polars as pl
import pytest
from rich.cells import cell_len
from rich.console import Console

from stock_assets.cli.tables import fitting_table, heads
from stock_assets.domain.errors import Language
from stock_assets.domain.finance_tables import VALUES
from stock_assets.storage.tables import TABLES

FRAME = pl.DataFrame(
    {
        "ts_code": ["600000.SH", "000001.SZ"],
        "trade_date": [date(2026, 11, 19), date(2026, 11, 20)],
        "close": [23.3, 1024.256],
        "pct_chg": [-1.0, 9.98765],
        "volume": [12_345_678, None],
        "is_suspended": [False, True],
        "name": ["[浦发]银行", "平安银行"],
    }
)


def printed(width: int, language: Language = "en") -> tuple[list[str], int]:
    """Return the lines of the table on a terminal of `width` cells, and the columns that had no room."""
    table, left_out = fitting_table(FRAME, language, width=width, title=None)
    console = Console(width=width, record=True, force_terminal=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get().splitlines(), left_out


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_no_value_is_cut_or_broken_however_narrow_the_terminal_is(width: int, language: Language) -> None:
    lines, left_out = printed(width, language)
    assert len(lines) == 2 + FRAME.height
    assert "…" not in "".join(lines)
    assert max(cell_len(line) for line in lines) <= width
    assert (left_out > 0) == (width < 80)


def test_values_are_written_for_people() -> None:
    lines, _ = printed(120)
    assert lines[2].split() == ["600000.SH", "2026-11-19", "23.300", "-1.00", "12,345,678", "no", "[浦发]银行"]
    assert lines[3].split() == ["000001.SZ", "2026-11-20", "1,024.256", "9.99", "-", "yes", "平安银行"]


def test_heads_are_chinese_where_people_read_chinese() -> None:
    lines, _ = printed(120, "zh")
    assert lines[0].split() == ["证券代码", "交易日", "收盘价", "涨跌幅%", "成交量", "停牌", "证券简称"]
    assert "是" in lines[3]


def test_most_columns_of_the_store_have_a_short_chinese_head() -> None:
    named = heads()
    columns = {column.name for table in TABLES if not table.name.startswith("raw_") for column in table.columns}
    # Of a report's figures people see a dozen (see test_finance).
    unnamed = {name for name in columns if name not in named} - set(VALUES)
    assert unnamed <= {"previous_open", "row_text", "source_is_open"}
    assert max(len(head) for head in named.values()) <= 7
