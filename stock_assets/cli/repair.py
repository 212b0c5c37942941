"""The command that finds what is missing and brings it: bars and factors by request, indicators and snapshots by computing."""

from collections.abc import Collection, Sequence
from datetime import date, timedelta

import click
import polars as pl

from stock_assets.cli.imports import uncollected
from stock_assets.cli.load import run_and_report
from stock_assets.cli.options import DAY, sessions_of
from stock_assets.cli.session import Session, pass_session
from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.errors import InvalidInput
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.pipeline.repair import Gaps, find_gaps, next_repair, window
from stock_assets.storage import ledger

# Fetched, computed, published: each of which may bring what the next one needs.
_ROUNDS = 3
_WORDS = (
    ("bars", "日线", "bars"),
    ("factors", "复权因子", "factors"),
    ("technicals", "技术指标", "indicators"),
    ("snapshots", "快照", "snapshots"),
)


@click.command(
    "repair",
    epilog="例：stock-assets repair --last 90 | e.g. stock-assets repair --last 90",
)
@click.option(
    "--last",
    "last_days",
    metavar="N",
    type=click.IntRange(min=1),
    help="最近多少个自然日，默认 30 | calendar days up to the newest published one, 30 by default",
)
@click.option("--start", type=DAY, help="起始日 | first day")
@click.option("--end", type=DAY, help="截止日，默认最近一个已发布的交易日 | last day, the newest published by default")
@click.option(
    "--rate-limit", metavar="N", type=click.IntRange(min=1), help="每分钟最多请求数 | at most N requests a minute"
)
@pass_session
def repair_command(
    session: Session, last_days: int | None, start: date | None, end: date | None, rate_limit: int | None
) -> None:
    """找出缺失并补齐 | find what is missing and repair it.

    按（证券，交易日）核对日线、复权因子、技术指标与快照；完整时不发请求、不写行；各数据源都证实没有的不再请求。
    | Looks at bars, factors, indicators and snapshots by (stock, day). Where nothing lacks, no request is sent and no row
    written; what every source has proven not to have is not asked for again.
    """
    if last_days is not None and (start or end):
        raise InvalidInput(
            problem="--last and --start/--end exclude each other", problem_zh="--last 与 --start/--end 只能选一种"
        )
    days = _days(session, last_days, start, end)
    busy = _busy(session)
    tried = set[str]()
    for _ in range(_ROUNDS):
        gaps = _gaps(session, days, busy)
        repair = next_repair(gaps)
        if repair is None or repair.digest in tried:
            break
        if not tried:
            _tell(session, days, gaps)
        tried.add(repair.digest)
        chosen = session.installation.calendar.between(repair.first, repair.last)
        run_and_report(session, "repair_job", chosen, rate_limit=rate_limit, repair=repair)
    _tell_end(session, days, _gaps(session, days, busy), busy)


def _days(session: Session, last_days: int | None, start: date | None, end: date | None) -> list[date]:
    """Return the sessions to look at; without a first day, those since the store's own."""
    installation = session.installation
    until = min(end or installation.last_final(), installation.last_final())
    if start is not None:
        return list(sessions_of(installation.calendar, start, until))
    with installation.database.read() as conn:
        known = ledger.known_days(conn, STOCK_DAILY.name)
    days = window(installation.calendar, known, until=until, days=last_days or 30)
    if not days:
        raise InvalidInput(
            problem="the store holds nothing yet; load first, for example with `stock-assets history daily --start 2024-01-01`",
            problem_zh="存储尚无数据；请先装载，例如 stock-assets history daily --start 2024-01-01",
        )
    return days


def _busy(session: Session) -> set[date]:
    with uncollected():
        from stock_assets.cli.run_here import days_under_way  # noqa: PLC0415  Dagster costs seconds

    return days_under_way(session.installation)


def _gaps(session: Session, days: Sequence[date], busy: Collection[date]) -> Gaps:
    installation = session.installation
    with installation.database.read() as conn:
        return find_gaps(conn, days, now=installation.now(), sources=installation.sources_in_use, leave_out=busy)


def _tell(session: Session, days: Sequence[date], gaps: Gaps) -> None:
    """Say what is missing, by dataset."""
    parts_zh, parts_en = list[str](), list[str]()
    for name, zh, en in _WORDS:
        frame: pl.DataFrame = getattr(gaps, name)
        if frame.height:
            count = frame["trade_date"].n_unique()
            parts_zh.append(f"{zh} {frame.height:,} 项（{count} 天）")
            parts_en.append(f"{frame.height:,} {en} on {count} days")
    session.tell(
        f"{days[0]} 至 {days[-1]} 缺：{'，'.join(parts_zh)}", f"{days[0]} to {days[-1]} lacks {', '.join(parts_en)}"
    )


def _tell_end(session: Session, days: Sequence[date], gaps: Gaps, busy: Collection[date]) -> None:
    """Say how the days stand now."""
    left_out = sorted(set(days) & set(busy))
    if left_out:
        session.note(
            f"{len(left_out)} 个交易日正由其他任务处理，未核对",
            f"{len(left_out)} days are being worked on by other runs and were left out",
        )
    if gaps.waiting:
        tomorrow = f"{session.installation.now().astimezone(SHANGHAI).date() + timedelta(days=1)}"
        session.note(
            f"{gaps.waiting:,} 行数据源已答复没有，尚未到期再问（最早 {tomorrow}）",
            f"{gaps.waiting:,} rows: the sources said they have none, and are asked again later ({tomorrow} at the earliest)",
        )
    if gaps.is_empty:
        session.tell(
            f"{days[0]} 至 {days[-1]}：无缺失可补", f"{days[0]} to {days[-1]}: nothing is missing that could be had"
        )
        return
    session.note(
        f"仍缺 {len(gaps.days)} 个交易日的数据，见 stock-assets coverage --start {gaps.days[0]} --end {gaps.days[-1]}",
        f"{len(gaps.days)} days still lack something, see `stock-assets coverage --start {gaps.days[0]} --end {gaps.days[-1]}`",
    )
