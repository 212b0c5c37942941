"""What the verbs about finance reports need, and what they report back."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from stock_assets.domain.alerts import Notify, tell_nobody
from stock_assets.domain.answers import CallCost
from stock_assets.domain.calendar import SHANGHAI, TradingCalendar
from stock_assets.domain.errors import StockAssetsError
from stock_assets.pipeline.context import Progress, no_progress
from stock_assets.pipeline.report import DayOutcome, Status
from stock_assets.sources.finance_base import FinanceSource
from stock_assets.storage.database import Database
from stock_assets.storage.finance import FinanceCounts
from stock_assets.storage.finance_days import Lines
from stock_assets.storage.finance_progress import Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class FinanceContext:
    """Source, store, calendar and clock of one run; `since` is the day from which on periods are wanted.

    `missing_limit` is how many stocks an increment asks for that were never asked for, `max_retries` how often what
    failed is tried again by itself, `breaks_in_a_row` how many calls in a row may break before the source counts as down.
    `notify` is told of synchronizations that a person should look at.
    """

    source: FinanceSource
    database: Database
    calendar: TradingCalendar
    now: Callable[[], datetime]
    since: date
    run_id: str | None = None
    batch_size: int = 100
    missing_limit: int = 300
    max_retries: int = 3
    breaks_in_a_row: int = 3
    stop: threading.Event = field(default_factory=threading.Event)
    progress: Progress = no_progress
    notify: Notify = tell_nobody

    def today(self) -> date:
        """Return the calendar day in Shanghai."""
        return self.now().astimezone(SHANGHAI).date()

    def last_final(self) -> date:
        """Return the newest session whose announcements should all be published by now."""
        return self.calendar.last_final(self.now())

    def asked(self, at: datetime) -> Asked:
        """Return what progress says of questions asked at a moment."""
        return Asked(source=self.source.name, fetched_at=at, run_id=self.run_id)

    def lines(self, through: date, started_at: datetime) -> Lines:
        """Return the ledger's lines from the first wanted session through a day."""
        sessions = self.calendar.between(self.since, through)
        before = self.calendar.previous(sessions[0]) if sessions else None
        return Lines(
            sessions=sessions,
            before=before or self.since,
            source=self.source.name,
            started_at=started_at,
            run_id=self.run_id,
        )


@dataclass(slots=True)
class FinanceReport:
    """What a run did; rows of answers are counted as in `storage.finance.FinanceCounts`.

    `outcomes` are the asked days as the ledger has them at the end; `failed` items failed in this run and are tried
    again by the next one, those in `need_a_person` are not; `stopped_by` ended the run before its list was done.
    """

    days: Sequence[date] = ()
    items: int = 0
    requests: int = 0
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    first: int = 0
    corrected: int = 0
    duplicates: int = 0
    unchanged: int = 0
    rejected: int = 0
    outcomes: list[DayOutcome] = field(default_factory=list[DayOutcome])
    failed: tuple[str, ...] = ()
    need_a_person: tuple[str, ...] = ()
    stopped_by: StockAssetsError | None = None

    @property
    def rows_written(self) -> int:
        """New versions in the store."""
        return self.first + self.corrected

    def count(self, status: Status) -> int:
        """Return how many of the days have a status."""
        return sum(outcome.status == status for outcome in self.outcomes)

    def add_counts(self, counts: FinanceCounts) -> None:
        """Add what one landing did."""
        self.first += counts.first
        self.corrected += counts.corrected
        self.duplicates += counts.duplicates
        self.unchanged += counts.unchanged
        self.rejected += counts.rejected

    def add_cost(self, cost: CallCost) -> None:
        """Add what one call took."""
        self.requests += cost.requests
        self.add_seconds("wait_seconds", cost.wait_seconds)
        self.add_seconds("api_seconds", cost.api_seconds)

    def add_seconds(self, step: str, seconds: float) -> None:
        """Add seconds of one step."""
        self.seconds[step] = self.seconds.get(step, 0.0) + seconds
