r"""Whole frames of BaoStock's wire, checked before the package may read them.

A frame is a header of 21 bytes (`version \1 type \1 length`), a body of fields separated by `\1`, a checksum and an end
mark. Plain bodies count their length in characters and carry a CRC-32; compressed ones count the bytes of a zlib stream,
and the checksum behind them follows no rule we know, so there the stream's own check sum has to do.
"""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from stock_assets.domain.errors import AnswerBroken

SOURCE: Final = "baostock"
END_MARK: Final = b"<![CDATA[]]>\n"
SUCCESS: Final = "0"

_SEPARATOR: Final = "\x01"
_HEADER: Final = re.compile(rb"[^\x01]{7}\x01([0-9A-Z]{2})\x01(\d{10})", re.DOTALL)
_HEADER_BYTES: Final = 21
_TAIL: Final = re.compile(rb"\x01\d+\n")
_ERROR_TYPE: Final = "04"
_K_DATA_TYPE: Final = "95"
# A market day of bars is 0.4 MB on the wire and 1 MB as text; a length that asks for more memory than this is garbage.
_LARGEST_BYTES: Final = 64 * 2**20
# The position of the page number in a paged request; the three by-day requests have their date there and never page.
_PAGE: Final = 2
_FIRST_ARGUMENT: Final = 4
_FIRST_ECHO: Final = 7


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it leaves: `parts` are method, user and the request's own arguments in order."""

    message_type: str
    parts: tuple[str, ...]

    @classmethod
    def parse(cls, data: bytes) -> "Request":
        """Return the request in the bytes that the package wants to send."""
        message_type = data[8:10].decode()
        body, _, _ = data[_HEADER_BYTES:].decode().rpartition(_SEPARATOR)
        return cls(message_type, tuple(body.split(_SEPARATOR)))

    @property
    def api_name(self) -> str:
        """The method's name, such as `query_trade_dates`."""
        return self.parts[0]

    def broken(self, reason: str) -> AnswerBroken:
        """Return the error that says why the answer to this request is not to be trusted."""
        return AnswerBroken(source=SOURCE, api=self.api_name, reason=reason)


