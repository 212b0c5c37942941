"""What a load would cost, before anything is fetched."""

from collections.abc import Sequence
from datetime import date

import click
import polars as pl

from stock_assets.cli.options import CODES, DAY, FORMATS, sessions_of
from stock_assets.cli.outcome import requests_today
from stock_assets.cli.session import Session, pass_session
from stock_assets.domain.calendar import FIRST_SESSION
from stock_assets.domain.codes import Exchange
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.pipeline.daily_sync import looked_back_at
from stock_assets.pipeline.gaps import Block, Scope, blocks_of_gaps, check_days
from stock_assets.settings import Settings
from stock_assets.sources.base import MarketSource
from stock_assets.sources.planner import CostModel, Plan, by_code, by_day, plan_daily
from stock_assets.sources.tushare_tiers import tier_of
from stock_assets.storage import ledger, reference

# Log in, calendar, securities, log out: at most so many requests of a run beside its bars and factors.
_AROUND = 4
_BEIJING: frozenset[Exchange] = frozenset({"BJ"})
_BEIJING_OPENED = date(2021, 11, 15)
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
    """每晚任务的代价，含回看一个月所补的 | what the nightly job costs, with what it repairs of the month before."""
    chosen = day or session.installation.last_final()
    check_days(session.installation.calendar, session.installation.now(), [chosen])
    earlier = looked_back_at(session.installation.pipeline(), chosen, "DAILY_INCREMENTAL")
    _tell(session, sorted({*earlier, chosen}), [], form, again=[chosen])


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
    _tell(session, days, codes, form, again=[])


def _tell(session: Session, days: list[date], codes: list[str], form: str, *, again: list[date]) -> None:
    """Show what each way of fetching costs; of the days of `again` what is there is asked for as well.

    A source after the first is priced for the exchanges that it alone has: what the first one will lack is not known.
    """
    installation = session.installation
    with installation.database.read() as conn:
        securities = reference.read_securities(conn)
        closed = ledger.closing_sources(conn, ADJUST_FACTOR.name, days[0], days[-1])
    older = [day for day in days if day not in again]
    if securities.is_empty():
        session.note(
            "存储为空，按每个交易日一次请求估算；装载过证券清单后会更准",
            "the store is empty: estimated as one request per trading day; better once securities are loaded",
        )
    had = frozenset[Exchange]()
    sources = (installation.source, *installation.fallbacks)
    rows: list[dict[str, object]] = []
    for source in sources:
        own = source.exchanges - had
        had |= source.exchanges
        listed = securities.filter(pl.col("exchange").is_in(own))
        if listed.is_empty() and not securities.is_empty() and source is not sources[0]:
            continue
        blocks = (
            [_unknown(days, own)]
            if securities.is_empty()
            else [
                block
                for chosen, refetch in ((older, False), (again, True))
                if chosen
                for block in blocks_of_gaps(
                    installation.database, chosen, codes or None, refetch=refetch, scope=Scope(own)
                )
            ]
        )
        open_days = [*(day for day in older if source.name not in closed.get(day, ())), *again]
        factors = _factor_requests(open_days, listed, source.costs)
        ways = {"by day": _WAYS["by day"]} if securities.is_empty() else _WAYS
        for name, (zh, way) in ways.items():
            plans = [way(block.gaps, block.rows_of_day, source.costs) for block in blocks]
            price = _price(plans, factors, source.costs)
            limit = _limit(installation.settings, source)
            said = session.say(zh, name) if form == "table" else name
            share = None if limit is None else round(price["requests"] / limit * 100, 2)
            rows.append({"source": source.name, "plan": said, **price, "quota_percent": share})
    session.show(pl.DataFrame(rows), form, title=f"{STOCK_DAILY.name} {days[0]} … {days[-1]}")
    if form == "table" and installation.uses_baostock:
        left = max(installation.settings.baostock_daily_quota - requests_today(installation, "baostock"), 0)
        session.tell(f"BaoStock 今日剩余请求 {left:,}", f"BaoStock requests left today {left:,}")


def _price(plans: Sequence[Plan], factors: int, costs: CostModel) -> dict[str, float]:
    around = factors + (_AROUND if plans or factors else 0)
    seconds = sum(plan.seconds for plan in plans) + around * costs.request_seconds
    return {
        "day_calls": sum(len(plan.day_calls) for plan in plans),
        "code_calls": sum(len(plan.code_calls) for plan in plans),
        "requests": sum(plan.requests for plan in plans) + around,
        "minutes": round(seconds / 60, 2),
    }


def _limit(settings: Settings, source: MarketSource) -> int | None:
    """Return how many requests a day the source allows for one kind of data, or None where it names no number."""
    if source.name != "tushare":
        return settings.baostock_daily_quota
    tier = tier_of(settings.tushare_points)
    return tier.daily if tier.daily_of_api is None else tier.daily_of_api * source.costs.parts


def _factor_requests(days: Sequence[date], listed: pl.DataFrame, costs: CostModel) -> int:
    """Return the requests for the factors of `days`: so many a day, or one a stock where that is fewer."""
    by_day = len(days) * costs.parts_of_factors
    if not days or listed.is_empty():
        return by_day
    is_there = (pl.col("list_date") <= days[-1]) & (pl.col("delist_date").is_null() | (pl.col("delist_date") > days[0]))
    return min(by_day, listed.filter(is_there).height)


def _unknown(days: list[date], exchanges: frozenset[Exchange]) -> Block:
    """Return the block of a store that knows no security yet: one unnamed gap a day stands for the whole market."""
    there = [day for day in days if day >= _BEIJING_OPENED] if exchanges == _BEIJING else days
    gaps = pl.DataFrame(
        {"ts_code": ["?"] * len(there), "trade_date": there}, schema={"ts_code": pl.String, "trade_date": pl.Date}
    )
    return Block(gaps, dict.fromkeys(there, 300 if exchanges == _BEIJING else 5400))
