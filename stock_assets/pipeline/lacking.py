"""What an answer lacks: which gaps a source has spoken about, and which of them it is taken to have no row for.

Such gaps are written down in the transaction of the rows that did come. One that is proven then is a gap no longer.
"""

from collections.abc import Sequence
from datetime import date

import polars as pl

from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.completeness import is_half_published, is_settled, tells_what_it_lacks
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.pipeline.context import PipelineContext
from stock_assets.sources.planner import CodeCall
from stock_assets.storage import asked_gaps, coverage
from stock_assets.storage.asked_gaps import GAP_SCHEMA
from stock_assets.storage.database import Connection

_DATASET = STOCK_DAILY.name


def no_gaps() -> pl.DataFrame:
    """Return no gap: ts_code, trade_date."""
    return pl.DataFrame(schema=GAP_SCHEMA)


def spoken_of_by_day(
    context: PipelineContext, gaps: pl.DataFrame, day: date, accepted: pl.DataFrame, expected: int
) -> pl.DataFrame:
    """Return those of `gaps` on `day` that a whole-market answer has spoken about: none, if it is half published.

    `accepted` are the answer's good rows, `expected` counts the stocks it should have had.
    """
    came = accepted.filter(
        (pl.col("trade_date") == day) & pl.col("ts_code").str.slice(7).is_in(list(context.source.exchanges))
    ).height
    is_whole = tells_what_it_lacks(came, expected, day=day, today=_today(context))
    return _covered(context, gaps).filter((pl.col("trade_date") == day) & pl.lit(is_whole))


def spoken_of_by_stock(context: PipelineContext, gaps: pl.DataFrame, calls: Sequence[CodeCall]) -> pl.DataFrame:
    """Return those of `gaps` that lie in the stretch of an answered call."""
    if not calls:
        return no_gaps()
    stretches = pl.DataFrame(
        [(call.ts_code, call.start, call.end) for call in calls],
        schema={"ts_code": pl.String(), "first": pl.Date(), "last": pl.Date()},
        orient="row",
    )
    inside = (pl.col("trade_date") >= pl.col("first")) & (pl.col("trade_date") <= pl.col("last"))
    paired = _covered(context, gaps).join(stretches, on="ts_code", maintain_order="left")
    return paired.filter(inside).select(list(GAP_SCHEMA)).unique(maintain_order=True)


def note_lacking(conn: Connection, context: PipelineContext, asked: pl.DataFrame, *, is_by_stock: bool) -> None:
    """Write down which of the gaps that a source has spoken about (`asked`) it has no row for; rows are in by now.

    A stock's answer says nothing about its market: as long as the source may still be publishing a day, only a day that
    the store has nearly whole counts.
    """
    if is_by_stock:
        asked = _of_whole_days(conn, context, asked)
    asked_gaps.note(conn, _DATASET, context.source.name, asked, today=_today(context))


def _of_whole_days(conn: Connection, context: PipelineContext, asked: pl.DataFrame) -> pl.DataFrame:
    today = _today(context)
    young = [day for day in asked["trade_date"].unique().sort() if not is_settled(day, today)]
    if not young:
        return asked
    others = {"SH", "SZ", "BJ"} - set(context.source.exchanges)
    counts = coverage.day_counts(conn, young[0], young[-1], exclude_exchanges=others, sources=context.in_use)
    open_still = [
        day
        for day, expected, present in counts.select("trade_date", "expected", "present").iter_rows()
        if expected - present > 1 and is_half_published(present, expected)
    ]
    known = set(counts["trade_date"])
    return asked.filter(~pl.col("trade_date").is_in([*open_still, *(day for day in young if day not in known)]))


def _covered(context: PipelineContext, gaps: pl.DataFrame) -> pl.DataFrame:
    """Return the gaps of stocks that the source has at all."""
    return gaps.filter(pl.col("ts_code").str.slice(7).is_in(list(context.source.exchanges)))


def _today(context: PipelineContext) -> date:
    return context.now().astimezone(SHANGHAI).date()
