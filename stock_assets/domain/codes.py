"""Security codes: every common spelling in, `600000.SH` out.

Which exchange a number belongs to follows from the exchanges' numbering rules; a wrong pair such as `920748.SH` is
refused with the right one named. Ranges: SSE 600/601/603/605 main board, 688/689 STAR, 900 B shares; SZSE 000-004 main
board, 200 B shares, 300-309 ChiNext; BSE 43/82/83/87/88 (until 2024) and 920.
"""

import re
from typing import Literal

from stock_assets.domain.errors import InvalidInput

Exchange = Literal["SH", "SZ", "BJ"]
Board = Literal["main", "chinext", "star", "bse", "b_share"]
EXCHANGES: frozenset[Exchange] = frozenset({"SH", "SZ", "BJ"})

_EXCHANGES: dict[str, Exchange] = {
    "SH": "SH",
    "SSE": "SH",
    "XSHG": "SH",
    "SS": "SH",
    "SZ": "SZ",
    "SZSE": "SZ",
    "XSHE": "SZ",
    "BJ": "BJ",
    "BSE": "BJ",
    "XBSE": "BJ",
    "XBEI": "BJ",
}
_BOARDS: tuple[tuple[str, Exchange, Board], ...] = (
    ("688", "SH", "star"),
    ("689", "SH", "star"),
    ("900", "SH", "b_share"),
    ("600", "SH", "main"),
    ("601", "SH", "main"),
    ("603", "SH", "main"),
    ("605", "SH", "main"),
    ("200", "SZ", "b_share"),
    ("201", "SZ", "b_share"),
    ("30", "SZ", "chinext"),
    ("000", "SZ", "main"),
    ("001", "SZ", "main"),
    ("002", "SZ", "main"),
    ("003", "SZ", "main"),
    ("004", "SZ", "main"),
    ("920", "BJ", "bse"),
    ("43", "BJ", "bse"),
    ("82", "BJ", "bse"),
    ("83", "BJ", "bse"),
    ("87", "BJ", "bse"),
    ("88", "BJ", "bse"),
)
_SPELLING = re.compile(r"(?:(?P<before>[A-Za-z]{2,4})\.?)?(?P<number>\d{6})(?:\.?(?P<after>[A-Za-z]{2,4}))?", re.ASCII)


def parse_code(text: str) -> str:
    """Return `text` as a `ts_code` such as `600000.SH`.

    Accepted: `600000.SH`, `sh.600000`, `SH600000`, `600000`, `600000.XSHG`, in any case.

    Errors: `InvalidInput` names what to write instead.
    """
    match = _SPELLING.fullmatch(text.strip())
    if match is None or (match["before"] and match["after"]):
        raise InvalidInput(
            problem=f"'{text}' is not a security code; write it like 600000.SH",
            problem_zh=f"“{text}”不是证券代码，请写成 600000.SH 的形式",
        )
    number = match["number"]
    place = exchange_of(number)
    if place is None:
        raise InvalidInput(
            problem=f"no A-share exchange uses numbers like {number}", problem_zh=f"没有交易所使用 {number} 这样的代码"
        )
    named = match["before"] or match["after"]
    if named is not None and _EXCHANGES.get(named.upper()) != place:
        raise InvalidInput(
            problem=f"'{text}' pairs a number with the wrong exchange; did you mean {number}.{place}?",
            problem_zh=f"“{text}”的代码与交易所不匹配，您要的是 {number}.{place} 吗？",
        )
    return f"{number}.{place}"


def exchange_of(number: str) -> Exchange | None:
    """Return the exchange that owns a six-digit stock number, or None."""
    return next((exchange for prefix, exchange, _ in _BOARDS if number.startswith(prefix)), None)


def board_of(ts_code: str) -> Board:
    """Return the board of a stock by its number; the exchange part must fit.

    Errors: `InvalidInput` when no board has such a code.
    """
    number, _, exchange = ts_code.partition(".")
    for prefix, owner, board in _BOARDS:
        if number.startswith(prefix) and owner == exchange:
            return board
    raise InvalidInput(problem=f"{ts_code} is on no A-share board", problem_zh=f"{ts_code} 不属于任何 A 股板块")


def is_stock_code(ts_code: str) -> bool:
    """Return whether `ts_code` is a stock of one of the three exchanges (no index, fund or bond)."""
    number, _, exchange = ts_code.partition(".")
    return any(number.startswith(prefix) and owner == exchange for prefix, owner, _ in _BOARDS)
