"""BaoStock's frames: bytes to named parts and back, byte for byte.

What the parts mean (methods, pages, rows) does not belong here: see `baostock_server`.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

SEPARATOR: Final = "\x01"
END_MARK: Final = b"<![CDATA[]]>\n"
HEADER_BYTES: Final = 21
SERVER_VERSION: Final = "00.9.00"
ERROR_TYPE: Final = "04"
COMPRESSED_TYPES: Final = frozenset({"96", "99", "9B", "9D"})

_LENGTH_DIGITS: Final = 10
# Level 1 reproduces the streams of the real server.
_ZLIB_LEVEL: Final = 1


class WireError(ValueError):
    """The bytes are not a frame: the message says which part is wrong."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: `parts` are the body's fields in order, `crc` the digits that followed it on the wire.

    `crc` is empty in a frame to be sent: it is computed then.
    """

    version: str
    message_type: str
    parts: tuple[str, ...]
    crc: str = ""

    @property
    def is_compressed(self) -> bool:
        """True for the answers whose body travels as a zlib stream."""
        return self.message_type in COMPRESSED_TYPES


def encode_request(frame: Frame) -> bytes:
    """Return the bytes a client sends: header, body, CRC, newline."""
    body = SEPARATOR.join(frame.parts)
    head = _header(frame, len(body)) + body.encode()
    return head + f"{SEPARATOR}{zlib.crc32(head)}\n".encode()


def decode_request(line: bytes) -> Frame:
    """Return the request in one line; its CRC and length are checked.

    Raises `WireError` when the header, the length in characters or the CRC does not fit the bytes.
    """
    if not line.endswith(b"\n"):
        msg = "a request ends with a newline"
        raise WireError(msg)
    return _decode_plain(line[:-1])


def encode_response(frame: Frame) -> bytes:
    """Return the bytes the server sends: compressed for the four compressed types, plain for all others.

    In compressed answers the real server's CRC digits follow no known rule and no client checks them; here they are
    the CRC of header and stream.
    """
    body = SEPARATOR.join(frame.parts)
    if not frame.is_compressed:
        head = _header(frame, len(body)) + body.encode()
        return head + f"{SEPARATOR}{zlib.crc32(head)}".encode() + END_MARK
    stream = zlib.compress(body.encode(), _ZLIB_LEVEL)
    head = _header(frame, len(stream)) + stream
    return head + f"{SEPARATOR}{frame.crc or zlib.crc32(head)}\n".encode() + END_MARK


def decode_response(data: bytes) -> Frame:
    """Return the answer in `data`, which is one whole frame with its end mark.

    Raises `WireError` for a missing end mark, a wrong length, a wrong CRC of a plain answer, or a broken stream.
    """
    if not data.endswith(END_MARK):
        msg = "an answer ends with the end mark"
        raise WireError(msg)
    data = data[: -len(END_MARK)]
    version, message_type, length = _split_header(data)
    if message_type not in COMPRESSED_TYPES:
        return _decode_plain(data)
    stream, tail = data[HEADER_BYTES : HEADER_BYTES + length], data[HEADER_BYTES + length :]
    if not (tail.startswith(b"\x01") and tail.endswith(b"\n") and tail[1:-1].isdigit()):
        msg = f"the compressed body is not {length} bytes long"
        raise WireError(msg)
    try:
        body = zlib.decompress(stream).decode()
    except (zlib.error, UnicodeDecodeError) as error:
        msg = f"the compressed body is broken: {error}"
        raise WireError(msg) from error
    return Frame(version, message_type, tuple(body.split(SEPARATOR)), tail[1:-1].decode())


def error_frame(code: str, text: str) -> Frame:
    """Return the plain frame of type 04 with which the server refuses, whatever was asked."""
    return Frame(SERVER_VERSION, ERROR_TYPE, (code, text))


def encode_rows(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as the data part: JSON without blanks, and the empty string for no rows."""
    if not rows:
        return ""
    return json.dumps({"record": rows}, ensure_ascii=False, separators=(",", ":"))


def decode_rows(data: str) -> list[list[str]]:
    """Return the rows of a data part; the empty string gives no rows."""
    return cast("list[list[str]]", json.loads(data)["record"]) if data else []


def _header(frame: Frame, length: int) -> bytes:
    return SEPARATOR.join((frame.version, frame.message_type, f"{length:0{_LENGTH_DIGITS}d}")).encode()


def _split_header(data: bytes) -> tuple[str, str, int]:
    head = data[:HEADER_BYTES]
    pieces = head.split(b"\x01")
    if [len(piece) for piece in pieces] != [7, 2, _LENGTH_DIGITS] or not pieces[2].isdigit():
        msg = f"not a header: {head!r}"
        raise WireError(msg)
    return pieces[0].decode("latin-1"), pieces[1].decode("latin-1"), int(pieces[2])


def _decode_plain(data: bytes) -> Frame:
    version, message_type, length = _split_header(data)
    head, _, crc = data.rpartition(b"\x01")
    if crc != str(zlib.crc32(head)).encode():
        msg = f"the CRC {crc!r} does not fit the frame"
        raise WireError(msg)
    body = head[HEADER_BYTES:].decode()
    if len(body) != length:
        msg = f"the body has {len(body)} characters, the header says {length}"
        raise WireError(msg)
    return Frame(version, message_type, tuple(body.split(SEPARATOR)), crc.decode())
