"""The reference pages that are written from the code itself, as Markdown: tables, indicators, rules, settings, `.env.example`.

A test holds the committed pages to these texts. Prose does not belong here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from stock_assets.domain.contract import Column, Table
from stock_assets.indicators.catalog import EXCHANGE_RULES, FAMILIES, LIMITS
from stock_assets.indicators.family import Family, Indicator
from stock_assets.quality.catalog import RULES, datasets
from stock_assets.settings import Knob, knobs
from stock_assets.storage.tables import TABLES

_KINDS = {
    "text": "文本 text",
    "date": "日期 date",
    "float": "浮点数 double",
    "integer": "整数 bigint",
    "boolean": "布尔 boolean",
    "timestamp": "时间 timestamptz",
}
_SEVERITIES = {"error": "错误 error", "warning": "警告 warning", "info": "提示 info"}


def reference_pages() -> Mapping[Path, str]:
    """Return every generated file: its path in the repository and its whole text."""
    return {
        Path("docs/tables.md"): tables_page(),
        Path("docs/indicator-list.md"): indicators_page(),
        Path("docs/quality-rules.md"): rules_page(),
        Path("docs/settings.md"): settings_page(),
        Path(".env.example"): env_example(),
    }


def write_reference_pages(root: Path = Path()) -> None:
    """Write every generated file into the repository at `root`."""
    for path, text in reference_pages().items():
        (root / path).write_text(text, encoding="utf-8", newline="\n")


def tables_page() -> str:
    """Return the page of tables: every column with its unit, Chinese and English side by side."""
    return "\n".join(
        [
            "# 数据表 | Tables",
            "",
            "本页由代码生成，数据库中的列注释与此相同。成交量以股计，金额以人民币元计，百分比列写明 %。",
            "",
            "Generated from the code; the comments in the database say the same. Volume is in shares, money in CNY, and a",
            "column in percent says %.",
            "",
            *[f"- [`{table.name}`](#{table.name})：{table.zh} | {table.en}" for table in TABLES],
            "",
            *[line for table in TABLES for line in _table(table)],
        ],
    )


def indicators_page() -> str:
    """Return the page of indicators: every family with its columns, formulas and first rows."""
    return "\n".join(
        [
            "# 指标一览 | List of indicators",
            "",
            "本页由代码生成；约定见[技术指标](indicators.md)。首行：序列中首个有值的行，从 1 数起。",
            "基准：`price` 随复权因子成比例，`traded` 为不复权价格，`none` 与价格水平无关。",
            "",
            "Generated from the code; for conventions see [technical indicators](indicators.md). First row: the row of a series, counted",
            "from 1, that has the first value. Basis: `price` in proportion to the adjustment factor, `traded` as traded, `none` without",
            "a level of prices.",
            "",
            *[line for family in FAMILIES for line in _family(family)],
            "## limits",
            "",
            "涨跌停：由当日适用的交易所规则得出。",
            "",
            "Price limits, by the exchange's rule of the day.",
            "",
            *_indicators(LIMITS),
        ],
    )


def rules_page() -> str:
    """Return the page of quality rules: every rule with its severity and what repairs what it finds."""
    return "\n".join(
        [
            "# 质量规则 | Quality rules",
            "",
            "本页由代码生成；如何使用见[数据质量](quality.md)。`拒绝 refused` 的行不入库，已在库中的算错误；",
            "`错误 error` 不可能正确；`警告 warning` 值得一看；`提示 info` 少见而正确。",
            "",
            "Generated from the code; for their use see [quality](quality.md). A `refused` row is not stored, and one that is there is an",
            "error; an `error` cannot be right; a `warning` deserves a look; an `info` is rare and right.",
            "",
            *[line for dataset in datasets() for line in _rules(dataset)],
        ],
    )


def settings_page() -> str:
    """Return the page of settings: name, default, what is allowed and what it does."""
    return "\n".join(
        [
            "# 设置 | Settings",
            "",
            "本页由代码生成。设置先取自环境变量，再取自工作目录下的 `.env`（样例见 [.env.example](../.env.example)）；",
            "不认识的变量一律忽略，空值视为未设。",
            "",
            "Generated from the code. A setting is taken from the environment first, then from `.env` in the working directory",
            "(see [.env.example](../.env.example)); unknown variables are ignored, an empty value counts as unset.",
            "",
            "| 名称 Name | 默认 Default | 允许 Allowed | 说明 Meaning |",
            "|---|---|---|---|",
            *[_setting(knob) for knob in knobs()],
            "",
        ],
    )


def env_example() -> str:
    """Return a `.env` in which every setting is explained and commented out."""
    lines = [
        "# 复制为 .env，去掉要改的行首的 #。",
        "# Copy to .env and take the # off the lines to change.",
        "",
    ]
    for knob in knobs():
        lines += [
            f"# {knob.zh}。{knob.allowed_zh}。",
            f"# {knob.en}; {knob.allowed_en}.",
            f"#{knob.env}={knob.default}",
            "",
        ]
    return "\n".join(lines)


def _rules(dataset: str) -> list[str]:
    rows = [
        _row(
            f"`{rule.name}`",
            "拒绝 refused" if rule.refuses else _SEVERITIES[rule.severity],
            f"{rule.zh} | {rule.en}",
            f"`{rule.repair.replace('{day}', 'D').replace('{code}', 'CODE')}`",
        )
        for rule in RULES
        if rule.dataset == dataset
    ]
    head = ["| 规则 Rule | 级别 Severity | 含义 Meaning | 查看或修复 Look or repair |", "|---|---|---|---|"]
    return [f"## {dataset}", "", *head, *rows, ""]


def _table(table: Table) -> list[str]:
    key = "、".join(f"`{name}`" for name in table.key or ("id",))
    indexes = "；".join("、".join(f"`{name}`" for name in index) for index in table.indexes)
    facts = [f"键 Key：{key}"] + ([f"索引 Index：{indexes}"] if indexes else [])
    return [
        f"## {table.name}",
        "",
        f"{table.zh}。",
        "",
        f"{table.en}.",
        "",
        "。".join(facts) + "。",
        "",
        "| 列 Column | 类型 Type | 单位 Unit | 可空 Null | 含义 Meaning |",
        "|---|---|---|---|---|",
        *[_column(column) for column in table.columns],
        "",
    ]


def _column(column: Column) -> str:
    choices = f"（{'、'.join(f'`{choice}`' for choice in column.choices)}）" if column.choices else ""
    null = "是 yes" if column.nullable else ""
    return _row(f"`{column.name}`", _KINDS[column.kind], column.unit, null, f"{column.zh}<br>{column.en}{choices}")


def _family(family: Family) -> list[str]:
    inputs = "、".join(f"`{name}`" for name in family.inputs)
    return [
        f"## {family.name}",
        "",
        f"{family.zh} | {family.en}。输入 Inputs：{inputs}。之前的行 Rows before：{family.lookback}。来源 Source：{family.source}。",
        "",
        *_indicators(family.indicators),
    ]


def _indicators(indicators: Sequence[Indicator]) -> list[str]:
    return [
        "| 列 Column | 含义 Meaning | 公式 Formula | 首行 First row | 单位 Unit | 基准 Basis |",
        "|---|---|---|---|---|---|",
        *[_indicator(indicator) for indicator in indicators],
        "",
    ]


def _indicator(indicator: Indicator) -> str:
    state = "（递推状态 state）" if indicator.is_state else ""
    meaning = f"{indicator.zh}{state}<br>{indicator.en}"
    formula = indicator.formula if indicator.formula == EXCHANGE_RULES else f"`{indicator.formula}`"
    return _row(f"`{indicator.name}`", meaning, formula, str(indicator.first_row), indicator.unit, indicator.basis)


def _setting(knob: Knob) -> str:
    default = f"`{knob.default}`" if knob.default else "未设 unset"
    secret = "（保密 secret）" if knob.is_secret else ""
    return _row(f"`{knob.env}`", default, f"{knob.allowed_zh}<br>{knob.allowed_en}", f"{knob.zh}{secret}<br>{knob.en}")


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
