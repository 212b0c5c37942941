"""Frames that are not the answer, each refused before the package can read it."""

from __future__ import annotations

import time
import zlib
from typing import TYPE_CHECKING

import pytest

from stock_assets.domain.errors import AnswerBroken
from stock_assets_tests.sources import answers
from stock_assets_tests.sources.scripted_server import END, ScriptedServer, Sent, compressed, plain, record

if TYPE_CHECKING:
    from collections.abc import Callable

    from stock_assets.sources.baostock.session import BaoStockSession

    OpenSession = Callable[..., BaoStockSession]

DATES = {"start_date": "2024-01-01", "end_date": "2024-01-10"}
RIGHT_DATES = answers.trade_dates(["query_trade_dates", "anonymous", "1", "2000", *DATES.values()])
RIGHT_DAY = answers.daily_of_day(answers.bars_of_day(30))
HEAD = ("0", "success", "query_trade_dates", "anonymous")
ROWS = record([["2024-01-01", "0"]])
FIELDS = "calendar_date, is_trading_day"


def without_end(data: bytes) -> bytes:
    return data.removesuffix(END)


def cut_stream(data: bytes) -> bytes:
    """Return the compressed frame with its stream cut short and a header that agrees."""
    stream = data[21 : 21 + int(data[11:21])][:-8]
    return data[:11] + f"{len(stream):010d}".encode() + stream + b"\x0112\n" + END


def longer(data: bytes, difference: int) -> bytes:
    """Return the frame with another length in its header and a check sum that fits."""
    length = int(data[11:21]) + difference
    head = data[:11] + f"{length:010d}".encode() + data[21:].rpartition(b"\x01")[0]
    return head + f"\x01{zlib.crc32(head)}".encode() + END


WRONG_DATES = {
    "no header": (b"no frame at all, but with its end" + END, "no frame"),
    "nothing but the end mark": (END, "no header"),
    "a web page": (b"HTTP/1.1 400 Bad Request\r\n\r\n" + END, "no frame"),
    "no end mark": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no frame"),
    "another digit": (RIGHT_DATES.replace(b'"2024-01-05"', b'"2024-01-06"'), "check sum"),
    "another check sum": (without_end(RIGHT_DATES)[:-1] + b"x" + END, "check sum"),
    "no check sum": (without_end(RIGHT_DATES).rpartition(b"\x01")[0] + END, "check sum"),
    "a length too large": (longer(RIGHT_DATES, 5), "characters came"),
    "a length too small": (longer(RIGHT_DATES, -5), "characters came"),
    "two frames at once": (RIGHT_DATES + RIGHT_DATES, "bytes follow"),
    "half a frame behind it": (RIGHT_DATES + RIGHT_DATES[:50], "bytes follow"),
    "another type": (plain("36", *HEAD, "1", "2000", ROWS, *DATES.values(), FIELDS), "answer of type 36"),
    "another method": (
        plain("34", "0", "success", "query_all_stock", "anonymous", "1", "2000", ROWS, *DATES.values(), FIELDS),
        "another method",
    ),
    "another page": (plain("34", *HEAD, "2", "2000", ROWS, *DATES.values(), FIELDS), "another page"),
    "another date": (plain("34", *HEAD, "1", "2000", ROWS, "2024-01-02", "2024-01-10", FIELDS), "other arguments"),
    "a part too few": (plain("34", *HEAD, "1", "2000", ROWS, "2024-01-01", FIELDS), "other arguments"),
    "a part too many": (plain("34", *HEAD, "1", "2000", ROWS, *DATES.values(), "more", FIELDS), "other arguments"),
    "no error text": (plain("34", "0"), "no error code"),
    "no UTF-8": (
        (head := b"00.9.00\x0134\x010000000003\xff\xfe\xfd") + f"\x01{zlib.crc32(head)}".encode() + END,
        "no UTF-8",
    ),
}
WRONG_DAYS = {
    "a damaged stream": (RIGHT_DAY[:200] + bytes([RIGHT_DAY[200] ^ 0xFF]) + RIGHT_DAY[201:], "damaged"),
    "a length too large": (
        RIGHT_DAY[:11] + f"{int(RIGHT_DAY[11:21]) + 40:010d}".encode() + RIGHT_DAY[21:],
        "shorter than",
    ),
    "a length too small": (
        RIGHT_DAY[:11] + f"{int(RIGHT_DAY[11:21]) - 4:010d}".encode() + RIGHT_DAY[21:],
        "longer than",
    ),
    "a length beyond all memory": (RIGHT_DAY[:11] + b"9999999999" + RIGHT_DAY[21:], "a length that no answer has"),
    "no end of memory": (RIGHT_DAY[:11] + b"9999999999" + RIGHT_DAY[21:-1], "a length that no answer has"),
    "a stream that does not end": (cut_stream(RIGHT_DAY), "does not end"),
    "another check sum's shape": (compressed("99", "0", "success", digits="12x4"), "longer than"),
    "no zlib stream": (b"00.9.00\x0199\x010000000005hello\x0112\n" + END, "damaged"),
    "a plain answer": (
        plain("34", "0", "success", "query_daily_history_k_AStock", "anonymous", "", ""),
        "answer of type 34",
    ),
    "another by-day method": (answers.daily_of_day([], method="query_daily_history_k_ETF"), "another method"),
    "another compressed type": (answers.factors_of_day([]), "answer of type 9D"),
    "two frames at once": (RIGHT_DAY + RIGHT_DAY, "bytes follow"),
}


