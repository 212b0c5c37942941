"""What is missing is found at (stock, day), brought by one run of the same assets, and asked for no more than that."""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import polars as pl
import pytest
import sqlalchemy as sa
from dagster import DagsterInstance, DagsterRunStatus, RunRequest, SkipReason, build_sensor_context

from stock_assets.automation.jobs import NIGHTLY, REPAIR
from stock_assets.automation.repairs import repair_decision, repair_sensor
from stock_assets.definitions import build_definitions
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.indicators.table import TECHNICAL_DAILY
from stock_assets.pipeline.compute import compute_technicals
from stock_assets.pipeline.factors import ingest_factors
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.pipeline.repair import days_looked_at
from stock_assets.pipeline.snapshot import publish_snapshots
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.base import Market, Rows
from stock_assets.simulator.market import SimulatedMarket
from stock_assets.storage import completeness, ledger, snapshots
from stock_assets.storage.row_digests import digests
from stock_assets.wiring import Installation

FIRST, LAST = date(2026, 10, 12), date(2026, 11, 19)
BY_DAY, BY_CODE = "query_daily_history_k_AStock", "query_history_k_data_plus"
NightOf = Callable[[date], Installation]


@pytest.fixture
def at(new_installation: Callable[..., Installation], far_end: BaoStockServer) -> NightOf:
    """Return the installation on the evening of a day; the one of an earlier evening is closed."""
    opened: list[Installation] = []

    def on(day: date) -> Installation:
        while opened:
            opened.pop().close()
        opened.append(
            new_installation(
                STOCK_ASSETS_TODAY=day.isoformat(),
                BAOSTOCK_HOST=far_end.host,
                BAOSTOCK_PORT=str(far_end.port),
                INTEGRITY_CHECK_DAYS="45",
            )
        )
        return opened[-1]

    return on


def sessions(installation: Installation, first: date = FIRST, last: date = LAST) -> list[date]:
    """Return the days of the store."""
    return installation.calendar.between(first, last)


def load(installation: Installation, days: Sequence[date]) -> None:
    """Load days as a night would, all at once."""
    assert ingest_days(installation.pipeline(), days).failure() is None
    assert ingest_factors(installation.pipeline(), days).failure() is None
    compute_technicals(installation.technicals(), days)
    publish_snapshots(installation.snapshots(), days, installation.snapshot_folder)
    installation.baostock_pool.release_idle()


def delete(installation: Installation, where: str, **facts: object) -> int:
    """Take rows out of the store behind everyone's back."""
    with installation.database.begin() as conn:
        return conn.execute(sa.text(f"DELETE FROM {where}"), facts).rowcount  # noqa: S608  our own words


def digest(installation: Installation) -> dict[str, list[Any]]:
    """Return what is in the store, month by month, and the snapshots."""
    with installation.database.read() as conn:
        tables = {
            table.name: digests(conn, table, FIRST, LAST).rows()
            for table in (STOCK_DAILY, ADJUST_FACTOR, TECHNICAL_DAILY)
        }
        current = snapshots.current(conn, sessions(installation))
        return {**tables, "snapshots": sorted((day, row.snapshot_id) for day, row in current.items())}


def gaps(installation: Installation, dataset: str) -> set[tuple[str | None, date]]:
    """Return what coverage calls missing."""
    with installation.database.read() as conn:
        found = completeness.open_gaps(conn, dataset, FIRST, LAST, sources=installation.sources_in_use)
    return set(found.select("ts_code", "trade_date").iter_rows())


