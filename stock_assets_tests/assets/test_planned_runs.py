"""Planned runs in Dagster: its runs say why, its page shows it, and the plan is what the schedules really are."""

from datetime import date, datetime, timedelta

import pytest
from dagster import (
    AssetCheckEvaluation,
    DagsterInstance,
    DagsterRunStatus,
    ScheduleDefinition,
    SkipReason,
    build_sensor_context,
)

from stock_assets.automation.planned_runs import CHECK, look, planned_run_sensor
from stock_assets.automation.under_way import PARTITION
from stock_assets.definitions import build_definitions
from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.pipeline.planned_runs import PLANS
from stock_assets.storage import ledger
from stock_assets.wiring import Installation
from stock_assets_tests.assets.conftest import TODAY
from stock_assets_tests.storage.made_up_rows import entry

THURSDAY, WEDNESDAY = date(2026, 11, 19), date(2026, 11, 18)


def bring(installation: Installation, day: date, finished: datetime) -> None:
    """Write the ledger's lines of a night."""
    with installation.database.begin() as conn:
        for dataset in (STOCK_DAILY.name, ADJUST_FACTOR.name):
            line = {"dataset": dataset, "trade_date": day, "started_at": finished, "finished_at": finished}
            ledger.write_entry(conn, entry(**line))


@pytest.fixture
def store(installation: Installation) -> Installation:
    """A store since Wednesday morning; that evening went well, and then nothing came."""
    bring(installation, date(2026, 11, 17), datetime(2026, 11, 18, 9, tzinfo=SHANGHAI))
    bring(installation, WEDNESDAY, datetime(2026, 11, 18, 18, 50, tzinfo=SHANGHAI))
    return installation


def evaluations(instance: DagsterInstance) -> list[AssetCheckEvaluation]:
    """Return the verdicts that were filed, the oldest first."""
    records = instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=10)
    events = [record.event for record in reversed(records)]
    return [event.dagster_event.event_specific_data for event in events if event and event.dagster_event]  # pyright: ignore[reportReturnType]


def tick(installation: Installation, instance: DagsterInstance, cursor: str | None) -> tuple[str, str | None]:
    """Let the sensor look, and return what it says and its cursor."""
    context = build_sensor_context(instance, cursor=cursor)
    answer = planned_run_sensor(installation)(context)
    assert isinstance(answer, SkipReason)
    return str(answer.skip_message), context.cursor


def test_the_plan_is_what_the_schedules_are(installation: Installation) -> None:
    named = build_definitions(installation).schedules or ()
    schedules = {one.name: one for one in named if isinstance(one, ScheduleDefinition)}
    assert set(schedules) == {plan.schedule for plan in PLANS}
    for plan in PLANS:
        crons = schedules[plan.schedule].cron_schedule
        first = crons if isinstance(crons, str) else crons[0]
        assert first == f"{plan.at.minute} {plan.at.hour} * * 1-5"
        assert schedules[plan.schedule].execution_timezone == "Asia/Shanghai"


def test_the_page_shows_a_missed_run_once_and_its_repair(store: Installation, instance: DagsterInstance) -> None:
    said, cursor = tick(store, instance, None)
    assert said == "in time 1, missed 1, pending 1"
    assert tick(store, instance, cursor) == (said, cursor)
    (first,) = evaluations(instance)
    assert not first.passed
    assert "| nightly_schedule | 2026-11-19 18:30 | missed |" in str(first.metadata["late, repaired, missed"].value)
    assert "2026-11-18 18:30 | in time" in str(first.metadata["planned"].value)
    assert first.metadata["next step"].value == "stock-assets backfill-daily --start 2026-11-19 --end 2026-11-19"

    bring(store, THURSDAY, datetime(2026, 11, 20, 9, tzinfo=SHANGHAI))
    bring(store, TODAY, datetime(2026, 11, 20, 18, 50, tzinfo=SHANGHAI))
    assert tick(store, instance, cursor)[0] == "in time 2, repaired 1"
    assert [one.passed for one in evaluations(instance)] == [False, True]


def test_runs_of_the_schedules_say_why(store: Installation, instance: DagsterInstance) -> None:
    store.now = lambda: datetime.now(SHANGHAI)  # type: ignore[method-assign]
    day = store.now().date() - timedelta(days=1)
    while not store.calendar.is_session(day):
        day -= timedelta(days=1)
    run = instance.create_run_for_job(
        build_definitions(store).resolve_job_def("nightly_job"),
        status=DagsterRunStatus.FAILURE,
        tags={"dagster/schedule_name": "nightly_schedule", PARTITION: str(day)},
    )
    assert run.status is DagsterRunStatus.FAILURE
    found = {one.planned_at.date(): one for one in look(store, instance)}
    assert found[day].outcome == "missed"
    assert found[day].en == "the run failed: failure"


def test_no_job_of_days_runs_the_check(store: Installation) -> None:
    for job in ("nightly_job", "sync_daily_data_job", "sync_history_daily_data_job"):
        names = build_definitions(store).resolve_job_def(job).asset_layer.asset_graph.asset_check_keys
        assert CHECK not in names


def test_the_check_can_be_run_by_hand(store: Installation, instance: DagsterInstance) -> None:
    job = build_definitions(store).resolve_implicit_global_asset_job_def()
    picked = job.get_subset(asset_selection=set(), asset_check_selection={CHECK})
    result = picked.execute_in_process(
        instance=instance, run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    )
    (verdict,) = result.get_asset_check_evaluations()
    assert verdict.check_name == CHECK.name
    assert not verdict.passed
