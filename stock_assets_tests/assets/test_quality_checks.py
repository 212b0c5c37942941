"""Checks over the rules of quality: verdicts by day, what blocks, and what a failing one says."""

# Dagster leaves a type argument of its metadata open; nothing of ours is unknown here.
# pyright: reportUnknownVariableType=false

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from dagster import (
    AssetCheckKey,
    AssetKey,
    AssetSelection,
    DagsterEventType,
    DagsterInstance,
    Definitions,
    define_asset_job,
    in_process_executor,
)

from stock_assets.assets.quality_checks import ASSETS, judged
from stock_assets.automation.jobs import HISTORY, NIGHTLY
from stock_assets.definitions import build_definitions
from stock_assets.pipeline.compute import compute_technicals
from stock_assets.pipeline.factors import ingest_factors
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.pipeline.snapshot import publish_snapshots
from stock_assets.quality.findings import STORED_FINDING_SCHEMA
from stock_assets.quality.verdicts import FAMILIES, verdicts
from stock_assets.wiring import Installation
from stock_assets_tests.assets.test_runs import days_told, failed_checks, run, statuses

FIRST, LAST = date(2026, 11, 5), date(2026, 11, 20)
NAMES = {family.name for family in FAMILIES if family.dataset in ASSETS}
ALONE = "checks_alone"


@pytest.fixture
def loaded(installation: Installation) -> Installation:
    """An installation whose store holds bars and factors of twelve days."""
    days = installation.calendar.between(FIRST, LAST)
    assert ingest_days(installation.pipeline(), days).failure() is None
    assert ingest_factors(installation.pipeline(), days).failure() is None
    installation.baostock_pool.release_idle()
    return installation


def damage(installation: Installation, day: date, stocks: int, change: str) -> list[str]:
    """Change the bars of some stocks that traded on a day, behind everybody's back."""
    with installation.database.begin() as conn:
        codes = conn.scalars(
            sa.text("SELECT ts_code FROM stock_daily WHERE trade_date = :day AND NOT is_suspended ORDER BY ts_code"),
            {"day": day},
        )
        chosen = list(codes)[:stocks]
        conn.execute(
            sa.text(f"UPDATE stock_daily SET {change} WHERE trade_date = :day AND ts_code = ANY(:codes)"),  # noqa: S608
            {"day": day, "codes": chosen},
        )
    return chosen


def checks_of(installation: Installation, *assets: str) -> Definitions:
    """Return the definitions with a job of the checks of some assets alone."""
    definitions = build_definitions(installation)
    wanted = AssetSelection.checks_for_assets(*(AssetKey(asset) for asset in assets))
    job = define_asset_job(ALONE, wanted, executor_def=in_process_executor)
    return Definitions.merge(definitions, Definitions(jobs=[job]))


def test_a_range_passes_and_gives_every_family_a_verdict_on_each_day(
    installation: Installation, instance: DagsterInstance
) -> None:
    result = run(build_definitions(installation), instance, HISTORY, [str(FIRST), str(LAST)])
    assert result.success
    assert failed_checks(result) == {}
    days = {str(day) for day in installation.calendar.between(FIRST, LAST)}
    assert len(days) == 12
    for family in FAMILIES:
        if family.dataset in {"stock_daily", "adjust_factor", "technical_daily"}:
            assert days <= days_told(instance, family.dataset, family.name), family


def test_a_failing_check_names_the_worst_rows_and_what_repairs_them_on_their_day_alone(
    loaded: Installation, instance: DagsterInstance
) -> None:
    day = LAST - timedelta(days=2)
    (code,) = damage(loaded, day, 1, "pct_chg = pct_chg + 5")
    result = run(checks_of(loaded, "stock_daily"), instance, ALONE, [str(FIRST), str(LAST)])
    assert result.success
    failed = failed_checks(result)
    assert set(failed) == {"stock_daily_prices"}
    facts = {name: value.value for name, value in failed["stock_daily_prices"].metadata.items()}
    assert (facts["errors"], facts["warnings"]) == (0, 1)
    assert f"{day} | {code} | warning | pct_chg_inconsistent" in str(facts["worst"])
    assert facts["next step"] == f"stock-assets nightly --date {day}"
    assert str(facts["worst row"]).startswith(f"{code} {day}: pct_chg ")
    by_day = _verdicts(instance, "stock_daily", "stock_daily_prices", result.run_id)
    assert [told for told, passed in by_day.items() if not passed] == [str(day)]
    assert len(by_day) == 12


def test_a_day_full_of_errors_blocks_what_follows_and_one_wrong_row_of_many_does_not(
    loaded: Installation, instance: DagsterInstance
) -> None:
    damage(loaded, LAST, 30, "amount = amount / 10000")
    definitions = build_definitions(loaded)
    result = run(definitions, instance, HISTORY, [str(LAST - timedelta(days=1)), str(LAST)])
    assert not result.success
    assert "stock_daily_volume" in failed_checks(result)
    assert statuses(loaded, "technical_daily", LAST) == [None]


