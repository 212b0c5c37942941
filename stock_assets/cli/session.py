"""What every command shares: the installation, the language, and how things are printed.

Results go to stdout, everything said about the work to stderr. Imports that cost time wait until something needs them:
`--help` must not pay for a database.
"""

import json
import logging
import os
import sys
import traceback
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click
from rich.console import Console

from stock_assets.domain.errors import ConfigurationError, Language, StockAssetsError

if TYPE_CHECKING:
    import polars as pl

    from stock_assets.wiring import Installation

# A pipe has no width: whoever reads it wants whole values.
_PIPE_WIDTH = 400
_TERMINAL_LOG = "stock_assets.terminal"


@dataclass
class Session:
    """One command line call. `installation` is opened on first use and closed at its end."""

    is_debug: bool = False
    console: Console = field(default_factory=lambda: _console(sys.stdout))
    errors: Console = field(default_factory=lambda: _console(sys.stderr))

    @cached_property
    def installation(self) -> "Installation":
        """The installation of this call's settings, its log set up."""
        from stock_assets.wiring import Installation  # noqa: PLC0415  it brings the database's driver

        installation = Installation()
        if installation.settings.database_url is None:
            _make_home(installation.settings.home)
        installation.configure_logging()
        if self.errors.is_terminal and "log_level" not in installation.settings.model_fields_set:
            # A person at a terminal has the progress bar and the summary; the file keeps every line.
            _show_log_from(logging.WARNING)
        click.get_current_context().find_root().call_on_close(installation.close)
        return installation

    @cached_property
    def language(self) -> Language:
        """The language to speak: of the settings, or of the environment where they cannot be read."""
        named = os.environ.get("STOCK_ASSETS_LANGUAGE", "").strip().lower()
        if named in ("zh", "en"):
            return "zh" if named == "zh" else "en"
        from stock_assets.settings import load_settings, preferred_language  # noqa: PLC0415  it brings pydantic

        try:
            return load_settings().language
        except ConfigurationError:
            return preferred_language()

    def say(self, zh: str, en: str) -> str:
        """Return the text in the language of this call."""
        return zh if self.language == "zh" else en

    def tell(self, zh: str, en: str) -> None:
        """Print a line for people; the terminal breaks it where it must."""
        self.console.print(self.say(zh, en), soft_wrap=True)

    def note(self, zh: str, en: str) -> None:
        """Print a line about the work to stderr."""
        self.errors.print(self.say(zh, en), soft_wrap=True, markup=False)

    def complain(self, sentence: str, error: BaseException | None = None) -> None:
        """Print what went wrong to stderr as one sentence, after the traceback of `error` when debugging; no secret."""
        if self.is_debug and error is not None:
            trace = "".join(traceback.format_exception(error))
            self.errors.print(self._masked(trace.rstrip()), soft_wrap=True, markup=False)
        one_line = " ".join(self._masked(sentence).split())
        self.errors.print(one_line, style="red", markup=False, soft_wrap=True)

    def show(self, frame: "pl.DataFrame", form: str, *, title: str | None = None) -> None:
        """Print a frame as a table for people, or as CSV or JSON, with the store's own names, for programs."""
        if form == "csv":
            sys.stdout.write(frame.write_csv())
        elif form == "json":
            rows = json.loads(frame.write_json())
            sys.stdout.write(json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
        else:
            from stock_assets.cli.tables import fitting_table  # noqa: PLC0415  it brings polars

            table, left_out = fitting_table(frame, self.language, width=self.console.width, title=title)
            self.console.print(table)
            self.console.print()
            if left_out:
                self.tell(
                    f"（窗口较窄，未显示 {left_out} 列；加宽窗口或用 --format csv 查看）",
                    f"({left_out} columns do not fit; a wider window or --format csv shows them)",
                )

    def silence_log(self) -> None:
        """Show no more log lines: of work that was told to stop, only the file wants to know how it ended."""
        _show_log_from(logging.CRITICAL + 1)

    def _masked(self, text: str) -> str:
        try:
            from stock_assets.settings import load_settings  # noqa: PLC0415  only needed when something went wrong

            secrets = load_settings().secrets()
        except StockAssetsError:
            secrets = []
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


def _console(stream: TextIO) -> Console:
    return Console(file=stream, highlight=False, width=None if stream.isatty() else _PIPE_WIDTH)


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            problem=f"the folder {home} cannot be made ({error.strerror}); set STOCK_ASSETS_HOME to one that can",
            problem_zh=f"无法创建目录 {home}（{error.strerror}）；请用 STOCK_ASSETS_HOME 换一个目录",
        ) from error


def _show_log_from(level: int) -> None:
    for handler in logging.getLogger().handlers:
        if handler.get_name() == _TERMINAL_LOG:
            handler.setLevel(level)


pass_session = click.make_pass_decorator(Session)
