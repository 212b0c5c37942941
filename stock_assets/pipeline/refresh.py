"""Reference data: the trading calendar reconciled with the source, and the securities, delisted ones included.

The ledger remembers when they were last asked for: a nightly run spends one request on the securities and, once a week,
one on the calendar.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import polars as pl

from stock_assets.domain.answers import Answer, Rows, error_of
from stock_assets.domain.calendar import FIRST_SESSION
from stock_assets.domain.codes import Exchange, board_of
from stock_assets.domain.contract import Table
from stock_assets.domain.errors import AnswerBroken, StockAssetsError
from stock_assets.domain.tables import SECURITY, TRADING_DAY
from stock_assets.domain.universe import former_codes, with_lives_cut
from stock_assets.pipeline.context import PipelineContext
from stock_assets.pipeline.landing import stamp
from stock_assets.pipeline.turns import Turn, turns
from stock_assets.sources.base import MarketSource
from stock_assets.storage import ledger, reference
from stock_assets.storage.bulk_load import Counts

# The source is asked again for this many past days, so that a late change of the calendar is seen.
_LOOK_BACK = timedelta(days=30)
_ASK_AGAIN_AFTER = timedelta(days=6)


@dataclass(frozen=True, slots=True)
class CalendarReport:
    """The reconciled calendar: how many days are open, and the days on which the two calendars disagree."""

    days: int
    sessions: int
    known_until: date
    disagreements: tuple[date, ...]
    counts: Counts
    requests: int


@dataclass(frozen=True, slots=True)
class SecuritiesReport:
    """What a refresh of the securities brought: how many were told, by status, and what changed."""

    total: int
    listed: int
    delisted: int
    counts: Counts
    requests: int


def refresh_calendar(context: PipelineContext, *, full: bool = False) -> CalendarReport:
    """Store every day from 1990-12-19 to the calendar's end, with what the exchange says and what the source says.

    The exchange's calendar decides; a disagreement is reported, never resolved silently. The source is asked once a
    week, for the past month and what is ahead; `full` asks for everything again. Earlier answers are kept. A source that
    does not answer makes way for the next.
    """
    day, started = context.last_final(), context.now()
    with context.database.read() as conn:
        known = reference.calendar_state(conn)
        asked = ledger.closed_days(conn, TRADING_DAY.name, day - _ASK_AGAIN_AFTER, day)
        if asked and not full and known.last_day == context.calendar.known_until:
            return _calendar_report(context, known, Counts(), requests=0)
        stored = reference.read_trading_days(conn)
    told = stored.select("trade_date", "source_is_open").drop_nulls()
    start = FIRST_SESSION if full or told.is_empty() else max(FIRST_SESSION, day - _LOOK_BACK)
    context, answer = _first_answer(context, lambda source: source.trade_dates(start, context.calendar.known_until))
    if not isinstance(answer, Rows):
        raise _unanswered(context, answer, "trade_dates")
    new = context.source.translate_trade_dates(answer.frame).select(
        "trade_date", pl.col("is_open").alias("source_is_open")
    )
    told = pl.concat([told.join(new, on="trade_date", how="anti"), new])
    frame = TRADING_DAY.conform(_calendar_frame(context, told))
    with context.database.begin() as conn:
        counts = reference.save_trading_days(conn, frame)
        ledger.write_entry(conn, _entry(context, TRADING_DAY, day, frame.height, started))
        known = reference.calendar_state(conn)
    return _calendar_report(context, known, counts, requests=answer.cost.requests)


def _calendar_report(
    context: PipelineContext, known: reference.CalendarState, counts: Counts, *, requests: int
) -> CalendarReport:
    return CalendarReport(
        days=known.days,
        sessions=known.sessions,
        known_until=context.calendar.known_until,
        disagreements=known.disagreements,
        counts=counts,
        requests=requests,
    )


def _calendar_frame(context: PipelineContext, told: pl.DataFrame) -> pl.DataFrame:
    calendar = context.calendar
    days = pl.DataFrame({"trade_date": pl.date_range(FIRST_SESSION, calendar.known_until, eager=True)})
    sessions = pl.DataFrame({"trade_date": pl.Series(calendar.sessions, dtype=pl.Date)}).with_columns(
        is_open=pl.lit(value=True)
    )
    frame = (
        days.join(sessions, on="trade_date", how="left", maintain_order="left")
        .join(told, on="trade_date", how="left", maintain_order="left")
        .with_columns(pl.col("is_open").fill_null(value=False))
    )
    last_open = pl.when(pl.col("is_open")).then(pl.col("trade_date")).forward_fill().shift(1)
    return frame.with_columns(
        last_open.alias("previous_open"),
        (pl.col("is_open") == pl.col("source_is_open")).alias("sources_agree"),
        pl.lit(context.source.name).alias("source"),
        stamp(context.now()).alias("updated_at"),
    )


def refresh_securities(context: PipelineContext) -> SecuritiesReport:
    """Store every stock the sources know; one that is no longer named keeps its row, until another code of it begins.

    Each exchange is told by the first source that has it. Where that one does not answer, the next adds the stocks that
    are not known yet, and the list counts as partial, so that it is asked for again.

    Errors: what the first source did when no source answers.
    """
    day, started = context.last_final(), context.now()
    with context.database.read() as conn:
        known = reference.read_securities(conn)
    told, requests = _Told(), 0
    for turn in turns(context):
        answer = turn.context.source.securities()
        requests += answer.cost.requests
        if isinstance(answer, Rows):
            told.add(
                turn, securities_frame(turn.context, turn.context.source.translate_securities(answer.frame)), known
            )
        else:
            told.failures.append(_unanswered(turn.context, answer, "securities"))
    if not told.names:
        raise told.failures[0]
    frame = with_lives_cut(SECURITY.conform(pl.concat(told.frames)), known)
    with context.database.begin() as conn:
        counts = reference.save_securities(conn, frame)
        entry = _entry(context, SECURITY, day, frame.height, started, sources=told.names, failures=told.failures)
        ledger.write_entry(conn, entry)
    listed = frame.filter(pl.col("status") == "listed").height
    return SecuritiesReport(frame.height, listed, frame.height - listed, counts, requests)


@dataclass(slots=True)
class _Told:
    """What sources said of the securities so far: by whom, of which exchanges, and who gave no answer."""

    frames: list[pl.DataFrame] = field(default_factory=list[pl.DataFrame])
    names: list[str] = field(default_factory=list[str])
    exchanges: frozenset[Exchange] = frozenset()
    failures: list[StockAssetsError] = field(default_factory=list[StockAssetsError])

    def add(self, turn: Turn, frame: pl.DataFrame, known: pl.DataFrame) -> None:
        """Add a source's rows: of its own exchanges all, of those that another should have told only unknown stocks."""
        is_own = pl.col("exchange").is_in(turn.scope.own)
        is_left = pl.col("exchange").is_in(turn.scope.shared - self.exchanges)
        is_known = pl.col("ts_code").is_in(known["ts_code"].implode())
        self.frames.append(frame.filter(is_own | (is_left & ~is_known)))
        self.names.append(turn.context.source.name)
        self.exchanges |= turn.scope.own | turn.scope.shared


