from datetime import date

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from stock_assets.domain.frame_digest import digest_of

VALUES = {
    "text": (st.text(max_size=4), pl.String()),
    "number": (st.floats(allow_nan=False, allow_infinity=False), pl.Float64()),
    "count": (st.integers(-(2**40), 2**40), pl.Int64()),
    "flag": (st.booleans(), pl.Boolean()),
    "day": (st.dates(date(1990, 1, 1), date(2030, 1, 1)), pl.Date()),
}
SCHEMA = {name: dtype for name, (_, dtype) in VALUES.items()}
ROW = st.fixed_dictionaries({name: st.none() | values for name, (values, _) in VALUES.items()})
ROWS = st.lists(ROW, max_size=5)


def frame_of(rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def said(rows: list[dict[str, object]]) -> list[list[object]]:
    # -0.0 == 0.0, and so it is for the digest.
    return [[row[name] for name in SCHEMA] for row in rows]


@given(ROWS, ROWS)
def test_two_frames_have_one_digest_exactly_when_they_say_the_same(
    one: list[dict[str, object]], other: list[dict[str, object]]
) -> None:
    is_same = said(one) == said(other)
    assert (digest_of(frame_of(one)) == digest_of(frame_of(other))) == is_same


@given(ROWS, st.integers(0, 5))
def test_how_a_frame_lies_in_memory_does_not_count(rows: list[dict[str, object]], cut: int) -> None:
    whole = frame_of(rows)
    pieces = pl.concat([whole[:cut], whole[cut:]], rechunk=False)
    assert digest_of(pieces) == digest_of(whole)


def test_what_is_under_a_null_does_not_count() -> None:
    values = pl.DataFrame({"a": [1.0, 2.0, 3.0], "keep": [True, False, True]})
    masked = values.select(pl.when("keep").then("a"))
    assert digest_of(masked) == digest_of(pl.DataFrame({"a": [1.0, None, 3.0]}))


def test_a_column_is_known_by_name_and_type() -> None:
    count = pl.DataFrame({"a": [1, 2]})
    assert digest_of(count) != digest_of(count.rename({"a": "b"}))
    assert digest_of(count) != digest_of(count.cast(pl.Int32))
