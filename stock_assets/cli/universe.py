"""The command that says which stocks there were on a day."""

from datetime import date
from pathlib import Path

import click

from stock_assets.cli.options import DAY
from stock_assets.cli.rows_out import check_output, give_rows, output_options
from stock_assets.cli.session import Session, pass_session

_SHOWN = ("ts_code", "name", "board", "list_date", "delist_date", "is_suspended", "is_st", "security_code")
# A screenful; the other forms have all of the market.
_SHOWN_ROWS = 40


@click.command(
    "universe",
    epilog="例：stock-assets universe --date 2018-12-25 --out universe.csv"
    " | e.g. stock-assets universe --date 2018-12-25 --out universe.csv",
)
@click.option("--date", "day", type=DAY, help="日期，默认最近的交易日 | day, the newest trading day by default")
@output_options
@pass_session
def universe_command(session: Session, day: date | None, form: str | None, out: Path | None) -> None:
    """某日上市的全部证券 | the stocks listed on a day.

    含此后退市的，每只证券一行，带当日的 ST 与停牌标志。 | Those that left since included, each once, with the day's flags.
    """
    check_output(form, out)
    installation = session.installation
    chosen = day or installation.last_final()
    rows = installation.reader().universe(chosen)
    if rows.is_empty():
        session.note(
            f"存储中没有 {chosen} 上市的证券；请先装载，例如 stock-assets nightly",
            f"the store knows no stock listed on {chosen}; load first, for example with `stock-assets nightly`",
        )
        return
    if out is None and form in (None, "table"):
        with_bar = rows.height - rows["is_st"].null_count()
        session.tell(
            f"{chosen} 上市 {rows.height:,} 只，其中 ST {rows['is_st'].sum()} 只、停牌 {rows['is_suspended'].sum()} 只"
            f"（当日有行情的 {with_bar:,} 只）",
            f"{rows.height:,} stocks listed on {chosen}, of which {rows['is_st'].sum()} ST and {rows['is_suspended'].sum()} "
            f"suspended ({with_bar:,} have a bar of the day)",
        )
        give_rows(session, rows.head(_SHOWN_ROWS), form, out, columns=_SHOWN, title=str(chosen))
        if rows.height > _SHOWN_ROWS:
            rest = rows.height - _SHOWN_ROWS
            session.tell(
                f"另有 {rest:,} 只，用 --format csv 查看全部", f"{rest:,} more; see them all with --format csv"
            )
        return
    give_rows(session, rows, form, out, columns=_SHOWN, title=str(chosen))
