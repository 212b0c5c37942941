"""The table of Tushare's failures as a page for people: Chinese first, then English."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from stock_assets.domain.pace import RateState
from stock_assets_tests.faults.page import Language, status_words, verdict_words

COMMAND: Final = "python -m stock_assets_tests.faults.tushare_table"
Family = Literal["refusal", "status", "body", "connection", "rows"]
_TITLES: Final[dict[Family, tuple[str, str]]] = {
    "refusal": ("拒绝的文字（HTTP 200，`code` 与 `msg`）", "Texts of refusal (HTTP 200, `code` and `msg`)"),
    "status": ("HTTP 状态", "HTTP status"),
    "body": ("不成应答的正文", "Bodies that are no answer"),
    "connection": ("连接", "Connection"),
    "rows": ("看似正常的行", "Rows that look right"),
}
_ZH_HEAD: Final = f"""# Tushare 失败一览

本页由 `{COMMAND}` 生成，请勿手改；测试 `stock_assets_tests/faults/test_tushare_table.py` 将它与程序的实际行为逐格比对。
BaoStock 的见[失败一览](failures.md)。

对 `daily` 的每次请求都遇到所列情形并持续，走真实的套接字、客户端、限速器与 PostgreSQL（2000 积分，每个请求最多三次尝试；
等待用的时钟是虚拟的）。每一格都验证：没有一种会被当作“0 行、已完成”；不写入数据源没有说过的行；被关闭的接口，另一进程也
不再请求；情形消失并且等待期已过，再运行一次即补全。

- 判定：有数据、证实为空、被拒绝（附种类）、不可信、不完整；只有前两种可以补上缺口。
- 请求：实际发出的请求数。等待：限速与重试之间共等待的秒数。
- 此后：限速器此后如何对待该接口，对本存储的所有进程有效。与频率无关的拒绝不改变速度。
- 账本：当日在 `load_ledger` 中的状态。退出码：命令的退出码。
"""
_EN_HEAD: Final = f"""# Failures of Tushare

Written by `{COMMAND}`; `stock_assets_tests/faults/test_tushare_table.py` compares every cell with what the program does.
BaoStock's are in [failures](failures.md).

It happens, and goes on happening, to every request for `daily`, through real sockets, client, limiter and PostgreSQL
(2,000 points, three attempts a request; only the clock that waits is made up). In every cell: none passes for "0 rows,
done"; no row is stored that the source did not say; what is closed is not asked by another process either; once it is
over and the wait has passed, the next run completes the day.

- Verdicts: rows, proven empty, refused (and how), broken, truncated; only the first two may close a gap.
- Requests: how many were sent. Waited: seconds spent on the pace and between attempts.
- From then on: how the limiter treats the interface, for all processes of this store. What says nothing about the pace
  does not change it.
- Ledger: what `load_ledger` says of the day. Exit: the command's exit code.
"""
_HEADS: Final = {
    "zh": (_ZH_HEAD, "| 情形 | 判定 | 请求 | 等待 | 此后 | 账本 | 退出码 | 使用者看到 |", "一切正常"),
    "en": (_EN_HEAD, "| what happens | verdict | requests | waited | from then on | ledger | exit | what the user sees |",
           "all is well"),
}  # fmt: skip
_LONGEST_WAIT: Final = 3600


@dataclass(frozen=True, slots=True)
class Line:
    """One case: what it led to. `zh` and `en` are what the user sees, empty when all is well."""

    family: Family
    name: str
    name_zh: str
    verdict: str
    requests: int
    seconds: float
    state: RateState | None
    calls_a_minute: float | None
    closed_seconds: float
    status: str
    exit_code: int
    zh: str
    en: str


def page(lines: Sequence[Line]) -> str:
    """Return the page of these lines."""
    return "\n".join([*_half(lines, "zh"), "---\n", *_half(lines, "en")])


def _half(lines: Sequence[Line], language: Language) -> list[str]:
    head, columns, well = _HEADS[language]
    text = [head]
    for family, title in _TITLES.items():
        text += [f"## {title[language == 'en']}\n", columns, "|---" * columns.count(" | ") + "|---|"]
        for line in (line for line in lines if line.family == family):
            cells = [
                line.name_zh if language == "zh" else line.name,
                verdict_words(line.verdict, language),
                str(line.requests),
                f"{line.seconds:.0f} s",
                _from_then_on(line, language),
                status_words(line.status, language),
                str(line.exit_code),
                (line.zh if language == "zh" else line.en) or well,
            ]
            text.append("| " + " | ".join(cell.replace("|", "&#124;") for cell in cells) + " |")
        text.append("")
    return text


def _from_then_on(line: Line, language: Language) -> str:
    is_zh = language == "zh"
    said: list[str] = []
    if line.closed_seconds > _LONGEST_WAIT:
        said.append("不再请求，至次日零点" if is_zh else "not asked before midnight")
    elif line.closed_seconds:
        seconds = f"{line.closed_seconds:.0f} s"
        said.append(f"{seconds} 内不请求" if is_zh else f"not asked for {seconds}")
    if line.calls_a_minute is not None:
        calls = f"{line.calls_a_minute:.0f}"
        said.append(f"降至每分钟 {calls} 次" if is_zh else f"slowed to {calls} a minute")
    return ("，" if is_zh else ", ").join(said) or ("不变" if is_zh else "unchanged")
