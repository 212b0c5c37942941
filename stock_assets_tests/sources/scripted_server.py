"""A far end that says exactly what a test wrote down, for frames and manners that no simulated market has.

Log-ins and log-outs are answered by themselves unless the script names them.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
import zlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

END = b"<![CDATA[]]>\n"


def plain(kind: str, *parts: str) -> bytes:
    """Return a plain frame as the real server sends it."""
    body = "\x01".join(parts)
    head = f"00.9.00\x01{kind}\x01{len(body):010d}{body}".encode()
    return head + f"\x01{zlib.crc32(head)}".encode() + END


def compressed(kind: str, *parts: str, digits: str = "494239084") -> bytes:
    """Return a compressed frame as the real server sends it."""
    stream = zlib.compress("\x01".join(parts).encode(), 1)
    return f"00.9.00\x01{kind}\x01{len(stream):010d}".encode() + stream + f"\x01{digits}\n".encode() + END


def refusal(code: str, text: str = "出错") -> bytes:
    """Return the error frame."""
    return plain("04", code, text)


def record(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as the data part of a body."""
    return json.dumps({"record": rows}, ensure_ascii=False) if rows else ""


@dataclass(frozen=True, slots=True)
class Sent:
    """Send these bytes: after a pause, in drops of `drop` bytes with `pause` between, closing afterwards or not."""

    data: bytes = b""
    pause: float = 0.0
    drop: int | None = None
    closes: bool = False


Step = bytes | Sent
# What to do with a request: one step for all, or one for each request of that method, the last one for ever.
Script = Step | list[Step]


class ScriptedServer:
    """Answers each request by the script of its method; a context manager with `host` and `port`."""

    def __init__(self, script: Mapping[str, Script | Callable[[list[str]], Step]]) -> None:
        self.script: dict[str, Script | Callable[[list[str]], Step]] = {
            "login": plain("01", "0", "success", "login", "anonymous", "20260422163759563"),
            "logout": plain("03", "0", "success", "logout", "anonymous", "20260422163818112"),
            **script,
        }
        self.requests: Counter[str] = Counter()
        self.bodies: list[list[str]] = []
        self.connections = 0
        self.open_connections = 0
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.host, self.port = self._listener.getsockname()[:2]

    def __enter__(self) -> Self:
        self._threads.append(threading.Thread(target=self._accept, daemon=True))
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_connections()
        for thread in list(self._threads):
            thread.join(timeout=2)

    def drop_connections(self) -> None:
        """End every connection from this side."""
        with self._lock:
            sockets = list(self._sockets)
        for connection in sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def say_unasked(self, data: bytes) -> None:
        """Send bytes on every connection although nobody asked."""
        with self._lock:
            sockets = list(self._sockets)
        for connection in sockets:
            with contextlib.suppress(OSError):
                connection.sendall(data)

    def wait_until_left(self, seconds: float = 2.0) -> bool:
        """Return whether every connection ends within `seconds`."""
        until = time.monotonic() + seconds
        while self.open_connections and time.monotonic() < until:
            time.sleep(0.005)
        return self.open_connections == 0

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self.open_connections += 1
                self._sockets.append(connection)
                thread = threading.Thread(target=self._converse, args=(connection,), daemon=True)
                self._threads.append(thread)
            thread.start()

    def _converse(self, connection: socket.socket) -> None:
        try:
            with connection, contextlib.suppress(OSError), connection.makefile("rb") as lines:
                for line in lines:
                    if not self._play(connection, self._next_step(line)):
                        return
        finally:
            with self._lock:
                self.open_connections -= 1
                self._sockets.remove(connection)

    def _next_step(self, line: bytes) -> Step:
        body = line[21:].decode().split("\x01")[:-1]
        with self._lock:
            self.requests[body[0]] += 1
            self.bodies.append(body)
            script = self.script[body[0]]
            if callable(script):
                return script(body)
            if isinstance(script, list):
                return script.pop(0) if len(script) > 1 else script[0]
            return script

    @staticmethod
    def _play(connection: socket.socket, step: Step) -> bool:
        if isinstance(step, bytes):
            step = Sent(step)
        if step.drop is None:
            time.sleep(step.pause)
            connection.sendall(step.data)
        else:
            for place in range(0, len(step.data), step.drop):
                connection.sendall(step.data[place : place + step.drop])
                time.sleep(step.pause)
        return not step.closes
