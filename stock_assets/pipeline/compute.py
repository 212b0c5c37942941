"""Technical indicators into the store: new days from what is stored, corrections stock by stock, a history in bounded memory.

All three give the same bits, so that it never matters in which order days came, or in how many runs.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl
import structlog

from stock_assets.domain.calendar import FIRST_SESSION
from stock_assets.indicators.panel import LOOKBACK
from stock_assets.indicators.table import DIGEST, TECHNICAL_DAILY
from stock_assets.pipeline.context import DAYS_COUNTED
from stock_assets.pipeline.report import DayOutcome
from stock_assets.pipeline.ring import Ring, load_ring, save_ring
from stock_assets.pipeline.technical_context import TechnicalContext, TechnicalReport
from stock_assets.pipeline.technical_digests import version_of
from stock_assets.pipeline.technical_lines import write_lines
from stock_assets.pipeline.technical_plan import TechnicalPlan, bars_missing
from stock_assets.pipeline.technical_rows import RowMaker, Surroundings
from stock_assets.pipeline.whole_series import WholeSeries
from stock_assets.storage import bulk_load, completeness, reference, technicals
from stock_assets.storage.arrow_session import ArrowSession
from stock_assets.storage.database import Connection
from stock_assets.storage.full_load import load_whole
from stock_assets.storage.reader import Reader
from stock_assets.units import unit

_log = structlog.get_logger(__name__)
# More new days than this are computed stock by stock, which by then takes less memory and no more time.
_MOST_NEW_DAYS = 60
# So many of the last days a stock may have missed before its bars are looked up by themselves.
_NOT_TRADED = 15
# When more days than this have changed, every stock is looked at instead of every day.
_MOST_CORRECTED_DAYS = 40


def compute_technicals(
    context: TechnicalContext, days: Sequence[date], *, ts_codes: Collection[str] | None = None, again: bool = False
) -> TechnicalReport:
    """Compute the indicators of `days`, and of every day before them whose inputs have changed since it was computed.

    Rows of `days` that were computed and are no longer there are computed again. Later days that were computed already are
    brought up to date with them. With `again`, the days and all that follows them
    are computed whatever the ledger says, of `ts_codes` only where these are given; only rows that differ are written.
    Each day whose bars are not loaded is a failure of the report, but for those on which no stock was listed yet. One run
    at a time: a second one waits.
    """
    report = TechnicalReport(dataset="technical_daily", days_asked=len(days))
    with (
        unit("technicals.run", days=len(days), first=min(days), last=max(days), slow_seconds=float("inf")) as work,
        technicals.one_run_at_a_time(context.database),
    ):
        run = _Run.begin(context, report)
        loaded = set(run.plan.lines["trade_date"])
        for day in days:
            if day not in loaded and not run.is_before_everything(day):
                error = bars_missing(day)
                report.add_failure(str(day), error)
                report.add_outcomes([DayOutcome(day, "refused", None, 0, detail=str(error))])
        if asked := sorted(loaded.intersection(days)):
            run.bring_up_to_date(run.plan.stale(asked))
            if again:
                run.again(asked, ts_codes)
            else:
                run.bring_back(asked)
        work.add(stocks=len(report.stocks), rows=report.rows_written, days_worked=len(report.outcomes))
        work.split.update(report.split)
    for family in context.families:
        if (seconds := report.family_seconds.get(family.name)) is not None:
            _log.info(
                "technicals.family",
                family=family.name.upper(),
                stocks=len(report.stocks),
                total_seconds=round(seconds, 4),
            )
    return report


@dataclass(slots=True)
class _Run:
    """One run: the plan, what rows are made of, and the report it fills."""

    context: TechnicalContext
    report: TechnicalReport
    plan: TechnicalPlan
    maker: RowMaker
    started_at: datetime
    first_listing: date | None

    @classmethod
    def begin(cls, context: TechnicalContext, report: TechnicalReport) -> "_Run":
        """Read the state of the store."""
        started_at = context.now()
        with report.step("read"):
            technicals.ensure_columns(context.database, context.families)
            with context.database.read() as conn:
                plan = TechnicalPlan.read(conn, version_of(context.families))
                factors = technicals.read_factors(conn)
                first_listing = reference.first_listing(conn)
        sessions = context.calendar.between(FIRST_SESSION, plan.last_day or FIRST_SESSION)
        around = Surroundings(factors=factors, facts=plan.facts, sessions=sessions)
        return cls(context, report, plan, RowMaker(context.families, around, report), started_at, first_listing)

    def is_before_everything(self, day: date) -> bool:
        """Return whether no stock was listed yet: there is nothing to load."""
        return self.first_listing is not None and day < self.first_listing

    def bring_up_to_date(self, stale: pl.DataFrame) -> None:
        """Compute what `stale` asks for: days among computed ones first, then those after them."""
        if stale.is_empty():
            return
        fresh = self.plan.fresh_through(stale)
        inside = stale.filter(pl.col("trade_date") < (fresh or date.min))
        after = stale.filter(pl.col("trade_date") > (fresh or date.min))
        if fresh is None or after.height > _MOST_NEW_DAYS:
            self._every_stock(stale, stale["trade_date"][-1])
            return
        if inside.height > _MOST_CORRECTED_DAYS:
            self._every_stock(inside, fresh)
        elif inside.height:
            self._some_stocks(inside, fresh, self._concerned(inside["trade_date"].to_list()))
        if after.height:
            self._new_days(after, fresh)

    def again(self, asked: Sequence[date], ts_codes: Collection[str] | None) -> None:
        """Compute from the first of these days on, trusting nothing that is stored."""
        lines = self.plan.lines.filter(pl.col("trade_date").is_in(list(asked)))
        last = max(asked[-1], self.plan.computed_through or asked[-1])
        if ts_codes is None:
            self._every_stock(lines, last, is_forced=True)
        else:
            self._some_stocks(lines, last, set(ts_codes))

    def bring_back(self, asked: Sequence[date]) -> None:
        """Compute the stocks that lack a row on one of these days where they have a bar."""
        with self.report.step("read"), self.context.database.read() as conn:
            lost = completeness.open_gaps(conn, TECHNICAL_DAILY.name, asked[0], asked[-1])
        lost = lost.filter(pl.col("trade_date").is_in(list(asked)))
        if lost.height:
            self.again(lost["trade_date"].unique().sort().to_list(), lost["ts_code"].unique())

    def _new_days(self, lines: pl.DataFrame, fresh: date) -> None:
        """Compute days after the newest computed one, from each stock's newest bars and its newest row."""
        context, names, days = self.context, self.maker.names, lines["trade_date"]
        with self.report.step("read"):
            ring = load_ring(context.ring, self.plan.token(fresh), names) or self._ring_of_store(fresh)
            with context.database.read() as conn:
                bars = technicals.bars_of_days(conn, days[0], days[-1])
            new = self.maker.series(bars.filter(pl.col("trade_date").is_in(days.to_list())))
        with self.report.step("compute"):
            panel = ring.with_stocks(new["ts_code"].unique().to_list()).panel(new)
            values = self.maker.values(panel.bars, panel.segments, panel.ring.values)
            frame = self.maker.rows(self.maker.inputs(new), values)
        with self.report.step("write"), context.database.begin() as conn:
            self._add(conn, frame, days[0], days[-1])
            self._write_lines(conn, lines, dict(new.group_by("trade_date").len().iter_rows()))
        with self.report.step("keep"):
            save_ring(context.ring, panel.moved_on(values), self.plan.token(days[-1]), names)
        self.report.stocks.update(new["ts_code"].unique())
        rows, label = self.report.rows_written, str(days[-1])
        context.progress(done=len(days), total=len(days), rows=rows, label=label, counted=DAYS_COUNTED)

    def _add(self, conn: Connection, frame: pl.DataFrame, first: date, last: date) -> None:
        # A run that was killed may have been here.
        left = technicals.stored_codes(conn, first, last) if technicals.has_rows(conn, first, last) else set[str]()
        counts = bulk_load.load(conn, self.maker.table, frame, is_new=not left, run_id=self.context.run_id)
        self.report.add_counts(counts)
        if left:
            self.report.deleted += technicals.delete_gone(conn, left, first, last)

    def _ring_of_store(self, fresh: date) -> Ring:
        """Make the ring from the store; a stock whose newest row is not that of its newest bar is computed anew before."""
        while True:
            with Reader(self.context.database).snapshot() as session:
                series = self._newest_bars(session, fresh)
                values = technicals.last_values(session, self.maker.table, fresh)
            newest = series.group_by("ts_code").agg(pl.col("trade_date").last())
            odd = newest.join(values, on=["ts_code", "trade_date"], how="anti")["ts_code"]
            if odd.is_empty():
                return Ring.of(series, values, self.maker.names)
            self._some_stocks(self.plan.lines.clear(), fresh, set(odd))

    def _newest_bars(self, session: ArrowSession, fresh: date) -> pl.DataFrame:
        """Return the last LOOKBACK bars of each series: most are found day by day, which is the faster way to read them."""
        days = self.plan.lines.filter(pl.col("trade_date") <= fresh)["trade_date"].tail(LOOKBACK + _NOT_TRADED)
        recent = self.maker.series(technicals.bars_between(session, days[0], fresh))
        rows = recent.group_by("ts_code").len()
        enough = rows.filter(pl.col("len") >= LOOKBACK)["ts_code"].to_list()
        others = self.maker.series(technicals.last_bars(session, fresh, LOOKBACK, but=enough))
        found = recent.filter(pl.col("ts_code").is_in(enough)).group_by("ts_code", maintain_order=True).tail(LOOKBACK)
        return pl.concat([found.select(others.columns), others]).sort("ts_code", "trade_date")

    def _concerned(self, days: Sequence[date]) -> set[str]:
        """Return the stocks whose bars, factors or facts of these days are not those that rows were made of."""
        found = set[str]()
        with self.report.step("read"), self.context.database.read() as conn:
            for day in days:
                found |= technicals.stocks_with_factors(conn, self.plan.day_before(day), day)
                given = self.maker.inputs(self.maker.series(technicals.bars_of_days(conn, day, day)))
                stored = technicals.digests_on(conn, day).rename({DIGEST: "stored"})
                both = given.select("ts_code", DIGEST).join(stored, on="ts_code", how="full", coalesce=True)
                found |= set(both.filter(pl.col(DIGEST).ne_missing(pl.col("stored")))["ts_code"])
        return found

    def _some_stocks(self, lines: pl.DataFrame, last: date, concerned: set[str]) -> None:
        """Compute these stocks from the first of the days on; few rows go in together with the lines."""
        first = lines["trade_date"][0] if lines.height else FIRST_SESSION
        waiting: list[pl.DataFrame] = []
        if concerned:
            with self.report.step("write"), Reader(self.context.database).snapshot() as session:
                with self.report.step("read"):
                    lengths = technicals.series_lengths(session, last, sorted(concerned))
                whole = WholeSeries(self.context, self.report, self.maker, session, first, last, lengths)
                for frame in whole.frames():
                    waiting.append(frame)
                    if sum(part.height for part in waiting) >= self.context.write_rows:
                        with self.context.database.begin() as conn:
                            self._load(conn, waiting)
                        waiting = []
        with self.report.step("write"), self.context.database.begin() as conn:
            self._load(conn, waiting)
            if concerned:
                self.report.deleted += technicals.delete_gone(conn, concerned, first, last)
            if lines.height:
                self._write_lines(conn, lines, technicals.rows_by_day(conn, lines["trade_date"].to_list()))

    def _load(self, conn: Connection, frames: list[pl.DataFrame]) -> None:
        if frames:
            rows = pl.concat(frames)
            self.report.add_counts(bulk_load.load(conn, self.maker.table, rows, run_id=self.context.run_id))

    def _every_stock(self, lines: pl.DataFrame, last: date, *, is_forced: bool = False) -> None:
        """Compute all stocks from the first of the days on, but those whose rows were made of what is there now."""
        context, first = self.context, lines["trade_date"][0]
        with self.report.step("write"), Reader(context.database).snapshot() as session:
            with self.report.step("read"):
                lengths = technicals.series_lengths(session, last)
                stored = technicals.stored_marks(session, first, last)
            whole = WholeSeries(
                context, self.report, self.maker, session, first, last, lengths, None if is_forced else stored
            )
            had_rows = set(stored["ts_code"])

            def delete_gone(conn: Connection, frame: pl.DataFrame) -> None:
                if codes := had_rows.intersection(frame["ts_code"].unique()):
                    self.report.deleted += technicals.delete_gone(conn, codes, first, last)

            counts = load_whole(
                context.database,
                self.maker.table,
                whole.frames(),
                rows=int(lengths["rows"].sum()),
                run_id=context.run_id,
                now=self.started_at,
                beside=delete_gone,
            )
            self.report.add_counts(counts)
            with context.database.begin() as conn:
                if gone := had_rows - whole.seen:
                    self.report.deleted += technicals.delete_gone(conn, gone, first, last)
                self._write_lines(conn, lines, whole.rows_of_day)

    def _write_lines(self, conn: Connection, lines: pl.DataFrame, rows: dict[date, int]) -> None:
        write_lines(conn, self.context, self.report, lines, rows, self.started_at)
