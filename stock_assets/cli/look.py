"""Commands that read the store: what is there, what is missing, one stock's bars."""

from datetime import date, timedelta
from pathlib import Path

import click
import polars as pl

from stock_assets.cli.options import CODE, DAY, FORMATS
from stock_assets.cli.session import Session, pass_session
from stock_assets.domain.adjustment import Adjust, adjust_bars
from stock_assets.domain.calendar import FIRST_SESSION, SHANGHAI
from stock_assets.domain.errors import InvalidInput
from stock_assets.storage import bars, coverage, ledger

_SHOWN_GAPS = 50
# What fits a terminal; the other formats have every column.
_SHOWN_COLUMNS = ("trade_date", "open", "high", "low", "close", "pct_chg", "volume", "turnover_rate", "is_suspended")


@click.command()
@click.option("--format", "form", type=FORMATS, default="table")
@pass_session
def status(session: Session, form: str) -> None:
    """存储、台账、配额的现状 | store, ledger and quota as they are now."""
    installation = session.installation
    with installation.database.read() as conn:
        loaded = ledger.summary(conn)
        tables = coverage.store_summary(conn)
    if form != "table":
        session.show(loaded, form)
        return
    session.tell(
        f"最近已发布的交易日：{installation.last_final()}", f"newest published trading day: {installation.last_final()}"
    )
    session.show(loaded, form, title=session.say("台账（按数据集的天数）", "ledger (days by dataset)"))
    held = tables.select("table", "rows", "days", "codes", "last_day", (pl.col("bytes") / 1e6).round(2).alias("MB"))
    session.show(held, form, title=session.say("表", "tables"))
    today = installation.now().astimezone(SHANGHAI).date()
    for use in installation.quota.usage("baostock", today):
        if use.api == "*":
            limit = installation.settings.baostock_daily_quota
            session.tell(
                f"BaoStock 今日请求 {use.requests:,}/{limit:,}", f"BaoStock requests today {use.requests:,}/{limit:,}"
            )


@click.command("coverage")
@click.option("--start", type=DAY, required=True, help="起始日 | first day")
@click.option("--end", type=DAY, required=True, help="截止日 | last day")
@click.option("--format", "form", type=FORMATS, default="table")
@pass_session
def coverage_command(session: Session, start: date, end: date, form: str) -> None:
    """缺什么，按（证券，交易日）列出 | what is missing, by (stock, day)."""
    if end < start:
        raise InvalidInput(
            problem=f"the range ends ({end}) before it starts ({start})", problem_zh=f"截止日 {end} 早于起始日 {start}"
        )
    end = min(end, session.installation.last_final())
    with session.installation.database.read() as conn:
        missing = coverage.missing_bars(conn, start, end)
        counts = coverage.day_counts(conn, start, end)
    if form != "table":
        session.show(missing.sort("trade_date", "ts_code"), form)
        return
    expected, present = int(counts["expected"].sum()), int(counts["present"].sum())
    share = present / expected if expected else 0.0
    session.tell(
        f"{start} 至 {end}：{counts.height} 个交易日，应有 {expected:,} 行，实有 {present:,} 行（{share:.2%}）",
        f"{start} to {end}: {counts.height} trading days, {expected:,} rows expected, {present:,} present ({share:.2%})",
    )
    short = counts.filter(pl.col("present") < pl.col("expected"))
    if short.is_empty():
        return
    session.show(short.head(_SHOWN_GAPS), form, title=session.say("不完整的交易日", "days that are short"))
    session.show(missing.head(_SHOWN_GAPS), form, title=session.say("缺失", "missing"))
    rest = missing.height - _SHOWN_GAPS
    if rest > 0:
        session.tell(f"另有 {rest:,} 条，用 --format csv 查看全部", f"{rest:,} more; see them all with --format csv")
    repair = f"stock-assets backfill-daily --start {short['trade_date'].min()} --end {short['trade_date'].max()}"
    session.tell(f"补齐：{repair}", f"to repair: {repair}")


@click.command("bars")
@click.argument("code", type=CODE)
@click.option("--start", type=DAY, help="起始日，默认截止日前 90 天 | first day, 90 days before the last by default")
@click.option("--end", type=DAY, help="截止日，默认最近 | last day, the newest by default")
@click.option("--adjust", type=click.Choice(["none", "qfq", "hfq"]), default="none", help="复权 | adjustment")
@click.option("--anchor", type=DAY, help="前复权基准日，默认截止日 | anchor of qfq, the last day by default")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv", "parquet"]), default="table")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="写入文件（parquet 必需） | file to write, needed for parquet",
)
@pass_session
def bars_command(  # noqa: PLR0913  one parameter per option
    session: Session,
    code: str,
    start: date | None,
    end: date | None,
    adjust: Adjust,
    anchor: date | None,
    form: str,
    out: Path | None,
) -> None:
    """一只证券的日线 | one stock's daily bars."""
    if form == "parquet" and out is None:
        raise InvalidInput(
            problem="parquet needs a file; add --out FILE", problem_zh="parquet 需要文件，请加 --out 文件名"
        )
    installation = session.installation
    last = end or installation.last_final()
    first = start or last - timedelta(days=90)
    with installation.database.read() as conn:
        rows = bars.read_bars(conn, [code], first, last)
        factors = bars.read_factors(conn, [code], FIRST_SESSION, anchor or last)
    if rows.is_empty():
        session.errors.print(
            session.say(f"{code} 在 {first} 至 {last} 没有数据；用 stock-assets coverage 查看缺口",
                        f"no bars of {code} from {first} to {last}; `stock-assets coverage` shows what is missing")
        )  # fmt: skip
    adjusted = adjust_bars(rows, factors, adjust, anchor=anchor or last)
    if out is not None:
        _write(adjusted, form, out)
    else:
        session.show(adjusted.select(_SHOWN_COLUMNS) if form == "table" else adjusted, form, title=f"{code} {adjust}")


def _write(frame: pl.DataFrame, form: str, out: Path) -> None:
    if form == "parquet":
        frame.write_parquet(out, compression="zstd")
    elif form == "json":
        frame.write_json(out)
    else:
        frame.write_csv(out)
