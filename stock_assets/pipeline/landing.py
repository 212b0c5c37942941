"""From an all-text answer to committed rows: translate, judge, and one transaction that holds whole days.

Raw rows, business rows, refused rows, findings and the ledger line of a day are committed together or not at all.
"""

import hashlib
import json
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime

import polars as pl

from stock_assets.domain.contract import Table
from stock_assets.domain.errors import NotReady, StockAssetsError
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.domain.universe import under_code_of_day
from stock_assets.pipeline.context import LandingTransaction, PipelineContext
from stock_assets.pipeline.lacking import no_gaps, note_lacking
from stock_assets.pipeline.report import DayOutcome
from stock_assets.quality.bar_rules import judge_bars
from stock_assets.quality.findings import FINDING_SCHEMA, WHOLE_DAY
from stock_assets.quality.series_rules import judge_continuity
from stock_assets.storage import asked_gaps, bars, bulk_load, ledger, raw, rejects
from stock_assets.storage.database import Connection, Database
from stock_assets.storage.day_state import DayState, day_states
from stock_assets.units import UnitOfWork

_DATASET = STOCK_DAILY.name
_NAMED_IN_DETAIL = 500


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """An answer and what became of its rows.

    `answer` is all text in the source's columns, with `day` (the trading day a row is filed under: its own, or the first
    asked one where its own cannot be used); `rejected` has `day` as well.
    """

    answer: pl.DataFrame
    accepted: pl.DataFrame
    rejected: pl.DataFrame
    findings: pl.DataFrame

    def of_days(self, days: Collection[date]) -> "JudgedAnswer":
        """Return the part that is filed under these days."""
        chosen = list(days)
        return JudgedAnswer(
            self.answer.filter(pl.col("day").is_in(chosen)),
            self.accepted.filter(pl.col("trade_date").is_in(chosen)),
            self.rejected.filter(pl.col("day").is_in(chosen)),
            self.findings.filter(pl.col("trade_date").is_in(chosen)),
        )

    def of_codes(self, ts_codes: Collection[str]) -> "JudgedAnswer":
        """Return the part that belongs to these stocks; rows whose stock cannot be read are left out."""
        rows = pl.concat([self.accepted.select("raw_row", "ts_code"), self.rejected.select("raw_row", "ts_code")])
        chosen = list(ts_codes)
        positions = rows.filter(pl.col("ts_code").is_in(chosen))["raw_row"].sort()
        return JudgedAnswer(
            self.answer[positions.to_list()],
            self.accepted.filter(pl.col("ts_code").is_in(chosen)),
            self.rejected.filter(pl.col("ts_code").is_in(chosen)),
            self.findings.filter(pl.col("ts_code").is_in(chosen)),
        )

    def rows_of_day(self) -> dict[date, int]:
        """Return how many rows of the answer are filed under each day that has any."""
        return dict(self.answer.group_by("day").len().iter_rows())

    @classmethod
    def together(cls, parts: "Sequence[JudgedAnswer]") -> "JudgedAnswer":
        """Return several answers as one."""
        return cls(*(pl.concat([getattr(part, name) for part in parts]) for name in cls.__slots__))


@dataclass(frozen=True, slots=True)
class Landing:
    """What one transaction brings: whole days (`ts_codes` None), or only these stocks' part of them.

    `asked` are the gaps (ts_code, trade_date) that the answer has spoken about, stock by stock if `is_by_stock`: what of
    them did not come, the source has none of.
    """

    part: JudgedAnswer
    days: tuple[date, ...]
    ts_codes: tuple[str, ...] | None
    started_at: datetime
    asked: pl.DataFrame = field(default_factory=no_gaps)
    is_by_stock: bool = False


def judge_answer(
    context: PipelineContext, answer: pl.DataFrame, days: Sequence[date], securities: pl.DataFrame, work: UnitOfWork
) -> JudgedAnswer:
    """Translate and judge an answer to a question about `days` (sorted)."""
    with work.step("translate"):
        translated = context.source.translate_daily(answer)
    with work.step("judge"):
        renamed = under_code_of_day(translated.frame, securities["ts_code"])
        judged = judge_bars(renamed, asked_days=days, securities=securities, unreadable=translated.unreadable)
        filed = pl.when(pl.col("trade_date").is_in(list(days))).then(pl.col("trade_date")).otherwise(pl.lit(days[0]))
        own_day = translated.frame.sort("raw_row")["trade_date"] if translated.days is None else translated.days
        day_of_row = own_day.alias("trade_date").to_frame().select(filed.alias("day"))["day"]
        return JudgedAnswer(
            answer.with_columns(day_of_row),
            judged.accepted,
            judged.rejected.with_columns(filed.alias("day"), row_texts(answer, judged.rejected["raw_row"])),
            judged.findings,
        )


