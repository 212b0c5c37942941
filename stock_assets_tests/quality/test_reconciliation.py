"""Two sources compared: each planted difference gets its class, either way round."""

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.exceptions import ComputeError
from polars.testing import assert_frame_equal

from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.quality.reconciliation import COMPARED, DIFFERENCES, KINDS, Reconciliation, reconcile

DAY = date(2024, 6, 20)
BAR: dict[str, Any] = {
    "ts_code": "600000.SH",
    "trade_date": DAY,
    "open": 8.31,
    "high": 8.40,
    "low": 8.28,
    "close": 8.35,
    "pre_close": 8.30,
    "volume": 51_629_079,
    "amount": 431_102_812.0,
    "pct_chg": 0.6024,
    "is_suspended": False,
}
HALTED: dict[str, Any] = BAR | {
    "open": 8.30, "high": 8.30, "low": 8.30, "close": 8.30, "volume": None, "amount": None, "pct_chg": None,
    "is_suspended": True,
}  # fmt: skip
SCHEMA = {name: dtype for name, dtype in STOCK_DAILY.schema.items() if name in BAR}


def bars(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=SCHEMA, orient="row")


def factors(*levels: tuple[int, float], ts_code: str = "600000.SH") -> pl.DataFrame:
    """Factors as (days after DAY, level)."""
    schema = {name: ADJUST_FACTOR.schema[name] for name in ("ts_code", "ex_date", "back_adjust_factor")}
    rows = [(ts_code, DAY + timedelta(days=after), level) for after, level in levels]
    return pl.DataFrame(rows, schema=schema, orient="row")


def kinds(result: Reconciliation) -> dict[str, str]:
    """The class by column, for one stock-day."""
    assert result.differences.select("ts_code", "trade_date", "column").is_duplicated().sum() == 0
    return dict(result.differences.select("column", "kind").iter_rows())


def compared(one: dict[str, Any], two: dict[str, Any]) -> dict[str, str]:
    """The classes of two bars, the same either way round."""
    found = kinds(reconcile(bars(one), bars(two)))
    assert found == kinds(reconcile(bars(two), bars(one)))
    return found


def test_equal_bars_have_no_difference() -> None:
    result = reconcile(bars(BAR), bars(BAR))
    assert result.differences.is_empty()
    assert result.differences.schema == DIFFERENCES
    assert (result.is_passed, result.compared, result.counts) == (True, 1, {})


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        ("close", 8.354, "rounding"),
        ("close", 8.36, "real"),
        ("close", 83.5, "unit"),
        ("pre_close", 8.305, "rounding"),
        ("pre_close", None, "real"),
        ("volume", 51_629_079 - 79, "rounding"),
        ("volume", 51_629_079 - 100, "rounding"),
        ("volume", 51_629_079 - 101, "real"),
        ("volume", 516_290, "unit"),
        ("volume", None, "real"),
        ("volume", 0, "real"),
        ("amount", 431_103_000.0, "rounding"),
        ("amount", 431_103_812.0, "rounding"),
        ("amount", 431_103_813.0, "real"),
        ("amount", 431_102.812, "unit"),
        ("amount", 431_102_812.00000006, None),
        ("pct_chg", 0.60, "rounding"),
        ("pct_chg", 0.62, "real"),
        ("pct_chg", 60.24, "unit"),
        ("pct_chg", -0.6024, "real"),
        ("pct_chg", -60.24, "real"),
        ("pct_chg", None, "real"),
        ("is_suspended", True, "real"),
    ],
)
def test_a_value_that_differs_gets_its_class(column: str, value: object, kind: str | None) -> None:
    assert compared(BAR, BAR | {column: value}) == ({column: kind} if kind else {})


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"volume": 0, "amount": 0.0, "pct_chg": 0.0},
         {"volume": "suspension", "amount": "suspension", "pct_chg": "suspension"}),
        ({"open": None, "high": None, "low": None}, {"open": "suspension", "high": "suspension", "low": "suspension"}),
        ({"is_suspended": False}, {"is_suspended": "suspension"}),
        ({"close": 8.20}, {"close": "real"}),
        ({"volume": 900}, {"volume": "real"}),
        ({"volume": 900, "is_suspended": False}, {"volume": "real", "is_suspended": "real"}),
        ({"amount": 900.0}, {"amount": "real"}),
        ({"pct_chg": 1.5}, {"pct_chg": "real"}),
    ],
)  # fmt: skip
def test_a_halted_day_may_be_told_in_more_ways_than_one(other: dict[str, Any], expected: dict[str, str]) -> None:
    assert compared(HALTED, HALTED | other) == expected


