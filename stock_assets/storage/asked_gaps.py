"""Gaps that a source was asked for and could not fill: when it is asked again, and when it has proven to have none.

A source has proven it once it answered wholly, without the row, on two different days in Shanghai; a gap is proven when
every source in use that has the stock's exchange has. So a source that comes into use later opens the gap again. Where a
function takes `sources` (name -> exchanges), None means: whoever was ever asked for the gap.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Final

import polars as pl
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import Connection

from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.completeness import ASKED_DAYS_OF_PROOF, SourcesInUse, ask_again_on
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.storage.copy_frames import copy_out, refusals

GAP_SCHEMA: Final = {"ts_code": pl.String(), "trade_date": pl.Date()}
# The tables whose rows may be lacking, with their column of days.
_DAY_OF: Final = {STOCK_DAILY.name: "trade_date", ADJUST_FACTOR.name: "ex_date"}
# A row that was refused did come, and one whose stock cannot be read may be anybody's.
_NOTE: Final = """
    INSERT INTO asked_gap AS known
        (dataset, ts_code, trade_date, source, asked_days, first_asked_on, last_asked_on, ask_again_at)
    SELECT :dataset, gap.ts_code, gap.day, :source, 1, :today, :today, CAST(:first_again AS timestamptz)
    FROM unnest(CAST(:ts_codes AS text[]), CAST(:days AS date[])) AS gap(ts_code, day)
    WHERE NOT EXISTS (SELECT FROM {table} AS held WHERE held.ts_code = gap.ts_code AND held.{day} = gap.day)
      AND NOT EXISTS (SELECT FROM rejected_row AS refused
                      WHERE refused.dataset = :dataset AND refused.trade_date = gap.day AND refused.resolved_at IS NULL
                        AND (refused.ts_code = gap.ts_code OR refused.ts_code IS NULL))
    ON CONFLICT (dataset, ts_code, trade_date, source) DO UPDATE SET
        asked_days = known.asked_days + 1,
        last_asked_on = excluded.last_asked_on,
        ask_again_at = (CAST(:waits AS timestamptz[]))[least(known.asked_days + 1, array_length(CAST(:waits AS timestamptz[]), 1))]
    WHERE known.last_asked_on < excluded.last_asked_on
    RETURNING trade_date
"""
_FORGET: Final = """
    DELETE FROM asked_gap AS known WHERE known.dataset = :dataset AND known.trade_date = ANY(:days)
      AND (EXISTS (SELECT FROM {table} AS held WHERE held.ts_code = known.ts_code AND held.{day} = known.trade_date)
           OR EXISTS (SELECT FROM rejected_row AS refused
                      WHERE refused.dataset = :dataset AND refused.trade_date = known.trade_date
                        AND refused.resolved_at IS NULL AND refused.ts_code = known.ts_code))
"""
# After so many the wait is at its longest.
_WAITS: Final = 7
_PROVEN_BY_ASKED: Final = """
    SELECT ts_code, trade_date FROM asked_gap
    WHERE dataset = {dataset} AND trade_date BETWEEN {start} AND {end}
    GROUP BY ts_code, trade_date HAVING bool_and(asked_days >= {proof})
"""
_PROVEN_BY_ALL: Final = """
    SELECT known.ts_code, known.trade_date
    FROM asked_gap AS known
    JOIN unnest({names}::text[], {exchanges}::text[], {needed}::int[]) AS in_use(source, exchange, needed)
        ON in_use.source = known.source AND in_use.exchange = substr(known.ts_code, 8)
    WHERE known.dataset = {dataset} AND known.trade_date BETWEEN {start} AND {end} AND known.asked_days >= {proof}
    GROUP BY known.ts_code, known.trade_date HAVING count(*) = min(in_use.needed)
"""
_WAITING: Final = """
    SELECT known.ts_code, known.trade_date
    FROM asked_gap AS known
    JOIN unnest({names}::text[], {exchanges}::text[], {needed}::int[]) AS in_use(source, exchange, needed)
        ON in_use.source = known.source AND in_use.exchange = substr(known.ts_code, 8)
    WHERE known.dataset = {dataset} AND known.trade_date BETWEEN {start} AND {end}
      AND (known.asked_days >= {proof} OR known.ask_again_at > {now})
    GROUP BY known.ts_code, known.trade_date HAVING count(*) = min(in_use.needed)
