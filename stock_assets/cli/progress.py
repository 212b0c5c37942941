"""How far a long piece of work has come: a bar on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_LINE_EVERY_SECONDS = 10.0


class ProgressDisplay:
    """A context manager that shows progress; called with done, total, rows and label."""

    def __init__(self, console: Console, *, unit: str, rows_word: str) -> None:
        self._console = console
        self._rows_word = rows_word
        self._unit = unit
        self._last_line = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[rows]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = None

    def __enter__(self) -> Self:
        """Start showing."""
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""
        if self._console.is_terminal:
            self._bar.stop()

    def __call__(self, *, done: int, total: int, rows: int, label: str) -> None:
        """Show that `done` of `total` are finished."""
        if self._console.is_terminal:
            rows_text = f"{rows:,} {self._rows_word}"
            if self._task is None:
                self._task = self._bar.add_task(label, total=total, rows=rows_text)
            self._bar.update(self._task, completed=done, total=total, description=label, rows=rows_text)
            return
        now = time.monotonic()
        if done == total or now - self._last_line >= _LINE_EVERY_SECONDS:
            self._last_line = now
            self._console.print(
                f"{done}/{total} {self._unit} ({done / total:.0%}), {rows:,} {self._rows_word}, {label}"
            )