@pytest.mark.parametrize(("frame", "sentence"), WRONG_DATES.values(), ids=WRONG_DATES)
def test_a_wrong_plain_frame_is_a_broken_answer_at_once(open_session: OpenSession, frame: bytes, sentence: str) -> None:
    with ScriptedServer({"query_trade_dates": frame}) as far_end:
        session = open_session(far_end)
        started = time.monotonic()
        with pytest.raises(AnswerBroken, match=sentence):
            session.call("query_trade_dates", **DATES)
        assert time.monotonic() - started < 0.6
        assert not session.is_usable


@pytest.mark.parametrize(("frame", "sentence"), WRONG_DAYS.values(), ids=WRONG_DAYS)
def test_a_wrong_compressed_frame_is_a_broken_answer_at_once(
    open_session: OpenSession, frame: bytes, sentence: str
) -> None:
    with ScriptedServer({"query_daily_history_k_AStock": frame}) as far_end:
        session = open_session(far_end)
        started = time.monotonic()
        with pytest.raises(AnswerBroken, match=sentence):
            session.call("query_daily_history_k_AStock", date="2026-02-05")
        assert time.monotonic() - started < 0.6
        assert not session.is_usable


@pytest.mark.parametrize(
    ("echo", "value"), [(0, "sh.600001"), (2, "2010-01-02"), (3, "2024-12-31"), (4, "w"), (5, "2")]
)
def test_bars_of_another_request_are_refused_by_their_echo(open_session: OpenSession, echo: int, value: str) -> None:
    asked = {
        "code": answers.CODE,
        "fields": "date,code,open",
        "start_date": "2010-01-01",
        "end_date": "2025-12-31",
        "frequency": "d",
        "adjustflag": "3",
    }
    echoes = list(asked.values())
    echoes[echo] = value
    head = ("0", "success", "query_history_k_data_plus", "anonymous", "1", "2000")
    rows = record([["2010-01-04", answers.CODE, "1.0"]])
    with ScriptedServer({"query_history_k_data_plus": compressed("96", *head, rows, *echoes)}) as far_end:
        session = open_session(far_end)
        with pytest.raises(AnswerBroken, match="other arguments"):
            session.call("query_history_k_data_plus", **asked)


@pytest.mark.parametrize("drop", [1, 7, 20])
def test_a_frame_that_comes_in_drops_is_the_same_frame(open_session: OpenSession, drop: int) -> None:
    with ScriptedServer(
        {
            "query_daily_history_k_AStock": Sent(RIGHT_DAY, drop=drop),
            "query_trade_dates": Sent(RIGHT_DATES, drop=drop),
        }
    ) as far_end:
        session = open_session(far_end)
        assert session.call("query_daily_history_k_AStock", date="2026-02-05").rows == answers.bars_of_day(30)
        assert len(session.call("query_trade_dates", **DATES).rows) == 10
