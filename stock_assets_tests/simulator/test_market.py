import random
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stock_assets.simulator.base import BAR_FIELDS
from stock_assets.simulator.market import SimulatedMarket, weekdays

FIRST, LAST = date(1990, 12, 19), date(2024, 12, 20)
FOREVER = date(2030, 1, 1)

type_of = {"sh.688": "star", "sz.300": "chinext", "sz.301": "chinext"}


def bars_of(market: SimulatedMarket, code: str, adjust: str = "3") -> list[dict[str, str]]:
    assert adjust in {"1", "2", "3"}
    rows = market.stock_bars(code, adjust, FIRST, FOREVER, FOREVER)  # pyright: ignore[reportArgumentType]
    return [dict(zip(BAR_FIELDS, row, strict=True)) for row in rows]


def stocks_of(market: SimulatedMarket) -> dict[str, list[str]]:
    return {row[0]: row for row in market.stock_basic(LAST) if row[4] == "1"}


@pytest.fixture(scope="module")
def lives(market: SimulatedMarket) -> dict[str, list[dict[str, str]]]:
    """The whole lives of one stock in ten, of three special ones (ST) and of the renamed pair."""
    codes = sorted(stocks_of(market))
    days = (date(2010 + year, 6, 1) for year in range(14))
    special = {row[0] for day in days for row in market.all_stock(day) if row[2].startswith("ST")}
    return {code: bars_of(market, code) for code in [*codes[::10], *sorted(special)[:3], *renamed(market)]}


def renamed(market: SimulatedMarket) -> tuple[str, str]:
    """Return the code that ended and the code that went on."""
    first_days: dict[str, list[str]] = {}
    for code, row in stocks_of(market).items():
        if code.startswith(("sz.000", "sz.001")):
            first_days.setdefault(row[2], []).append(code)
    pairs = [codes for codes in first_days.values() if len(codes) == 2 and codes[1].startswith("sz.001")]
    assert len(pairs) == 1
    return pairs[0][0], pairs[0][1]


def limit_percent(code: str, day: str, age: int, listed: str, *, is_st: bool) -> int | None:
    """The exchanges' rules, written a second time: the limit in percent, None for none."""
    board = type_of.get(code[:6], "main")
    if day < "1996-12-16":
        return None
    reform = {"star": "2019-07-22", "chinext": "2020-08-24", "main": "2023-04-10"}[board]
    if listed >= reform and age < 5:
        return None
    if age == 0:
        return 44 if listed >= "2014-01-01" else None
    if board == "star" or (board == "chinext" and day >= "2020-08-24"):
        return 20
    return 5 if is_st else 10


def test_the_same_seed_answers_the_same_in_any_order(sessions: list[date]) -> None:
    one, other = (SimulatedMarket(5, 25, sessions=sessions) for _ in range(2))
    days = random.Random(1).sample(sessions, 25)  # noqa: S311  a fixed choice
    first = {day: one.daily_bars(day) for day in days}
    lives = {code: other.stock_bars(code, "3", FIRST, FOREVER, FOREVER) for code in reversed(other.codes)}
    assert {day: other.daily_bars(day) for day in reversed(days)} == first
    by_day_and_code = {(row[0], row[1]): row for rows in lives.values() for row in rows}
    for day in days:
        assert [by_day_and_code[row[0], row[1]] for row in first[day]] == list(first[day])


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**64), start=st.integers(6000, 8000), length=st.integers(1, 300), stock=st.integers(0, 19))
def test_a_part_of_a_life_is_cut_from_the_whole(seed: int, start: int, length: int, stock: int) -> None:
    sessions = weekdays(FIRST, LAST)
    market = SimulatedMarket(seed, 20, sessions=sessions)
    code = market.codes[stock]
    first, last = sessions[start], sessions[min(start + length, len(sessions) - 1)]
    whole = market.stock_bars(code, "1", FIRST, FOREVER, FOREVER)
    expected = [row for row in whole if first.isoformat() <= row[0] <= last.isoformat()]
    assert list(market.stock_bars(code, "1", first, last, FOREVER)) == expected


def test_another_seed_is_another_market(sessions: list[date]) -> None:
    one, other = (SimulatedMarket(seed, 60, sessions=sessions) for seed in (1, 2))
    assert one.daily_bars(LAST) != other.daily_bars(LAST)


def test_more_sessions_change_nothing_that_went_before(sessions: list[date]) -> None:
    short, long = (SimulatedMarket(5, 60, sessions=part) for part in (sessions[:-400], sessions))
    for day in sessions[100:-400:300]:
        assert short.daily_bars(day) == long.daily_bars(day)
        assert short.stock_basic(day) == long.stock_basic(day)
        assert short.daily_adjust_factors(day, day) == long.daily_adjust_factors(day, day)


def test_prices_lie_in_order_and_on_ticks(lives: dict[str, list[dict[str, str]]]) -> None:
    for bar in (bar for life in lives.values() for bar in life):
        prices = [bar[name] for name in ("open", "high", "low", "close", "preclose")]
        assert all(price.endswith("00") and len(price.split(".")[1]) == 4 for price in prices), bar
        opened, high, low, close, _ = map(float, prices)
        assert 0 < low <= min(opened, close) <= max(opened, close) <= high, bar


