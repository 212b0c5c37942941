"""The six quarterly tables: in the real server's frames, of the same companies that Tushare's simulator reports on."""

import csv
import gzip
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.base import BAR_FIELDS, QUARTERLY_FIELDS
from stock_assets.simulator.market import SimulatedMarket
from stock_assets.simulator.methods import METHODS, Knowledge
from stock_assets.simulator.recorded import RecordedMarket
from stock_assets.simulator.tushare_base import SERVICES
from stock_assets.simulator.tushare_market import SimulatedTushare
from stock_assets.simulator.wire import decode_request, decode_response, decode_rows, encode_response
from stock_assets.sources.baostock.translate_finance import SOURCES, joined, translate_finance
from stock_assets_tests.simulator.official_client import rows_of
from stock_assets_tests.simulator.raw_client import RawClient

SEED, LAST, FOREVER = 20240102, date(2024, 12, 20), date(2030, 1, 1)
PERIODS = [date(2022, 3, 31), date(2022, 6, 30), date(2022, 9, 30), date(2022, 12, 31)]
TABLES = list(QUARTERLY_FIELDS)

# The official client leaves sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module")
def stocks(market: SimulatedMarket) -> list[str]:
    """Twenty listed stocks."""
    return [row[0] for row in market.stock_basic(LAST) if row[4] == "1" and row[5] == "1"][:20]


def ask(raw: RawClient, table: str, code: str, year: str, quarter: str) -> tuple[str, ...]:
    (number,) = [number for number, method in METHODS.items() if method.name == table]
    return raw.ask(number, table, "anonymous", "1", "2000", code, year, quarter).parts


@pytest.mark.parametrize("table", TABLES)
def test_the_official_client_reads_every_quarterly_table(
    client: ModuleType, market: SimulatedMarket, server: BaoStockServer, table: str
) -> None:
    result = getattr(client, table)(code="sh.600000", year=2023, quarter=2)
    rows = rows_of(result)
    assert rows == list(market.quarterly(table, "sh.600000", date(2023, 6, 30), LAST))
    assert result.fields == list(QUARTERLY_FIELDS[table])
    assert (rows[0][0], rows[0][2]) == ("sh.600000", "2023-06-30")
    assert "2023-07-15" <= rows[0][1] <= "2023-08-31"
    assert server.requests[table] == 1


@pytest.mark.parametrize("table", TABLES)
def test_a_recorded_report_is_answered_byte_for_byte(recorded_data: Path, tmp_path: Path, table: str) -> None:
    request, response = (
        (recorded_data / "baostock_frames" / table / name).read_bytes() for name in ("request.bin", "response.bin")
    )
    asked, told = decode_request(request), decode_response(response)
    with (tmp_path / f"{table}.csv").open("w", newline="") as file:
        csv.writer(file).writerows([told.parts[-1].split(","), *decode_rows(told.parts[6])])
    bar = ["2024-01-02", "sh.600000", *["1.0000"] * 16]
    (tmp_path / "k_daily_adjustflag3_a.csv").write_text(f"{','.join(BAR_FIELDS)}\n{','.join(bar)}\n")
    market = RecordedMarket(tmp_path, sessions=[date(2024, 1, 2)])
    answer = METHODS[asked.message_type].answer(market, Knowledge(FOREVER, FOREVER), asked.parts)
    assert encode_response(answer.to_frame()) == response


@pytest.mark.parametrize("table", TABLES)
def test_what_is_not_there_is_success_with_the_empty_string(
    market: SimulatedMarket, server: BaoStockServer, table: str
) -> None:
    unborn = next(code for code in market.codes if not any(row[0] == code for row in market.stock_basic(LAST)))
    asked = [
        ("sh.600000", "2024", "4"),
        ("sh.600000", "2029", "1"),
        ("sh.000001", "2023", "2"),
        ("sh.999999", "2023", "2"),
        (unborn, "2023", "2"),
    ]
    with RawClient(server) as raw:
        for code, year, quarter in asked:
            parts = ask(raw, table, code, year, quarter)
            assert parts == ("0", "success", table, "anonymous", "1", "2000", "", code, year, quarter,
                ",".join(QUARTERLY_FIELDS[table]))  # fmt: skip


