"""Runs as Dagster starts them: partitions, ranges, checks that block, failures a person understands."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from typing import Any

import pytest
import sqlalchemy as sa
from dagster import (
    AssetCheckKey,
    AssetKey,
    AssetRecordsFilter,
    DagsterEventType,
    DagsterInstance,
    DagsterRunStatus,
    Definitions,
    ExecuteInProcessResult,
    RunRequest,
    SkipReason,
)

from stock_assets.automation.jobs import DAILY, HISTORY, NIGHTLY
from stock_assets.automation.schedules import AGAIN_CRON, NIGHTLY_CRON, nightly_decision, nightly_schedule
from stock_assets.definitions import build_definitions
from stock_assets.domain.calendar import SHANGHAI
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.market import SimulatedMarket, weekdays
from stock_assets.storage import ledger
from stock_assets.wiring import Installation
from stock_assets_tests.pipeline.conftest import no_sleep

DAY = date(2026, 11, 19)
NEXT = date(2026, 11, 20)
RANGE = ("2026-11-09", "2026-11-20")


def run(
    definitions: Definitions,
    instance: DagsterInstance,
    job: str,
    keys: Sequence[str],
    **config: Any,  # noqa: ANN401
) -> ExecuteInProcessResult:
    """Run a job for one key or for a range (first, last)."""
    chosen = definitions.resolve_job_def(job)
    loading = [name for name in ("daily_bars", "adjust_factor") if chosen.has_node_named(name)]
    ops = {name: {"config": config} for name in loading} if config else {}
    tags = {}
    if len(keys) > 1:
        tags = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
    result = chosen.execute_in_process(
        instance=instance,
        run_config={"ops": ops, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        partition_key=keys[0] if len(keys) == 1 else None,
        tags=tags,
        raise_on_error=False,
    )
    for event in result.all_events:
        if event.event_type is DagsterEventType.PIPELINE_FAILURE:
            print(event.job_failure_data.error)  # noqa: T201  likewise
        if event.is_step_failure:
            print(event.step_key, event.step_failure_data.user_failure_data or event.step_failure_data.error)  # noqa: T201  shown by pytest where a run was meant to succeed
    return result


def statuses(installation: Installation, dataset: str, *days: date) -> list[str | None]:
    """Return what the ledger says."""
    with installation.database.read() as conn:
        known = ledger.statuses(conn, dataset, days)
    return [known.get(day) for day in days]


def failed_checks(result: ExecuteInProcessResult) -> dict[str, Any]:
    """Return the checks that did not pass, by name."""
    return {check.check_name: check for check in result.get_asset_check_evaluations() if not check.passed}


@pytest.mark.slow
def test_the_nightly_job_loads_a_day_in_at_most_five_requests(
    installation: Installation, far_end: BaoStockServer, instance: DagsterInstance
) -> None:
    definitions = build_definitions(installation)
    assert run(definitions, instance, NIGHTLY, [str(DAY)]).success
    before = far_end.requests.copy()
    result = run(definitions, instance, NIGHTLY, [str(NEXT)])
    assert result.success
    assert failed_checks(result) == {}
    spent = far_end.requests - before
    assert spent == {
        "login": 1,
        "query_stock_basic": 1,
        "query_daily_history_k_AStock": 1,
        "query_daily_adjust_factor": 1,
        "logout": 1,
    }
    assert statuses(installation, "stock_daily", DAY, NEXT) == ["complete", "complete"]
    assert far_end.open_sessions == 0


def days_told(instance: DagsterInstance, asset: str, check: str) -> set[str | None]:
    """Return the days that have a verdict of a check on their page; None for a verdict under no day."""
    told = instance.event_log_storage.get_asset_check_execution_history(
        AssetCheckKey(AssetKey(asset), check), limit=100
    )
    events = [record.event.dagster_event for record in told if record.event is not None]
    return {
        event.asset_check_evaluation_data.partition
        for event in events
        if event is not None and event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION
    }


@pytest.mark.slow
def test_a_range_is_one_run_that_lands_every_session_and_then_costs_nothing(
    installation: Installation, far_end: BaoStockServer, instance: DagsterInstance
) -> None:
    definitions = build_definitions(installation)
    result = run(definitions, instance, HISTORY, RANGE)
    assert result.success
    sessions = installation.calendar.between(date(2026, 11, 9), date(2026, 11, 20))
    assert statuses(installation, "stock_daily", *sessions) == ["complete"] * len(sessions)
    assert instance.get_materialized_partitions(AssetKey("stock_daily")) == {day.isoformat() for day in sessions}
    for check in ("stock_daily_complete", "stock_daily_findings"):
        assert {day.isoformat() for day in sessions} <= days_told(instance, "stock_daily", check)
    assert sessions[-1].isoformat() in days_told(instance, "technical_daily", "technical_daily_recomputed")
    with installation.database.read() as conn:
        rows = dict(conn.execute(sa.text("SELECT trade_date::text, count(*) FROM stock_daily GROUP BY 1")).all())
    for day in sessions:
        records = instance.fetch_materializations(
            AssetRecordsFilter(AssetKey("stock_daily"), asset_partitions=[day.isoformat()]), limit=1
        ).records
        metadata = records[0].asset_materialization.metadata  # pyright: ignore[reportOptionalMemberAccess]
        assert metadata["dagster/partition_row_count"].value == rows[day.isoformat()]
        # A picture on every day's page would fill the log.
        assert ("completeness" in metadata) is (day == sessions[-1])
    before = far_end.requests.total()
    assert run(definitions, instance, HISTORY, RANGE).success
    assert far_end.requests.total() == before


def test_a_half_published_day_blocks_what_follows(
    installation: Installation, far_end: BaoStockServer, instance: DagsterInstance
) -> None:
    far_end.faults = "half_published:query_daily_history_k_AStock"
    result = run(build_definitions(installation), instance, NIGHTLY, [str(DAY)])
    assert not result.success
    assert "stock_daily_complete" in failed_checks(result)
    assert statuses(installation, "stock_daily", DAY) == ["partial"]
    assert statuses(installation, "adjust_factor", DAY) == [None]


def test_a_day_of_long_ago_that_lacks_bars_is_told_and_the_rest_goes_on(
    installation: Installation, far_end: BaoStockServer, instance: DagsterInstance
) -> None:
    day = date(2026, 6, 15)
    far_end.faults = "half_published:query_daily_history_k_AStock"
    result = run(build_definitions(installation), instance, HISTORY, [str(day)])
    assert result.success
    assert "stock_daily_complete" in failed_checks(result)
    assert statuses(installation, "stock_daily", day) == ["partial"]
    assert statuses(installation, "adjust_factor", day) != [None]


def test_a_newest_day_that_is_not_ready_lands_nothing_and_starts_nothing(
    installation: Installation, far_end: BaoStockServer, instance: DagsterInstance
) -> None:
    far_end.faults = "half_published:query_daily_history_k_AStock"
    result = run(build_definitions(installation), instance, NIGHTLY, [str(NEXT)])
    assert not result.success
    assert statuses(installation, "stock_daily", NEXT) == ["refused"]
    assert statuses(installation, "adjust_factor", NEXT) == [None]
    assert far_end.requests["query_daily_adjust_factor"] == 0
    told = instance.event_log_storage.get_asset_check_execution_history(
        AssetCheckKey(AssetKey("stock_daily"), "stock_daily_complete"), limit=5
    )
    event = told[0].event
    assert event is not None
    assert event.dagster_event is not None
    verdict = event.dagster_event.asset_check_evaluation_data
    assert (verdict.passed, verdict.partition) == (False, str(NEXT))
    assert str(verdict.metadata["day detail"].value).startswith("not ready: ")


def test_a_source_that_is_down_fails_the_run_in_one_sentence(
    installation: Installation, far_end: BaoStockServer, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", no_sleep)
    monkeypatch.setattr("stock_assets.assets.market.RETRY", None)
    far_end.faults = "close:query_daily_history_k_AStock"
    result = run(build_definitions(installation), instance, DAILY, [str(NEXT)])
    assert not result.success
    failures = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failures
    sentence = failures[0].user_failure_data.description  # pyright: ignore[reportOptionalMemberAccess]
    assert sentence is not None
    assert sentence.startswith("source baostock is unavailable")
    assert statuses(installation, "stock_daily", NEXT) == ["refused"]


@pytest.mark.slow
def test_a_day_that_landed_before_the_source_went_down_counts_as_materialized(
    installation: Installation, far_end: BaoStockServer, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", no_sleep)
    monkeypatch.setattr("stock_assets.assets.market.RETRY", None)
    far_end.faults = ",".join(f"close:query_daily_history_k_AStock:{number}" for number in range(3, 40))
    result = run(build_definitions(installation), instance, HISTORY, RANGE)
    assert not result.success
    landed = instance.get_materialized_partitions(AssetKey("stock_daily"))
    assert landed == {"2026-11-09", "2026-11-10"}


def test_a_disagreement_of_the_calendars_is_a_failed_check_that_names_the_days(
    new_installation: Callable[..., Installation],
    instance: DagsterInstance,
) -> None:
    # This source trades on every weekday, National Day included.
    with BaoStockServer(SimulatedMarket(3, 20, sessions=weekdays(date(2026, 9, 1), NEXT))) as far_end:
        installation = new_installation(BAOSTOCK_HOST=far_end.host, BAOSTOCK_PORT=str(far_end.port))
        result = run(build_definitions(installation), instance, NIGHTLY, [str(NEXT)])
        check = failed_checks(result)["calendars_agree"]
        assert "2026-10-01" in check.metadata["disagreements"].value
        installation.close()


def test_a_single_day_is_asked_again_and_a_range_only_where_it_is_short(
    installation: Installation, far_end: BaoStockServer, instance: DagsterInstance
) -> None:
    definitions = build_definitions(installation)
    for _ in range(2):
        assert run(definitions, instance, DAILY, [str(DAY)]).success
    assert far_end.requests["query_daily_history_k_AStock"] == 2
    assert run(definitions, instance, HISTORY, [str(DAY), str(NEXT)]).success
    assert far_end.requests["query_daily_history_k_AStock"] == 3


def test_codes_in_any_spelling_restrict_a_run(installation: Installation, instance: DagsterInstance) -> None:
    definitions = build_definitions(installation)
    run(definitions, instance, DAILY, [str(DAY)])
    with installation.database.read() as conn:
        code = conn.scalars(sa.text("SELECT ts_code FROM stock_daily ORDER BY 1")).first()
    assert code is not None
    spelled = f"{code[-2:].lower()}.{code[:6]}"
    assert run(definitions, instance, HISTORY, ["2026-11-16", "2026-11-18"], codes=[spelled]).success
    with installation.database.read() as conn:
        rows = conn.execute(sa.text("SELECT DISTINCT ts_code FROM stock_daily WHERE trade_date < :day"), {"day": DAY})
        assert [row[0] for row in rows] == [code]


def decision_at(
    installation: Installation, instance: DagsterInstance, hour: int, minute: int, day: date = NEXT
) -> RunRequest | str:
    """Return what the nightly schedule does at a time of a day: the run it asks for, or its reason for none."""
    moment = datetime.combine(day, time(hour, minute), tzinfo=SHANGHAI)
    decision = nightly_decision(installation, instance, moment)
    if isinstance(decision, SkipReason):
        return str(decision.skip_message)
    assert isinstance(decision, RunRequest)
    return decision


def test_the_schedule_starts_a_run_only_for_a_day_that_is_there(
    installation: Installation, instance: DagsterInstance
) -> None:
    request = decision_at(installation, instance, 18, 30)
    assert isinstance(request, RunRequest)
    assert (request.partition_key, request.run_key) == ("2026-11-20", "nightly-2026-11-20T18:30")
    assert "no trading day" in str(decision_at(installation, instance, 18, 30, date(2026, 10, 1)))
    assert "final after 18:00" in str(decision_at(installation, instance, 17, 0))


def test_the_evening_goes_on_until_the_day_is_there(
    installation: Installation, far_end: BaoStockServer, instance: DagsterInstance
) -> None:
    definitions = build_definitions(installation)
    far_end.faults = "half_published:query_daily_history_k_AStock"
    assert not run(definitions, instance, NIGHTLY, [str(NEXT)]).success
    again = decision_at(installation, instance, 19, 0)
    assert isinstance(again, RunRequest)
    assert again.run_key == "nightly-2026-11-20T19:00"
    far_end.faults = ""
    assert run(definitions, instance, NIGHTLY, [str(NEXT)]).success
    assert decision_at(installation, instance, 19, 30) == "2026-11-20 is complete already"
    assert list(nightly_schedule(installation).cron_schedule) == [NIGHTLY_CRON, AGAIN_CRON]


def test_a_run_under_way_is_not_started_a_second_time(installation: Installation, instance: DagsterInstance) -> None:
    job = build_definitions(installation).resolve_job_def(NIGHTLY)
    waiting = instance.create_run_for_job(
        job, status=DagsterRunStatus.NOT_STARTED, tags={"dagster/partition": str(NEXT)}
    )
    assert "under way" in str(decision_at(installation, instance, 19, 0))
    instance.report_run_canceled(waiting, "by the test")
    assert isinstance(decision_at(installation, instance, 19, 30), RunRequest)


def test_the_partitions_are_the_sessions(installation: Installation) -> None:
    keys = build_definitions(installation).resolve_assets_def("stock_daily").partitions_def
    assert keys is not None
    listed = keys.get_partition_keys(current_time=datetime(2026, 11, 20, 12, tzinfo=SHANGHAI))
    sessions = installation.calendar.between(date(1990, 12, 19), NEXT)
    assert list(listed) == [day.isoformat() for day in sessions]
