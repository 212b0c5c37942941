"""What schedules were to bring in the last weeks and what became of it: cron times and calendar against the ledger.

Whether the machine was on is no matter here: a run that never started was planned all the same. Runs as the engine
remembers them are given by who knows the engine; without them the ledger alone speaks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final, Literal

import polars as pl

from stock_assets.domain.calendar import SHANGHAI, TradingCalendar
from stock_assets.domain.errors import Language
from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.pipeline.freshness import FINANCE_DEADLINE, MARKET_DEADLINE
from stock_assets.storage import ledger
from stock_assets.storage.database import Connection

PlannedOutcome = Literal["done", "late", "repaired", "missed", "skipped", "pending"]
LOOK_BACK: Final = timedelta(days=30)
WELL: Final[frozenset[PlannedOutcome]] = frozenset({"done", "skipped", "pending"})
"""What nobody has to look at."""

_WORDS: Final[Mapping[PlannedOutcome, tuple[str, str]]] = {
    "done": ("准时", "in time"),
    "late": ("迟到", "late"),
    "repaired": ("事后补齐", "repaired"),
    "missed": ("错过", "missed"),
    "skipped": ("休市", "skipped"),
    "pending": ("待完成", "pending"),
}
_WEEKEND = 5
_MIDNIGHT = time(0)


@dataclass(frozen=True, slots=True)
class Plan:
    """A schedule: its time on weekdays in Shanghai, what it brings, and by when that should be there."""

    schedule: str
    at: time
    datasets: tuple[str, ...]
    deadline: time


PLANS: Final = (
    Plan("nightly_schedule", time(18, 30), (STOCK_DAILY.name, ADJUST_FACTOR.name), MARKET_DEADLINE),
    Plan("finance_schedule", time(21, 0), (FINANCE_INDICATOR.name,), FINANCE_DEADLINE),
)


@dataclass(frozen=True, slots=True)
class ScheduledRun:
    """A run that a schedule started for a day; `ended_at` is None while it works, `reason` says why it failed."""

    run_id: str
    ended_at: datetime | None
    is_success: bool
    reason: str = ""


Runs = Mapping[tuple[str, date], Sequence[ScheduledRun]]
"""By schedule and day, the oldest first."""


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One planned run: what became of it, when its day was in the store as a whole, by which run, and why so."""

    schedule: str
    planned_at: datetime
    outcome: PlannedOutcome
    finished_at: datetime | None = None
    run_id: str | None = None
    zh: str = ""
    en: str = ""


def planned_runs(
    conn: Connection, calendar: TradingCalendar, now: datetime, *, runs: Runs | None = None
) -> list[PlannedRun]:
    """Return every run that was planned in the 30 days before `now` (aware), the newest first.

    Done: in the store by the deadline of its evening; late: later that day; repaired: after it; missed: not yet, and the day
    is over; skipped: the exchanges were closed; pending: the evening is not over. Nothing was planned before the ledger's
    first line, nor is anything by a schedule that never brought a line.

    `runs` None means that nobody has asked the engine.
    """
    begun = ledger.begun_at(conn)
    if begun is None:
        return []
    first, last = (moment.astimezone(SHANGHAI).date() for moment in (now - LOOK_BACK, now))
    found: list[PlannedRun] = []
    for plan in PLANS:
        lines = pl.concat([ledger.read_entries(conn, dataset, first, last) for dataset in plan.datasets])
        if lines.is_empty() and not any(ledger.known_days(conn, dataset) for dataset in plan.datasets):
            continue
        by_day = {day: list(part.iter_rows(named=True)) for (day,), part in lines.group_by("trade_date")}
        for day in _weekdays(first, last):
            planned_at = datetime.combine(day, plan.at, SHANGHAI)
            if begun <= planned_at <= now:
                known = None if runs is None else runs.get((plan.schedule, day), ())
                found.append(_became(plan, planned_at, calendar, by_day.get(day, []), known, now))
    return sorted(found, key=lambda run: run.planned_at, reverse=True)


def frame_of(found: Iterable[PlannedRun], language: Language) -> pl.DataFrame:
    """Return planned runs for people: schedule, planned, outcome, finished, run and reason, all text."""
    rows = [
        (
            run.schedule,
            f"{run.planned_at:%Y-%m-%d %H:%M}",
            _WORDS[run.outcome][language != "zh"],
            "" if run.finished_at is None else f"{run.finished_at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}",
            (run.run_id or "")[:8],
            run.zh if language == "zh" else run.en,
        )
        for run in found
    ]
    names = ("schedule", "planned", "outcome", "finished", "run", "reason")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String()), orient="row")


