"""How far a long piece of work has come, as plain lines: one every ten seconds and one at the end of each part."""

import time
from collections.abc import Callable

from stock_assets.domain.errors import Language
from stock_assets.pipeline.context import Counted

_LINE_EVERY_SECONDS = 10.0
USUALLY_COUNTED: Counted = ("次请求", "calls")


class ProgressLines:
    """A `Progress` that writes lines. A load has several parts; each starts at its own first call.

    `counted` names, in both languages, what `done` and `total` count where a call does not say.
    """

    def __init__(self, write: Callable[[str], object], language: Language, *, counted: Counted) -> None:
        self._write = write
        self._is_zh = language == "zh"
        self._usual = self._counted = counted
        self._part_began = self._last_line = time.monotonic()
        self._done: int | None = None

    def __call__(self, *, done: int, total: int, rows: int, label: str, counted: Counted | None = None) -> None:
        """Write that `done` of `total` are finished, when a line is due."""
        now = time.monotonic()
        counted = counted or self._usual
        if self._done is None or done <= self._done or counted != self._counted:
            self._part_began = self._last_line = now
        self._done, self._counted = done, counted
        if done == total or now - self._last_line >= _LINE_EVERY_SECONDS:
            self._last_line = now
            self._write(self._line(done, total, rows, label, now))

    def _line(self, done: int, total: int, rows: int, label: str, now: float) -> str:
        # The first call brought the part's first moment; how long it took itself is not known.
        left = (now - self._part_began) / max(done - 1, 1) * (total - done)
        parts = [f"{done}/{total} {self._counted[0 if self._is_zh else 1]}", f"{done / total:.0%}"]
        parts += [rows_text(rows, is_zh=self._is_zh)] if rows else []
        if done < total:
            parts.append(f"约剩 {_minutes(left)}" if self._is_zh else f"about {_minutes(left)} left")
        return ("，" if self._is_zh else ", ").join([*parts, label])


def rows_text(rows: int, *, is_zh: bool) -> str:
    """Return a number of rows in words; nothing for none."""
    if not rows:
        return ""
    return f"{rows:,} 行" if is_zh else f"{rows:,} rows"


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