def test_a_few_errors_of_a_large_day_are_told_and_block_nothing() -> None:
    def found(stocks: int) -> pl.DataFrame:
        rows = [
            ("stock_daily", LAST, f"{600000 + number}.SH", "units_inconsistent", "error", "-")
            for number in range(stocks)
        ]
        return pl.DataFrame(rows, schema=STORED_FINDING_SCHEMA, orient="row")

    def severity(stocks: int, rows: dict[date, int] | None) -> tuple[bool, str]:
        (verdict,) = [one for one in verdicts(found(stocks), rows) if one.family.name == "stock_daily_volume"]
        result = judged(verdict)
        return bool(result.passed), result.severity.value

    assert severity(25, {LAST: 5000}) == (False, "WARN")
    assert severity(26, {LAST: 5000}) == (False, "ERROR")
    assert severity(26, None) == (False, "WARN")
    assert severity(0, {LAST: 5000}) == (True, "WARN")


def test_only_checks_that_can_be_poisoned_block(installation: Installation) -> None:
    graph = build_definitions(installation).resolve_asset_graph()
    blocking = {key.name for key in graph.asset_check_keys if graph.get(key).blocking}
    assert blocking & NAMES == {family.name for family in FAMILIES if family.can_poison and family.dataset in ASSETS}
    assert {"stock_daily_volume", "stock_daily_keys"} <= blocking
    assert "stock_daily_limits" not in blocking


def test_a_run_for_some_stocks_is_judged_on_these_alone(loaded: Installation, instance: DagsterInstance) -> None:
    *_, wrong = damage(loaded, LAST, 3, "pct_chg = pct_chg + 5")
    days: Sequence[str] = [str(LAST - timedelta(days=1)), str(LAST)]
    result = run(build_definitions(loaded), instance, HISTORY, days, codes=[wrong])
    facts = {name: value.value for name, value in failed_checks(result)["stock_daily_prices"].metadata.items()}
    assert facts["warnings"] == 1
    assert wrong in str(facts["worst"])


def test_a_calendar_that_contradicts_itself_is_named(loaded: Installation, instance: DagsterInstance) -> None:
    def verdict() -> Any:  # noqa: ANN401  Dagster's own
        result = run(checks_of(loaded, "trading_calendar"), instance, ALONE, [])
        (found,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "calendar_consistent"]
        return found

    assert verdict().passed
    with loaded.database.begin() as conn:
        conn.execute(
            sa.text("UPDATE trading_day SET is_open = true, source_is_open = true WHERE trade_date = '2026-11-14'")
        )
    failed = verdict()
    assert not failed.passed
    assert "2026-11-14 | session_on_weekend" in str(failed.metadata["worst"].value)


def test_the_report_of_each_day_lies_beside_its_snapshot(loaded: Installation, instance: DagsterInstance) -> None:
    days = loaded.calendar.between(FIRST, LAST)[-2:]
    compute_technicals(loaded.technicals(), days)
    publish_snapshots(loaded.snapshots(), days, loaded.snapshot_folder)
    job = define_asset_job("report_alone", AssetSelection.assets("quality_report"), executor_def=in_process_executor)
    definitions = Definitions.merge(build_definitions(loaded), Definitions(jobs=[job]))
    (code,) = damage(loaded, LAST, 1, "pct_chg = pct_chg + 5")
    result = run(definitions, instance, "report_alone", [str(day) for day in days])
    assert result.success
    assert instance.get_materialized_partitions(AssetKey("quality_report")) == {str(day) for day in days}
    told = {event.partition: event.metadata for event in result.asset_materializations_for_node("quality_report")}
    newest = told[str(LAST)]
    assert (newest["verdict"].value, newest["warnings"].value) == ("look", 1)
    assert told[str(days[0])]["verdict"].value == "good"
    page = Path(str(newest["page"].value))
    assert page.parent.is_relative_to(loaded.snapshot_folder)
    assert code in page.read_text(encoding="utf-8")
    assert "pct_chg_inconsistent" in str(newest["worst"].value)


def test_the_nightly_job_runs_every_family(installation: Installation) -> None:
    job = build_definitions(installation).resolve_job_def(NIGHTLY)
    assert all(job.has_node_named(f"{asset}_quality") for asset in ASSETS)


def _verdicts(instance: DagsterInstance, asset: str, check: str, run_id: str) -> dict[str | None, bool]:
    told = instance.event_log_storage.get_asset_check_execution_history(
        AssetCheckKey(AssetKey(asset), check), limit=200
    )
    found: dict[str | None, Any] = {}
    for record in told:
        event = None if record.event is None else record.event.dagster_event
        if (
            record.run_id == run_id
            and event is not None
            and event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION
        ):
            data = event.asset_check_evaluation_data
            if data.partition is not None:
                found[data.partition] = data.passed
    return found
