"""A run whose process was killed is known as dead; one that is worked on, or has just begun, is not."""

import subprocess
import sys
import time

import pytest
from dagster import DagsterEvent, DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.launcher import WorkerStatus

from stock_assets.automation import run_launcher
from stock_assets.automation.run_launcher import StoreRunLauncher
from stock_assets.storage.database import Database
from stock_assets.storage.run_lock import is_running, running

HOLDER = """
import sys
from stock_assets.storage.database import Database
from stock_assets.storage.run_lock import running
with running(Database(sys.argv[1]), sys.argv[2]):
    print("holds", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def launcher(
    instance: DagsterInstance, database_url: str, monkeypatch: pytest.MonkeyPatch, home: object
) -> StoreRunLauncher:
    """The launcher of an installation on this test's store; runs count as young for no time at all."""
    monkeypatch.setenv("STOCK_ASSETS_HOME", str(home))
    monkeypatch.setenv("STOCK_ASSETS_DATABASE_URL", database_url)
    monkeypatch.setattr(run_launcher, "_START_SECONDS", 0.0)
    launcher = StoreRunLauncher.from_config_value(None, {})
    launcher.register_instance(instance)
    return launcher


@pytest.fixture
def run(instance: DagsterInstance) -> DagsterRun:
    """A run that is about to start."""
    return instance.add_run(DagsterRun("nightly_job", status=DagsterRunStatus.STARTING))


def test_a_run_is_alive_while_a_process_holds_its_lock_and_dead_after_a_kill(
    launcher: StoreRunLauncher, run: DagsterRun, database_url: str, instance: DagsterInstance
) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, database_url, run.run_id],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holds\n"
        _start(instance, run)
        assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
        holder.kill()
        holder.wait(10)
        deadline = time.monotonic() + 5
        while launcher.check_run_worker_health(run).status is not WorkerStatus.FAILED:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_run_that_has_just_begun_is_alive(
    launcher: StoreRunLauncher, run: DagsterRun, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING, "it has not even started"
    _start(instance, run)
    monkeypatch.setattr(run_launcher, "_START_SECONDS", 60.0)
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING


def test_several_processes_of_one_run_share_its_lock_and_other_runs_have_their_own(database: Database) -> None:
    with running(database, "one"), running(database, "one"):
        assert is_running(database, "one")
        assert not is_running(database, "two")
    assert not is_running(database, "one")


def _start(instance: DagsterInstance, run: DagsterRun) -> None:
    started = DagsterEvent(DagsterEventType.RUN_START.value, run.job_name, message="started")
    instance.report_dagster_event(started, run_id=run.run_id)
