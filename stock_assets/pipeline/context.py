"""What every verb needs to do its work, handed in from above."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Protocol

from stock_assets.domain.alerts import Notify, tell_nobody
from stock_assets.domain.calendar import TradingCalendar
from stock_assets.domain.completeness import SourcesInUse
from stock_assets.pipeline.report import DayOutcome
from stock_assets.sources.base import MarketSource
from stock_assets.storage.database import Connection, Database

Counted = tuple[str, str]
"""What units of work are, in Chinese and in English."""
STOCKS_COUNTED: Final[Counted] = ("只股票", "stocks")
DAYS_COUNTED: Final[Counted] = ("天", "days")


class Progress(Protocol):
    """Is told how far a long piece of work has come."""

    def __call__(self, *, done: int, total: int, rows: int, label: str, counted: Counted | None = None) -> None:
        """`done` of `total` units, `rows` landed so far, `label` names the unit in work, `counted` what units are."""
        ...


def no_progress(*, done: int, total: int, rows: int, label: str, counted: Counted | None = None) -> None:
    """Tell nobody."""


class LandingTransaction(Protocol):
    """A transaction that bars are landed in; whoever opened it is told what it brings, before it is committed."""

    @property
    def connection(self) -> Connection:
        """The connection to write through."""
        ...

    def landed(self, outcomes: Sequence[DayOutcome], lacking: Mapping[date, Collection[str]], *, rows: int) -> None:
        """These days now stand so; `lacking` has each day's listed stocks without a bar, `rows` were written."""
        ...


@dataclass(frozen=True, slots=True)
class PipelineContext:
    """Sources, store, calendar and clock of one run.

    `source` is asked first; of `fallbacks`, in order, each is asked for what is still missing then (see `turns`).
    `concurrency` is how many calls may be under way at once (never more than sessions); `breaks_in_a_row` how many calls in
    a row may break before the source counts as down and the run stops; after `batch_size` calls a line is logged.
    `sources_in_use` are all sources of the run where this context has a part of them only.
    `transaction` opens the transactions that bars are landed in; without it they are the database's own. `notify` is told
    of synchronizations that a person should look at. `await_second_look` returns when a new day may be asked a second time,
    to see whether its answer still changes; without it nobody does.
    """

    source: MarketSource
    database: Database
    calendar: TradingCalendar
    now: Callable[[], datetime]
    run_id: str | None = None
    concurrency: int = 1
    fallbacks: tuple[MarketSource, ...] = ()
    progress: Progress = no_progress
    slow_seconds: float = 5.0
    breaks_in_a_row: int = 3
    batch_size: int = 100
    transaction: Callable[[], AbstractContextManager[LandingTransaction]] | None = None
    notify: Notify = tell_nobody
    await_second_look: Callable[[], None] | None = None

    sources_in_use: SourcesInUse | None = None

    @property
    def in_use(self) -> SourcesInUse:
        """Every source that this run asks, with the exchanges it has: what none of them has is to be had nowhere."""
        if self.sources_in_use is not None:
            return self.sources_in_use
        return {source.name: source.exchanges for source in (self.source, *self.fallbacks)}

    def last_final(self) -> date:
        """Return the newest session that should be published now."""
        return self.calendar.last_final(self.now())
