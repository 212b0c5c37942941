"""Freshness: Dagster's own policies over weekends and holidays, and checks that know the exchanges' calendar."""

import asyncio
import json
from datetime import date, datetime

import pytest
from dagster import (
    AssetCheckKey,
    AssetKey,
    AssetMaterialization,
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    Definitions,
    SkipReason,
    build_sensor_context,
)
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.definitions.freshness import FreshnessState
from dagster._core.definitions.freshness_evaluator import CronFreshnessPolicyEvaluator
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.test_utils import freeze_time
from dagster._core.utils import make_new_run_id

from stock_assets.assets.freshness import CHECK_KEYS, verdict
from stock_assets.automation.freshness import CLOSED_DAY, confirm_closed_day, freshness_sensor, tell_changes
from stock_assets.automation.jobs import NIGHTLY
from stock_assets.definitions import build_definitions
from stock_assets.domain.calendar import SHANGHAI, TradingCalendar
from stock_assets.pipeline.freshness import DEADLINES, Freshness, due_session, freshness
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.storage import ledger
from stock_assets.wiring import Installation
from stock_assets_tests.assets.test_runs import run

EVE, HOLIDAY, AFTER = date(2026, 9, 30), date(2026, 10, 1), date(2026, 10, 8)


def at(day: date, hour: int, minute: int = 0) -> datetime:
    """Return a moment of Shanghai's day."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=SHANGHAI)


def state(instance: DagsterInstance, definitions: Definitions, asset: str, moment: datetime) -> FreshnessState:
    """Return what Dagster's own evaluation of an asset's policy says at a moment."""
    node = definitions.resolve_asset_graph().get(AssetKey(asset))
    with freeze_time(moment):
        evaluated = CronFreshnessPolicyEvaluator().evaluate_freshness(LoadingContextForTest(instance), node)
        return asyncio.run(evaluated)


def materialize(instance: DagsterInstance, asset: str, partition: str | None, moment: datetime) -> None:
    """File a materialization as of a moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.time", moment.timestamp)
        instance.report_runless_asset_event(AssetMaterialization(asset, partition=partition, metadata={"rows": 50}))


def found(day: date, status: str | None) -> list[Freshness]:
    """Return every dataset with the same status of the session that is due."""
    return [Freshness(name, day, status, day if status == "complete" else None, 0, "-") for name in DEADLINES]


@pytest.mark.parametrize(
    ("moment", "due"),
    [
        (at(EVE, 19, 59), date(2026, 9, 29)),
        (at(EVE, 20), EVE),
        (at(HOLIDAY, 23), EVE),
        (at(AFTER, 19), EVE),
        (at(AFTER, 20), AFTER),
        (at(date(2026, 10, 11), 12), date(2026, 10, 9)),
    ],
)
def test_a_session_is_due_in_its_own_evening_and_nothing_is_on_holidays(
    installation: Installation, moment: datetime, due: date
) -> None:
    assert due_session(installation.calendar, moment, DEADLINES["stock_daily"]) == due


def test_every_asset_that_a_night_brings_has_a_policy(installation: Installation, both: Installation) -> None:
    without = {"raw_tushare_daily", "raw_tushare_daily_basic", "raw_tushare_suspend", "raw_tushare_adj_factor"}
    for chosen, unwatched in ((installation, set[str]()), (both, without)):
        graph = build_definitions(chosen).resolve_asset_graph()
        nodes = {node.key.to_user_string(): node.freshness_policy for node in graph.asset_nodes}
        assert {name for name, policy in nodes.items() if policy is None} == unwatched


def test_a_policy_is_stale_after_a_missed_evening_and_fresh_again_when_the_day_comes_late(
    installation: Installation, instance: DagsterInstance
) -> None:
    definitions = build_definitions(installation)
    friday, monday = date(2026, 11, 13), date(2026, 11, 16)
    assert state(instance, definitions, "stock_daily", at(friday, 21)) is FreshnessState.UNKNOWN
    materialize(instance, "stock_daily", str(friday), at(friday, 18, 35))
    for moment in (at(friday, 21), at(date(2026, 11, 15), 12), at(monday, 19, 59)):
        assert state(instance, definitions, "stock_daily", moment) is FreshnessState.PASS
    assert state(instance, definitions, "stock_daily", at(monday, 20, 1)) is FreshnessState.FAIL
    materialize(instance, "stock_daily", str(monday), at(monday, 22))
    assert state(instance, definitions, "stock_daily", at(monday, 22, 1)) is FreshnessState.PASS


def test_a_holiday_makes_nothing_stale_once_it_is_told_of(
    installation: Installation, instance: DagsterInstance
) -> None:
    definitions = build_definitions(installation)
    materialize(instance, "stock_daily", str(EVE), at(EVE, 18, 35))
    assert state(instance, definitions, "stock_daily", at(HOLIDAY, 20, 1)) is FreshnessState.FAIL
    calendar, assets = installation.calendar, ["stock_daily"]
    assert confirm_closed_day(instance, assets, found(EVE, "complete"), calendar, at(HOLIDAY, 17, 59)) == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.time", at(HOLIDAY, 18, 10).timestamp)
        assert confirm_closed_day(instance, assets, found(EVE, "complete"), calendar, at(HOLIDAY, 18, 10)) == assets
    assert state(instance, definitions, "stock_daily", at(HOLIDAY, 20, 1)) is FreshnessState.PASS
    told = instance.get_latest_materialization_event(AssetKey("stock_daily"))
    assert told is not None
    assert told.asset_materialization is not None
    assert told.asset_materialization.partition == str(EVE)
    assert told.asset_materialization.metadata["rows"].value == 50
    assert str(HOLIDAY) in str(told.asset_materialization.metadata[CLOSED_DAY].value)
    # Once a day.
    assert confirm_closed_day(instance, assets, found(EVE, "complete"), calendar, at(HOLIDAY, 22)) == []


