"""A finance history that is killed again and again ends as if nothing had happened, and keeps to the source's limit."""

import sys
from pathlib import Path

import pytest

from stock_assets.storage.database import Database
from stock_assets_tests.databases import Server, own_database
from stock_assets_tests.faults.finance_history import LIMIT, Measured, history, predicted

STOCKS, BATCH, KILLS = 120, 12, 3


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="killed as on POSIX")
def test_a_history_that_is_killed_ends_as_if_nothing_had_happened(
    server: Server, migrated_template: str, tmp_path: Path
) -> None:
    def run(kills: int) -> Measured:
        with own_database(server, migrated_template) as url:
            database = Database(url)
            try:
                return history(database, url, tmp_path, stocks=STOCKS, batch_size=BATCH, kills=kills, seed=kills)
            finally:
                database.close()

    calm, hostile = run(0), run(KILLS)
    assert hostile.kills == KILLS
    assert hostile.digest == calm.digest
    assert hostile.ledger == calm.ledger
    assert {row[1] for row in calm.ledger} <= {"complete", "empty"}
    assert calm.requests <= hostile.requests <= calm.requests + KILLS * (BATCH + 1)
    assert hostile.requests > calm.requests
    for measured in (calm, hostile):
        assert measured.busiest_minute <= LIMIT
        assert measured.refused == 0
    plan = predicted(STOCKS, BATCH)
    assert abs(plan.requests - calm.requests) <= 0.05 * calm.requests
    assert abs(plan.seconds - calm.virtual_seconds) <= 0.05 * calm.virtual_seconds
