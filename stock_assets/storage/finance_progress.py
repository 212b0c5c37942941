"""How far each stock's reports are in the store, by source. Every change stands in the transaction of what it tells of."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from stock_assets.domain.finance_tables import FINANCE_PROGRESS
from stock_assets.quality.finance_days import STOCK_SCHEMA
from stock_assets.storage.copy_frames import copy_out
from stock_assets.storage.schema import table_of

_PROGRESS = table_of(FINANCE_PROGRESS.name)
_STOCKS = """
    SELECT ts_code, list_date, delist_date, first_period, known_through, fetched_at
    FROM security LEFT JOIN (SELECT * FROM finance_progress WHERE source = {source}) AS known USING (ts_code)
    WHERE exchange = ANY({exchanges}::text[]) ORDER BY ts_code
"""
_NEWEST = "SELECT ts_code, max(end_date) FROM finance_indicator WHERE source = {source} GROUP BY ts_code"
_REPORTS = """
    SELECT ts_code, end_date FROM unnest({codes}::text[], {ends}::date[]) AS asked (ts_code, end_date)
    WHERE NOT EXISTS (
        SELECT FROM finance_indicator AS known
        WHERE known.ts_code = asked.ts_code AND known.end_date = asked.end_date AND known.source = {source}
    )
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who was asked when, and by which run: what every line of progress tells beside its stock."""

    source: str
    fetched_at: datetime
    run_id: str | None = None


def lock(conn: Connection) -> None:
    """Wait for other writers of progress, and hold them off until this transaction ends.

    What a day's line says rests on every stock's progress: two writers at once would each miss the other's.
    """
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(FINANCE_PROGRESS.name), 0)))


def read_stocks(conn: Connection, source: str, exchanges: Sequence[str]) -> pl.DataFrame:
    """Return every stock of these exchanges with its progress at a source (`quality.finance_days.STOCK_SCHEMA`)."""
    return copy_out(conn, sql.SQL(_STOCKS).format(source=source, exchanges=list(exchanges)), STOCK_SCHEMA)


def newest_periods(conn: Connection, source: str) -> dict[str, date]:
    """Return the newest period that each stock has a report for at a source."""
    schema = {"ts_code": pl.String(), "end_date": pl.Date()}
    return dict(copy_out(conn, sql.SQL(_NEWEST).format(source=source), schema).iter_rows())


def without_report(conn: Connection, source: str, reports: pl.DataFrame) -> pl.DataFrame:
    """Return the reports (ts_code, end_date) that the store has no version of."""
    query = sql.SQL(_REPORTS).format(
        codes=reports["ts_code"].to_list(), ends=reports["end_date"].to_list(), source=source
    )
    return copy_out(conn, query, {"ts_code": pl.String(), "end_date": pl.Date()})


def save(conn: Connection, asked: Asked, ts_codes: Collection[str], *, first_period: date, known_through: date) -> None:
    """Write down that these stocks were asked for every period from `first_period` on; what was known stays known."""
    if not ts_codes:
        return
    new = insert(_PROGRESS).values([_line(asked, code, first_period, known_through) for code in sorted(ts_codes)])
    conn.execute(
        new.on_conflict_do_update(
            index_elements=list(FINANCE_PROGRESS.key),
            set_={
                "first_period": sa.func.least(_PROGRESS.c.first_period, new.excluded.first_period),
                "known_through": sa.func.greatest(_PROGRESS.c.known_through, new.excluded.known_through),
                "fetched_at": new.excluded.fetched_at,
                "run_id": new.excluded.run_id,
            },
        )
    )


def reach(conn: Connection, asked: Asked, ts_codes: Collection[str], *, known_through: date) -> None:
    """Write down that stocks which have a line were asked for what is new, through a day."""
    known = sa.update(_PROGRESS).where(
        _PROGRESS.c.source == asked.source,
        _PROGRESS.c.ts_code == sa.any_(sa.literal(sorted(ts_codes), sa.ARRAY(sa.Text))),
    )
    through = sa.func.greatest(_PROGRESS.c.known_through, known_through)
    conn.execute(known.values(known_through=through, fetched_at=asked.fetched_at, run_id=asked.run_id))


def save_period(conn: Connection, asked: Asked, ts_codes: Collection[str], *, first_day: date, next_day: date) -> None:
    """Write down that the whole market was asked for the period from `first_day` to the day before `next_day`.

    Only stocks that are known from `next_day` on are known from `first_day` on now: a history has no holes.
    """
    known = sa.update(_PROGRESS).where(
        _PROGRESS.c.source == asked.source,
        _PROGRESS.c.ts_code == sa.any_(sa.literal(sorted(ts_codes), sa.ARRAY(sa.Text))),
        _PROGRESS.c.first_period <= next_day,
        _PROGRESS.c.first_period > first_day,
    )
    conn.execute(known.values(first_period=first_day, fetched_at=asked.fetched_at, run_id=asked.run_id))


def begin(
    conn: Connection, asked: Asked, ts_codes: Collection[str], *, first_period: date, known_through: date
) -> None:
    """Write the first line of those stocks that have none; the others stay as they are."""
    if ts_codes:
        new = insert(_PROGRESS).values([_line(asked, code, first_period, known_through) for code in sorted(ts_codes)])
        conn.execute(new.on_conflict_do_nothing())


def move_on(
    conn: Connection, asked: Asked, *, known_through: date, from_day: date, except_codes: Collection[str] = ()
) -> int:
    """Take every stock that was known through `from_day` or later on to `known_through`; return how many moved."""
    moving = sa.update(_PROGRESS).where(
        _PROGRESS.c.source == asked.source,
        _PROGRESS.c.known_through >= from_day,
        _PROGRESS.c.known_through < known_through,
        _PROGRESS.c.ts_code != sa.all_(sa.literal(sorted(except_codes), sa.ARRAY(sa.Text))),
    )
    return conn.execute(moving.values(known_through=known_through, run_id=asked.run_id)).rowcount


def _line(asked: Asked, code: str, first_period: date, known_through: date) -> dict[str, object]:
    return {
        "ts_code": code,
        "source": asked.source,
        "first_period": first_period,
        "known_through": known_through,
        "fetched_at": asked.fetched_at,
        "run_id": asked.run_id,
    }
