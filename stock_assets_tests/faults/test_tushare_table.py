"""The laws that hold in every cell of Tushare's failure table, and the page that shows it."""

from collections.abc import Callable, Iterator

import pytest

from stock_assets.domain.errors import PointsMissing, RateLimited, RequestRefused, TokenRefused, TooManyAddresses
from stock_assets.storage.database import Database
from stock_assets_tests.databases import Server, own_database
from stock_assets_tests.faults.tushare_page import page
from stock_assets_tests.faults.tushare_table import ATTEMPTS, CASES, PAGE, Cell, build

pytestmark = pytest.mark.slow
WINDOW_SECONDS = 60
PAUSES_SECONDS = 1 + 2
SILENT_ON_PACE = {TokenRefused.__name__, TooManyAddresses.__name__, RequestRefused.__name__, "NotReady"}


@pytest.fixture(scope="module")
def cells(server: Server, migrated_template: str) -> Iterator[list[Cell]]:
    """Every case."""
    with own_database(server, migrated_template) as url:
        database = Database(url)
        yield build(database)
        database.close()


def broken(cells: list[Cell], is_lawful: Callable[[Cell], bool]) -> list[str]:
    """Return the names of the cells that break a law."""
    return [f"{cell.case.family}: {cell.case.name}: {cell.line}" for cell in cells if not is_lawful(cell)]


def test_every_case_is_there_and_its_fault_met_the_request(cells: list[Cell]) -> None:
    assert [cell.case for cell in cells] == list(CASES)
    assert broken(cells, lambda cell: cell.line.requests > 0 or cell.case.far_end != "") == []


def test_nothing_passes_for_no_rows_and_done(cells: list[Cell]) -> None:
    assert broken(cells, lambda cell: cell.status in {"partial", "refused"} and cell.line.exit_code != 0) == []
    answered = [cell for cell in cells if cell.line.verdict in {"rows", "proven empty"}]
    assert {cell.case.family for cell in answered} == {"rows"}
    assert broken(cells, lambda cell: cell.rows == 0 or cell in answered) == []


def test_only_our_own_errors_leave_the_pipeline_each_with_a_sentence_and_an_exit_code(cells: list[Cell]) -> None:
    assert broken(cells, lambda cell: not cell.foreign) == []
    assert broken(cells, lambda cell: bool(cell.line.zh and cell.line.en)) == []
    assert {cell.line.exit_code for cell in cells} == {65, 69, 75, 77}


def test_no_row_is_stored_that_the_market_did_not_have(cells: list[Cell]) -> None:
    assert [(cell.case.name, cell.wrong) for cell in cells if cell.wrong] == []


def test_once_it_is_over_and_the_wait_has_passed_the_next_run_completes_the_day(cells: list[Cell]) -> None:
    assert [(cell.case.name, cell.unhealed) for cell in cells if cell.unhealed] == []


def test_a_minutes_limit_is_waited_out_before_each_further_attempt(cells: list[Cell]) -> None:
    minute = [cell for cell in cells if cell.line.state is not None and cell.line.state.closed_reason == "minute"]
    assert len(minute) == 3
    for cell in minute:
        assert cell.error == RateLimited.__name__
        assert cell.line.requests == ATTEMPTS
        assert cell.line.seconds > (ATTEMPTS - 1) * WINDOW_SECONDS
        assert cell.line.closed_seconds > 0


def test_what_is_closed_for_longer_is_asked_once_and_by_no_other_process_until_it_opens(cells: list[Cell]) -> None:
    closed = [cell for cell in cells if cell.sent_while_closed is not None]
    assert {cell.error for cell in closed} == {RateLimited.__name__, PointsMissing.__name__}
    assert {cell.line.state.closed_reason for cell in closed if cell.line.state} == {"hour", "day", "permission"}
    assert broken(closed, lambda cell: (cell.line.requests, cell.sent_while_closed) == (1, 0)) == []


def test_only_what_may_pass_is_asked_again_with_growing_pauses(cells: list[Cell]) -> None:
    again = [cell for cell in cells if cell.line.verdict == "broken"]
    assert broken(again, lambda cell: PAUSES_SECONDS <= cell.line.seconds < PAUSES_SECONDS + 1) == []
    gone = {"connect_refused"}
    assert (
        broken(
            again,
            lambda cell: (
                cell.line.requests == ATTEMPTS
                or cell.case.far_end != ""
                or (cell.case.fault is not None and cell.case.fault.kind in gone)
            ),
        )
        == []
    )


def test_what_says_nothing_about_the_pace_leaves_it_as_it_was(cells: list[Cell]) -> None:
    silent = [cell for cell in cells if cell.error in SILENT_ON_PACE]
    assert {cell.error for cell in silent} == SILENT_ON_PACE
    assert broken(silent, lambda cell: cell.line.calls_a_minute is None and not cell.line.closed_seconds) == []
    failed = [cell for cell in cells if cell.line.verdict == "broken"]
    assert broken(failed, lambda cell: cell.line.calls_a_minute is not None) == []


def test_the_page_shows_what_happens(cells: list[Cell]) -> None:
    assert PAGE.read_text(encoding="utf-8") == page([cell.line for cell in cells])
