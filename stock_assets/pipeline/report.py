"""What a verb reports back: outcomes by day, failures by call, and where the time went."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from stock_assets.domain.answers import CallCost
from stock_assets.domain.errors import StockAssetsError
from stock_assets.storage.bulk_load import Counts

Status = Literal["complete", "empty", "partial", "refused"]


@dataclass(frozen=True, slots=True)
class DayOutcome:
    """One dataset on one day after landing."""

    day: date
    status: Status
    rows_expected: int | None
    rows_present: int
    rows_rejected: int = 0
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class CallFailure:
    """A call that closed no gap: what was asked, and why nothing came of it."""

    label: str
    error: StockAssetsError


@dataclass(slots=True)
class IngestReport:
    """The whole run: days asked, outcomes of the days that were worked on, failures, requests and seconds."""

    dataset: str
    days_asked: int
    failures: list[CallFailure] = field(default_factory=list[CallFailure])
    requests: int = 0
    split: dict[str, float] = field(default_factory=dict[str, float])
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    securities_refreshed: bool = False
    stopped_by: StockAssetsError | None = None
    handed_on: dict[str, StockAssetsError] = field(default_factory=dict[str, StockAssetsError])
    """Sources that could not go on, with the reason: what they left was asked of the next one."""
    raw_tables: set[str] = field(default_factory=set[str])
    """The raw tables that kept an answer of this run."""
    _unanswered: dict[str, StockAssetsError] = field(default_factory=dict[str, StockAssetsError])
    _outcomes: dict[date, DayOutcome] = field(default_factory=dict[date, DayOutcome])

    @property
    def outcomes(self) -> list[DayOutcome]:
        """How the worked days stand after their last landing, in the order in which they were first worked on."""
        return list(self._outcomes.values())

    @property
    def days_already_complete(self) -> int:
        """Days that needed no call."""
        return self.days_asked - len(self._outcomes)

    def add_outcomes(self, outcomes: Sequence[DayOutcome]) -> None:
        """Add how days stand after a landing or a refusal.

        An earlier word on the same day no longer counts, except that a refusal takes nothing from what has landed.
        """
        for outcome in outcomes:
            if outcome.status != "refused":
                self._outcomes[outcome.day] = outcome
                self._unanswered.pop(str(outcome.day), None)
            else:
                self._outcomes.setdefault(outcome.day, outcome)

    def add_failure(self, label: str, error: StockAssetsError, *, is_needed: bool = True) -> None:
        """Add a call that failed; `is_needed` says that without its answer the day it names is not done.

        Of several sources that failed a day, the first one's reason is what counts.
        """
        self.failures.append(CallFailure(label, error))
        if is_needed:
            self._unanswered.setdefault(label, error)

    def add(self, earlier: "IngestReport") -> None:
        """Add what another part of the same run did, before this one; what failed in it stays its own."""
        self.days_asked += earlier.days_asked
        self._outcomes = {outcome.day: outcome for outcome in earlier.outcomes} | self._outcomes
        self.requests += earlier.requests
        self.add_seconds(earlier.split)
        self.inserted += earlier.inserted
        self.updated += earlier.updated
        self.unchanged += earlier.unchanged
        self.raw_tables |= earlier.raw_tables

    def count(self, status: Status) -> int:
        """Return how many worked days ended with `status`."""
        return sum(outcome.status == status for outcome in self.outcomes)

    def add_cost(self, cost: CallCost) -> None:
        """Add what a call took."""
        self.requests += cost.requests
        self.add_seconds({"pool_wait_seconds": cost.wait_seconds, "api_seconds": cost.api_seconds})

    def add_seconds(self, split: Mapping[str, float]) -> None:
        """Add seconds by step."""
        for name, seconds in split.items():
            self.split[name] = self.split.get(name, 0.0) + seconds

    def add_counts(self, counts: Counts) -> None:
        """Add the business rows one landing wrote."""
        self.inserted += counts.inserted
        self.updated += counts.updated
        self.unchanged += counts.unchanged

    @property
    def rows_written(self) -> int:
        """Business rows inserted or updated."""
        return self.inserted + self.updated

    @property
    def rows_present(self) -> int:
        """Business rows present on the worked days."""
        return sum(outcome.rows_present for outcome in self.outcomes)

    def failure(self, asked: Collection[date] | None = None) -> StockAssetsError | None:
        """Return what makes this run a failed one: it was stopped, a day got no answer at all, or nothing did.

        A day that is merely partial is no failure: its rows are in, and the ledger keeps it open. Neither is a day that
        was not `asked` for, where these are given.
        """
        if self.stopped_by is not None:
            return self.stopped_by
        if self.failures and not self.outcomes:
            return self.failures[0].error
        days = (str(day) for day in self._outcomes if asked is None or day in asked)
        return next((error for day in days if (error := self._unanswered.get(day)) is not None), None)
