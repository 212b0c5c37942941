"""Commands about daily snapshots: show one, list them, make those of a range."""

from datetime import date
from pathlib import Path

import click
import polars as pl

from stock_assets.cli.options import DAY, sessions_of
from stock_assets.cli.progress import ProgressDisplay
from stock_assets.cli.rows_out import check_output, give_rows, output_options
from stock_assets.cli.session import Session, pass_session
from stock_assets.domain.errors import ConfigurationError, InvalidInput
from stock_assets.pipeline.snapshot import prune_snapshots, publish_snapshots
from stock_assets.storage.snapshot_reader import SnapshotReader

_TOP = 20
# What fits a terminal; the other formats have every column.
_SHOWN = (
    "ts_code", "name", "close", "pct_chg", "amount_100m", "turnover_rate", "is_limit_up", "pe_ttm", "rsi_6", "kdj_j", "macd",
)  # fmt: skip
_LISTED = ("trade_date", "snapshot_id", "is_current", "rows", "MB", "created_at", "reason")
_100M, _MB = 1e8, 1e6


class _Columns(click.ParamType[list[str]]):
    """Names of columns, separated by commas."""

    name = "a,b,c"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """Return the names, each once, in order."""
        del param, ctx
        return list(dict.fromkeys(part.strip() for part in str(value).split(",") if part.strip()))


@click.command(
    "snapshot",
    epilog="例：stock-assets snapshot 2026-11-20 --columns ts_code,close,rsi_6,roe"
    " | e.g. stock-assets snapshot 2026-11-20 --columns ts_code,close,rsi_6,roe",
)
@click.argument("day", type=DAY, required=False)
@click.option(
    "--id",
    "snapshot_id",
    metavar="ID",
    help="按编号读取某一版本，内容永远相同 | a version by its id: the same for ever",
)
@click.option("--columns", type=_Columns(), help="只读这些列，逗号分隔 | these columns only, separated by commas")
@click.option(
    "--list", "is_list", is_flag=True, help="列出已有的快照及其由来 | which snapshots there are, and why there is each"
)
@output_options
@pass_session
def snapshot_command(  # noqa: PLR0913  one parameter per option
    session: Session,
    day: date | None,
    snapshot_id: str | None,
    columns: list[str] | None,
    *,
    is_list: bool,
    form: str | None,
    out: Path | None,
) -> None:
    """一个交易日的现成快照 | a day's ready-made snapshot.

    当日上市的每只证券一行：成交价、估值、前复权到当日的技术指标、当日可知的最新财务、各种标志；省略日期即最近一份。
    表格列出成交额最大的 20 只，其他形式含全部行与列。
    | One row for each stock listed on the day: prices as traded, valuation, indicators forward-adjusted to the day, the
    newest report known on it, and flags; without a day the newest one. The table shows the 20 stocks traded most, the other
    formats all rows and columns.
    """
    check_output(form, out)
    if day is not None and snapshot_id is not None:
        raise InvalidInput(
            problem="name a day or an --id, not both: an id already stands for a day",
            problem_zh="日期与 --id 只能给一个：编号已对应某一天",
        )
    reader = session.installation.snapshot_reader()
    if is_list:
        _list(session, reader.listed(day, day), form, out)
        return
    asked = snapshot_id or day or _latest(reader)
    if out is not None or form not in (None, "table"):
        give_rows(session, reader.read(asked, columns), form, out, columns=(), title="")
        return
    _show(session, reader, asked, columns)