def test_no_price_breaks_the_limit_of_its_board_and_day(
    market: SimulatedMarket, lives: dict[str, list[dict[str, str]]]
) -> None:
    at_limit = Counter[int]()
    new_code = renamed(market)[1]
    for code, life in lives.items():
        listed = stocks_of(market)[code][2]
        for age, bar in enumerate(life):
            age_here = 99 if code == new_code or life[0]["date"] != listed else age
            percent = limit_percent(code, bar["date"], age_here, listed, is_st=bar["isST"] == "1")
            if percent is None:
                continue
            cents = [round(Decimal(bar[name]) * 100) for name in ("preclose", "high", "low", "close")]
            down = 36 if percent == 44 else percent
            top, bottom = (cents[0] * (100 + percent) + 50) // 100, (cents[0] * (100 - down) + 50) // 100
            assert bottom <= min(cents[1:]) <= max(cents[1:]) <= top, (code, bar, percent)
            at_limit[percent] += cents[3] in {top, bottom}
    assert {5, 10, 20, 44} <= {percent for percent, count in at_limit.items() if count}


def test_pre_close_is_the_last_close_except_on_ex_dates(
    market: SimulatedMarket, lives: dict[str, list[dict[str, str]]]
) -> None:
    seen = 0
    for code, life in lives.items():
        ex_dates = {row[1] for row in market.adjust_factors(code, FOREVER)}
        for before, bar in pairwise(life):
            if bar["date"] in ex_dates:
                assert float(bar["preclose"]) < float(before["close"])
                assert bar["tradestatus"] == "1"
                seen += 1
            else:
                assert bar["preclose"] == before["close"], bar
    assert seen > 150


def test_factors_follow_from_close_and_pre_close(
    market: SimulatedMarket, lives: dict[str, list[dict[str, str]]]
) -> None:
    for code, life in lives.items():
        factor = 1.0
        rows = market.adjust_factors(code, FOREVER)
        place = {bar["date"]: number for number, bar in enumerate(life)}
        for row in rows:
            number = place[row[1]]
            factor *= float(life[number - 1]["close"]) / float(life[number]["preclose"])
            assert float(row[3]) == pytest.approx(factor, abs=6e-7)
            assert row[3] == row[4]
            assert float(row[2]) == pytest.approx(factor / float(rows[-1][3]), abs=1e-6)
        if rows:
            assert rows[-1][2] == "1.000000"


def test_adjusted_prices_are_price_times_factor_to_the_last_decimal(market: SimulatedMarket) -> None:
    plain = {bar["date"]: bar for bar in bars_of(market, "sh.600000")}
    factors = market.adjust_factors("sh.600000", FOREVER)
    for adjust, column in (("1", 3), ("2", 2)):
        for bar in bars_of(market, "sh.600000", adjust):
            known = [row for row in factors if row[1] <= bar["date"]]
            if known:
                for name in ("open", "high", "low", "close", "preclose"):
                    assert Decimal(bar[name]) == Decimal(plain[bar["date"]][name]) * Decimal(known[-1][column])
                    assert len(bar[name].split(".")[1]) == 10
            assert bar["volume"] == plain[bar["date"]]["volume"]


def test_the_factors_of_a_day_are_the_factors_of_its_codes(market: SimulatedMarket, sessions: list[date]) -> None:
    found = [row for day in sessions[-180:] for row in market.daily_adjust_factors(day, LAST)]
    expected = [
        row
        for code in market.codes
        for row in market.adjust_factors(code, LAST)
        if row[1] >= sessions[-180].isoformat()
    ]
    assert sorted(found) == sorted(expected)
    assert len(found) > 30


def test_a_suspended_day_repeats_the_last_close_and_has_no_trade(lives: dict[str, list[dict[str, str]]]) -> None:
    texts: dict[bool, set[tuple[str, ...]]] = {False: set(), True: set()}
    for life in lives.values():
        for before, bar in pairwise(life):
            if bar["tradestatus"] == "0":
                assert {bar[name] for name in ("open", "high", "low", "close", "preclose")} == {before["close"]}
                texts[bar["date"] > "2021-10-26"].add(
                    tuple(bar[name] for name in ("volume", "amount", "turn", "pctChg"))
                )
            else:
                assert int(bar["volume"]) > 0
    assert texts == {False: {("0", "0.0000", "", "0.000000")}, True: {("", "", "", "")}}


def test_suspended_rows_lose_their_zeros_after_2021_10_26(sessions: list[date]) -> None:
    market = SimulatedMarket(5, 2000, sessions=sessions)
    for day, volume in ((date(2021, 10, 26), "0"), (date(2021, 10, 27), "")):
        suspended = [row for row in market.daily_bars(day) if row[11] == "0"]
        assert {row[7] for row in suspended} == {volume}


