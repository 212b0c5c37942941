"""Dagster's storage in the store's server: a ranged run is written in batches, and reads like any other."""

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa
from dagster import AssetCheckKey, AssetKey, DagsterInstance
from dagster._core.execution.api import create_execution_plan
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG
from psycopg import sql

from stock_assets.automation.jobs import HISTORY
from stock_assets.definitions import build_definitions
from stock_assets.quality.verdicts import FAMILIES
from stock_assets.storage.database import Database
from stock_assets.wiring import Installation
from stock_assets_tests.assets.test_runs import RANGE, run
from stock_assets_tests.databases import Server

ROOT = Path(__file__).resolve().parents[2]
SESSIONS = 10
LONG_RANGE = ("2022-01-04", "2025-12-31")
# The days of the range would not fit.
CHECKS = (
    "sources_agree",
    "stock_daily_complete",
    "stock_daily_failures",
    "stock_daily_findings",
    "technical_daily_recomputed",
    *(family.name for family in FAMILIES if family.dataset in {"stock_daily", "adjust_factor", "technical_daily"}),
)
ASSETS = tuple(f'["{name}"]' for name in ("adjust_factor", "raw_baostock_daily", "stock_daily", "technical_daily"))
MOST_BYTES = 2_000


@pytest.fixture
def stored(
    installation: Installation, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DagsterInstance]:
    """Dagster's instance as our instance file makes it, with events in batches as our commands ask for them."""
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "500")
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance
    url = sa.make_url(installation.database_url)
    with Database(server.url("postgres")).dedicated() as connection:
        name = sql.Identifier(f"{url.database}_dagster")
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


def test_a_ranged_run_plans_and_tells_every_day_in_few_bytes(
    installation: Installation, stored: DagsterInstance, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(build_definitions(installation), stored, HISTORY, RANGE)
    assert result.success
    assert "event batch" not in capsys.readouterr().err
    days = stored.get_materialized_partitions(AssetKey("stock_daily"))
    assert len(days) == SESSIONS
    assert stored.get_materialized_partitions(AssetKey("adjust_factor")) == days
    engine = sa.create_engine(installation.dagster_url())
    with engine.connect() as conn:
        planned = dict(map(tuple, conn.execute(sa.text(_PLANNED))))
        checks = dict(map(tuple, conn.execute(sa.text(_CHECKS))))
    engine.dispose()
    assert planned == dict.fromkeys(ASSETS, SESSIONS)
    assert checks == dict.fromkeys(CHECKS, SESSIONS)
    history = stored.event_log_storage.get_asset_check_execution_history(
        AssetCheckKey(AssetKey("stock_daily"), "stock_daily_complete"), limit=100
    )
    assert {record.status for record in history} <= {
        AssetCheckExecutionRecordStatus.SUCCEEDED,
        AssetCheckExecutionRecordStatus.PLANNED,
    }
    asset = stored.get_latest_materialization_event(AssetKey("stock_daily"))
    assert asset is not None
    assert asset.run_id == result.run_id


def test_what_a_long_run_plans_for_a_day_does_not_grow_with_the_run(
    installation: Installation, stored: DagsterInstance, capsys: pytest.CaptureFixture[str]
) -> None:
    job = build_definitions(installation).resolve_job_def(HISTORY)
    tags: dict[str, str] = {
        ASSET_PARTITION_RANGE_START_TAG: LONG_RANGE[0],
        ASSET_PARTITION_RANGE_END_TAG: LONG_RANGE[1],
    }
    plan = create_execution_plan(job, tags=tags)
    stored.create_run_for_job(
        job, execution_plan=plan, tags=tags, asset_selection=frozenset(job.asset_layer.selected_asset_keys)
    )
    assert "event batch" not in capsys.readouterr().err
    sessions = installation.calendar.between(date(2022, 1, 1), date(2025, 12, 31))
    engine = sa.create_engine(installation.dagster_url())
    with engine.connect() as conn:
        planned = dict(map(tuple, conn.execute(sa.text(_PLANNED))))
        checks = dict(map(tuple, conn.execute(sa.text(_CHECKS))))
        longest = conn.execute(sa.text("SELECT max(length(evaluation_event)) FROM asset_check_executions")).scalar_one()
    engine.dispose()
    assert planned == dict.fromkeys(ASSETS, len(sessions))
    assert checks == dict.fromkeys(CHECKS, len(sessions))
    assert longest < MOST_BYTES


_PLANNED = """
    SELECT asset_key, count(DISTINCT partition) FROM event_logs
    WHERE dagster_event_type = 'ASSET_MATERIALIZATION_PLANNED' GROUP BY asset_key
"""
_CHECKS = """
    SELECT check_name, count(DISTINCT partition) FROM asset_check_executions
    WHERE partition IS NOT NULL GROUP BY check_name
"""
