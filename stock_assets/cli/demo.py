"""The demonstration: a whole installation on the simulated market, from nothing to a first look at the data."""

import os
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import click
import polars as pl
from rich.panel import Panel

from stock_assets.cli.load import NIGHTLY, run_and_report
from stock_assets.cli.quality import show_quality
from stock_assets.cli.session import Session
from stock_assets.pipeline.quality_report import keep_report
from stock_assets.storage import bars, coverage, reference

_DAYS = 5
_MOVERS = 5


@click.command()
@click.option("--ui", is_flag=True, help="最后保持 Dagster 界面运行 | leave Dagster's UI running")
@click.option(
    "--days",
    metavar="N",
    type=click.IntRange(1, 250),
    default=_DAYS,
    show_default=True,
    help="装载最近几个交易日 | trading days to load",
)
@click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(1, 65535),
    default=3000,
    show_default=True,
    help="界面的端口 | port of the UI",
)
@click.pass_context
def demo(context: click.Context, *, ui: bool, days: int, port: int) -> None:
    """在模拟行情上演示全过程 | show everything on a simulated market."""
    session = context.find_object(Session)
    assert session is not None  # noqa: S101  the group makes it
    _choose_surroundings()
    began = time.monotonic()
    installation = session.installation
    end = installation.last_final()
    chosen = installation.calendar.between(end - timedelta(days=2 * days + 20), end)[-days:]
    session.tell(
        f"[bold]stock_assets 演示[/]：{installation.settings.simulated_stocks} 只模拟股票，{chosen[0]} 至 {chosen[-1]}",
        f"[bold]stock_assets demo[/]: {installation.settings.simulated_stocks} made-up stocks, {chosen[0]} to {chosen[-1]}",
    )
    run_and_report(session, NIGHTLY, chosen)
    _show_store(session)
    _show_market(session, chosen[-1])
    _show_quality(session, chosen[0], chosen[-1])
    _show_next(session, chosen[-1], time.monotonic() - began)
    if ui:
        from stock_assets.cli.machine import up  # noqa: PLC0415

        context.invoke(up, port=port, host="127.0.0.1")


def _choose_surroundings() -> None:
    """Use the simulated market, in a data folder of its own unless one was named: made-up rows never mix with real ones.

    Two years of reports are enough for a first look.
    """
    os.environ["STOCK_ASSETS_SOURCE"] = "simulated"
    os.environ.setdefault("SYNC_FINANCE_HISTORY_START_DATE", f"{date.today().year - 1}-01-01")  # noqa: DTZ011  any zone's
    os.environ.setdefault("STOCK_ASSETS_HOME", str(Path("~/.stock_assets/demo").expanduser()))


def _show_store(session: Session) -> None:
    with session.installation.database.read() as conn:
        tables = coverage.store_summary(conn)
    held = tables.filter(pl.col("rows") > 0).select("table", "rows", "days", "codes", "first_day", "last_day")
    session.show(held, "table", title=session.say("存储里有什么", "what is in the store"))


def _show_market(session: Session, day: date) -> None:
    with session.installation.database.read() as conn:
        rows = bars.rows_of_day(conn, day)
        names = reference.read_securities(conn).select("ts_code", "name", "board")
    traded = rows.filter(~pl.col("is_suspended"))
    up, down = (traded.filter(pl.col("pct_chg") > 0).height, traded.filter(pl.col("pct_chg") < 0).height)
    turnover = float(traded["amount"].sum()) / 1e8
    session.console.print(
        Panel.fit(
            session.say(
                f"{day}　上涨 {up}　下跌 {down}　停牌 {rows.height - traded.height}　成交额 {turnover:,.1f} 亿元",
                f"{day}   {up} up   {down} down   {rows.height - traded.height} suspended   turnover {turnover:,.1f} x 100 M CNY",
            )
        )
    )
    movers = traded.join(names, on="ts_code").sort("pct_chg", descending=True, nulls_last=True)
    session.show(
        movers.head(_MOVERS).select("ts_code", "name", "close", "pct_chg", "turnover_rate", "pe_ttm"),
        "table",
        title=session.say("涨幅最大", "largest gains"),
    )


def _show_quality(session: Session, start: date, end: date) -> None:
    installation = session.installation
    with installation.database.read() as conn:
        missing = coverage.missing_bars(conn, start, end, sources=installation.sources_in_use)
    session.tell(f"{start} 至 {end}：缺失 {missing.height} 行", f"{start} to {end}: {missing.height} rows missing")
    show_quality(session, keep_report(installation.technicals(), installation.snapshot_folder, end))


def _show_next(session: Session, day: date, seconds: float) -> None:
    with session.installation.database.read() as conn:
        code = bars.rows_of_day(conn, day)["ts_code"][0]
    program = Path(sys.executable).with_name("stock-assets")
    where = program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program
    home = session.installation.settings.home
    commands = "\n".join(
        f"  {where} {line}"
        for line in (
            "status",
            f"quality --date {day}",
            f"bars {code} --adjust qfq",
            f"finance {code}",
            f"coverage --start {day.replace(month=1, day=1)} --end {day}",
            f"plan history --start {day.replace(month=1, day=1)}",
            "up",
        )
    )
    surroundings = f"  export STOCK_ASSETS_SOURCE=simulated STOCK_ASSETS_HOME={home}"
    session.tell(
        f"[bold green]完成[/]，用时 {seconds:.1f} 秒。接下来：", f"[bold green]Done[/] in {seconds:.1f} s. Go on with:"
    )
    session.console.print(f"{surroundings}\n{commands}", markup=False, soft_wrap=True)
