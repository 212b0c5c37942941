"""Runs a job in this process, recorded in Dagster like any other run: this is what the command line starts."""

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from typing import Any

from dagster import DagsterEventType, DagsterInstance, ExecuteInProcessResult
from dagster_shared.error import SerializableErrorInfo

from stock_assets.assets.failures import ERROR_CLASS
from stock_assets.definitions import build_definitions
from stock_assets.ops.dagster_home import prepare
from stock_assets.wiring import Installation

_RANGE_START = "dagster/asset_partition_range_start"
_RANGE_END = "dagster/asset_partition_range_end"
_LOADING_OPS = ("daily_bars", "adjust_factor")


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended. `error_class` and `sentence` are of the failure that a person should read first."""

    run_id: str
    is_success: bool
    error_class: str | None = None
    sentence: str | None = None
    failed_checks: tuple[str, ...] = ()


def run_here(
    installation: Installation,
    job_name: str,
    days: Sequence[date],
    *,
    ts_codes: Sequence[str] = (),
    refetch: bool | None = None,
) -> RunOutcome:
    """Run a job over days (sorted; a range is one run) and return how it ended."""
    prepare(os.environ)
    definitions = build_definitions(installation)
    job = definitions.resolve_job_def(job_name)
    load = {"codes": list(ts_codes), "refetch": refetch}
    ops = {name: {"config": load} for name in _LOADING_OPS if job.has_node_named(name)}
    with closing(_Instance()) as holder:
        result = job.execute_in_process(
            instance=holder.instance,
            run_config={"ops": ops, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            tags=_range_tags(days),
            partition_key=days[0].isoformat() if len(days) == 1 else None,
            raise_on_error=False,
        )
    return _outcome(result)


class _Instance:
    def __init__(self) -> None:
        self.instance = DagsterInstance.get()

    def close(self) -> None:
        self.instance.dispose()


def _range_tags(days: Sequence[date]) -> Mapping[str, Any]:
    tags = {"stock_assets/started_by": "command line"}
    if len(days) > 1:
        tags |= {_RANGE_START: days[0].isoformat(), _RANGE_END: days[-1].isoformat()}
    return tags


def _outcome(result: ExecuteInProcessResult) -> RunOutcome:
    failed = tuple(
        f"{check.check_name} ({check.asset_key.to_user_string()})"
        for check in result.get_asset_check_evaluations()
        if not check.passed
    )
    if result.success:
        return RunOutcome(result.run_id, is_success=True, failed_checks=failed)
    for event in result.all_events:
        if event.event_type is DagsterEventType.STEP_FAILURE:
            data = event.step_failure_data
            facts = data.user_failure_data
            if facts is not None:
                kind = facts.metadata.get(ERROR_CLASS)
                return RunOutcome(
                    result.run_id, is_success=False, failed_checks=failed, sentence=facts.description,
                    error_class=str(kind.value) if kind is not None else None,
                )  # fmt: skip
            if data.error is not None:
                return RunOutcome(
                    result.run_id, is_success=False, failed_checks=failed, sentence=_root_message(data.error)
                )
    return RunOutcome(result.run_id, is_success=False, failed_checks=failed)


def _root_message(error: SerializableErrorInfo) -> str:
    """Return what went wrong first: Dagster wraps it in messages of its own."""
    while error.cause is not None:
        error = error.cause
    return error.message.strip()
