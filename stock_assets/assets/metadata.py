"""What people see of a materialization in Dagster's UI: numbers, a preview, and the next step."""

from collections.abc import Mapping
from typing import Any

import polars as pl
from dagster import MetadataValue, TableColumn, TableColumnConstraints, TableRecord, TableSchema

from stock_assets.domain.contract import Table
from stock_assets.pipeline.refresh import CalendarReport, SecuritiesReport
from stock_assets.pipeline.report import DayOutcome, IngestReport

# What is told of each day by itself costs milliseconds a day, growing with the range: a year is worth it, 35 are not.
TOLD_BY_DAY = 260
_PREVIEW_DAYS = 30
Metadata = dict[str, Any]


def table_metadata(table: Table) -> Metadata:
    """Return what describes an asset's table: its name and its columns with units."""
    return {
        "dagster/table_name": table.name,
        "dagster/column_schema": TableSchema(
            columns=[
                TableColumn(
                    column.name,
                    column.kind,
                    column.comment,
                    TableColumnConstraints(nullable=column.nullable),
                )
                for column in table.columns
            ]
        ),
    }


def calendar_metadata(report: CalendarReport) -> Metadata:
    """Return what a refresh of the calendar showed."""
    return {
        "days": report.days,
        "sessions": report.sessions,
        "known until": str(report.known_until),
        "disagreements": len(report.disagreements),
        "requests": report.requests,
        "dagster/row_count": report.days,
    }


def securities_metadata(report: SecuritiesReport) -> Metadata:
    """Return what a refresh of the securities showed."""
    return {
        "listed": report.listed,
        "delisted": report.delisted,
        "changed": report.counts.inserted + report.counts.updated,
        "requests": report.requests,
        "dagster/row_count": report.total,
    }


def ingest_metadata(report: IngestReport) -> Metadata:
    """Return what a load did: days by status, rows, requests, seconds by step, and the newest days as a table."""
    metadata: Metadata = {
        "days asked": report.days_asked,
        "days already complete": report.days_already_complete,
        **{f"days {status}": report.count(status) for status in ("complete", "empty", "partial", "refused")},
        "rows present": report.rows_present,
        "rows inserted": report.inserted,
        "rows updated": report.updated,
        "rows unchanged": report.unchanged,
        "rows rejected": sum(outcome.rows_rejected for outcome in report.outcomes),
        "requests": report.requests,
        **{name.replace("_", " "): round(seconds, 3) for name, seconds in sorted(report.split.items())},
    }
    if report.handed_on:
        silent = [f"- `{name}` {error}" for name, error in report.handed_on.items()]
        metadata["sources that could not go on"] = MetadataValue.md("\n".join(silent))
    if report.outcomes:
        metadata["days"] = MetadataValue.table([_record(outcome) for outcome in report.outcomes[-_PREVIEW_DAYS:]])
    if report.failures:
        failures = [f"- `{failure.label}` {failure.error}" for failure in report.failures[:_PREVIEW_DAYS]]
        metadata["failed calls"] = MetadataValue.md("\n".join(failures))
    if open_days := [outcome.day for outcome in report.outcomes if outcome.status in {"partial", "refused"}]:
        metadata["next step"] = MetadataValue.md(
            f"`stock-assets backfill-daily --start {min(open_days)} --end {max(open_days)}`"
        )
    return metadata


def day_metadata(outcome: DayOutcome) -> Metadata:
    """Return what is true of one day."""
    metadata: Metadata = {
        "day status": outcome.status,
        "day rows": outcome.rows_present,
        "day rejected": outcome.rows_rejected,
        "dagster/partition_row_count": outcome.rows_present,
    }
    if outcome.rows_expected is not None:
        metadata["day rows expected"] = outcome.rows_expected
    if outcome.detail is not None:
        metadata["day detail"] = outcome.detail
    return metadata


def preview_metadata(rows: pl.DataFrame, *, name: str) -> Mapping[str, Any]:
    """Return a few rows as Markdown under `name`."""
    if rows.is_empty():
        return {}
    header = " | ".join(rows.columns)
    ruler = " | ".join("---" for _ in rows.columns)
    lines = [" | ".join("" if value is None else str(value) for value in row) for row in rows.iter_rows()]
    return {name: MetadataValue.md("\n".join([f"| {line} |" for line in (header, ruler, *lines)]))}


def _record(outcome: DayOutcome) -> TableRecord:
    return TableRecord(
        {
            "day": str(outcome.day),
            "status": outcome.status,
            "expected": outcome.rows_expected if outcome.rows_expected is not None else "",
            "present": outcome.rows_present,
            "rejected": outcome.rows_rejected,
            "detail": outcome.detail or "",
        }
    )
