"""Everything Tushare may answer instead of rows, and what comes of it: verdict, waiting, ledger, exit code.

Real sockets, client, limiter and PostgreSQL; only the clock that waits is made up, so that a minute's limit takes no
minute. `python -m stock_assets_tests.faults.tushare_table` writes `docs/failures-tushare.md` anew, on a server of its own.
"""

import re
import ssl
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import polars as pl
import sqlalchemy as sa
import trustme
from pydantic import SecretStr

from stock_assets.cli.exit_codes import DATA_REFUSED, DONE, exit_code
from stock_assets.domain.answers import Answer, Refused, verdict
from stock_assets.domain.calendar import SHANGHAI, TradingCalendar
from stock_assets.domain.errors import StockAssetsError
from stock_assets.domain.pace import RateState
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.pipeline.context import PipelineContext
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.pipeline.refresh import ensure_reference
from stock_assets.simulator.faults import Fault, FaultPlan
from stock_assets.simulator.market import SimulatedMarket, weekdays
from stock_assets.simulator.tushare_answers import Request, body_of
from stock_assets.simulator.tushare_delivery import HttpReply
from stock_assets.simulator.tushare_limits import Period
from stock_assets.simulator.tushare_market import SimulatedTushare, beijing_market
from stock_assets.simulator.tushare_server import TOKEN, TushareServer
from stock_assets.sources.limiter import RateLimiter
from stock_assets.sources.retry import RetryPolicy
from stock_assets.sources.tushare.client import TushareClient
from stock_assets.sources.tushare.interfaces import DAILY, INTERFACES
from stock_assets.sources.tushare.source import TushareSource
from stock_assets.sources.tushare.transport import Deadlines
from stock_assets.sources.tushare_tiers import paces
from stock_assets.storage import bars, ledger
from stock_assets.storage.database import Database
from stock_assets.storage.quota import QuotaLedger
from stock_assets.storage.rate_state import StoredRates
from stock_assets_tests.faults.tushare_page import Family, Line, page
from stock_assets_tests.faults.written import write
from stock_assets_tests.sources.tushare.bad_answers import BODIES, STATUSES, TEXTS

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "failures-tushare.md"
DAY: Final = date(2025, 7, 7)
SESSIONS: Final = weekdays(date(2025, 1, 2), DAY)
EVENING: Final = datetime(DAY.year, DAY.month, DAY.day, 19, 0, tzinfo=SHANGHAI)
ATTEMPTS: Final = 3
API: Final = "daily"
_POINTS: Final = 2000
# The server counts in real time, of which little passes here.
_UNLIMITED: Final[dict[str, tuple[int, Period]]] = dict.fromkeys(INTERFACES, (1_000_000, "minute"))
_PACE: Final = paces(_POINTS, least_interval_seconds=0.35)
# Read once: loading it takes longer than an answer.
_TRUST: Final = ssl.create_default_context()
# Far above what an answer takes here.
_DEADLINES: Final = Deadlines(connect_seconds=0.4, idle_seconds=0.4, total_seconds=0.6)
_TABLES: Final = (
    "raw_tushare_daily", "raw_tushare_daily_basic", "raw_tushare_suspend", "stock_daily", "rejected_row",
    "quality_finding", "source_quota", "rate_state",
)  # fmt: skip
_BAR_COLUMNS: Final = ("open", "high", "low", "close", "pre_close", "volume", "amount", "turnover_rate", "pct_chg")

FarEnd = Literal["", "absent", "untrusted"]


@dataclass(frozen=True, slots=True)
class Case:
    """What happens to each request for daily bars; `name` is in English and, where it differs, in Chinese.

    Either the server says `reply`, or a `fault` of the simulator meets its answer, or `far_end` is not one that answers.
    """

    family: Family
    name: str
    zh: str = ""
    reply: HttpReply | None = None
    fault: Fault | None = None
    far_end: FarEnd = ""