def counts_of(found: Iterable[PlannedRun]) -> dict[PlannedOutcome, int]:
    """Return how many runs became what, those of which there are any."""
    counts: dict[PlannedOutcome, int] = {}
    for run in found:
        counts[run.outcome] = counts.get(run.outcome, 0) + 1
    return counts


def said(found: Iterable[PlannedRun], language: Language) -> str:
    """Return the counts in words."""
    counts = counts_of(found)
    if not counts:
        return "近 30 天尚无计划的运行" if language == "zh" else "no run was planned in the last 30 days"
    words = [(words[language != "zh"], counts[name]) for name, words in _WORDS.items() if name in counts]
    return ("，" if language == "zh" else ", ").join(f"{word} {count}" for word, count in words)


def state_of(found: Iterable[PlannedRun]) -> str:
    """Return what is another one when something has become of a planned run."""
    return ";".join(f"{run.schedule} {run.planned_at:%m%d} {run.outcome}" for run in found)


def _became(  # noqa: PLR0913  what is known of a day
    plan: Plan,
    planned_at: datetime,
    calendar: TradingCalendar,
    lines: Sequence[Mapping[str, object]],
    runs: Sequence[ScheduledRun] | None,
    now: datetime,
) -> PlannedRun:
    day = planned_at.date()
    if not calendar.is_session(day):
        return PlannedRun(plan.schedule, planned_at, "skipped", zh="休市", en="the exchanges are closed")
    evening_ends = datetime.combine(day + timedelta(days=1), _MIDNIGHT, SHANGHAI)
    closed = [line for line in lines if line["status"] in ledger.CLOSED]
    if {line["dataset"] for line in closed} != set(plan.datasets):
        outcome: PlannedOutcome = "pending" if now < evening_ends else "missed"
        zh, en = _why_not(lines, runs, is_over=now >= evening_ends)
        return PlannedRun(plan.schedule, planned_at, outcome, zh=zh, en=en)
    finished_at, run_id = max((_moment(line), str(line["run_id"] or "")) for line in closed)
    # A line that was written anew since, by a correction, does not make the evening a bad one.
    kept = next((run for run in runs or () if run.is_success and run.ended_at is not None), None)
    if kept is not None and kept.ended_at is not None and kept.ended_at < finished_at:
        finished_at, run_id = kept.ended_at, kept.run_id
    if finished_at < datetime.combine(day, plan.deadline, SHANGHAI):
        return PlannedRun(plan.schedule, planned_at, "done", finished_at, run_id)
    if finished_at < evening_ends:
        zh, en = f"应在 {plan.deadline:%H:%M} 之前", f"due by {plan.deadline:%H:%M}"
        return PlannedRun(plan.schedule, planned_at, "late", finished_at, run_id, zh, en)
    zh, en = _why_not((), runs, is_over=True)
    return PlannedRun(plan.schedule, planned_at, "repaired", finished_at, run_id, zh, en)


def _moment(line: Mapping[str, object]) -> datetime:
    moment = line["finished_at"]
    assert isinstance(moment, datetime)  # noqa: S101  the ledger's contract
    return moment


def _why_not(
    lines: Sequence[Mapping[str, object]], runs: Sequence[ScheduledRun] | None, *, is_over: bool
) -> tuple[str, str]:
    """Return why a day was not there in its evening, as far as somebody knows."""
    open_lines = [line for line in lines if line["status"] not in ledger.CLOSED]
    said = "; ".join(f"{line['dataset']}: {line['detail'] or line['status']}" for line in open_lines)
    if said:
        return said, said
    if runs:
        last = runs[-1]
        if last.ended_at is None:
            return "正在运行", "a run is under way"
        return (f"运行失败：{last.reason}", f"the run failed: {last.reason}") if not last.is_success else ("", "")
    if not is_over:
        return "尚未运行", "not run yet"
    if runs is not None:
        return "没有启动运行：服务未开或调度已停", "no run was started: the service was off or the schedule stopped"
    return "当晚没有装载记录", "nothing was loaded that evening"


def _weekdays(first: date, last: date) -> list[date]:
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return [day for day in days if day.weekday() < _WEEKEND]