def test_what_was_stale_before_a_holiday_stays_stale(installation: Installation, instance: DagsterInstance) -> None:
    calendar, assets = installation.calendar, ["stock_daily"]
    materialize(instance, "stock_daily", "2026-09-29", at(date(2026, 9, 29), 18, 35))
    assert confirm_closed_day(instance, assets, found(EVE, "complete"), calendar, at(HOLIDAY, 19)) == []
    materialize(instance, "stock_daily", str(EVE), at(EVE, 18, 35))
    assert confirm_closed_day(instance, assets, found(EVE, "partial"), calendar, at(HOLIDAY, 19)) == []


def test_the_check_asks_the_ledger_for_the_session_that_is_due(
    installation: Installation, far_end: BaoStockServer, instance: DagsterInstance
) -> None:
    definitions = build_definitions(installation)
    result = run(definitions, instance, NIGHTLY, ["2026-11-19"])
    assert result.success
    assert not {check.check_name for check in result.get_asset_check_evaluations()} & {
        key.name for key in CHECK_KEYS.values()
    }
    with installation.database.read() as conn:
        of_day = {one.dataset: one for one in freshness(conn, installation.calendar, installation.now())}
        before = {one.dataset: one for one in freshness(conn, installation.calendar, at(date(2026, 11, 20), 19))}
    bars = of_day["stock_daily"]
    assert (bars.is_fresh, bars.behind, bars.status, str(bars.newest)) == (False, 1, None, "2026-11-19")
    assert before["stock_daily"].is_fresh
    assert before["stock_daily"].behind == 0
    failed = verdict(bars)
    assert not failed.passed
    assert failed.metadata["next step"].value == "`stock-assets nightly --date 2026-11-20`"  # pyright: ignore[reportAttributeAccessIssue]
    assert far_end.open_sessions == 0


def test_a_range_that_is_behind_is_repaired_as_a_range(installation: Installation) -> None:
    with installation.database.begin() as conn:
        now = installation.now()
        ledger.write_entry(
            conn,
            ledger.LedgerEntry(
                dataset="stock_daily",
                trade_date=date(2026, 11, 16),
                status="complete",
                rows_expected=1,
                rows_present=1,
                rows_rejected=0,
                source="baostock",
                started_at=now,
                finished_at=now,
            ),
        )
        (bars, *others) = freshness(conn, installation.calendar, now)
    assert (bars.behind, bars.repair) == (4, "stock-assets backfill-daily --start 2026-11-17 --end 2026-11-20")
    assert all(one.is_unused for one in others)
    assert all(verdict(one).passed for one in others)


def test_the_sensor_files_a_verdict_when_it_changes_and_says_in_words_how_it_is(
    installation: Installation, instance: DagsterInstance
) -> None:
    def verdicts(asset: str) -> list[bool]:
        key = AssetCheckKey(AssetKey(asset), f"{asset}_fresh")
        history = instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
        return [record.event.dagster_event.asset_check_evaluation_data.passed for record in history]  # type: ignore[union-attr]

    cursor = tell_changes(instance, found(EVE, "partial"), None)
    assert verdicts("stock_daily") == [False]
    assert tell_changes(instance, found(EVE, "partial"), cursor) == cursor
    assert verdicts("stock_daily") == [False]
    tell_changes(instance, found(EVE, "complete"), cursor)
    assert verdicts("stock_daily") == [True, False]
    assert verdicts("finance_indicator") == [True, False]
    definitions = build_definitions(installation)
    assert run(definitions, instance, NIGHTLY, ["2026-11-19"]).success
    context = build_sensor_context(instance=instance)
    answer = freshness_sensor(installation, ["stock_daily"])(context)
    assert isinstance(answer, SkipReason)
    assert "stock_daily (2026-11-20)" in str(answer.skip_message)
    assert "stock_daily" in json.loads(context.cursor or "{}")


def test_a_run_that_died_before_it_judged_leaves_no_check_that_looks_failed(instance: DagsterInstance) -> None:
    key = CHECK_KEYS["stock_daily"]
    cursor = tell_changes(instance, found(EVE, "complete"), None)
    planned = AssetCheckEvaluationPlanned(asset_key=key.asset_key, check_name=key.name, partitions_subset=None)
    event = DagsterEvent(
        DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED.value, "repair_job", event_specific_data=planned
    )
    instance.report_dagster_event(event, run_id=make_new_run_id())

    def newest() -> AssetCheckExecutionRecordStatus:
        return instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key].status

    assert newest() is AssetCheckExecutionRecordStatus.PLANNED
    assert tell_changes(instance, found(EVE, "complete"), cursor) == cursor
    assert newest() is AssetCheckExecutionRecordStatus.SUCCEEDED


def test_a_calendar_without_sessions_before_is_no_failure() -> None:
    calendar = TradingCalendar.of([date(1990, 12, 19), date(1990, 12, 20)])
    with DagsterInstance.ephemeral() as instance:  # pyright: ignore[reportUnknownMemberType]
        assert confirm_closed_day(instance, ["stock_daily"], [], calendar, at(date(1990, 12, 18), 19)) == []
