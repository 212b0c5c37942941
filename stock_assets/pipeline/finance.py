"""Finance reports into the store: a whole history, and the announcements up to a trading day.

Both are lists of work for the engine of `history`: one trigger runs them to their end, through failures and crashes.
"""

from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

from stock_assets.domain.errors import InvalidInput
from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.domain.quarters import periods_between
from stock_assets.pipeline.alarm import tell_outcome
from stock_assets.pipeline.finance_context import FinanceContext, FinanceReport
from stock_assets.pipeline.finance_desk import Desk
from stock_assets.pipeline.finance_history import ByPeriod, ByStock, stocks_to_ask
from stock_assets.pipeline.finance_increment import increment_of, read_stocks
from stock_assets.pipeline.gaps import check_days
from stock_assets.pipeline.history import SyncOutcome, WorkList, run_history_sync
from stock_assets.pipeline.report import DayOutcome
from stock_assets.sources.finance_planner import history_ways
from stock_assets.storage import ledger
from stock_assets.units import unit


def sync_finance_history(context: FinanceContext, ts_codes: Collection[str] | None = None) -> FinanceReport:
    """Bring every report since `context.since` into the store that is not there; `ts_codes` restricts it to some stocks.

    What was done before is not asked for again. The report's days are those that the run closed or left open.

    Errors: `AlreadyRunning`, `TaskLost`, `InvalidInput` when `since` is not over yet. What a source does is in the
    report, not raised.
    """
    if context.since > context.last_final():
        raise InvalidInput(
            problem=f"no period since {context.since} is published yet", problem_zh=f"{context.since} 以来尚无报告公布"
        )
    desk, report = _open(context, context.last_final())
    with _timed(report):
        return _history(desk, report, ts_codes)


def _history(desk: Desk, report: FinanceReport, ts_codes: Collection[str] | None) -> FinanceReport:
    context = desk.context
    stocks = stocks_to_ask(read_stocks(desk), context.since, desk.through, ts_codes)
    quarters = len(periods_between(context.since, context.today()))
    ways = history_ways(context.source.costs, stocks=stocks.height, quarters=quarters, batch_size=context.batch_size)
    config: dict[str, object] = {"source": context.source.name, "since": context.since.isoformat()}
    if ts_codes is not None:
        config["codes"] = sorted(ts_codes)
    if ts_codes is None and ways[0].way == "period":
        outcome = _run(desk, ByPeriod(desk), config)
    else:
        outcome = _run(desk, ByStock(desk, ts_codes), config, of=ts_codes)
    return _close(desk, report, outcome, context.calendar.between(context.since, desk.through))


def sync_finance_increment(context: FinanceContext, days: Sequence[date]) -> FinanceReport:
    """Bring every announcement up to the last of `days` (sessions) into the store, and close every day that is open.

    What failed before is asked for first. The report's days are `days`; one before `context.since` has no outcome.

    Errors: `AlreadyRunning`, `TaskLost`, `InvalidInput` for a day that is no session, `NotReady` for one that is not
    published. What a source does is in the report, not raised.
    """
    check_days(context.calendar, context.now(), days)
    if max(days) < context.since:
        return FinanceReport(days)
    desk, report = _open(context, max(days))
    with _timed(report):
        outcome = _run(desk, increment_of(desk), {"source": context.source.name, "since": context.since.isoformat()})
        return _close(desk, report, outcome, days)


@contextmanager
def _timed(report: FinanceReport) -> Generator[None]:
    """Leave the run's line in the log."""
    with unit("finance.run", slow_seconds=float("inf")) as work:
        yield
        work.add(days=len(report.days), items=report.items, requests=report.requests)
        work.add(rows=report.rows_written, failed=len(report.failed))


def _open(context: FinanceContext, through: date) -> tuple[Desk, FinanceReport]:
    report = FinanceReport()
    return Desk(context, report, through, context.now()), report


def _run(
    desk: Desk, work_list: WorkList[Any], config: Mapping[str, object], *, of: Collection[str] | None = None
) -> SyncOutcome:
    """Run the list to its end; with `of` it knows of these stocks only, and leaves the failures of others alone."""
    context = desk.context
    try:
        return run_history_sync(
            context.database,
            work_list,
            now=context.now,
            batch_size=context.batch_size,
            max_retries=context.max_retries,
            config=config,
            settled=lambda codes: codes if of is None else [code for code in codes if code in of],
            stop=context.stop,
            progress=context.progress,
        )
    finally:
        # Also when somebody stopped it: the ledger says what is open and why.
        desk.write_open_days()


def _close(desk: Desk, report: FinanceReport, outcome: SyncOutcome, days: Sequence[date]) -> FinanceReport:
    report.days = days
    tell_outcome(desk.context.notify, outcome)
    report.failed, report.need_a_person = outcome.failed, outcome.need_a_person
    report.stopped_by = outcome.stopped_by
    report.outcomes = _outcomes(desk.context, days)
    return report


def _outcomes(context: FinanceContext, days: Sequence[date]) -> list[DayOutcome]:
    if not days:
        return []
    with context.database.read() as conn:
        entries = ledger.read_entries(conn, FINANCE_INDICATOR.name, min(days), max(days))
    asked = set(days)
    return [
        DayOutcome(row["trade_date"], row["status"], None, row["rows_present"], row["rows_rejected"], row["detail"])
        for row in entries.iter_rows(named=True)
        if row["trade_date"] in asked
    ]
