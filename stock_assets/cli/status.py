"""How the store stands now: what is loaded, by whom and when, and what is left of today's requests."""

from datetime import datetime

import click
import polars as pl

from stock_assets.cli.options import FORMATS
from stock_assets.cli.session import Session, pass_session
from stock_assets.domain.calendar import FIRST_SESSION, SHANGHAI
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.storage import coverage, ledger
from stock_assets.storage.database import Connection

_SHOWN_RUNS = 5
_RUN_LETTERS = 8


@click.command()
@click.option(
    "--format", "form", type=FORMATS, default="table", help="形式；json、csv 只含台账 | json and csv: the ledger"
)
@pass_session
def status(session: Session, form: str) -> None:
    """存储、台账、配额的现状 | store, ledger and quota as they are."""
    installation = session.installation
    with installation.database.read() as conn:
        loaded = ledger.summary(conn)
        if form != "table":
            session.show(loaded, form)
            return
        tables = coverage.store_summary(conn)
        runs = _last_runs(conn, installation.now())
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
        session.show(runs, form, title=session.say("最近的装载", "last loads"))
        held = tables.select("table", "rows", "days", "codes", "last_day", (pl.col("bytes") / 1e6).round(2).alias("MB"))
        session.show(held.filter(pl.col("rows") > 0), form, title=session.say("表", "tables"))
    _tell_quota(session)


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
