"""One stock's whole history in memory, which answers every question about its bars without the store."""

import threading
from datetime import date
from io import BytesIO

import polars as pl
from cachetools import LRUCache

from stock_assets.domain.adjustment import PRICES, adjust_bars
from stock_assets.storage.bars_question import BarsQuestion

_APPLIED = "adjust_factor"
# Answers that were asked for lately, as a multiple of the bars' own bytes: a fully adjusted history takes a little more.
_ANSWERS = 1.5
# What a frame costs beside its values.
_FRAME_BYTES = 8192


class StockHistory:
    """Bars of one stock by day as they are stored, and its factors, of one state of the store. Threads may share it."""

    def __init__(self, bars: pl.DataFrame, factors: pl.DataFrame) -> None:
        self.bars = bars.rechunk()
        self.factors = factors.sort("ex_date").rechunk()
        self._applied = adjust_bars(self.bars.select("ts_code", "trade_date"), self.factors, "hfq")[_APPLIED]
        self._room = int(self.bars.estimated_size() * _ANSWERS) + 4 * _FRAME_BYTES
        self._answers: LRUCache[BarsQuestion, pl.DataFrame] = LRUCache(self._room, getsizeof=frame_bytes)
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """Return the most that it and its answers take, so that no answer has to be counted later."""
        return frame_bytes(self.bars) + frame_bytes(self.factors) + int(self._applied.estimated_size()) + self._room

    def answer(self, question: BarsQuestion) -> pl.DataFrame:
        """Return what `Reader.bars` returns for this stock, of the state of the store that this history is of.

        The same question has the same frame: hand out a clone.

        Errors: `InvalidInput` for columns that bars do not have.
        """
        # Under the lock, so that a hundred who ask the same of a new history make the answer once.
        with self._lock:
            answer = self._answers.get(question)
            if answer is None:
                answer = self._made(question)
                if frame_bytes(answer) <= self._room:
                    self._answers[question] = answer
        return answer

    def _made(self, question: BarsQuestion) -> pl.DataFrame:
        needed = question.selections()[0].names
        days = self.bars["trade_date"]
        first = 0 if question.start is None else days.search_sorted(question.start, side="left")
        after = days.len() if question.end is None else days.search_sorted(question.end, side="right")
        rows = slice(first, max(first, after))
        bars = self.bars[rows].select(needed)
        if question.adjust == "none" or not question.is_touched:
            return question.answer(bars)
        # What `adjust_bars` does, without looking up again which factor is in force on each day.
        applied = self._applied[rows]
        if question.adjust == "qfq":
            # By a column: polars divides by a number in another way, which gives other last bits.
            applied = applied / pl.repeat(self._in_force(question.anchor), applied.len(), eager=True)
        adjusted = bars.with_columns(applied.alias(_APPLIED)).with_columns(
            pl.col(name) * pl.col(_APPLIED) for name in PRICES if name in needed
        )
        return adjusted.select(question.names)

    def _in_force(self, day: date | None) -> float:
        position = 0 if day is None else self.factors["ex_date"].search_sorted(day, side="right")
        return float(self.factors["back_adjust_factor"][position - 1]) if position else 1.0


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
