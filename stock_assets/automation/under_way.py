"""Runs that have not ended, and the days they work on: what is asked for already is not asked for a second time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

from stock_assets.assets.loads import job_type_of
from stock_assets.domain.calendar import TradingCalendar, parse_day
from stock_assets.pipeline.daily_sync import LOOK_BACK

NOT_ENDED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
PARTITION = "dagster/partition"
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def runs_under_way(
    instance: DagsterInstance, *, job_name: str | None = None, tags: Mapping[str, str | list[str]] | None = None
) -> Sequence[DagsterRun]:
    """Return the runs that wait or work, of `job_name` and with these `tags` where they are given."""
    return instance.get_runs(RunsFilter(job_name=job_name, statuses=NOT_ENDED, tags=tags))


def days_of_runs(runs: Iterable[DagsterRun], calendar: TradingCalendar) -> set[date]:
    """Return the sessions that these runs are about, those that a nightly run looks back at included.

    A run without partitions is about none.
    """
    found: set[date] = set()
    for run in runs:
        days = list(_days_of(run, calendar))
        found.update(days)
        if days and job_type_of(run) == "DAILY_INCREMENTAL":
            found.update(calendar.between(max(days) - LOOK_BACK, max(days)))
    return found


def _days_of(run: DagsterRun, calendar: TradingCalendar) -> Iterator[date]:
    if (key := run.tags.get(PARTITION)) is not None:
        yield parse_day(key)
    elif (first := run.tags.get(RANGE_START)) is not None:
        yield from calendar.between(parse_day(first), parse_day(run.tags.get(RANGE_END, first)))
