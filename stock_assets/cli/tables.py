"""Frames as tables for people: heads in their language, numbers to the right, and never a value that is cut.

What a column is called comes from the tables' contracts where that is short enough, else from the list here.
"""

import re
from collections.abc import Iterable
from typing import Final

import polars as pl
from rich import box
from rich.cells import cell_len
from rich.table import Table

from stock_assets.domain.errors import Language
from stock_assets.storage.tables import TABLES

# Columns of summaries, and those whose contract says it too long or means another table's.
_HEADS: Final = {
    "table": "表",
    "dataset": "数据集",
    "rows": "行数",
    "days": "天数",
    "codes": "证券数",
    "first_day": "最早",
    "last_day": "最近",
    "MB": "MB",
    "complete": "完整",
    "empty": "证实为空",
    "partial": "不完整",
    "refused": "未取得",
    "expected": "应有",
    "present": "实有",
    "unexpected": "多余",
    "suspended": "停牌",
    "rejected": "拒绝",
    "missing": "缺失",
    "source_has_none": "无源",
    "last_asked_on": "最近询问",
    "ask_again_at": "再问时间",
    "not_listed": "未上市",
    "state": "状态",
    "month": "月份",
    "rows_there": "对方行数",
    "digest_there": "对方摘要",
    "status": "状态",
    "detail": "说明",
    "rule": "规则",
    "severity": "级别",
    "check": "检查",
    "errors": "错误",
    "warnings": "警告",
    "notes": "提示",
    "count": "条数",
    "trade_date": "交易日",
    "schedule": "调度",
    "planned": "计划时间",
    "outcome": "结果",
    "finished": "完成时间",
    "security_code": "现用代码",
    "traded_as": "当日代码",
    "list_date": "上市日",
    "delist_date": "退市日",
    "pct_chg": "涨跌幅%",
    "turnover_rate": "换手率%",
    "is_suspended": "停牌",
    "pe_ttm": "市盈率",
    "version": "版本",
    "fetched_at": "收到时间",
    "known_from": "可用日",
    "ann_date": "公告日",
    "first_period": "起始报告期",
    "known_through": "已知至",
    "ann_date_basis": "公告日来自",
    "update_flag": "更正",
    "is_chosen": "采用",
    "eps": "每股收益",
    "bps": "每股净资产",
    "ocfps": "每股经营现金流",
    "roe": "净资产收益率%",
    "grossprofit_margin": "毛利率%",
    "netprofit_margin": "净利率%",
    "or_yoy": "营收同比%",
    "netprofit_yoy": "净利同比%",
    "debt_to_assets": "负债率%",
    "plan": "方案",
    "day_calls": "按日请求",
    "code_calls": "按证券请求",
    "requests": "请求合计",
    "minutes": "预计分钟",
    "quota_percent": "占日配额%",
    "started": "开始",
    "seconds": "秒",
    "run": "运行",
    "run_id": "运行",
    "digest": "摘要",
    "updated_at": "更新时间",
    "resolved_at": "解决时间",
    "banned_until": "解禁时间",
    "valid_from": "生效时间",
    "valid_to": "失效时间",
    "problem": "原因",
    "current_offset": "已完成",
    "total_items": "总项数",
    "total_processed": "写入行数",
    "third_code": "失败项",
    "error_message": "原因",
    "retry_count": "已重试",
    "max_retries": "重试上限",
    "last_attempt_at": "最近尝试",
    "records": "记录",
    "resolved": "已解决",
    "unresolved": "未解决",
    "needs_a_person": "待人处理",
    "failed_percent": "失败率%",
    "next_at": "下次请求",
    "interval_seconds": "间隔秒",
    "closed_until": "暂停至",
    "closed_reason": "暂停原因",
    "learned_limit": "已知上限",
    "refused_at": "得知时间",
    "snapshot_id": "快照编号",
    "is_current": "当前",
    "reason": "为何",
    "created_at": "发布时间",
    "code_version": "代码版本",
    "inputs": "输入摘要",
    "amount_100m": "成交额(亿)",
    "is_limit_up": "涨停",
    "is_limit_down": "跌停",
    "trix_12": "TRIX",
    "bar_number": "第几根",
    "input_digest": "输入摘要",
    "column": "列",
    "stored": "存储值",
    "computed": "重算值",
    "ma_5": "MA5",
    "ma_20": "MA20",
    "dif": "DIF",
    "dea": "DEA",
    "macd": "MACD",
    "kdj_k": "K",
    "kdj_d": "D",
    "kdj_j": "J",
    "rsi_6": "RSI6",
}
# Where the column's own name is wider than what it holds.
_SHORT_NAMES: Final = {
    "trade_date": "date",
    "pct_chg": "chg %",
    "turnover_rate": "turn %",
    "is_suspended": "halted",
    "ann_date": "announced",
    "first_period": "first period",
    "known_through": "known through",
    "known_from": "known from",
    "roe": "roe %",
    "grossprofit_margin": "gross %",
    "netprofit_margin": "net %",
    "or_yoy": "sales yoy %",
    "netprofit_yoy": "profit yoy %",
    "debt_to_assets": "debt %",
    "snapshot_id": "snapshot",
    "is_current": "current",
    "created_at": "published",
    "amount_100m": "CNY 100m",
    "is_limit_up": "limit up",
    "is_limit_down": "limit down",
}
_SHORT: Final = 6
_FIRST_WORDS = re.compile(r"[^，；（：／/ ]+")
_PERCENTAGES: Final = frozenset(
    {
        "pct_chg", "turnover_rate", "quota_percent", "roe", "grossprofit_margin", "netprofit_margin", "or_yoy",
        "netprofit_yoy", "debt_to_assets",
    }
)  # fmt: skip
_DECIMALS: Final = 4
_COLUMN_GAP: Final = 2


