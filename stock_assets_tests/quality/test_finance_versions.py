"""Which rows are versions, which one stands, and since when it was known: the cases one by one."""

from datetime import date, timedelta

import polars as pl
import pytest

from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.quality.finance_versions import DISCLOSURE_SCHEMA, Resolved, resolve
from stock_assets_tests.quality.made_up_reports import QUARTER, SPRING, YEAR, Report, answer, at, judged, report

# A Thursday; the Friday before the May holidays; the Tuesday after a year.
ANN, FRIDAY, LATER = date(2024, 3, 28), date(2024, 4, 26), date(2024, 10, 8)


class Told:
    """What a source has told so far."""

    def __init__(self) -> None:
        self.stored = FINANCE_INDICATOR.empty()

    def hear(
        self,
        *rows: Report,
        on: date = FRIDAY,
        source: str = "tushare",
        disclosed: date | None = None,
        f_ann: date | None = None,
    ) -> Resolved:
        """Store what these rows add, received on a day."""
        reports = judged(answer(rows)).accepted
        if f_ann is not None:
            reports = reports.with_columns(f_ann_date=pl.lit(f_ann))
        disclosures = None
        if disclosed is not None:
            disclosures = pl.DataFrame([("600000.SH", YEAR, disclosed)], schema=DISCLOSURE_SCHEMA, orient="row")
        found = resolve(
            reports,
            self.stored,
            source=source,
            fetched_at=at(on),
            calendar=SPRING,
            run_id="run",
            disclosures=disclosures,
        )
        self.stored = pl.concat([self.stored, found.versions])
        return found

    def rows(self, *names: str) -> list[tuple[object, ...]]:
        """Return these columns of what is stored."""
        return self.stored.sort("ts_code", "end_date", "ann_date", "version").select(names).rows()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.mark.parametrize(
    ("ann", "f_ann", "known"),
    [
        (date(2024, 3, 28), None, date(2024, 3, 29)),
        (date(2024, 3, 29), None, date(2024, 4, 1)),
        (date(2024, 3, 30), None, date(2024, 4, 1)),
        (date(2024, 4, 3), None, date(2024, 4, 8)),
        (date(2024, 4, 30), None, date(2024, 5, 6)),
        (date(2024, 3, 28), date(2024, 4, 3), date(2024, 4, 8)),
        (date(2024, 4, 3), date(2024, 3, 28), date(2024, 4, 8)),
    ],
    ids=str,
)
def test_an_announcement_is_known_from_the_first_session_after_the_later_of_its_days(
    told: Told, ann: date, f_ann: date | None, known: date
) -> None:
    told.hear(report(ann, eps=1.0), on=LATER, f_ann=f_ann)
    assert told.rows("known_from", "f_ann_date", "ann_date_basis") == [(known, f_ann, "stated")]


def test_the_same_answer_again_adds_nothing(told: Told) -> None:
    rows = [
        report(ANN, eps=1.0, flag="0"),
        report(ANN, eps=2.0, flag="1"),
        report(None, end=QUARTER, eps=3.0),
        report(LATER, eps=4.0),
    ]
    assert told.hear(*rows).first == 4
    for days in range(3):
        again = told.hear(*rows, on=LATER + timedelta(days))
        assert (again.versions.height, again.unchanged) == (0, 4)


def test_a_silent_correction_is_known_from_the_first_session_after_it_was_seen(told: Told) -> None:
    told.hear(report(ANN, eps=1.0), on=ANN)
    found = told.hear(report(ANN, eps=1.5), on=FRIDAY)
    assert (found.first, found.corrected) == (0, 1)
    assert told.rows("version", "eps", "known_from", "fetched_at") == [
        (1, 1.0, date(2024, 3, 29), at(ANN)),
        (2, 1.5, date(2024, 4, 29), at(FRIDAY)),
    ]


def test_a_correction_that_is_taken_back_is_a_version_again(told: Told) -> None:
    for day, eps in enumerate([1.0, 2.0, 1.0, 1.0]):
        told.hear(report(ANN, eps=eps), on=FRIDAY + timedelta(day))
    assert [eps for (eps,) in told.rows("eps")] == [1.0, 2.0, 1.0]


def test_a_figure_that_vanishes_is_a_correction(told: Told) -> None:
    told.hear(report(ANN, eps=1.0, roe=8.0))
    assert told.hear(report(ANN, eps=1.0)).corrected == 1


def test_an_announcement_of_the_evening_before_is_never_known_before_its_own_day(told: Told) -> None:
    told.hear(report(LATER, eps=1.0), on=FRIDAY)
    told.hear(report(LATER, eps=2.0), on=FRIDAY)
    assert [known for (known,) in told.rows("known_from")] == [date(2024, 10, 9)] * 2


