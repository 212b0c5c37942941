"""Adjustment factors that were there once and are not: there is no list of the ex-dates that should be, only what was said.

A day's line of the ledger says how many factors it had. Where the table has fewer, whoever ever had one on that day is
asked for by name: in the versions that the database keeps, and in what the sources said word by word.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

import polars as pl
from psycopg import sql
from sqlalchemy import Connection

from stock_assets.storage.asked_gaps import GAP_SCHEMA
from stock_assets.storage.copy_frames import copy_out

# What the line of a day that was answered for says was there, and what is.
_FACTOR_STATES: Final = """
    WITH held AS (
        SELECT ex_date, count(*) AS present FROM adjust_factor WHERE ex_date BETWEEN {start} AND {end} GROUP BY ex_date
    ), refused AS (
        SELECT trade_date, count(DISTINCT coalesce(ts_code, row_digest)) AS rejected FROM rejected_row
        WHERE dataset = 'adjust_factor' AND resolved_at IS NULL AND trade_date BETWEEN {start} AND {end}
        GROUP BY trade_date
    ), none AS (
        SELECT trade_date, count(*) AS none FROM ({proven}) AS pair WHERE NOT EXISTS (
            SELECT FROM adjust_factor AS held WHERE held.ts_code = pair.ts_code AND held.ex_date = pair.trade_date
        ) GROUP BY trade_date
    ), line AS (
        SELECT trade_date, status, rows_present FROM load_ledger WHERE dataset = 'adjust_factor'
    ), bars AS (
        SELECT trade_date FROM load_ledger WHERE dataset = 'stock_daily' AND rows_present > 0
    ), state AS (
        SELECT day.trade_date, coalesce(present, 0) AS present, coalesce(none, 0) AS none,
               coalesce(rejected, 0) AS rejected, CASE
                   WHEN status IN ('complete', 'empty')
                   THEN greatest(rows_present - coalesce(present, 0) - coalesce(none, 0), 0)
                   WHEN bars.trade_date IS NOT NULL AND coalesce(rejected, 0) = 0 THEN 1 ELSE 0
               END AS missing, status
        FROM trading_day AS day LEFT JOIN held ON held.ex_date = day.trade_date LEFT JOIN refused USING (trade_date)
             LEFT JOIN none USING (trade_date) LEFT JOIN line USING (trade_date) LEFT JOIN bars USING (trade_date)
        WHERE is_open AND day.trade_date BETWEEN {start} AND {end}
    )
    SELECT trade_date, present + none + rejected + missing, present, 0, 0, none, rejected, missing, status
    FROM state ORDER BY trade_date
"""
_ANSWERED: Final = ("complete", "empty")
# Who ever had a factor on such a day: rows that were deleted or corrected, and what sources said word by word. BaoStock
# says what changed; of Tushare's factors, one a session, those are meant that are not the last one's.
_EVER: Final = """
    SELECT ts_code, ex_date AS trade_date FROM adjust_factor_history WHERE ex_date = ANY({days}::date[])
    UNION
    SELECT substr(code, 4) || '.' || upper(substr(code, 1, 2)), "dividOperateDate"::date
    FROM raw_baostock_adjust_factor WHERE "dividOperateDate" = ANY({days}::text[])
    UNION
    SELECT said.ts_code, to_date(said.trade_date, 'YYYYMMDD') FROM raw_tushare_adj_factor AS said
    WHERE said.trade_date = ANY({compact}::text[]) AND EXISTS (
        SELECT FROM raw_tushare_adj_factor AS earlier
        JOIN trading_day ON trading_day.trade_date = to_date(said.trade_date, 'YYYYMMDD')
        WHERE earlier.ts_code = said.ts_code AND earlier.trade_date = to_char(previous_open, 'YYYYMMDD')
          AND earlier.adj_factor::float8 <> said.adj_factor::float8)
"""
_FACTOR_GAPS: Final = f"""
    SELECT ever.ts_code, ever.trade_date FROM ({_EVER}) AS ever JOIN security ON security.ts_code = ever.ts_code
    WHERE NOT EXISTS (
        SELECT FROM adjust_factor AS held WHERE held.ts_code = ever.ts_code AND held.ex_date = ever.trade_date
    ) ORDER BY ever.trade_date, ever.ts_code
"""  # noqa: S608  (built from constants)


def states_query(start: date, end: date, proven: sql.Composable) -> sql.Composed:
    """Return the query of what `completeness.state_counts` returns.

    A day that has bars, and of which nobody answered for the factors, counts as one missing row.
    """
    return sql.SQL(_FACTOR_STATES).format(start=start, end=end, proven=proven)


def named(conn: Connection, counts: pl.DataFrame, proven: sql.Composable) -> pl.DataFrame:
    """Return ts_code and trade_date of what is missing by `counts`, by day and code; a code is null where nobody is known."""
    short = counts.filter(pl.col("missing") > 0).select("trade_date", is_answered=pl.col("status").is_in(_ANSWERED))
    none = copy_out(conn, proven, GAP_SCHEMA)
    found = of_days(conn, short.filter("is_answered")["trade_date"].to_list())
    found = found.join(none, on=list(GAP_SCHEMA), how="anti")
    whole = short.join(found, on="trade_date", how="anti").select(
        pl.lit(None, dtype=pl.String).alias("ts_code"), "trade_date"
    )
    return pl.concat([found, whole]).sort("trade_date", "ts_code")


def of_days(conn: Connection, days: Sequence[date]) -> pl.DataFrame:
    """Return ts_code and trade_date of every factor that once was there on these days and is not, by day and code."""
    if not days:
        return pl.DataFrame(schema=GAP_SCHEMA)
    query = sql.SQL(_FACTOR_GAPS).format(days=list(days), compact=[f"{day:%Y%m%d}" for day in days])
    return copy_out(conn, query, GAP_SCHEMA)
