"""What became of a run: how its days stand, the checks that failed, and the exit code."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Final

import click
import polars as pl

from stock_assets.cli import exit_codes
from stock_assets.cli.session import Session
from stock_assets.domain import errors
from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.errors import StockAssetsError
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.quality.verdicts import FAMILIES
from stock_assets.storage import coverage, ledger
from stock_assets.wiring import Installation

if TYPE_CHECKING:
    from stock_assets.cli.run_here import FailedCheck, RunOutcome

SOURCES = ("baostock", "tushare")
_SHOWN_DAYS = 5
# What a failed check means and what to do next; the names in braces are facts that it reports.
_CHECKS: Final = {
    "stock_daily_complete": (
        "日线不完整：应有 {expected} 行，实有 {present} 行，涉及 {days short} 个交易日",
        "bars are missing: {expected} rows expected, {present} present, {days short} trading days short",
    ),
    "stock_daily_findings": (
        "有值得注意的行：错误 {errors} 条，警告 {warnings} 条（见表 quality_finding），拒绝 {rejected rows} 行（见表 rejected_row）",
        "rows deserve a look: {errors} errors, {warnings} warnings (table quality_finding), {rejected rows} rejected (rejected_row)",
    ),
    "sources_agree": (
        "两个数据源的日线不一致：{differences that fail} 处，共比较 {stock-days compared} 条日线（详见 Dagster 的检查 sources_agree）",
        "the sources differ in {differences that fail} values of {stock-days compared} bars (see check sources_agree in Dagster)",
    ),
    "technical_daily_recomputed": (
        "技术指标与重算结果不一致：{values that differ} 个数值，缺 {rows missing} 行，多 {rows without a bar} 行；修复：{next step}",
        "indicators are not what their bars say: {values that differ} values, {rows missing} rows missing; repair: {next step}",
    ),
    "cache_snapshot_whole": (
        "快照文件缺失或已损坏：{not whole}；修复：{next step}",
        "snapshot files are missing or damaged: {not whole}; repair: {next step}",
    ),
    "stock_daily_failures": (
        "日线有 {unresolved} 项失败未解决，其中 {wait for a person} 项待人处理；查看：stock-assets failures",
        "{unresolved} failures of daily bars are unresolved, {wait for a person} wait for a person; see `stock-assets failures`",
    ),
    "finance_indicator_failures": (
        "财务指标有 {unresolved} 项失败未解决，其中 {wait for a person} 项待人处理；查看：stock-assets failures",
        "{unresolved} failures of finance reports are unresolved, {wait for a person} wait for a person; see `stock-assets failures`",
    ),
    "calendars_agree": (
        "数据源的日历与交易所日历不一致：{disagreements}",
        "the source's calendar differs from the exchanges' on {disagreements}",
    ),
    "calendar_consistent": (
        "交易日历自相矛盾：{errors} 处；下一步：{next step}",
        "the stored calendar contradicts itself in {errors} places; next: {next step}",
    ),
    "calendar_reaches_ahead": (
        "交易日历只到 {known until}，请升级：{next step}",
        "the trading calendar ends on {known until}; upgrade it: {next step}",
    ),
}

# Each family of rules has a check.
_FAMILIES: Final = {
    family.name: (
        f"{family.zh}（{family.dataset}）：错误 {{errors}} 处，警告 {{warnings}} 处；查看：stock-assets quality",
        f"{family.en} ({family.dataset}): {{errors}} errors, {{warnings}} warnings; see `stock-assets quality`",
    )
    for family in FAMILIES
}


def requests_today(installation: Installation, source: str | None = None) -> int:
    """Return how many requests the sources got from this store today, Shanghai time; of `source` alone where given."""
    today = installation.now().astimezone(SHANGHAI).date()
    names = SOURCES if source is None else (source,)
    return sum(use.requests for name in names for use in installation.quota.usage(name, today) if use.api == "*")


def tell_days(
    session: Session, days: Sequence[date], ts_codes: Sequence[str], *, seconds: float, requests: int
) -> None:
    """Say how the asked days, or the asked stocks on them, stand now."""
    effort = session.say(f"{requests} 次请求，用时 {seconds:.1f} 秒", f"{requests} requests, {seconds:.1f} s")
    if ts_codes:
        _tell_stocks(session, days, ts_codes, effort)
        return
    with session.installation.database.read() as conn:
        counts = coverage.day_counts(conn, days[0], days[-1], sources=session.installation.sources_in_use)
        counts = counts.filter(pl.col("trade_date").is_in(list(days)))
        entries = ledger.read_entries(conn, STOCK_DAILY.name, days[0], days[-1])
    expected, present = int(counts["expected"].sum()), int(counts["present"].sum())
    whole = counts.filter((pl.col("present") == pl.col("expected")) & (pl.col("expected") > 0)).height
    session.tell(
        f"{len(days)} 个交易日中 {whole} 个完整，{present:,}/{expected:,} 行，{effort}",
        f"{whole} of {len(days)} trading days complete, {present:,}/{expected:,} rows, {effort}",
    )
    first = session.installation.source.name
    stood_in = entries.filter(~pl.col("source").str.contains(first, literal=True) & (pl.col("rows_present") > 0))
    if stood_in.height:
        session.note(
            f"{stood_in.height} 天没有 {first} 的行，由其他数据源提供",
            f"{stood_in.height} days have no row of {first}: another source brought them",
        )
    short = entries.filter(pl.col("status").is_in(["partial", "refused"]))
    for row in short.head(_SHOWN_DAYS).iter_rows(named=True):
        line = f"  {row['trade_date']}  {row['status']}  {row['detail']}"
        session.errors.print(line, style="yellow", markup=False, soft_wrap=True)
    if short.height > _SHOWN_DAYS:
        rest = short.height - _SHOWN_DAYS
        session.note(
            f"  … 另有 {rest} 天，见 stock-assets coverage", f"  … and {rest} more days, see `stock-assets coverage`"
        )


def _tell_stocks(session: Session, days: Sequence[date], ts_codes: Sequence[str], effort: str) -> None:
    with session.installation.database.read() as conn:
        expected = coverage.expected_bars(conn, days[0], days[-1], ts_codes=ts_codes).height
        missing = coverage.missing_bars(conn, days[0], days[-1], ts_codes=ts_codes).height
    session.tell(
        f"{len(ts_codes)} 只证券、{len(days)} 个交易日：{expected - missing:,}/{expected:,} 行，{effort}",
        f"{len(ts_codes)} securities, {len(days)} trading days: {expected - missing:,}/{expected:,} rows, {effort}",
    )
    if not expected:
        session.note("这些证券在这段日期内均未上市，请核对代码", "none of them was listed then; check the codes")


def end_with(session: Session, outcome: "RunOutcome") -> None:
    """Name the failed checks and, for a failed run, its reason; a failed run ends the command with its exit code."""
    blocking = [check for check in outcome.failed_checks if check.is_blocking]
    for check in outcome.failed_checks:
        if check not in blocking or outcome.is_success:
            session.note(f"注意：{_sentence(session, check)}", f"note: {_sentence(session, check)}")
    if outcome.is_success:
        return
    if session.is_debug and outcome.trace is not None:
        session.note(outcome.trace, outcome.trace)
    click.get_current_context().exit(_complain(session, outcome, blocking))


def _complain(session: Session, outcome: "RunOutcome", blocking: Sequence["FailedCheck"]) -> int:
    kind: type[StockAssetsError] | None = getattr(errors, outcome.error_class or "", None)
    if kind is not None:
        session.complain(outcome.sentence or kind.__name__)
        return exit_codes.exit_code(kind())
    if blocking:
        what = "; ".join(_sentence(session, check) for check in blocking)
        session.complain(
            session.say(
                f"{what}；其后的步骤未运行，稍后用同一命令补齐",
                f"{what}; what follows was not run, repeat the command later",
            )
        )
        return exit_codes.DATA_REFUSED
    reason = outcome.sentence or outcome.run_id
    session.complain(
        session.say(
            f"运行失败（{reason}）；请用 stock-assets --debug 重新运行，并反馈堆栈",
            f"the run failed ({reason}); run it again as `stock-assets --debug …` and report the traceback",
        )
    )
    return exit_codes.INTERNAL


def _sentence(session: Session, check: "FailedCheck") -> str:
    zh, en = {**_CHECKS, **_FAMILIES}.get(check.name, (f"检查 {check.name} 未通过", f"check {check.name} failed"))
    return session.say(zh, en).format_map(_Facts(check.facts))


class _Facts(dict[str, object]):
    def __init__(self, facts: Mapping[str, object]) -> None:
        super().__init__(facts)

    def __missing__(self, key: str) -> str:
        return "?"
