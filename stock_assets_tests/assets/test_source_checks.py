"""What two sources said of the same days, compared where people look at it: agreeing, differing, and one alone."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest
from dagster import AssetCheckEvaluation, AssetCheckKey, AssetCheckSeverity, AssetKey, DagsterInstance

from stock_assets.assets.source_checks import NAME, agreement
from stock_assets.automation.jobs import DAILY
from stock_assets.definitions import build_definitions
from stock_assets.domain.tables import RAW_BAOSTOCK_DAILY, RAW_TUSHARE_DAILY
from stock_assets.pipeline.stored_answers import compare_stored
from stock_assets.simulator.market import SimulatedMarket
from stock_assets.simulator.tushare_base import Row, Service
from stock_assets.simulator.tushare_market import SimulatedTushare
from stock_assets.simulator.tushare_server import TOKEN, TushareServer
from stock_assets.sources.tushare.interfaces import INTERFACES
from stock_assets.storage.database import Database
from stock_assets.storage.raw import save_answer
from stock_assets.storage.rejects import read_findings
from stock_assets.wiring import Installation
from stock_assets_tests.assets.test_runs import run
from stock_assets_tests.pipeline.conftest import TODAY

RANGE = ("2026-11-16", "2026-11-20")
AGREEING, CENT, LOTS, MISSING, _ = (date(2026, 11, day) for day in range(16, 21))
LAST = date(2026, 11, 20)
CODE = "600000.SH"
CLOSE, VOLUME = 5, 9


class Altered(SimulatedTushare):
    """The same market, in which Tushare says something else of some days."""

    def rows(self, service: Service, params: Mapping[str, str], known: date) -> Iterator[Row]:
        for row in super().rows(service, params, known):
            changed = list(row)
            if service.name == "daily":
                day = str(row[1])
                if day == f"{MISSING:%Y%m%d}" and row[0] == CODE:
                    continue
                if day == f"{CENT:%Y%m%d}" and row[0] == CODE:
                    changed[CLOSE] = float(str(row[CLOSE])) + 0.01
                if day == f"{LOTS:%Y%m%d}":
                    # Shares where lots are expected.
                    changed[VOLUME] = round(float(str(row[VOLUME])) * 100)
            yield tuple(changed)


@pytest.fixture
def second_end(market: SimulatedMarket) -> Iterator[TushareServer]:
    """Tushare over the same made-up market, as fast as it is asked."""
    unlimited: Any = dict.fromkeys(INTERFACES, (1_000_000, "minute"))
    with TushareServer(Altered(market, None, seed=3), points=5000, limits=unlimited) as server:
        yield server


def told(instance: DagsterInstance) -> dict[str | None, AssetCheckEvaluation]:
    """Return the newest verdict of the check by day; under None the whole run's."""
    records = instance.event_log_storage.get_asset_check_execution_history(
        AssetCheckKey(AssetKey("stock_daily"), NAME), limit=100
    )
    found: dict[str | None, AssetCheckEvaluation] = {}
    for record in records:
        event = None if record.event is None else record.event.dagster_event
        if event is not None and isinstance(event.event_specific_data, AssetCheckEvaluation):
            found.setdefault(event.event_specific_data.partition, event.event_specific_data)
    return found


def facts(evaluation: AssetCheckEvaluation) -> dict[str, Any]:
    """Return the metadata as plain values."""
    return {name: value.value for name, value in evaluation.metadata.items()}


def test_a_run_shows_where_the_sources_agree_where_they_differ_and_where_only_one_has_told(
    installation: Installation,
    new_installation: Callable[..., Installation],
    second_end: TushareServer,
    instance: DagsterInstance,
) -> None:
    assert run(build_definitions(installation), instance, DAILY, RANGE).success
    alone = told(instance)
    assert {None, str(AGREEING), str(LAST)} <= set(alone)
    for evaluation in alone.values():
        assert evaluation.passed
        assert str(facts(evaluation)["verdict"]).startswith("one source only: baostock")
    assert facts(alone[None])["days of one source only"] == "baostock (5)"
    installation.close()

    other = new_installation(
        STOCK_ASSETS_SOURCE="tushare", TUSHARE_TOKEN=TOKEN, TUSHARE_URL=second_end.url, TUSHARE_MIN_INTERVAL="0"
    )
    result = run(build_definitions(other), instance, DAILY, RANGE, refetch=True)
    # A difference warns and blocks nothing; a whole day in other units blocks by the check of volume and amount alone.
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    errors = {check.check_name for check in failed if check.severity is AssetCheckSeverity.ERROR}
    assert errors == {"stock_daily_volume"}
    verdicts = told(instance)
    assert {day: verdicts[str(day)].passed for day in (AGREEING, CENT, LOTS, MISSING, LAST)} == {
        AGREEING: True,
        CENT: False,
        LOTS: False,
        MISSING: False,
        LAST: True,
    }
    assert {verdict.severity for verdict in verdicts.values()} == {AssetCheckSeverity.WARN}

    agreeing = facts(verdicts[str(AGREEING)])
    assert agreeing["verdict"] == "the sources agree"
    assert agreeing["stock-days compared"] > 20
    assert agreeing["differences that fail"] == 0
    assert "next step" not in agreeing

    cent = facts(verdicts[str(CENT)])
    assert cent["verdict"] == "the sources differ"
    assert cent["differences that fail"] == 1
    assert "| real | close | 1 | 0.005 (price_cny) | yes |" in cent["differences"]
    assert f"| {CODE} | {CENT} | close |" in cent["worst"]
    assert f"stock-assets bars {CODE} --start {CENT} --end {CENT}" in cent["next step"]
    assert f"STOCK_ASSETS_SOURCE=tushare stock-assets nightly --date {CENT}" in cent["next step"]

    lots = facts(verdicts[str(LOTS)])
    assert lots["differences that fail"] == lots["stock-days compared"]
    assert f"| unit | volume | {lots['stock-days compared']} | a power of ten" in lots["differences"]

    # The rows are stored, as everything that can be read is, and each is called what it is.
    with other.database.read() as conn:
        found = read_findings(conn, LOTS, LOTS).filter(pl.col("rule") == "units_inconsistent")
    assert found["severity"].to_list() == ["error"] * found.height
    assert found.height == lots["stock-days compared"]

    missing = facts(verdicts[str(MISSING)])
    assert missing["differences that fail"] == 1
    assert "| real | row | 1 | none | yes |" in missing["differences"]

    together = facts(verdicts[None])
    assert together["days compared"] == 5
    assert together["differences that fail"] == 2 + lots["differences that fail"]


