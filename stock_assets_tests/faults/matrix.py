"""The matrix of faults: every fault of every source, on every dataset, met by the nightly run, by a repair, by a history.

In each cell: what the run ended with, whether anything that the store calls complete is not what the market really has,
and whether one later repair on a healthy source makes the store what it would have been. Real sockets and a real database;
only Dagster between the steps is left out, which other tests have.

`python -m stock_assets_tests.faults.matrix` meets every cell and writes `docs/failures-matrix.md` anew.
"""

import math
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final, cast

import polars as pl
import sqlalchemy as sa

from stock_assets.domain.calendar import SHANGHAI, TradingCalendar
from stock_assets.domain.finance_tables import FINANCE_INDICATOR
from stock_assets.domain.snapshot_tables import CACHE_SNAPSHOT
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.indicators.table import TECHNICAL_DAILY
from stock_assets.simulator.faults import Fault, FaultKind, FaultPlan
from stock_assets.simulator.market import SimulatedMarket, weekdays
from stock_assets.storage import bars, completeness, ledger, row_digests, snapshots
from stock_assets.storage.database import Connection, Database
from stock_assets.storage.snapshots import SnapshotRow
from stock_assets_tests.faults import journeys
from stock_assets_tests.faults.far_ends import (
    BARS,
    FACTORS,
    REPORTS,
    SECURITIES,
    BaoStockEnd,
    FarEnd,
    Truth,
    TushareEnd,
)
from stock_assets_tests.faults.journeys import Journey, Run, Steps
from stock_assets_tests.faults.kept_store import KeptStore
from stock_assets_tests.faults.matrix_page import Line, page
from stock_assets_tests.faults.written import write

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "failures-matrix.md"
SEED: Final = 5
# A day in the season of reports on which three stocks go ex-right.
DAY: Final = date(2025, 4, 22)
EVERY_SESSION: Final = weekdays(date(2025, 1, 2), date(2025, 5, 9))
SESSIONS: Final = [day for day in EVERY_SESSION if day <= DAY]
CALENDAR: Final = TradingCalendar.of(EVERY_SESSION, known_until=date(2025, 12, 31))
EVENING: Final = datetime(DAY.year, DAY.month, DAY.day, 20, 0, tzinfo=SHANGHAI)
# The next day: a first ban, and every limit of a day, is over.
NIGHT: Final = EVENING + timedelta(hours=6, minutes=1)
WEEK_AFTER: Final = datetime(2025, 5, 7, 20, 0, tzinfo=SHANGHAI)
STORED: Final = SESSIONS[-10:]
# More days than stocks, so that it is asked for stock by stock.
PAST: Final = SESSIONS[-30:]
SINCE: Final = date(2024, 9, 1)
_REPORTS_KNOWN_ON: Final = SESSIONS[-9]
# One of sixty is little enough for a run to go on with the others; one of two dozen is not.
_MANY, _FEW, _COMPANIES = 60, 24, 5
_HASTY, _PATIENT = 0.25, 10.0
_MADE: Final = (TECHNICAL_DAILY.name, CACHE_SNAPSHOT.name)
ASKED: Final = (SECURITIES, BARS, FACTORS, REPORTS)
JOURNEYS: Final[tuple[Journey, ...]] = ("nightly", "repair", "history")


# Of reports nobody knows beforehand which there are, so that an answer without one is believed until it is asked for again.
_BELIEVED: Final = frozenset({"lost_row", "lost_rows", "empty", "half_published", "other_stock"})


def is_believed(asked: str, fault: str) -> bool:
    """Return whether nothing in an answer shows that it lacks rows."""
    return asked == REPORTS and fault in _BELIEVED


@dataclass(frozen=True, slots=True)
class Spoiled:
    """A fault by name: what happens to each answer about a dataset."""

    name: str
    kind: str
    argument: float | None = None

    def plan(self, methods: Iterable[str]) -> FaultPlan:
        """Return the plan that spoils all of these methods' answers."""
        kind = cast("FaultKind", self.kind)
        return FaultPlan(
            tuple(
                fault for method in methods if (fault := Fault(kind, method, argument=self.argument)).fits(method, None)
            )
        )


