"""A BaoStock server on loopback that serves any `Market`: connections, log-ins, quota, counting, faults.

What the methods answer is in `methods`, how an answer is spoiled in `faults` and `delivery`.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

from stock_assets.simulator import methods, substitutes
from stock_assets.simulator.delivery import deliver
from stock_assets.simulator.faults import Fault, FaultPlan, argument_of, spoil_rows
from stock_assets.simulator.methods import Knowledge, RefusedError
from stock_assets.simulator.server import SimulatedServer
from stock_assets.simulator.wire import SERVER_VERSION, Frame, WireError, decode_request, encode_response, error_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date

    from stock_assets.simulator.base import Market

_REMEMBERED_ANSWERS: Final = 24
_WAKE_SECONDS: Final = 0.1
_JOIN_SECONDS: Final = 5.0
_ACCEPT_THREAD: Final = "baostock-server-accept"
_CONNECTION_THREAD: Final = "baostock-server-connection"


class BaoStockServer(SimulatedServer):
    """Serve `market` in BaoStock's protocol; a context manager that is ready as soon as it is entered.

    `latency_seconds` delays every answer. After `session_ttl_seconds` a log-in is forgotten. More than `daily_quota`
    data requests ban everybody until `unban`. A log-in beyond `max_sessions` is refused or, with `on_too_many="ban"`,
    bans too. Days after `last_ready_day` are not published yet (default: the market's last session), factors may have
    their own `last_factor_day`. `faults` is a plan or its text form. These attributes may be changed while it runs.

    `requests` counts by method, `logins` the successful log-ins, `open_sessions` who is logged in now,
    `max_open_sessions` the most at once, `faults_done` the faults that happened, by kind.
    """

    def __init__(  # noqa: PLR0913  a server has many knobs, each with a default
        self,
        market: Market,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        latency_seconds: float = 0.0,
        session_ttl_seconds: float | None = None,
        daily_quota: int | None = None,
        max_sessions: int | None = None,
        on_too_many: Literal["refuse", "ban"] = "refuse",
        last_ready_day: date | None = None,
        last_factor_day: date | None = None,
        faults: FaultPlan | str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(faults)
        self.market = market
        self.host, self.port = host, port
        self.latency_seconds = latency_seconds
        self.session_ttl_seconds, self.daily_quota = session_ttl_seconds, daily_quota
        self.max_sessions, self.on_too_many = max_sessions, on_too_many
        self.last_ready_day, self.last_factor_day = last_ready_day, last_factor_day
        self.is_banned = False
        self.requests: Counter[str] = Counter()
        self.faults_done: Counter[str] = Counter()
        self.logins = self.open_sessions = self.max_open_sessions = 0
        self._clock = clock
        self._used_quota = 0
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._answers: OrderedDict[tuple[Knowledge, tuple[str, ...]], bytes] = OrderedDict()
        self._last_answer: bytes | None = None

    def close(self) -> None:
        """Close the listener and all connections and wait for their threads."""
        self.closing.set()
        self.refuse_connections()
        with self._lock:
            connections, threads = list(self._connections), list(self._threads)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(timeout=_JOIN_SECONDS)

    def refuse_connections(self) -> None:
        """Close the listener: new connections are refused, open ones go on."""
        with self._lock:
            listener, self._listener = self._listener, None
            accepting = [thread for thread in self._threads if thread.name == _ACCEPT_THREAD]
        if listener is None:
            return
        # A socket that another thread waits for goes on listening when it is only closed.
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in accepting:
            thread.join(timeout=_JOIN_SECONDS)

    def accept_connections(self) -> None:
        """Listen again on the same port; nothing happens while the server listens."""
        with self._lock:
            if self._listener is not None or self.closing.is_set():
                return
            listener = self._listener = socket.create_server((self.host, self.port), backlog=128)
            self.port = listener.getsockname()[1]
        self._start(_ACCEPT_THREAD, lambda: self._accept(listener))

    def ban(self) -> None:
        """Answer every request with the blacklist error from now on."""
        self.is_banned = True

    def unban(self) -> None:
        """Lift the ban and start the quota anew."""
        with self._lock:
            self.is_banned, self._used_quota = False, 0

    def _start(self, name: str, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, daemon=True, name=name)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        # A closed listener does not wake a waiting accept on every system, hence the short waits.
        while not self.closing.is_set():
            try:
                if not select.select([listener], [], [], _WAKE_SECONDS)[0]:
                    continue
                connection, _ = listener.accept()
            except (OSError, ValueError):
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._connections.add(connection)
            self._start(_CONNECTION_THREAD, lambda connection=connection: self._converse(connection))

    def _converse(self, connection: socket.socket) -> None:
        session = _Session()
        try:
            with connection, contextlib.suppress(OSError):
                for line in _lines(connection):
                    data, fault = self._answer(line, session)
                    if self.latency_seconds:
                        self.closing.wait(self.latency_seconds)
                    if fault is not None and fault.kind == "connect_refused":
                        self._go_away(fault)
                    if not deliver(connection, data, fault, self.closing):
                        break
        finally:
            with self._lock:
                self._connections.discard(connection)
            self._end_session(session)

    def _answer(self, line: bytes, session: _Session) -> tuple[bytes, Fault | None]:
        """Return the bytes of one answer and the fault that meets it; row faults are already in the bytes."""
        try:
            request = decode_request(line)
        except WireError:
            return encode_response(error_frame(*methods.BROKEN_MESSAGE)), None
        fault = self._counter.next(request.parts[0], _page_of(request))
        with self._lock:
            self.requests[request.parts[0]] += 1
            if fault is not None:
                self.faults_done[fault.kind] += 1
        try:
            data = self._reply(request, session, fault)
        except RefusedError as refusal:
            data = encode_response(error_frame(refusal.code, refusal.text))
        return data, fault

    def _reply(self, request: Frame, session: _Session, fault: Fault | None) -> bytes:
        if self.is_banned:
            raise RefusedError(methods.BANNED)
        if fault is not None:
            self._refuse(fault, session)
        if request.message_type == methods.LOGIN_TYPE:
            return self._log_in(request, session)
        self._check_session(session)
        if request.message_type == methods.LOGOUT_TYPE:
            self._end_session(session)
            return _session_answer("03", "logout", request)
        method = methods.METHODS.get(request.message_type)
        if method is None:
            raise RefusedError(methods.UNKNOWN_TYPE)
        self._spend_quota()
        ready = self.last_ready_day or self.market.last_session
        known = Knowledge(bars_until=ready, factors_until=self.last_factor_day or ready)
        if fault is None:
            data = self._right_answer(method, known, request.parts)
        else:
            data = self._spoiled_answer(method, known, request.parts, fault)
        with self._lock:
            self._last_answer = data
        return data

    def _right_answer(self, method: methods.Method, known: Knowledge, parts: tuple[str, ...]) -> bytes:
        key = (known, parts)
        with self._lock:
            remembered = self._answers.get(key)
            if remembered is not None:
                self._answers.move_to_end(key)
                return remembered
        data = encode_response(method.answer(self.market, known, parts).to_frame())
        with self._lock:
            self._answers[key] = data
            while len(self._answers) > _REMEMBERED_ANSWERS:
                self._answers.popitem(last=False)
        return data

    def _spoiled_answer(self, method: methods.Method, known: Knowledge, parts: tuple[str, ...], fault: Fault) -> bytes:
        answer = method.answer(self.market, known, parts)
        with self._lock:
            last = self._last_answer
        if fault.kind == "stale" and last is not None:
            return last
        if fault.kind in {"other_method", "stale"}:
            method, parts = substitutes.of_another_method(known, parts)
            answer = method.answer(self.market, known, parts)
        elif fault.kind == "other_stock":
            others = substitutes.for_another_stock_or_day(self.market, known, parts)
            answer = replace(answer, rows=method.answer(self.market, known, others).rows)
        return encode_response(replace(answer, rows=spoil_rows(fault, answer.rows)).to_frame())

    def _refuse(self, fault: Fault, session: _Session) -> None:
        match fault.kind:
            case "not_logged_in":
                self._end_session(session)
                raise RefusedError(methods.NOT_LOGGED_IN)
            case "banned":
                raise RefusedError(methods.BANNED)
            case "error":
                code = str(int(argument_of(fault)))
                raise RefusedError((code, methods.ERROR_TEXTS.get(code, "系统级别错误")))
            case _:
                return

    def _go_away(self, fault: Fault) -> None:
        self.refuse_connections()
        self._accept_after(fault)

    def _log_in(self, request: Frame, session: _Session) -> bytes:
        if len(request.parts) != methods.LOGIN_PARTS:
            raise RefusedError(methods.WRONG_PARAMETER_COUNT)
        with self._lock:
            others = self.open_sessions - session.is_open
            if self.max_sessions is not None and others >= self.max_sessions:
                self.is_banned = self.on_too_many == "ban"
                raise RefusedError(methods.BANNED if self.is_banned else methods.TOO_MANY_SESSIONS)
            session.is_open, session.since = True, self._clock()
            self.logins += 1
            self.open_sessions = others + 1
            self.max_open_sessions = max(self.max_open_sessions, self.open_sessions)
        return _session_answer("01", "login", request)

    def _check_session(self, session: _Session) -> None:
        lasting = self.session_ttl_seconds
        if session.is_open and lasting is not None and self._clock() - session.since > lasting:
            self._end_session(session)
        if not session.is_open:
            raise RefusedError(methods.NOT_LOGGED_IN)

    def _end_session(self, session: _Session) -> None:
        with self._lock:
            self.open_sessions -= session.is_open
            session.is_open = False

    def _spend_quota(self) -> None:
        with self._lock:
            self._used_quota += 1
            if self.daily_quota is not None and self._used_quota > self.daily_quota:
                self.is_banned = True
                raise RefusedError(methods.BANNED)


@dataclass(slots=True)
class _Session:
    """What the server knows about one connection."""

    is_open: bool = False
    since: float = 0.0


def _page_of(request: Frame) -> int | None:
    method = methods.METHODS.get(request.message_type)
    if method is None or not method.pages or not request.parts[2:3] or not request.parts[2].isdigit():
        return None
    return int(request.parts[2])


def _lines(connection: socket.socket) -> Iterator[bytes]:
    waiting = b""
    while received := connection.recv(65536):
        *lines, waiting = (waiting + received).split(b"\n")
        for line in lines:
            yield line + b"\n"


def _session_answer(response_type: str, method: str, request: Frame) -> bytes:
    user = request.parts[1] if len(request.parts) > 1 else ""
    # The real server tells its local time, to the millisecond.
    now = datetime.now().astimezone().strftime("%Y%m%d%H%M%S%f")[:-3]
    return encode_response(Frame(SERVER_VERSION, response_type, ("0", "success", method, user, now)))
