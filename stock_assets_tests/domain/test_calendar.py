"""Trading days: known ones from the exchanges, provisional weekdays after them."""

import csv
import gzip
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_assets.domain.calendar import FIRST_SESSION, SHANGHAI, TradingCalendar, is_final, parse_day, parse_moment
from stock_assets.domain.errors import InvalidInput
from stock_assets.sources.exchange_calendar import exchange_calendar


@pytest.fixture(scope="module")
def xshg(tmp_path_factory: pytest.TempPathFactory) -> TradingCalendar:
    """The exchanges' calendar as the product uses it."""
    return exchange_calendar(tmp_path_factory.mktemp("calendar"))


def test_the_sessions_are_those_that_the_recorded_sources_agree_on(xshg: TradingCalendar, recorded_data: Path) -> None:
    path = recorded_data / "calendar" / "GENERATED_consensus_baostock_format_1990-12-19_2026-12-31.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        agreed = [
            date.fromisoformat(row["calendar_date"]) for row in csv.DictReader(file) if row["is_trading_day"] == "1"
        ]
    assert list(xshg.sessions) == agreed


def test_the_kept_copy_is_the_same_calendar(tmp_path: Path) -> None:
    first = exchange_calendar(tmp_path)
    kept = list(tmp_path.iterdir())
    assert len(kept) == 1
    assert exchange_calendar(tmp_path) == first
    kept[0].write_text("{", encoding="utf-8")
    assert exchange_calendar(tmp_path) == first


def test_the_calendar_starts_with_the_first_trading_day_of_shanghai(xshg: TradingCalendar) -> None:
    assert xshg.sessions[0] == FIRST_SESSION
    assert xshg.previous(FIRST_SESSION) is None


def test_spring_festival_is_closed_and_bridged(xshg: TradingCalendar) -> None:
    assert not xshg.is_session(date(2024, 2, 9))
    assert xshg.previous(date(2024, 2, 19)) == date(2024, 2, 8)
    assert xshg.between(date(2024, 2, 9), date(2024, 2, 18)) == []


def test_after_the_known_end_every_weekday_is_provisionally_a_session() -> None:
    calendar = TradingCalendar.of([date(2026, 12, 30), date(2026, 12, 31)])
    assert calendar.between(date(2026, 12, 31), date(2027, 1, 5)) == [
        date(2026, 12, 31),
        date(2027, 1, 1),
        date(2027, 1, 4),
        date(2027, 1, 5),
    ]
    assert calendar.previous(date(2027, 1, 4)) == date(2027, 1, 1)
    assert calendar.previous(date(2027, 1, 1)) == date(2026, 12, 31)


def test_a_day_is_final_from_the_published_time_on(xshg: TradingCalendar) -> None:
    friday = date(2026, 11, 20)
    before = datetime(2026, 11, 20, 17, 59, tzinfo=SHANGHAI)
    after = before + timedelta(minutes=1)
    assert not is_final(friday, before)
    assert is_final(friday, after)
    assert xshg.last_final(before) == date(2026, 11, 19)
    assert xshg.last_final(after) == friday
    assert xshg.last_final(datetime(2026, 11, 22, 12, 0, tzinfo=SHANGHAI)) == friday


@given(st.dates(min_value=date(1990, 12, 20), max_value=date(2028, 12, 31)), st.integers(min_value=0, max_value=40))
def test_between_is_sorted_and_holds_just_the_sessions(start: date, span: int) -> None:
    calendar = TradingCalendar.of([FIRST_SESSION + timedelta(days=7 * week) for week in range(1880)])
    end = start + timedelta(days=span)
    days = [start + timedelta(days=offset) for offset in range(span + 1)]
    assert calendar.between(start, end) == [day for day in days if calendar.is_session(day)]


@pytest.mark.parametrize("text", ["2026-11-20", "20261120", " 2026-11-20 "])
def test_both_forms_of_a_date_are_read(text: str) -> None:
    assert parse_day(text) == date(2026, 11, 20)


@pytest.mark.parametrize("text", ["", "2026-13-01", "20.11.2026", "2026112", "tomorrow"])
def test_another_form_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidInput, match="2026-11-20"):
        parse_day(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-20T18:30", datetime(2026, 11, 20, 10, 30, tzinfo=UTC)),
        ("2026-11-20 18:30:01.5", datetime(2026, 11, 20, 10, 30, 1, 500_000, tzinfo=UTC)),
        ("20261120T183000", datetime(2026, 11, 20, 10, 30, tzinfo=UTC)),
        ("2026-11-20T18:30Z", datetime(2026, 11, 20, 18, 30, tzinfo=UTC)),
        ("2026-11-20T18:30-05:00", datetime(2026, 11, 20, 23, 30, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20, 15, 59, 59, 999_999, tzinfo=UTC)),
        (" 20261120 ", datetime(2026, 11, 20, 15, 59, 59, 999_999, tzinfo=UTC)),
    ],
)
def test_a_moment_is_shanghais_unless_it_says_otherwise_and_a_day_means_its_end(text: str, moment: datetime) -> None:
    assert parse_moment(text) == moment
    assert parse_moment(text).tzinfo is not None


@pytest.mark.parametrize(
    "text", ["", "now", "18:30", "2026-11-20T25:00", "2026-W47-5", "2026-11-31T10:00", "2026-11-20T"]
)
def test_another_form_of_a_moment_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidInput, match="2026-11-20T18:30"):
        parse_moment(text)
