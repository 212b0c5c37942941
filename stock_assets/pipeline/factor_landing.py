"""Factors into the store: the rows, what was refused of them and the ledger's line of each day, in one transaction.

The bars must agree: if more stocks opened below their last close than factors came, the day stays open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import polars as pl

from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.codes import Exchange
from stock_assets.domain.tables import ADJUST_FACTOR
from stock_assets.pipeline.context import PipelineContext
from stock_assets.pipeline.landing import entry_of, rejected_rows, row_texts, save_raw, stamp
from stock_assets.pipeline.report import DayOutcome
from stock_assets.storage import asked_gaps, bars, bulk_load, factor_gaps, ledger, rejects
from stock_assets.storage.database import Connection
from stock_assets.storage.day_state import ex_day_signs

_DATASET = ADJUST_FACTOR.name


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorLanding:
    """What one transaction brings for `days`, and what is known of them beside it.

    `ts_codes` are the stocks that were asked about, None for all; `unanswered` counts those that gave no answer;
    `without_level` counts, by day, factors that could not be put on the level of the stored ones; `left` has the
    exchanges that still nobody answered for, `sources` who did.
    """

    answer: pl.DataFrame
    factors: pl.DataFrame
    rejected: pl.DataFrame
    days: tuple[date, ...]
    ts_codes: Sequence[str] | None
    unanswered: int
    without_level: Mapping[date, int]
    left: Mapping[date, frozenset[Exchange]]
    sources: Mapping[date, set[str]]
    started_at: datetime


def land_factors(
    context: PipelineContext, landing: FactorLanding
) -> tuple[list[tuple[DayOutcome, bool]], bulk_load.Counts]:
    """Commit it; return how each day stands and whether the source is done with it, and the rows written."""
    now, days = context.now(), landing.days
    with context.database.begin() as conn:
        ledger.lock_days(conn, _DATASET, days)
        before = ledger.closed_rows(conn, _DATASET, days)
        save_raw(conn, context, context.source.raw_factors(landing.answer), now)
        rows = landing.factors.drop("raw_row").with_columns(
            pl.lit(context.source.name).alias("source"), stamp(now).alias("updated_at")
        )
        counts = bulk_load.load(conn, ADJUST_FACTOR, ADJUST_FACTOR.conform(rows), run_id=context.run_id)
        _save_rejected(conn, context, landing, now)
        rejected, present = rejects.open_counts(conn, _DATASET, days), bars.factor_counts(conn, days)
        gone = _note_gone(conn, context, landing, [day for day in days if before.get(day, 0) > present.get(day, 0)])
        outcomes: list[tuple[DayOutcome, bool]] = []
        for day in days:
            outcome, is_answered = _outcome(conn, context, landing, day, present.get(day, 0), rejected.get(day, 0))
            if outcome.status in ledger.CLOSED and (lost := gone.get(day, 0)):
                detail = f"{lost} factors that were there did not come again"
                outcome = replace(outcome, status="partial", rows_expected=outcome.rows_present + lost, detail=detail)
            entry = entry_of(
                context, _DATASET, outcome, started_at=landing.started_at, now=now, sources=landing.sources[day]
            )
            ledger.write_entry(conn, entry)
            outcomes.append((outcome, is_answered))
    return outcomes, counts


def _note_gone(
    conn: Connection, context: PipelineContext, landing: FactorLanding, short: Sequence[date]
) -> dict[date, int]:
    """Note which factors that were there once did not come; return by day how many are not proven to be nowhere.

    `short` are days of which more had been stored. Where nobody knows whose they were, the source's word counts.
    """
    days = list(landing.days)
    asked_gaps.forget_landed(conn, _DATASET, days)
    lacking = pl.concat([factor_gaps.of_days(conn, short), asked_gaps.noted(conn, _DATASET, days)]).unique()
    if landing.unanswered == 0:
        asked = lacking.filter(pl.col("ts_code").str.slice(7).is_in(list(context.source.exchanges)))
        today = context.now().astimezone(SHANGHAI).date()
        asked_gaps.note(conn, _DATASET, context.source.name, asked, today=today)
    # One source answers for an exchange's factors, so the others are not asked.
    proven = asked_gaps.proven(conn, _DATASET, min(days), max(days))
    left = lacking.join(proven, on=["ts_code", "trade_date"], how="anti")
    return dict(left.group_by("trade_date").len().iter_rows())


def _save_rejected(conn: Connection, context: PipelineContext, landing: FactorLanding, now: datetime) -> None:
    days = list(landing.days)
    filed = pl.when(pl.col("trade_date").is_in(days)).then(pl.col("trade_date")).otherwise(pl.lit(days[0]))
    texts = row_texts(landing.answer, landing.rejected["raw_row"])
    refused = rejected_rows(context, _DATASET, landing.rejected.with_columns(filed.alias("day"), texts), now)
    rejects.save_rejected(conn, _DATASET, days, refused, ts_codes=landing.ts_codes)


def _outcome(  # noqa: PLR0913  what is known of a day
    conn: Connection, context: PipelineContext, landing: FactorLanding, day: date, rows: int, rejected: int
) -> tuple[DayOutcome, bool]:
    if problem := _problem(landing, day, rejected):
        return DayOutcome(day, "partial", None, rows, rejected, problem), False
    if left := landing.left[day]:
        return DayOutcome(day, "partial", None, rows, detail=f"no answer for {', '.join(sorted(left))} yet"), True
    before = context.calendar.previous(day)
    signs = ex_day_signs(conn, day, before) if before else 0
    if signs > rows:
        came = f"{rows} factors" if rows else "no factor"
        detail = f"{signs} stocks opened ex-right and {came} came"
        return DayOutcome(day, "partial", signs, rows, detail=detail), False
    return DayOutcome(day, "complete" if rows else "empty", rows, rows), True


def _problem(landing: FactorLanding, day: date, rejected: int) -> str | None:
    """Return what is wrong with the answer for a day, for people."""
    if landing.unanswered:
        return f"{landing.unanswered} stocks gave no answer"
    if rejected:
        return f"{rejected} rejected"
    if lost := landing.without_level.get(day, 0):
        return f"{lost} factors could not be put on the level of the stored ones"
    return None
