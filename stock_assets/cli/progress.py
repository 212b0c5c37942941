"""How far a long piece of work has come: a bar on a terminal, plain lines elsewhere."""

import os
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from stock_assets.domain.errors import Language
from stock_assets.pipeline.context import Counted

_LINE_EVERY_SECONDS = 10.0
# Date or code, bar, calls, percent, rows and time left of the longest load fit into 80 cells.
_BAR_CELLS = 14


class ProgressDisplay:
    """A context manager that shows progress; called with done, total, rows and label.

    Until the first call a terminal shows that work is being prepared. A load has several parts; each starts at its own
    first call. `counted` names, in both languages, what `done` and `total` count where a call does not say.
    """

    def __init__(self, console: Console, language: Language, *, counted: Counted = ("次请求", "calls")) -> None:
        self._given = console
        self._is_terminal = console.is_terminal
        self._console = _beside_captures(console) if self._is_terminal else console
        self._is_zh = language == "zh"
        self._usual = self._counted = counted
        self._part_began = self._last_line = time.monotonic()
        self._done: int | None = None
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(_BAR_CELLS),
            MofNCompleteColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[rows]}"),
            TextColumn("剩余" if self._is_zh else "left"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._preparing = self._console.status("准备中…" if self._is_zh else "preparing …")
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        """Start showing."""
        if self._is_terminal:
            self._preparing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""
        if self._is_terminal:
            self._preparing.stop()
            self._bar.stop()
            if self._console is not self._given:
                self._console.file.close()

    def __call__(self, *, done: int, total: int, rows: int, label: str, counted: Counted | None = None) -> None:
        """Show that `done` of `total` are finished."""
        now = time.monotonic()
        counted = counted or self._usual
        is_new_part = self._done is None or done <= self._done or counted != self._counted
        self._done, self._counted = done, counted
        if is_new_part:
            self._part_began = self._last_line = now
        rows_text = (f"{rows:,} 行" if self._is_zh else f"{rows:,} rows") if rows else ""
        if self._is_terminal:
            self._show_bar(done, total, rows_text, label, is_new_part=is_new_part)
            return
        if done == total or now - self._last_line >= _LINE_EVERY_SECONDS:
            self._last_line = now
            self._console.print(self._line(done, total, rows_text, label, now), markup=False, soft_wrap=True)

    def _show_bar(self, done: int, total: int, rows_text: str, label: str, *, is_new_part: bool) -> None:
        if self._task is None:
            self._preparing.stop()
            self._task = self._bar.add_task(label, total=total, rows=rows_text)
            self._bar.start()
        elif is_new_part:
            self._bar.reset(self._task, total=total)
        self._bar.update(self._task, completed=done, total=total, description=label, rows=rows_text)

    def _line(self, done: int, total: int, rows_text: str, label: str, now: float) -> str:
        # The first call brought the part's first moment; how long it took itself is not known.
        left = (now - self._part_began) / max(done - 1, 1) * (total - done)
        parts = [f"{done}/{total} {self._counted[0 if self._is_zh else 1]}", f"{done / total:.0%}"]
        parts += [rows_text] if rows_text else []
        if done < total:
            parts.append(f"约剩 {_minutes(left)}" if self._is_zh else f"about {_minutes(left)} left")
        return ("，" if self._is_zh else ", ").join([*parts, label])


def _beside_captures(console: Console) -> Console:
    """Return a console on the same terminal that stays there: Dagster puts a file in stderr's place during a step."""
    try:
        terminal = os.fdopen(os.dup(console.file.fileno()), "w", encoding="utf-8")
    except OSError:
        # Not a file of the system, as in tests.
        return console
    return Console(file=terminal, highlight=False)


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
