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
_CALENDARS = "stock-assets doctor"
_CALENDAR = "trading_day"
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


def _error(  # noqa: PLR0913  as the columns of a table
    dataset: str,
    name: str,
    subject: Subject,
    zh: str,
    en: str,
    repair: str = _AGAIN,
    *,
    explains: tuple[str, ...] = (),
) -> Rule:
    return Rule(dataset, name, subject, "error", zh, en, repair, explains=explains)


def _warning(  # noqa: PLR0913  as the columns of a table
    dataset: str,
    name: str,
    subject: Subject,
    zh: str,
    en: str,
    repair: str = _AGAIN,
    *,
    explains: tuple[str, ...] = (),
) -> Rule:
    return Rule(dataset, name, subject, "warning", zh, en, repair, explains=explains)


# What else is odd about a bar that is wrong as a whole, and about a day whose pre_close is wrong.
_REFERENCES: Final = (
    "pre_close_contradicted", "pre_close_above_previous_close", "ex_date_without_factor", "factor_step_inconsistent",
)  # fmt: skip
_MOVES: Final = ("pct_chg_inconsistent", "extreme_move", "beyond_price_limit")

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
    _error(_BARS, "not_a_session", "calendar", "当日不是交易日", "a day on which the exchanges do not trade"),
    _warning(
        _BARS, "suspended_with_volume", "volume", "停牌却有成交量", "suspended, yet with volume",
        explains=("suspended_prices_move", "indicator_without_bar"),
    ),
    _warning(
        _BARS, "traded_without_volume", "volume", "交易却没有成交量", "traded, yet without volume",
        explains=("pct_chg_missing", "price_missing", "turnover_missing"),
    ),
    _warning(_BARS, "suspended_prices_move", "prices", "停牌日的价格不全相同", "suspended, yet prices are not all the same"),
    _warning(_BARS, "price_missing", "prices", "交易日缺少价格", "traded, yet a price is missing"),
    _error(
        _BARS, "price_off_tick", "prices", "价格不是最小变动单位的整数倍（多半是复权价）",
        "a price is no multiple of the tick: most likely it is adjusted",
        explains=("mean_price_outside_range", "beyond_price_limit", *_REFERENCES),
    ),
    _warning(_BARS, "pct_chg_missing", "prices", "交易日没有涨跌幅", "traded, yet without a change"),
    _warning(
        _BARS, "pct_chg_inconsistent", "prices",
        "涨跌幅与收盘价、前收盘价不符", "change does not follow from close and pre_close",
    ),
    Rule(_BARS, "extreme_move", "prices", "info", "涨跌幅超过 20.6%", "a move beyond 20.6 %"),
    _warning(
        _BARS, "beyond_price_limit", "limits", "最高价或最低价超出当日涨跌停价",
        "high or low is beyond the day's price limit of its board", explains=("extreme_move",),
    ),
    _warning(
        _BARS, "pre_close_above_previous_close", "continuity",
        "前收盘价高于上一交易日收盘价", "pre_close is above the close of the session before", explains=_MOVES[1:],
    ),
    _warning(
        _BARS, "pre_close_contradicted", "continuity", "涨跌幅以上一交易日收盘价为准，前收盘价却不是",
        "the change counts from the close of the session before, pre_close is another price", explains=_MOVES,
    ),
    _error(
        _BARS, "bar_repeated", "continuity", "与上一交易日的行情完全相同",
        "the same as the bar of the session before in every price, volume and amount", explains=(*_REFERENCES, *_MOVES),
    ),
    _warning(
        _BARS, "amount_missing", "volume", "有成交量却没有成交额", "volume, yet no amount",
    ),
    _error(
        _BARS, "units_inconsistent", "volume", "成交额与成交量的单位不符", "amount and volume are not in the same units",
        explains=("float_shares_jump",),
    ),
    _warning(
        _BARS, "mean_price_outside_range", "volume", "成交均价不在最低价与最高价之间",
        "amount / volume is not between low and high", explains=("float_shares_jump",),
    ),
    _warning(_BARS, "turnover_above_100", "turnover", "换手率超过 100%", "turnover above 100 %", explains=("float_shares_jump",)),
    _warning(
        _BARS, "turnover_missing", "turnover", "当日多数股票有换手率，该股没有", "no turnover, though most of the day's bars have one",
    ),
    _warning(
        _BARS, "float_shares_jump", "turnover", "由换手率推算的流通股本较上一交易日变化 50 倍以上",
        "the floating shares that turnover implies are 50 times those of the session before, or a fiftieth",
    ),
    _warning(_BARS, "outside_listing", "calendar", "不在上市期间", "outside the stock's listing"),
    Rule(
        _BARS, "suspended_volume_zero", "volume", "info",
        "停牌行的成交量写为 0", "suspended rows whose volume is written as 0",
    ),
    Rule(_BARS, "suspended_volume_empty", "volume", "info", "停牌行的成交量为空", "suspended rows without a volume"),
    _warning(_BARS, "bars_missing", "completeness", "上市股票当日没有行情", "listed stocks without a bar", _MISSING),
    _refusal(_FACTORS, "unreadable_value", "answer", "有无法识别的值", "a value cannot be read"),
    _refusal(_FACTORS, "unknown_code", "keys", "证券清单中没有该代码", "the list of securities has no such code"),
    _refusal(_FACTORS, "date_not_asked", "answer", "不是所请求的日期", "a day that was not asked for"),
    _refusal(_FACTORS, "factor_not_positive", "factors", "复权因子不为正", "the factor is not positive"),
    _refusal(_FACTORS, "duplicate_key", "keys", "同一股票同一除权日有多行", "several rows for one stock and ex-date"),
    _error(_FACTORS, "ex_date_not_a_session", "calendar", "除权除息日不是交易日", "an ex-date on which the exchanges do not trade"),
    _warning(_FACTORS, "ex_date_outside_listing", "calendar", "除权除息日不在上市期间", "an ex-date outside the stock's listing"),
    _warning(
        _FACTORS, "factor_falls", "factors", "复权因子变小，而行情没有相应的除权",
        "the factor falls, and no bar shows why", explains=("factor_step_extreme", "factor_step_inconsistent"),
    ),
    Rule(_FACTORS, "factor_unchanged", "factors", "info", "复权因子与前一个相同", "the same factor as the one before"),
    _warning(
        _FACTORS, "factor_step_extreme", "factors", "复权因子一次增至 11 倍以上，当日又无行情可印证",
        "the factor grows more than elevenfold at once, and no bar confirms it",
    ),
    _warning(
        _FACTORS, "factor_without_ex_date", "factors", "复权因子变化而前收盘价没有除权",
        "the factor moves on a day whose pre_close is the plain close of the session before",
    ),
    _warning(
        _FACTORS, "factor_step_inconsistent", "factors", "复权因子的变化与前收盘价不符",
        "the step of the factor is not that from the previous close to pre_close",
    ),
    _warning(
        _FACTORS, "ex_date_without_factor", "factors", "前收盘价已除权而没有复权因子",
        "pre_close is below the close of the session before, and there is no factor", explains=(*_MOVES, "factor_unchanged"),
    ),
    _refusal(_REPORTS, "unreadable_value", "answer", "有无法识别的值", "a value cannot be read", _FINANCE),
    _refusal(_REPORTS, "unknown_code", "keys", "不是 A 股股票代码", "no code of an A-share stock", _FINANCE),
    _refusal(
        _REPORTS, "period_not_quarter_end", "finance", "报告期不是季末日", "the period does not end with a quarter", _FINANCE
    ),
    _refusal(
        _REPORTS, "announced_before_period_end", "finance", "公告日早于报告期末", "announced before the period's end", _FINANCE
    ),
    _refusal(_REPORTS, "no_figures", "finance", "没有任何数值", "not one figure", _FINANCE),
    _error(_REPORTS, "duplicate_key", "keys", "同一版本有多行", "several rows for one version", _FINANCE),
    _error(
        _REPORTS, "known_before_announced", "finance", "在公告当日或之前就算作可知",
        "counts as known on the day of its announcement or before", _FINANCE,
    ),
    _warning(
        _REPORTS, "parts_not_whole", "finance", "互补的两个比例之和不是 100%", "two shares of one whole do not add up to 100 %",
        _FINANCE, explains=("share_out_of_bounds",),
    ),
    _warning(
        _REPORTS, "share_out_of_bounds", "finance", "占比不在 0 到 100% 之间", "a share of a whole is not between 0 and 100 %", _FINANCE,
        explains=("leverage_inconsistent",),
    ),
    _warning(
        _REPORTS, "leverage_inconsistent", "finance", "资产负债率、权益乘数与产权比率不符",
        "debt to assets, assets to equity and debt to equity contradict each other", _FINANCE,
    ),
    _warning(
        _REPORTS, "per_share_inconsistent", "finance", "每股指标与金额不符", "figures per share do not follow from the amounts",
        _FINANCE, explains=("margin_inconsistent",),
    ),
    _warning(
        _REPORTS, "margin_inconsistent", "finance", "息税前利润率与每股息税前利润、每股营业总收入不符",
        "the EBIT margin does not follow from EBIT and revenue per share", _FINANCE,
    ),
    _warning(
        _REPORTS, "liquidity_out_of_order", "finance", "速动比率高于流动比率，或现金比率高于速动比率",
        "the quick ratio is above the current ratio, or the cash ratio above the quick one", _FINANCE,
    ),
    _error(_INDICATORS, "duplicate_key", "keys", "同一股票同一日有多行", "several rows for one stock and day", _COMPUTE),
    _error(_INDICATORS, "indicator_without_bar", "indicators", "当日没有成交行情却有指标", "indicators of a day without a traded bar", _COMPUTE),
    _error(_INDICATORS, "indicator_not_finite", "indicators", "指标不是有限数", "an indicator is no finite number", _COMPUTE, explains=("indicator_out_of_bounds", "indicators_inconsistent")),
    _error(
        _INDICATORS, "indicator_out_of_bounds", "indicators", "指标超出其取值范围", "an indicator is outside its bounds", _COMPUTE,
        explains=("indicators_inconsistent",),
    ),
    _error(
        _INDICATORS, "indicators_inconsistent", "indicators", "指标之间的恒等关系不成立",
        "what follows from one another by definition does not", _COMPUTE,
    ),
    _error(
        _INDICATORS, "limit_flag_without_price", "limits", "有涨跌停标志而没有涨跌停价，或同时涨停与跌停",
        "at a limit that has no price, or at both", _COMPUTE,
    ),
    _error(
        _INDICATORS, "indicator_recomputed_differs", "indicators", "抽样重算的指标与存储不一致",
        "a sample computed again is not what is stored", _COMPUTE,
    ),
    _error(_CALENDAR, "duplicate_key", "keys", "同一日有多行", "several rows for one day", _CALENDARS),
    _error(_CALENDAR, "calendar_day_missing", "calendar", "日历中前面缺少自然日", "calendar days before this one are missing", _CALENDARS),
    _error(_CALENDAR, "session_on_weekend", "calendar", "周末被当作交易日", "a weekend counts as a trading day", _CALENDARS),
    _error(_CALENDAR, "previous_open_wrong", "calendar", "上一交易日不对", "not the last open day before", _CALENDARS),
    _error(_CALENDAR, "calendars_differ", "calendar", "交易所日历与数据源日历不一致", "both calendars differ", _CALENDARS),
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
