"""The command that says what became of every row that should be there."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import polars as pl

from stock_assets.cli.chart import PAGES, check_chart, write_chart
from stock_assets.cli.coverage_digest import show_digests
from stock_assets.cli.options import CODES, DAY, FORMATS, check_range
from stock_assets.cli.rows_out import write_rows
from stock_assets.cli.session import Session, pass_session
from stock_assets.domain.completeness import State
from stock_assets.domain.errors import ConfigurationError, InvalidInput
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.storage import completeness, reference

if TYPE_CHECKING:
    from stock_assets.wiring import Installation

_SHOWN_GAPS: Final = 30
_WORDS: Final = {
    State.PRESENT: ("有", "present"),
    State.SUSPENDED: ("停牌", "suspended"),
    State.SOURCE_HAS_NONE: ("证实没有", "no source has it"),
    State.REJECTED: ("被拒绝", "rejected"),
    State.MISSING: ("缺失", "missing"),
}
_REPAIR: Final = {
    "adjust_factor": "repair --start {start} --end {end}",
    "technical_daily": "backfill-technicals --start {start} --end {end} --again",
    "cache_snapshot": "backfill-snapshots --start {start} --end {end}",
    "finance_indicator": "history finance",
}


@click.command(
    "coverage",
    epilog="例：stock-assets coverage --start 2024-01-01 --end 2026-11-20 --chart coverage.html"
    " | e.g. stock-assets coverage --start 2024-01-01 --end 2026-11-20 --chart coverage.html",
)
@click.option("--start", type=DAY, required=True, help="起始日 | first day")
@click.option("--end", type=DAY, required=True, help="截止日 | last day")
@click.option(
    "--dataset",
    type=click.Choice(completeness.DATASETS),
    default=STOCK_DAILY.name,
    help="数据集，默认日线 | dataset, daily bars by default",
)
@click.option("--codes", type=CODES, help="这些证券每个交易日的状态 | the state of these stocks' bars on every session")
@click.option("--format", "form", type=FORMATS, default="table", help="形式，默认表格 | form, a table by default")
@click.option(
    "--export",
    type=click.Path(dir_okay=False, path_type=Path),
    help="把每个缺口及其状态写入文件（csv、json、parquet），含证实没有的"
    " | write every gap and its state to a file (csv, json, parquet), those that no source has included",
)
@click.option(
    "--chart",
    type=click.Path(dir_okay=False, path_type=Path),
    help="按日、按月的完整性日历：.html 网页，.png 图片 | calendar of completeness by day and month: .html or .png",
)
@click.option(
    "--digest", is_flag=True, help="按月的内容摘要，用于比对两个存储 | a digest per month, to compare two stores"
)
@click.option(
    "--compare",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="与另一存储 --digest --format csv 的输出比对 | compare with what --digest --format csv printed of another store",
)
@pass_session
def coverage_command(  # noqa: PLR0913  one parameter per option
    session: Session,
    start: date,
    end: date,
    dataset: str,
    codes: Sequence[str] | None,
    form: str,
    export: Path | None,
    chart: Path | None,
    compare: Path | None,
    *,
    digest: bool,
) -> None:
    """缺什么，按（证券，交易日） | what is missing, by (stock, day).

    每个（证券，交易日）都有一个状态：有、停牌、未上市、证实没有、被拒绝、缺失。
    | Every (stock, day) has one state: present, suspended, not listed, no source has it, rejected, missing.
    """
    check_range(start, end)
    check_chart(chart)
    installation = session.installation
    last = installation.last_final()
    if start > last:
        raise InvalidInput(
            problem=f"nothing after {last} is published yet; choose an earlier --start",
            problem_zh=f"{last} 之后尚未发布数据，请选择更早的 --start",
        )
    end = min(end, last)
    _check_known(installation)
    if digest or compare is not None:
        show_digests(session, dataset, start, end, form, compare)
        return
    if codes is not None:
        with installation.database.read() as conn:
            states = completeness.stock_states(conn, codes, start, end, sources=installation.sources_in_use)
        session.show(states, form)
        return
    sources = installation.sources_in_use
    with installation.database.read() as conn:
        gaps = completeness.open_gaps(conn, dataset, start, end, sources=sources)
        counts = completeness.state_counts(conn, dataset, start, end, sources=sources)
        none = None if export is None else completeness.no_source_has(conn, dataset, start, end, sources=sources)
    if export is not None and none is not None:
        write_rows(session, pl.concat([gaps, none]).sort("trade_date", "ts_code", nulls_last=True), export)
    if chart is not None:
        _draw(session, counts, chart, f"{dataset}　{start} 至 to {end}", _repair(dataset, gaps))
    if form != "table":
        session.show(gaps, form)
        return
    if export is None and chart is None:
        _tell(session, dataset, counts, gaps, start, end)


def _check_known(installation: "Installation") -> None:
    with installation.database.read() as conn:
        if reference.read_securities(conn).is_empty():
            raise ConfigurationError(
                problem="the store knows no securities yet, so nothing can be called missing; load first, for example "
                "with `stock-assets nightly`",
                problem_zh="存储中还没有证券清单，无从判断缺失；请先装载，例如 stock-assets nightly",
            )


def _tell(  # noqa: PLR0913  what was asked, and what was found
    session: Session, dataset: str, counts: pl.DataFrame, gaps: pl.DataFrame, start: date, end: date
) -> None:
    of_state = {state: int(counts[state].sum()) for state in _WORDS}
    expected = int(counts["expected"].sum()) - of_state[State.SOURCE_HAS_NONE]
    present = of_state[State.PRESENT] + of_state[State.SUSPENDED]
    # Rounded down: 100 % is said of what is complete only.
    share = present * 10_000 // expected / 100 if expected else 100.0
    session.tell(
        f"{start} 至 {end}：{counts.height} 个交易日，应有 {expected:,} 行，实有 {present:,} 行（{share:.2f}%）",
        f"{start} to {end}: {counts.height} trading days, {expected:,} rows expected, {present:,} present ({share:.2f}%)",
    )
    named = [(zh, en, of_state[state]) for state, (zh, en) in _WORDS.items() if of_state[state]]
    session.tell(
        "其中：" + "，".join(f"{zh} {rows:,}" for zh, _, rows in named),
        "of these: " + ", ".join(f"{en} {rows:,}" for _, en, rows in named),
    )
    short = counts.filter(pl.col("trade_date").is_in(gaps["trade_date"].unique().to_list()))
    if short.is_empty():
        return
    columns = ("trade_date", "expected", "present", "suspended", "rejected", "missing", "source_has_none", "status")
    session.show(
        short.head(_SHOWN_GAPS).select(columns), "table", title=session.say("不完整的交易日", "days that are short")
    )
    _tell_rest(session, short.height - _SHOWN_GAPS)
    # A day without any row would name the whole market.
    part = short.filter(pl.col("present") + pl.col("suspended") > 0)["trade_date"].to_list()
    lacking = gaps.filter(pl.col("trade_date").is_in(part) & pl.col("ts_code").is_not_null())
    if not lacking.is_empty():
        title = session.say("其余交易日缺失的证券", "securities missing on the days that are there")
        session.show(lacking.head(_SHOWN_GAPS), "table", title=title)
        _tell_rest(session, lacking.height - _SHOWN_GAPS)
    for repair in _repair(dataset, gaps):
        session.tell(f"补齐：{repair}", f"to repair: {repair}")


def _tell_rest(session: Session, rest: int) -> None:
    if rest > 0:
        session.tell(f"另有 {rest:,} 条，用 --format csv 查看全部", f"{rest:,} more; see them all with --format csv")


def _repair(dataset: str, gaps: pl.DataFrame) -> list[str]:
    """Return the command that repairs what is missing, where anything is."""
    if gaps.is_empty():
        return []
    days = gaps["trade_date"]
    command = _REPAIR.get(dataset, "backfill-daily --start {start} --end {end}")
    return ["stock-assets " + command.format(start=days.min(), end=days.max())]


def _draw(session: Session, counts: pl.DataFrame, path: Path, title: str, repair: Sequence[str]) -> None:
    from stock_assets.charts.heat_map import HeatMap, heat_map_page, heat_map_png  # noqa: PLC0415  it brings what draws

    drawn = HeatMap.of(counts, title=f"完整性日历 Completeness　{title}")
    content = (
        heat_map_page(drawn, worst=repair).encode() if path.suffix.lower() in PAGES else heat_map_png(drawn)
    )  # fmt: skip
    write_chart(session, path, content, counts.height)