def _entry(  # noqa: PLR0913  a line of the ledger has as many facts
    context: PipelineContext,
    table: Table,
    day: date,
    rows: int,
    started_at: datetime,
    *,
    sources: Sequence[str] = (),
    failures: Sequence[StockAssetsError] = (),
) -> ledger.LedgerEntry:
    return ledger.LedgerEntry(
        dataset=table.name,
        trade_date=day,
        status="partial" if failures else "complete",
        rows_expected=rows,
        rows_present=rows,
        rows_rejected=0,
        source=ledger.joined_sources(sources or (context.source.name,)),
        detail="; ".join(map(str, failures)) or None,
        run_id=context.run_id,
        started_at=started_at,
        finished_at=context.now(),
    )


def _first_answer(
    context: PipelineContext, ask: Callable[[MarketSource], Answer]
) -> tuple[PipelineContext, Answer]:  # fmt: skip
    """Return the first answer with rows and the context of its source, or what the first source did."""
    answers = [(context, ask(context.source))]
    for fallback in context.fallbacks:
        if isinstance(answers[-1][1], Rows):
            break
        answers.append((replace(context, source=fallback), ask(fallback)))
    return answers[-1] if isinstance(answers[-1][1], Rows) else answers[0]


def _unanswered(context: PipelineContext, answer: Answer, api: str) -> StockAssetsError:
    name = context.source.name
    return error_of(answer, source=name, api=api) or AnswerBroken(source=name, api=api, reason="nothing at all came")


def securities_frame(context: PipelineContext, translated: pl.DataFrame) -> pl.DataFrame:
    """Return translated securities as rows of `security`: exchange, board and former codes filled in."""
    codes = translated["ts_code"].to_list()
    former = pl.Series("former_codes", [",".join(former_codes(code)) or None for code in codes], dtype=pl.String)
    return translated.with_columns(
        pl.col("ts_code").str.slice(-2).alias("exchange"),
        pl.Series("board", [board_of(code) for code in codes], dtype=pl.String),
        former,
        pl.lit(context.source.name).alias("source"),
        stamp(context.now()).alias("updated_at"),
    )


def ensure_reference(context: PipelineContext, days: Sequence[date]) -> None:
    """Refresh calendar and securities unless they were refreshed for a day as late as the last of `days`."""
    with context.database.read() as conn:
        known = reference.calendar_state(conn)
        fresh = ledger.closed_days(conn, SECURITY.name, max(days), context.last_final())
    if known.last_day != context.calendar.known_until:
        refresh_calendar(context)
    if not fresh:
        refresh_securities(context)
