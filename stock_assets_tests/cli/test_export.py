"""`export` and `bars --as-of`, as people use them."""

import json
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

from stock_assets.wiring import Installation
from stock_assets_tests.cli.conftest import FIRST, LAST, Call
from stock_assets_tests.cli.test_look import WEEK, a_code


def test_export_says_how_much_it_wrote_and_the_files_hold_it(loaded: Installation, call: Call, tmp_path: Path) -> None:
    out = tmp_path / "data"
    said = call("export", "--table", "stock_daily", "--out", str(out))
    frame = pl.read_parquet(out / "stock_daily" / "**" / "*.parquet")
    with loaded.database.read() as conn:
        assert frame.height == conn.scalar(sa.text("SELECT count(*) FROM stock_daily")) > 0
    size = sum(path.stat().st_size for path in out.rglob("*.parquet")) / 1e6
    assert said.code == 0
    assert said.out == f"{out / 'stock_daily'} written: 1 files, {frame.height:,} rows, {size:,.1f} MB\n"
    assert f"{frame.height}/{frame.height} rows, 100%" in said.err


def test_export_takes_codes_and_days(loaded: Installation, call: Call, tmp_path: Path) -> None:
    code = a_code(loaded)
    asked = ("export", "--table", "stock_daily", "--codes", f"sh.{code[:6]}" if code.endswith("SH") else code[:6])
    said = call(*asked, "--start", str(FIRST), "--end", f"{FIRST:%Y%m%d}", "--out", str(tmp_path))
    assert said.code == 0
    frame = pl.read_parquet(tmp_path / "stock_daily" / "stock_daily-2026.parquet")
    assert frame.select("ts_code", "trade_date").rows() == [(code, FIRST)]


@pytest.mark.usefixtures("loaded")
def test_export_without_rows_writes_nothing_and_says_so(call: Call, tmp_path: Path) -> None:
    said = call("export", "--table", "stock_daily", "--end", "1995-01-01", "--out", str(tmp_path))
    assert (said.code, said.out) == (0, "")
    assert "nothing was written" in said.err
    assert list(tmp_path.rglob("*.parquet")) == []


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--table", "prices", "--out", "x"), "must be one of trading_day, security"),
        (("--table", "stock_daily"), "--out is missing"),
        (("--table", "security", "--start", "2026-01-01", "--out", "x"), "no column of days"),
        (("--table", "trading_day", "--codes", "600000", "--out", "x"), "cannot be read by codes"),
        (("--table", "stock_daily", "--start", "2026-02-01", "--end", "2026-01-01", "--out", "x"), "before it starts"),
        (("--table", "stock_daily", "--out", "file/below"), "file/below cannot be written"),
    ],
)
def test_a_wrong_export_is_one_sentence(call: Call, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    (tmp_path / "file").touch()
    said = call("export", *arguments)
    assert (said.code, said.out) == (2, "")
    assert words in said.err
    assert said.err.count("\n") == 1


@pytest.mark.usefixtures("no_store")
def test_export_of_a_store_that_is_down_shows_no_password(call: Call, tmp_path: Path) -> None:
    said = call("export", "--table", "stock_daily", "--out", str(tmp_path))
    assert said.code == 69
    assert "pa55" not in said.everything


def test_bars_as_of_reads_what_the_store_knew(loaded: Installation, call: Call) -> None:
    code = a_code(loaded)
    asked = ("bars", code, *WEEK, "--format", "json")
    before = json.loads(call(*asked).out)
    known = loaded.now() + timedelta(hours=1)
    with loaded.database.begin() as conn:
        update = "UPDATE stock_daily SET close = low, updated_at = :now WHERE ts_code = :code AND trade_date = :day"
        conn.execute(sa.text(update), {"now": known + timedelta(hours=1), "code": code, "day": LAST})
    after = json.loads(call(*asked).out)
    assert before != after
    assert json.loads(call(*asked, "--as-of", known.isoformat()).out) == before
    # Without a zone it is Shanghai's time; a day means its end.
    assert json.loads(call(*asked, "--as-of", f"{known:%Y-%m-%dT%H:%M:%S}").out) == before
    assert json.loads(call(*asked, "--as-of", "2026-11-22").out) == after
    assert call(*asked, "--as-of", "2020-01-01").out == "[]\n"
    said = call(*asked, "--as-of", "yesterday")
    assert said.code == 2
    assert "2026-11-20T18:30" in said.err