def test_a_report_is_there_from_its_announcement_on_in_all_tables_at_once(market: SimulatedMarket) -> None:
    announced = date.fromisoformat(market.quarterly(TABLES[0], "sh.600000", PERIODS[1], LAST)[0][1])
    for table in TABLES:
        assert market.quarterly(table, "sh.600000", PERIODS[1], announced - timedelta(days=1)) == []
        assert market.quarterly(table, "sh.600000", PERIODS[1], announced)[0][1] == announced.isoformat()
    with BaoStockServer(market, last_ready_day=announced - timedelta(days=1)) as server, RawClient(server) as raw:
        assert ask(raw, TABLES[0], "sh.600000", "2022", "2")[6] == ""
        server.last_ready_day = announced
        assert decode_rows(ask(raw, TABLES[0], "sh.600000", "2022", "2")[6])[0][1] == announced.isoformat()


def test_a_quarter_that_is_none_is_refused(server: BaoStockServer) -> None:
    with RawClient(server) as raw:
        for year, quarter in (("2023", "5"), ("2023", "0"), ("2023", ""), ("0", "1"), ("20x3", "1"), ("12023", "1")):
            assert ask(raw, TABLES[0], "sh.600000", year, quarter) == ("10004006", "参数错误")
        assert raw.ask("17", TABLES[0], "anonymous", "1", "2000", "sh.600000").parts[1] == "请求参数个数不正确"


def test_both_sources_say_the_same_of_the_same_report(market: SimulatedMarket, stocks: list[str]) -> None:
    tushare = SimulatedTushare(market, seed=SEED)
    service = SERVICES["fina_indicator"]
    names = {f"{code[3:]}.{code[:2].upper()}": code for code in stocks}
    window = {"ts_code": ",".join(names), "start_date": "20220101", "end_date": "20221231"}
    told = [dict(zip(service.fields, row, strict=True)) for row in tushare.rows(service, window, LAST)]
    found = 0
    for ts_code, period in product(names, PERIODS):
        answers = {
            table: pl.DataFrame(list(rows), schema=dict.fromkeys(fields, pl.String()), orient="row")
            for table, fields in QUARTERLY_FIELDS.items()
            if (rows := market.quarterly(table, names[ts_code], period, LAST))
        }
        theirs = [row for row in told if (row["ts_code"], row["end_date"]) == (ts_code, f"{period:%Y%m%d}")]
        assert bool(theirs) == bool(answers)
        if not theirs:
            continue
        translated = translate_finance(joined(answers))
        assert translated.unreadable == ()
        ours = translated.frame.row(0, named=True)
        assert f"{ours['ann_date']:%Y%m%d}" == min(str(row["ann_date"]) for row in theirs)
        newest = [row for row in theirs if row["ann_date"] == max(str(row["ann_date"]) for row in theirs)]
        newest = [row for row in newest if row["update_flag"] == max(str(row["update_flag"]) for row in newest)]
        assert {name: ours[name] for name in SOURCES} in [{name: row[name] for name in SOURCES} for row in newest]
        found += 1
    assert found > 50


def test_a_restated_report_changes_in_silence(market: SimulatedMarket, stocks: list[str]) -> None:
    changed = 0
    for code, period in product(stocks, PERIODS):
        (early,) = market.quarterly(TABLES[0], code, period, date(2023, 5, 31)) or [[]]
        (late,) = market.quarterly(TABLES[0], code, period, LAST) or [[]]
        if early:
            assert early[:3] == late[:3]
            changed += early != late
    assert 0 < changed < 0.15 * len(stocks) * len(PERIODS)


def test_every_recorded_report_is_served_verbatim(recorded_data: Path) -> None:
    folder = recorded_data / "recorded" / "baostock"
    market = RecordedMarket(folder)
    files = [path for pattern in ("query_*_data_*", "fundamentals_*/query_*") for path in sorted(folder.glob(pattern))]
    seen: set[tuple[str, str, str]] = set()
    for path in files:
        table = next(table for table in TABLES if path.name.startswith(table))
        data = path.read_bytes()
        columns, *rows = csv.reader((gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines())
        assert tuple(columns) == QUARTERLY_FIELDS[table]
        for row in rows:
            # The newer recording of a report that two files have is served.
            if (table, row[0], row[2]) not in seen:
                assert market.quarterly(table, row[0], date.fromisoformat(row[2]), FOREVER) == [row]
                seen.add((table, row[0], row[2]))
    assert len(seen) == 2 * 18_323 + 4 * 54 + 2 * 24
    assert market.quarterly(TABLES[0], "sh.600000", date(2020, 3, 31), date(2020, 4, 1)) == []
