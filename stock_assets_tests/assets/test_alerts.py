"""Who is told of what: runs that fail, whoever started them, and the store as it stands; over a real wire."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from dagster import (
    AssetKey,
    DagsterInstance,
    DefaultSensorStatus,
    ExecuteInProcessResult,
    SkipReason,
    build_run_status_sensor_context,
    build_sensor_context,
)
from dagster._core.test_utils import freeze_time

from stock_assets.automation.alerts import alert_sensors
from stock_assets.automation.jobs import DAILY, NIGHTLY
from stock_assets.definitions import build_definitions
from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.pipeline.standing_alerts import NEAR_THE_END, standing_alerts
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.storage import ledger
from stock_assets.storage.database import Database
from stock_assets.wiring import Installation
from stock_assets_tests.assets.conftest import TODAY
from stock_assets_tests.assets.test_runs import run
from stock_assets_tests.storage.made_up_rows import entry
from stock_assets_tests.test_alerts import Receiver, receiver

__all__ = ["receiver"]

DAY = date(2026, 11, 19)


@dataclass(frozen=True, slots=True)
class Watched:
    """An installation that tells a receiver."""

    installation: Installation
    receiver: Receiver
    instance: DagsterInstance

    def look_at(self, result: ExecuteInProcessResult) -> None:
        """Let the run-failure sensor see a run, as Dagster's daemon does."""
        assert not result.success
        sensor = alert_sensors(self.installation)[0]
        (event,) = [event for event in result.all_events if event.is_run_failure]
        context = build_run_status_sensor_context(
            sensor.name, event, self.instance, result.dagster_run, repository_def=None
        )
        sensor(context.for_run_failure())

    def told(self) -> list[tuple[str, str, list[str]]]:
        """What arrived: cause, job and items of each alert."""
        return [(body["what"], body["job"], body["items"]) for _, body in self.receiver.got]


@pytest.fixture
def watched(
    new_installation: Callable[..., Installation],
    far_end: BaoStockServer,
    receiver: Receiver,
    instance: DagsterInstance,
    tmp_path: Path,
) -> Watched:
    """An installation with an address to tell."""
    installation = new_installation(
        BAOSTOCK_HOST=far_end.host,
        BAOSTOCK_PORT=str(far_end.port),
        STOCK_ASSETS_ALERT_URL=receiver.url,
        STOCK_ASSETS_HOME=str(tmp_path),
    )
    return Watched(installation, receiver, instance)


def by_hand(watched: Watched, asset: str, day: date) -> ExecuteInProcessResult:
    """Materialize one asset of a day, as the button in the web page does."""
    job = build_definitions(watched.installation).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=watched.instance,
        asset_selection=[AssetKey(asset)],
        partition_key=str(day),
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
    )


def test_a_run_that_was_started_by_hand_and_fails_is_told_once(watched: Watched) -> None:
    for _ in range(2):
        watched.look_at(by_hand(watched, "technical_daily", DAY))
    assert watched.told() == [("run_failed", "__ASSET_JOB", [str(DAY)])]
    (_, body) = watched.receiver.got[0]
    assert "technical_daily" in body["en"]
    assert body["next"].startswith("stock-assets up (/runs/")


def test_a_task_that_told_of_its_failure_is_not_told_again_by_its_run(
    watched: Watched, far_end: BaoStockServer
) -> None:
    far_end.faults = "close:query_daily_history_k_AStock"
    watched.installation.now = lambda: datetime.now(SHANGHAI)  # type: ignore[method-assign]
    result = run(build_definitions(watched.installation), watched.instance, DAILY, [str(DAY)])
    assert [what for what, _, _ in watched.told()] == ["failed"]
    watched.look_at(result)
    assert len(watched.told()) == 1


