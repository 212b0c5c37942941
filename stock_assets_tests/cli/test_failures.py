"""What failed, as people see it, and another try."""

import json
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa

from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.storage import sync_tasks
from stock_assets.wiring import Installation
from stock_assets_tests.cli.conftest import LAST, Call

BY_DAY = "query_daily_history_k_AStock"
WEEK_BEFORE = ("--start", "2026-11-09", "--end", "2026-11-13")


def records(call: Call, *arguments: str) -> list[dict[str, Any]]:
    return json.loads(call("failures", "--format", "json", *arguments).out)


@pytest.fixture
def failed_day(loaded: Installation, far_end: BaoStockServer, call: Call) -> str:
    """A day of the week before that the source refused, so that its record waits for a person."""
    far_end.faults = f"error=10004011:{BY_DAY}:2"
    assert call("backfill-daily", *WEEK_BEFORE).code == 69
    far_end.faults = ""
    with loaded.database.begin() as conn:
        conn.execute(sa.text("UPDATE sync_failure_records SET retry_count = max_retries"))
    return "2026-11-10"


@pytest.mark.usefixtures("loaded")
def test_where_nothing_failed_nothing_is_listed(call: Call) -> None:
    assert call("failures").out == "there is no unresolved failure record\n"
    assert records(call) == []


def test_a_record_that_waits_is_shown_where_people_look_and_goes_by_a_retry(
    loaded: Installation, far_end: BaoStockServer, call: Call, failed_day: str
) -> None:
    [record] = records(call)
    assert (record["job_type"], record["third_code"], record["needs_a_person"]) == ("DAILY_HISTORY", failed_day, True)
    assert record["error_message"].startswith("source baostock refused the request")
    assert records(call, "--job", "finance_history") == []
    said = call("status").out
    assert "1 failures wait for a person" in said
    assert "DAILY_HISTORY" in said
    assert "FAILED" in said
    # Not by itself; and the week is still short of a day.
    before = far_end.requests[BY_DAY]
    assert call("backfill-daily", *WEEK_BEFORE).code == 65
    assert far_end.requests[BY_DAY] == before
    retried = call("failures", "--retry", "--job", "daily_history")
    assert retried.code == 0, retried.err
    assert far_end.requests[BY_DAY] == before + 1
    assert "there is no unresolved failure record" in retried.out
    with loaded.database.read() as conn:
        rates = sync_tasks.failure_rates(conn)
    assert rates["resolved"].to_list() == [1]


@pytest.mark.usefixtures("failed_day")
def test_the_page_of_the_bars_says_so_too(call: Call) -> None:
    said = call("nightly")
    assert said.code == 0
    assert "1 failures of daily bars are unresolved, 1 wait for a person" in said.err


@pytest.mark.usefixtures("failed_day")
def test_heads_and_words_are_chinese_in_chinese_mode(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCK_ASSETS_LANGUAGE", "zh")
    for command in ("failures", "status"):
        lines = call(command).out.splitlines()
        heads = [line for line, below in pairwise(lines) if set(below) == {"─"}]
        assert [word for head in heads for word in head.split() if word.isascii() and word != "MB"] == []
    assert "1 项待人处理" in call("failures").out


def test_a_second_command_is_refused_while_one_works(loaded: Installation, far_end: BaoStockServer, call: Call) -> None:
    before = far_end.requests[BY_DAY]
    with sync_tasks.held(loaded.database, "DAILY_INCREMENTAL"):
        said = call("nightly", "--date", str(LAST))
    assert said.code == 75
    assert said.err.splitlines()[-1].startswith("a task of type DAILY_INCREMENTAL is running in another process")
    assert far_end.requests[BY_DAY] == before
