"""Which securities the made-up market has: codes, boards, names, first and last days. Prices are in `paths`."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stock_assets.simulator.randomness import Ints, Randomness

MAIN, CHINEXT, STAR = 0, 1, 2
SESSIONS_IN_YEAR: Final = 243
FIRST_MARKET_DAY: Final = date(1990, 12, 19)
# Fixed, so that a longer calendar changes nothing that went before.
LAST_LISTING_DAY: Final = date(2028, 12, 29)
NEVER: Final = 1 << 40
FRIDAY: Final = 4
_RENAME_DAY: Final = date(2018, 12, 26)
_LEAVERS: Final = 0.05
_SHORTEST_LIFE: Final = timedelta(days=3 * 365)

# prefix, board, share of the stocks, first and last listing day
_FAMILIES: Final = (
    ("sh.600", MAIN, 20, FIRST_MARKET_DAY, date(2004, 12, 31)),
    ("sz.000", MAIN, 10, date(1991, 1, 14), date(2000, 12, 31)),
    ("sz.300", CHINEXT, 15, date(2009, 10, 30), date(2021, 6, 30)),
    ("sh.688", STAR, 10, date(2019, 7, 22), None),
    ("sz.002", MAIN, 17, date(2004, 6, 25), date(2021, 3, 31)),
    ("sh.603", MAIN, 14, date(2014, 1, 27), None),
    ("sz.301", CHINEXT, 5, date(2021, 8, 9), None),
    ("sh.601", MAIN, 4, date(2006, 7, 5), None),
    ("sh.605", MAIN, 2, date(2020, 8, 3), None),
    ("sz.001", MAIN, 2, date(2021, 9, 1), None),
    ("sz.003", MAIN, 1, date(2020, 9, 1), date(2021, 6, 30)),
)
_CODES_IN_FAMILY: Final = 999
_INDICES: Final = (
    ("sh.000001", "上证综合指数", date(1991, 7, 15)),
    ("sh.000300", "沪深300指数", date(2005, 4, 8)),
    ("sz.399001", "深证成份指数", date(1995, 1, 23)),
    ("sz.399006", "创业板指数", date(2010, 6, 1)),
)
_PLACES: Final = "云岭江岳泽川泉湖溪岚峰原野林松柏桐桂兰荷星辰"
_MIDDLES: Final = "瑞泰和安盛昌隆远达宏信诚德仁嘉祥丰裕兴旺腾飞"
_TRADES: Final = (
    "股份", "科技", "药业", "机电", "电子", "化工", "能源", "建材", "食品", "纺织", "港务", "钢铁",
    "银行", "证券", "地产", "传媒", "通信", "精工", "新材", "环保", "航运", "农业", "酒业", "汽车",
)  # fmt: skip

_LISTED, _LEAVES_LATE, _NAME, _LEAVES = 11, 12, 13, 14


@dataclass(frozen=True, slots=True)
class Listing:
    """All securities, ordered by code: one array element each, days as indices into the market's sessions.

    `listed` is negative for a security that is older than the first session; `listed_on` says the day. `owner`
    addresses the random numbers; the two codes of a renamed security share it. Bars exist from `bars_from` (included)
    to `bars_until` (excluded).
    """

    codes: tuple[str, ...]
    names: tuple[str, ...]
    listed_on: tuple[date, ...]
    owner: Ints
    board: Ints
    is_index: Ints
    listed: Ints
    bars_from: Ints
    bars_until: Ints


@dataclass(slots=True)
class _Security:
    """One row of the listing while it is made; fields as in `Listing`."""

    code: str
    name: str
    owner: int
    board: int
    listed_on: date
    listed: int
    bars_from: int
    bars_until: int = NEVER
    is_index: bool = False


def make_listing(random: Randomness, stocks: int, sessions: Sequence[date]) -> Listing:
    """Return `stocks` stocks and a few indices; listing days are spread from 1990 to `LAST_LISTING_DAY`.

    Raises `ValueError` for more stocks than there are codes.
    """
    found = _stocks(random, stocks, sessions)
    _rename_one(found, sessions)
    for code, name, opened in _INDICES:
        first = session_index(sessions, opened)
        found.append(_Security(code, name, len(found), MAIN, opened, first, first, is_index=True))
    found.sort(key=lambda security: security.code)
    return Listing(
        codes=tuple(security.code for security in found),
        names=tuple(security.name for security in found),
        listed_on=tuple(security.listed_on for security in found),
        owner=_array(security.owner for security in found),
        board=_array(security.board for security in found),
        is_index=_array(security.is_index for security in found),
        listed=_array(security.listed for security in found),
        bars_from=_array(security.bars_from for security in found),
        bars_until=_array(security.bars_until for security in found),
    )


def session_index(sessions: Sequence[date], day: date) -> int:
    """Return the index of the first session on or after `day`; the number of sessions if there is none.

    Days before the first session get negative indices: about -243 for each year before it.
    """
    if day < sessions[0]:
        return -((sessions[0] - day).days * SESSIONS_IN_YEAR // 365) - 1
    return bisect_left(sessions, day)


def _stocks(random: Randomness, count: int, sessions: Sequence[date]) -> list[_Security]:
    stocks: list[_Security] = []
    for number, (size, family) in enumerate(zip(_family_sizes(count), _FAMILIES, strict=True)):
        prefix, board, _, opened, closed = family
        room = (closed or LAST_LISTING_DAY) - opened
        # The oldest numbers of a family are its oldest companies.
        for code, place in zip(
            _family_codes(random, prefix, size, number),
            np.sort(random.uniform(_LISTED, np.arange(size), number)).tolist(),
            strict=True,
        ):
            listed_on = _first_weekday(opened + timedelta(days=int(room.days * place)))
            first = session_index(sessions, listed_on)
            if 0 <= first < len(sessions):
                listed_on = sessions[first]
            stocks.append(_Security(code, "", len(stocks), board, listed_on, first, first))
    places = np.arange(len(stocks))
    leaves = random.uniform(_LEAVES, places).tolist()
    leaves_late = random.uniform(_LEAVES_LATE, places).tolist()
    names = _made_up_names(random, len(stocks))
    for stock, name, chance, late in zip(stocks, names, leaves, leaves_late, strict=True):
        stock.name = name
        room = LAST_LISTING_DAY - stock.listed_on - _SHORTEST_LIFE
        # The first stock is everybody's example and stays.
        if stock.owner > 0 and chance < _LEAVERS and room > timedelta(0):
            last_day = stock.listed_on + _SHORTEST_LIFE + room * late
            stock.bars_until = max(session_index(sessions, last_day), 0)
    return stocks


def _first_weekday(day: date) -> date:
    """Return the day itself or the Monday after it."""
    return day + timedelta(days=7 - day.weekday() if day.weekday() > FRIDAY else 0)


def _family_sizes(stocks: int) -> list[int]:
    """Share out the stocks; a family has at most 999 codes, what does not fit goes to the next one with room."""
    total = sum(family[2] for family in _FAMILIES)
    sizes = [min(stocks * family[2] // total, _CODES_IN_FAMILY) for family in _FAMILIES]
    if stocks > _CODES_IN_FAMILY * len(sizes):
        msg = f"{stocks} stocks are more than the codes hold: at most {_CODES_IN_FAMILY * len(sizes)}"
        raise ValueError(msg)
    while (left := stocks - sum(sizes)) > 0:
        for number, size in enumerate(sizes):
            more = min(left, _CODES_IN_FAMILY - size, 1 + left // len(sizes))
            sizes[number] += more
            left -= more
    return sizes


def _family_codes(random: Randomness, prefix: str, size: int, number: int) -> list[str]:
    """Return the codes of one family in order; the first one is always there, so that examples find it."""
    first = 1 if prefix in {"sz.000", "sz.002", "sz.300", "sz.301", "sh.605", "sh.688", "sz.001", "sz.003"} else 0
    numbers = np.arange(first + 1, first + _CODES_IN_FAMILY)
    chosen = numbers[np.argsort(random.uniform(_NAME, numbers, number), kind="stable")][: max(size - 1, 0)]
    return [f"{prefix}{value:03d}" for value in sorted([first, *chosen.tolist()][:size])]


def _rename_one(stocks: list[_Security], sessions: Sequence[date]) -> None:
    """Let one Shenzhen code go on under a new code: the row of another stock becomes its second half."""
    old = next((stock for stock in stocks if stock.code.startswith("sz.000") and stock.code != "sz.000001"), None)
    new = next((stock for stock in stocks if stock.code.startswith("sz.001")), None)
    if old is None or new is None:
        return
    # Also a market that begins late shall see the change.
    change = session_index(sessions, max(_RENAME_DAY, sessions[0] + timedelta(days=120)))
    old.bars_until = new.bars_from = change
    new.owner, new.listed_on, new.listed, new.bars_until = old.owner, old.listed_on, old.listed, NEVER
    new.name = old.name[:2] + "港口"


def _made_up_names(random: Randomness, count: int) -> list[str]:
    places = np.arange(count)
    picks = [
        (random.uniform(_NAME, places, 100 + part) * len(words)).astype(int).tolist()
        for part, words in enumerate((_PLACES, _MIDDLES, _TRADES))
    ]
    return [_PLACES[a] + _MIDDLES[b] + _TRADES[c] for a, b, c in zip(*picks, strict=True)]


def _array(values: Iterable[int]) -> Ints:
    return np.fromiter(values, dtype=np.int64)
