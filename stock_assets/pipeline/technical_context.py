"""What computing indicators needs, handed in from above: a store, and nobody to ask."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Literal

from stock_assets.domain.calendar import TradingCalendar
from stock_assets.indicators.catalog import FAMILIES
from stock_assets.indicators.family import Family
from stock_assets.pipeline.context import Progress, no_progress
from stock_assets.pipeline.report import IngestReport
from stock_assets.storage.database import Database

Step = Literal["read", "compute", "write", "keep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TechnicalContext:
    """Store, calendar and clock of one run, and the indicators to compute.

    `ring` is the file that keeps each stock's newest bars between runs; without it they are read from the store.
    `read_rows` bounds the bars, `write_rows` the results that are in memory at a time.
    """

    database: Database
    calendar: TradingCalendar
    now: Callable[[], datetime]
    families: tuple[Family, ...] = FAMILIES
    ring: Path | None = None
    run_id: str | None = None
    progress: Progress = no_progress
    read_rows: int = 2_000_000
    write_rows: int = 200_000


@dataclass(slots=True)
class TechnicalReport(IngestReport):
    """An `IngestReport` without requests: `split` has the seconds of reading, computing, writing, and keeping a ring."""

    family_seconds: dict[str, float] = field(default_factory=dict[str, float])
    """Processor seconds of each family of indicators, over all threads."""
    stocks: set[str] = field(default_factory=set[str])
    """The stocks of which anything was computed."""
    deleted: int = 0
    """Rows that were deleted because their bar is gone."""
    _steps: list[Step] = field(default_factory=list[Step])
    _since: float = 0.0

    @contextmanager
    def step(self, name: Step) -> Generator[None]:
        """Charge the time until the end to `name`, but for steps inside it, which are charged to theirs."""
        self._charge()
        self._steps.append(name)
        try:
            yield
        finally:
            self._charge()
            self._steps.pop()

    def _charge(self) -> None:
        now = perf_counter()
        if self._steps:
            self.add_seconds({f"{self._steps[-1]}_seconds": now - self._since})
        self._since = now