def spoiled_by(end: FarEnd) -> list[Spoiled]:
    """Return every fault of a far end; of lost rows also the loss of a single one."""
    plain = [Spoiled(kind, kind) for kind in end.kinds]
    return [*plain, Spoiled("lost_row", "lost_rows", 0.001)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What one fault did to one journey's requests for one dataset, and which laws it broke (none, it is hoped).

    `states` are those of the asked days in the ledger, by dataset, joined by slashes; `faults_done` is 0 where the journey
    never asked for the dataset.
    """

    source: str
    fault: str
    asked: str
    journey: Journey
    error: str
    exit_code: int
    states: Mapping[str, str]
    faults_done: int
    seconds: float
    foreign: str = ""
    wrong: tuple[str, ...] = ()
    unhealed: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return what it is, for messages."""
        return f"{self.source}: {self.fault} × {self.asked} × {self.journey}"

    @property
    def line(self) -> Line:
        """Return what the page shows of it."""
        own = FINANCE_INDICATOR.name if self.asked == REPORTS else ADJUST_FACTOR.name if self.asked == FACTORS else BARS
        made = [self.states[name] for name in _MADE if name in self.states]
        return Line(
            self.source, self.fault, self.asked, self.journey, self.states[own],
            " / ".join(dict.fromkeys(" / ".join(made).split(" / "))) if made else "",
            self.exit_code, is_met=self.faults_done > 0, is_believed=is_believed(self.asked, self.fault),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    """One cell before it is met."""

    source: str
    fault: str
    asked: str
    journey: Journey


def every_question(ends: Mapping[str, FarEnd]) -> list[Question]:
    """Return all cells."""
    return [
        Question(name, spoiled.name, asked, journey)
        for name, end in ends.items()
        for asked in ASKED
        for journey in JOURNEYS
        for spoiled in spoiled_by(end)
        if spoiled.plan(end.methods[asked]).faults
    ]


_PART: Final = (
    ("baostock", "lost_row", BARS, "nightly"), ("baostock", "half_published", BARS, "nightly"),
    ("tushare", "not_a_number", BARS, "nightly"), ("baostock", "lost_rows", FACTORS, "nightly"),
    ("tushare", "half_published", FACTORS, "nightly"), ("tushare", "garbage", SECURITIES, "nightly"),
    ("baostock", "stall", REPORTS, "nightly"), ("tushare", "bad_row", REPORTS, "nightly"),
    ("baostock", "other_stock", BARS, "repair"), ("tushare", "empty", BARS, "repair"),
    ("tushare", "permission", FACTORS, "repair"), ("baostock", "slow_drip", FACTORS, "repair"),
    ("tushare", "minute", SECURITIES, "repair"), ("tushare", "no_code", REPORTS, "repair"),
    ("tushare", "lost_rows", BARS, "history"), ("baostock", "duplicate_rows", BARS, "history"),
    ("baostock", "banned", FACTORS, "history"), ("tushare", "http", FACTORS, "history"),
    ("baostock", "late", SECURITIES, "history"), ("tushare", "token", REPORTS, "history"),
)  # fmt: skip


def some_questions(questions: Sequence[Question]) -> list[Question]:
    """Return a few cells: every dataset in every journey, and each kind of answer that looks well and is not.

    Every fault is met by the tables of failures.
    """
    return [one for one in questions if (one.source, one.fault, one.asked, one.journey) in _PART]


ENDS: Final = ("baostock", "tushare")


def far_end(name: str, stocks: int) -> FarEnd:
    """Return a far end of so many stocks."""
    market = SimulatedMarket(SEED, stocks, sessions=EVERY_SESSION)
    end = BaoStockEnd(market) if name == "baostock" else TushareEnd(market)
    end.server.last_ready_day = DAY
    return end


def questions(*, every: bool) -> list[Question]:
    """Return the cells to meet."""
    found = every_question({name: far_end(name, _COMPANIES) for name in ENDS})
    return found if every else some_questions(found)


def build(database: Database, folder: Path, asked: Sequence[Question]) -> list[Cell]:
    """Return a cell for each question, in their order; the database is this function's own."""
    cells: dict[Question, Cell] = {}
    for source in ENDS:
        for journey in JOURNEYS:
            for is_reports in (False, True):
                mine = [
                    one
                    for one in asked
                    if (one.source, one.journey, one.asked == REPORTS) == (source, journey, is_reports)
                ]
                if mine:
                    name = f"{source}_{journey}_{'reports' if is_reports else 'market'}"
                    cells |= _meet(KeptStore(database, folder / name), name, mine)
    return [cells[one] for one in asked]


def _meet(store: KeptStore, name: str, asked: Sequence[Question]) -> dict[Question, Cell]:
    first = asked[0]
    is_reports = first.asked == REPORTS
    stocks = _COMPANIES if is_reports else _FEW if first.journey == "history" else _MANY
    end = far_end(first.source, stocks)
    kind: type[_Market | _Reports] = _Reports if is_reports else _Market
    with end.server:
        situation = kind(store, end, first.journey, name)
        situation.prepare()
        return {one: situation.meet(one) for one in asked}


@dataclass(slots=True)
class _Situation:
    """A store before a journey, what it is after one that nothing happened to, and the far end."""

    store: KeptStore
    end: FarEnd
    journey: Journey
    name: str
    clean: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def database(self) -> Database:
        """The store."""
        return self.store.database

    def prepare(self) -> None:
        """Make the store before the journey, and remember it; then what a journey without a fault makes of it."""
        with self.database.begin() as conn:
            _empty(conn)
        self.before()
        self.store.keep(self.name)
        run = self.run(EVENING, _PATIENT)
        wrong = list(self.wrong())
        if run.error is not None or run.foreign or wrong:
            raise AssertionError(self.name, run, wrong)
        again = self.heal()
        if again.error is not None or again.foreign:
            raise AssertionError(self.name, again)
        self.clean = self.content()

    def meet(self, question: Question) -> Cell:
        """Run with the fault, look, and repair without it."""
        end, began = self.end, time.monotonic()
        self.store.put_back(self.name)
        spoiled = next(one for one in spoiled_by(end) if one.name == question.fault)
        done = end.faults_done
        end.server.faults = spoiled.plan(end.methods[question.asked])
        if question.asked == SECURITIES:
            self.forget_securities()
        run = self.run(EVENING, _HASTY)
        done = end.faults_done - done
        end.server.faults = None
        end.server.accept_connections()
        states, wrong = self.states(), tuple(self.wrong())
        again = self.heal()
        unhealed = [text for text in (again.foreign, str(again.error or "")) if text]
        unhealed += self.wrong()
        content = self.content()
        unhealed += [
            f"{part}: {content[part]} is not {whole}" for part, whole in self.clean.items() if content[part] != whole
        ]
        return Cell(
            source=question.source,
            fault=question.fault,
            asked=question.asked,
            journey=self.journey,
            error="" if run.error is None else type(run.error).__name__,
            exit_code=run.exit_code,
            states=states,
            faults_done=done,
            seconds=time.monotonic() - began,
            foreign=run.foreign,
            wrong=wrong,
            unhealed=tuple(unhealed),
        )

    def steps(self, stack: ExitStack, now: datetime, patience_seconds: float) -> Steps:
        """Open what a run at `now` needs."""
        desk = self.end.desk(self.database, CALENDAR, now, since=SINCE, patience_seconds=patience_seconds)
        return Steps(stack.enter_context(desk), self.store.folder)

    def forget_securities(self) -> None:
        """Let the securities be asked for again."""
        with self.database.begin() as conn:
            conn.execute(sa.text("DELETE FROM load_ledger WHERE dataset = 'security'"))

    def states(self) -> Mapping[str, str]:
        """Return how the asked days of each dataset stand: as the ledger says, and `missing` where rows are gone from it."""
        with self.database.read() as conn:
            known = {name: ledger.statuses(conn, name, self.days) for name in self.datasets}
            told = {name: self.told_complete(conn, name) for name in self.datasets}
        return {
            name: " / ".join(
                dict.fromkeys(
                    "missing" if status.get(day) in ledger.CLOSED and day not in told[name] else status.get(day, "none")
                    for day in self.days
                )
            )
            for name, status in known.items()
        }

    def told_complete(self, conn: Connection, dataset: str) -> set[date]:
        """Return the days of which the store says that nothing lacks: its ledger, and `coverage`."""
        counts = completeness.state_counts(conn, dataset, PAST[0], DAY, sources={self.end.name: ("SH", "SZ", "BJ")})
        short = set(counts.filter((pl.col("missing") > 0) | (pl.col("rejected") > 0))["trade_date"])
        return ledger.closed_days(conn, dataset, PAST[0], DAY) - short

    @property
    def days(self) -> Sequence[date]:
        """The days that the journey is about."""
        return [DAY]

    @property
    def datasets(self) -> Sequence[str]:
        """What it brings."""
        raise NotImplementedError

    def before(self) -> None:
        """Fill the empty store."""
        raise NotImplementedError

    def run(self, now: datetime, patience_seconds: float) -> Run:
        """Make the journey."""
        raise NotImplementedError

    def heal(self) -> Run:
        """Repair, later."""
        raise NotImplementedError

    def wrong(self) -> Iterator[str]:
        """Yield what the store holds or calls complete against the market's truth."""
        raise NotImplementedError

    def content(self) -> Mapping[str, object]:
        """Return what tells two stores apart."""
        raise NotImplementedError


class _Market(_Situation):
    """Bars and factors, and what is made of them."""

    @property
    def days(self) -> Sequence[date]:
        return {"nightly": [DAY], "repair": STORED, "history": PAST}[self.journey]

    @property
    def datasets(self) -> Sequence[str]:
        made = (TECHNICAL_DAILY.name,) if self.journey == "history" else _MADE
        return (STOCK_DAILY.name, ADJUST_FACTOR.name, *made)

    def before(self) -> None:
        days = {"nightly": STORED[:-1], "repair": STORED, "history": []}[self.journey]
        with ExitStack() as stack:
            steps = self.steps(stack, EVENING, _PATIENT)
            steps.reference([DAY])
            if not days:
                return
            for work in (lambda: steps.bars(days, "DAILY_HISTORY"), lambda: steps.factors(days),
                         lambda: steps.technicals(days), lambda: steps.snapshots(days)):  # fmt: skip
                if (error := work()) is not None:
                    raise error
        if self.journey == "repair":
            self._damage()

    def _damage(self) -> None:
        """Lose two bars, a day, most of a stock, a day's factors, some indicators and a snapshot."""
        with_factors = [day for day in STORED[:-1] if self.end.factors(day)]
        codes = sorted(code for code, _ in self.end.bars(STORED[0]))
        lost = {
            "stock_daily": "trade_date = :whole OR (ts_code = :one AND trade_date > :first)"
            " OR (ts_code IN (:two, :three) AND trade_date IN (:third, :last))",
            "adjust_factor": "ex_date = :ex_date OR ex_date = :last",
            "technical_daily": "trade_date = :third AND ts_code < :three",
        }
        facts = {
            "whole": STORED[4], "one": codes[3], "first": STORED[1], "two": codes[10], "three": codes[20],
            "third": STORED[2], "last": STORED[-1], "ex_date": with_factors[0] if with_factors else STORED[-1],
        }  # fmt: skip
        with self.database.begin() as conn:
            for table, rows in lost.items():
                names = {name: value for name, value in facts.items() if f":{name}" in rows}
                conn.execute(sa.text(f"DELETE FROM {table} WHERE {rows}"), names)  # noqa: S608  names of ours
            conn.execute(sa.text("DELETE FROM cache_snapshot WHERE trade_date = :day"), {"day": STORED[3]})
            conn.execute(
                sa.text("DELETE FROM load_ledger WHERE dataset = 'cache_snapshot' AND trade_date = :day"),
                {"day": STORED[3]},
            )

    def run(self, now: datetime, patience_seconds: float) -> Run:
        with ExitStack() as stack:
            steps = self.steps(stack, now, patience_seconds)
            if self.journey == "nightly":
                return journeys.nightly(steps, DAY)
            if self.journey == "repair":
                return journeys.repair(steps, STORED)
            return journeys.history(steps, PAST)

    def heal(self) -> Run:
        with ExitStack() as stack:
            steps = self.steps(stack, NIGHT, _PATIENT)
            with self.database.read() as conn:
                known = ledger.known_days(conn, STOCK_DAILY.name)
            if self.journey == "history" and not known:
                # Nothing says that this store was ever to hold anything.
                return journeys.history(steps, PAST)
            return journeys.repair(steps, PAST if self.journey == "history" else STORED)

    def wrong(self) -> Iterator[str]:
        with self.database.read() as conn:
            yield from self._wrong_bars(conn)
            yield from self._wrong_factors(conn)
            yield from self._wrong_made(conn)

    def _wrong_bars(self, conn: Connection) -> Iterator[str]:
        stored = {
            (row["ts_code"], row["trade_date"]): ()
            if row["is_suspended"]
            else tuple(row[name] for name in ("open", "high", "low", "close", "pre_close", "volume"))
            for row in bars.read_bars(conn, None, PAST[0], DAY).iter_rows(named=True)
        }
        yield from _differences("bar", stored, self.end.bars, self.told_complete(conn, STOCK_DAILY.name))

    def _wrong_factors(self, conn: Connection) -> Iterator[str]:
        stored = {
            (row["ts_code"], row["ex_date"]): (row["back_adjust_factor"],)
            for row in bars.read_factors(conn, None).iter_rows(named=True)
        }
        yield from _differences("factor", stored, self.end.factors, self.told_complete(conn, ADJUST_FACTOR.name))

    def _wrong_made(self, conn: Connection) -> Iterator[str]:
        """Yield days that are called complete though they are not, or were made of bars and factors that were not.

        Of one whose own bars and factors are all there, earlier days that are not may still change the values.
        """
        if not self.clean:
            return
        held, factors = _by_day(conn, "stock_daily", "trade_date"), _by_day(conn, "adjust_factor", "ex_date")
        rows = _by_day(conn, "technical_daily", "trade_date")
        digests = {
            day: (count, digest)
            for day, count, digest in row_digests.digests(conn, TECHNICAL_DAILY, PAST[0], DAY, by="day").iter_rows()
        }
        current = snapshots.current(conn, PAST)
        for day in sorted(self.told_complete(conn, TECHNICAL_DAILY.name)):
            traded = {code for (code, _), values in self.end.bars(day).items() if values}
            if rows.get(day, set()) != traded:
                yield f"indicators of {day} are called complete: {len(rows.get(day, ()))} of {len(traded)}"
        for name, made in ((TECHNICAL_DAILY.name, digests), (CACHE_SNAPSHOT.name, current)):
            for day in sorted(self.told_complete(conn, name)):
                is_whole = held.get(day) == {code for code, _ in self.end.bars(day)} and factors.get(day, set()) == {
                    code for code, _ in self.end.factors(day)
                }
                one = made.get(day)
                mark = one.snapshot_id if isinstance(one, SnapshotRow) else one
                wanted = self.clean[f"snapshot {day}" if name == CACHE_SNAPSHOT.name else f"{name} {day}"]
                if not is_whole and mark != wanted:
                    yield f"{name} of {day} is called complete and was made of less than there was"

    def content(self) -> Mapping[str, object]:
        found: dict[str, object] = {}
        with self.database.read() as conn:
            for table in (STOCK_DAILY, ADJUST_FACTOR, TECHNICAL_DAILY):
                days = row_digests.digests(conn, table, PAST[0], DAY, by="day")
                found |= {f"{table.name} {day}": (rows, digest) for day, rows, digest in days.iter_rows()}
            for name in self.datasets:
                statuses = ledger.statuses(conn, name, self.days)
                found |= {f"state of {name} {day}": statuses.get(day) for day in self.days}
            if self.journey != "history":
                current = snapshots.current(conn, self.days)
                found |= {f"snapshot {day}": row.snapshot_id for day, row in current.items()}
        return _Content(found)


class _Reports(_Situation):
    """Finance reports."""

    @property
    def datasets(self) -> Sequence[str]:
        return (FINANCE_INDICATOR.name,)

    def before(self) -> None:
        with ExitStack() as stack:
            known_on = datetime.combine(_REPORTS_KNOWN_ON, EVENING.timetz())
            steps = self.steps(stack, EVENING if self.journey == "history" else known_on, _PATIENT)
            steps.reference([DAY if self.journey == "history" else _REPORTS_KNOWN_ON])
            if self.journey == "history":
                return
            self._publish(_REPORTS_KNOWN_ON)
            if (error := steps.every_report()) is not None:
                raise error
            self._publish(DAY)
            if self.journey == "repair":
                # An hour ago the source was down.
                self.end.server.refuse_connections()
                journeys.nightly_reports(self.steps(stack, EVENING - timedelta(hours=1), _HASTY), DAY)
                self.end.server.accept_connections()
            else:
                steps.reference([DAY])

    def _publish(self, through: date) -> None:
        """Let the far end know what was announced by then."""
        self.end.server.last_ready_day = through

    def run(self, now: datetime, patience_seconds: float) -> Run:
        with ExitStack() as stack:
            steps = self.steps(stack, now, patience_seconds)
            if self.journey == "history":
                return journeys.history_of_reports(steps, DAY)
            return journeys.nightly_reports(steps, DAY)

    def heal(self) -> Run:
        """Do it again the next day, and a week later, when who has said nothing is asked again."""
        run = self.run(NIGHT, _PATIENT)
        if run.error is None and not run.foreign:
            with ExitStack() as stack:
                run = journeys.nightly_reports(self.steps(stack, WEEK_AFTER, _PATIENT), WEEK_AFTER.date())
        return run

    def wrong(self) -> Iterator[str]:
        with self.database.read() as conn:
            stored = {tuple(row) for row in conn.execute(sa.text("SELECT ts_code, end_date FROM finance_indicator"))}
            closed = ledger.closed_days(conn, FINANCE_INDICATOR.name, SINCE, DAY)
        true = self.end.reports(DAY, SINCE)
        yield from (f"a report that does not exist: {key}" for key in sorted(stored - set(true)))
        for key, announced in true.items():
            session = next((day for day in SESSIONS if day >= announced), None)
            if session in closed and key not in stored:
                yield f"{session} is called complete without {key}, announced on {announced}"

    def content(self) -> Mapping[str, object]:
        with self.database.read() as conn:
            # What stands of each report: that it was once said otherwise stays written, as it should.
            rows = conn.execute(
                sa.text("""
                    SELECT DISTINCT ON (ts_code, end_date) ts_code, end_date, md5(
                        (to_jsonb(i) - '{fetched_at,run_id,version,known_from}'::text[])::text
                    ) FROM finance_indicator AS i WHERE is_chosen ORDER BY ts_code, end_date, ann_date DESC, version DESC
                """)
            ).all()
            status = ledger.statuses(conn, FINANCE_INDICATOR.name, self.days)
        reports = {f"{code} {period}": digest for code, period, digest in rows}
        return _Content({**reports, **{f"state of {day}": text for day, text in status.items()}})


class _Content(dict[str, object]):
    def __missing__(self, key: str) -> object:
        return None


def _differences(
    what: str,
    stored: Mapping[tuple[str, date], tuple[float, ...]],
    truth_on: Callable[[date], Truth],
    closed: Collection[date],
) -> Iterator[str]:
    days = sorted({day for _, day in stored} | set(closed))
    truth = {key: values for day in days for key, values in truth_on(day).items()}
    for key, values in stored.items():
        true = truth.get(key)
        is_true = true is not None and len(true) == len(values) and all(map(_is_near, values, true))
        if not is_true:
            yield f"{what} {key} is {values}, not {true}"
    for day in sorted(closed):
        lacking = [code for code, on in truth if on == day and (code, on) not in stored]
        if lacking:
            yield f"{what}s of {day} are called complete without {lacking}"


def _is_near(value: float, true: float) -> bool:
    # Tushare's factors have four decimals.
    return math.isclose(value, true, rel_tol=1e-4)


def _by_day(conn: Connection, table: str, column: str) -> dict[date, set[str]]:
    found: dict[date, set[str]] = {}
    for code, day in conn.execute(sa.text(f"SELECT ts_code, {column} FROM {table}")):  # noqa: S608  names of ours
        found.setdefault(day, set()).add(code)
    return found


def _empty(conn: Connection) -> None:
    names = conn.scalars(
        sa.text(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
            " AND NOT relispartition AND relname <> 'alembic_version'"
        )
    )
    conn.execute(sa.text("SET LOCAL session_replication_role = replica"))
    for name in list(names):
        conn.execute(sa.text(f"DELETE FROM {name}"))  # noqa: S608  names of ours


def main() -> None:
    """Meet every cell and write the page."""

    def text_on(database: Database) -> str:
        with tempfile.TemporaryDirectory() as folder:
            return page([cell.line for cell in build(database, Path(folder), questions(every=True))])

    write(PAGE, text_on)


if __name__ == "__main__":
    main()
