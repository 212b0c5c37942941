"""Commands that fetch finance reports, and what they would cost: parts of the groups `history` and `plan`.

The groups are taken from here, so that they are whole.
"""

import time
from datetime import date, timedelta

import click
import polars as pl

from stock_assets.cli.load import history, run_job
from stock_assets.cli.options import CODES, DAY, FORMATS
from stock_assets.cli.outcome import end_with
from stock_assets.cli.plan import plan
from stock_assets.cli.progress import ProgressDisplay
from stock_assets.cli.session import Session, pass_session
from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.errors import InvalidInput
from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.domain.quarters import periods_between
from stock_assets.pipeline.finance_history import stocks_to_ask
from stock_assets.sources.finance_base import FinanceCosts
from stock_assets.sources.finance_planner import FinancePlan, history_ways, plan_increment
from stock_assets.sources.tushare.finance_source import LEAST_POINTS, finance_costs
from stock_assets.sources.tushare_tiers import paces, tier_of
from stock_assets.storage import finance_progress, ledger, sync_tasks

__all__ = ["history", "plan"]

HISTORY = "sync_finance_history_job"
_MARKET_STOCKS = 5_400
_REPORTS_A_YEAR = 4
_WAYS = {
    "stock": ("全部历史，按证券", "history, by stock"),
    "period": ("全部历史，按报告期", "history, by period"),
    "increment": ("每日增量（全年平均）", "increment of a day, on average"),
}


@history.command(
    "finance",
    epilog="例：stock-assets history finance --start 2020-01-01 | e.g. stock-assets history finance --start 2020-01-01",
)
@click.option("--start", type=DAY, help="报告期起始日，默认按设置 | first day of periods, the settings' own by default")
@click.option("--codes", type=CODES, default="", help="只取这些证券，逗号分隔 | only these securities, comma separated")
@pass_session
def history_finance(session: Session, start: date | None, codes: list[str]) -> None:
    """财务指标的历史 | finance reports.

    只取缺失的部分；Ctrl-C 可停，再次运行即续。 | Gaps only; stop it with Ctrl-C, and the same command goes on.
    """
    installation = session.installation
    # Says who cannot be asked before Dagster, which costs seconds, is there.
    context = installation.finance(since=start)
    began = time.monotonic()
    with ProgressDisplay(session.errors, session.language, counted=("项", "items")) as display:
        installation.progress = display
        outcome = run_job(session, HISTORY, [], codes, start=start)
    with installation.database.read() as conn:
        task = sync_tasks.latest(conn, "FINANCE_HISTORY")
        closed = ledger.closed_days(conn, FINANCE_INDICATOR.name, context.since, context.last_final())
    days, seconds = context.calendar.between(context.since, context.last_final()), time.monotonic() - began
    if task is not None:
        session.tell(
            f"{len(days)} 个交易日中 {len(closed)} 个完整；本任务已完成 {task.current_offset:,} 项，"
            f"写入 {task.total_processed:,} 行，用时 {seconds:.1f} 秒",
            f"{len(closed)} of {len(days)} trading days complete; this task has done {task.current_offset:,} items and "
            f"written {task.total_processed:,} rows, {seconds:.1f} s",
        )
    end_with(session, outcome)


@plan.command("finance")
@click.option("--start", type=DAY, help="报告期起始日，默认按设置 | first day of periods, the settings' own by default")
@click.option(
    "--points",
    type=click.IntRange(min=0),
    help="按此 Tushare 积分估算，默认按设置 | price another Tushare account",
)
@click.option("--format", "form", type=FORMATS, default="table", help="形式 | form")
@pass_session
def plan_finance(session: Session, start: date | None, points: int | None, form: str) -> None:
    """财务指标的代价 | what finance reports cost."""
    installation = session.installation
    settings = installation.settings
    if points is None:
        context = installation.finance(since=start)
        costs, name = context.source.costs, context.source.name
        points = settings.tushare_points
    else:
        if points < LEAST_POINTS:
            raise InvalidInput(
                problem=f"{points} points give no finance reports: Tushare asks for {LEAST_POINTS}; BaoStock needs none",
                problem_zh=f"{points} 积分不能取财务指标：Tushare 需 {LEAST_POINTS} 积分；BaoStock 不需要积分",
            )
        name = "tushare"
        costs = finance_costs(points, paces(points, least_interval_seconds=settings.tushare_min_interval_seconds))
    daily = settings.baostock_daily_quota if costs.requests_per_report > 1 else tier_of(points).daily_of_api
    since = start or settings.sync_finance_history_start_date
    rows = [_row(session, way, daily, form) for way in _plans(session, costs, name, since)]
    session.show(pl.DataFrame(rows), form, title=f"{FINANCE_INDICATOR.name} · {name} · {since} …")


def _plans(session: Session, costs: FinanceCosts, source: str, since: date) -> list[FinancePlan]:
    """Return the ways to what is missing, the chosen one first, and a day's increment once it is there."""
    installation = session.installation
    today = installation.now().astimezone(SHANGHAI).date()
    with installation.database.read() as conn:
        stocks = finance_progress.read_stocks(conn, source, costs.exchanges)
    if stocks.is_empty():
        session.note(
            f"存储为空，按 {_MARKET_STOCKS:,} 只证券估算",
            f"the store is empty: estimated for {_MARKET_STOCKS:,} stocks",
        )
        missing = listed = _MARKET_STOCKS
    else:
        missing = stocks_to_ask(stocks, since, today, None).height
        listed = stocks.filter(pl.col("delist_date").is_null()).height
    quarters = len(periods_between(since, today))
    size = installation.settings.sync_finance_history_batch_size
    published = round(listed * _REPORTS_A_YEAR / 365 * 7 / 5)
    increment = plan_increment(costs, days=1, published=published, missing=0, quarters=quarters)
    return [*history_ways(costs, stocks=missing, quarters=quarters, batch_size=size), increment]


def _row(session: Session, way: FinancePlan, daily: int | None, form: str) -> dict[str, object]:
    zh, en = _WAYS[way.way]
    share = way.quota_percent(daily)
    return {
        "plan": session.say(zh, en) if form == "table" else way.way,
        "requests": way.requests,
        "minutes": round(timedelta(seconds=way.seconds) / timedelta(minutes=1), 2),
        "quota_percent": None if share is None else round(share, 2),
    }
