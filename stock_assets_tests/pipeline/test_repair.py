"""Which days a repair looks for, and how far its run reaches."""

import polars as pl
import pytest

from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.pipeline.factors import ingest_factors
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.pipeline.repair import Gaps, find_gaps, next_repair
from stock_assets.simulator.faults import Fault, FaultPlan
from stock_assets.simulator.market import SimulatedMarket
from stock_assets.storage import ledger
from stock_assets.storage.asked_gaps import GAP_SCHEMA
from stock_assets_tests.pipeline.conftest import SESSIONS, Workshop

# Three stocks go ex-right on the last of them.
DAYS = SESSIONS[70:73]


@pytest.fixture(scope="session")
def market() -> SimulatedMarket:
    """A year of thirty stocks, each with a bar on each of these days."""
    return SimulatedMarket(31, 30, sessions=SESSIONS)


def gaps(workshop: Workshop) -> Gaps:
    """Return what the days lack."""
    context = workshop.context
    with context.database.read() as conn:
        return find_gaps(conn, DAYS, now=context.now(), sources=context.in_use)


def closed(workshop: Workshop, dataset: str) -> set[object]:
    """Return the days that are closed."""
    with workshop.database.read() as conn:
        return set(ledger.closed_days(conn, dataset, DAYS[0], DAYS[-1]))


@pytest.mark.parametrize("dataset", [STOCK_DAILY.name, ADJUST_FACTOR.name])
def test_a_day_that_lacks_nothing_and_has_refused_rows_is_asked_for_again(workshop: Workshop, dataset: str) -> None:
    context, is_bars = workshop.context, dataset == STOCK_DAILY.name
    methods = ("query_daily_history_k_AStock",) if is_bars else ("query_daily_adjust_factor",)
    ingest_days(context, DAYS[:-1])
    workshop.server.faults = FaultPlan(tuple(Fault("duplicate_rows", method) for method in methods))
    ingest_days(context, DAYS)
    ingest_factors(context, DAYS)
    assert DAYS[-1] not in closed(workshop, dataset)
    found = gaps(workshop).bars if is_bars else gaps(workshop).factors
    assert (None, DAYS[-1]) in found.rows()
    workshop.server.faults = None
    ingest_days(context, DAYS, only_due=True)
    ingest_factors(context, DAYS)
    assert closed(workshop, dataset) == set(DAYS)
    assert (gaps(workshop).bars.height, gaps(workshop).factors.height) == (0, 0)


def test_snapshots_of_later_days_are_looked_at_again() -> None:
    gap = pl.DataFrame([("600000.SH", DAYS[0])], schema=GAP_SCHEMA, orient="row")
    none = gap.clear()
    for bars, factors, snapshots in ((gap, none, none), (none, gap, none), (none, none, gap)):
        repair = next_repair(Gaps(bars, factors, none, snapshots, keeps_snapshots=True, last_snapshot=DAYS[-1]))
        assert repair is not None
        assert (repair.first, repair.last) == (DAYS[0], DAYS[-1])
