"""Commands about technical indicators: read one stock's, compute those of a range, and compare what is stored with its bars."""

from datetime import date, timedelta
from pathlib import Path

import click

from stock_assets.cli import exit_codes
from stock_assets.cli.options import CODE, CODES, DAY, check_range, sessions_of
from stock_assets.cli.progress import ProgressDisplay
from stock_assets.cli.rows_out import check_output, give_rows, output_options
from stock_assets.cli.session import Session, pass_session
from stock_assets.domain.calendar import FIRST_SESSION
from stock_assets.domain.errors import InvalidInput
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.indicators.table import TECHNICAL_DAILY
from stock_assets.pipeline.compute import compute_technicals
from stock_assets.pipeline.technical_check import compare_recomputed
from stock_assets.storage import ledger
from stock_assets.storage.technicals_question import PriceLevel

_KEY = ("ts_code", "trade_date")
# What fits a terminal; the other formats have every column.
_SHOWN = (
    "trade_date",
    "ma_5",
    "ma_20",
    "dif",
    "dea",
    "macd",
    "kdj_k",
    "kdj_d",
    "kdj_j",
    "rsi_6",
    "boll_upper",
    "boll_lower",
)
_ADJUSTED = {"qfq": ("前复权", "forward-adjusted"), "hfq": ("后复权", "back-adjusted")}


@click.command(
    "technicals",
    epilog="例：stock-assets technicals 600000 --columns ma_5,macd --format csv"
    " | e.g. stock-assets technicals 600000 --columns ma_5,macd --format csv",
)
@click.argument("code", type=CODE)
@click.option("--start", type=DAY, help="起始日，默认截止日前 90 天 | first day, 90 days before the last by default")
@click.option("--end", type=DAY, help="截止日，默认最近 | last day, the newest by default")
@click.option(
    "--adjust",
    type=click.Choice(["qfq", "hfq"]),
    default="qfq",
    help="价格类指标的复权：qfq 前复权（默认），hfq 后复权，即存储中的值"
    " | adjustment of what scales with prices: qfq forward (default), hfq back, as it is stored",
)
@click.option("--anchor", type=DAY, help="前复权基准日，默认截止日 | anchor of qfq, the last day by default")
@click.option(
    "--columns",
    help="列名，逗号分隔，默认全部；代码与日期总在最前"
    " | columns, comma separated, all of them by default; code and day always lead",
)
@output_options
@pass_session
def technicals_command(  # noqa: PLR0913  one parameter per option
    session: Session,
    code: str,
    start: date | None,
    end: date | None,
    adjust: PriceLevel,
    anchor: date | None,
    columns: str | None,
    form: str | None,
    out: Path | None,
) -> None:
    """一只证券的技术指标 | one stock's technical indicators.

    停牌日没有行。 | There is no row for days on which it did not trade.
    """
    check_output(form, out)
    installation = session.installation
    last = end or installation.last_final()
    first = start or last - timedelta(days=90)
    check_range(first, last)
    names = None if columns is None else _led_by_key(columns)
    rows = installation.reader().technicals(
        [code], first, last, adjust=adjust, anchor=anchor or last, columns=names
    )  # fmt: skip
    if rows.is_empty():
        compute = f"stock-assets backfill-technicals --start {first} --end {last}"
        session.note(
            f"{code} 在 {first} 至 {last} 没有技术指标；计算：{compute}",
            f"no indicators of {code} from {first} to {last}; compute: {compute}",
        )
    title = f"{code} {session.say(*_ADJUSTED[adjust])}"
    give_rows(session, rows, form, out, columns=_SHOWN if names is None else names, title=title)


def _led_by_key(columns: str) -> list[str]:
    """Return the columns that are named, each once. A value means nothing without its day, and without one a line is empty."""
    return list(dict.fromkeys([*_KEY, *(name for part in columns.split(",") if (name := part.strip()))]))


