"""Recorded Tushare answers come out of the server as they were recorded."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from pydantic import SecretStr

from stock_assets.domain.answers import Answer, Rows
from stock_assets.simulator.tushare_recorded import RecordedTushare
from stock_assets.simulator.tushare_server import TOKEN, TushareServer
from stock_assets.sources.tushare.client import TushareClient

DAY = date(2026, 4, 1)


@pytest.fixture(scope="module")
def folder(recorded_data: Path) -> Path:
    return recorded_data / "recorded" / "tushare"


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TushareClient]:
    with TushareServer(RecordedTushare(folder), points=5000) as server:
        client = TushareClient(SecretStr(TOKEN), addresses=[server.url], attempts=1)
        yield client
        client.close()


def recorded(path: Path) -> list[dict[str, str]]:
    data = path.read_bytes()
    return list(csv.DictReader((gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines()))


def said(answer: Answer) -> list[dict[str, str | None]]:
    assert isinstance(answer, Rows), answer
    return answer.frame.to_dicts()


def as_recorded(rows: list[dict[str, str | None]], record: dict[str, str]) -> list[dict[str, str]]:
    """Return the rows' columns that were recorded, as the recorder wrote them."""
    return [{name: row[name] or "" for name in record} for row in rows]


@pytest.mark.parametrize("api", ["daily", "adj_factor", "daily_basic"])
def test_a_recorded_market_day_comes_out_verbatim(client: TushareClient, folder: Path, api: str) -> None:
    rows = recorded(folder / f"{api}_20260401.csv.gz")
    shown = said(getattr(client, f"{api}_of_day")(DAY))
    assert as_recorded(shown, rows[0]) == sorted(rows, key=lambda row: row["ts_code"])
    assert len(shown) == 5470


def test_recorded_histories_come_out_verbatim_newest_first(client: TushareClient, folder: Path) -> None:
    rows = recorded(folder / "daily_2020-2024.csv.gz")
    for code in dict.fromkeys(row["ts_code"] for row in rows):
        shown = said(client.daily_of_code(code, date(2020, 1, 1), date(2024, 12, 31)))
        assert as_recorded(shown, rows[0]) == [row for row in rows if row["ts_code"] == code]


@pytest.mark.parametrize("code", ["600519.SH", "600036.SH", "002594.SZ"])
def test_recorded_reports_come_with_their_doubles(client: TushareClient, folder: Path, code: str) -> None:
    rows = recorded(folder / "by_stock" / f"fina_indicator_{code}.csv")
    shown = said(client.fina_indicator(code, date(2020, 1, 1), date(2025, 12, 31)))
    key = ("end_date", "ann_date")
    assert sorted(as_recorded(shown, rows[0]), key=str) == sorted(rows, key=str)
    assert len({tuple(row[name] for name in key) for row in rows}) <= len(rows)


def test_the_calendar_and_the_stocks_come_out(client: TushareClient) -> None:
    calendar = said(client.trade_cal(date(2024, 2, 1), date(2024, 2, 29)))
    assert len(calendar) == 29
    assert sum(row["is_open"] == "1" for row in calendar) == 15
    stocks = {row["ts_code"]: row["name"] for row in said(client.stock_basic())}
    assert stocks["600000.SH"] == "浦发银行"
    assert {row["ts_code"] for row in said(client.daily_of_day(DAY))} <= set(stocks)


def test_a_folder_without_bars_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="daily"):
        RecordedTushare(tmp_path)
    (tmp_path / "daily_20240102.csv").write_text("ts_code,trade_date\n600000.SH,20240102\n")
    with pytest.raises(FileNotFoundError, match="calendar"):
        RecordedTushare(tmp_path)
