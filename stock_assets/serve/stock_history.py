"""One stock's whole history in memory, which answers every question about its bars without the store."""

import threading
from io import BytesIO

import polars as pl
from cachetools import LRUCache

from stock_assets.storage.bars_question import BarsQuestion

# Answers that were asked for lately, as a multiple of the bars' own bytes: a fully adjusted history takes a little more.
_ANSWERS = 1.5
# What a frame costs beside its values.
_FRAME_BYTES = 8192


class StockHistory:
    """Bars of one stock by day as they are stored, and its factors, of one state of the store. Threads may share it."""

    def __init__(self, bars: pl.DataFrame, factors: pl.DataFrame) -> None:
        self.bars = bars.rechunk()
        self.factors = factors.rechunk()
        self._room = int(self.bars.estimated_size() * _ANSWERS) + 4 * _FRAME_BYTES
        self._answers: LRUCache[BarsQuestion, pl.DataFrame] = LRUCache(self._room, getsizeof=frame_bytes)
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """Return the most that it and its answers take, so that no answer has to be counted later."""
        return frame_bytes(self.bars) + frame_bytes(self.factors) + self._room

    def answer(self, question: BarsQuestion) -> pl.DataFrame:
        """Return what `Reader.bars` returns for this stock, of the state of the store that this history is of.

        The same question has the same frame: hand out a clone.

        Errors: `InvalidInput` for columns that bars do not have.
        """
        with self._lock:
            kept = self._answers.get(question)
        if kept is not None:
            return kept
        needed = question.selections()[0].names
        days = self.bars["trade_date"]
        first = 0 if question.start is None else days.search_sorted(question.start, side="left")
        after = days.len() if question.end is None else days.search_sorted(question.end, side="right")
        answer = question.answer(self.bars[first : max(first, after)].select(needed), self.factors)
        if frame_bytes(answer) <= self._room:
            with self._lock:
                self._answers[question] = answer
        return answer


def history_bytes(history: StockHistory) -> int:
    """Return the most that a history takes."""
    return history.bytes


def frame_bytes(frame: pl.DataFrame) -> int:
    """Return what a frame takes."""
    return int(frame.estimated_size()) + _FRAME_BYTES


class FrameBytes:
    """A frame as bytes for other processes: Arrow's stream, compressed; nothing in it can run."""

    def pack(self, value: pl.DataFrame) -> bytes:
        """Return the frame as bytes."""
        target = BytesIO()
        value.write_ipc_stream(target, compression="lz4")
        return target.getvalue()

    def unpack(self, data: bytes) -> pl.DataFrame:
        """Return the frame, the same to the last bit. Errors: polars' own for what is not one."""
        return pl.read_ipc_stream(BytesIO(data))


class HistoryBytes:
    """A history as bytes: its two frames, the length of the first in front."""

    _length = 8
    _frames = FrameBytes()

    def pack(self, value: StockHistory) -> bytes:
        """Return the history as bytes, without its answers."""
        bars = self._frames.pack(value.bars)
        return len(bars).to_bytes(self._length, "big") + bars + self._frames.pack(value.factors)

    def unpack(self, data: bytes) -> StockHistory:
        """Return the history. Errors: polars' own for what is not one."""
        middle = self._length + int.from_bytes(data[: self._length], "big")
        return StockHistory(self._frames.unpack(data[self._length : middle]), self._frames.unpack(data[middle:]))
