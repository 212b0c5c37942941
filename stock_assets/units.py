"""One unit of work: its steps are timed, and it leaves exactly one line in the log.

    with unit("ingest.day", trade_date=day) as work:
        with work.step("api"):
            answer = source.daily_of_day(day)
        work.add(rows=answer.frame.height)

The line carries the split as `<step>_seconds` and `total_seconds`. It is a warning, with the cause named, when the unit
took longer than the slow threshold or failed; the failure goes on to the caller. How lines look belongs to `logs`.
"""

import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Literal

import structlog

Step = Literal["pool_wait", "api", "translate", "judge", "database"]
Cause = Literal["pool wait", "API", "translation", "database"]

SLOW_SECONDS = 5.0
"""What counts as slow until `logs.setup.configure_logging` says otherwise."""

_CAUSES: dict[str, Cause] = {
    "pool_wait_seconds": "pool wait",
    "api_seconds": "API",
    "translate_seconds": "translation",
    "judge_seconds": "translation",
    "database_seconds": "database",
}
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO}
_slow_seconds = SLOW_SECONDS


def set_slow_seconds(seconds: float) -> None:
    """Change what counts as slow in this process."""
    global _slow_seconds  # noqa: PLW0603 - one threshold per process, like the level of the log
    _slow_seconds = seconds


def diagnose(split: Mapping[str, float]) -> Cause:
    """Return which of the four causes took most of the time: pool wait, API, translation or database.

    `split` holds `<step>_seconds`; judging rows counts as translation. Of equal causes the earlier step is named.
    """
    spent: dict[Cause, float] = dict.fromkeys(_CAUSES.values(), 0.0)
    for name, cause in _CAUSES.items():
        spent[cause] += split.get(name, 0.0)
    return max(spent, key=spent.__getitem__)


@dataclass(slots=True)
class UnitOfWork:
    """A unit that is being worked on: what it is called, what is known of it and where its time went."""

    event: str
    fields: dict[str, object]
    split: dict[str, float] = field(default_factory=dict[str, float])

    def add(self, **fields: object) -> None:
        """Add facts to the unit's line."""
        self.fields.update(fields)

    def record(self, step: Step, seconds: float) -> None:
        """Add time that was measured elsewhere, such as a source's own wait."""
        name = f"{step}_seconds"
        self.split[name] = self.split.get(name, 0.0) + seconds

    @contextmanager
    def step(self, step: Step) -> Generator[None]:
        """Measure one step; a step that comes again adds to its time."""
        started = perf_counter()
        try:
            yield
        finally:
            self.record(step, perf_counter() - started)


@contextmanager
def unit(
    event: str, level: Literal["debug", "info"] = "info", *, slow_seconds: float | None = None, **fields: object
) -> Generator[UnitOfWork]:
    """Measure one unit of work and log it as one line: `debug` for a stock, `info` for a batch, a day or a total."""
    work = UnitOfWork(event, fields)
    limit_seconds = _slow_seconds if slow_seconds is None else slow_seconds
    started = perf_counter()
    try:
        yield work
    except BaseException as error:
        # The error itself, not its text: the log speaks the user's language.
        work.add(failure=type(error).__name__, problem=error)
        _emit(work, perf_counter() - started, limit_seconds, level=logging.WARNING)
        raise
    _emit(work, perf_counter() - started, limit_seconds, level=_LEVELS[level])


def _emit(work: UnitOfWork, total_seconds: float, limit_seconds: float, *, level: int) -> None:
    line = {**work.fields, **{name: round(seconds, 4) for name, seconds in work.split.items()}}
    if total_seconds > limit_seconds:
        level = logging.WARNING
        # A split that was measured elsewhere comes in through `add`.
        split = {name: seconds for name in _CAUSES if isinstance(seconds := line.get(name), int | float)}
        if any(split.values()):
            line["cause"] = diagnose(split)
    structlog.get_logger(__name__).log(level, work.event, **line, total_seconds=round(total_seconds, 4))
