"""Digests per month, printed and compared with those of another store."""

from datetime import date
from pathlib import Path

import click
import polars as pl

from stock_assets.cli.exit_codes import DATA_REFUSED
from stock_assets.cli.session import Session
from stock_assets.domain.errors import InvalidInput
from stock_assets.storage.row_digests import DIGESTED, digests


def show_digests(  # noqa: PLR0913  what to digest, and what to do with it
    session: Session, dataset: str, start: date, end: date, form: str, other: Path | None
) -> None:
    """Print the digest of each month of [start, end], or only the months that differ from those in the file `other`.

    Errors: `InvalidInput` for a dataset without digests or a file that holds none. Where months differ the command ends as
    one whose data were refused.
    """
    if dataset not in DIGESTED:
        raise InvalidInput(
            problem=f"{dataset} has no digests; choose --dataset {' or '.join(DIGESTED)}",
            problem_zh=f"{dataset} 没有摘要，请选择 --dataset {' 或 '.join(DIGESTED)}",
        )
    with session.installation.database.read() as conn:
        found = digests(conn, DIGESTED[dataset], start, end)
    shown = found.with_columns(pl.col("first_day").dt.strftime("%Y-%m").alias("month")).select(
        "month", "rows", "digest"
    )
    if other is None:
        session.show(shown, form)
        return
    theirs = _read(other)
    differing = shown.join(theirs, on="month", how="full", coalesce=True, suffix="_there").filter(
        pl.col("digest").ne_missing(pl.col("digest_there"))
    )
    session.show(differing.sort("month"), form)
    if differing.is_empty():
        session.note(f"{shown.height} 个月全部一致", f"all {shown.height} months are the same")
        return
    session.note(f"{differing.height} 个月不一致", f"{differing.height} months differ")
    click.get_current_context().exit(DATA_REFUSED)


def _read(path: Path) -> pl.DataFrame:
    try:
        theirs = pl.read_csv(path, schema_overrides={"month": pl.String, "rows": pl.Int64, "digest": pl.String})
        return theirs.select("month", "rows", "digest")
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InvalidInput(
            problem=f"{path} holds no digests; make it with `stock-assets coverage --digest --format csv > {path.name}`",
            problem_zh=f"{path} 中没有摘要，请用 stock-assets coverage --digest --format csv > {path.name} 生成",
        ) from error