def test_amount_turn_and_change_agree_with_price_and_volume(lives: dict[str, list[dict[str, str]]]) -> None:
    for life in lives.values():
        shares: set[int] = set()
        for bar in (bar for bar in life if bar["tradestatus"] == "1"):
            volume, amount = int(bar["volume"]), float(bar["amount"])
            assert float(bar["low"]) * volume - 0.01 <= amount <= float(bar["high"]) * volume + 0.01, bar
            assert float(bar["pctChg"]) == pytest.approx(
                (float(bar["close"]) / float(bar["preclose"]) - 1) * 100, abs=1e-6
            )
            if volume > 10**6:
                shares.add(round(volume / float(bar["turn"]) * 100 / 1e6))
        assert max(shares) - min(shares) <= 1 + 1e-5 * max(shares)


def test_no_bar_lies_outside_the_listing(market: SimulatedMarket, sessions: list[date]) -> None:
    delisted = 0
    new_code = renamed(market)[1]
    stocks = stocks_of(market)
    left = [code for code, row in stocks.items() if row[3]]
    for code in {*left, *sorted(stocks)[::15], new_code}:
        row = stocks[code]
        days = [bar[0] for bar in market.stock_bars(code, "3", FIRST, FOREVER, FOREVER)]
        expected = [day.isoformat() for day in sessions if row[2] <= day.isoformat() < (row[3] or "9")]
        if code == new_code:
            expected = [day for day in expected if day >= days[0]]
        assert days == expected, code
        assert (row[5] == "0") == bool(row[3])
        delisted += bool(row[3])
    assert delisted >= 5


def test_a_renamed_stock_goes_on_under_its_new_code(market: SimulatedMarket) -> None:
    old, new = renamed(market)
    basic = stocks_of(market)
    before, after = bars_of(market, old), bars_of(market, new)
    assert basic[old][3] == after[0]["date"] > before[-1]["date"]
    assert after[0]["preclose"] == before[-1]["close"]
    assert basic[new][5] == "1"


def test_a_market_day_is_what_the_lists_say(market: SimulatedMarket, sessions: list[date]) -> None:
    for day in sessions[::700]:
        listed = {row[0]: row[1] for row in market.all_stock(day)}
        bars = market.daily_bars(day)
        codes = [row[1] for row in bars]
        indices = {row[0] for row in market.stock_basic(day) if row[4] == "2"}
        assert codes == sorted(codes)
        assert set(codes) == set(listed) - indices
        assert all(listed[row[1]] == row[11] for row in bars)
        assert not indices & set(codes)


def test_listing_days_are_spread_from_1990_to_now(market: SimulatedMarket) -> None:
    years = Counter(row[2][:4] for row in stocks_of(market).values())
    assert min(years) == "1990"
    assert years[str(LAST.year)] > 0
    assert len(years) >= 30
    assert {code[:6] for code in stocks_of(market)} >= {
        "sh.600",
        "sh.601",
        "sh.603",
        "sz.000",
        "sz.002",
        "sz.300",
        "sh.688",
    }


def test_what_is_not_known_yet_is_not_told(market: SimulatedMarket) -> None:
    early = date(2005, 6, 30)
    rows = market.stock_basic(early)
    assert all(row[2] <= early.isoformat() for row in rows)
    assert all(not row[3] or row[3] <= early.isoformat() for row in rows)
    factors = market.adjust_factors("sh.600000", early)
    assert factors[-1][2] == "1.000000"
    assert factors[-1][1] <= early.isoformat()
    assert market.stock_bars("sh.600000", "3", FIRST, LAST, early)[-1][0] <= early.isoformat()


def test_a_day_without_trading_and_an_unknown_code_have_no_rows(market: SimulatedMarket) -> None:
    sunday = LAST + timedelta(days=2)
    assert not market.daily_bars(sunday)
    assert not market.all_stock(sunday)
    assert not market.stock_bars("sh.999999", "3", FIRST, LAST, LAST)


def test_a_market_that_begins_late_has_older_stocks_from_its_first_session() -> None:
    sessions = weekdays(date(2022, 3, 1), date(2022, 12, 30))
    market = SimulatedMarket(3, 100, sessions=sessions)
    older = [row for row in market.stock_basic(sessions[0]) if row[4] == "1" and row[2] < "2022" and not row[3]]
    assert len(older) > 50
    for row in older:
        bars = market.stock_bars(row[0], "3", FIRST, FOREVER, FOREVER)
        assert bars[0][0] == "2022-03-01"
        assert abs(float(bars[0][12] or 0)) <= 20.1


@pytest.mark.parametrize("first", [date(2023, 1, 2), date(2025, 1, 2)])
def test_a_market_that_begins_late_has_factors_of_ex_dates_only_in_their_order(first: date) -> None:
    sessions = weekdays(first, date(2025, 12, 31))
    market = SimulatedMarket(11, 60, sessions=sessions)
    every = market.every_adjust_factor(FOREVER)
    assert every == sorted(every)
    assert sorted(every) == sorted(row for day in sessions for row in market.daily_adjust_factors(day, FOREVER))
    assert len(every) > 30


def test_more_stocks_than_codes_are_refused(sessions: list[date]) -> None:
    with pytest.raises(ValueError, match="more than the codes hold"):
        SimulatedMarket(1, 20_000, sessions=sessions)
