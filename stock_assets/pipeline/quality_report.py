"""The quality of a day as a page for people, kept beside the day's snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import polars as pl

from stock_assets.charts.quality_page import Column, QualityPage, Section, Tile, Tone, quality_page
from stock_assets.domain.errors import SnapshotDamaged
from stock_assets.pipeline.day_quality import DayQuality, Grade, judge_day
from stock_assets.pipeline.technical_context import TechnicalContext
from stock_assets.quality.catalog import rule_of
from stock_assets.quality.findings import WHOLE_DAY
from stock_assets.quality.verdicts import Verdict
from stock_assets.storage import ledger, quality_reports, snapshot_files, snapshots

GRADES: Final[dict[Grade, tuple[str, str]]] = {
    "good": ("良好", "good"),
    "look": ("值得一看", "deserves a look"),
    "bad": ("有问题", "something is wrong"),
    "absent": ("尚未装载", "not loaded"),
}
_COMMANDS: Final = 8
# More rows than this nobody reads on a page; the command line gives all of them.
_ROWS: Final = 200
_STATUS: Final = {
    "complete": "完整 complete",
    "empty": "证实为空 empty",
    "partial": "不完整 partial",
    "refused": "未取得 refused",
}
_TONE_OF_STATUS: Final[dict[str, Tone]] = {"complete": "good", "empty": "good", "partial": "bad", "refused": "bad"}
_TONE_OF_SEVERITY: Final[dict[str, Tone]] = {"error": "bad", "warning": "look", "info": "good"}
_SEVERITY: Final = {"error": "错误 error", "warning": "警告 warning", "info": "提示 note"}
_MARKET: Final = ("close", "pre_close", "is_suspended", "is_limit_up", "is_limit_down")


@dataclass(frozen=True, slots=True)
class KeptReport:
    """A day's report: what it says, its pictures (description and PNG), its page, and where it lies.

    `path` is None where the day has no snapshot, `is_new` says whether the page was written now.
    """

    quality: DayQuality
    pictures: tuple[tuple[str, bytes], ...]
    page: str
    path: Path | None
    is_new: bool


def keep_report(context: TechnicalContext, folder: Path, day: date) -> KeptReport:
    """Judge a day and keep the page beside its snapshot in `folder`; an equal page that is there is not written again.

    Some stocks' indicators are computed again for it.

    Errors: `OSError` when the folder cannot be written.
    """
    database = context.database
    quality = judge_day(database, context.calendar, day, sample=context)
    pictures = _pictures(quality, folder) if not quality.bars.is_empty() else ()
    page = report_page(quality, pictures)
    if quality.snapshot is None:
        return KeptReport(quality, pictures, page, None, is_new=False)
    with database.begin() as conn:
        ledger.lock_days(conn, snapshots.DATASET, [day])
        if snapshots.find(conn, quality.snapshot.snapshot_id) is None:
            # Somebody let go of it meanwhile.
            return KeptReport(quality, pictures, page, None, is_new=False)
        path, is_new = quality_reports.keep(folder, day, quality.snapshot.snapshot_id, page.encode())
    return KeptReport(quality, pictures, page, path, is_new)


def report_page(quality: DayQuality, pictures: Sequence[tuple[str, bytes]]) -> str:
    """Return the page with these pictures (description and PNG)."""
    return quality_page(
        QualityPage(
            title=f"数据质量 {quality.day}",
            grade=quality.grade,
            verdict=" ".join(GRADES[quality.grade]),
            facts=_facts(quality),
            tiles=_tiles(quality),
            pictures=pictures,
            commands=quality.repairs(_COMMANDS),
            sections=(
                _families(quality.verdicts),
                _findings(quality),
                _refused(quality),
                _missing(quality),
                _sources(quality),
                _ledger(quality),
            ),
        )
    )


def _facts(quality: DayQuality) -> str:
    if quality.snapshot is None:
        return "当日尚无快照 no snapshot of the day yet"
    return f"快照 snapshot {quality.snapshot.snapshot_id} · 规则 rules {sum(len(one.family.rules) for one in quality.verdicts)}"


def _tiles(quality: DayQuality) -> list[Tile]:
    missing = quality.expected - quality.present
    # Rounded down: 100 % is said of what is complete only.
    share = quality.present * 10_000 // quality.expected / 100 if quality.expected else 0.0
    return [
        Tile("完整率 complete", f"{share:g}%", "good" if quality.expected and not missing else "bad"),
        Tile("应有 / 实有 rows", f"{quality.expected:,} / {quality.present:,}"),
        Tile("停牌 suspended", f"{quality.suspended:,}"),
        Tile("错误 errors", f"{quality.errors:,}", "bad" if quality.errors else "good"),
        Tile("警告 warnings", f"{quality.warnings:,}", "look" if quality.warnings else "good"),
        Tile("拒绝 refused", f"{quality.refused.height:,}", "look" if quality.refused.height else "good"),
    ]


def _pictures(quality: DayQuality, folder: Path) -> tuple[tuple[str, bytes], ...]:
    """Return the pictures; that of the market where the day's snapshot is in `folder`."""
    # They bring matplotlib, which takes a second.
    from stock_assets.charts.day_picture import day_picture  # noqa: PLC0415
    from stock_assets.charts.quality_picture import quality_picture  # noqa: PLC0415

    serious = quality.findings.filter(pl.col("severity") != "info")
    odd = serious["ts_code"].unique().to_list()
    first = ("完整与异常 completeness and outliers", quality_picture(quality.day, quality.history, quality.bars, odd))
    row = quality.snapshot
    if row is None:
        return (first,)
    try:
        market = snapshot_files.read_frame(folder, row.path, row.bytes, _MARKET)
    except (FileNotFoundError, SnapshotDamaged):
        return (first,)
    return (first, ("当日行情 the market", day_picture(quality.day, market, quality.turnover)))


