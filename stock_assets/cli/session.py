"""What every command shares: the installation, the language, and how things are printed."""

import json
import sys
from dataclasses import dataclass, field
from functools import cached_property
from typing import TextIO

import click
import polars as pl
from rich.console import Console
from rich.table import Table

from stock_assets.domain.errors import Language
from stock_assets.settings import preferred_language
from stock_assets.wiring import Installation

_PIPE_WIDTH = 200


@dataclass
class Session:
    """One command line call. `installation` is opened on first use and closed at its end."""

    is_debug: bool = False
    console: Console = field(default_factory=lambda: _console(sys.stdout))
    errors: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))

    @cached_property
    def installation(self) -> Installation:
        """The installation of this call's settings, its log set up."""
        installation = Installation()
        installation.configure_logging()
        click.get_current_context().find_root().call_on_close(installation.close)
        return installation

    @property
    def language(self) -> Language:
        """The language to speak; settings decide once they can be read."""
        return (
            self.__dict__["installation"].settings.language if "installation" in self.__dict__ else preferred_language()
        )

    def say(self, zh: str, en: str) -> str:
        """Return the text in the language of this call."""
        return zh if self.language == "zh" else en

    def tell(self, zh: str, en: str) -> None:
        """Print a line for people."""
        self.console.print(self.say(zh, en))

    def show(self, frame: pl.DataFrame, form: str, *, title: str | None = None) -> None:
        """Print a frame as a table for people, or as CSV or JSON for programs."""
        if form == "csv":
            sys.stdout.write(frame.write_csv())
        elif form == "json":
            rows = json.loads(frame.write_json())
            sys.stdout.write(json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
        else:
            table = table_of(frame, title)
            self.console.print(table)


def _console(stream: TextIO) -> Console:
    # A pipe has no width: whoever reads it wants whole values.
    return Console(file=stream, highlight=False, width=None if stream.isatty() else _PIPE_WIDTH)


def table_of(frame: pl.DataFrame, title: str | None = None) -> Table:
    """Return a frame as a table: numbers to the right, nulls as a dash."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for name, dtype in frame.schema.items():
        table.add_column(name, justify="right" if dtype.is_numeric() else "left", no_wrap=name != "detail")
    for row in frame.iter_rows():
        table.add_row(*map(_cell, row))
    return table


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


pass_session = click.make_pass_decorator(Session)
