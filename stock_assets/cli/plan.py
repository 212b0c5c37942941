"""What a load would cost, before anything is fetched."""

from datetime import date

import click
import polars as pl

from stock_assets.cli.options import CODES, DAY, FORMATS
from stock_assets.cli.session import Session, pass_session
from stock_assets.domain.calendar import FIRST_SESSION, SHANGHAI
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.pipeline.gaps import Block, blocks_of_gaps
from stock_assets.sources.planner import CostModel, Plan, by_code, by_day, plan_daily
from stock_assets.storage import ledger, reference

# Log in, calendar, securities, log out: the requests of a run beside its bars.
_AROUND = 4


@click.group()
def plan() -> None:
    """先看代价：请求数、用时、配额占比 | calls, minutes and quota share before anything is fetched."""


@plan.command("nightly")
@click.option("--date", "day", type=DAY, help="交易日 | trading day")
@click.option("--format", "form", type=FORMATS, default="table")
@pass_session
def plan_nightly(session: Session, day: date | None, form: str) -> None:
    """每晚任务的代价 | what the nightly job costs."""
    _tell(session, [day or session.installation.last_final()], [], form)


@plan.command("history")
@click.option("--start", type=DAY, help="起始日 | first day")
@click.option("--end", type=DAY, help="截止日 | last day")
@click.option("--codes", type=CODES, default="", help="只算这些证券 | only these securities")
@click.option("--format", "form", type=FORMATS, default="table")
@pass_session
def plan_history(session: Session, start: date | None, end: date | None, codes: list[str], form: str) -> None:
    """补齐一段历史的代价 | what the missing part of a range costs."""
    calendar = session.installation.calendar
    days = calendar.between(start or FIRST_SESSION, end or session.installation.last_final())
    _tell(session, days, codes, form)


def _tell(session: Session, days: list[date], codes: list[str], form: str) -> None:
    installation = session.installation
    with installation.database.read() as conn:
        is_known = not reference.read_securities(conn).is_empty()
        closed = ledger.closed_days(conn, "adjust_factor", days[0], days[-1])
    if not is_known:
        session.tell(
            "存储为空，按每个交易日一次请求估算；装载过证券清单后会更准",
            "the store is empty: estimated as one request per trading day; better once securities are loaded",
        )
    costs = CostModel()
    blocks = list(blocks_of_gaps(installation.database, days, codes or None)) if is_known else [_unknown(days)]
    factors = min(
        len([day for day in days if day not in closed]), len({c for b in blocks for c in b.gaps["ts_code"]}) or 1
    )
    ways = {session.say("全按交易日", "all by day"): by_day}
    if is_known:
        ways = {session.say("选用", "chosen"): plan_daily, **ways, session.say("全按证券", "all by code"): by_code}
    limit = installation.settings.baostock_daily_quota
    used = sum(
        use.requests
        for use in installation.quota.usage("baostock", installation.now().astimezone(SHANGHAI).date())
        if use.api == "*"
    )
    rows: list[dict[str, object]] = []
    for name, way in ways.items():
        plans: list[Plan] = [way(block.gaps, block.rows_of_day, costs) for block in blocks]
        requests = sum(plan.requests for plan in plans) + factors + _AROUND if plans else 0
        seconds = sum(plan.seconds for plan in plans) + (factors + _AROUND) * costs.request_seconds
        rows.append(
            {
                session.say("方案", "plan"): name,
                session.say("按日请求", "day calls"): sum(len(plan.day_calls) for plan in plans),
                session.say("按证券请求", "code calls"): sum(len(plan.code_calls) for plan in plans),
                session.say("请求合计", "requests"): requests,
                session.say("预计分钟", "minutes"): round(seconds / 60, 2),
                session.say("占每日配额", "share of quota"): f"{requests / limit:.2%}",
            }
        )
    session.show(pl.DataFrame(rows), form, title=f"{STOCK_DAILY.name} {days[0]} … {days[-1]}")
    if form == "table":
        session.tell(f"今日剩余请求 {limit - used:,}", f"requests left today {limit - used:,}")


def _unknown(days: list[date]) -> Block:
    """Return the block of a store that knows no security yet: one unnamed gap a day stands for the whole market."""
    gaps = pl.DataFrame(
        {"ts_code": ["?"] * len(days), "trade_date": days}, schema={"ts_code": pl.String, "trade_date": pl.Date}
    )
    return Block(gaps, dict.fromkeys(days, 5400))
