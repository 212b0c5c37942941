"""The law of the ledger's finance lines, against the same law told stock by stock."""

from datetime import date, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from stock_assets.quality.finance_days import STOCK_SCHEMA, stocks_unknown_on, unknown_stocks

FIRST = date(2024, 1, 1)
offsets = st.integers(0, 40)


@st.composite
def stocks(draw: st.DrawFn) -> dict[str, object]:
    """Return one stock: listed, perhaps delisted, perhaps asked for."""
    listed, first, through = (FIRST + timedelta(draw(offsets)) for _ in range(3))
    is_asked = draw(st.booleans())
    return {
        "list_date": listed,
        "delist_date": draw(st.none() | offsets.map(lambda days: listed + timedelta(days))),
        "first_period": min(first, through) if is_asked else None,
        "known_through": max(first, through) if is_asked else None,
    }


def frame(rows: list[dict[str, object]]) -> pl.DataFrame:
    named = [{"ts_code": f"{place:06d}.SZ", "fetched_at": None, **row} for place, row in enumerate(rows)]
    return pl.DataFrame(named, schema=STOCK_SCHEMA)


def is_unknown(row: dict[str, object], day: date) -> bool:
    listed, left, first, through = row["list_date"], row["delist_date"], row["first_period"], row["known_through"]
    assert isinstance(listed, date)
    if day < listed or (isinstance(left, date) and day >= left):
        return False
    return not (isinstance(first, date) and isinstance(through, date) and first <= day <= through)


@given(st.lists(stocks(), max_size=6))
def test_a_day_is_whole_when_every_stock_listed_on_it_is_known_on_it(rows: list[dict[str, object]]) -> None:
    days = [FIRST + timedelta(offset) for offset in range(45)]
    wanted = [[place for place, row in enumerate(rows) if is_unknown(row, day)] for day in days]
    assert unknown_stocks(frame(rows), days) == [len(unknown) for unknown in wanted]
    for day, unknown in zip(days, wanted, strict=True):
        assert stocks_unknown_on(frame(rows), day) == [f"{place:06d}.SZ" for place in unknown]


def test_a_market_without_stocks_has_nothing_to_know() -> None:
    assert unknown_stocks(frame([]), [FIRST]) == [0]
