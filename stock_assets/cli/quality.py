"""The command that says how good a day's data is, and keeps it as a page."""

from datetime import date
from pathlib import Path

import click
import polars as pl

from stock_assets.cli.options import DAY
from stock_assets.cli.session import Session, pass_session
from stock_assets.domain.errors import InvalidInput
from stock_assets.pipeline.day_quality import DayQuality
from stock_assets.pipeline.gaps import check_days
from stock_assets.pipeline.quality_report import GRADES, KeptReport, keep_report
from stock_assets.quality.findings import STORED_FINDING_SCHEMA

_COLOURS = {"good": "green", "look": "yellow", "bad": "red", "absent": "red"}
_SHOWN = 20
_COMMANDS = 5
_PAGES = (".html", ".htm")


@click.command(
    "quality",
    epilog="例：stock-assets quality --date 2026-11-20 --out 2026-11-20.html"
    " | e.g. stock-assets quality --date 2026-11-20 --out 2026-11-20.html",
)
@click.option(
    "--date", "day", type=DAY, help="交易日，默认最近一个已发布的 | trading day, the newest published by default"
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    help="形式；json、csv 为全部发现 | json and csv: all findings",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="另存网页（.html） | write the page here as well (.html)",
)
@pass_session
def quality_command(session: Session, day: date | None, form: str, out: Path | None) -> None:
    """一个交易日的数据质量 | the quality of a day's data.

    按全部规则检查存储中的数据：完整性、价格关系、涨跌停、前后连续、量额、换手率、日历、复权因子、指标、财务，以及数据源之间的差异；
    网页与当日快照放在一起。不发请求。 | Judges what is stored by every rule, and the sources against each other; the page is kept
    beside the day's snapshot. No request is sent.
    """
    if out is not None and out.suffix.lower() not in _PAGES:
        raise InvalidInput(
            problem=f"the report is a page; name it like {out.stem}.html",
            problem_zh=f"报告是网页，请写成 {out.stem}.html",
        )
    installation = session.installation
    asked = day or installation.last_final()
    check_days(installation.calendar, installation.now(), [asked])
    kept = keep_report(installation.technicals(), installation.snapshot_folder, asked)
    if out is not None:
        _write(session, kept.page, out)
    if form == "table":
        show_quality(session, kept)
    else:
        session.show(_all_findings(kept.quality), form)


def show_quality(session: Session, kept: KeptReport) -> None:
    """Print the day's verdict, what was found by family of rules, the worst findings, and what to do."""
    quality = kept.quality
    zh, en = GRADES[quality.grade]
    missing = quality.expected - quality.present
    colour = _COLOURS[quality.grade]
    session.tell(
        f"[bold]{quality.day}[/] 数据质量：[{colour}]{zh}[/]；应有 {quality.expected:,} 行，实有 {quality.present:,} 行，缺 {missing:,}；"
        f"错误 {quality.errors:,}，警告 {quality.warnings:,}，提示 {quality.notes:,}，拒绝 {quality.refused.height:,}",
        f"[bold]{quality.day}[/] quality: [{colour}]{en}[/]; {quality.expected:,} rows expected, {quality.present:,} present, "
        f"{missing:,} missing; {quality.errors:,} errors, {quality.warnings:,} warnings, {quality.notes:,} notes, "
        f"{quality.refused.height:,} refused",
    )
    found = [one for one in quality.verdicts if not one.findings.is_empty()]
    if found:
        is_chinese = session.language == "zh"
        rows = [
            (one.family.zh if is_chinese else one.family.en, one.family.dataset, one.errors, one.warnings, one.notes)
            for one in found
        ]
        heads = ["check", "dataset", "errors", "warnings", "notes"]
        title = session.say("有发现的检查", "checks that found something")
        session.show(pl.DataFrame(rows, schema=heads, orient="row"), "table", title=title)
        worst = quality.findings.select("severity", "ts_code", "dataset", "rule", "detail")
        session.show(worst.head(_SHOWN), "table", title=session.say("最严重的发现", "the worst findings"))
        if (rest := worst.height - _SHOWN) > 0:
            session.tell(f"另有 {rest:,} 条，用 --format csv 查看", f"{rest:,} more; see them with --format csv")
    session.tell(_said_of_sources(quality, "zh"), _said_of_sources(quality, "en"))
    for command in quality.repairs(_COMMANDS):
        session.tell(f"下一步：{command}", f"next: {command}")
    if kept.path is not None:
        session.tell(f"网页：{kept.path}", f"page: {kept.path}")


def _said_of_sources(quality: DayQuality, language: str) -> str:
    compared = quality.sources
    if compared.result is None:
        told = " + ".join(compared.told_by) or "-"
        return f"数据源：仅 {told}，不作比较" if language == "zh" else f"sources: {told} alone, nothing to compare"
    result = compared.result
    if language == "zh":
        return f"数据源之间：比较 {result.compared:,} 条日线，实质差异 {result.failing:,} 处"
    return f"source against source: {result.compared:,} bars compared, {result.failing:,} real differences"


def _all_findings(quality: DayQuality) -> pl.DataFrame:
    """Return findings and refused rows together, the latter with the row as it was answered."""
    refused = quality.refused.select(
        "dataset",
        pl.lit(quality.day).alias("trade_date"),
        "ts_code",
        "rule",
        pl.lit("refused").alias("severity"),
        pl.col("row_text").alias("detail"),
    )
    return pl.concat([quality.findings, refused.cast(STORED_FINDING_SCHEMA)])


def _write(session: Session, page: str, out: Path) -> None:
    try:
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(
            problem=f"{out} cannot be written ({error.strerror}); choose another --out",
            problem_zh=f"无法写入 {out}（{error.strerror}），请换一个 --out",
        ) from error
    session.note(f"已写入 {out}", f"{out} written")
