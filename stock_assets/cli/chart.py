"""The chart that `bars --chart` draws: a page to move in, or an image."""

from datetime import date, timedelta
from pathlib import Path
from typing import Final

import click
import polars as pl

from stock_assets.cli.session import Session
from stock_assets.domain.calendar import TradingCalendar
from stock_assets.domain.errors import InvalidInput

# Sessions read before the first one that is drawn: the longest average of a chart needs 59, and what a smoothed line
# still remembers of its beginning after so many is less than a millionth of a price.
_WARM_UP: Final = 250
PAGES = (".html", ".htm")
_IMAGES = (".png",)

chart_option = click.option(
    "--chart",
    type=click.Path(dir_okay=False, path_type=Path),
    help="画 K 线图（成交量、均线、MACD、KDJ）：.html 可缩放的网页，.png 图片"
    " | draw candles, volume, averages, MACD, KDJ: .html is a page to zoom in, .png an image",
)


def check_chart(path: Path | None) -> None:
    """Refuse a name that says of no kind of chart, before anything is read.

    Errors: `InvalidInput`.
    """
    if path is not None and path.suffix.lower() not in (*PAGES, *_IMAGES):
        raise InvalidInput(
            problem=f"{path.name} is neither a page nor an image; name the chart like {path.stem}.html or {path.stem}.png",
            problem_zh=f"{path.name} 既不是网页也不是图片，请写成 {path.stem}.html 或 {path.stem}.png",
        )


def warm_up_from(calendar: TradingCalendar, first: date) -> date:
    """Return the day from which bars are read so that the lines are right on `first`."""
    earlier = calendar.between(first - timedelta(days=2 * _WARM_UP), first - timedelta(days=1))
    return earlier[-_WARM_UP:][0] if earlier else first


def draw_chart(  # noqa: PLR0913  what, and how it is named
    session: Session, rows: pl.DataFrame, first: date, path: Path, *, title: str, note: str
) -> None:
    """Write the chart of `rows` from `first` on, and say so; earlier rows only give the lines their beginning.

    Errors: `InvalidInput` when no day can be drawn or the file cannot be written.
    """
    # Libraries that draw take as long to import as all the rest.
    from stock_assets.charts.stock_chart import INDICATORS, stock_chart  # noqa: PLC0415
    from stock_assets.indicators.frames import with_technicals  # noqa: PLC0415

    drawn = with_technicals(rows, INDICATORS).filter(pl.col("trade_date") >= first)
    chart = stock_chart(drawn, title=title, note=note)
    if path.suffix.lower() in PAGES:
        from stock_assets.charts.chart_page import chart_page  # noqa: PLC0415

        content = chart_page(chart).encode()
    else:
        from stock_assets.charts.chart_image import chart_png  # noqa: PLC0415

        content = chart_png(chart)
    write_chart(session, path, content, len(chart.days))


def write_chart(session: Session, path: Path, content: bytes, sessions: int) -> None:
    """Write a drawn chart, and say of how many sessions it is.

    Errors: `InvalidInput` when the file cannot be written.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise InvalidInput(
            problem=f"{path} cannot be written ({error.strerror}); choose another --chart",
            problem_zh=f"无法写入 {path}（{error.strerror}），请换一个 --chart",
        ) from error
    session.note(f"已画出 {path}，{sessions:,} 个交易日", f"{path} drawn, {sessions:,} trading days")
