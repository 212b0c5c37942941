"""Finance reports into the store: what a source said, the versions that are new, and the rows that quality refused.

Nothing stored is ever changed: versions are added, so what was readable as of a day stays so. Reading is for `reader`.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import polars as pl
from psycopg import sql
from sqlalchemy import Connection

from stock_assets.domain.calendar import SHANGHAI, TradingCalendar
from stock_assets.domain.contract import Table
from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.domain.tables import REJECTED_ROW
from stock_assets.quality.finance_versions import resolve
from stock_assets.quality.findings import Judged
from stock_assets.storage import bulk_load, ledger, raw, rejects
from stock_assets.storage.copy_frames import columns_of, copy_out

_DATASET = FINANCE_INDICATOR.name
# Locks of their own: the days that a run holds in the ledger are announcements, not periods.
_REPORTS = f"{_DATASET}.reports"
_STORED = """
    SELECT {columns} FROM finance_indicator
    JOIN unnest({codes}::text[], {ends}::date[]) AS asked (ts_code, end_date) USING (ts_code, end_date)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinanceAnswer:
    """One answer about reports, judged; it holds every row that the source has of each announcement in it.

    `rows` is all text, and `raw_row` in `judged` points into it; `raw` is what the raw tables keep of it. `is_whole` says
    that it holds every announcement of each of its reports: then a refused row that it no longer has is resolved.
    """

    rows: pl.DataFrame
    judged: Judged
    raw: Sequence[tuple[Table, pl.DataFrame]]
    source: str
    fetched_at: datetime
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class FinanceCounts:
    """What became of an answer's rows; the first five add up to their number.

    `first`: versions of announcements seen for the first time; `corrected`: new versions of known ones; `duplicates`: rows
    that say no more than another of the answer; `unchanged`: rows that were stored; `rejected`: rows that quality refused.
    `raw` counts what the raw tables keep.
    """

    first: int = 0
    corrected: int = 0
    duplicates: int = 0
    unchanged: int = 0
    rejected: int = 0
    raw: bulk_load.Counts = field(default_factory=bulk_load.Counts)

    @property
    def written(self) -> int:
        """Return the number of new versions."""
        return self.first + self.corrected


def land(
    conn: Connection,
    answer: FinanceAnswer,
    *,
    calendar: TradingCalendar,
    run_id: str | None = None,
    disclosures: pl.DataFrame | None = None,
) -> FinanceCounts:
    """Write what an answer adds, in the transaction of `conn`; the same answer again writes nothing.

    `disclosures` (`quality.finance_versions.DISCLOSURE_SCHEMA`) dates rows without an announcement's day. Writers of the
    same periods wait for each other until their transactions end.

    Errors: `DataRefused` when rows break a table's contract; the transaction is lost then.
    """
    accepted, refused = answer.judged.accepted, answer.judged.rejected
    ledger.lock_days(conn, _REPORTS, {*accepted["end_date"], *refused["trade_date"].drop_nulls()})
    kept = bulk_load.Counts()
    for table, frame in answer.raw:
        kept += raw.save_answer(conn, table, frame, fetched_at=answer.fetched_at, run_id=run_id)
    resolved = resolve(
        accepted,
        stored_versions(conn, accepted),
        source=answer.source,
        fetched_at=answer.fetched_at,
        calendar=calendar,
        run_id=run_id,
        disclosures=disclosures,
    )
    bulk_load.load(conn, FINANCE_INDICATOR, resolved.versions, is_new=True, run_id=run_id)
    _save_rejected(conn, answer, run_id)
    return FinanceCounts(
        first=resolved.first,
        corrected=resolved.corrected,
        duplicates=resolved.duplicates,
        unchanged=resolved.unchanged,
        rejected=answer.judged.rejected.height,
        raw=kept,
    )


def stored_versions(conn: Connection, reports: pl.DataFrame) -> pl.DataFrame:
    """Return every stored version of the reports (ts_code, end_date) in `reports`, in no order."""
    asked = reports.select("ts_code", "end_date").unique()
    query = sql.SQL(_STORED).format(
        columns=columns_of(FINANCE_INDICATOR), codes=asked["ts_code"].to_list(), ends=asked["end_date"].to_list()
    )
    return copy_out(conn, query, FINANCE_INDICATOR.schema)


def announced(conn: Connection, start: date, end: date, ts_codes: Sequence[str] | None = None) -> pl.DataFrame:
    """Return every version announced in [start, end], of these stocks or (None) of all, in no order."""
    query = sql.SQL("SELECT {columns} FROM finance_indicator WHERE ann_date BETWEEN {start} AND {end}").format(
        columns=columns_of(FINANCE_INDICATOR), start=start, end=end
    )
    if ts_codes is not None:
        query += sql.SQL(" AND ts_code = ANY({})").format(list(ts_codes))
    return copy_out(conn, query, FINANCE_INDICATOR.schema)


def _save_rejected(conn: Connection, answer: FinanceAnswer, run_id: str | None) -> None:
    """Write down the refused rows, each under its period; where it has none, under its announcement, else under today."""
    refused, accepted = answer.judged.rejected, answer.judged.accepted
    today = answer.fetched_at.astimezone(SHANGHAI).date()
    texts = [json.dumps(row, ensure_ascii=False) for row in answer.rows[refused["raw_row"].to_list()].to_dicts()]
    moment = pl.lit(answer.fetched_at).dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    rows = refused.select(
        pl.lit(_DATASET).alias("dataset"),
        pl.col("trade_date").fill_null(today),
        "ts_code",
        "rule",
        pl.Series("row_digest", [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts], dtype=pl.String),
        pl.Series("row_text", texts, dtype=pl.String),
        pl.lit(answer.source).alias("source"),
        pl.lit(run_id, dtype=pl.String).alias("run_id"),
        moment.alias("rejected_at"),
        pl.lit(None, dtype=REJECTED_ROW.schema["resolved_at"]).alias("resolved_at"),
    ).unique(["dataset", "trade_date", "rule", "row_digest"], maintain_order=True)
    days = {*rows["trade_date"], *accepted["end_date"]}
    if answer.is_whole:
        codes = pl.concat([refused["ts_code"], accepted["ts_code"]]).drop_nulls().unique().to_list()
        rejects.save_rejected(conn, _DATASET, days, rows, ts_codes=codes)
    elif not rows.is_empty():
        rejects.add_rejected(conn, _DATASET, days, rows)
