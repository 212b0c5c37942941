"""Every fault of the simulated source on every call of the pipeline: what came of it, and whether a law was broken.

`python -m stock_assets_tests.faults.table` writes `docs/failures.md` anew, on a server of its own.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl
import sqlalchemy as sa

from stock_assets.domain.answers import Answer, Refused, verdict
from stock_assets.domain.calendar import SHANGHAI, TradingCalendar
from stock_assets.domain.errors import StockAssetsError
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.pipeline.context import PipelineContext
from stock_assets.pipeline.factors import ingest_factors
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.pipeline.refresh import refresh_securities
from stock_assets.pipeline.report import IngestReport
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.simulator.faults import KINDS, Fault, FaultKind, FaultPlan
from stock_assets.simulator.market import SimulatedMarket, weekdays
from stock_assets.sources.baostock.client import BaoStockClient, connector
from stock_assets.sources.baostock.pool import BaoStockPool
from stock_assets.sources.baostock.verify import Expectation
from stock_assets.sources.retry import RetryPolicy
from stock_assets.storage import bars, ledger, reference
from stock_assets.storage.database import Connection, Database
from stock_assets.storage.quota import QuotaLedger
from stock_assets.storage.slots import AdvisorySlots
from stock_assets_tests.faults.page import Line, page
from stock_assets_tests.faults.written import write

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "failures.md"
DAY: Final = date(2025, 7, 7)
SMALL: Final = weekdays(date(2025, 1, 2), DAY)
LONG: Final = weekdays(date(2016, 1, 4), DAY)
# Far apart, so that one stock's bars between the first and the last of them fill more than a page.
FAR_APART: Final = (LONG[0], LONG[1200], LONG[-1])
EVENING: Final = datetime(DAY.year, DAY.month, DAY.day, 19, 0, tzinfo=SHANGHAI)
# Six hours later a first ban is over.
NIGHT: Final = EVENING + timedelta(hours=6, minutes=1)
# Far above what an answer takes here, and low enough for a hundred silent ones; a page of 2,000 rows takes longer.
TIMEOUT_SECONDS: Final = {tuple(SMALL): 0.3, tuple(LONG): 0.45}
_TABLES: Final = (
    "raw_baostock_daily", "raw_baostock_adjust_factor", "stock_daily", "adjust_factor", "load_ledger", "rejected_row",
    "quality_finding", "security", "source_quota",
)  # fmt: skip
_BAR_COLUMNS: Final = (
    ("open", 2), ("high", 3), ("low", 4), ("close", 5), ("pre_close", 6), ("volume", 7), ("amount", 8),
    ("turnover_rate", 10), ("pct_chg", 12), ("pe_ttm", 13), ("pb_mrq", 14), ("ps_ttm", 15), ("pcf_ncf_ttm", 16),
)  # fmt: skip
_BACK_FACTOR: Final = 3
_PARTS: Final = 3


class Watched(BaoStockClient):
    """The real client; remembers its answers."""

    answers: list[tuple[str, Answer]]

    def _fetch(self, expected: Expectation, arguments: dict[str, str], *, if_empty: Answer, **facts: object) -> Answer:
        answer = super()._fetch(expected, arguments, if_empty=if_empty, **facts)
        self.answers.append((expected.api, answer))
        return answer


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the pipeline, and the work in which it is met.

    `prepare` makes the store that the work needs; `prime` lets the far end answer the same question about something
    else just before, so that a repeated answer is as alike as it can be. `days` are what the work should complete.
    """

    method: str
    title: str
    work: Callable[[PipelineContext], IngestReport]
    days: tuple[date, ...]
    dataset: str = STOCK_DAILY.name
    page: int | None = None
    sessions: tuple[date, ...] = tuple(SMALL)
    prepare: Callable[[PipelineContext], object] = lambda _context: None
    prime: Callable[[BaoStockClient], object] = lambda _client: None
    needs_new_calendar: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """What one fault did to one call, and which laws it broke (none, it is hoped)."""

    line: Line
    requests: int
    seconds: float
    faults_done: int
    is_healed: bool
    foreign: str = ""
    wrong: tuple[str, ...] = ()
    unhealed: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return fault and call, for messages."""
        return f"{self.line.fault} × {self.line.call}"


def _bars_of_day(context: PipelineContext) -> IngestReport:
    return ingest_days(context, [DAY])


CALLS: Final = (
    Call("login", "login", _bars_of_day, (DAY,)),
    Call("query_trade_dates", "query_trade_dates", _bars_of_day, (DAY,), needs_new_calendar=True,
         prime=lambda client: client.trade_dates(SMALL[0], SMALL[9])),
    Call("query_stock_basic", "query_stock_basic", _bars_of_day, (DAY,), prime=lambda client: client.securities()),
    Call("query_daily_history_k_AStock", "query_daily_history_k_AStock", _bars_of_day, (DAY,), prepare=refresh_securities,
         prime=lambda client: client.daily_of_day(SMALL[-2])),
    Call("query_history_k_data_plus", "query_history_k_data_plus", lambda context: ingest_days(context, FAR_APART),
         FAR_APART, page=1, sessions=tuple(LONG), prepare=refresh_securities,
         prime=lambda client: client.daily_of_code("000001.SZ", LONG[0], LONG[50])),
    Call("query_history_k_data_plus", "query_history_k_data_plus（第 2 页 page 2）",
         lambda context: ingest_days(context, FAR_APART), FAR_APART, page=2, sessions=tuple(LONG), prepare=refresh_securities),
    Call("query_daily_adjust_factor", "query_daily_adjust_factor", lambda context: ingest_factors(context, [DAY]),
         (DAY,), ADJUST_FACTOR.name, prepare=lambda context: ingest_days(context, SMALL[-2:]),
         prime=lambda client: client.factors_of_day(SMALL[-2])),
    Call("query_adjust_factor", "query_adjust_factor", lambda context: ingest_factors(context, LONG[-8:]),
         tuple(LONG[-8:]), ADJUST_FACTOR.name, sessions=tuple(LONG),
         prepare=lambda context: ingest_days(context, LONG[-9:]),
         prime=lambda client: client.factors_of_code("000001.SZ", LONG[-2], LONG[-1])),
    Call("logout", "logout", _bars_of_day, (DAY,)),
)  # fmt: skip


def faults_of(call: Call) -> list[Fault]:
    """Return one fault of each kind that can meet the call."""
    faults = (Fault(kind, call.method, call.page) for kind in KINDS)
    return [fault for fault in faults if fault.fits(call.method, call.page)]


def some_faults_of(call: Call) -> list[Fault]:
    """Return a third of the faults that can meet a call: of all calls together they are all."""
    return [fault for fault in faults_of(call) if (KINDS.index(fault.kind) + CALLS.index(call)) % _PARTS == 0]


def build(
    database: Database, *, kinds: Iterable[FaultKind] = KINDS, faults: Callable[[Call], list[Fault]] = faults_of
) -> list[Cell]:
    """Return a cell for each of `kinds` among the `faults` of every call; the database is emptied for each."""
    markets = {
        tuple(SMALL): SimulatedMarket(5, 60, sessions=SMALL),
        tuple(LONG): SimulatedMarket(2, 2, sessions=LONG),
    }
    cells: list[Cell] = []
    for sessions, market in markets.items():
        with BaoStockServer(market) as server:
            _empty(database, "trading_day")
            for call in CALLS:
                if call.sessions == sessions:
                    trial = _Trial(database, server, market, call)
                    cells += [trial.meet(fault) for fault in faults(call) if fault.kind in set(kinds)]
    order = [call.title for call in CALLS]
    return sorted(cells, key=lambda cell: order.index(cell.line.call))


@dataclass(slots=True)
class _Seen:
    """What a person sees of one run: its failure's sentence, or what the ledger says of its days."""

    zh: str = ""
    en: str = ""
    foreign: str = ""