"""


def note(conn: Connection, dataset: str, source: str, gaps: pl.DataFrame, *, today: date) -> set[date]:
    """Write down that `source` answered wholly for these gaps (ts_code, trade_date) and has no such row.

    A gap whose row is there, or was refused, is left out; asking twice on one day counts once. Return the days of which
    something was written.
    """
    if gaps.is_empty():
        return set()
    table, day = _of(dataset)
    statement = sa.text(_NOTE.format(table=table, day=day))
    waits = [_midnight(ask_again_on(asked, today)) for asked in range(1, _WAITS + 1)]
    facts = {
        "dataset": dataset,
        "source": source,
        "today": today,
        "first_again": waits[0],
        "waits": waits,
        "ts_codes": gaps["ts_code"].to_list(),
        "days": gaps["trade_date"].to_list(),
    }
    with refusals("asked_gap"):
        return set(conn.scalars(statement, facts))


def forget_landed(conn: Connection, dataset: str, days: Collection[date]) -> int:
    """Delete what stands of these days for rows that are there now, or were refused; return how many."""
    table, day = _of(dataset)
    statement = sa.text(_FORGET.format(table=table, day=day))
    return conn.execute(statement, {"dataset": dataset, "days": sorted(days)}).rowcount


def noted(conn: Connection, dataset: str, days: Sequence[date]) -> pl.DataFrame:
    """Return ts_code and trade_date of everything that stands of these days, whoever was asked and how often."""
    query = sql.SQL(
        "SELECT DISTINCT ts_code, trade_date FROM asked_gap WHERE dataset = {} AND trade_date = ANY({}::date[])"
    ).format(dataset, list(days))
    return copy_out(conn, query, GAP_SCHEMA)


def proven(
    conn: Connection, dataset: str, start: date, end: date, *, sources: SourcesInUse | None = None
) -> pl.DataFrame:
    """Return ts_code and trade_date of the gaps of [start, end] that no source has, by day and code.

    Rows that came another way since, and days outside of a listing, are not looked at here.
    """
    query = proven_gaps(dataset, start, end, sources)
    return copy_out(conn, query, GAP_SCHEMA).sort("trade_date", "ts_code")


def proven_on(
    conn: Connection, dataset: str, days: Sequence[date], *, sources: SourcesInUse | None = None
) -> dict[date, set[str]]:
    """Return by day the stocks of which no source has the row; days without any are left out."""
    if not days:
        return {}
    found = proven(conn, dataset, min(days), max(days), sources=sources).filter(pl.col("trade_date").is_in(list(days)))
    by_day = found.group_by("trade_date").agg("ts_code")
    return {day: set(codes) for day, codes in by_day.iter_rows()}


def waiting(  # noqa: PLR0913  the gaps, the moment and who is asked
    conn: Connection, dataset: str, start: date, end: date, *, now: datetime, sources: SourcesInUse
) -> pl.DataFrame:
    """Return ts_code and trade_date of the gaps of [start, end] that need not be asked for at `now`, by day and code.

    They are those for which no source in use is due: each has proven to have none, or is to be asked later.
    """
    query = sql.SQL(_WAITING).format(**_facts(dataset, start, end, sources), now=now)
    return copy_out(conn, query, GAP_SCHEMA).sort("trade_date", "ts_code")


def due(conn: Connection, dataset: str, gaps: pl.DataFrame, *, now: datetime, sources: SourcesInUse) -> pl.DataFrame:
    """Return those of `gaps` (ts_code, trade_date) for which at least one source in use is to be asked at `now`."""
    if gaps.is_empty():
        return gaps
    start, end = gaps.select(pl.col("trade_date").min().alias("first"), pl.col("trade_date").max().alias("last")).row(0)
    return gaps.join(
        waiting(conn, dataset, start, end, now=now, sources=sources),
        on=["ts_code", "trade_date"],
        how="anti",
        maintain_order="left",
    )


def proven_gaps(dataset: str, start: date, end: date, sources: SourcesInUse | None) -> sql.Composed:
    """Return the query of what `proven` returns, for use inside others."""
    if sources is None:
        return sql.SQL(_PROVEN_BY_ASKED).format(dataset=dataset, start=start, end=end, proof=ASKED_DAYS_OF_PROOF)
    return sql.SQL(_PROVEN_BY_ALL).format(**_facts(dataset, start, end, sources))


def _facts(dataset: str, start: date, end: date, sources: SourcesInUse) -> dict[str, object]:
    pairs = sorted((name, exchange) for name, exchanges in sources.items() for exchange in exchanges)
    needed = [sum(other == exchange for _, other in pairs) for _, exchange in pairs]
    return {
        "dataset": dataset,
        "start": start,
        "end": end,
        "names": [name for name, _ in pairs],
        "exchanges": [exchange for _, exchange in pairs],
        "needed": needed,
        "proof": ASKED_DAYS_OF_PROOF,
    }


def _of(dataset: str) -> tuple[str, str]:
    return dataset, _DAY_OF[dataset]


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=SHANGHAI)
