"""What became of every row that should be there: by day in numbers, and gap by gap in names.

Each dataset has its own expectation. `stock_daily`: one bar for each stock listed on each session. `technical_daily`: one row
for each bar of a stock that traded. `adjust_factor`: what the ledger's line of a day says was there. `finance_indicator` and
`cache_snapshot`: each session from the first one on that the store has of them. Where a function takes `sources`, see
`asked_gaps`.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

import polars as pl
from psycopg import sql
from sqlalchemy import Connection

from stock_assets.domain.completeness import SourcesInUse, State
from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.domain.snapshot_tables import CACHE_SNAPSHOT
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.indicators.table import TECHNICAL_DAILY
from stock_assets.storage import coverage, factor_gaps
from stock_assets.storage.asked_gaps import GAP_SCHEMA, proven_gaps
from stock_assets.storage.copy_frames import copy_out, driver
from stock_assets.storage.coverage import EXPECTED, LISTED, NONE
from stock_assets.storage.technicals import IN_SERIES

DATASETS: Final = (
    STOCK_DAILY.name, ADJUST_FACTOR.name, TECHNICAL_DAILY.name, FINANCE_INDICATOR.name, CACHE_SNAPSHOT.name,
)  # fmt: skip
BY_STOCK: Final = (STOCK_DAILY.name, TECHNICAL_DAILY.name)
"""The datasets that have a state for every stock on every session."""

_COUNTS: Final = ("present", "suspended", "not_listed", "source_has_none", "rejected", "missing")
COUNT_SCHEMA: Final = {
    "trade_date": pl.Date(),
    "expected": pl.Int64(),
    **{name: pl.Int64() for name in _COUNTS},
    "status": pl.String(),
}

# Counted beside the table of securities itself: beside `listed`, of which the planner knows nothing, it would look into the
# bars stock by stock, and on its own.
_BAR_STATES: Final = f"""
    WITH listed AS MATERIALIZED ({LISTED}), expected AS ({EXPECTED}), held AS (
        SELECT bar.trade_date, count(*) FILTER (WHERE NOT bar.is_suspended) AS present,
               count(*) FILTER (WHERE bar.is_suspended) AS suspended
        FROM stock_daily AS bar JOIN security ON security.ts_code = bar.ts_code AND bar.trade_date >= list_date
            AND bar.trade_date < coalesce(delist_date, 'infinity')
        WHERE bar.trade_date BETWEEN {{start}} AND {{end}} GROUP BY bar.trade_date
    ), none AS MATERIALIZED ({NONE}), refused AS ({{refused_by_day}}),
    ledger AS (SELECT trade_date, status FROM load_ledger WHERE dataset = 'stock_daily'),
    whole AS (SELECT count(*) AS stocks FROM listed)
    SELECT trade_date, expected, coalesce(present, 0), coalesce(suspended, 0), stocks - expected, coalesce(none, 0),
           coalesce(rejected, 0),
           expected - coalesce(present, 0) - coalesce(suspended, 0) - coalesce(none, 0) - coalesce(rejected, 0), status
    FROM expected CROSS JOIN whole LEFT JOIN held USING (trade_date) LEFT JOIN none USING (trade_date)
         LEFT JOIN refused USING (trade_date) LEFT JOIN ledger USING (trade_date)
    ORDER BY trade_date
"""  # noqa: S608  (built from constants)
# Of listed stocks without a bar.
_REFUSED: Final = """
    SELECT DISTINCT refused.ts_code, refused.trade_date FROM rejected_row AS refused JOIN listed
        ON listed.ts_code = refused.ts_code AND refused.trade_date >= list_date AND refused.trade_date < delist_date
    WHERE refused.dataset = 'stock_daily' AND refused.resolved_at IS NULL
      AND refused.trade_date BETWEEN {start} AND {end}
      AND NOT EXISTS (SELECT FROM stock_daily AS bar
                      WHERE bar.ts_code = refused.ts_code AND bar.trade_date = refused.trade_date)
