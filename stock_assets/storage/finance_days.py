"""The ledger's lines of finance reports: written with the progress that makes a day whole, in the same transaction."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl
from psycopg import sql
from sqlalchemy import Connection

from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.domain.tables import LOAD_LEDGER
from stock_assets.quality.finance_days import stocks_unknown_on, unknown_stocks
from stock_assets.storage import bulk_load, ledger
from stock_assets.storage.copy_frames import copy_out

_DATASET = FINANCE_INDICATOR.name
_NAMED = 10
# Who wrote a line and when is no reason to write it.
_CIRCUMSTANCES = ("run_id", "started_at", "finished_at")
# The versions announced after the session before, through the session.
_PRESENT = """
    SELECT day, coalesce(sum(versions), 0)::bigint FROM unnest({days}::date[], {befores}::date[]) AS asked (day, before)
    LEFT JOIN (
        SELECT ann_date, count(*) AS versions FROM finance_indicator
        WHERE source = {source} AND ann_date > {first} AND ann_date <= {last} GROUP BY ann_date
    ) AS announced ON ann_date > before AND ann_date <= day
    GROUP BY day ORDER BY day
"""
# Reports that were refused and of which no version of that announcement is stored, by the day on which they were announced:
# both sources name it in the row; one without it is any announcement's, and counts for the day on which it came.
_REFUSED = """
    WITH refused AS (
        SELECT ts_code, trade_date AS end_date, (rejected_at AT TIME ZONE 'Asia/Shanghai')::date AS came_on,
               regexp_replace(coalesce(row_text::jsonb ->> 'ann_date', row_text::jsonb ->> 'pubDate', ''), '-', '', 'g') AS told
        FROM rejected_row WHERE dataset = 'finance_indicator' AND resolved_at IS NULL AND source = {source}
    ), dated AS (
        SELECT ts_code, end_date, came_on, CASE WHEN told ~ '^[12][0-9]{{3}}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])$'
            THEN to_date(told, 'YYYYMMDD') END AS told_on
        FROM refused
    )
    SELECT DISTINCT ts_code, end_date, coalesce(told_on, came_on) FROM dated
    WHERE coalesce(told_on, came_on) > {before} AND coalesce(told_on, came_on) <= {last} AND NOT EXISTS (
        SELECT FROM finance_indicator AS known
        WHERE known.ts_code = dated.ts_code AND known.end_date = dated.end_date AND known.source = {source}
          AND (told_on IS NULL OR known.ann_date = told_on))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Which lines are spoken of, `sessions` in order after the session `before`, and what they tell of their writer."""

    sessions: Sequence[date]
    before: date
    source: str
    started_at: datetime
    run_id: str | None = None


def write_days(  # noqa: PLR0913  (each has its default)
    conn: Connection,
    lines: Lines,
    stocks: pl.DataFrame,
    *,
    now: datetime,
    touched: Collection[date] = (),
    with_open: bool = False,
) -> int:
    """Write the lines of the days that are whole now and were not, or are no longer; return how many were written.

    `stocks` (`quality.finance_days.STOCK_SCHEMA`) is the progress as this transaction leaves it, `touched` the days on
    which versions were announced that it adds. A day on which a report was announced whose row was refused is not whole.
    The other days that are not whole have their lines written `with_open` only: they all change with every batch. A line that
    another source closed is not opened again.
    """
    days = list(lines.sessions)
    if not days:
        return 0
    entries = ledger.read_entries(conn, _DATASET, days[0], days[-1])
    closed = entries.filter(pl.col("status").is_in(ledger.CLOSED))
    closed_by = dict(closed.select("trade_date", "source").iter_rows())
    new = {days[place] for day in touched if (place := bisect_left(days, day)) < len(days)}
    unknown = dict(zip(days, unknown_stocks(stocks, days), strict=True))
    refused = _refused(conn, lines)
    chosen: list[date] = []
    for day in days:
        is_ours = closed_by.get(day) == lines.source
        is_opened = is_ours or (with_open and day not in closed_by)
        if is_opened if unknown[day] or refused[day] else (not is_ours or day in new):
            chosen.append(day)
    if not chosen:
        return 0
    frame = _frame(lines, _present(conn, lines, chosen), unknown, refused, stocks, now)
    counts = bulk_load.load(conn, LOAD_LEDGER, frame, ignore=_CIRCUMSTANCES)
    return counts.written


def _present(conn: Connection, lines: Lines, chosen: Sequence[date]) -> pl.DataFrame:
    """Return the versions announced on each chosen session: columns day, rows_present."""
    before = dict(zip(lines.sessions, [lines.before, *lines.sessions], strict=False))
    befores = [before[day] for day in chosen]
    query = sql.SQL(_PRESENT).format(
        days=list(chosen), befores=befores, source=lines.source, first=befores[0], last=chosen[-1]
    )
    return copy_out(conn, query, {"day": pl.Date(), "rows_present": pl.Int64()})


def refused_reports(conn: Connection, source: str, *, after: date, through: date) -> pl.DataFrame:
    """Return ts_code, end_date and day of announcement of what `source` said, quality refused and the store lacks.

    They are those announced in (after, through]; `ts_code` is null where it cannot be read.
    """
    query = sql.SQL(_REFUSED).format(source=source, before=after, last=through)
    return copy_out(conn, query, {"ts_code": pl.String(), "end_date": pl.Date(), "announced": pl.Date()})


def _refused(conn: Connection, lines: Lines) -> Counter[date]:
    """Return how many reports were refused of those announced on each session."""
    reports = refused_reports(conn, lines.source, after=lines.before, through=lines.sessions[-1])
    return Counter(lines.sessions[bisect_left(lines.sessions, day)] for day in reports["announced"])


def _frame(  # noqa: PLR0913  what is known of the days
    lines: Lines,
    present: pl.DataFrame,
    unknown: Mapping[date, int],
    refused: Counter[date],
    stocks: pl.DataFrame,
    now: datetime,
) -> pl.DataFrame:
    details = [_detail(day, unknown[day], refused[day], stocks) for day in present["day"]]
    is_whole = pl.col("detail").is_null()
    stamps = {"started_at": lines.started_at, "finished_at": now}
    rows = present.rename({"day": "trade_date"}).with_columns(pl.Series("detail", details, dtype=pl.String))
    return LOAD_LEDGER.conform(
        rows.with_columns(
            pl.lit(_DATASET).alias("dataset"),
            pl.when(~is_whole)
            .then(pl.lit("partial"))
            .when(pl.col("rows_present") > 0)
            .then(pl.lit("complete"))
            .otherwise(pl.lit("empty"))
            .alias("status"),
            pl.lit(None, dtype=pl.Int64).alias("rows_expected"),
            pl.Series("rows_rejected", [refused[day] for day in present["day"]], dtype=pl.Int64),
            pl.lit(lines.source).alias("source"),
            pl.lit(None, dtype=pl.String).alias("digest"),
            pl.lit(lines.run_id, dtype=pl.String).alias("run_id"),
            *(
                pl.lit(moment).dt.convert_time_zone("UTC").dt.cast_time_unit("us").alias(name)
                for name, moment in stamps.items()
            ),
        )
    )


def _detail(day: date, unknown: int, refused: int, stocks: pl.DataFrame) -> str | None:
    if unknown:
        named = f": {', '.join(stocks_unknown_on(stocks, day))}" if unknown <= _NAMED else ""
        return f"announcements of {unknown} stocks are not in the store{named}"
    return f"{refused} reports were refused" if refused else None
