"""Kept-alive HTTP in which a whole call has a deadline, also against a server that sends a byte at a time.

The library reads and writes with a timeout for each piece; here every piece gets no more than what is left of the call.
What an answer means does not belong here.
"""

import re
import socket
import ssl
import time
import zlib
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import httpcore

from stock_assets.domain.errors import AnswerBroken, SourceUnavailable
from stock_assets.sources.meter import count_request, timing_api

SOURCE: Final = "tushare"
_MOST_BYTES: Final = 512 * 1024 * 1024
_NUMBERS: Final = re.compile(r"^\[Errno -?\d+\] | \(_ssl\.c:\d+\)$")
_GZIP: Final = 16 + zlib.MAX_WBITS
_HEADERS: Final = (
    ("Content-Type", "application/json"),
    ("Accept", "application/json"),
    ("Accept-Encoding", "gzip, identity"),
    ("User-Agent", "stock-assets"),
)

Stage = Literal["connect", "answer"]
"""How far a call came: with `connect` nothing of the request has left."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a call waits: for a connection, for the next bytes, and in all."""

    connect_seconds: float = 10.0
    idle_seconds: float = 30.0
    total_seconds: float = 120.0

    @classmethod
    def of(cls, timeout_seconds: float) -> "Deadlines":
        """Return the deadlines of one timeout: silence may last as long, a whole answer, 20 MB at most, four times."""
        return cls(min(10.0, timeout_seconds), timeout_seconds, 4 * timeout_seconds)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A complete HTTP answer, decompressed."""

    status: int
    content_type: str
    body: bytes


class Transport:
    """Connections to wherever calls go, kept open between calls; safe for many threads."""

    def __init__(
        self, deadlines: Deadlines, *, ssl_context: ssl.SSLContext | None = None, max_connections: int = 10
    ) -> None:
        """Connect nothing yet."""
        self._deadlines = deadlines
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl_context or ssl.create_default_context(),
            max_connections=max_connections,
            keepalive_expiry=60.0,
            network_backend=_DeadlineBackend(),
        )
        self._timeouts = {
            "connect": deadlines.connect_seconds,
            "read": deadlines.idle_seconds,
            "write": deadlines.idle_seconds,
            "pool": deadlines.total_seconds,
        }

    def post(self, url: str, content: bytes, *, api: str) -> HttpAnswer:
        """Return the answer to one request, whatever its status.

        Errors: `SourceUnavailable` when none came whole and in time, with its `stage`; `AnswerBroken` when it cannot be
        decompressed.
        """
        stage: Stage = "connect"
        started = time.monotonic()

        def seen(event: str, _facts: object) -> None:
            nonlocal stage
            if event == "http11.send_request_headers.started":
                stage = "answer"
                count_request()

        try:
            with (
                timing_api(),
                ending_in(self._deadlines.total_seconds),
                self._pool.stream(
                    "POST",
                    url,
                    headers=_HEADERS,
                    content=content,
                    extensions={"timeout": self._timeouts, "trace": seen},
                ) as response,
            ):
                headers = {name.lower(): value.decode("latin-1") for name, value in response.headers}
                body = _body(response.iter_stream(), headers.get(b"content-encoding", ""))
                return HttpAnswer(response.status, headers.get(b"content-type", ""), body)
        except zlib.error:
            raise AnswerBroken(source=SOURCE, api=api, reason="an answer that cannot be decompressed") from None
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            is_over = time.monotonic() - started >= self._deadlines.total_seconds
            reason = _words(error, urlsplit(url).hostname or "", is_over=is_over)
            raise SourceUnavailable(source=SOURCE, api=api, reason=reason, stage=stage) from error

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


_ends_at: ContextVar[float] = ContextVar("tushare_call_ends_at")


@contextmanager
def ending_in(seconds: float) -> Generator[None]:
    """Give everything that this thread does in the block so many seconds together."""
    token = _ends_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)


def _left(timeout: float | None, late: type[httpcore.TimeoutException]) -> float:
    """Return how long the next piece of this call may take."""
    left = _ends_at.get() - time.monotonic()
    if left <= 0:
        raise late
    return left if timeout is None else min(timeout, left)


class DeadlineStream(httpcore.NetworkStream):
    """A connection on which no piece takes longer than what is left of the call."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return the next bytes."""
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send these bytes."""
        self._stream.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Return the same connection, encrypted."""
        left = _left(timeout, httpcore.ConnectTimeout)
        return DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - the library's signature
        """Return what the connection knows of itself."""
        return self._stream.get_extra_info(info)


class _DeadlineBackend(httpcore.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of `host` that answers; all of them together get the timeout."""
        ends_at = time.monotonic() + _left(timeout, httpcore.ConnectTimeout)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        while True:
            address = addresses.pop(0)
            share = (ends_at - time.monotonic()) / (len(addresses) + 1)
            try:
                return DeadlineStream(
                    super().connect_tcp(address, port, max(share, 0.001), local_address, socket_options)
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if not addresses:
                    raise


def _body(pieces: Iterable[bytes], encoding: str) -> bytes:
    unzip = zlib.decompressobj(_GZIP) if encoding.strip().lower() == "gzip" else None
    body = bytearray()
    for piece in pieces:
        body += piece if unzip is None else unzip.decompress(piece)
        if len(body) > _MOST_BYTES:
            raise httpcore.RemoteProtocolError("the answer is longer than any answer")
    if unzip is not None and not unzip.eof:
        raise zlib.error
    return bytes(body)


def _words(error: Exception, host: str, *, is_over: bool) -> str:
    # "[Errno 111]" and "(_ssl.c:1006)" tell a reader nothing.
    said = _NUMBERS.sub("", str(error)) or type(error).__name__
    if is_over:
        return f"{host} took too long for a whole call"
    match error:
        case httpcore.ConnectTimeout():
            return f"no connection to {host} in time"
        case httpcore.ConnectError():
            return f"no connection to {host}: {said}"
        case httpcore.TimeoutException():
            return f"{host} is silent: {said}"
        case _:
            return f"{host} broke off: {said}"
