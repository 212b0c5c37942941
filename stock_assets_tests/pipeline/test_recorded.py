"""Everything that was recorded of BaoStock's unadjusted bars, through wire, client and pipeline into the store."""

import csv
import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

from stock_assets.domain.answers import Answer
from stock_assets.domain.calendar import SHANGHAI, TradingCalendar
from stock_assets.domain.codes import parse_code
from stock_assets.domain.tables import RAW_BAOSTOCK_DAILY, STOCK_DAILY
from stock_assets.pipeline.context import PipelineContext
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.pipeline.report import IngestReport
from stock_assets.quality.findings import WHOLE_DAY
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.recorded import RecordedMarket
from stock_assets.sources.baostock.client import BaoStockClient, connector
from stock_assets.sources.baostock.pool import BaoStockPool
from stock_assets.sources.exchange_calendar import exchange_calendar
from stock_assets.storage import bars, coverage, rejects
from stock_assets.storage.database import Database
from stock_assets_tests.databases import Server, own_database

pytestmark = pytest.mark.slow
FIRST, LAST = date(1999, 11, 10), date(2025, 4, 7)
RECORDED_ROWS = 106_891
NUMBERS = {
    "open": "open", "high": "high", "low": "low", "close": "close", "preclose": "pre_close", "amount": "amount",
    "turn": "turnover_rate", "pctChg": "pct_chg", "peTTM": "pe_ttm", "pbMRQ": "pb_mrq", "psTTM": "ps_ttm",
    "pcfNcfTTM": "pcf_ncf_ttm",
}  # fmt: skip
# An anomaly that someone counted in the recording, and the rule of ours that must have noticed it.
RULES = {
    "move_over_20.6pct(IPO/relisting/no-limit)": "extreme_move",
    "pctChg_inconsistent_with_close_preclose": "pct_chg_inconsistent",
    "preclose_above_prev_close": "pre_close_above_previous_close",
}
SUSPENDED = {
    "suspended_volume_zero": ("0", "suspended_volume_zero"),
    "suspended_volume_empty_string": ("", "suspended_volume_empty"),
}
Record = dict[str, str]
Key = tuple[str, date]


