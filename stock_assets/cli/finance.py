"""The command that shows one stock's finance indicators as they were known on a day."""

from datetime import date, datetime
from pathlib import Path

import click
import polars as pl

from stock_assets.cli.options import CODE, DAY, MOMENT, check_range
from stock_assets.cli.rows_out import check_output, give_rows, output_options
from stock_assets.cli.session import Session, pass_session
from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.errors import InvalidInput
from stock_assets.domain.finance_tables import FINANCE_INDICATOR

# What people ask for first, the last ones first to go where the terminal is narrow; the other formats have every column.
_SHOWN = (
    "end_date", "ann_date", "known_from", "eps", "roe", "or_yoy", "netprofit_yoy", "grossprofit_margin",
    "netprofit_margin", "debt_to_assets", "bps", "ocfps",
)  # fmt: skip
_SHOWN_OF_VERSIONS = (*_SHOWN[:3], "version", "is_chosen", "update_flag", *_SHOWN[3:])


@click.command(
    "finance",
    epilog="例：stock-assets finance 600000 --as-of 2024-04-30 --format csv"
    " | e.g. stock-assets finance 600000 --as-of 2024-04-30 --format csv",
)
@click.argument("code", type=CODE)
@click.option("--start", type=DAY, help="最早报告期，默认全部 | first period, all by default")
@click.option("--end", type=DAY, help="最近报告期，默认全部 | last period, all by default")
@click.option(
    "--as-of",
    type=MOMENT,
    help="只含该日开盘前读者可以知道的内容 | only what a reader could know before the market opened on this day",
)
@click.option(
    "--versions",
    is_flag=True,
    help="列出存储的每一个版本，而非每期最新 | every stored version, not each period's newest",
)
@output_options
@pass_session
def finance_command(  # noqa: PLR0913  one parameter per option
    session: Session,
    code: str,
    start: date | None,
    end: date | None,
    as_of: datetime | None,
    *,
    versions: bool,
    form: str | None,
    out: Path | None,
) -> None:
    """一只证券的财务指标 | one stock's finance indicators.

    表格列出最常用的列，其他形式含全部列；“可用日”是读者可以知道这些值的第一个交易日。
    | The table shows the best known columns, the other formats all of them; "known from" is the first trading day on which
    a reader could know the values.
    """
    check_output(form, out)
    if versions and as_of is not None:
        raise InvalidInput(
            problem="--versions lists all versions, so it takes no --as-of; every row says since when it was known",
            problem_zh="--versions 列出全部版本，不能与 --as-of 同用；每一行都写明可用日",
        )
    if start is not None and end is not None:
        check_range(start, end)
    reader = session.installation.reader()
    if versions:
        rows = pl.DataFrame(reader.arrow(FINANCE_INDICATOR.name, ts_codes=[code], start=start, end=end))
    else:
        rows = reader.finance([code], start, end, as_of=as_of)
    if rows.is_empty():
        _tell_nothing(session, code, as_of)
    title = f"{code} {session.say('财务指标', 'finance indicators')}"
    give_rows(session, rows, form, out, columns=_SHOWN_OF_VERSIONS if versions else _SHOWN, title=title)


def _tell_nothing(session: Session, code: str, as_of: datetime | None) -> None:
    if as_of is None:
        session.note(f"存储中没有 {code} 的财务指标", f"the store has no finance indicators of {code}")
        return
    day = as_of.astimezone(SHANGHAI).date()
    session.note(
        f"{day} 开盘前，存储所知的 {code} 的财务指标一份也没有",
        f"before the market opened on {day} nothing was known of {code} that the store has",
    )