def test_a_halted_day_may_be_left_out_and_a_traded_one_may_not() -> None:
    for row, kind, flag in (
        (HALTED, "suspension", True),
        (BAR, "real", False),
        (BAR | {"is_suspended": True}, "real", False),
    ):
        for one, two in ((bars(row), bars()), (bars(), bars(row))):
            result = reconcile(one, two)
            assert kinds(result) == {"row": kind}
            assert result.is_passed is flag
            assert result.compared == 0


def test_an_exchange_that_only_one_source_covers_is_left_out_by_name() -> None:
    beijing = BAR | {"ts_code": "920002.BJ"}
    assert kinds(reconcile(bars(BAR, beijing), bars(BAR))) == {"row": "real"}
    result = reconcile(bars(BAR, beijing), bars(BAR), exchanges=("SH", "SZ"))
    assert (result.differences.height, result.left_out, result.compared) == (0, 1, 1)


def test_a_key_that_comes_twice_is_refused() -> None:
    with pytest.raises(ComputeError):
        reconcile(bars(BAR, BAR), bars(BAR))


def test_factors_on_another_base_pass() -> None:
    one, two = factors((0, 2.0), (9, 2.1), (30, 2.31)), factors((0, 4.68), (9, 4.914), (30, 5.4054))
    result = reconcile(bars(), bars(), (one, two))
    assert result.counts == {"factor": {"back_adjust_factor": 3}}
    assert (result.is_passed, result.compared) == (True, 3)


def test_the_wrong_step_alone_is_real() -> None:
    one, two = factors((0, 2.0), (9, 2.1), (30, 2.31)), factors((0, 4.0), (9, 4.4), (30, 4.84))
    found = reconcile(bars(), bars(), (one, two)).differences.sort("trade_date")
    assert found["kind"].to_list() == ["factor", "real", "factor"]
    assert not reconcile(bars(), bars(), (two, one)).is_passed


def test_an_ex_date_that_one_source_lacks_is_real_and_a_restated_fourth_decimal_is_not() -> None:
    told = factors((0, 1.0252), (39, 1.0376))
    lacking, restated = factors((0, 1.0252)), factors((0, 1.0252), (5, 1.025), (39, 1.0376))
    for one, two in ((told, lacking), (lacking, told)):
        assert reconcile(bars(), bars(), (one, two)).differences["kind"].to_list() == ["real"]
    for one, two in ((told, restated), (restated, told)):
        found = reconcile(bars(), bars(), (one, two))
        assert found.differences["kind"].to_list() == ["rounding"]
        assert found.is_passed


def test_a_first_ex_date_that_one_source_lacks_is_real() -> None:
    one, two = factors((0, 1.1), (9, 1.21)), factors((9, 1.21))
    found = reconcile(bars(), bars(), (one, two)).differences
    assert found.select("trade_date", "kind").rows() == [(DAY, "real")]


def test_factors_of_one_stock_say_nothing_of_the_next() -> None:
    one = pl.concat([factors((0, 2.0), (9, 2.2)), factors((0, 9.0), ts_code="600004.SH")])
    two = pl.concat([factors((0, 4.0), (9, 4.4)), factors((0, 7.0), ts_code="600004.SH")])
    assert reconcile(bars(), bars(), (one, two)).counts == {"factor": {"back_adjust_factor": 3}}


