"""How far a long piece of work has come: a bar on a terminal, plain lines elsewhere."""

import os
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from stock_assets.domain.errors import Language
from stock_assets.pipeline.context import Counted
from stock_assets.pipeline.progress_lines import USUALLY_COUNTED, ProgressLines, rows_text

# Date or code, bar, calls, percent, rows and time left of the longest load fit into 80 cells.
_BAR_CELLS = 14


class ProgressDisplay:
    """A context manager that shows progress; called with done, total, rows and label.

    Until the first call a terminal shows that work is being prepared. A load has several parts; each starts at its own
    first call. `counted` names, in both languages, what `done` and `total` count where a call does not say.
    """

    def __init__(self, console: Console, language: Language, *, counted: Counted = USUALLY_COUNTED) -> None:
        self._given = console
        self._is_terminal = console.is_terminal
        self._console = _beside_captures(console) if self._is_terminal else console
        self._is_zh = language == "zh"
        self._usual = self._counted = counted
        self._done: int | None = None
        self._lines = ProgressLines(self._print, language, counted=counted)
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
        if not self._is_terminal:
            self._lines(done=done, total=total, rows=rows, label=label, counted=counted)
            return
        counted = counted or self._usual
        is_new_part = self._done is None or done <= self._done or counted != self._counted
        self._done, self._counted = done, counted
        self._show_bar(done, total, rows_text(rows, is_zh=self._is_zh), label, is_new_part=is_new_part)

    def _show_bar(self, done: int, total: int, rows_text: str, label: str, *, is_new_part: bool) -> None:
        if self._task is None:
            self._preparing.stop()
            self._task = self._bar.add_task(label, total=total, rows=rows_text)
            self._bar.start()
        elif is_new_part:
            self._bar.reset(self._task, total=total)
        self._bar.update(self._task, completed=done, total=total, description=label, rows=rows_text)

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)


def _beside_captures(console: Console) -> Console:
    """Return a console on the same terminal that stays there: Dagster puts a file in stderr's place during a step."""
    try:
        terminal = os.fdopen(os.dup(console.file.fileno()), "w", encoding="utf-8")
    except OSError:
        # Not a file of the system, as in tests.
        return console
    return Console(file=terminal, highlight=False)