"""
_REFUSED_BY_DAY: Final = f"SELECT trade_date, count(*) AS rejected FROM ({_REFUSED}) AS pair GROUP BY trade_date"  # noqa: S608
_REFUSED_PAIRS: Final = f"WITH listed AS MATERIALIZED ({LISTED}) {_REFUSED}"
_NO_SOURCE: Final = f"""
    WITH listed AS MATERIALIZED ({LISTED})
    SELECT proven.ts_code, proven.trade_date FROM ({{proven}}) AS proven JOIN listed ON listed.ts_code = proven.ts_code
        AND proven.trade_date >= list_date AND proven.trade_date < delist_date
    JOIN trading_day ON trading_day.trade_date = proven.trade_date AND is_open
    WHERE NOT EXISTS (SELECT FROM stock_daily AS bar
                      WHERE bar.ts_code = proven.ts_code AND bar.trade_date = proven.trade_date)
"""  # noqa: S608  (built from constants)
# Days of which a row is refused, be it one too many or one that nobody can read.
_DISPUTED: Final = """
    SELECT DISTINCT NULL::text, refused.trade_date FROM rejected_row AS refused
    JOIN trading_day ON trading_day.trade_date = refused.trade_date AND is_open
    WHERE refused.dataset = {dataset} AND refused.resolved_at IS NULL
      AND refused.trade_date BETWEEN {start} AND {end} ORDER BY refused.trade_date
"""
_SUSPENDED: Final = """
    SELECT ts_code, trade_date FROM stock_daily
    WHERE is_suspended AND ts_code = ANY({codes}::text[]) AND trade_date BETWEEN {start} AND {end}
"""
_SESSIONS: Final = "SELECT trade_date FROM trading_day WHERE is_open AND trade_date BETWEEN {start} AND {end}"
_LIVES: Final = "SELECT ts_code, list_date, delist_date FROM security WHERE ts_code = ANY({codes}::text[])"
# Both lie in the same parts by day; joined part by part they need no more memory than one.
_JOINED_BY_PART: Final = "SET LOCAL enable_partitionwise_join = on"
_TECHNICAL_STATES: Final = f"""
    WITH held AS (
        SELECT bar.trade_date, count(*) AS expected, count(stored.ts_code) FILTER (WHERE {IN_SERIES}) AS present,
               count(*) FILTER (WHERE NOT ({IN_SERIES})) AS suspended
        FROM stock_daily AS bar LEFT JOIN (SELECT ts_code, trade_date FROM technical_daily) AS stored
            ON stored.ts_code = bar.ts_code AND stored.trade_date = bar.trade_date
        WHERE bar.trade_date BETWEEN {{start}} AND {{end}} GROUP BY bar.trade_date
    ), ledger AS (SELECT trade_date, status FROM load_ledger WHERE dataset = 'technical_daily')
    SELECT trade_date, coalesce(expected, 0), coalesce(present, 0), coalesce(suspended, 0), 0, 0, 0,
           coalesce(expected - present - suspended, 0), status
    FROM trading_day LEFT JOIN held USING (trade_date) LEFT JOIN ledger USING (trade_date)
    WHERE is_open AND trade_date BETWEEN {{start}} AND {{end}} ORDER BY trade_date
"""  # noqa: S608  (built from constants)
_TECHNICAL_GAPS: Final = f"""
    SELECT bar.ts_code, bar.trade_date FROM stock_daily AS bar
    JOIN trading_day ON trading_day.trade_date = bar.trade_date AND is_open
    WHERE bar.trade_date BETWEEN {{start}} AND {{end}} AND {IN_SERIES} AND NOT EXISTS (
        SELECT FROM technical_daily AS stored
        WHERE stored.ts_code = bar.ts_code AND stored.trade_date = bar.trade_date
    ) ORDER BY bar.trade_date, bar.ts_code
