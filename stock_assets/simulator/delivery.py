"""How an answer's bytes reach the client: whole, or as a fault wants them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from stock_assets.simulator.faults import argument_of
from stock_assets.simulator.wire import COMPRESSED_TYPES, END_MARK, HEADER_BYTES

if TYPE_CHECKING:
    import socket
    import threading

    from stock_assets.simulator.faults import Fault

_GARBAGE_BYTES: Final = 400


def deliver(connection: socket.socket, data: bytes, fault: Fault | None, closing: threading.Event) -> bool:
    """Send one answer; return False when the connection must be closed after it.

    Waiting ends early when `closing` is set or the client goes away. Raises `OSError` as the socket does.
    """
    match None if fault is None else fault.kind:
        case "close" | "connect_refused":
            return False
        case "half":
            connection.sendall(data[: len(data) // 2])
            return False
        case "stall":
            _wait_for_the_end(connection)
            return False
        case "late" if fault is not None:
            closing.wait(argument_of(fault))
        case "slow_drip" if fault is not None:
            for place in range(len(data)):
                connection.sendall(data[place : place + 1])
                if closing.wait(argument_of(fault)):
                    return False
            return True
        case "garbage":
            data = random.Random(len(data)).randbytes(_GARBAGE_BYTES) + END_MARK  # noqa: S311  garbage, no secret
        case "corrupt":
            data = corrupted(data)
        case _:
            pass
    connection.sendall(data)
    return not closing.is_set()


def corrupted(data: bytes) -> bytes:
    """Return the answer with one digit of its body, or one byte of its stream, changed; CRC and length stay."""
    spoiled = bytearray(data)
    middle = (HEADER_BYTES + len(data) - len(END_MARK)) // 2
    if data[8:10].decode("latin-1") in COMPRESSED_TYPES:
        spoiled[middle] ^= 0xFF
        return bytes(spoiled)
    end_of_body = data.rindex(b"\x01")
    digits = [place for place in range(HEADER_BYTES + 2, end_of_body) if data[place : place + 1].isdigit()]
    if digits:
        place = min(digits, key=lambda digit: abs(digit - middle))
        spoiled[place] = ord("0") + (spoiled[place] - ord("0") + 1) % 10
    else:
        spoiled[HEADER_BYTES] = ord("0") + (spoiled[HEADER_BYTES] - ord("0") + 1) % 10
    return bytes(spoiled)


def _wait_for_the_end(connection: socket.socket) -> None:
    """Read and forget whatever comes until the other side, or the server, closes the connection."""
    while connection.recv(4096):
        pass
