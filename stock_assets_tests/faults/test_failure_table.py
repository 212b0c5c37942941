"""The laws that hold in every cell of the failure table, and the page that shows it.

A part of the cells is met every time; with `STOCK_ASSETS_TEST_MATRIX=all` every one of them is, which takes two minutes.
"""

import os
from collections.abc import Iterator
from typing import get_args

import pytest

from stock_assets.simulator.faults import KINDS, ConnectionKind
from stock_assets.storage.database import Database
from stock_assets_tests.databases import Server, own_database
from stock_assets_tests.faults.page import page, rows_of
from stock_assets_tests.faults.table import CALLS, PAGE, Cell, build, faults_of, some_faults_of

pytestmark = pytest.mark.slow
FAULTS = faults_of if os.environ.get("STOCK_ASSETS_TEST_MATRIX") == "all" else some_faults_of
LONGEST_SECONDS = 60.0
MOST_REQUESTS = 20


@pytest.fixture(scope="module")
def cells(server: Server, migrated_template: str) -> Iterator[list[Cell]]:
    """Every call, with its faults."""
    with own_database(server, migrated_template) as url:
        database = Database(url)
        yield build(database, faults=FAULTS)
        database.close()


def test_every_kind_of_fault_meets_a_call_and_every_call_meets_some(cells: list[Cell]) -> None:
    assert {(cell.line.call, cell.line.fault) for cell in cells} == {
        (call.title, fault.kind) for call in CALLS for fault in FAULTS(call)
    }
    assert {cell.line.call for cell in cells} == {call.title for call in CALLS}
    assert {cell.line.fault for cell in cells} == set(KINDS)
    assert [cell.name for cell in cells if not cell.faults_done] == []


def test_only_our_own_errors_leave_the_pipeline(cells: list[Cell]) -> None:
    assert [(cell.name, cell.foreign) for cell in cells if cell.foreign] == []


def test_nothing_wrong_is_stored_and_no_incomplete_day_is_called_complete(cells: list[Cell]) -> None:
    assert [(cell.name, cell.wrong) for cell in cells if cell.wrong] == []


def test_once_the_fault_is_gone_the_next_run_completes_the_days(cells: list[Cell]) -> None:
    assert [(cell.name, cell.unhealed) for cell in cells if not cell.is_healed] == []


def test_no_fault_holds_a_run_up_or_makes_it_ask_for_ever(cells: list[Cell]) -> None:
    slow = [(cell.name, cell.seconds, cell.requests) for cell in cells if cell.seconds > LONGEST_SECONDS]
    busy = [(cell.name, cell.requests) for cell in cells if cell.requests > MOST_REQUESTS]
    assert (slow, busy) == ([], [])


def test_a_broken_connection_never_passes_for_an_answer(cells: list[Cell]) -> None:
    kinds = set(get_args(ConnectionKind))
    passed = [
        cell.name
        for cell in cells
        if cell.line.fault in kinds
        and cell.line.call != "logout"
        and "broken" not in cell.line.verdict
        and "truncated" not in cell.line.verdict
    ]
    assert passed == []


def test_whatever_is_not_complete_has_a_sentence_in_both_languages(cells: list[Cell]) -> None:
    silent = [
        cell.name
        for cell in cells
        if not {*cell.line.status.split(" / ")} <= {"complete", "empty"} and not (cell.line.zh and cell.line.en)
    ]
    assert silent == []
    assert [cell.name for cell in cells if "Traceback" in cell.line.en + cell.line.zh] == []


def test_the_page_shows_what_happens(cells: list[Cell]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    told, seen = rows_of(text), rows_of(page([cell.line for cell in cells]))
    assert [line for part, lines in seen.items() for line in lines if line not in told[part]] == []
    met = {(call.title, fault.kind) for call in CALLS for fault in faults_of(call)}
    assert sum(
        line.startswith("| `") for (language, _), lines in told.items() for line in lines if language == "en"
    ) == len(met)
    if FAULTS is faults_of:
        assert text == page([cell.line for cell in cells])
