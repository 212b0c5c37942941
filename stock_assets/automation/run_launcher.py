"""Dagster's launcher of runs, which also knows a run whose process died: named by dagster.yaml.

Dagster's own cannot tell, and a run that was killed would count as running for ever and keep others in the queue.
"""

import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

from dagster import DagsterRun
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._serdes import ConfigurableClassData

from stock_assets.storage.database import Database
from stock_assets.storage.run_lock import is_running
from stock_assets.wiring import Installation

# From its start to the lock a run imports and opens what it needs.
_START_SECONDS = 120.0


class StoreRunLauncher(DefaultRunLauncher):
    """`DefaultRunLauncher` with an answer to whether the process of a run is alive."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:  # noqa: ARG003  nothing to configure
        """Return the launcher."""
        return cls(inst_data)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Return that the lock of a run answers."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return whether any process works on the run; a run that has just started counts as alive."""
        stats = self._instance.get_run_stats(run.run_id)
        is_young = stats.start_time is None or time.time() - stats.start_time < _START_SECONDS
        if is_young or is_running(self._database, run.run_id):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "the process of the run has ended without a word")

    @cached_property
    def _database(self) -> Database:
        return Installation().open_database()
