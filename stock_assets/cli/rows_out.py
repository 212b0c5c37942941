"""Rows of the store to where a person wants them: the terminal, or a file in one of several forms."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import polars as pl

from stock_assets.cli.session import Session
from stock_assets.domain.errors import InvalidInput

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def output_options(command: CommandT) -> CommandT:
    """Give a command `--format` (its parameter `form`) and `--out`."""
    form = click.option(
        "--format",
        "form",
        type=click.Choice(["table", "json", "csv", "parquet"]),
        help="形式，默认表格，有 --out 时按文件名 | form: a table by default, with --out as the file is named",
    )
    out = click.option(
        "--out",
        type=click.Path(dir_okay=False, path_type=Path),
        help="写入文件（parquet 必需） | file to write, needed for parquet",
    )
    return form(out(command))


def check_output(form: str | None, out: Path | None) -> None:
    """Refuse Parquet on a terminal before anything is read.

    Errors: `InvalidInput`.
    """
    if form == "parquet" and out is None:
        raise InvalidInput(
            problem="parquet needs a file; add --out FILE", problem_zh="parquet 需要文件，请加 --out 文件名"
        )


def give_rows(  # noqa: PLR0913  what, and each way to give it
    session: Session, rows: pl.DataFrame, form: str | None, out: Path | None, *, columns: Sequence[str], title: str
) -> None:
    """Write all columns to `out` or print them in `form`; a table has `columns` only, and no rows print none.

    Errors: `InvalidInput` when the file cannot be written.
    """
    if out is not None:
        _write(session, rows, form or out.suffix.lstrip(".").lower(), out)
    elif form not in (None, "table"):
        session.show(rows, form)
    elif not rows.is_empty():
        session.show(rows.select(columns), "table", title=title)


def write_rows(session: Session, frame: pl.DataFrame, out: Path) -> None:
    """Write all columns to a file in the form that its name says, CSV if it says none.

    Errors: `InvalidInput` when the file cannot be written.
    """
    _write(session, frame, out.suffix.lstrip(".").lower(), out)


def _write(session: Session, frame: pl.DataFrame, form: str, out: Path) -> None:
    """Write a file and say so; a form that is not `parquet` or `json` is CSV."""
    try:
        if form == "parquet":
            frame.write_parquet(out, compression="zstd")
        elif form == "json":
            frame.write_json(out)
        else:
            frame.write_csv(out)
    except OSError as error:
        # polars adds the path.
        reason = str(error).partition(":")[0]
        raise InvalidInput(
            problem=f"{out} cannot be written ({reason}); choose another --out",
            problem_zh=f"无法写入 {out}（{reason}），请换一个 --out",
        ) from error
    session.note(f"已写入 {out}，{frame.height:,} 行", f"{out} written, {frame.height:,} rows")
