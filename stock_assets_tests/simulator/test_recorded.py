import csv
import gzip
import time
from datetime import date
from pathlib import Path

import pytest

from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.base import BAR_FIELDS, AdjustFlag
from stock_assets.simulator.recorded import RecordedMarket
from stock_assets.simulator.wire import decode_rows
from stock_assets_tests.simulator.raw_client import RawClient

FIRST, FOREVER = date(1990, 1, 1), date(2030, 1, 1)


@pytest.fixture(scope="module")
def folder(recorded_data: Path) -> Path:
    return recorded_data / "recorded" / "baostock"


@pytest.fixture(scope="module")
def market(folder: Path) -> RecordedMarket:
    return RecordedMarket(folder)


def records(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the columns of a file and its rows."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    columns, *rows = csv.reader(text.splitlines())
    return columns, rows


def served(market: RecordedMarket, adjust: AdjustFlag, code: str) -> dict[str, list[str]]:
    return {row[0]: row for row in market.stock_bars(code, adjust, FIRST, FOREVER, FOREVER)}


def test_every_recorded_raw_bar_is_served_verbatim(market: RecordedMarket, folder: Path) -> None:
    lives = {code: served(market, "3", code) for code in market.codes}
    days = {day for life in lives.values() for day in life}
    by_day = {(row[0], row[1]): row for day in days for row in market.daily_bars(date.fromisoformat(day))}
    recorded: set[tuple[str, str]] = set()
    for path in folder.glob("k_daily_adjustflag3_*"):
        columns, rows = records(path)
        places = [BAR_FIELDS.index(name) for name in columns]
        for row in rows:
            recorded.add((row[0], row[1]))
            bar = lives[row[1]][row[0]]
            # A value that one recording left empty may come from another one.
            assert all(bar[place] == value for place, value in zip(places, row, strict=True) if value), (path, bar, row)
            assert by_day[row[0], row[1]] == bar
    assert len(recorded) == 106_891
    assert set(by_day) == recorded
    assert sum(len(life) for life in lives.values()) == len(recorded)


@pytest.mark.parametrize("adjust", ["1", "2"])
def test_every_recorded_adjusted_bar_of_the_fullest_files_is_served_verbatim(
    market: RecordedMarket, folder: Path, adjust: AdjustFlag
) -> None:
    compared = 0
    for path in folder.glob(f"k_daily_adjustflag{adjust}_20*"):
        columns, rows = records(path)
        if columns != list(BAR_FIELDS):
            continue
        lives = {code: served(market, adjust, code) for code in {row[1] for row in rows}}
        for row in rows:
            assert lives[row[1]][row[0]] == row, path
        compared += len(rows)
    assert compared > 20_000


def test_only_codes_with_bars_are_in_the_market(market: RecordedMarket) -> None:
    basic = market.stock_basic(FOREVER)
    assert [row[0] for row in basic] == list(market.codes)
    assert basic[0] == ["sh.600000", "浦发银行", "1999-11-10", "", "1", "1"]


def test_the_calendar_beside_the_recordings_is_found(market: RecordedMarket) -> None:
    rows = market.trade_dates(date(2024, 2, 8), date(2024, 2, 19))
    assert [row[0] for row in rows if row[1] == "1"] == ["2024-02-08", "2024-02-19"]
    assert len(rows) == 12


def test_derived_factors_are_served_when_no_answer_was_recorded(market: RecordedMarket, folder: Path) -> None:
    (path,) = folder.glob("DERIVED_back_adjust_factor*")
    _, rows = records(path)
    for code, ex_date, factor, *_ in rows:
        (row,) = [row for row in market.adjust_factors(code, FOREVER) if row[1] == ex_date]
        assert row[3] == row[4] == factor
    assert market.adjust_factors("sh.600000", FOREVER)[-1][2] == "1.000000"
    ex_day = market.daily_adjust_factors(date(2022, 7, 21), FOREVER)
    assert [row[0] for row in ex_day] == ["sh.600000"]


def test_the_recordings_are_loaded_within_seconds(folder: Path) -> None:
    started = time.perf_counter()
    RecordedMarket(folder)
    assert time.perf_counter() - started < 4.0


def test_a_server_hands_recorded_rows_out_unchanged(market: RecordedMarket) -> None:
    with BaoStockServer(market) as server, RawClient(server) as raw:
        day = date(2021, 6, 10)
        assert decode_rows(raw.ask_day(day.isoformat()).parts[4]) == list(market.daily_bars(day))
        suspended = [row for row in market.daily_bars(day) if row[11] == "0"]
        assert suspended[0][7:9] == ["0", "0.0000"]


@pytest.fixture
def made_up(tmp_path: Path) -> Path:
    """A folder with two files that hold the same bar, one with fewer columns."""
    full = ",".join(BAR_FIELDS)
    bar = "2024-01-02,sh.600001,1.0000,1.0000,1.0000,1.0000,1.0000,100,100.0000,3,,1,0.000000,2.000000,,,,0"
    (tmp_path / "k_daily_adjustflag3_a.csv").write_text("date,code,close,turn\n2024-01-02,sh.600001,1.0000,0.500000\n")
    (tmp_path / "k_daily_adjustflag3_b.csv").write_text(f"{full}\n{bar}\n")
    return tmp_path


def test_files_that_hold_the_same_bar_complete_each_other(made_up: Path) -> None:
    market = RecordedMarket(made_up, sessions=[date(2024, 1, 2), date(2024, 1, 4)])
    (row,) = market.daily_bars(date(2024, 1, 2))
    assert row[10] == "0.500000"
    assert row[13] == "2.000000"
    assert market.stock_basic(FOREVER) == [["sh.600001", "", "2024-01-02", "", "1", "1"]]
    assert market.trade_dates(FIRST, FOREVER) == [["2024-01-02", "1"], ["2024-01-03", "0"], ["2024-01-04", "1"]]


def test_a_folder_without_bars_or_calendar_is_refused(made_up: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="calendar"):
        RecordedMarket(made_up)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="adjustflag3"):
        RecordedMarket(tmp_path / "empty")
