"""Units of work: one line each, with the split, at the level that the outcome deserves."""

import pytest
from structlog.testing import capture_logs

from stock_assets.domain.errors import NotReady
from stock_assets.units import diagnose, unit


def test_a_unit_leaves_one_line_with_its_fields_and_its_split() -> None:
    with capture_logs() as lines, unit("ingest.day", trade_date="2026-01-05") as work:
        with work.step("api"):
            pass
        with work.step("api"):
            pass
        work.record("pool_wait", 0.36)
        work.add(rows=5300)
    assert len(lines) == 1
    line = lines[0]
    assert (line["event"], line["log_level"], line["rows"], line["pool_wait_seconds"]) == (
        "ingest.day",
        "info",
        5300,
        0.36,
    )
    assert {"api_seconds", "total_seconds"} <= line.keys()
    assert "cause" not in line


def test_a_slow_unit_is_a_warning_that_names_its_cause() -> None:
    with capture_logs() as lines, unit("ingest.stock", "debug", slow_seconds=0.0) as work:
        work.record("api", 0.32)
        work.record("pool_wait", 30.11)
    assert (lines[0]["log_level"], lines[0]["cause"]) == ("warning", "pool wait")


def test_a_slow_unit_whose_split_was_measured_elsewhere_names_its_cause() -> None:
    with capture_logs() as lines, unit("ingest.stock", "debug", slow_seconds=0.0) as work:
        work.add(api_seconds=0.1, database_seconds=7.5)
    assert (lines[0]["log_level"], lines[0]["cause"]) == ("warning", "database")


def test_a_failed_unit_is_a_warning_and_the_failure_goes_on() -> None:
    error = NotReady(trade_date="2026-01-05", reason="x", ready_at="17:30")
    with capture_logs() as lines, pytest.raises(NotReady), unit("ingest.day", "debug"):
        raise error
    assert (lines[0]["log_level"], lines[0]["failure"], lines[0]["problem"]) == ("warning", "NotReady", error)


@pytest.mark.parametrize(
    ("split", "cause"),
    [
        ({"pool_wait_seconds": 30.11, "api_seconds": 0.32}, "pool wait"),
        ({"pool_wait_seconds": 0.36, "api_seconds": 4.0}, "API"),
        ({"api_seconds": 1.0, "translate_seconds": 0.6, "judge_seconds": 0.6}, "translation"),
        ({"api_seconds": 1.0, "database_seconds": 2.0}, "database"),
    ],
)
def test_the_cause_is_where_most_of_the_time_went(split: dict[str, float], cause: str) -> None:
    assert diagnose(split) == cause
