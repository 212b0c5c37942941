"""The command that writes a table to Parquet files."""

from datetime import date
from pathlib import Path

import click

from stock_assets.cli.options import CODES, DAY, check_range
from stock_assets.cli.progress import ProgressDisplay
from stock_assets.cli.session import Session, pass_session
from stock_assets.domain.errors import InvalidInput
from stock_assets.storage.export import ExportedFile, export_table
from stock_assets.storage.selection import Selection, table_named
from stock_assets.storage.tables import TABLES

_MB = 1_000_000


@click.command(
    "export",
    epilog="例：stock-assets export --table stock_daily --start 2020-01-01 --out data"
    " | e.g. stock-assets export --table stock_daily --start 2020-01-01 --out data",
)
@click.option(
    "--table",
    "name",
    type=click.Choice([table.name for table in TABLES]),
    required=True,
    metavar="TABLE",
    help="数据表，如 stock_daily | table, such as stock_daily",
)
@click.option("--start", type=DAY, help="起始日，默认最早 | first day, the oldest by default")
@click.option("--end", type=DAY, help="截止日，默认最近 | last day, the newest by default")
@click.option("--codes", type=CODES, help="只导出这些证券，逗号分隔 | these stocks only, separated by commas")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="目标文件夹 | folder to write to",
)
@pass_session
def export_command(  # noqa: PLR0913  one parameter per option
    session: Session, name: str, start: date | None, end: date | None, codes: list[str] | None, out: Path
) -> None:
    """导出为 Parquet，每年一个文件 | write a table to Parquet, one file a year.

    文件为 OUT/TABLE/TABLE-2026.parquet：zstd 压缩，按主键排序；没有日期列的表为一个文件。
    DuckDB 用 read_parquet('OUT/TABLE/**/*.parquet')，polars 用 scan_parquet('OUT/TABLE/**/*.parquet')，直接打开。
    | Files are OUT/TABLE/TABLE-2026.parquet, compressed with zstd and sorted by key; a table without days is one file.
    DuckDB's read_parquet('OUT/TABLE/**/*.parquet') and polars' scan_parquet('OUT/TABLE/**/*.parquet') open them as
    they are.

    再次运行会替换同一年份的文件，只含本次选择的行；中途停止则原有文件不变。
    | Running it again replaces the files of the same years, with the rows chosen this time; stopped half way, it leaves
    the files as they were.
    """
    if start is not None and end is not None:
        check_range(start, end)
    selection = Selection(table_named(name), ts_codes=codes, start=start, end=end)
    reader = session.installation.reader()
    try:
        with ProgressDisplay(session.errors, session.language, counted=("行", "rows")) as show:
            files = export_table(
                reader,
                selection,
                out,
                progress=lambda done, total, file: show(done=done, total=total, rows=0, label=file),
            )
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidInput(
            problem=f"{out} cannot be written ({reason}); choose another --out",
            problem_zh=f"无法写入 {out}（{reason}），请换一个 --out",
        ) from error
    _tell(session, name, out, files)


def _tell(session: Session, name: str, out: Path, files: list[ExportedFile]) -> None:
    if not files:
        session.note(f"{name} 没有所选的行，未写入文件", f"{name} has no such rows; nothing was written")
        return
    rows, size = sum(file.rows for file in files), sum(file.size for file in files) / _MB
    session.tell(
        f"已写入 {out / name}：{len(files)} 个文件，{rows:,} 行，{size:,.1f} MB",
        f"{out / name} written: {len(files)} files, {rows:,} rows, {size:,.1f} MB",
    )
