from pathlib import Path

import pytest

from stock_assets.simulator.wire import (
    END_MARK,
    SERVER_VERSION,
    Frame,
    WireError,
    decode_request,
    decode_response,
    decode_rows,
    encode_request,
    encode_response,
    encode_rows,
    error_frame,
)


@pytest.fixture(scope="module")
def recorded_frames(recorded_data: Path) -> list[Path]:
    found = sorted(path.parent for path in (recorded_data / "baostock_frames").rglob("response.bin"))
    assert len(found) >= 46
    return found


def test_every_recorded_request_is_read_and_written_byte_for_byte(recorded_frames: list[Path]) -> None:
    for folder in recorded_frames:
        data = (folder / "request.bin").read_bytes()
        assert encode_request(decode_request(data)) == data, folder


def test_every_recorded_answer_is_read_and_written_byte_for_byte(recorded_frames: list[Path]) -> None:
    for folder in recorded_frames:
        data = (folder / "response.bin").read_bytes()
        assert encode_response(decode_response(data)) == data, folder


def test_the_rows_of_every_recorded_answer_are_written_byte_for_byte(recorded_frames: list[Path]) -> None:
    with_rows = 0
    for folder in recorded_frames:
        for part in decode_response((folder / "response.bin").read_bytes()).parts:
            if part.startswith('{"record"'):
                assert encode_rows(decode_rows(part)) == part, folder
                with_rows += 1
    assert with_rows >= 25


def test_no_rows_are_the_empty_string() -> None:
    assert encode_rows([]) == ""
    assert decode_rows("") == []


def test_a_plain_answer_counts_characters_and_a_compressed_one_bytes() -> None:
    plain = encode_response(Frame(SERVER_VERSION, "36", ("0", "浦发银行")))
    assert plain[11:21] == b"0000000006"
    packed = encode_response(Frame(SERVER_VERSION, "99", ("0", "浦发银行")))
    assert int(packed[11:21]) == packed.index(END_MARK) - 21 - len(packed[packed.rindex(b"\x01") : -len(END_MARK)])


def test_one_changed_character_of_a_plain_frame_is_noticed() -> None:
    data = encode_response(error_frame("10004020", "错误的消息类型"))
    with pytest.raises(WireError, match="CRC"):
        decode_response(data.replace(b"10004020", b"10004021"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello\n",
        b"00.9.40\x0133\x01000000000A" + b"x\n",
        encode_request(Frame("00.9.40", "33", ("query_trade_dates", "a")))[:-1],
    ],
)
def test_what_is_not_a_request_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        decode_request(data)


def test_a_broken_stream_is_refused() -> None:
    data = bytearray(encode_response(Frame(SERVER_VERSION, "96", ("0", "success", "x" * 500))))
    data[30] ^= 0xFF
    with pytest.raises(WireError):
        decode_response(bytes(data))
