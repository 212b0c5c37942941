"""Commands that fetch: the nightly job, the missing part of a range, full history."""

import time
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import click

from stock_assets.cli.imports import uncollected
from stock_assets.cli.options import CODES, DAY, sessions_of
from stock_assets.cli.outcome import end_with, requests_today, tell_days
from stock_assets.cli.progress import ProgressDisplay
from stock_assets.cli.session import Session, pass_session
from stock_assets.cli.stopping import run_stoppable
from stock_assets.domain.calendar import FIRST_SESSION
from stock_assets.pipeline.gaps import check_days

if TYPE_CHECKING:
    from stock_assets.cli.run_here import RunOutcome
    from stock_assets.pipeline.repair import Repair

NIGHTLY, HISTORY = "nightly_job", "sync_history_daily_data_job"


@click.command(epilog="退出码 75 表示当日数据尚未发布 | exit code 75: the day is not published yet")
@click.option(
    "--date", "day", type=DAY, help="交易日，默认最近一个已发布的 | trading day, the newest published by default"
)
@pass_session
def nightly(session: Session, day: date | None) -> None:
    """运行每晚任务 | run the nightly job.

    日历、证券、日线、复权因子、技术指标、每日快照；已有的交易日会重新核对。 | Calendar, securities, bars, factors, indicators,
    snapshot; a day that is there is asked again and compared.
    """
    run_and_report(session, NIGHTLY, [day or session.installation.last_final()])


@click.command(
    "backfill-daily",
    epilog="例：stock-assets backfill-daily --start 2026-01-01 --end 2026-03-31 --codes 600000,000001"
    " | e.g. stock-assets backfill-daily --start 2026-01-01 --end 2026-03-31 --codes 600000,000001",
)
@click.option("--start", type=DAY, required=True, help="起始日 | first day")
@click.option("--end", type=DAY, required=True, help="截止日 | last day")
@click.option("--codes", type=CODES, default="", help="只补这些证券，逗号分隔 | only these securities, comma separated")
@click.option(
    "--rate-limit", metavar="N", type=click.IntRange(min=1), help="每分钟最多请求数 | at most N requests a minute"
)
@pass_session
def backfill_daily(session: Session, start: date, end: date, codes: list[str], rate_limit: int | None) -> None:
    """只补一段日期内缺失的日线 | load exactly what is missing of a range.

    按（证券，交易日）计；完整的交易日不发请求。 | By (stock, day); complete days cost no request.
    """
    days = sessions_of(session.installation.calendar, start, end)
    run_and_report(session, HISTORY, days, ts_codes=codes, rate_limit=rate_limit)


@click.group()
def history() -> None:
    """装载历史，可停可续 | load history; stop and go on at will."""


@history.command("daily")
@click.option("--start", type=DAY, help="起始日，默认 1990-12-19 | first day, 1990-12-19 by default")
@click.option("--end", type=DAY, help="截止日，默认最近一个已发布的交易日 | last day, the newest published by default")
@click.option(
    "--rate-limit", metavar="N", type=click.IntRange(min=1), help="每分钟最多请求数 | at most N requests a minute"
)
@pass_session
def history_daily(session: Session, start: date | None, end: date | None, rate_limit: int | None) -> None:
    """日线与复权因子的历史 | daily bars and adjustment factors.

    只取缺失的部分；Ctrl-C 可停，再次运行即续。 | Gaps only; stop it with Ctrl-C, and the same command goes on.
    """
    calendar = session.installation.calendar
    days = sessions_of(calendar, start or FIRST_SESSION, end or session.installation.last_final())
    run_and_report(session, HISTORY, days, rate_limit=rate_limit)


def run_and_report(  # noqa: PLR0913  (each has its default)
    session: Session,
    job_name: str,
    days: Sequence[date],
    *,
    ts_codes: Sequence[str] = (),
    rate_limit: int | None = None,
    only_failures: bool = False,
    repair: "Repair | None" = None,
) -> None:
    """Run a job over `days` with a progress display, say what became of them, and end with the right exit code."""
    installation = session.installation
    installation.requests_per_minute = rate_limit
    check_days(installation.calendar, installation.now(), days)
    # Refuses to mix markets in one store; inside the run Dagster would wrap its sentence.
    installation.source  # noqa: B018
    sent_before = requests_today(installation)
    began = time.monotonic()
    with ProgressDisplay(session.errors, session.language) as display:
        installation.progress = display
        outcome = run_job(session, job_name, days, ts_codes, only_failures=only_failures, repair=repair)
    seconds = time.monotonic() - began
    tell_days(session, days, ts_codes, seconds=seconds, requests=requests_today(installation) - sent_before)
    end_with(session, outcome)


def run_job(  # noqa: PLR0913  (each has its default)
    session: Session,
    job_name: str,
    days: Sequence[date],
    ts_codes: Sequence[str],
    *,
    start: date | None = None,
    only_failures: bool = False,
    repair: "Repair | None" = None,
) -> "RunOutcome":
    """Run a job in this process until it ends or Ctrl-C stops it; `start` is the first day of periods of a finance history.

    Errors: `KeyboardInterrupt`, after the run was recorded as stopped.
    """
    with uncollected():
        from stock_assets.cli.run_here import new_run_id, note_stopped, run_here  # noqa: PLC0415  Dagster costs seconds

    run_id = new_run_id()
    try:
        return run_stoppable(
            lambda stop: run_here(
                session.installation,
                job_name,
                days,
                stop=stop,
                run_id=run_id,
                ts_codes=ts_codes,
                start=start,
                only_failures=only_failures,
                repair=repair,
            ),
            before_grace=session.silence_log,
        )
    except KeyboardInterrupt:
        note_stopped(run_id)
        raise