@click.command(
    "backfill-snapshots",
    epilog="例：stock-assets backfill-snapshots --start 2026-01-01 --end 2026-03-31"
    " | e.g. stock-assets backfill-snapshots --start 2026-01-01 --end 2026-03-31",
)
@click.option("--start", type=DAY, required=True, help="起始日 | first day")
@click.option("--end", type=DAY, help="截止日，默认与起始日相同 | last day, the first one by default")
@pass_session
def backfill_snapshots(session: Session, start: date, end: date | None) -> None:
    """生成一段日期的每日快照 | make the snapshots of a range.

    只用存储中已有的数据，不发请求；输入未变的交易日不写入任何内容。 | From what is in the store, without a request; a day
    whose inputs are what they were writes nothing.
    """
    installation = session.installation
    days = sessions_of(installation.calendar, start, end or start)
    settings, folder = installation.settings, installation.snapshot_folder
    with ProgressDisplay(session.errors, session.language) as display:
        installation.progress = display
        made = installation.snapshots()
        report = publish_snapshots(made, days, folder)
    gone = prune_snapshots(
        made, folder, keep_days=settings.snapshot_keep_days, keep_versions=settings.snapshot_keep_versions
    )
    published, rewritten, same = (report.count(verdict) for verdict in ("published", "rewritten", "unchanged"))
    session.tell(
        f"每日快照：新发布 {published} 天，重新写入 {rewritten} 天，未变 {same} 天；按设置删除 {len(gone)} 份",
        f"daily snapshots: {published} days published, {rewritten} written again, {same} unchanged; "
        f"{len(gone)} let go as settings say",
    )
    if (failure := report.failure()) is not None:
        raise failure


def _show(session: Session, reader: SnapshotReader, asked: date | str, columns: list[str] | None) -> None:
    row = reader.row(asked)
    rows = reader.read(row.snapshot_id)
    if columns is not None:
        # Refused before anything is said, as a read would.
        reader.read(row.snapshot_id, columns)
    _tell_summary(session, rows, f"{row.trade_date} {row.snapshot_id}")
    top = rows.with_columns((pl.col("amount") / _100M).round(2).alias("amount_100m"))
    top = top.sort("amount", descending=True, nulls_last=True).head(_TOP)
    rounded = top.with_columns(pl.selectors.float().round(2)) if columns is None else top
    title = session.say(f"成交额前 {top.height}", f"the {top.height} traded most")
    give_rows(session, rounded, None, None, columns=_SHOWN if columns is None else columns, title=title)


def _tell_summary(session: Session, rows: pl.DataFrame, name: str) -> None:
    """Say how the market did on one line."""
    change = rows["pct_chg"]
    up, down = int((change > 0).sum()), int((change < 0).sum())
    limits = int(rows["is_limit_up"].sum()), int(rows["is_limit_down"].sum())
    halted, turnover = int(rows["is_suspended"].sum()), float(rows["amount"].sum()) / _100M
    session.tell(
        f"{name}：{rows.height:,} 只，{rows.width} 列；上涨 {up:,}，下跌 {down:,}；涨停 {limits[0]}，跌停 {limits[1]}；"
        f"停牌 {halted}；成交额 {turnover:,.1f} 亿元",
        f"{name}: {rows.height:,} stocks, {rows.width} columns; {up:,} up, {down:,} down; {limits[0]} limit-up, "
        f"{limits[1]} limit-down; {halted} suspended; turnover CNY {turnover / 10:,.2f} bn",
    )


def _list(session: Session, rows: pl.DataFrame, form: str | None, out: Path | None) -> None:
    if rows.is_empty():
        session.note(
            "还没有快照；stock-assets nightly 会生成", "there are no snapshots yet; `stock-assets nightly` makes them"
        )
    place = 0 if session.language == "zh" else -1
    if out is None and form in (None, "table"):
        rows = rows.with_columns(
            (pl.col("bytes") / _MB).round(2).alias("MB"),
            pl.col("reason").str.split(" | ").list.get(place),
            pl.col("created_at").dt.convert_time_zone("Asia/Shanghai").dt.strftime("%Y-%m-%d %H:%M"),
        )
    give_rows(session, rows, form, out, columns=_LISTED, title=session.say("每日快照", "daily snapshots"))


def _latest(reader: SnapshotReader) -> date:
    day = reader.latest_day()
    if day is None:
        raise ConfigurationError(
            problem="there are no snapshots yet; `stock-assets nightly` makes them",
            problem_zh="还没有快照；stock-assets nightly 会生成",
        )
    return day
