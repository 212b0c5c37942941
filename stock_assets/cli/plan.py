"""What a load would cost, before anything is fetched."""

from collections.abc import Sequence
from datetime import date

import click
import polars as pl

from stock_assets.cli.options import CODES, DAY, FORMATS, sessions_of
from stock_assets.cli.outcome import requests_today
from stock_assets.cli.session import Session, pass_session
from stock_assets.domain.calendar import FIRST_SESSION
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.pipeline.gaps import Block, blocks_of_gaps, check_days
from stock_assets.sources.planner import CostModel, Plan, by_code, by_day, plan_daily
from stock_assets.storage import ledger, reference

# Log in, calendar, securities, log out: at most so many requests of a run beside its bars and factors.
_AROUND = 4
_WAYS = {
    "chosen": ("选用", plan_daily),
    "by day": ("全按交易日", by_day),
    "by code": ("全按证券", by_code),
}


@click.group()
def plan() -> None:
    """先看代价：请求数、用时、配额 | requests, minutes and quota before anything is fetched."""


@plan.command("nightly")
@click.option("--date", "day", type=DAY, help="交易日 | trading day")
@click.option("--format", "form", type=FORMATS, default="table", help="形式 | form")
@pass_session
def plan_nightly(session: Session, day: date | None, form: str) -> None:
    """每晚任务的代价 | what the nightly job costs."""
    chosen = day or session.installation.last_final()
    check_days(session.installation.calendar, session.installation.now(), [chosen])
    _tell(session, [chosen], [], form, refetch=True)


@plan.command("history")
@click.option("--start", type=DAY, help="起始日，默认 1990-12-19 | first day, 1990-12-19 by default")
@click.option("--end", type=DAY, help="截止日，默认最近一个已发布的交易日 | last day, the newest published by default")
@click.option("--codes", type=CODES, default="", help="只算这些证券 | only these securities")
@click.option("--format", "form", type=FORMATS, default="table", help="形式 | form")
@pass_session
def plan_history(session: Session, start: date | None, end: date | None, codes: list[str], form: str) -> None:
    """补齐一段历史的代价 | what the missing part of a range costs."""
    calendar = session.installation.calendar
    days = sessions_of(calendar, start or FIRST_SESSION, end or session.installation.last_final())
    _tell(session, days, codes, form, refetch=False)


def _tell(session: Session, days: list[date], codes: list[str], form: str, *, refetch: bool) -> None:
    """Show what each way of fetching costs; a job for one day asks again for what is there (`refetch`)."""
    installation = session.installation
    with installation.database.read() as conn:
        securities = reference.read_securities(conn)
        closed = set[date]() if refetch else ledger.closed_days(conn, ADJUST_FACTOR.name, days[0], days[-1])
    is_known = not securities.is_empty()
    if not is_known:
        session.note(
            "存储为空，按每个交易日一次请求估算；装载过证券清单后会更准",
            "the store is empty: estimated as one request per trading day; better once securities are loaded",
        )
    blocks = (
        list(blocks_of_gaps(installation.database, days, codes or None, refetch=refetch))
        if is_known
        else [_unknown(days)]
    )
    factors = _factor_requests([day for day in days if day not in closed], securities)
    limit = installation.settings.baostock_daily_quota
    ways = _WAYS if is_known else {"by day": _WAYS["by day"]}
    costs = CostModel()
    rows: list[dict[str, object]] = []
    for name, (zh, way) in ways.items():
        plans: list[Plan] = [way(block.gaps, block.rows_of_day, costs) for block in blocks]
        around = factors + (_AROUND if plans or factors else 0)
        requests = sum(plan.requests for plan in plans) + around
        seconds = sum(plan.seconds for plan in plans) + around * costs.request_seconds
        rows.append(
            {
                "plan": session.say(zh, name) if form == "table" else name,
                "day_calls": sum(len(plan.day_calls) for plan in plans),
                "code_calls": sum(len(plan.code_calls) for plan in plans),
                "requests": requests,
                "minutes": round(seconds / 60, 2),
                "quota_percent": round(requests / limit * 100, 2),
            }
        )
    session.show(pl.DataFrame(rows), form, title=f"{STOCK_DAILY.name} {days[0]} … {days[-1]}")
    if form == "table":
        left = max(limit - requests_today(installation), 0)
        session.tell(f"今日剩余请求 {left:,}", f"requests left today {left:,}")


def _factor_requests(days: Sequence[date], securities: pl.DataFrame) -> int:
    """Return the requests for the factors of `days`: one a day, or one a stock where that is fewer."""
    if not days or securities.is_empty():
        return len(days)
    listed = (pl.col("list_date") <= days[-1]) & (pl.col("delist_date").is_null() | (pl.col("delist_date") > days[0]))
    return min(len(days), securities.filter(listed).height)


def _unknown(days: list[date]) -> Block:
    """Return the block of a store that knows no security yet: one unnamed gap a day stands for the whole market."""
    gaps = pl.DataFrame(
        {"ts_code": ["?"] * len(days), "trade_date": days}, schema={"ts_code": pl.String, "trade_date": pl.Date}
    )
    return Block(gaps, dict.fromkeys(days, 5400))
