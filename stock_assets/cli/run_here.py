"""Runs a job in this process, recorded in Dagster like any other run: this is what the command line starts."""

import os
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from dagster import (
    AssetCheckSeverity,
    AssetKey,
    DagsterEventType,
    DagsterInstance,
    DagsterRunStatus,
    ExecuteInProcessResult,
)
from dagster._core.storage.tags import MAX_RETRIES_TAG
from dagster._core.utils import make_new_run_id
from dagster_shared.error import SerializableErrorInfo

from stock_assets.assets.failures import ERROR_CLASS
from stock_assets.assets.finance import HISTORY_OP
from stock_assets.automation.repairs import GAPS_TAG, run_config
from stock_assets.automation.under_way import days_of_runs, runs_under_way
from stock_assets.cli.imports import uncollected
from stock_assets.definitions import build_definitions
from stock_assets.domain.errors import Stopped
from stock_assets.ops.dagster_home import prepare
from stock_assets.pipeline.context import Counted, Progress
from stock_assets.pipeline.repair import Repair
from stock_assets.wiring import Installation

_RANGE_START = "dagster/asset_partition_range_start"
_RANGE_END = "dagster/asset_partition_range_end"
_STATEMENT_MILLISECONDS, _RECYCLE_SECONDS, _MORE_CONNECTIONS = 120_000, 3600, 10
_LOADING_OPS = ("daily_bars", "adjust_factor")


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """A check that did not pass; `is_blocking` when it stopped the run, `facts` is its metadata as plain values."""

    name: str
    is_blocking: bool
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended. Of the failure that a person should read first: `sentence`, its class, and its traceback."""

    run_id: str
    is_success: bool
    failed_checks: tuple[FailedCheck, ...] = ()
    sentence: str | None = None
    error_class: str | None = None
    trace: str | None = None


def run_here(  # noqa: PLR0913  what to run, and how to stop it
    installation: Installation,
    job_name: str,
    days: Sequence[date],
    *,
    stop: threading.Event,
    run_id: str,
    ts_codes: Sequence[str] = (),
    only_failures: bool = False,
    start: date | None = None,
    repair: Repair | None = None,
) -> RunOutcome:
    """Run a job over days (sorted; a range is one run) and return how it ended; `stop` ends it after the call at hand.

    A job without partitions has no days; `start` is the first day of periods of a finance history, `repair` what a repair's
    run is for.
    """
    installation.stop = stop
    installation.progress = _stopping(installation.progress, stop)
    definitions = build_definitions(installation)
    job = definitions.resolve_job_def(job_name)
    ops: dict[str, Any] = {}
    if job.has_node_named(HISTORY_OP):
        first = "" if start is None else start.isoformat()
        ops[HISTORY_OP] = {"config": {"codes": list(ts_codes), "start": first}}
    else:
        load = {"codes": list(ts_codes), "only_failures": only_failures}
        ops = {name: {"config": load} for name in _LOADING_OPS if job.has_node_named(name)}
    if repair is not None:
        ops = dict(run_config(repair)["ops"])
    with closing(_Instance()) as holder:
        result = job.execute_in_process(
            instance=holder.instance,
            asset_selection=None if repair is None else [AssetKey(name) for name in repair.assets],
            run_config={"ops": ops, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            tags=_range_tags(days) | ({} if repair is None else {GAPS_TAG: repair.digest}),
            partition_key=days[0].isoformat() if len(days) == 1 else None,
            raise_on_error=False,
            run_id=run_id,
        )
    return _outcome(result)


def days_under_way(installation: Installation) -> set[date]:
    """Return the sessions that other runs work on or wait for."""
    with closing(_Instance()) as holder:
        return days_of_runs(runs_under_way(holder.instance), installation.calendar)


def new_run_id() -> str:
    """Return the id of a run that is about to be made."""
    return make_new_run_id()


def note_stopped(run_id: str) -> None:
    """Write into Dagster's record that the user stopped the run: it would look like a crash, or as if it went on."""
    with closing(_Instance()) as holder:
        run = holder.instance.get_run_by_id(run_id)
        if run is not None and run.status is not DagsterRunStatus.CANCELED:
            holder.instance.report_run_canceled(run, "stopped at the command line")


def _stopping(progress: Progress, stop: threading.Event) -> Progress:
    """Return `progress` that ends the run once `stop` is set."""

    def told(*, done: int, total: int, rows: int, label: str, counted: Counted | None = None) -> None:
        if stop.is_set():
            raise Stopped
        progress(done=done, total=total, rows=rows, label=label, counted=counted)

    return told


@contextmanager
def open_instance() -> Generator[DagsterInstance]:
    """Give what Dagster remembers of this installation."""
    with closing(_Instance()) as holder:
        yield holder.instance


class _Instance:
    def __init__(self) -> None:
        prepare(os.environ)
        with uncollected():
            self.instance = DagsterInstance.get()
        # One connection a storage instead of one for each of a run's hundreds of events.
        self.instance.optimize_for_webserver(
            statement_timeout=_STATEMENT_MILLISECONDS, pool_recycle=_RECYCLE_SECONDS, max_overflow=_MORE_CONNECTIONS
        )

    def close(self) -> None:
        self.instance.dispose()


def _range_tags(days: Sequence[date]) -> dict[str, str]:
    # Who started it starts it again: the daemon could not, it has no code location of this process.
    tags = {"stock_assets/started_by": "command line", MAX_RETRIES_TAG: "0"}
    if len(days) > 1:
        tags |= {_RANGE_START: days[0].isoformat(), _RANGE_END: days[-1].isoformat()}
    return tags


def _errors_of(result: ExecuteInProcessResult) -> Iterator[SerializableErrorInfo]:
    for event in result.all_events:
        if event.event_type is DagsterEventType.STEP_FAILURE and event.step_failure_data.error is not None:
            yield event.step_failure_data.error
        elif event.event_type is DagsterEventType.PIPELINE_FAILURE and event.job_failure_data.error is not None:
            yield event.job_failure_data.error


def _outcome(result: ExecuteInProcessResult) -> RunOutcome:
    checks = tuple(
        FailedCheck(
            check.check_name,
            is_blocking=bool(check.blocking) and check.severity is AssetCheckSeverity.ERROR,
            facts={name: value.value for name, value in check.metadata.items()},
        )
        for check in result.get_asset_check_evaluations()
        if not check.passed
    )
    if result.success:
        return RunOutcome(result.run_id, is_success=True, failed_checks=checks)
    for event in result.all_events:
        if event.event_type is DagsterEventType.STEP_FAILURE:
            facts = event.step_failure_data.user_failure_data
            if facts is not None:
                kind = facts.metadata.get(ERROR_CLASS)
                return RunOutcome(
                    result.run_id, is_success=False, failed_checks=checks, sentence=facts.description,
                    error_class=None if kind is None else str(kind.value), trace=_trace(result),
                )  # fmt: skip
    first = next((error for error in _errors_of(result)), None)
    sentence = None if first is None else _chain(first)[-1].message.strip()
    return RunOutcome(result.run_id, is_success=False, failed_checks=checks, sentence=sentence, trace=_trace(result))


def _trace(result: ExecuteInProcessResult) -> str | None:
    return next((error.to_string() for error in _errors_of(result)), None)


def _chain(error: SerializableErrorInfo) -> list[SerializableErrorInfo]:
    """Return an error and what caused it: Dagster wraps the first one in messages of its own."""
    found = [error]
    while found[-1].cause is not None:
        found.append(found[-1].cause)
    return found
