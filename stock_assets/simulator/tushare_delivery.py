"""How an HTTP answer reaches the client: whole, or as a fault wants it; what the answer would be is made elsewhere."""

from __future__ import annotations

import gzip
import json
import random
import socket
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from stock_assets.simulator.faults import argument_of, spoil_rows
from stock_assets.simulator.tushare_answers import body_of
from stock_assets.simulator.tushare_limits import (
    TOO_MANY_ADDRESSES,
    WRONG_TOKEN,
    RefusalError,
    Wording,
    missing,
    not_allowed,
    too_often,
)

if TYPE_CHECKING:
    import threading

    from stock_assets.simulator.faults import Fault
    from stock_assets.simulator.tushare_answers import Answer

_GARBAGE_BYTES: Final = 400
_WORTH_ZIPPING: Final = 1000
_UNKNOWN_ERROR: Final = 50000
_REFUSED_CALLS: Final = 1
_PAGE: Final = "<html><head><title>502</title></head><body>网关错误</body></html>".encode()
_OTHER_CODE: Final = "000999.SZ"


@dataclass(frozen=True, slots=True)
class HttpReply:
    """An answer before it is sent."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"

    def raw(self, *, is_zipped: bool) -> bytes:
        """Return every byte of the answer."""
        body, zipped = self.body, b""
        if is_zipped and len(body) > _WORTH_ZIPPING:
            body, zipped = gzip.compress(body, compresslevel=1, mtime=0), b"Content-Encoding: gzip\r\n"
        head = f"HTTP/1.1 {self.status} Answer\r\nContent-Type: {self.content_type}\r\nContent-Length: {len(body)}\r\n"
        return head.encode() + zipped + b"\r\n" + body


def refusal_of(fault: Fault, api: str, wording: Wording) -> RefusalError | None:  # noqa: PLR0911 - one for each kind
    """Return the refusal that a fault is, if it is one."""
    match fault.kind:
        case "minute" | "hour" | "day" as period:
            return too_often(api, _REFUSED_CALLS, period, wording)
        case "permission":
            return not_allowed(api)
        case "token":
            return RefusalError(*WRONG_TOKEN)
        case "addresses":
            return RefusalError(*TOO_MANY_ADDRESSES)
        case "parameters":
            return missing("ts_code")
        case "error":
            code = _UNKNOWN_ERROR if fault.argument is None else int(fault.argument)
            return RefusalError(code, "系统繁忙")
        case _:
            return None


def spoiled(answer: Answer, fault: Fault) -> bytes:  # noqa: PLR0911 - one for each kind
    """Return the body of an answer as a fault leaves it; faults of the connection leave it whole."""
    match fault.kind:
        case "null_data":
            return body_of(None)
        case "null_rows":
            return body_of({"fields": answer.fields, "items": None, "has_more": False, "count": 0})
        case "no_code":
            return json.dumps({"data": {"fields": answer.fields, "items": []}}).encode()
        case "no_json":
            return answer.body()[:-2]
        case "not_a_number":
            rows = [[float("nan") if isinstance(cell, float) else cell for cell in row] for row in answer.rows]
            return replace(answer, rows=rows).body()
        case "other_stock" if "ts_code" in answer.fields:
            place = answer.fields.index("ts_code")
            rows = [[*row[:place], _OTHER_CODE, *row[place + 1 :]] for row in answer.rows]
            return replace(answer, rows=rows).body()
        case _:
            return replace(answer, rows=spoil_rows(fault, answer.rows)).body()


def deliver(
    connection: socket.socket, reply: HttpReply, fault: Fault | None, closing: threading.Event, *, is_zipped: bool
) -> bool:
    """Send one answer; return False when the connection must be closed after it. Raises `OSError` as the socket does."""
    kind = "" if fault is None else fault.kind
    if kind in _ENDS:
        _ENDS[kind](connection)
        return False
    argument = 0.0 if fault is None else argument_of(fault)
    if kind == "late":
        closing.wait(argument)
    data = _other_reply(reply, kind, argument).raw(is_zipped=is_zipped and kind != "slow_drip")
    if kind == "half":
        connection.sendall(data[: len(data) // 2])
        return False
    if kind == "slow_drip":
        return _drip(connection, data, argument, closing)
    connection.sendall(data)
    return not closing.is_set()


def _other_reply(reply: HttpReply, kind: str, argument: float) -> HttpReply:
    match kind:
        case "http":
            return HttpReply(_PAGE, int(argument), "text/html")
        case "html":
            return HttpReply(_PAGE, content_type="text/html")
        case "garbage":
            return replace(reply, body=random.Random(len(reply.body)).randbytes(_GARBAGE_BYTES))  # noqa: S311  garbage
        case _:
            return reply


def _drip(connection: socket.socket, data: bytes, pause_seconds: float, closing: threading.Event) -> bool:
    for place in range(len(data)):
        connection.sendall(data[place : place + 1])
        if closing.wait(pause_seconds):
            return False
    return True


def _leave(connection: socket.socket) -> None:
    """Say nothing; the caller closes the connection."""


def _reset(connection: socket.socket) -> None:
    # Closing a socket that does not linger sends a reset.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _stall(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


_ENDS: Final = {"close": _leave, "connect_refused": _leave, "reset": _reset, "stall": _stall}