def test_a_restatement_is_an_announcement_of_its_own(told: Told) -> None:
    told.hear(report(ANN, eps=1.0), report(LATER, eps=2.0), on=date(2024, 11, 1))
    assert told.rows("ann_date", "version", "known_from") == [
        (ANN, 1, date(2024, 3, 29)),
        (LATER, 1, date(2024, 10, 9)),
    ]


@pytest.mark.parametrize("turn", [1, -1])
def test_of_rows_that_differ_the_corrected_one_stands_then_the_fuller_one(told: Told, turn: int) -> None:
    rows = [
        report(ANN, eps=1.0, roe=8.0, flag="0"),
        report(ANN, eps=1.5, flag="1"),
        report(ANN, eps=1.6, roe=9.0, flag="1"),
    ]
    assert told.hear(*rows[::turn]).first == 3
    assert told.rows("version", "eps", "update_flag", "is_chosen") == [
        (1, 1.0, "0", False),
        (2, 1.5, "1", False),
        (3, 1.6, "1", True),
    ]


@pytest.mark.parametrize("turn", [1, -1])
def test_a_row_that_says_no_more_than_another_is_a_duplicate_and_is_counted(told: Told, turn: int) -> None:
    full, thin = report(ANN, eps=1.0, roe=8.0, flag="0"), report(ANN, eps=1.0, flag="1")
    found = told.hear(*[full, full, full | {"update_flag": "1"}, thin, report(ANN, roe=8.0)][::turn])
    assert (found.first, found.duplicates) == (1, 4)
    assert told.rows("eps", "roe", "update_flag", "is_chosen") == [(1.0, 8.0, "1", True)]


def test_a_correction_of_a_row_that_does_not_stand_changes_nothing_that_is_read(told: Told) -> None:
    stands = report(ANN, eps=2.0, flag="1")
    told.hear(report(ANN, eps=1.0, flag="0"), stands)
    assert told.hear(report(ANN, eps=1.1, flag="0"), stands, on=LATER).corrected == 1
    assert told.rows("eps", "is_chosen") == [(1.0, False), (2.0, True), (1.1, False)]
    # When the source drops the corrected row, what did not stand stands.
    told.hear(report(ANN, eps=1.1, flag="0"), on=LATER)
    assert told.rows("eps", "is_chosen")[3:] == [(1.1, True)]


def test_a_report_without_a_day_is_dated_by_the_disclosure_calendar_or_by_first_sight(told: Told) -> None:
    told.hear(report(None, eps=1.0), report(None, end=QUARTER, eps=1.0), on=FRIDAY, disclosed=ANN)
    assert told.rows("end_date", "ann_date", "ann_date_basis", "known_from") == [
        (YEAR, ANN, "disclosure", date(2024, 3, 29)),
        (QUARTER, FRIDAY, "first_seen", date(2024, 4, 29)),
    ]


def test_a_row_without_a_day_belongs_to_the_newest_announcement_of_its_report(told: Told) -> None:
    told.hear(report(ANN, eps=1.0), report(date(2024, 4, 2), eps=2.0), on=FRIDAY)
    told.hear(report(None, eps=3.0), on=LATER)
    assert told.rows("ann_date", "version", "eps", "known_from")[1:] == [
        (date(2024, 4, 2), 1, 2.0, date(2024, 4, 3)),
        (date(2024, 4, 2), 2, 3.0, date(2024, 10, 9)),
    ]


@pytest.mark.parametrize(("eps", "known"), [(1.0, date(2024, 3, 29)), (2.0, date(2024, 10, 9))])
def test_a_report_that_gets_its_day_later_was_known_since_only_with_the_same_figures(
    told: Told, eps: float, known: date
) -> None:
    told.hear(report(None, eps=1.0), on=FRIDAY)
    told.hear(report(ANN, eps=eps), on=LATER)
    assert told.rows("ann_date", "eps", "known_from") == [(ANN, eps, known), (FRIDAY, 1.0, date(2024, 4, 29))]


def test_a_clock_that_goes_back_dates_nothing_back(told: Told) -> None:
    told.hear(report(ANN, eps=1.0), on=LATER)
    told.hear(report(ANN, eps=2.0), on=FRIDAY)
    assert told.rows("eps", "fetched_at", "known_from")[1:] == [(2.0, at(LATER), date(2024, 10, 9))]


def test_two_sources_do_not_correct_each_other(told: Told) -> None:
    told.hear(report(ANN, eps=1.0, roe=8.0))
    assert told.hear(report(ANN, eps=1.0), source="baostock", on=LATER).first == 1
    assert told.hear(report(ANN, eps=1.0, roe=8.0), on=LATER).unchanged == 1
    assert told.rows("version", "source", "known_from") == [
        (1, "tushare", date(2024, 3, 29)),
        (2, "baostock", date(2024, 3, 29)),
    ]
