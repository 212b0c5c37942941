"""Commands that fetch: the nightly job, the missing part of a range, full history."""

import time
from collections.abc import Sequence
from datetime import date

import click
import polars as pl

from stock_assets.cli import exit_codes
from stock_assets.cli.options import CODES, DAY
from stock_assets.cli.progress import ProgressDisplay
from stock_assets.cli.session import Session, pass_session
from stock_assets.domain import errors
from stock_assets.domain.calendar import FIRST_SESSION, SHANGHAI
from stock_assets.domain.errors import InvalidInput, StockAssetsError
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.pipeline.gaps import check_days
from stock_assets.storage import coverage, ledger

NIGHTLY, HISTORY = "nightly_job", "sync_history_daily_data_job"


@click.command()
@click.option(
    "--date", "day", type=DAY, help="交易日，默认最近一个已发布的 | trading day, the newest published by default"
)
@pass_session
def nightly(session: Session, day: date | None) -> None:
    """运行每晚任务：日历、证券、日线、复权因子 | run the nightly job: calendar, securities, bars, factors."""
    installation = session.installation
    chosen = day or installation.last_final()
    run_and_report(session, NIGHTLY, [chosen])


@click.command("backfill-daily")
@click.option("--start", type=DAY, required=True, help="起始日 | first day")
@click.option("--end", type=DAY, required=True, help="截止日 | last day")
@click.option("--codes", type=CODES, default="", help="只补这些证券，逗号分隔 | only these securities, comma separated")
@click.option("--rate-limit", type=click.IntRange(min=1), help="每分钟最多请求数 | at most so many requests a minute")
@pass_session
def backfill_daily(session: Session, start: date, end: date, codes: list[str], rate_limit: int | None) -> None:
    """只补区间内缺失的部分，按（证券，交易日）计 | load exactly what is missing of a range, by (stock, day)."""
    days = _sessions(session, start, end)
    run_and_report(session, HISTORY, days, ts_codes=codes, rate_limit=rate_limit)


@click.group()
def history() -> None:
    """可续跑的历史装载 | history loads that go on where they stopped."""


@history.command("daily")
@click.option("--start", type=DAY, help="起始日，默认 1990-12-19 | first day, 1990-12-19 by default")
@click.option("--end", type=DAY, help="截止日，默认最近一个已发布的交易日 | last day, the newest published by default")
@click.option("--rate-limit", type=click.IntRange(min=1), help="每分钟最多请求数 | at most so many requests a minute")
@pass_session
def history_daily(session: Session, start: date | None, end: date | None, rate_limit: int | None) -> None:
    """日线全部历史 | all daily bars."""
    days = _sessions(session, start or FIRST_SESSION, end or session.installation.last_final())
    run_and_report(session, HISTORY, days, rate_limit=rate_limit)


def run_and_report(
    session: Session,
    job_name: str,
    days: Sequence[date],
    *,
    ts_codes: Sequence[str] = (),
    rate_limit: int | None = None,
) -> None:
    """Run a job over `days` with a progress display, say what became of them, and end with the right exit code."""
    from stock_assets.cli.run_here import run_here  # noqa: PLC0415  Dagster costs seconds to import

    installation = session.installation
    installation.requests_per_minute = rate_limit
    check_days(installation.calendar, installation.now(), days)
    sent_before = _requests_today(session)
    began = time.monotonic()
    words = session.say("行", "rows"), session.say("次请求", "calls")
    with ProgressDisplay(session.errors, unit=words[1], rows_word=words[0]) as display:
        installation.progress = display
        outcome = run_here(installation, job_name, days, ts_codes=ts_codes)
    _tell_days(session, days, time.monotonic() - began, _requests_today(session) - sent_before)
    for check in outcome.failed_checks:
        session.tell(f"[yellow]检查未通过[/]：{check}", f"[yellow]check failed[/]: {check}")
    if not outcome.is_success:
        session.errors.print(outcome.sentence or "", style="red", markup=False)
        kind: type[StockAssetsError] | None = getattr(errors, outcome.error_class or "", None)
        # A run that failed without an error of ours was stopped by a blocking check.
        click.get_current_context().exit(exit_codes.DATA_REFUSED if kind is None else exit_codes.exit_code(kind()))


def _requests_today(session: Session) -> int:
    installation = session.installation
    today = installation.now().astimezone(SHANGHAI).date()
    return sum(use.requests for use in installation.quota.usage("baostock", today) if use.api == "*")


def _tell_days(session: Session, days: Sequence[date], seconds: float, requests: int) -> None:
    """Say how the asked days stand now."""
    with session.installation.database.read() as conn:
        counts = coverage.day_counts(conn, days[0], days[-1]).filter(pl.col("trade_date").is_in(list(days)))
        entries = ledger.read_entries(conn, STOCK_DAILY.name, days[0], days[-1])
    present, expected = int(counts["present"].sum()), int(counts["expected"].sum())
    whole = counts.filter((pl.col("present") == pl.col("expected")) & (pl.col("expected") > 0)).height
    session.tell(
        f"{len(days)} 个交易日中 {whole} 个完整，{present:,}/{expected:,} 行，{requests} 次请求，用时 {seconds:.1f} 秒",
        f"{whole} of {len(days)} trading days complete, {present:,}/{expected:,} rows, {requests} requests, {seconds:.1f} s",
    )
    short = entries.filter(pl.col("status").is_in(["partial", "refused"]))
    for row in short.head(5).iter_rows(named=True):
        session.console.print(f"  {row['trade_date']}  {row['status']}  {row['detail']}", style="yellow", markup=False)
    if short.height > 5:  # noqa: PLR2004  as many as were shown
        session.tell(f"  … 另有 {short.height - 5} 天", f"  … and {short.height - 5} more days")


def _sessions(session: Session, start: date, end: date) -> list[date]:
    if end < start:
        raise InvalidInput(
            problem=f"the range ends ({end}) before it starts ({start})", problem_zh=f"截止日 {end} 早于起始日 {start}"
        )
    days = session.installation.calendar.between(start, end)
    if not days:
        raise InvalidInput(
            problem=f"there is no trading day from {start} to {end}", problem_zh=f"{start} 至 {end} 之间没有交易日"
        )
    return days