def test_a_failure_of_ours_is_told_by_its_class_alone(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    def fall(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret words")

    monkeypatch.setattr("stock_assets.assets.technical.compute_technicals", fall)
    monkeypatch.setattr("stock_assets.assets.technical.RETRY", None)
    watched.look_at(by_hand(watched, "technical_daily", DAY))
    ((_, body),) = watched.receiver.got
    assert "ZeroDivisionError" in body["en"]
    assert "secret words" not in str(body)


@pytest.mark.parametrize(("hour", "count"), [(19, 0), (23, 1)])
def test_a_day_that_is_not_ready_is_told_when_the_evening_ends_and_not_before(
    watched: Watched, far_end: BaoStockServer, hour: int, count: int
) -> None:
    far_end.faults = "half_published:query_daily_history_k_AStock"
    with freeze_time(datetime(2026, 11, 20, hour, 45, tzinfo=SHANGHAI)):
        watched.installation.now = lambda: datetime(2026, 11, 20, hour, 45, tzinfo=SHANGHAI)  # type: ignore[method-assign]
        result = run(build_definitions(watched.installation), watched.instance, NIGHTLY, [str(TODAY)])
        watched.look_at(result)
    assert len(watched.told()) == count


def test_nobody_is_told_where_settings_name_nobody(installation: Installation, watched: Watched) -> None:
    assert {sensor.default_status for sensor in alert_sensors(installation)} == {DefaultSensorStatus.STOPPED}
    assert {sensor.default_status for sensor in alert_sensors(watched.installation)} == {DefaultSensorStatus.RUNNING}


def tick(watched: Watched) -> str:
    """Let the other sensor look at the store, and return what it says."""
    answer = alert_sensors(watched.installation)[1](build_sensor_context(watched.instance))
    assert isinstance(answer, SkipReason)
    return str(answer.skip_message)


def test_a_store_that_is_well_has_nothing_to_tell(watched: Watched) -> None:
    assert tick(watched) == "there is nothing to tell"
    assert watched.told() == []


def test_a_ban_and_its_end(watched: Watched) -> None:
    watched.installation.quota.record_ban("baostock", until=watched.installation.now() + timedelta(hours=3))
    for _ in range(3):
        assert "blacklisted" in tick(watched)
    assert watched.told() == [("banned", "baostock", ["baostock"])]


def test_a_quota_is_told_near_its_end_and_at_its_end(watched: Watched) -> None:
    quota, limit = watched.installation.quota, 20
    quota._daily_limits["baostock"] = limit  # pyright: ignore[reportPrivateUsage]
    for number in range(1, limit + 1):
        quota.before_request("baostock", "query_all_stock")
        tick(watched)
        told = [body["en"] for _, body in watched.receiver.got]
        assert len(told) == (number >= limit * NEAR_THE_END) + (number == limit)
    assert "used up" in watched.receiver.got[-1][1]["en"]


def test_data_grows_stale_after_the_evening_and_is_well_again_when_it_comes(watched: Watched) -> None:
    installation, before = watched.installation, date(2026, 11, 19)
    with installation.database.begin() as conn:
        ledger.write_entry(conn, entry(dataset=STOCK_DAILY.name, trade_date=before))

    def told_at(hour: int, minute: int, *, day: date = TODAY) -> list[str]:
        moment = datetime(day.year, day.month, day.day, hour, minute, tzinfo=SHANGHAI)
        found = standing_alerts(installation.database, installation.quota, installation.calendar, moment)
        return [alert.en for alert in found["freshness"]]

    assert told_at(20, 30) == [], "the schedule asks again"
    assert told_at(23, 30) == [f"data is stale: stock_daily (due {TODAY})"]
    assert told_at(10, 0, day=date(2026, 11, 22)) != [], "a weekend changes nothing"
    with installation.database.begin() as conn:
        ledger.write_entry(conn, entry(dataset=STOCK_DAILY.name, trade_date=TODAY))
    assert told_at(23, 30) == []


def test_an_index_that_could_not_be_built_again_is_told(watched: Watched, database: Database) -> None:
    with database.begin() as conn:
        conn.exec_driver_sql(
            "INSERT INTO dropped_index (index_name, table_name, definition, dropped_at, problem)"
            " VALUES ('ix_stock_daily_trade_date', 'stock_daily', 'CREATE INDEX x ON y (z)', now(), 'disk full')"
        )
    tick(watched)
    assert watched.told() == [("rebuild_failed", "index", ["ix_stock_daily_trade_date"])]
    assert "disk full" in watched.receiver.got[0][1]["en"]
