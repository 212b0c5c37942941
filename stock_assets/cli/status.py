"""How the store stands now: what is loaded, by whom and when, and what is left of today's requests."""

from datetime import datetime

import click
import polars as pl

from stock_assets.cli.options import FORMATS
from stock_assets.cli.planned import tell_planned_runs
from stock_assets.cli.session import Session, pass_session
from stock_assets.domain.calendar import FIRST_SESSION, SHANGHAI
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.storage import coverage, ledger, sync_tasks
from stock_assets.storage.database import Connection

_SHOWN_RUNS = 5
_RUN_LETTERS = 8


@click.command()
@click.option(
    "--format", "form", type=FORMATS, default="table", help="形式；json、csv 只含台账 | json and csv: the ledger"
)
@click.option(
    "--runs", is_flag=True, help="列出近 30 天计划的每次运行 | every run that schedules planned in the last 30 days"
)
@pass_session
def status(session: Session, form: str, *, runs: bool) -> None:
    """存储、台账、配额、调度的现状 | store, ledger, quota and schedules as they are."""
    installation = session.installation
    with installation.database.read() as conn:
        loaded = ledger.summary(conn)
        if form != "table":
            session.show(loaded, form)
            return
        tables = coverage.store_summary(conn)
        last_runs = _last_runs(conn, installation.now())
        tasks, failed = _tasks(conn), sync_tasks.failure_rates(conn)
    last = installation.last_final()
    session.tell(f"最近已发布的交易日：{last}", f"newest published trading day: {last}")
    if loaded.is_empty():
        session.tell(
            "尚未装载数据；先看代价：stock-assets plan history --start 2024-01-01，再装载：stock-assets history daily",
            "nothing is loaded yet; see the price with `stock-assets plan history --start 2024-01-01`, then load with "
            "`stock-assets history daily`",
        )
    else:
        session.show(loaded, form, title=session.say("台账（各数据集的交易日数）", "ledger (trading days by dataset)"))
        session.show(last_runs, form, title=session.say("最近的装载", "last loads"))
        held = tables.select("table", "rows", "days", "codes", "last_day", (pl.col("bytes") / 1e6).round(2).alias("MB"))
        session.show(held.filter(pl.col("rows") > 0), form, title=session.say("表", "tables"))
    if not tasks.is_empty():
        session.show(tasks, form, title=session.say("同步任务", "synchronizations"))
    _tell_failures(session, failed)
    tell_planned_runs(session, all_runs=runs)
    _tell_quota(session)


def _tasks(conn: Connection) -> pl.DataFrame:
    """Return the newest task of each type: its state, how far it came, and when it was last worked on."""
    found = [task for job_type in sync_tasks.JOB_TYPES if (task := sync_tasks.latest(conn, job_type)) is not None]
    rows = [
        (
            task.job_type,
            task.status,
            task.current_offset,
            task.total_items,
            task.total_processed,
            f"{task.updated_at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}",
        )
        for task in found
    ]
    counts = {name: pl.Int64() for name in ("current_offset", "total_items", "total_processed")}
    schema = {"job_type": pl.String(), "status": pl.String(), **counts, "updated_at": pl.String()}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _tell_failures(session: Session, rates: pl.DataFrame) -> None:
    unresolved, waiting = int(rates["unresolved"].sum()), int(rates["needs_a_person"].sum())
    if waiting:
        session.tell(
            f"[red]{waiting} 项失败待人处理[/]，不会自动重试；查看：stock-assets failures",
            f"[red]{waiting} failures wait for a person[/] and are not retried by themselves; see `stock-assets failures`",
        )
    if unresolved > waiting:
        session.tell(
            f"{unresolved - waiting} 项失败将自动重试；查看：stock-assets failures",
            f"{unresolved - waiting} failures are retried by the next run; see `stock-assets failures`",
        )


def _last_runs(conn: Connection, now: datetime) -> pl.DataFrame:
    """Return the newest runs that left their mark in the ledger: when, how long, and how many days stand as they said."""
    today = now.astimezone(SHANGHAI).date()
    lines = pl.concat(
        ledger.read_entries(conn, dataset, FIRST_SESSION, today) for dataset in (STOCK_DAILY.name, ADJUST_FACTOR.name)
    )
    is_bars = pl.col("dataset") == STOCK_DAILY.name
    is_open = pl.col("status").is_in(["partial", "refused"])
    return (
        lines.group_by("run_id")
        .agg(
            pl.col("started_at").min(),
            (pl.col("finished_at").max() - pl.col("started_at").min()).dt.total_milliseconds().alias("milliseconds"),
            pl.col("trade_date").n_unique().alias("days"),
            pl.col("rows_present").filter(is_bars).sum().alias("rows"),
            is_open.sum().alias("partial"),
        )
        .sort("started_at", descending=True)
        .head(_SHOWN_RUNS)
        .select(
            pl.col("started_at").dt.convert_time_zone(SHANGHAI.key).dt.strftime("%Y-%m-%d %H:%M").alias("started"),
            (pl.col("milliseconds") / 1000).round(1).alias("seconds"),
            "days",
            "rows",
            "partial",
            pl.col("run_id").str.slice(0, _RUN_LETTERS).alias("run"),
        )
    )


def _tell_quota(session: Session) -> None:
    installation = session.installation
    now = installation.now()
    limit = installation.settings.baostock_daily_quota
    total = [use for use in installation.quota.usage("baostock", now.astimezone(SHANGHAI).date()) if use.api == "*"]
    used = sum(use.requests for use in total)
    session.tell(f"BaoStock 今日请求 {used:,}/{limit:,}", f"BaoStock requests today {used:,}/{limit:,}")
    for use in total:
        if use.banned_until is not None and use.banned_until > now:
            until = f"{use.banned_until.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
            session.tell(
                f"[red]已被 BaoStock 列入黑名单[/]，{until}（北京时间）之前不会发送请求",
                f"[red]blacklisted by BaoStock[/]: nothing is sent before {until} Shanghai time",
            )