def land_bars(context: PipelineContext, landing: Landing) -> tuple[list[DayOutcome], bulk_load.Counts]:
    """Commit these days in one transaction; return one outcome per day and the business rows written."""
    opened = _alone(context.database) if context.transaction is None else context.transaction()
    with opened as transaction:
        # Two runs of one day queue up here, so that each sees the other's rows whole.
        ledger.lock_days(transaction.connection, _DATASET, landing.days)
        return _land(transaction, context, landing, context.now())


@dataclass(frozen=True, slots=True)
class _Alone:
    """A transaction of which nobody else wants to know anything."""

    connection: Connection

    def landed(self, outcomes: Sequence[DayOutcome], lacking: Mapping[date, Collection[str]], *, rows: int) -> None:
        """Tell nobody."""


@contextmanager
def _alone(database: Database) -> Generator[LandingTransaction]:
    with database.begin() as conn:
        yield _Alone(conn)


def _land(
    transaction: LandingTransaction, context: PipelineContext, landing: Landing, now: datetime
) -> tuple[list[DayOutcome], bulk_load.Counts]:
    conn, part, days = transaction.connection, landing.part, landing.days
    continuity = judge_continuity(part.accepted, bars.previous_closes(conn, min(days)), context.calendar)
    save_raw(conn, context, context.source.raw_daily(part.answer.drop("day")), now)
    rows = part.accepted.drop("raw_row").with_columns(
        pl.lit(context.source.name).alias("source"), stamp(now).alias("updated_at")
    )
    is_new = landing.ts_codes is None and not ledger.statuses(conn, _DATASET, days)
    counts = bulk_load.load(conn, STOCK_DAILY, STOCK_DAILY.conform(rows), is_new=is_new, run_id=context.run_id)
    rejects.save_rejected(
        conn, _DATASET, days, rejected_rows(context, _DATASET, part.rejected, now), ts_codes=landing.ts_codes
    )
    asked_gaps.forget_landed(conn, _DATASET, days)
    asked = landing.asked.filter(pl.col("trade_date").is_in(list(days)))
    lacked = asked.join(part.accepted, on=["ts_code", "trade_date"], how="anti")
    note_lacking(conn, context, lacked, is_by_stock=landing.is_by_stock)
    states = day_states(conn, days, sources=context.in_use)
    findings = pl.concat([part.findings, continuity, _whole_day_findings(states.values())]).with_columns(
        pl.lit(_DATASET).alias("dataset"),
        pl.lit(context.run_id, dtype=pl.String).alias("run_id"),
        stamp(now).alias("found_at"),
    )
    scope = None if landing.ts_codes is None else (*landing.ts_codes, WHOLE_DAY)
    rejects.save_findings(conn, _DATASET, days, findings, ts_codes=scope)
    rejected = rejects.open_counts(conn, _DATASET, days)
    outcomes = [_outcome(states[day], rejected.get(day, 0)) for day in days]
    for outcome in outcomes:
        state = states[outcome.day]
        entry = entry_of(
            context,
            _DATASET,
            outcome,
            started_at=landing.started_at,
            now=now,
            digest=state.digest,
            sources=state.sources,
        )
        ledger.write_entry(conn, entry)
    lacking = {day: state.missing for day, state in states.items()}
    transaction.landed(outcomes, lacking, rows=counts.inserted + counts.updated)
    return outcomes, counts


def land_nothing(context: PipelineContext, asked: pl.DataFrame, started_at: datetime) -> list[DayOutcome]:
    """Write down that answers by stock had none of these gaps (`asked`); return the days that are complete by that.

    A day that the ledger does not know, or that got no answer, stays as it is.
    """
    days = asked["trade_date"].unique().sort().to_list()
    with context.database.begin() as conn:
        ledger.lock_days(conn, _DATASET, days)
        note_lacking(conn, context, asked, is_by_stock=True)
        short = [day for day, status in ledger.statuses(conn, _DATASET, days).items() if status == "partial"]
        rejected = rejects.open_counts(conn, _DATASET, short)
        states = day_states(conn, short, sources=context.in_use)
        outcomes = [_outcome(states[day], rejected.get(day, 0)) for day in sorted(short)]
        done = [outcome for outcome in outcomes if outcome.status == "complete"]
        for outcome in done:
            state, now = states[outcome.day], context.now()
            entry = entry_of(
                context, _DATASET, outcome, started_at=started_at, now=now, digest=state.digest, sources=state.sources
            )
            ledger.write_entry(conn, entry)
    return done


def save_raw(
    conn: Connection, context: PipelineContext, parts: Sequence[tuple[Table, pl.DataFrame]], now: datetime
) -> None:
    """Keep an answer word by word; of rows with one key the first, the others stand in `rejected_row`."""
    for table, rows in parts:
        key = [name for name in table.key if name != "fetched_at"]
        first = rows.unique(key, keep="first", maintain_order=True)
        raw.save_answer(conn, table, first, fetched_at=now, run_id=context.run_id)


