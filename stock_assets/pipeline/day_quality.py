"""The quality of one day as it is stored: what is there, what the rules find, what was refused, what the sources said."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

import polars as pl

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.pipeline.freshness import DEADLINES
from stock_assets.pipeline.stored_answers import DayComparison, compare_stored
from stock_assets.pipeline.stored_quality import judge_stored
from stock_assets.pipeline.technical_context import TechnicalContext
from stock_assets.quality.verdicts import Verdict, verdicts
from stock_assets.storage import bars, coverage, ledger, reference, rejects, snapshots
from stock_assets.storage.database import Connection, Database
from stock_assets.storage.snapshots import SnapshotRow

Grade = Literal["good", "look", "bad", "absent"]
"""Nothing to look at; something deserves a look; incomplete, or something cannot be right; nothing is stored."""

SESSIONS_BEFORE: Final = 20
_CALENDAR_DAYS: Final = timedelta(days=50)
_LINE: Final = (
    "dataset",
    "status",
    "rows_expected",
    "rows_present",
    "rows_rejected",
    "source",
    "detail",
    "finished_at",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayQuality:
    """What is known of one trading day.

    `counts` is the row of `coverage.day_counts`; `ledger` one row for each dataset (dataset, status, rows_expected,
    rows_present, rows_rejected, source, detail), status null where nothing is known; `missing` the stocks without a bar;
    `findings` STORED_FINDING_SCHEMA, the worst first; `refused` the rows of the day that are refused and unresolved (dataset,
    ts_code, rule, source, row_text); `bars` the day's bars; `history` the counts of the sessions up to the day, `turnover`
    trade_date and amount (CNY) of the market on them; `names` the short name of every stock.
    """

    day: date
    snapshot: SnapshotRow | None
    counts: Mapping[str, object]
    ledger: pl.DataFrame
    missing: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    findings: pl.DataFrame
    refused: pl.DataFrame
    sources: DayComparison
    bars: pl.DataFrame
    names: Mapping[str, str]
    history: pl.DataFrame
    turnover: pl.DataFrame

    @property
    def expected(self) -> int:
        """How many stocks should have a bar."""
        return self._count("expected")

    @property
    def present(self) -> int:
        """How many of them have one."""
        return self._count("present")

    @property
    def suspended(self) -> int:
        """How many bars say that the stock was suspended."""
        return self._count("suspended")

    @property
    def errors(self) -> int:
        """How many findings cannot be right."""
        return sum(verdict.errors for verdict in self.verdicts)

    @property
    def warnings(self) -> int:
        """How many findings deserve a look."""
        return sum(verdict.warnings for verdict in self.verdicts)

    @property
    def notes(self) -> int:
        """How many findings are rare and right."""
        return sum(verdict.notes for verdict in self.verdicts)

    @property
    def grade(self) -> Grade:
        """The whole day in one word."""
        if self.bars.is_empty():
            return "absent"
        if self.present < self.expected or self.errors:
            return "bad"
        differs = self.sources.result is not None and not self.sources.result.is_passed
        return "look" if self.warnings or self.refused.height or differs else "good"

    def repairs(self, most: int) -> list[str]:
        """Return the commands that show or repair what is worst, each once, at most so many."""
        commands: dict[str, None] = {}
        if self.present < self.expected:
            commands[f"stock-assets backfill-daily --start {self.day} --end {self.day}"] = None
        for verdict in sorted(self.verdicts, key=lambda one: (not one.errors, not one.warnings)):
            commands.update(dict.fromkeys(verdict.repairs(most)))
        return list(commands)[:most]

    def _count(self, name: str) -> int:
        value = self.counts.get(name)
        return value if isinstance(value, int) else 0


def judge_day(
    database: Database, calendar: TradingCalendar, day: date, *, sample: TechnicalContext | None = None
) -> DayQuality:
    """Return the quality of a trading day, as the store holds it now; with `sample` some indicators are computed again."""
    findings = judge_stored(database, calendar, [day], sample=sample)
    with database.read() as conn:
        sessions = coverage.day_counts(conn, day - _CALENDAR_DAYS, day)
        counts = next(sessions.filter(pl.col("trade_date") == day).iter_rows(named=True), dict[str, object]())
        refused = rejects.read_rejected(conn, day, day).filter(pl.col("resolved_at").is_null())
        snapshot = snapshots.current(conn, [day]).get(day)
        securities = reference.read_securities(conn)
        missing = coverage.missing_bars(conn, day, day)["ts_code"].to_list() if counts else []
        (sources,) = compare_stored(conn, [day])
        rows = bars.rows_of_day(conn, day)
        turnover = bars.turnover(conn, day - _CALENDAR_DAYS, day)
        lines = _ledger(conn, day)
    return DayQuality(
        day=day,
        snapshot=snapshot,
        counts=counts,
        ledger=lines,
        missing=tuple(missing),
        verdicts=tuple(verdicts(findings, {day: rows.height})),
        findings=findings,
        refused=refused.select("dataset", "ts_code", "rule", "source", "row_text"),
        sources=sources,
        bars=rows,
        names=dict(securities.select("ts_code", "name").drop_nulls().iter_rows()),
        # Sessions before the store's first one are no gaps.
        history=sessions.filter(pl.col("status").is_not_null()).tail(SESSIONS_BEFORE + 1),
        turnover=turnover,
    )


def _ledger(conn: Connection, day: date) -> pl.DataFrame:
    known = pl.concat(ledger.read_entries(conn, dataset, day, day) for dataset in DEADLINES)
    every = pl.DataFrame({"dataset": list(DEADLINES)})
    return every.join(known.select(_LINE), on="dataset", how="left", maintain_order="left")