"""  # noqa: S608  (built from constants)
_DAY_STATES: Final = """
    WITH ledger AS (SELECT trade_date, status FROM load_ledger WHERE dataset = {dataset}),
    begun AS (SELECT min(trade_date) AS first FROM ledger WHERE status IN ('complete', 'empty'))
    SELECT trade_date, is_kept::int, (is_kept AND is_there)::int, 0, 0, 0, 0, (is_kept AND NOT is_there)::int, status
    FROM (
        SELECT trade_date, status, coalesce(trade_date >= first, false) AS is_kept,
               coalesce(status IN ('complete', 'empty'), false) AS is_there
        FROM trading_day CROSS JOIN begun LEFT JOIN ledger USING (trade_date)
        WHERE is_open AND trade_date BETWEEN {start} AND {end}
    ) AS day ORDER BY trade_date
"""


def state_counts(
    conn: Connection, dataset: str, start: date, end: date, *, sources: SourcesInUse | None = None
) -> pl.DataFrame:
    """Return one row per session of [start, end]: rows expected, and how many of them are in each `State`.

    `status` is the ledger's, null for a day it does not know. `expected` are those of listed stocks, whatever became of
    them; `not_listed` are the securities that the store knows and that are not on the list of the day.
    """
    facts = {"start": start, "end": end, "codes": None, "excluded": list[str]()}
    proven = proven_gaps(dataset, start, end, sources)
    if dataset == STOCK_DAILY.name:
        refused = sql.SQL(_REFUSED_BY_DAY).format(start=start, end=end)
        query = sql.SQL(_BAR_STATES).format(**facts, proven=proven, refused_by_day=refused)
    elif dataset == TECHNICAL_DAILY.name:
        driver(conn).execute(_JOINED_BY_PART)
        query = sql.SQL(_TECHNICAL_STATES).format(start=start, end=end)
    elif dataset == ADJUST_FACTOR.name:
        query = factor_gaps.states_query(start, end, proven)
    else:
        query = sql.SQL(_DAY_STATES).format(start=start, end=end, dataset=dataset)
    return copy_out(conn, query, COUNT_SCHEMA)


def open_gaps(
    conn: Connection, dataset: str, start: date, end: date, *, sources: SourcesInUse | None = None
) -> pl.DataFrame:
    """Return ts_code, trade_date and state of what is missing or rejected in [start, end], by day and code.

    `ts_code` is null where a whole day is meant: one of a dataset that is kept by day, one whose factors nobody answered
    for, one that lacks a factor of nobody knows whom, or one with a refused row of no stock that lacks its own. A row of
    indicators is a gap only where its bar is there.
    """
    if dataset == STOCK_DAILY.name:
        missing = coverage.missing_bars(conn, start, end, sources=sources)
        refused = copy_out(conn, _scoped(_REFUSED_PAIRS, start, end), GAP_SCHEMA)
        return _with_disputed(conn, dataset, start, end, _stated(missing, refused))
    if dataset == TECHNICAL_DAILY.name:
        driver(conn).execute(_JOINED_BY_PART)
        gaps = copy_out(conn, sql.SQL(_TECHNICAL_GAPS).format(start=start, end=end), GAP_SCHEMA)
        return _stated(gaps)
    counts = state_counts(conn, dataset, start, end, sources=sources)
    if dataset == ADJUST_FACTOR.name:
        named = factor_gaps.named(conn, counts, proven_gaps(dataset, start, end, sources))
        return _with_disputed(conn, dataset, start, end, _stated(named))
    days = counts.filter(pl.col("missing") > 0).select(pl.lit(None, dtype=pl.String).alias("ts_code"), "trade_date")
    return _stated(days)


def no_source_has(
    conn: Connection, dataset: str, start: date, end: date, *, sources: SourcesInUse | None = None
) -> pl.DataFrame:
    """Return ts_code, trade_date and state of what every source in use has proven to have none of, by day and code."""
    proven = proven_gaps(dataset, start, end, sources)
    query = _scoped(_NO_SOURCE, start, end, proven=proven) if dataset == STOCK_DAILY.name else proven
    none = copy_out(conn, query, GAP_SCHEMA).sort("trade_date", "ts_code")
    return none.with_columns(pl.lit(str(State.SOURCE_HAS_NONE)).alias("state"))


def stock_states(
    conn: Connection, ts_codes: Sequence[str], start: date, end: date, *, sources: SourcesInUse | None = None
) -> pl.DataFrame:
    """Return ts_code, trade_date and state of these stocks' bars on every session of [start, end], by code and day."""
    codes = list(dict.fromkeys(ts_codes))
    of_codes = pl.col("ts_code").is_in(codes)
    sessions = copy_out(conn, sql.SQL(_SESSIONS).format(start=start, end=end), {"trade_date": pl.Date()})
    lives = copy_out(
        conn,
        sql.SQL(_LIVES).format(codes=codes),
        {"ts_code": pl.String(), "list_date": pl.Date(), "delist_date": pl.Date()},
    )
    suspended = copy_out(conn, sql.SQL(_SUSPENDED).format(codes=codes, start=start, end=end), GAP_SCHEMA)
    missing = coverage.missing_bars(conn, start, end, ts_codes=codes, sources=sources)
    refused = copy_out(conn, _scoped(_REFUSED_PAIRS, start, end, codes), GAP_SCHEMA)
    known = pl.concat(
        [
            _stated(missing, refused),
            no_source_has(conn, STOCK_DAILY.name, start, end, sources=sources).filter(of_codes),
            suspended.with_columns(pl.lit(str(State.SUSPENDED)).alias("state")),
        ]
    )
    every = pl.DataFrame({"ts_code": codes}, schema={"ts_code": pl.String()}).join(sessions, how="cross")
    listed = (pl.col("list_date") <= pl.col("trade_date")) & (
        pl.col("delist_date").is_null() | (pl.col("trade_date") < pl.col("delist_date"))
    )
    stated = every.join(lives, on="ts_code", how="left").join(known, on=list(GAP_SCHEMA), how="left")
    state = (
        pl.when(~listed.fill_null(value=False))
        .then(pl.lit(str(State.NOT_LISTED)))
        .otherwise(pl.col("state").fill_null(str(State.PRESENT)))
    )
    return stated.select("ts_code", "trade_date", state.alias("state")).sort("ts_code", "trade_date")