class AnswerFrame:
    """The answer to one request while it arrives: `feed` bytes until `is_complete`, then `check` it."""

    def __init__(self, request: Request, answer_types: frozenset[str], compressed_types: frozenset[str]) -> None:
        """Wait for an answer of one of `answer_types`, or an error frame."""
        self._request = request
        self._answer_types = answer_types | {_ERROR_TYPE}
        self._compressed_types = compressed_types
        self._data = bytearray()
        self._stream_end: int | None = None
        self._type = ""
        self._length = 0
        self.is_complete = False

    @property
    def data(self) -> bytes:
        """The bytes so far."""
        return bytes(self._data)

    def feed(self, chunk: bytes) -> None:
        """Add bytes as they came.

        Errors: `AnswerBroken` as soon as the bytes cannot become the answer, without waiting for the rest.
        """
        searched = max(0, len(self._data) - len(END_MARK) + 1)
        self._data += chunk
        if not self._type and len(self._data) >= _HEADER_BYTES:
            self._read_header()
        if len(self._data) > _LARGEST_BYTES:
            raise self._request.broken("the answer is larger than any answer can be")
        # By chance the mark may stand inside a compressed stream; the header says where the stream ends.
        end = self._data.find(END_MARK, max(searched, self._stream_end or 0))
        if end >= 0:
            if end + len(END_MARK) != len(self._data):
                raise self._request.broken("bytes follow the end of the answer")
            self.is_complete = True
        elif self._stream_end is not None and self._data.endswith(END_MARK):
            raise self._request.broken("the compressed body is shorter than the header says")
        if self.is_complete and not self._type:
            raise self._request.broken("the answer has no header")

    def check(self) -> tuple[str, ...]:
        """Return the body's fields of the complete frame.

        Errors: `AnswerBroken` for a wrong length, check sum or stream, or an answer to something else.
        """
        parts = self._compressed_parts() if self._stream_end is not None else self._plain_parts()
        if len(parts) < 2:  # noqa: PLR2004
            raise self._request.broken("the answer has no error code")
        if parts[0] == SUCCESS:
            self._check_echo(parts)
        return parts

    def _read_header(self) -> None:
        match = _HEADER.fullmatch(self._data[:_HEADER_BYTES])
        if match is None:
            raise self._request.broken("the bytes are no frame")
        self._type, self._length = match[1].decode(), int(match[2])
        if self._type not in self._answer_types:
            raise self._request.broken(f"answer of type {self._type} to a request of type {self._request.message_type}")
        if self._type in self._compressed_types:
            self._stream_end = _HEADER_BYTES + self._length
            if self._stream_end > _LARGEST_BYTES:
                raise self._request.broken("the header names a length that no answer has")

    def _plain_parts(self) -> tuple[str, ...]:
        head, _, check_sum = bytes(self._data[: -len(END_MARK)]).rpartition(b"\x01")
        if check_sum != str(zlib.crc32(head)).encode():
            raise self._request.broken("the check sum does not fit the answer")
        try:
            body = head[_HEADER_BYTES:].decode()
        except UnicodeDecodeError as error:
            raise self._request.broken("the answer is no UTF-8") from error
        if len(body) != self._length:
            raise self._request.broken(f"{len(body)} characters came and the header says {self._length}")
        return tuple(body.split(_SEPARATOR))

    def _compressed_parts(self) -> tuple[str, ...]:
        if not _TAIL.fullmatch(self._data[self._stream_end : -len(END_MARK)]):
            raise self._request.broken("the compressed body is longer than the header says")
        stream = zlib.decompressobj()
        try:
            body = stream.decompress(self._data[_HEADER_BYTES : self._stream_end], _LARGEST_BYTES).decode()
        except (zlib.error, UnicodeDecodeError) as error:
            raise self._request.broken("the compressed body is damaged") from error
        if not stream.eof or stream.unused_data:
            raise self._request.broken("the compressed body does not end where the header says")
        return tuple(body.split(_SEPARATOR))

    def _check_echo(self, parts: tuple[str, ...]) -> None:
        asked = self._request.parts
        if len(parts) <= _PAGE or parts[_PAGE] != asked[0]:
            raise self._request.broken("the answer belongs to another method")
        if len(asked) <= _FIRST_ARGUMENT:
            # Login, logout and the by-day requests: the server echoes none of their arguments.
            return
        if len(parts) < _FIRST_ECHO or parts[_FIRST_ARGUMENT] != asked[_PAGE]:
            raise self._request.broken("the answer is another page")
        arguments = [_squeezed(text) for text in asked[_FIRST_ARGUMENT:]]
        echoes = [_squeezed(text) for text in parts[_FIRST_ECHO:]]
        # k-data echoes its field list among the arguments, all others add theirs behind them.
        fields = 0 if self._request.message_type == _K_DATA_TYPE else 1
        if len(echoes) != len(arguments) + fields or echoes[: len(arguments)] != arguments:
            raise self._request.broken("the answer belongs to a request with other arguments")


def _squeezed(text: str) -> str:
    return "".join(text.split())


def answer_types_of(constants: Mapping[str, object]) -> dict[str, frozenset[str]]:
    """Return, by request type, the types that may answer it, from the package's own constants."""
    answers: dict[str, frozenset[str]] = {}
    for name, value in constants.items():
        stem = name.removesuffix("_REQUEST")
        # Some names of the package end in RESPONST.
        answer = constants.get(f"{stem}_RESPONSE", constants.get(f"{stem}_RESPONST"))
        if stem != name and isinstance(value, str) and isinstance(answer, str):
            answers[value] = frozenset({answer})
    # The real server answers the monthly money supply with the yearly type.
    answers["53"] = answers.get("53", frozenset()) | {"56"}
    return answers