def rejected_rows(context: PipelineContext, dataset: str, refused: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Return rows of `rejected_row` for refused rows with `day`, `ts_code`, `rule` and `row_text`."""
    digests = [hashlib.sha256(text.encode()).hexdigest()[:32] for text in refused["row_text"]]
    return refused.select(
        pl.lit(dataset).alias("dataset"),
        pl.col("day").alias("trade_date"),
        "ts_code",
        "rule",
        pl.Series("row_digest", digests, dtype=pl.String),
        "row_text",
        pl.lit(context.source.name).alias("source"),
        pl.lit(context.run_id, dtype=pl.String).alias("run_id"),
        stamp(now).alias("rejected_at"),
        pl.lit(None, dtype=pl.Datetime("us", "UTC")).alias("resolved_at"),
    ).unique(["dataset", "trade_date", "rule", "row_digest"], maintain_order=True)


def row_texts(answer: pl.DataFrame, positions: pl.Series) -> pl.Series:
    """Return the answer's rows at these positions as JSON, in the column `row_text`."""
    rows = answer[positions.to_list()].to_dicts() if len(positions) else []
    return pl.Series("row_text", [json.dumps(row, ensure_ascii=False) for row in rows], dtype=pl.String)


def _whole_day_findings(states: Collection[DayState]) -> pl.DataFrame:
    """Return what can be said of a day as a whole: suspended rows as the source writes them, and bars that lack."""
    found: list[tuple[date, str, str, str, str]] = []
    for state in states:
        if state.suspended_zero:
            detail = f"{state.suspended_zero} suspended rows with volume 0"
            found.append((state.day, WHOLE_DAY, "suspended_volume_zero", "info", detail))
        if state.suspended_empty:
            detail = f"{state.suspended_empty} suspended rows without volume"
            found.append((state.day, WHOLE_DAY, "suspended_volume_empty", "info", detail))
        if state.missing:
            found.append((state.day, WHOLE_DAY, "bars_missing", "warning", _missing_text(state)))
    return pl.DataFrame(found, schema=FINDING_SCHEMA, orient="row")


def _missing_text(state: DayState) -> str:
    named = ", ".join(state.missing[:_NAMED_IN_DETAIL])
    more = len(state.missing) - _NAMED_IN_DETAIL
    return f"{len(state.missing)} listed stocks without a bar: {named}" + (f" and {more} more" if more > 0 else "")


def _outcome(state: DayState, rejected: int) -> DayOutcome:
    is_whole = state.present == state.expected and not rejected
    return DayOutcome(
        day=state.day,
        status="complete" if is_whole else "partial",
        rows_expected=state.expected,
        rows_present=state.present,
        rows_rejected=rejected,
        detail=None if is_whole else f"{state.expected - state.present} missing, {rejected} rejected",
    )


def entry_of(  # noqa: PLR0913  a line of the ledger has as many facts
    context: PipelineContext,
    dataset: str,
    outcome: DayOutcome,
    *,
    started_at: datetime,
    now: datetime,
    digest: str | None = None,
    sources: Collection[str] = (),
) -> ledger.LedgerEntry:
    """Return the ledger's line for an outcome that `sources` made, by default the context's own."""
    return ledger.LedgerEntry(
        dataset=dataset,
        trade_date=outcome.day,
        status=outcome.status,
        rows_expected=outcome.rows_expected,
        rows_present=outcome.rows_present,
        rows_rejected=outcome.rows_rejected,
        source=ledger.joined_sources(sources or (context.source.name,)),
        digest=digest,
        detail=outcome.detail,
        run_id=context.run_id,
        started_at=started_at,
        finished_at=now,
    )


def note_refusal(
    context: PipelineContext, dataset: str, days: Sequence[date], error: StockAssetsError, started_at: datetime
) -> list[DayOutcome]:
    """Write down that these days got no answer; a day that already has rows or a better verdict keeps it."""
    outcomes: list[DayOutcome] = []
    with context.database.begin() as conn:
        ledger.lock_days(conn, dataset, days)
        known = ledger.statuses(conn, dataset, days)
        for day in days:
            outcome = DayOutcome(day, "refused", None, 0, detail=_refusal_text(error))
            outcomes.append(outcome)
            if known.get(day, "refused") == "refused":
                now = context.now()
                ledger.write_entry(conn, entry_of(context, dataset, outcome, started_at=started_at, now=now))
    return outcomes


def _refusal_text(error: StockAssetsError) -> str:
    return f"not ready: {error.facts['reason']}" if isinstance(error, NotReady) else str(error)


def stamp(now: datetime) -> pl.Expr:
    """Return a moment as the literal that timestamp columns want."""
    return pl.lit(now).dt.convert_time_zone("UTC").dt.cast_time_unit("us")
