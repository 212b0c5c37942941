"""The failure table as a page for people: Chinese first, then English."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Literal

Language = Literal["zh", "en"]

COMMAND: Final = "python -m stock_assets_tests.faults.table"
FAULTS: Final[dict[str, tuple[str, str]]] = {
    "close": ("收到请求后断开连接", "the connection is closed instead of an answer"),
    "half": ("应答发到一半断开", "half an answer, then the connection is closed"),
    "stall": ("一直不应答", "no answer at all"),
    "late": ("应答晚于时限", "the answer comes after the deadline"),
    "slow_drip": ("逐字节缓慢应答", "the answer comes byte by byte"),
    "garbage": ("应答是乱码", "the answer is garbage"),
    "corrupt": ("应答有一处被改动", "one digit of the answer is changed"),
    "connect_refused": ("断开且不再接受连接", "closed, and no new connection is accepted"),
    "not_logged_in": ("服务器称未登录", "the server says: not logged in"),
    "banned": ("服务器称已列入黑名单", "the server says: blacklisted"),
    "error": ("服务器系统错误", "the server's own system error"),
    "lost_rows": ("应答缺行而不报错", "rows are left out without an error"),
    "empty": ("应答为空而不报错", "no rows and no error"),
    "half_published": ("只发布了前一部分", "only the first part is published"),
    "duplicate_rows": ("部分行重复", "some rows come twice"),
    "bad_row": ("有一行缺列", "one row lacks a value"),
    "other_stock": ("给出另一只股票或另一天的行", "rows of another stock or day"),
    "other_method": ("给出另一接口的应答", "the answer of another method"),
    "stale": ("重复上一次的应答", "the previous answer once more"),
}
_VERDICTS: Final = {
    "rows": "有数据",
    "proven empty": "证实为空",
    "broken": "不可信",
    "truncated": "不完整",
    "refused": "被拒绝",
}
_STATUSES: Final = {
    "complete": "完整",
    "empty": "空",
    "partial": "部分",
    "refused": "未获应答",
    "none": "无记录",
    "missing": "缺失",
}
_ZH_HEAD: Final = f"""# 失败一览

本页由 `{COMMAND}` 生成，请勿手改；测试 `stock_assets_tests/faults/test_failure_table.py` 每次将
其中三分之一与程序的实际行为比对，`STOCK_ASSETS_TEST_MATRIX=all` 时逐格比对。
本页是 BaoStock 的；Tushare 的见 [Tushare 失败一览](failures-tushare.md)。

模拟数据源能制造的每种故障，都在流水线的每个调用上发生并持续，走真实的线路协议、客户端、连接池与数据库
（时限不到半秒，每次调用两次尝试）。每一格都验证：不会把不完整的交易日记为完整，不会写入错误的行，不会卡住，
不会抛出外来异常；故障消失后再运行一次即补全。

判定：有数据、证实为空、被拒绝（附种类）、不可信、不完整；只有前两种可以补上缺口。
账本：该调用所装载的交易日在 `load_ledger` 中的状态，`无记录` 表示尚未写入。
"""
_EN_HEAD: Final = f"""# Failures

Written by `{COMMAND}`; `stock_assets_tests/faults/test_failure_table.py` compares a third of the cells with
what the program does, and every one with `STOCK_ASSETS_TEST_MATRIX=all`.
This page is BaoStock's; Tushare's is [failures of Tushare](failures-tushare.md).

Every fault that the simulated source can make happens, and goes on happening, to every call of the pipeline, through
the real wire protocol, client, pool and database (deadline below half a second, two attempts a call). In every cell:
no incomplete day is called complete, no wrong row is stored, nothing hangs, no foreign exception comes out; once the
fault is gone the next run completes the days.

Verdicts: rows, proven empty, refused (and how), broken, truncated; only the first two may close a gap. Ledger: what
`load_ledger` says of the days that the call loads; `none` means that nothing was written.
"""
_HEAD: Final = {
    "zh": (_ZH_HEAD, "## 各调用\n", "| 故障 | 判定 | 账本 | 使用者看到 |", "一切正常"),
    "en": (_EN_HEAD, "## Calls\n", "| fault | verdict | ledger | what the user sees |", "all is well"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One cell: what a fault on a call led to. `zh` and `en` are what the user sees, empty when all is well."""

    call: str
    fault: str
    verdict: str
    status: str
    zh: str
    en: str


def page(lines: Sequence[Line]) -> str:
    """Return the page of these cells, which are in the order of their calls."""
    return "\n".join([*_half(lines, "zh"), "---\n", *_half(lines, "en")])


def rows_of(text: str) -> Mapping[tuple[Language, str], list[str]]:
    """Return what a page says: the lines below each call, in each language."""
    found: dict[tuple[Language, str], list[str]] = {}
    halves: dict[Language, str] = dict(zip(("zh", "en"), text.split("\n---\n"), strict=True))
    for language, half in halves.items():
        for part in half.split("### ")[1:]:
            call, _, rest = part.partition("\n")
            found[language, call] = rest.splitlines()
    return found


def _half(lines: Sequence[Line], language: Language) -> list[str]:
    head, title, columns, well = _HEAD[language]
    text = [head, _overview(lines, language), title]
    for call, group in groupby(lines, key=lambda line: line.call):
        text += [f"### {call}\n", columns, "|---|---|---|---|"]
        text += [_row(line, language, well) for line in group]
        text.append("")
    return text


def _row(line: Line, language: Language, well: str) -> str:
    meaning = FAULTS[line.fault][language == "en"]
    seen = (line.zh if language == "zh" else line.en) or well
    return (
        f"| `{line.fault}` {meaning} | {verdict_words(line.verdict, language)} "
        f"| {status_words(line.status, language)} | {seen.replace('|', '&#124;')} |"
    )


def _overview(lines: Sequence[Line], language: Language) -> str:
    """Return fault × call with the verdicts only."""
    calls = list(dict.fromkeys(line.call for line in lines))
    cells = {(line.fault, line.call): line.verdict for line in lines}
    rows = [
        "| " + " | ".join(["故障" if language == "zh" else "fault", *calls]) + " |",
        "|" + "---|" * (len(calls) + 1),
    ]
    for fault in FAULTS:
        told = [verdict_words(cells[fault, call], language) if (fault, call) in cells else "—" for call in calls]
        rows.append("| " + " | ".join([f"`{fault}`", *told]) + " |")
    return "\n".join(rows) + "\n"


def verdict_words(text: str, language: Language) -> str:
    """Return verdicts, joined by slashes, in a language."""
    if language == "en":
        return text
    parts = [part.partition(" (") for part in text.split(" / ")]
    return " / ".join(_VERDICTS[name] + (f"（{kind[:-1]}）" if kind else "") for name, _, kind in parts)


def status_words(text: str, language: Language) -> str:
    """Return the ledger's states, joined by slashes, in a language."""
    return text if language == "en" else " / ".join(_STATUSES[status] for status in text.split(" / "))
