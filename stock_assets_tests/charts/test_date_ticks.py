"""The days that are named below a chart."""

from datetime import date, timedelta

import pytest

from stock_assets.charts.date_ticks import date_ticks


def weekdays(first: date, count: int) -> list[date]:
    """Return so many weekdays from a day on."""
    days = (first + timedelta(days=n) for n in range(2 * count + 7))
    return [day for day in days if day.weekday() < 5][:count]


@pytest.mark.parametrize("count", [1, 2, 5, 14, 15, 60, 120, 250, 800, 2_000, 8_500])
def test_there_are_always_some_labels_and_never_too_many(count: int) -> None:
    ticks = date_ticks(weekdays(date(1991, 1, 7), count))
    assert 1 <= len(ticks) <= 14
    assert all(0 <= place < count for place, _ in ticks)
    places = [place for place, _ in ticks]
    assert places == sorted(set(places))


def test_labels_are_as_fine_as_there_is_room() -> None:
    first = date(2025, 12, 29)
    assert [label for _, label in date_ticks(weekdays(first, 5))] == [
        "2025-12-29",
        "12-30",
        "12-31",
        "2026-01-01",
        "01-02",
    ]
    assert date_ticks(weekdays(first, 30))[:2] == [(5, "2026-01-05"), (10, "01-12")]
    assert date_ticks(weekdays(first, 250))[:2] == [(3, "2026-01"), (25, "2026-02")]
    assert date_ticks(weekdays(first, 700))[:2] == [(3, "2026-01"), (67, "2026-04")]
    assert date_ticks(weekdays(first, 2_000))[:2] == [(3, "2026"), (264, "2027")]


def test_labels_of_a_week_cut_short_by_a_holiday_do_not_touch() -> None:
    days = [day for day in weekdays(date(2025, 7, 28), 68) if not date(2025, 10, 1) <= day <= date(2025, 10, 8)]
    labels = [label for _, label in date_ticks(days)]
    assert "10-09" not in labels
    assert {"09-29", "10-13"} < set(labels)
