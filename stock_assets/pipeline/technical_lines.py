"""The ledger's lines of indicators: what stands in them follows from the bars' lines."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import polars as pl

from stock_assets.indicators.table import TECHNICAL_DAILY
from stock_assets.pipeline.report import DayOutcome, Status
from stock_assets.pipeline.technical_context import TechnicalContext, TechnicalReport
from stock_assets.storage import ledger
from stock_assets.storage.database import Connection

# A day that is refused and holds bars all the same was loaded before; what is there of it was computed from.
_STATUSES: dict[str, Status] = {"complete": "complete", "empty": "empty", "partial": "partial", "refused": "partial"}


def write_lines(  # noqa: PLR0913  the lines, and what is known of the run
    conn: Connection,
    context: TechnicalContext,
    report: TechnicalReport,
    lines: pl.DataFrame,
    rows: Mapping[date, int],
    started_at: datetime,
) -> None:
    """Write a line for each of `lines` (see `TechnicalPlan`), of which `rows` are stored, and tell the report."""
    entries = [
        _entry(context, line, rows.get(line["trade_date"], 0), started_at) for line in lines.iter_rows(named=True)
    ]
    ledger.write_entries(conn, entries)
    report.add_outcomes(
        [
            DayOutcome(one.trade_date, one.status, one.rows_expected, one.rows_present, detail=one.detail)
            for one in entries
        ]
    )


def _entry(
    context: TechnicalContext, line: Mapping[str, Any], present: int, started_at: datetime
) -> ledger.LedgerEntry:  # fmt: skip
    status = _STATUSES[line["status"]]
    return ledger.LedgerEntry(
        dataset=TECHNICAL_DAILY.name,
        trade_date=line["trade_date"],
        status="complete" if status == "empty" and present else status,
        rows_expected=present,
        rows_present=present,
        rows_rejected=0,
        source=line["source"],
        digest=line["expected"],
        detail=line["detail"] if status == "partial" else None,
        run_id=context.run_id,
        started_at=started_at,
        finished_at=context.now(),
    )