@click.command(
    "backfill-technicals",
    epilog="例：stock-assets backfill-technicals --start 2026-01-01 --end 2026-03-31"
    " | e.g. stock-assets backfill-technicals --start 2026-01-01 --end 2026-03-31",
)
@click.option("--start", type=DAY, help="起始日，默认最早装载的交易日 | first day, the first that is loaded by default")
@click.option("--end", type=DAY, help="截止日，默认最近装载的交易日 | last day, the newest that is loaded by default")
@click.option(
    "--again",
    is_flag=True,
    help="不论台账如何都重算，只写入不同的行 | compute whatever the ledger says; only rows that differ are written",
)
@click.option(
    "--codes",
    type=CODES,
    default="",
    help="只重算这些证券，与 --again 同用 | only these securities, together with --again",
)
@pass_session
def backfill_technicals(
    session: Session, start: date | None, end: date | None, codes: list[str], *, again: bool
) -> None:
    """计算一段日期的技术指标 | compute the indicators of a range.

    只算输入有变的部分，并带上其前后受影响的交易日。 | What is stale of it, and the days before and after that depend on it.
    """
    if codes and not again:
        raise InvalidInput(
            problem="--codes goes together with --again: what is stale is computed for all stocks",
            problem_zh="--codes 须与 --again 同用：过期的部分总是对全部证券计算",
        )
    installation = session.installation
    with installation.database.read() as conn:
        loaded = sorted(ledger.known_days(conn, STOCK_DAILY.name))
    if start is None or end is None:
        if not loaded:
            raise InvalidInput(
                problem="no bars are loaded, so there is nothing to compute from; load some: stock-assets nightly",
                problem_zh="尚未装载日线，无从计算；请先装载：stock-assets nightly",
            )
        start, end = start or loaded[0], end or loaded[-1]
    check_range(start, end)
    known = set(loaded)
    chosen = sessions_of(installation.calendar, start, end)
    # Of a range what is loaded; a single day that is not is an error with its reason.
    days = [day for day in chosen if day in known] or chosen[-1:]
    with ProgressDisplay(session.errors, session.language) as display:
        installation.progress = display
        report = compute_technicals(installation.technicals(), days, ts_codes=codes or None, again=again)
    if (failure := report.failure()) is not None:
        raise failure
    if len(chosen) > len(days):
        rest = len(chosen) - len(days)
        session.note(
            f"另有 {rest} 个交易日尚未装载日线，未计算", f"{rest} more trading days have no bars yet and were left out"
        )
    seconds = ", ".join(
        f"{name.removesuffix('_seconds')} {value:.1f} s" for name, value in sorted(report.split.items())
    )
    session.tell(
        f"技术指标：处理 {len(report.outcomes)} 个交易日，新增 {report.inserted:,} 行，更新 {report.updated:,} 行，"
        f"删除 {report.deleted:,} 行（{seconds}）",
        f"indicators: {len(report.outcomes)} trading days worked on, {report.inserted:,} rows added, {report.updated:,} "
        f"updated, {report.deleted:,} deleted ({seconds})",
    )


@click.command(
    "check-technicals",
    epilog="退出码 65 表示存储与重算结果不一致 | exit code 65: what is stored differs from what its bars say",
)
@click.option("--date", "day", type=DAY, help="交易日，默认最近计算的 | trading day, the newest computed by default")
@click.option("--full", is_flag=True, help="比对全部历史 | compare all of history")
@pass_session
def check_technicals(session: Session, day: date | None, *, full: bool) -> None:
    """重算指标，与存储逐位比对 | compute indicators again and compare them bit by bit."""
    installation = session.installation
    with installation.database.read() as conn:
        known = sorted(ledger.known_days(conn, TECHNICAL_DAILY.name))
    if not known:
        raise InvalidInput(
            problem="no indicators are computed yet; compute them: stock-assets backfill-technicals",
            problem_zh="尚未计算技术指标；请先计算：stock-assets backfill-technicals",
        )
    with ProgressDisplay(session.errors, session.language) as display:
        installation.progress = display
        found = compare_recomputed(installation.technicals(), None if full else [day or known[-1]])
    if found.is_equal:
        first = found.first if found.first > FIRST_SESSION else known[0]
        session.tell(
            f"{first} 至 {found.last}：{found.rows:,} 行、{found.cells:,} 个数值与重算结果逐位一致",
            f"{first} to {found.last}: {found.rows:,} rows, {found.cells:,} values equal what their bars say, bit by bit",
        )
        return
    session.show(found.worst, "table", title=session.say("不一致的数值", "values that differ"))
    session.complain(
        session.say(
            f"{found.differing_cells:,} 个数值不一致，缺 {found.missing_rows:,} 行，多 {found.extra_rows:,} 行；修复：{found.repair}",
            f"{found.differing_cells:,} values differ, {found.missing_rows:,} rows are missing, {found.extra_rows:,} are too many; "
            f"to repair: {found.repair}",
        )
    )
    click.get_current_context().exit(exit_codes.DATA_REFUSED)
