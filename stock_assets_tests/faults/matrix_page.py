"""The matrix of faults as a page for people: Chinese first, then English. And back: what a page says of each cell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from stock_assets_tests.faults.page import FAULTS, Language, status_words

COMMAND: Final = "python -m stock_assets_tests.faults.matrix"
_OTHERS: Final[dict[str, tuple[str, str]]] = {
    "lost_row": ("缺一行而不报错", "one row is left out without an error"),
    "reset": ("连接被重置", "the connection is reset"),
    "http": ("HTTP 503", "HTTP 503"),
    "html": ("应答是网页", "a web page instead of an answer"),
    "no_json": ("JSON 不完整", "the JSON breaks off"),
    "no_code": ("应答没有 code", "an answer without a code"),
    "null_data": ("data 为 null", "data is null"),
    "null_rows": ("items 为 null", "items is null"),
    "not_a_number": ("数字为 NaN", "NaN for numbers"),
    "minute": ("每分钟次数超限", "too many calls a minute"),
    "hour": ("每小时次数超限", "too many calls an hour"),
    "day": ("当日次数超限", "too many calls a day"),
    "permission": ("没有接口权限", "no permission for the interface"),
    "token": ("token 不对", "the token is wrong"),
    "addresses": ("IP 数量超限", "too many addresses"),
    "parameters": ("缺参数", "a parameter is missing"),
}
_SOURCES: Final = {"baostock": "BaoStock", "tushare": "Tushare"}
_JOURNEYS: Final = {"nightly": ("每晚", "nightly"), "repair": ("补缺", "repair"), "history": ("历史", "history")}
_ZH: Final = f"""# 故障矩阵

本页由 `{COMMAND}` 生成，请勿手改；测试 `stock_assets_tests/faults/test_matrix.py` 每次抽查其中一部分，
`STOCK_ASSETS_TEST_MATRIX=all` 时逐格比对。每个请求遇到故障的细节见[BaoStock](failures.md)、[Tushare](failures-tushare.md)。

模拟数据源的每种故障 × 所请求的每个数据集 × 每晚任务、补缺、历史。故障贯穿整次运行。补缺的起点：存储缺两行、一整天、
一只股票的多天、两天的复权因子、部分指标与一份快照；财务的补缺是上一次每晚任务失败之后的下一次。每一格都验证：

1. 以模拟市场本身为准（不以账本为准），存储称为完整的都完整且数值正确；
2. 运行以应有的状态与退出码结束，没有外来异常；
3. 第二天数据源恢复后，一次 `repair`（空存储：再运行同一历史；财务：下一次每晚任务）使存储与从未出错时逐位相同。

格中：所请求数据集在账本与 `coverage` 中的状态；⇒ 之后是由它而来的指标与快照的状态；括号内是退出码。`—`：该任务不请求它。
`†`：报告事先无从知道有哪些，应答缺少而无迹象时会被采信，直到再次请求（Tushare 次日，BaoStock 一周之后或法定期限）；
历史的应答所缺的旧报告不会自动再问。
"""
_EN: Final = f"""# Matrix of faults

Written by `{COMMAND}`; the test `stock_assets_tests/faults/test_matrix.py` compares a part of it every time, and every cell
with `STOCK_ASSETS_TEST_MATRIX=all`. What each request does under a fault: [BaoStock](failures.md), [Tushare](failures-tushare.md).

Every fault of the simulated sources × every dataset that is asked for × the nightly run, a repair, a history. The fault
lasts as long as the run. A repair begins with a store that lacks two bars, a whole day, many days of one stock, the factors of
two days, some indicators and a snapshot; of reports it is the night after one that failed. In every cell:

1. measured by the simulated market itself, never by our own ledger, what the store calls complete is complete and right;
2. the run ends in the state and with the exit code that it should, and no foreign exception comes out;
3. the next day, on a healthy source, one `repair` (of an empty store: the same history again; of reports: the next night's run)
   makes the store, bit by bit, what it would have been.

A cell has the state of the dataset that was asked for, by ledger and `coverage`; after ⇒ that of indicators and snapshot made of it; in
brackets the exit code. `—`: the run does not ask for it. `†`: which reports there are nobody knows beforehand, so that an
answer that lacks one without a sign is believed until it is asked for again (Tushare the next day, BaoStock after a week or by
the legal deadline); old reports that the answers to a history lacked are not asked for again by themselves.
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One cell: `state` of what was asked for, `made` of what is made of it, both joined by slashes."""

    source: str
    fault: str
    asked: str
    journey: str
    state: str
    made: str
    exit_code: int
    is_met: bool
    is_believed: bool

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Return where it stands."""
        return self.source, self.asked, self.fault, self.journey

    def text(self, language: Language) -> str:
        """Return what stands there."""
        if not self.is_met:
            return "—"
        made = f" ⇒ {status_words(self.made, language)}" if self.made else ""
        return f"{status_words(self.state, language)}{made} ({self.exit_code}){' †' if self.is_believed else ''}"


def page(lines: Sequence[Line]) -> str:
    """Return the page of these cells."""
    return "\n".join([_ZH, *_tables(lines, "zh"), "---\n", _EN, *_tables(lines, "en")])


def cells_of(text: str) -> Mapping[tuple[str, str, str, str], str]:
    """Return what the English half of a page says, by `Line.key`."""
    found: dict[tuple[str, str, str, str], str] = {}
    names = {title: name for name, title in _SOURCES.items()}
    source = asked = ""
    for line in text.partition("\n---\n")[2].splitlines():
        if line.startswith("## "):
            source, _, asked = line[3:].partition(": ")
            asked = asked.strip("`")
        elif line.startswith("| `"):
            fault, *cells = [cell.strip() for cell in line.strip("|").split("|")]
            for journey, cell in zip(_JOURNEYS, cells, strict=True):
                found[names[source], asked, fault.split("`")[1], journey] = cell
    return found


def _tables(lines: Sequence[Line], language: Language) -> list[str]:
    is_en = language == "en"
    cells = {line.key: line.text(language) for line in lines}
    text: list[str] = []
    for source, asked in dict.fromkeys((line.source, line.asked) for line in lines):
        faults = dict.fromkeys(line.fault for line in lines if (line.source, line.asked) == (source, asked))
        heads = [words[is_en] for words in _JOURNEYS.values()]
        text += [
            f"## {_SOURCES[source]}: `{asked}`\n",
            f"| {'fault' if is_en else '故障'} | {' | '.join(heads)} |",
            "|---" * (len(heads) + 1) + "|",
        ]
        for fault in faults:
            told = [cells.get((source, asked, fault, journey), "—") for journey in _JOURNEYS]
            meaning = (_OTHERS.get(fault) or FAULTS[fault])[is_en]
            text.append(f"| `{fault}` {meaning} | {' | '.join(told)} |")
        text.append("")
    return text