def _families(verdicts: Sequence[Verdict]) -> Section:
    rows = [
        (
            f"{one.family.zh} {one.family.en}",
            one.family.dataset,
            f"{len(one.family.rules)}",
            f"{one.errors:,}",
            f"{one.warnings:,}",
            f"{one.notes:,}",
            "；".join(rule_of(one.family.dataset, rule).zh for rule in one.by_rule["rule"]),
        )
        for one in verdicts
    ]
    columns = (
        Column("检查 | check"), Column("数据集 | dataset"), Column("规则 | rules", "number"), Column("错误 | errors", "number"),
        Column("警告 | warnings", "number"), Column("提示 | notes", "number"), Column("发现 | found", "long"),
    )  # fmt: skip
    tones: list[Tone] = ["bad" if one.errors else "look" if one.warnings else "good" for one in verdicts]
    return Section("检查结果 | Checks", columns, rows, "没有规则 no rules", tones)


def _findings(quality: DayQuality) -> Section:
    shown = quality.findings.head(_ROWS)
    rows = [
        (
            _SEVERITY[row["severity"]],
            _stock(quality, row["ts_code"]),
            row["dataset"],
            _words(row["dataset"], row["rule"]),
            row["detail"],
        )
        for row in shown.iter_rows(named=True)
    ]
    columns = (
        Column("级别 | severity"), Column("证券 | stock"), Column("数据集 | dataset"), Column("规则 | rule", "long"),
        Column("说明 | detail", "long"),
    )  # fmt: skip
    tones: list[Tone] = [_TONE_OF_SEVERITY[severity] for severity in shown["severity"]]
    return Section(
        "发现 | Findings",
        columns,
        rows,
        "没有发现 nothing was found",
        tones,
        _more(quality.findings.height, quality.day),
    )


def _refused(quality: DayQuality) -> Section:
    rows = [
        (row["ts_code"] or "-", row["dataset"], _words(row["dataset"], row["rule"]), row["source"], row["row_text"])
        for row in quality.refused.head(_ROWS).iter_rows(named=True)
    ]
    columns = (
        Column("证券 | stock"), Column("数据集 | dataset"), Column("规则 | rule", "long"), Column("来源 | source"),
        Column("原始行 | row as answered", "long"),
    )  # fmt: skip
    note = _more(quality.refused.height, quality.day)
    return Section("被拒绝的行 | Refused rows", columns, rows, "没有 none", _same("look", rows), note)


def _missing(quality: DayQuality) -> Section:
    rows = [(code, quality.names.get(code, "")) for code in quality.missing[:_ROWS]]
    columns = (Column("证券 | stock"), Column("简称 | name", "long"))
    note = _more(len(quality.missing), quality.day)
    return Section("缺失的日线 | Missing bars", columns, rows, "没有 none", _same("bad", rows), note)


def _sources(quality: DayQuality) -> Section:
    title, compared = "数据源之间 | Source against source", quality.sources
    if compared.result is None:
        told = " + ".join(compared.told_by) or "-"
        return Section(title, (), (), f"只有一个来源（{told}），不作比较 one source only, nothing to compare")
    result = compared.result
    columns = (
        Column("证券 | stock"), Column("列 | column"), Column(result.first, "number"), Column(result.second, "number"),
        Column("类型 | kind"),
    )  # fmt: skip
    failing = result.differences.head(result.failing) if result.failing else result.differences.clear()
    rows = [
        (_stock(quality, row["ts_code"]), row["column"], _value(row["first"]), _value(row["second"]), row["kind"])
        for row in failing.head(_ROWS).iter_rows(named=True)
    ]
    nothing = f"比较了 {result.compared:,} 条日线，没有实质差异 {result.compared:,} bars compared, no real difference"
    return Section(title, columns, rows, nothing, _same("look", rows), _more(failing.height, quality.day))


def _ledger(quality: DayQuality) -> Section:
    rows = [
        (
            row["dataset"],
            _STATUS.get(row["status"] or "", "-"),
            _value(row["rows_expected"]),
            _value(row["rows_present"]),
            _value(row["rows_rejected"]),
            row["source"] or "-",
            row["detail"] or "",
        )
        for row in quality.ledger.iter_rows(named=True)
    ]
    columns = (
        Column("数据集 | dataset"), Column("状态 | status"), Column("应有 | expected", "number"),
        Column("实有 | present", "number"), Column("拒绝 | refused", "number"), Column("来源 | source"),
        Column("说明 | detail", "long"),
    )  # fmt: skip
    tones: list[Tone] = [_TONE_OF_STATUS.get(status or "", "absent") for status in quality.ledger["status"]]
    return Section("台账 | Ledger", columns, rows, "-", tones)


def _same(tone: Tone, rows: Sequence[object]) -> list[Tone]:
    return [tone] * len(rows)


def _words(dataset: str, rule: str) -> str:
    try:
        known = rule_of(dataset, rule)
    except KeyError:
        return rule
    return f"{known.zh} {known.en}"


def _stock(quality: DayQuality, ts_code: str) -> str:
    if ts_code == WHOLE_DAY:
        return "全部 whole day"
    return " ".join([ts_code, quality.names.get(ts_code, "")]).strip()


def _value(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4f}".rstrip("0").rstrip(".")


def _more(total: int, day: date) -> str:
    if total <= _ROWS:
        return ""
    return f"另有 {total - _ROWS:,} 条 {total - _ROWS:,} more: stock-assets quality --date {day} --format csv"
