"""One security over time, whatever its code: the changes as the recorded lists show them, and what follows from them."""

import csv
import gzip
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from stock_assets.domain.beijing_codes import beijing_changes
from stock_assets.domain.codes import board_of
from stock_assets.domain.tables import SECURITY
from stock_assets.domain.universe import (
    CODE_CHANGES,
    CodeChange,
    codes_of,
    former_codes,
    newest_code,
    under_code_of_day,
    with_lives_cut,
)
from stock_assets.domain.whole_life import linked_factors, one_series

OLD, NEW, CHANGED_ON = "000022.SZ", "001872.SZ", date(2018, 12, 26)
DAY = timedelta(days=1)


def rows(path: Path) -> Iterator[dict[str, str]]:
    """Give the rows of a recorded file."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        yield from csv.DictReader(file)


@pytest.fixture(scope="module")
def beijing(recorded_data: Path) -> dict[str, str]:
    """Listing day by old number, of the 234 stocks that Tushare listed in Beijing in December 2023."""
    listed = rows(recorded_data / "recorded/tushare/stock_basic_2023-12.csv.gz")
    return {row["symbol"]: row["list_date"] for row in listed if row["ts_code"].endswith(".BJ")}


@pytest.fixture(scope="module")
def traded_2026(recorded_data: Path) -> set[str]:
    """The Beijing codes with a bar on either of two days of 2026."""
    days = ("20260320", "20260401")
    files = (recorded_data / f"recorded/tushare/daily_{day}.csv.gz" for day in days)
    return {row["ts_code"] for file in files for row in rows(file) if row["ts_code"].endswith(".BJ")}


def test_no_code_is_given_twice_and_none_to_itself() -> None:
    assert (
        len({change.old for change in CODE_CHANGES})
        == len({change.new for change in CODE_CHANGES})
        == len(CODE_CHANGES)
    )
    assert all(board_of(change.old) and board_of(change.new) for change in CODE_CHANGES)


def test_every_code_of_a_security_names_the_same_one() -> None:
    assert newest_code(OLD) == newest_code(NEW) == NEW
    assert codes_of(OLD) == codes_of(NEW) == (OLD, NEW)
    assert former_codes(NEW) == (OLD,)
    assert codes_of("600000.SH") == ("600000.SH",)
    assert newest_code("839946.BJ") == "920146.BJ"


def test_every_beijing_stock_of_the_recorded_list_has_its_new_number(
    beijing: dict[str, str], traded_2026: set[str]
) -> None:
    """The list of 2023 against the market of 2026: every old number leads to a code that trades, but for one delisting."""
    new = {old.removesuffix(".BJ"): new for old, new, _ in beijing_changes()}
    assert set(beijing) <= set(new)
    assert {number for number in beijing if new[number] not in traded_2026} == {"839680"}
    assert len(set(new) - set(beijing)) == 14, "those listed after the recording, the last on 2024-04-08"


def test_what_trades_in_beijing_and_was_not_renumbered_was_listed_with_its_number(traded_2026: set[str]) -> None:
    """Forty-seven stocks listed since May 2024: as many as the exchange had listed by the recorded days."""
    assert len(traded_2026 - {new for _, new, _ in beijing_changes()}) == 47


def test_beijing_numbers_follow_the_rule_of_the_exchange(beijing: dict[str, str]) -> None:
    """Worked out anew from the recorded listing days: who was first keeps three digits, the others go up by a hundred."""
    new = {old.removesuffix(".BJ"): new[3:6] for old, new, _ in beijing_changes()}
    late = sorted(set(new) - set(beijing))
    in_order = [number for number, _ in sorted(beijing.items(), key=lambda item: (item[1], item[0]))]
    first: dict[str, str] = {}
    for number in [*in_order, *late]:
        first.setdefault(number[-3:], number)
    taken = {digits: number for digits, number in first.items() if new[number] == digits}
    assert len(taken) == len(first), "who was first kept its digits"
    # Of those listed within one month the recorded list has no later ones to compete with.
    for number in (number for number in in_order if first[number[-3:]] != number):
        digits = number[-3:]
        while digits in taken:
            digits = f"{(int(digits) + 100) % 1000:03d}"
        taken[digits] = number
        assert new[number] == digits


@pytest.mark.parametrize("change", CODE_CHANGES[:4], ids=lambda change: change.new)
def test_the_two_codes_of_a_change_are_one_listing_in_baostocks_list(recorded_data: Path, change: CodeChange) -> None:
    listed = rows(recorded_data / "recorded/baostock/query_stock_basic_2023-12.csv")
    by_code = {f"{row['code'][3:]}.{row['code'][:2].upper()}": row for row in listed if row["type"] == "1"}
    new, old = by_code[change.new], by_code.get(change.old)
    assert new["outDate"] == ""
    if old is None:  # 601313: BaoStock has the new code alone
        assert change.old == "601313.SH"
        return
    assert old["ipoDate"] == new["ipoDate"]
    assert date.fromisoformat(old["outDate"]) <= change.changed_on <= date.fromisoformat(old["outDate"]) + 4 * DAY


def test_stocks_that_left_beijing_are_listed_anew_on_the_day_of_the_change(recorded_data: Path) -> None:
    listed = rows(recorded_data / "recorded/baostock/query_stock_basic_2023-12.csv")
    began = {f"{row['code'][3:]}.{row['code'][:2].upper()}": row["ipoDate"] for row in listed}
    moved = [change for change in CODE_CHANGES if change.old.endswith("BJ") and not change.new.endswith("BJ")]
    assert [began[change.new] for change in moved] == [str(change.changed_on) for change in moved]


def test_baostocks_bars_of_a_new_code_begin_on_the_day_of_the_change(recorded_data: Path) -> None:
    recorded = rows(recorded_data / "recorded/baostock/k_daily_adjustflag2_2000-2020_special.csv.gz")
    assert min(row["date"] for row in recorded if row["code"] == "sz.001872") == str(CHANGED_ON)


def securities(*known: tuple[str, date, date | None]) -> pl.DataFrame:
    """Return rows of `security`."""
    return SECURITY.conform(
        pl.DataFrame(
            [
                {
                    "ts_code": code, "name": code, "exchange": code[-2:], "board": board_of(code), "list_date": listed,
                    "delist_date": delisted, "status": "listed" if delisted is None else "delisted",
                    "former_codes": None, "source": "made_up", "updated_at": None,
                }
                for code, listed, delisted in known
            ],
            schema={**SECURITY.schema},
        ).with_columns(pl.lit("2026-01-05T10:00:00+00:00").str.to_datetime("%+").dt.cast_time_unit("us").alias("updated_at"))
    )  # fmt: skip


def lives(frame: pl.DataFrame) -> dict[str, tuple[date, date | None, str]]:
    """Return list_date, delist_date and status by code."""
    names = ("list_date", "delist_date", "status")
    return {code: tuple(rest) for code, *rest in frame.select("ts_code", *names).iter_rows()}  # pyright: ignore[reportReturnType]


def test_where_a_source_lists_both_codes_each_has_its_own_days() -> None:
    told = securities((OLD, date(1993, 5, 5), CHANGED_ON), (NEW, date(1993, 5, 5), None))
    assert lives(with_lives_cut(told, told.clear())) == {
        OLD: (date(1993, 5, 5), CHANGED_ON, "delisted"),
        NEW: (CHANGED_ON, None, "listed"),
    }


def test_a_code_that_the_source_no_longer_names_ends_when_the_new_one_begins() -> None:
    """A store that ran on the day Beijing renumbered: the list has 920 codes at once, and the old ones are gone."""
    known = securities(("430047.BJ", date(2020, 11, 24), None), ("600000.SH", date(1999, 11, 10), None))
    told = securities(("920047.BJ", date(2020, 11, 24), None))
    cut = with_lives_cut(told, known)
    assert lives(cut) == {
        "430047.BJ": (date(2020, 11, 24), date(2025, 10, 9), "delisted"),
        "920047.BJ": (date(2025, 10, 9), None, "listed"),
    }
    assert with_lives_cut(told, cut).equals(with_lives_cut(told, with_lives_cut(told, cut))), "and again the same"


def test_a_list_with_the_new_code_alone_keeps_the_whole_life_under_it() -> None:
    told = securities((NEW, date(1993, 5, 5), None))
    assert with_lives_cut(told, told.clear()).equals(told)


def bars(*rows: tuple[str, date]) -> pl.DataFrame:
    """Return bars numbered in order of their appearance."""
    return pl.DataFrame(rows, schema={"ts_code": pl.String, "trade_date": pl.Date}, orient="row").with_row_index(
        "close"
    )


def known(*codes: str) -> pl.Series:
    """Return codes of a store."""
    return pl.Series("ts_code", codes, dtype=pl.String)


def test_old_days_told_under_the_new_code_go_to_the_old_one_that_the_store_knows() -> None:
    told = bars((NEW, CHANGED_ON - DAY), (NEW, CHANGED_ON), ("600000.SH", CHANGED_ON - DAY))
    assert under_code_of_day(told, known(OLD, NEW, "600000.SH"))["ts_code"].to_list() == [OLD, NEW, "600000.SH"]
    assert under_code_of_day(told, known(NEW, "600000.SH")).equals(told)


def test_an_old_code_that_the_store_does_not_know_is_the_security_it_became() -> None:
    told = bars((OLD, CHANGED_ON - DAY), ("600000.SH", CHANGED_ON - DAY))
    assert under_code_of_day(told, known(NEW, "600000.SH"))["ts_code"].to_list() == [NEW, "600000.SH"]


def test_a_day_that_is_told_under_both_codes_is_not_made_a_duplicate() -> None:
    told = bars((OLD, CHANGED_ON - DAY), (NEW, CHANGED_ON - DAY))
    assert under_code_of_day(told, known(OLD, NEW)).equals(told)
    assert under_code_of_day(told, known(NEW)).equals(told)


def test_a_whole_life_has_each_day_once_under_the_newest_code() -> None:
    told = bars((OLD, CHANGED_ON - 2 * DAY), (NEW, CHANGED_ON - DAY), (OLD, CHANGED_ON - DAY), (NEW, CHANGED_ON))
    whole = one_series(told)
    assert whole.select("ts_code", "trade_date", "close", "traded_as").rows() == [
        (NEW, CHANGED_ON - 2 * DAY, 0, OLD),
        (NEW, CHANGED_ON - DAY, 2, OLD),
        (NEW, CHANGED_ON, 3, NEW),
    ]


def factors(*rows: tuple[str, date, float]) -> pl.DataFrame:
    """Return factors."""
    schema = {"ts_code": pl.String, "ex_date": pl.Date, "back_adjust_factor": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_factors_go_on_where_those_of_the_old_code_ended() -> None:
    told = factors((OLD, date(2010, 6, 1), 2.0), (OLD, date(2017, 6, 1), 3.0), (NEW, date(2020, 6, 1), 1.5))
    assert linked_factors(told).rows() == [
        (NEW, date(2010, 6, 1), 2.0),
        (NEW, date(2017, 6, 1), 3.0),
        (NEW, date(2020, 6, 1), 4.5),
    ]


def test_factors_of_a_new_code_that_reach_back_before_the_change_are_the_whole_lifes() -> None:
    told = factors((OLD, date(2017, 6, 1), 3.0), (NEW, date(2017, 6, 1), 3.1), (NEW, date(2020, 6, 1), 4.5))
    assert linked_factors(told).rows() == [(NEW, date(2017, 6, 1), 3.1), (NEW, date(2020, 6, 1), 4.5)]