def carry_out(installation: Installation, instance: DagsterInstance, request: RunRequest) -> bool:
    """Run what a tick asks for; return whether it succeeded."""
    job = build_definitions(installation).resolve_job_def(REPAIR)
    config = {**request.run_config, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    result = job.execute_in_process(
        instance=instance,
        asset_selection=list(request.asset_selection or ()),
        run_config=config,
        tags=dict(request.tags),
        raise_on_error=False,
    )
    return result.success


def ask(installation: Installation, instance: DagsterInstance, **clock: Any) -> RunRequest | str:  # noqa: ANN401
    """Return what a tick of the sensor does: the run it asks for, or its reason for none."""
    decision = repair_decision(installation, instance, **clock)
    return decision if isinstance(decision, RunRequest) else str(decision.skip_message)


def assets_of(request: RunRequest | str) -> list[str]:
    """Return the assets of a run that a tick asks for."""
    assert isinstance(request, RunRequest), request
    return [key.to_user_string() for key in request.asset_selection or ()]


@pytest.mark.slow
def test_whatever_was_deleted_is_named_exactly_and_one_run_restores_the_digest(
    at: NightOf, far_end: BaoStockServer, instance: DagsterInstance
) -> None:
    installation = at(date(2026, 11, 20))
    days = sessions(installation)
    load(installation, days)
    whole = digest(installation)
    chance = random.Random(5)  # noqa: S311  repeatable
    with installation.database.read() as conn:
        bars = pl.read_database("SELECT ts_code, trade_date FROM stock_daily ORDER BY 2, 1", conn).rows()
        ex_dates = conn.execute(
            sa.text("SELECT ts_code, ex_date FROM adjust_factor WHERE ex_date >= :day"), {"day": FIRST}
        )
        factor_day = max(day for _, day in ex_dates)
        factors = set(
            conn.execute(
                sa.text("SELECT ts_code, ex_date FROM adjust_factor WHERE ex_date = :day"), {"day": factor_day}
            )
        )
    whole_days, stock = chance.sample(days[5:-5], 3), "600000.SH" if ("600000.SH", LAST) in bars else bars[0][0]
    gone = {bar for bar in bars if bar[1] in whole_days or bar[0] == stock} | set(chance.sample(bars, 100))
    codes, dates = zip(*gone, strict=True)
    pairs = "SELECT * FROM unnest(CAST(:codes AS text[]), CAST(:days AS date[]))"
    delete(installation, f"stock_daily WHERE (ts_code, trade_date) IN ({pairs})", codes=list(codes), days=list(dates))
    delete(installation, "adjust_factor WHERE ex_date = :day", day=factor_day)
    assert gaps(installation, STOCK_DAILY.name) == gone
    assert gaps(installation, ADJUST_FACTOR.name) == factors

    before = far_end.requests.copy()
    request = ask(installation, instance)
    assert assets_of(request) == ["stock_daily", "adjust_factor", "technical_daily", "cache_snapshot"]
    assert isinstance(request, RunRequest)
    assert carry_out(installation, instance, request)
    spent = far_end.requests - before
    assert digest(installation) == whole
    # No more than day by day, which is one each.
    assert spent[BY_DAY] + spent[BY_CODE] <= len(days)
    assert spent["query_daily_adjust_factor"] == 1

    before, rows = far_end.requests.copy(), versions(installation)
    assert "nothing is missing" in str(ask(installation, instance))
    assert far_end.requests == before
    assert versions(installation) == rows


def versions(installation: Installation) -> list[Any]:
    """Return every row of the ledger and of the bars with its row version, so that any write shows."""
    with installation.database.read() as conn:
        return [
            sorted(map(tuple, conn.execute(sa.text(f"SELECT ctid::text, xmin::text FROM {table}"))))  # noqa: S608  our own names
            for table in ("stock_daily", "load_ledger", "adjust_factor", "technical_daily", "asked_gap")
        ]


def test_lost_indicators_and_snapshots_are_made_again_without_a_request(
    at: NightOf, far_end: BaoStockServer, instance: DagsterInstance
) -> None:
    installation = at(date(2026, 11, 20))
    days = sessions(installation)[-8:]
    load(installation, days)
    whole = digest(installation)
    delete(installation, "technical_daily WHERE trade_date = :day AND ts_code < '300000'", day=days[3])
    delete(installation, "cache_snapshot WHERE trade_date = :day", day=days[5])
    delete(installation, "load_ledger WHERE dataset = 'cache_snapshot' AND trade_date = :day", day=days[5])
    before = far_end.requests.copy()
    first = ask(installation, instance)
    assert assets_of(first) == ["technical_daily", "cache_snapshot"]
    assert carry_out(installation, instance, cast("RunRequest", first))
    second = ask(installation, instance)
    assert assets_of(second) == ["cache_snapshot"]
    assert carry_out(installation, instance, cast("RunRequest", second))
    assert digest(installation) == whole
    assert "nothing is missing" in str(ask(installation, instance))
    assert far_end.requests == before


@pytest.mark.slow
def test_after_twelve_trading_days_off_the_days_come_without_a_manual_act(
    at: NightOf, far_end: BaoStockServer, instance: DagsterInstance
) -> None:
    earlier = at(date(2026, 10, 30))
    load(earlier, sessions(earlier, FIRST, date(2026, 10, 30)))
    installation = at(date(2026, 11, 18))
    off = sessions(installation, date(2026, 11, 2), date(2026, 11, 17))
    assert len(off) == 12
    request = ask(installation, instance)
    assert isinstance(request, RunRequest)
    assert request.tags["dagster/asset_partition_range_start"] == str(off[0])
    # The newest day is the business of its own evening.
    assert request.tags["dagster/asset_partition_range_end"] == str(off[-1])
    before = far_end.requests.copy()
    assert carry_out(installation, instance, request)
    assert (far_end.requests - before)[BY_DAY] == len(off)
    with installation.database.read() as conn:
        for dataset in ("stock_daily", "adjust_factor", "technical_daily", "cache_snapshot"):
            assert ledger.closed_days(conn, dataset, off[0], off[-1]) == set(off), dataset
    assert "nothing is missing" in str(ask(installation, instance))


@pytest.mark.slow
def test_the_same_gaps_are_tried_with_growing_pauses_and_each_attempt_has_one_key(
    at: NightOf, far_end: BaoStockServer, instance: DagsterInstance
) -> None:
    installation = at(date(2026, 11, 20))
    days = sessions(installation)[-6:]
    load(installation, [day for day in days if day != days[2]])
    far_end.faults = f"half_published:{BY_DAY}"
    first, again = ask(installation, instance), ask(installation, instance)
    assert isinstance(first, RunRequest)
    assert isinstance(again, RunRequest)
    assert first.run_key == again.run_key
    delete(installation, "stock_daily WHERE trade_date = :day", day=days[2])
    assert not carry_out(installation, instance, first)
    # What came of the half counts as progress: other gaps, other runs. Those that stay the same wait.
    keys, moment = {first.run_key}, datetime.now(UTC)
    pauses: list[timedelta] = []
    for _ in range(3):
        delete(installation, "stock_daily WHERE trade_date = :day", day=days[2])
        delete(installation, "technical_daily WHERE trade_date = :day", day=days[2])
        waited = timedelta(0)
        while isinstance(answer := ask(installation, instance, clock=lambda at=moment + waited: at), str):
            assert "again after" in answer
            waited += timedelta(minutes=10)
        pauses.append(waited)
        assert answer.run_key not in keys
        keys.add(answer.run_key)
        assert not carry_out(installation, instance, answer)
    assert pauses[0] < pauses[1] < pauses[2]


def test_days_that_a_run_works_on_are_left_alone(at: NightOf, instance: DagsterInstance) -> None:
    installation = at(date(2026, 11, 20))
    days = sessions(installation)[-10:]
    load(installation, days)
    delete(installation, "stock_daily WHERE trade_date = ANY(:days)", days=[days[2], days[6]])
    job = build_definitions(installation).resolve_job_def(REPAIR)
    tags = {"dagster/asset_partition_range_start": str(days[0]), "dagster/asset_partition_range_end": str(days[4])}
    backfill = instance.create_run_for_job(job, status=DagsterRunStatus.NOT_STARTED, tags=tags)
    assert ask(installation, instance) == "a repair is under way"
    instance.report_run_canceled(backfill, "by the test")
    history = build_definitions(installation).resolve_job_def("sync_history_daily_data_job")
    backfill = instance.create_run_for_job(history, status=DagsterRunStatus.NOT_STARTED, tags=tags)
    request = ask(installation, instance)
    assert isinstance(request, RunRequest)
    assert set(request.tags.values()) >= {str(days[6])}
    assert str(days[2]) not in request.tags.values()
    instance.report_run_canceled(backfill, "by the test")
    # A nightly run looks back over the whole month.
    night = build_definitions(installation).resolve_job_def(NIGHTLY)
    instance.create_run_for_job(
        night,
        status=DagsterRunStatus.NOT_STARTED,
        tags={"dagster/partition": "2026-11-20", "stock_assets/job_type": "DAILY_INCREMENTAL"},
    )
    assert "nothing is missing" in str(ask(installation, instance))


class WithoutOne:
    """The market without one stock's bar of one day."""

    def __init__(self, market: SimulatedMarket, code: str, day: date) -> None:
        self._market, self._code, self._day = market, code, day

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever the market has
        return getattr(self._market, name)

    def daily_bars(self, day: date) -> Rows:
        """Return the day's rows."""
        return [row for row in self._market.daily_bars(day) if day != self._day or row[1] != self._code]

    def stock_bars(self, *asked: Any) -> Rows:  # noqa: ANN401  as the market's
        """Return the stock's rows."""
        rows = self._market.stock_bars(*asked)
        return [row for row in rows if (row[1], row[0]) != (self._code, str(self._day))]


def test_what_no_source_has_is_asked_for_on_two_days_and_never_again(
    at: NightOf, far_end: BaoStockServer, market: SimulatedMarket, instance: DagsterInstance
) -> None:
    gap_day = date(2026, 11, 10)
    code = next(row[1] for row in market.daily_bars(gap_day))
    ts_code = f"{code[3:]}.{code[:2].upper()}"
    far_end.market = cast("Market", WithoutOne(market, code, gap_day))
    evening = at(date(2026, 11, 17))
    load(evening, sessions(evening, date(2026, 11, 2), date(2026, 11, 16)))
    assert len(gaps(evening, STOCK_DAILY.name) & {(ts_code, gap_day)}) == 1
    # Asked today already.
    assert "nothing is missing" in str(ask(evening, instance))
    next_evening = at(date(2026, 11, 18))
    request = ask(next_evening, instance)
    assert isinstance(request, RunRequest)
    assert request.tags["dagster/asset_partition_range_start"] == str(gap_day)
    assert carry_out(next_evening, instance, request)
    for evening in (next_evening, at(date(2026, 11, 19))):
        assert (ts_code, gap_day) not in gaps(evening, STOCK_DAILY.name)
    later = ask(at(date(2026, 11, 20)), instance)
    assert isinstance(later, RunRequest)
    assert later.tags["dagster/asset_partition_range_start"] > str(gap_day)


def test_an_empty_store_and_one_that_wants_no_repairs_say_so(
    new_installation: Callable[..., Installation], instance: DagsterInstance
) -> None:
    assert "nothing is loaded yet" in str(ask(new_installation(), instance))
    assert "repairs are off" in str(ask(new_installation(INTEGRITY_CHECK_DAYS="0"), instance))


def test_a_store_that_was_off_for_longer_than_its_window_is_looked_at_from_its_newest_day_on(at: NightOf) -> None:
    early = at(date(2026, 8, 31))
    assert ingest_days(early.pipeline(), sessions(early, date(2026, 8, 24), date(2026, 8, 28))).failure() is None
    installation = at(date(2026, 11, 20))
    with installation.database.read() as conn:
        found = days_looked_at(conn, installation.calendar, installation.now(), 45)
    assert found == sessions(installation, date(2026, 8, 28), date(2026, 11, 19))


def test_a_store_that_is_not_there_is_a_reason_and_no_failed_tick(
    new_installation: Callable[..., Installation], instance: DagsterInstance
) -> None:
    installation = new_installation(STOCK_ASSETS_DATABASE_URL="postgresql://keeper@127.0.0.1:1/nowhere")
    answer = repair_sensor(installation)(build_sensor_context(instance=instance))
    assert isinstance(answer, SkipReason)
    assert "database" in str(answer.skip_message)