class Watched(BaoStockClient):
    """The real client; remembers what it was asked for stock by stock."""

    def __init__(self, pool: BaoStockPool) -> None:
        super().__init__(pool)
        self.asked: list[tuple[str, date, date]] = []

    def daily_of_code(self, ts_code: str, start: date, end: date) -> Answer:
        self.asked.append((ts_code, start, end))
        return super().daily_of_code(ts_code, start, end)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The store after the whole span was loaded, and what it was loaded from."""

    database: Database
    source: Watched
    context: PipelineContext
    days: list[date]
    report: IngestReport

    @property
    def findings(self) -> pl.DataFrame:
        """What quality found."""
        with self.database.read() as conn:
            return rejects.read_findings(conn, FIRST, LAST)

    @property
    def bars(self) -> dict[Key, dict[str, object]]:
        """The stored bars."""
        with self.database.read() as conn:
            rows = bars.read_bars(conn, None, FIRST, LAST)
        return {(row["ts_code"], row["trade_date"]): row for row in rows.iter_rows(named=True)}


@pytest.fixture(scope="module")
def folder(recorded_data: Path) -> Path:
    return recorded_data / "recorded"


@pytest.fixture(scope="module")
def files(folder: Path) -> dict[str, list[Record]]:
    """The recorded files of unadjusted bars by name, as text, read with nothing of ours."""
    return {
        path.name: list(csv.DictReader(gzip.decompress(path.read_bytes()).decode().splitlines()))
        for path in sorted((folder / "baostock").glob("k_daily_adjustflag3_*.csv.gz"))
    }


@pytest.fixture(scope="module")
def anomalies(folder: Path, files: dict[str, list[Record]]) -> list[Record]:
    """The anomalies that were counted in these files when they were recorded."""
    with (folder / "ANOMALIES.csv").open(encoding="utf-8", newline="") as lines:
        return [row for row in csv.DictReader(lines) if row["file"] in files]


@pytest.fixture(scope="module")
def calendar(tmp_path_factory: pytest.TempPathFactory) -> TradingCalendar:
    return exchange_calendar(tmp_path_factory.mktemp("calendar"))


@pytest.fixture(scope="module")
def loaded(server: Server, migrated_template: str, folder: Path, calendar: TradingCalendar) -> Iterator[Loaded]:
    """The whole span in a database of this file."""
    with (
        own_database(server, migrated_template) as url,
        BaoStockServer(RecordedMarket(folder / "baostock")) as far_end,
    ):
        database = Database(url)
        pool = BaoStockPool(connector(host=far_end.host, port=far_end.port, timeout_seconds=30.0))
        source = Watched(pool)
        evening = datetime(LAST.year, LAST.month, LAST.day, 22, 0, tzinfo=SHANGHAI)
        context = PipelineContext(source, database, calendar, lambda: evening, run_id="recorded", slow_seconds=60.0)
        days = calendar.between(FIRST, LAST)
        yield Loaded(database, source, context, days, ingest_days(context, days))
        pool.close()
        database.close()


def key_of(record: Record) -> Key:
    return parse_code(record["code"]), date.fromisoformat(record["date"])


def is_same(text: str, value: object) -> bool:
    """Return whether a recorded number is the stored one; where one recording is silent another one may speak."""
    return not text or value == float(text)


def test_every_recorded_bar_is_stored_value_for_value(loaded: Loaded, files: dict[str, list[Record]]) -> None:
    stored = loaded.bars
    silent = {(key, name) for key, row in stored.items() for name, value in row.items() if value is None}
    for name, records in files.items():
        for record in records:
            key = key_of(record)
            row = stored[key]
            for theirs, ours in NUMBERS.items():
                assert is_same(record.get(theirs, ""), row[ours]), (name, key, theirs)
                if record.get(theirs):
                    silent.discard((key, ours))
            assert is_same(record["volume"], row["volume"]), (name, key)
            assert row["is_suspended"] is (record["tradestatus"] == "0"), (name, key)
            assert row["is_st"] is (record["isST"] == "1"), (name, key)
            assert record["adjustflag"] == "3"
    assert len(stored) == RECORDED_ROWS
    assert set(stored) == {key_of(record) for records in files.values() for record in records}
    told = {(key_of(record), ours) for records in files.values() for record in records
            for theirs, ours in (*NUMBERS.items(), ("volume", "volume")) if record.get(theirs)}  # fmt: skip
    # Null exactly where no recording says anything.
    assert silent.isdisjoint(told)


def test_raw_rows_hold_the_recorded_text_word_by_word(loaded: Loaded, files: dict[str, list[Record]]) -> None:
    columns = RAW_BAOSTOCK_DAILY.empty_text().columns
    names = ", ".join(f'"{name}"' for name in columns)
    with loaded.database.read() as conn:
        rows = conn.execute(sa.text(f"SELECT {names} FROM raw_baostock_daily")).all()  # noqa: S608  our own names
    stored = {(row.code, row.date): dict(zip(columns, row, strict=True)) for row in rows}
    assert len(stored) == len(rows) == RECORDED_ROWS
    spoken: set[tuple[str, str, str]] = set()
    for name, records in files.items():
        for record in records:
            raw = stored[record["code"], record["date"]]
            assert all(raw[column] == text for column, text in record.items() if text), (name, record, raw)
            spoken |= {(record["code"], record["date"], column) for column, text in record.items() if text}
    assert all(
        text == "" for (code, day), raw in stored.items() for column, text in raw.items()
        if (code, day, column) not in spoken
    )  # fmt: skip


def test_no_anomaly_of_the_recording_is_silent(
    loaded: Loaded, files: dict[str, list[Record]], anomalies: list[Record], calendar: TradingCalendar
) -> None:
    findings = loaded.findings
    found = set(findings.select("rule", "ts_code", "trade_date").iter_rows())
    details = {
        (row["rule"], row["trade_date"]): row["detail"]
        for row in findings.filter(pl.col("ts_code") == WHOLE_DAY).iter_rows(named=True)
    }
    with loaded.database.read() as conn:
        missing = set(coverage.missing_bars(conn, FIRST, LAST).iter_rows())
        assert rejects.read_rejected(conn, FIRST, LAST).is_empty()
    silent: list[Record] = []
    for anomaly in anomalies:
        records = files[anomaly["file"]]
        match anomaly["kind"]:
            case "missing_sessions":
                code = anomaly["code"]
                days = sorted(date.fromisoformat(record["date"]) for record in records if record["code"] == code)
                gone = sorted(set(calendar.between(days[0], days[-1])) - set(days))
                assert [len(gone), f"{gone[0]:%Y%m%d}"] == [number_in(anomaly["detail"]), anomaly["date"]]
                ours = parse_code(code)
                is_told = all((ours, day) in missing and ours in details.get(("bars_missing", day), "") for day in gone)
            case kind if kind in SUSPENDED:
                text, rule = SUSPENDED[kind]
                chosen = [row for row in records if row["tradestatus"] == "0" and row["volume"] == text]
                assert len(chosen) == number_in(anomaly["detail"])
                is_told = all((rule, date.fromisoformat(row["date"])) in details for row in chosen)
            case kind:
                day = date.fromisoformat(anomaly["date"])
                is_told = (RULES[kind], parse_code(anomaly["code"]), day) in found
        if not is_told:
            silent.append(anomaly)
    assert silent == []
    assert len(anomalies) == 30


def test_suspended_rows_are_counted_day_by_day(loaded: Loaded) -> None:
    told: dict[tuple[str, date], int] = {}
    for row in loaded.findings.filter(pl.col("rule").str.starts_with("suspended_volume")).iter_rows(named=True):
        told[row["rule"], row["trade_date"]] = number_in(row["detail"])
    held: dict[tuple[str, date], int] = {}
    for (_, day), bar in loaded.bars.items():
        if bar["is_suspended"] and not bar["volume"]:
            rule = "suspended_volume_empty" if bar["volume"] is None else "suspended_volume_zero"
            held[rule, day] = held.get((rule, day), 0) + 1
    assert told == held


def test_no_transaction_holds_more_than_a_few_hundred_days(loaded: Loaded) -> None:
    most = "SELECT max(days) FROM (SELECT count(*) AS days FROM load_ledger GROUP BY xmin::text) AS written"
    with loaded.database.read() as conn:
        assert conn.execute(sa.text(most)).scalar_one() <= 500


def test_loading_the_span_again_asks_only_for_what_the_source_does_not_have_and_writes_nothing(
    loaded: Loaded,
) -> None:
    before = {table: versions(loaded.database, table) for table in (STOCK_DAILY.name, RAW_BAOSTOCK_DAILY.name)}
    with loaded.database.read() as conn:
        gaps = coverage.missing_bars(conn, FIRST, LAST)
    stretches = gaps.group_by("ts_code").agg(
        pl.col("trade_date").min().alias("start"), pl.col("trade_date").max().alias("end")
    )
    loaded.source.asked.clear()
    report = ingest_days(loaded.context, loaded.days)
    assert sorted(loaded.source.asked) == sorted(stretches.iter_rows())
    assert (report.inserted, report.updated, report.failures) == (0, 0, [])
    assert {outcome.day for outcome in report.outcomes} == set(gaps["trade_date"])
    assert {table: versions(loaded.database, table) for table in before} == before


def number_in(detail: str) -> int:
    """Return the first number of a text."""
    found = re.search(r"\d+", detail)
    assert found is not None
    return int(found[0])


def versions(database: Database, table: str) -> tuple[int, str]:
    """Return a digest of every row's version, so that any write shows."""
    query = f"SELECT count(*), md5(string_agg(ctid::text || xmin::text, ',' ORDER BY ctid)) FROM {table}"  # noqa: S608  our own names
    with database.read() as conn:
        rows, digest = conn.execute(sa.text(query)).one()
    return rows, digest
