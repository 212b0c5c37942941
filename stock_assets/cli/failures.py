"""What failed and was not done since: the records, and another try for them."""

from collections.abc import Sequence
from datetime import date
from typing import Final

import click
import polars as pl

from stock_assets.cli.load import run_and_report, run_job
from stock_assets.cli.options import FORMATS
from stock_assets.cli.outcome import end_with
from stock_assets.cli.session import Session, pass_session
from stock_assets.domain.calendar import SHANGHAI
from stock_assets.pipeline.daily_sync import days_of_records
from stock_assets.storage import sync_tasks
from stock_assets.storage.sync_tasks import JOB_TYPES, JobType, SyncFailureRecord

# The jobs of automation by their names: this file must not pay for Dagster to list records.
_JOB_OF: Final[dict[JobType, str]] = {
    "DAILY_HISTORY": "sync_history_daily_data_job",
    "DAILY_INCREMENTAL": "sync_daily_data_job",
    "FINANCE_HISTORY": "sync_finance_history_job",
    "FINANCE_INCREMENTAL": "sync_incremental_finance_job",
}
_SCHEMA = {
    "job_type": pl.String(),
    "third_code": pl.String(),
    "needs_a_person": pl.Boolean(),
    "retry_count": pl.Int64(),
    "max_retries": pl.Int64(),
    "last_attempt_at": pl.String(),
    "error_message": pl.String(),
}


@click.command("failures")
@click.option(
    "--job",
    "job",
    type=click.Choice([name.lower() for name in JOB_TYPES]),
    help="只看这类任务，默认全部 | only of this type of task, all by default",
)
@click.option("--retry", is_flag=True, help="现在重试，待人处理的也在内 | try them again now, also those that wait")
@click.option("--format", "form", type=FORMATS, default="table", help="形式 | form")
@pass_session
def failures_command(session: Session, job: str | None, form: str, *, retry: bool) -> None:
    """未解决的失败记录 | unresolved failure records.

    重试次数用尽的记录等人处理，不再自动重试：看清原因后用 --retry 放行。 | A record whose retries are used up waits for a
    person and is not tried again by itself: look at the reason, then let it go with --retry.
    """
    types: list[JobType] = [name for name in JOB_TYPES if job in (None, name.lower())]
    records = _records(session, types)
    if not retry:
        _show(session, records, form)
        return
    failed: list[int] = []
    failing: list[JobType] = [name for name in types if any(record.job_type == name for record in records)]
    for job_type in failing:
        with session.installation.database.begin() as conn:
            count = sync_tasks.retry_again(conn, job_type)
        session.note(f"{job_type}：重试 {count} 项", f"{job_type}: {count} items are tried again")
        try:
            _run(session, job_type)
        except click.exceptions.Exit as ended:
            failed.append(ended.exit_code)
    _show(session, _records(session, types), form)
    if failed:
        click.get_current_context().exit(failed[0])


def _run(session: Session, job_type: JobType) -> None:
    installation, job = session.installation, _JOB_OF[job_type]
    if job_type == "DAILY_HISTORY" or job_type == "DAILY_INCREMENTAL":  # noqa: PLR1714  a type checker reads this one
        # Without a record that still lacks anything the run only finds that out.
        sessions = days_of_records(installation.pipeline(), job_type) or [installation.last_final()]
        run_and_report(session, job, sessions, only_failures=True)
        return
    days: Sequence[date] = [] if job_type == "FINANCE_HISTORY" else [installation.last_final()]
    end_with(session, run_job(session, job, days, ()))


def _records(session: Session, types: Sequence[JobType]) -> list[SyncFailureRecord]:
    with session.installation.database.read() as conn:
        records = [record for record in sync_tasks.open_failures(conn) if record.job_type in types]
    return sorted(records, key=lambda record: (not record.needs_a_person, record.job_type, record.third_code))


def _show(session: Session, records: Sequence[SyncFailureRecord], form: str) -> None:
    if form == "table" and not records:
        session.tell("没有未解决的失败记录", "there is no unresolved failure record")
        return
    session.show(frame_of(records), form)
    waiting = sum(record.needs_a_person for record in records)
    if form == "table" and waiting:
        session.tell(
            f"{waiting} 项待人处理，不会自动重试；看清原因后运行：stock-assets failures --retry",
            f"{waiting} wait for a person and are not tried by themselves; look at the reason, then run "
            "`stock-assets failures --retry`",
        )


def frame_of(records: Sequence[SyncFailureRecord]) -> pl.DataFrame:
    """Return records as a table for people, times in Shanghai."""
    rows = [
        (
            record.job_type,
            record.third_code,
            record.needs_a_person,
            record.retry_count,
            record.max_retries,
            f"{record.last_attempt_at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}",
            record.error_message,
        )
        for record in records
    ]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")