@dataclass(frozen=True, slots=True)
class _Trial:
    database: Database
    server: BaoStockServer
    market: SimulatedMarket
    call: Call
    calendar: TradingCalendar = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "calendar", TradingCalendar.of(self.call.sessions))

    def meet(self, fault: Fault) -> Cell:
        """Work once with the fault and once without it, in an empty store, and return what happened."""
        _empty(self.database, *_TABLES, *(("trading_day",) if self.call.needs_new_calendar else ()))
        server = self.server
        with self._context(EVENING) as (context, source):
            self.call.prepare(context)
            self.call.prime(source)
            source.answers.clear()
            sent, done = server.requests.total(), server.faults_done[fault.kind]
            server.faults = FaultPlan((fault,))
            began = time.monotonic()
            seen = self._work(context)
        seconds = time.monotonic() - began
        requests, done = server.requests.total() - sent, server.faults_done[fault.kind] - done
        server.faults = None
        server.accept_connections()
        wrong = list(self._wrong())
        status = self._statuses()
        if not seen.en:
            seen.zh = seen.en = self._details()
        line = Line(
            call=self.call.title,
            fault=fault.kind,
            verdict=self._verdict(source.answers),
            status=status,
            zh=seen.zh,
            en=seen.en,
        )
        with self._context(NIGHT) as (context, _):
            again = self._work(context)
        unhealed = [text for text in (again.foreign, again.en) if text]
        unhealed += self._wrong()
        unhealed += [] if self._is_whole() else [f"not whole: {self._statuses()} {self._details()}"]
        return Cell(
            line, requests, seconds, done, is_healed=not unhealed,
            foreign=seen.foreign, wrong=tuple(wrong), unhealed=tuple(unhealed),
        )  # fmt: skip

    def _work(self, context: PipelineContext) -> _Seen:
        try:
            failure = self.call.work(context).failure()
        except StockAssetsError as error:
            failure = error
        except Exception as error:  # noqa: BLE001  that none of these comes is what the table shows
            return _Seen(foreign=repr(error))
        return _Seen() if failure is None else _Seen(failure.sentence("zh"), failure.sentence("en"))

    @contextmanager
    def _context(self, now: datetime) -> Generator[tuple[PipelineContext, Watched]]:
        """Put source and store together as `wiring` does, with short deadlines and two attempts."""
        server, timeout_seconds = self.server, TIMEOUT_SECONDS[self.call.sessions]
        quota = QuotaLedger(self.database, daily_limits={}, now=lambda: now)
        pool = BaoStockPool(
            connector(host=server.host, port=server.port, ledger=quota, timeout_seconds=timeout_seconds),
            timeout_seconds=2.0,
            slots=AdvisorySlots(self.database, limits={"baostock": 1}),
        )
        retry = RetryPolicy(attempts=2, sleep=lambda _seconds: None)
        source = Watched(pool, ledger=quota, retry=retry, now=lambda: now)
        source.answers = []
        try:
            yield (
                PipelineContext(source, self.database, self.calendar, lambda: now, run_id="table", slow_seconds=60.0),
                source,
            )
        finally:
            source.close()
            quota.close()

    def _verdict(self, answers: list[tuple[str, Answer]]) -> str:
        mine = [answer for api, answer in answers if api == self.call.method] or [answer for _, answer in answers]
        names = [f"refused ({answer.kind})" if isinstance(answer, Refused) else verdict(answer) for answer in mine]
        return " / ".join(dict.fromkeys(names))

    def _statuses(self) -> str:
        with self.database.read() as conn:
            known = ledger.statuses(conn, self.call.dataset, self.call.days)
        return " / ".join(dict.fromkeys(known.get(day, "none") for day in self.call.days))

    def _details(self) -> str:
        with self.database.read() as conn:
            entries = ledger.read_entries(conn, self.call.dataset, self.call.days[0], self.call.days[-1])
        open_days = entries.filter(pl.col("status").is_in(["partial", "refused"]))
        return "; ".join(dict.fromkeys(open_days["detail"].to_list()))

    def _is_whole(self) -> bool:
        with self.database.read() as conn:
            known = ledger.closed_days(conn, self.call.dataset, self.call.days[0], self.call.days[-1])
        return set(self.call.days) <= known

    def _wrong(self) -> Iterator[str]:
        """Yield what the store holds, or claims, that the market contradicts."""
        with self.database.read() as conn:
            yield from self._wrong_reference(conn)
            yield from self._wrong_bars(conn)
            yield from self._wrong_factors(conn)

    def _wrong_reference(self, conn: Connection) -> Iterator[str]:
        listed = {row[0]: row for row in self.market.stock_basic(DAY) if row[4] == "1"}
        for row in reference.read_securities(conn).iter_rows(named=True):
            told = listed.get(_theirs(row["ts_code"]))
            ours = [row["name"], str(row["list_date"]), str(row["delist_date"] or "")]
            if told is None or ours != told[1:4]:
                yield f"security {row['ts_code']} is {ours}, not {told}"
        if not self.call.needs_new_calendar:
            return
        is_session = pl.col("trade_date").is_in(list(self.call.sessions))
        wrong_days = reference.read_trading_days(conn).filter(
            (pl.col("is_open") != is_session) | (pl.col("source_is_open") != is_session)
        )
        yield from (f"trading day {row}" for row in wrong_days.iter_rows())

    def _wrong_bars(self, conn: Connection) -> Iterator[str]:
        stored = bars.read_bars(conn, None, date(1990, 1, 1), DAY)
        truth = {
            (row[1], day): row
            for day in sorted({*stored["trade_date"].unique().to_list(), *self.call.days})
            for row in self.market.daily_bars(day)
        }
        for row in stored.iter_rows(named=True):
            told = truth.get((_theirs(row["ts_code"]), row["trade_date"]))
            if told is None:
                yield f"a bar that does not exist: {row['ts_code']} {row['trade_date']}"
                continue
            named = [name for name, place in _BAR_COLUMNS if row[name] != (float(told[place]) if told[place] else None)]
            if named or row["is_suspended"] != (told[11] == "0") or row["is_st"] != (told[17] == "1"):
                yield f"bar {row['ts_code']} {row['trade_date']} differs in {named}"
        held = {(_theirs(code), day) for code, day in stored.select("ts_code", "trade_date").iter_rows()}
        for day in ledger.closed_days(conn, STOCK_DAILY.name, date(1990, 1, 1), DAY):
            lacking = [code for code, on in truth if on == day and (code, on) not in held]
            if lacking:
                yield f"bars of {day} are called complete without {lacking}"

    def _wrong_factors(self, conn: Connection) -> Iterator[str]:
        stored = {
            (_theirs(row["ts_code"]), row["ex_date"]): row["back_adjust_factor"]
            for row in bars.read_factors(conn, None).iter_rows(named=True)
        }
        closed = ledger.closed_days(conn, ADJUST_FACTOR.name, date(1990, 1, 1), DAY)
        truth = {
            (row[0], day): float(row[_BACK_FACTOR])
            for day in sorted({day for _, day in stored} | closed)
            for row in self.market.daily_adjust_factors(day, DAY)
        }
        for key, factor in stored.items():
            if truth.get(key) != factor:
                yield f"factor {key} is {factor}, not {truth.get(key)}"
        for day in closed:
            lacking = [code for code, on in truth if on == day and (code, on) not in stored]
            if lacking:
                yield f"factors of {day} are called complete without {lacking}"


def _theirs(ts_code: str) -> str:
    number, _, exchange = ts_code.partition(".")
    return f"{exchange.lower()}.{number}"


def _empty(database: Database, *tables: str) -> None:
    with database.begin() as conn:
        for table in tables:
            conn.execute(sa.text(f"DELETE FROM {table}"))  # noqa: S608  our own names


def main() -> None:
    """Write the page."""
    write(PAGE, lambda database: page([cell.line for cell in build(database)]))


if __name__ == "__main__":
    main()
