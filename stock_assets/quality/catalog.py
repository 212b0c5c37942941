"""The one list of quality rules: what each of them means, how bad it is, and what repairs it.

The rules themselves are beside it, by dataset; from this list come severities, the page in the docs and the commands
that a failing check names.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from stock_assets.quality.findings import WHOLE_DAY

Severity = Literal["error", "warning", "info"]
"""An error cannot be right and poisons what is computed from it; a warning deserves a look; an info is rare and right."""

Subject = Literal[
    "answer", "keys", "prices", "limits", "continuity", "volume", "turnover", "calendar", "factors", "indicators",
    "finance", "completeness",
]  # fmt: skip
"""What a rule looks at. Rules of `answer` can only be broken by what a source says: such rows never get into the store."""

_AGAIN = "stock-assets nightly --date {day}"
_MISSING = "stock-assets repair --start {day} --end {day}"
_COMPUTE = "stock-assets backfill-technicals --start {day} --end {day} --again --codes {code}"
_FINANCE = "stock-assets finance {code}"
_BARS, _FACTORS, _INDICATORS, _REPORTS = "stock_daily", "adjust_factor", "technical_daily", "finance_indicator"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a dataset.

    With `refuses`, a row of an answer that breaks it is not stored; in the store it is an error all the same. `explains`
    names rules of any dataset whose findings on the same stock and day only follow from this one's.
    """

    dataset: str
    name: str
    subject: Subject
    severity: Severity
    zh: str
    en: str
    repair: str = _AGAIN
    refuses: bool = False
    explains: tuple[str, ...] = ()

    def repair_of(self, day: date, ts_code: str = WHOLE_DAY) -> str:
        """Return the command that shows or repairs what was found on this day, of this stock or (`*`) as a whole."""
        template = self.repair if ts_code != WHOLE_DAY else self.repair.replace(" --codes {code}", "")
        return template.format(day=day, code=ts_code)


def _refusal(  # noqa: PLR0913  as the columns of a table
    dataset: str, name: str, subject: Subject, zh: str, en: str, repair: str = _AGAIN
) -> Rule:
    return Rule(dataset, name, subject, "error", zh, en, repair, refuses=True)


RULES: Final[tuple[Rule, ...]] = (
    _refusal(_BARS, "unreadable_value", "answer", "有无法识别的值", "a value cannot be read"),
    _refusal(_BARS, "unknown_code", "keys", "证券清单中没有该代码", "the list of securities has no such code"),
    _refusal(_BARS, "date_not_asked", "answer", "不是所请求的日期", "a day that was not asked for"),
    _refusal(_BARS, "adjusted_prices", "answer", "数据源标明价格已复权", "the source says that prices are adjusted"),
    _refusal(_BARS, "close_missing", "prices", "没有收盘价", "no close"),
    _refusal(_BARS, "price_not_positive", "prices", "价格不为正", "a price is not positive"),
    _refusal(_BARS, "high_below_low", "prices", "最高价低于最低价", "high is below low"),
    _refusal(_BARS, "high_below_open_or_close", "prices", "最高价低于开盘价或收盘价", "high is below open or close"),
    _refusal(_BARS, "low_above_open_or_close", "prices", "最低价高于开盘价或收盘价", "low is above open or close"),
    _refusal(_BARS, "volume_negative", "volume", "成交量为负", "volume is negative"),
    _refusal(_BARS, "amount_negative", "volume", "成交额为负", "amount is negative"),
    _refusal(_BARS, "turnover_negative", "turnover", "换手率为负", "turnover is negative"),
    _refusal(_BARS, "duplicate_key", "keys", "同一股票同一日有多行", "several rows for one stock and day"),
    Rule(_BARS, "suspended_with_volume", "volume", "warning", "停牌却有成交量", "suspended, yet with volume"),
    Rule(_BARS, "traded_without_volume", "volume", "warning", "交易却没有成交量", "traded, yet without volume"),
    Rule(
        _BARS, "pct_chg_inconsistent", "prices", "warning",
        "涨跌幅与收盘价、前收盘价不符", "change does not follow from close and pre_close",
    ),
    Rule(_BARS, "extreme_move", "prices", "info", "涨跌幅超过 20.6%", "a move beyond 20.6 %"),
    Rule(_BARS, "outside_listing", "calendar", "warning", "不在上市期间", "outside the stock's listing"),
    Rule(
        _BARS, "pre_close_above_previous_close", "continuity", "warning",
        "前收盘价高于上一交易日收盘价", "pre_close is above the close of the session before",
    ),
    Rule(
        _BARS, "suspended_volume_zero", "volume", "info",
        "停牌行的成交量写为 0", "suspended rows whose volume is written as 0",
    ),
    Rule(
        _BARS, "suspended_volume_empty", "volume", "info",
        "停牌行的成交量为空", "suspended rows without a volume",
    ),
    Rule(
        _BARS, "bars_missing", "completeness", "warning",
        "上市股票当日没有行情", "listed stocks without a bar", _MISSING,
    ),
    _refusal(_FACTORS, "unreadable_value", "answer", "有无法识别的值", "a value cannot be read"),
    _refusal(_FACTORS, "unknown_code", "keys", "证券清单中没有该代码", "the list of securities has no such code"),
    _refusal(_FACTORS, "date_not_asked", "answer", "不是所请求的日期", "a day that was not asked for"),
    _refusal(_FACTORS, "factor_not_positive", "factors", "复权因子不为正", "the factor is not positive"),
    _refusal(_FACTORS, "duplicate_key", "keys", "同一股票同一除权日有多行", "several rows for one stock and ex-date"),
    _refusal(_REPORTS, "unreadable_value", "answer", "有无法识别的值", "a value cannot be read", _FINANCE),
    _refusal(_REPORTS, "unknown_code", "keys", "不是 A 股股票代码", "no code of an A-share stock", _FINANCE),
    _refusal(
        _REPORTS, "period_not_quarter_end", "finance", "报告期不是季末日", "the period does not end with a quarter", _FINANCE
    ),
    _refusal(
        _REPORTS, "announced_before_period_end", "finance", "公告日早于报告期末", "announced before the period's end", _FINANCE
    ),
    _refusal(_REPORTS, "no_figures", "finance", "没有任何数值", "not one figure", _FINANCE),
)  # fmt: skip
"""Every rule, in the order in which they are told; of a refused row the first one broken is named."""

_BY_KEY: Final = {(rule.dataset, rule.name): rule for rule in RULES}


def rule_of(dataset: str, name: str) -> Rule:
    """Return the rule of a finding.

    Errors: `KeyError` for a rule that is not in the list.
    """
    return _BY_KEY[dataset, name]


def datasets() -> tuple[str, ...]:
    """Return the datasets that have rules, in the order of the list."""
    return tuple(dict.fromkeys(rule.dataset for rule in RULES))
