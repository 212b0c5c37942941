"""The socket that the package thinks is its own: deadlines, whole verified answers, and no second life after a failure.

The package swallows every exception of its transport and goes on; the guard therefore keeps the failure for the session
to raise. What the answers mean does not belong here.
"""

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Never

from stock_assets.domain.errors import SourceUnavailable, StockAssetsError
from stock_assets.sources.baostock.frames import SOURCE, AnswerFrame, Request
from stock_assets.sources.meter import count_request, timing_api

_CHUNK_BYTES = 256 * 1024
_Resolution = Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[object, ...]]]


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a session waits: for a connection, for the next byte, for a whole answer, and for its own log-out."""

    connect_seconds: float = 10.0
    idle_seconds: float = 30.0
    total_seconds: float = 60.0
    close_seconds: float = 2.0

    @classmethod
    def of(cls, timeout_seconds: float) -> "Deadlines":
        """Return the deadlines that follow from one timeout: silence may last as long, a whole answer twice as long."""
        return cls(
            connect_seconds=min(10.0, timeout_seconds),
            idle_seconds=timeout_seconds,
            total_seconds=2 * timeout_seconds,
            close_seconds=min(2.0, timeout_seconds),
        )


class GuardedSocket:
    """One connection. After its first failure it is closed, and every later use fails with that same failure.

    `before_request` is called with the name of each request that is about to leave, except `login`: the session has
    asked for that one before it connects. What it raises is kept like a failure, but leaves the connection usable,
    because nothing was sent.
    """

    def __init__(
        self,
        deadlines: Deadlines,
        *,
        before_request: Callable[[str], None],
        answer_types: Mapping[str, frozenset[str]],
        compressed_types: frozenset[str],
    ) -> None:
        """Connect nothing yet."""
        self._deadlines = deadlines
        self._before_request = before_request
        self._answer_types = answer_types
        self._compressed_types = compressed_types
        self._socket: socket.socket | None = None
        self._request: Request | None = None
        self._total_seconds = deadlines.total_seconds
        self._total_deadline = 0.0
        self.failure: BaseException | None = None
        self.last_parts: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        """True from a successful `connect` to the first failure or `close`."""
        return self._socket is not None

    def hurry(self, total_seconds: float) -> None:
        """Allow `total_seconds` for each whole answer from now on."""
        self._total_seconds = total_seconds

    def forget_refusal(self) -> None:
        """Forget a failure that left the connection usable."""
        if self.is_open:
            self.failure = None

    def connect(self, address: tuple[str, int]) -> None:
        """Connect within the connect deadline, name resolution included, trying the host's addresses in turn.

        A resolver that hangs cannot be interrupted: the call returns in time, its thread ends when the resolver does.
        """
        deadline = time.monotonic() + self._deadlines.connect_seconds
        with timing_api(), self._ending_on_error():
            self._socket = _connected(*address, deadline=deadline)

    def send(self, data: bytes) -> int:
        """Send a whole request; the answer to it is then the only thing `recv` gives."""
        request = Request.parse(data)
        connection = self._live()
        if not self.is_quiet():
            # Something came that nobody asked for, or the end of the stream: an answer could not be told from it.
            self._end(SourceUnavailable(source=SOURCE, reason="the connection was closed or disturbed while idle"))
        if request.api_name != "login":
            try:
                self._before_request(request.api_name)
            except Exception as error:
                self.failure = error
                raise
        count_request()
        self._request = request
        with timing_api(), self._ending_on_error():
            self._total_deadline = time.monotonic() + self._total_seconds
            connection.settimeout(min(self._deadlines.idle_seconds, self._total_seconds))
            connection.sendall(data)
        return len(data)

    def recv(self, _size: int) -> bytes:
        """Return the whole answer at once, verified against the request.

        The package asks for 8 KiB at a time and looks for the end mark behind what it has; it takes any amount.
        """
        connection = self._live()
        request, self._request = self._request, None
        if request is None:
            self._end(SourceUnavailable(source=SOURCE, reason="no request is waiting for an answer"))
        frame = AnswerFrame(request, self._answer_types.get(request.message_type, frozenset()), self._compressed_types)
        with timing_api(), self._ending_on_error():
            while not frame.is_complete:
                frame.feed(self._chunk(connection))
            self.last_parts = frame.check()
        return frame.data

    def is_quiet(self) -> bool:
        """Return whether the peer is still there and has sent nothing unasked; takes no time."""
        if self._socket is None:
            return False
        try:
            self._socket.setblocking(False)
            self._socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Close the connection, once; a failure that happened before is kept."""
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()

    def _chunk(self, connection: socket.socket) -> bytes:
        remaining = self._total_deadline - time.monotonic()
        if remaining <= 0:
            raise SourceUnavailable(source=SOURCE, reason=f"no whole answer within {self._total_seconds:g} s")
        connection.settimeout(min(self._deadlines.idle_seconds, remaining))
        chunk = connection.recv(_CHUNK_BYTES)
        if not chunk:
            raise SourceUnavailable(source=SOURCE, reason="the connection was closed before the answer was complete")
        return chunk

    def _live(self) -> socket.socket:
        if self._socket is None:
            raise self.failure or SourceUnavailable(source=SOURCE, reason="the connection is closed")
        return self._socket

    @contextlib.contextmanager
    def _ending_on_error(self) -> Generator[None]:
        try:
            yield
        except StockAssetsError as error:
            self._end(error)
        except TimeoutError as error:
            self._end(SourceUnavailable(source=SOURCE, reason="no answer in time"), error)
        except OSError as error:
            self._end(SourceUnavailable(source=SOURCE, reason=error.strerror or type(error).__name__), error)
        except BaseException as error:
            # A person's Ctrl-C in the middle of an answer: the rest of it must never reach a later request.
            self.failure = error
            self.close()
            raise

    def _end(self, error: StockAssetsError, cause: BaseException | None = None) -> Never:
        self.failure = error
        self.close()
        raise error from cause


def _connected(host: str, port: int, *, deadline: float) -> socket.socket:
    addresses = _resolved(host, port, deadline=deadline)
    last: OSError | None = None
    for position, (family, kind, protocol, _, address) in enumerate(addresses):
        connection = socket.socket(family, kind, protocol)
        try:
            # An address that swallows packets must leave time for the ones behind it.
            connection.settimeout(max(0.001, (deadline - time.monotonic()) / (len(addresses) - position)))
            connection.connect(address)
        except OSError as error:
            connection.close()
            last = error
        except BaseException:
            connection.close()
            raise
        else:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            return connection
    if isinstance(last, TimeoutError):
        raise SourceUnavailable(source=SOURCE, reason="no connection in time") from last
    reason = "the name has no address" if last is None else last.strerror or type(last).__name__
    raise SourceUnavailable(source=SOURCE, reason=reason) from last


def _resolved(host: str, port: int, *, deadline: float) -> _Resolution:
    found: queue.SimpleQueue[_Resolution | OSError] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            found.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            found.put(error)

    # The resolver knows no deadline, so it runs beside; as a daemon it never keeps the process from ending.
    threading.Thread(target=resolve, name="baostock-resolver", daemon=True).start()
    try:
        answer = found.get(timeout=max(0.0, deadline - time.monotonic()))
    except queue.Empty:
        raise SourceUnavailable(source=SOURCE, reason="the host name was not resolved in time") from None
    if isinstance(answer, OSError):
        raise SourceUnavailable(source=SOURCE, reason="the host name cannot be resolved") from answer
    return answer