def _texts() -> Iterable[Case]:
    for code, text in TEXTS:
        said = f'{{"request_id":"1","code":{code},"data":null,"msg":"{text}","detail":""}}'
        yield Case("refusal", f"{code} {text}".strip(), reply=HttpReply(said.encode()))


def _statuses() -> Iterable[Case]:
    reads_well = body_of({"fields": DAILY.fields, "items": []})
    for status in STATUSES:
        yield Case("status", f"HTTP {status}", reply=HttpReply(reads_well, status))


def _bodies() -> Iterable[Case]:
    for name, (zh, body) in BODIES.items():
        yield Case("body", name, zh, reply=HttpReply(body))


CASES: Final = (
    *_texts(),
    *_statuses(),
    *_bodies(),
    Case("connection", "nobody listens", "无人监听", far_end="absent"),
    Case("connection", "a certificate that nobody vouches for", "证书不可信", far_end="untrusted"),
    Case("connection", "closed instead of an answer", "收到请求后断开连接", fault=Fault("close")),
    Case("connection", "closed, and no new connection", "断开且不再接受连接", fault=Fault("connect_refused")),
    Case("connection", "reset", "连接被重置", fault=Fault("reset")),
    Case("connection", "half an answer, then closed", "应答发到一半断开", fault=Fault("half")),
    Case("connection", "silence", "一直不应答", fault=Fault("stall")),
    Case("connection", "an answer after the deadline", "应答晚于时限", fault=Fault("late", argument=1.0)),
    Case("connection", "byte by byte, beyond the deadline", "逐字节应答，超过时限", fault=Fault("slow_drip")),
    Case("connection", "garbage", "乱码", fault=Fault("garbage")),
    Case("rows", "no rows of a trading day", "交易日没有行", fault=Fault("empty")),
    Case("rows", "some rows left out", "缺少部分行", fault=Fault("lost_rows")),
    Case("rows", "only the first part published", "只发布了前一部分", fault=Fault("half_published")),
    Case("rows", "some rows twice", "部分行重复", fault=Fault("duplicate_rows")),
    Case("rows", "a ragged row", "有一行缺值", fault=Fault("bad_row")),
    Case("rows", "NaN for numbers", "数字为 NaN", fault=Fault("not_a_number")),
    Case("rows", "rows of another stock", "另一只股票的行", fault=Fault("other_stock")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cell:
    """What one case led to, and which laws it broke (none, it is hoped).

    `sent_while_closed` counts the requests that a second process made at once where the first was told to stop;
    `rows` is how many bars were stored.
    """

    case: Case
    line: Line
    error: str
    status: str
    rows: int
    sent_while_closed: int | None
    foreign: str = ""
    wrong: tuple[str, ...] = ()
    unhealed: tuple[str, ...] = ()


class Answering(TushareServer):
    """The simulated server, which says `said` instead of daily bars while it is told to."""

    said: HttpReply | None = None

    def reply(self, body: bytes) -> tuple[HttpReply, Fault | None]:
        request = Request.read(body)
        if self.said is None or request.api != API:
            return super().reply(body)
        self.requests[request.api] += 1
        return self.said, None


class Watched(TushareClient):
    """The real client; remembers its answers about daily bars."""

    answers: list[Answer]

    def daily_of_day(self, day: date) -> Answer:
        answer = super().daily_of_day(day)
        self.answers.append(answer)
        return answer


class VirtualClock:
    """Time that passes when somebody waits, and not otherwise."""

    def __init__(self, began: datetime = EVENING) -> None:
        self.began, self.seconds = began, 0.0

    def now(self) -> datetime:
        """Return the time of day."""
        return self.began + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        """Return the seconds since it began."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += max(0.0, seconds)


def build(database: Database, cases: Iterable[Case] = CASES) -> list[Cell]:
    """Return a cell for every case; the database is emptied for each, but for calendar and securities."""
    authority, encryption = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(encryption)  # pyright: ignore[reportUnknownMemberType] - the library names a type it may not find
    market = SimulatedTushare(SimulatedMarket(5, 60, sessions=SESSIONS), beijing_market(5, 60, SESSIONS), seed=5)
    with ExitStack() as servers:
        server = servers.enter_context(Answering(market, points=_POINTS, limits=_UNLIMITED))
        absent = Answering(market)
        with absent:
            pass
        untrusted = servers.enter_context(Answering(market, ssl_context=encryption))
        ends: dict[FarEnd, Answering] = {"": server, "absent": absent, "untrusted": untrusted}
        with _context(database, server, VirtualClock()) as (context, _):
            ensure_reference(context, [DAY])
            # Read once: what the market says of the day without any fault.
            ingest_days(context, [DAY])
            truth = _stored(database)
        return [_Trial(database, server, ends[case.far_end], case, truth).meet() for case in cases]


@contextmanager
def _context(
    database: Database, server: TushareServer, clock: VirtualClock
) -> Generator[tuple[PipelineContext, Watched]]:
    """Put one process's source and store together as `wiring` does, with short deadlines and a made-up clock."""
    quota, store = QuotaLedger(database, daily_limits={}, now=clock.now), StoredRates(database, now=clock.now)
    limiter = RateLimiter(store, _PACE, ledger=quota, sleep=clock.sleep, monotonic=clock.monotonic)
    client = Watched(
        SecretStr(TOKEN),
        addresses=[server.url],
        limiter=limiter,
        deadlines=_DEADLINES,
        ssl_context=_TRUST,
        retry=RetryPolicy(attempts=ATTEMPTS, jitter_seconds=0, sleep=clock.sleep),
    )
    client.answers = []
    try:
        yield (
            PipelineContext(
                TushareSource(client),
                database,
                TradingCalendar.of(SESSIONS),
                clock.now,
                run_id="table",
                slow_seconds=600,
            ),
            client,
        )
    finally:
        client.close()
        quota.close()
        store.close()


@dataclass(frozen=True, slots=True)
class _Trial:
    database: Database
    server: Answering
    far_end: Answering
    case: Case
    truth: pl.DataFrame

    def meet(self) -> Cell:
        """Work while it happens, at once again in another process, and once more when it is over and time has passed."""
        self._empty()
        clock, server = VirtualClock(), self.server
        server.said = self.case.reply
        server.faults = FaultPlan(() if self.case.fault is None else (self._fault(self.case.fault),))
        sent = server.requests[API]
        with _context(self.database, self.far_end, clock) as (context, client):
            failure, foreign = _work(context)
        requests = server.requests[API] - sent
        seconds = clock.seconds
        status, rows, wrong = self._status(), _stored(self.database).height, list(self._wrong())
        state = self._state()
        server.said, server.faults = None, None
        server.accept_connections()
        code = DONE if status == "complete" else DATA_REFUSED
        detail = self._detail() if failure is None and status != "complete" else ""
        line = Line(
            family=self.case.family,
            name=self.case.name,
            name_zh=self.case.zh or self.case.name,
            verdict=_verdict(client.answers),
            requests=requests,
            seconds=seconds,
            state=state,
            calls_a_minute=None if state is None else _calls_a_minute(state),
            closed_seconds=0.0 if state is None else _closed_seconds(state, clock.now()),
            status=status,
            exit_code=code if failure is None else exit_code(failure),
            zh=detail if failure is None else _steady(failure.sentence("zh")),
            en=detail if failure is None else _steady(failure.sentence("en")),
        )
        return Cell(
            self.case,
            line,
            error="" if failure is None else type(failure).__name__,
            status=status,
            rows=rows,
            sent_while_closed=self._sent_while_closed(clock, state),
            foreign=foreign,
            wrong=tuple(wrong),
            unhealed=tuple(self._unhealed(clock)),
        )

    def _sent_while_closed(self, clock: VirtualClock, state: RateState | None) -> int | None:
        """Return what a new process sends at the same moment, None where it need not wait for longer than a minute."""
        if state is None or not state.is_closed(clock.now()) or state.closed_reason == "minute":
            return None
        sent = self.server.requests[API]
        with _context(self.database, self.server, clock) as (context, _):
            _work(context)
        return self.server.requests[API] - sent

    def _unhealed(self, clock: VirtualClock) -> Iterable[str]:
        """Yield what is not well once the far end is and what was closed has opened."""
        state = self._state()
        if state is not None and state.is_closed(clock.now()) and state.closed_until is not None:
            clock.sleep((state.closed_until - clock.now()).total_seconds())
        with _context(self.database, self.server, clock) as (context, _):
            failure, foreign = _work(context)
        yield from (text for text in (foreign, "" if failure is None else str(failure)) if text)
        yield from self._wrong()
        if self._status() != "complete":
            yield f"{self._status()}: {self._detail()}"

    def _fault(self, fault: Fault) -> Fault:
        return Fault(fault.kind, API, argument=fault.argument)

    def _empty(self) -> None:
        with self.database.begin() as conn:
            for table in _TABLES:
                conn.execute(sa.text(f"DELETE FROM {table}"))  # noqa: S608  our own names
            conn.execute(sa.text("DELETE FROM load_ledger WHERE dataset = :dataset"), {"dataset": STOCK_DAILY.name})

    def _state(self) -> RateState | None:
        store = StoredRates(self.database)
        try:
            return next((state for state in store.states() if state.api == API), None)
        finally:
            store.close()

    def _status(self) -> str:
        with self.database.read() as conn:
            return ledger.statuses(conn, STOCK_DAILY.name, [DAY]).get(DAY, "none")

    def _detail(self) -> str:
        with self.database.read() as conn:
            entries = ledger.read_entries(conn, STOCK_DAILY.name, DAY, DAY)
        return "; ".join(detail for detail in entries["detail"] if detail)

    def _wrong(self) -> Iterable[str]:
        """Yield bars that the market never said, and a day that is called complete without all of them."""
        key = ["ts_code", "trade_date", *_BAR_COLUMNS]
        stored, truth = _stored(self.database).select(key), self.truth.select(key)
        others = stored.join(truth, on=key, how="anti", nulls_equal=True)
        yield from (f"not the market's: {row}" for row in others.iter_rows())
        if self._status() in {"complete", "empty"} and stored.height != truth.height:
            yield f"called {self._status()} with {stored.height} of {truth.height} bars"


def _work(context: PipelineContext) -> tuple[StockAssetsError | None, str]:
    """Return what the day's run failed with: an error of ours, or the text of a foreign one."""
    try:
        return ingest_days(context, [DAY]).failure(), ""
    except StockAssetsError as error:
        return error, ""
    except Exception as error:  # noqa: BLE001  that none of these comes is what the table shows
        return None, repr(error)


def _stored(database: Database) -> pl.DataFrame:
    with database.read() as conn:
        return bars.read_bars(conn, None, DAY, DAY)


def _verdict(answers: list[Answer]) -> str:
    answer = answers[0]
    return f"refused ({answer.kind})" if isinstance(answer, Refused) else verdict(answer)


def _steady(text: str) -> str:
    """Return a sentence without what differs between machines: how small an answer was when it was compressed."""
    return re.sub(r" \(received \d+ bytes, expected \d+\)", "", text)


def _calls_a_minute(state: RateState) -> float | None:
    """Return the pace in force where it is not that of the settings."""
    return None if state.interval_seconds is None else 60 / state.interval_seconds


def _closed_seconds(state: RateState, now: datetime) -> float:
    return (
        (state.closed_until - now).total_seconds() if state.closed_until is not None and state.is_closed(now) else 0.0
    )


def main() -> None:
    """Write the page."""
    write(PAGE, lambda database: page([cell.line for cell in build(database)]))


if __name__ == "__main__":
    main()
