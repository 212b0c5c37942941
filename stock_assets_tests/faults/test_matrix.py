"""The laws that hold in every cell of the matrix of faults, and the page that shows it.

A part of the cells is met every time; with `STOCK_ASSETS_TEST_MATRIX=all` every one of them is, which takes minutes.
"""

import os
from collections.abc import Iterator

import pytest

from stock_assets.storage.database import Database
from stock_assets_tests.databases import Server, own_database
from stock_assets_tests.faults.far_ends import BARS, FACTORS
from stock_assets_tests.faults.matrix import ASKED, JOURNEYS, PAGE, Cell, build, is_believed, questions
from stock_assets_tests.faults.matrix_page import cells_of

pytestmark = pytest.mark.slow
IS_WHOLE = os.environ.get("STOCK_ASSETS_TEST_MATRIX") == "all"
EXIT_CODES = {0, 65, 69, 75, 77}


@pytest.fixture(scope="module")
def cells(server: Server, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Cell]]:
    """The cells."""
    with own_database(server, migrated_template) as url:
        database = Database(url)
        yield build(database, tmp_path_factory.mktemp("matrix"), questions(every=IS_WHOLE))
        database.close()


def test_the_part_has_every_dataset_in_every_journey_and_both_sources() -> None:
    part, every = questions(every=False), questions(every=True)
    assert {(one.asked, one.journey) for one in part} == {(asked, journey) for asked in ASKED for journey in JOURNEYS}
    assert {(one.source, one.journey) for one in part} == {(one.source, one.journey) for one in every}
    assert len(part) < len(every) / 16


def test_only_our_own_errors_come_out_each_with_its_exit_code(cells: list[Cell]) -> None:
    assert [(cell.name, cell.foreign) for cell in cells if cell.foreign] == []
    assert [(cell.name, cell.exit_code) for cell in cells if cell.exit_code not in EXIT_CODES] == []


def test_nothing_is_called_complete_that_the_market_has_more_of(cells: list[Cell]) -> None:
    wrong = [(cell.name, cell.wrong) for cell in cells if cell.wrong and not is_believed(cell.asked, cell.fault)]
    assert wrong == []


def test_a_run_that_says_that_it_is_done_left_nothing_refused(cells: list[Cell]) -> None:
    done = [cell for cell in cells if cell.exit_code == 0 and cell.asked in {BARS, FACTORS}]
    assert [cell.name for cell in done if "refused" in cell.states[cell.asked]] == []


def test_one_later_repair_makes_the_store_what_it_would_have_been(cells: list[Cell]) -> None:
    unhealed = [
        (cell.name, cell.unhealed)
        for cell in cells
        if cell.unhealed and not (is_believed(cell.asked, cell.fault) and cell.journey == "history")
    ]
    assert unhealed == []


def test_the_page_shows_what_happens(cells: list[Cell]) -> None:
    told = cells_of(PAGE.read_text(encoding="utf-8"))
    assert {cell.line.key: told.get(cell.line.key) for cell in cells} == {
        cell.line.key: cell.line.text("en") for cell in cells
    }
    assert set(told) >= {(one.source, one.asked, one.fault, one.journey) for one in questions(every=True)}
