"""A Tushare server on loopback over any `TushareMarket`: connections, token, points, limits, hours, faults.

What a request brings is in `tushare_answers`, how often it may be made in `tushare_limits`, how an answer is spoiled in
`tushare_delivery`.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter, OrderedDict
from datetime import date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final

from stock_assets.simulator import tushare_answers as answers
from stock_assets.simulator.faults import TUSHARE_KINDS, Fault, FaultPlan
from stock_assets.simulator.server import SimulatedServer
from stock_assets.simulator.tushare_answers import Request
from stock_assets.simulator.tushare_base import Service
from stock_assets.simulator.tushare_delivery import HttpReply, deliver, refusal_of, spoiled
from stock_assets.simulator.tushare_limits import NO_TOKEN, WRONG_TOKEN, Account, Period, RefusalError, Wording

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping

    from stock_assets.simulator.tushare_base import TushareMarket

TOKEN: Final = "simulated"  # noqa: S105  everybody may know it
_REMEMBERED_ANSWERS: Final = 24
_POLL_SECONDS: Final = 0.05
_JOIN_SECONDS: Final = 5.0
_LISTED_BY: Final = frozenset({"trade_cal"})


class TushareServer(SimulatedServer):
    """Serve `market` in Tushare's protocol; a context manager that is ready as soon as it is entered.

    Requests need `token`. `points` decide which interfaces answer and how often, `limits` sets other limits by
    interface, such as `{"daily": (10, "minute")}`, and `wording` the words of their refusals; `clock` measures their
    windows, so that time may be made up. `caps` sets other caps by interface. Pages of the interfaces in
    `unstable_paging` show some rows twice and others never. Days after `last_ready_day` are not published yet (default:
    the market's last session), factors may have their own `last_factor_day`; with `now` the hour decides instead, so
    that factors come before the open and bars after the close. `faults` is a plan or its text form. These attributes may
    be changed while it runs; limits, points and wording are `account`'s.

    `requests` counts by interface, `connections` those that were ever made, `faults_done` the faults by kind.
    """

    def __init__(  # noqa: PLR0913  a server has many knobs, each with a default
        self,
        market: TushareMarket,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str = TOKEN,
        points: int = 2000,
        wording: Wording = "new",
        limits: Mapping[str, tuple[int, Period]] | None = None,
        caps: Mapping[str, int] | None = None,
        unstable_paging: Iterable[str] = (),
        latency_seconds: float = 0.0,
        last_ready_day: date | None = None,
        last_factor_day: date | None = None,
        now: Callable[[], datetime] | None = None,
        faults: FaultPlan | str | None = None,
        clock: Callable[[], float] = time.monotonic,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(faults, kinds=TUSHARE_KINDS)
        self.market = market
        self.host, self.port = host, port
        self.token = token
        self.account = Account(points=points, wording=wording, limits=limits, clock=clock)
        self.caps = dict(caps or {})
        self.unstable_paging = frozenset(unstable_paging)
        self.latency_seconds = latency_seconds
        self.last_ready_day, self.last_factor_day, self.now = last_ready_day, last_factor_day, now
        self.requests: Counter[str] = Counter()
        self.faults_done: Counter[str] = Counter()
        self.connections = 0
        self._ssl_context = ssl_context
        self._lock = threading.Lock()
        self._http: _Http | None = None
        self._open: set[socket.socket] = set()
        self._answers: OrderedDict[tuple[object, ...], bytes] = OrderedDict()

    @property
    def url(self) -> str:
        """The address that clients are given."""
        return f"{'http' if self._ssl_context is None else 'https'}://{self.host}:{self.port}/dataapi"

    def close(self) -> None:
        """Close the listener and all connections."""
        self.closing.set()
        self.refuse_connections()
        self.drop_connections()

    def accept_connections(self) -> None:
        """Listen again on the same port; nothing happens while the server listens."""
        with self._lock:
            if self._http is not None or self.closing.is_set():
                return
            http = self._http = _Http(self)
            self.port = http.server_address[1]
        http.start(self._ssl_context)

    def refuse_connections(self) -> None:
        """Close the listener: new connections are refused, open ones go on."""
        with self._lock:
            http, self._http = self._http, None
        if http is not None:
            http.stop()

    def drop_connections(self) -> None:
        """End every open connection, as a server does that restarts."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def connected(self, connection: socket.socket) -> None:
        """Count a connection that was made."""
        with self._lock:
            self.connections += 1
            self._open.add(connection)

    def disconnected(self, connection: socket.socket) -> None:
        """Forget a connection that has ended."""
        with self._lock:
            self._open.discard(connection)

    def reply(self, body: bytes) -> tuple[HttpReply, Fault | None]:
        """Return the answer to one request's body and the fault that meets it on its way."""
        request = Request.read(body)
        fault = self._counter.next(request.api, None)
        with self._lock:
            self.requests[request.api] += 1
            if fault is not None:
                self.faults_done[fault.kind] += 1
        if self.latency_seconds:
            self.closing.wait(self.latency_seconds)
        if fault is not None and fault.kind == "connect_refused":
            self._go_away(fault)
        try:
            return HttpReply(self._body(request, fault)), fault
        except RefusalError as refused:
            return HttpReply(answers.refusal(refused)), fault

    def _body(self, request: Request, fault: Fault | None) -> bytes:
        if fault is not None and (refused := refusal_of(fault, request.api, self.account.wording)) is not None:
            raise refused
        if not request.token:
            raise RefusalError(*NO_TOKEN)
        if request.token != self.token:
            raise RefusalError(*WRONG_TOKEN)
        service = request.service()
        self.account.call(service)
        known = self._known(service)
        if fault is not None or service.name in self.unstable_paging:
            answer = self._answer(service, request, known)
            return answer.body() if fault is None else spoiled(answer, fault)
        key = (request.api, tuple(sorted(request.params.items())), request.fields, known, self.caps.get(request.api))
        with self._lock:
            remembered = self._answers.get(key)
        if remembered is None:
            remembered = self._answer(service, request, known).body()
        with self._lock:
            self._answers[key] = remembered
            self._answers.move_to_end(key)
            while len(self._answers) > _REMEMBERED_ANSWERS:
                self._answers.popitem(last=False)
        return remembered

    def _answer(self, service: Service, request: Request, known: date) -> answers.Answer:
        return answers.answer(
            self.market,
            service,
            request,
            known,
            cap=self.caps.get(service.name, service.cap),
            shuffle=self.requests[service.name] if service.name in self.unstable_paging else None,
        )

    def _known(self, service: Service) -> date:
        """Return the last day whose rows are published."""
        last = self.market.last_session
        if service.name in _LISTED_BY:
            return last
        if self.now is not None:
            now = self.now()
            is_ready = f"{now:%H:%M}" >= service.ready
            return min(last, now.date() if is_ready else now.date() - timedelta(days=1))
        ready = self.last_ready_day or last
        return self.last_factor_day or ready if service.name == "adj_factor" else ready

    def _go_away(self, fault: Fault) -> None:
        # Not here: the listener's end is waited for by the thread that this one belongs to.
        threading.Thread(target=self.refuse_connections, daemon=True).start()
        self._accept_after(fault)


class _Http(ThreadingHTTPServer):
    """The listener and its thread; each connection has a thread of its own."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, owner: TushareServer) -> None:
        self.owner = owner
        super().__init__((owner.host, owner.port), _Handler)
        self._thread = threading.Thread(
            target=self.serve_forever, args=(_POLL_SECONDS,), daemon=True, name="tushare-server"
        )

    def start(self, ssl_context: ssl.SSLContext | None) -> None:
        if ssl_context is not None:
            # The handshake belongs to the connection's own thread.
            self.socket = ssl_context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join(_JOIN_SECONDS)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients may go away, and faults make them."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http  # pyright: ignore[reportIncompatibleVariableOverride] - the only server that uses it

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.owner.connected(self.connection)

    def finish(self) -> None:
        self.server.owner.disconnected(self.connection)
        super().finish()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        reply, fault = self.server.owner.reply(body)
        is_zipped = "gzip" in self.headers.get("Accept-Encoding", "")
        if not deliver(self.connection, reply, fault, self.server.owner.closing, is_zipped=is_zipped):
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
        """Say nothing."""
