"""The command that reads one stock's bars."""

from datetime import date, datetime, timedelta
from pathlib import Path

import click
import polars as pl

from stock_assets.cli.chart import chart_option, check_chart, draw_chart, warm_up_from
from stock_assets.cli.options import CODE, DAY, MOMENT, check_range
from stock_assets.cli.rows_out import check_output, give_rows, output_options
from stock_assets.cli.session import Session, pass_session
from stock_assets.domain.adjustment import Adjust
from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.tables import SECURITY
from stock_assets.domain.universe import newest_code

_SHOWN_DAYS, _DRAWN_DAYS = 90, 365
# What fits a terminal; the other formats have every column.
_SHOWN_COLUMNS = ("trade_date", "open", "high", "low", "close", "pct_chg", "volume", "turnover_rate", "is_suspended")
_ADJUSTED = {
    "none": ("不复权", "unadjusted"),
    "qfq": ("前复权", "forward-adjusted"),
    "hfq": ("后复权", "back-adjusted"),
}


@click.command(
    "bars",
    epilog="例：stock-assets bars 600000 --start 2026-01-01 --adjust qfq --out 600000.parquet"
    " | e.g. stock-assets bars 600000 --start 2026-01-01 --adjust qfq --out 600000.parquet",
)
@click.argument("code", type=CODE)
@click.option(
    "--start",
    type=DAY,
    help="起始日，默认截止日前 90 天，画图时 365 天 | first day, by default 90 days before the last, for a chart 365",
)
@click.option("--end", type=DAY, help="截止日，默认最近 | last day, the newest by default")
@click.option(
    "--adjust",
    type=click.Choice(["none", "qfq", "hfq"]),
    default="none",
    help="复权：qfq 前复权，hfq 后复权 | adjustment: qfq forward, hfq back",
)
@click.option("--anchor", type=DAY, help="前复权基准日，默认截止日 | anchor of qfq, the last day by default")
@click.option(
    "--as-of",
    type=MOMENT,
    help="按当时存储中的内容读取：2026-11-20T18:30（北京时间）、带时区的 ISO 时间，或日期（当日结束）"
    " | read the store as it was known then: 2026-11-20T18:30 in Shanghai time, an ISO time with its zone, or a day, meaning its end",
)
@click.option(
    "--whole-life",
    is_flag=True,
    help="换过代码的证券，连同以前代码的日线，合为一个序列"
    " | of a security that changed its code, those under its former ones as well, as one series",
)
@output_options
@chart_option
@pass_session
def bars_command(  # noqa: PLR0913  one parameter per option
    session: Session,
    code: str,
    start: date | None,
    end: date | None,
    adjust: Adjust,
    anchor: date | None,
    as_of: datetime | None,
    form: str | None,
    out: Path | None,
    chart: Path | None,
    *,
    whole_life: bool,
) -> None:
    """一只证券的日线 | one stock's daily bars.

    代码可写作 600000、600000.SH、sh.600000。 | Codes: 600000, 600000.SH, sh.600000.
    """
    check_output(form, out)
    check_chart(chart)
    now, calendar = session.installation.now(), session.installation.calendar
    last = end or calendar.last_final(min(as_of or now, now))
    first = start or last - timedelta(days=_SHOWN_DAYS if chart is None else _DRAWN_DAYS)
    check_range(first, last)
    reader = session.installation.reader()
    begin = first if chart is None else warm_up_from(calendar, first)
    code = newest_code(code) if whole_life else code
    ask = reader.whole_lives if whole_life else reader.bars
    read = ask([code], begin, last, adjust=adjust, anchor=anchor or last, as_of=as_of)
    rows = read.filter(pl.col("trade_date") >= first)
    if rows.is_empty() and as_of is not None:
        moment = f"{as_of.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
        session.note(
            f"{moment}（北京时间）时，存储中没有 {code} 在 {first} 至 {last} 的数据",
            f"at {moment} (Shanghai time) the store held no bars of {code} from {first} to {last}",
        )
    elif rows.is_empty():
        is_known = reader.arrow(SECURITY.name, columns=["ts_code"], ts_codes=[code]).num_rows > 0
        _tell_nothing(session, code, first, last, is_known=is_known)
    if chart is not None:
        names = (
            pl.DataFrame(reader.arrow(SECURITY.name, columns=["name"], ts_codes=[code]))["name"].drop_nulls().to_list()
        )
        title = " ".join([code, *names]) + "　日线 Daily bars"
        draw_chart(session, read, first, chart, title=title, note=_basis(adjust, anchor or last, as_of))
        if form is None and out is None:
            return
    give_rows(session, rows, form, out, columns=_SHOWN_COLUMNS, title=f"{code} {session.say(*_ADJUSTED[adjust])}")


def _basis(adjust: Adjust, anchor: date, as_of: datetime | None) -> str:
    """Return what the prices of a chart are, in both languages."""
    zh, en = _ADJUSTED[adjust]
    to = f"（基准 {anchor}）" if adjust == "qfq" else " "
    known = "" if as_of is None else f"　截至 as of {as_of.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
    return f"{zh}{to}{en}{known}"


def _tell_nothing(session: Session, code: str, first: date, last: date, *, is_known: bool) -> None:
    load = f"stock-assets backfill-daily --start {first} --end {last} --codes {code}"
    if is_known:
        session.note(
            f"{code} 在 {first} 至 {last} 没有数据；装载：{load}",
            f"no bars of {code} from {first} to {last}; load: {load}",
        )
    else:
        session.note(
            f"存储的证券清单中没有 {code}；请核对代码，或先装载：{load}",
            f"the store knows no security {code}; check the code, or load it: {load}",
        )