def test_a_day_of_which_one_source_told_some_stocks_is_compared_on_these(database: Database) -> None:
    ours = [bar("sh.600000"), bar("sh.600004"), bar("sh.600006"), bar("sz.000001")]
    theirs = [["600000.SH", "20261116", "10", "10", "10", "10", "10", "0", "0", "1000", "1000"]]
    save(database, ours, theirs)
    with database.read() as conn:
        (only,) = compare_stored(conn, [AGREEING])
    assert (only.in_part, only.told_by) == ("tushare", ("baostock", "tushare"))
    assert only.result is not None
    assert (only.result.compared, only.result.is_passed) == (1, True)
    assert agreement([only]).metadata["days of some stocks only"].value == f"{AGREEING} (tushare)"


def test_beijing_alone_is_told_by_nobody_with_whom_it_could_be_compared(database: Database) -> None:
    save(database, [bar("sh.600000")], [["920001.BJ", "20261116", "10", "10", "10", "10", "10", "0", "0", "1", "1"]])
    with database.read() as conn:
        (only,) = compare_stored(conn, [AGREEING])
    assert (only.told_by, only.result) == (("baostock",), None)
    verdict = agreement([only], not_compared=7)
    assert verdict.passed
    assert verdict.metadata["older days not compared"].value == 7


def test_five_recorded_years_agree_through_the_check(recorded_data: Path, database: Database) -> None:
    folder = recorded_data / "recorded"
    theirs = read(folder / "tushare" / "daily_2020-2024.csv.gz")
    ours = pl.concat(
        [read(folder / "baostock" / f"k_daily_adjustflag3_{years}.csv.gz") for years in ("2020-2025", "2010-2024")],
        how="diagonal",
    ).unique(["code", "date"], keep="first")
    codes = {f"{code[-2:].lower()}.{code[:6]}" for code in theirs["ts_code"].unique()}
    ours = ours.filter(pl.col("code").is_in(list(codes)) & pl.col("date").is_between(pl.lit("2020"), pl.lit("2025")))
    columns = RAW_BAOSTOCK_DAILY.empty_text().columns
    missing = [pl.lit("").alias(name) for name in columns if name not in ours.columns]
    with database.begin() as conn:
        filled = ours.with_columns(missing).select(columns).fill_null("")
        save_answer(conn, RAW_BAOSTOCK_DAILY, filled, fetched_at=TODAY, run_id=None)
        save_answer(
            conn,
            RAW_TUSHARE_DAILY,
            theirs.select(RAW_TUSHARE_DAILY.empty_text().columns),
            fetched_at=TODAY,
            run_id=None,
        )
    days = sorted(date.fromisoformat(day) for day in ours["date"].unique())
    with database.read() as conn:
        compared = compare_stored(conn, days)
    verdict = agreement(compared)
    shown = {name: value.value for name, value in verdict.metadata.items()}
    assert verdict.passed
    assert (shown["verdict"], shown["stock-days compared"]) == ("the sources agree", 8_484)
    assert "| rounding | amount | 7841 | 1000 (amount_cny) | no |" in cast("str", shown["differences"])
    assert "| rounding | volume | 8 | 100 (volume_shares) | no |" in cast("str", shown["differences"])


def read(path: Path) -> pl.DataFrame:
    """A recorded file as text."""
    return pl.read_csv(path, infer_schema=False).fill_null("")


def bar(code: str) -> dict[str, str]:
    """A bar of BaoStock's on the first of the days."""
    blank = dict.fromkeys(RAW_BAOSTOCK_DAILY.empty_text().columns, "")
    prices = dict.fromkeys(("open", "high", "low", "close", "preclose"), "10")
    told = {"volume": "100000", "amount": "1000000", "pctChg": "0", "tradestatus": "1", "isST": "0", "adjustflag": "3"}
    return {**blank, **prices, **told, "code": code, "date": str(AGREEING)}


def save(database: Database, ours: list[dict[str, str]], theirs: list[list[str]]) -> None:
    """Keep these answers as if both sources had given them."""
    columns = RAW_TUSHARE_DAILY.empty_text().columns
    with database.begin() as conn:
        save_answer(conn, RAW_BAOSTOCK_DAILY, pl.DataFrame(ours), fetched_at=TODAY, run_id=None)
        frame = pl.DataFrame(theirs, schema=dict.fromkeys(columns, pl.String()), orient="row")
        save_answer(conn, RAW_TUSHARE_DAILY, frame, fetched_at=TODAY, run_id=None)