def test_the_verdict_is_ready_for_people() -> None:
    others = [BAR | {"ts_code": f"60000{number}.SH"} for number in range(6)]
    wrong = [
        others[0] | {"close": 8.45},
        others[1] | {"close": 9.35, "amount": 431_102_900.0},
        others[2] | {"volume": 516_290},
        others[3] | {"volume": 51_629_000},
    ]
    result = reconcile(bars(*others), bars(*wrong, *others[4:]), names=("baostock", "tushare"))
    assert result.counts == {
        "unit": {"volume": 1}, "rounding": {"amount": 1, "volume": 1}, "real": {"close": 2}
    }  # fmt: skip
    assert list(result.counts) == [kind for kind in KINDS if kind in result.counts]
    assert result.worst(3).select("ts_code", "column").rows() == [
        ("600002.SH", "volume"), ("600001.SH", "close"), ("600000.SH", "close")
    ]  # fmt: skip
    told = result.metadata(1)
    assert told | {"worst": None} == {
        "first": "baostock", "second": "tushare", "compared": 6, "left_out": 0, "passed": False, "failing": 3,
        "counts": result.counts, "worst": None,
    }  # fmt: skip
    assert told["worst"] == [
        {
            "ts_code": "600002.SH", "trade_date": "2024-06-20", "column": "volume", "first": 51_629_079.0,
            "second": 516_290.0, "relative": pytest.approx(0.99), "kind": "unit",
        }
    ]  # fmt: skip


PRICES = st.sampled_from([8.3, 8.304, 8.305, 8.306, 8.31, 83.0, 0.83, 12.0])


@st.composite
def some_bars(draw: st.DrawFn) -> pl.DataFrame:
    keys = draw(st.sets(st.tuples(st.sampled_from(["600000.SH", "000001.SZ", "920002.BJ"]), st.integers(0, 2))))
    rows = [
        {
            "ts_code": code,
            "trade_date": DAY + timedelta(days=after),
            **{name: draw(st.none() | PRICES) for name in ("open", "high", "low", "pre_close")},
            "close": draw(PRICES),
            "volume": draw(st.none() | st.sampled_from([0, 90, 100, 101, 9_000, 10_000, 1_000_000])),
            "amount": draw(st.none() | st.sampled_from([0.0, 900.0, 9e5, 9.001e5, 9e8, 9.1e8])),
            "pct_chg": draw(st.none() | st.sampled_from([0.0, 0.1, 0.11, 0.12, 1.0, -1.0, 10.0])),
            "is_suspended": draw(st.booleans()),
        }
        for code, after in sorted(keys)
    ]
    return bars(*rows)


@st.composite
def some_factors(draw: st.DrawFn) -> pl.DataFrame:
    days = draw(st.sets(st.integers(0, 4)))
    return factors(*((day, draw(st.sampled_from([1.0, 1.0002, 1.1, 2.0, 2.2, 4.4]))) for day in sorted(days)))


@settings(max_examples=50, deadline=None)
@given(some_bars(), some_bars(), some_factors(), some_factors())
def test_either_source_may_come_first(
    one: pl.DataFrame, two: pl.DataFrame, one_factors: pl.DataFrame, two_factors: pl.DataFrame
) -> None:
    here = reconcile(one, two, (one_factors, two_factors))
    there = reconcile(two, one, (two_factors, one_factors))
    assert_frame_equal(
        here.differences, there.differences.rename({"first": "second", "second": "first"}).select(DIFFERENCES.names())
    )
    assert (here.is_passed, here.counts, here.compared) == (there.is_passed, there.counts, there.compared)


@settings(max_examples=50, deadline=None)
@given(some_bars())
def test_a_source_agrees_with_itself(one: pl.DataFrame) -> None:
    assert reconcile(one, one).differences.is_empty()


@settings(max_examples=50, deadline=None)
@given(some_bars(), some_bars())
def test_no_difference_is_lost(one: pl.DataFrame, two: pl.DataFrame) -> None:
    """Counted a second way, row by row."""
    found = {
        (code, day, column)
        for code, day, column in reconcile(one, two).differences.select("ts_code", "trade_date", "column").iter_rows()
    }
    here = {(row["ts_code"], row["trade_date"]): row for row in one.iter_rows(named=True)}
    there = {(row["ts_code"], row["trade_date"]): row for row in two.iter_rows(named=True)}
    expected = {(*key, "row") for key in here.keys() ^ there.keys()}
    for key in here.keys() & there.keys():
        expected |= {(*key, name) for name in COMPARED if here[key][name] != there[key][name]}
    assert found == expected