def _with_disputed(conn: Connection, dataset: str, start: date, end: date, gaps: pl.DataFrame) -> pl.DataFrame:
    """Return the gaps and, as a whole, each day with a refused row that no named gap tells of."""
    query = sql.SQL(_DISPUTED).format(dataset=dataset, start=start, end=end)
    told = gaps.filter(pl.col("state") == str(State.REJECTED)).select("trade_date").unique()
    days = copy_out(conn, query, GAP_SCHEMA).join(told, on="trade_date", how="anti")
    if days.is_empty():
        return gaps
    disputed = days.with_columns(pl.lit(str(State.REJECTED)).alias("state"))
    return pl.concat([gaps, disputed]).sort("trade_date", "ts_code")


def _stated(gaps: pl.DataFrame, refused: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return gaps with their state: `rejected` where an answer had a row that was refused, else `missing`."""
    if refused is None or refused.is_empty():
        return gaps.with_columns(pl.lit(str(State.MISSING)).alias("state"))
    marked = gaps.join(
        refused.with_columns(pl.lit(str(State.REJECTED)).alias("state")),
        on=list(GAP_SCHEMA),
        how="left",
        maintain_order="left",
    )
    return marked.with_columns(pl.col("state").fill_null(str(State.MISSING)))


def _scoped(
    query: str, start: date, end: date, codes: Sequence[str] | None = None, **parts: sql.Composable
) -> sql.Composed:
    listed = None if codes is None else list(codes)
    return sql.SQL(query).format(start=start, end=end, codes=listed, excluded=list[str](), **parts)  # pyright: ignore[reportArgumentType]  constants