def heads() -> dict[str, str]:
    """Return what each column is called in Chinese; a column that is not named keeps its own name."""
    found = dict(_HEADS)
    for table in TABLES:
        for column in table.columns:
            words = _FIRST_WORDS.match(column.zh)
            if words is not None and len(words[0]) <= _SHORT:
                found.setdefault(column.name, words[0])
    return found


def fitting_table(
    frame: pl.DataFrame, language: Language, *, width: int, title: str | None = None
) -> tuple[Table, int]:
    """Return a frame as a table at most `width` cells wide, and how many of its last columns had no room."""
    names = heads() if language == "zh" else _SHORT_NAMES
    columns = [[names.get(name, name), *_cells(frame[name], language)] for name in frame.columns]
    shown = len(columns)
    while shown > 1 and _width(columns[:shown]) > width:
        shown -= 1
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for name, (head, *_) in zip(frame.columns[:shown], columns[:shown], strict=True):
        table.add_column(head, justify="right" if frame[name].dtype.is_numeric() else "left", no_wrap=True)
    for row in zip(*(cells for _, *cells in columns[:shown]), strict=True):
        table.add_row(*row)
    return table, len(columns) - shown


def _width(columns: Iterable[list[str]]) -> int:
    return sum(max(map(cell_len, cells)) + _COLUMN_GAP for cells in columns) - _COLUMN_GAP


def _cells(values: pl.Series, language: Language) -> list[str]:
    decimals = 2 if values.name in _PERCENTAGES else _decimals(values)
    return [_cell(value, decimals, language) for value in values]


def _decimals(values: pl.Series) -> int:
    """Return how many decimals every value of a column gets, so that points stand under each other."""
    if not values.dtype.is_float():
        return 0
    texts = [f"{value:.{_DECIMALS}f}".rstrip("0") for value in values.drop_nulls()]
    return max((len(text.partition(".")[2]) for text in texts), default=0)


def _cell(value: object, decimals: int, language: Language) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return ("是" if value else "否") if language == "zh" else ("yes" if value else "no")
    if isinstance(value, float):
        return f"{value:,.{decimals}f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value).replace("[", r"\[")
