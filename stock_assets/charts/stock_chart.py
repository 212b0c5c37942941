"""What the chart of one stock shows, before anybody draws it: the same for a page and for an image."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from stock_assets.charts.style import BLUE, DOWN, INK, ORANGE, PURPLE, UP
from stock_assets.domain.errors import InvalidInput

_SHARES_IN_LOT: Final = 100
_TEN_THOUSAND: Final = 10_000


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a panel: its name, its colour, and one value per session, None where it has not begun."""

    name: str
    colour: str
    values: list[float | None]


@dataclass(frozen=True, slots=True)
class Columns:
    """Upright bars of a panel: one value and one colour per session."""

    name: str
    values: list[float | None]
    colours: list[str]


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel below the candles; `levels` are heights worth a thin line."""

    label: str
    columns: Columns | None
    lines: tuple[Line, ...]
    levels: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class StockChart:
    """One stock's candles and panels; every list has one item per session on which it traded, oldest first."""

    title: str
    note: str
    days: list[date]
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    pct_chg: list[float | None]
    means: tuple[Line, ...]
    panels: tuple[Panel, ...]

    @property
    def is_up(self) -> list[bool]:
        """Whether each candle is drawn as a rise: the close above the open, or level with it on a day that did not fall."""
        return [
            close > open_ or (close == open_ and (pct or 0.0) >= 0)
            for open_, close, pct in zip(self.open, self.close, self.pct_chg, strict=True)
        ]


_MEANS: Final = (("MA5", INK, "ma_5"), ("MA10", ORANGE, "ma_10"), ("MA20", PURPLE, "ma_20"), ("MA60", BLUE, "ma_60"))
_MACD: Final = (("DIF", INK, "dif"), ("DEA", ORANGE, "dea"))
_KDJ: Final = (("K", INK, "kdj_k"), ("D", ORANGE, "kdj_d"), ("J", PURPLE, "kdj_j"))
# The columns that `stock_chart` wants besides those of the bars.
INDICATORS: Final = (*(column for _, _, column in (*_MEANS, *_MACD)), "macd", *(column for _, _, column in _KDJ))


def stock_chart(bars: pl.DataFrame, *, title: str, note: str = "") -> StockChart:
    """Return the chart of one stock's bars.

    `bars` has ts_code, trade_date, open, high, low, close, pre_close, volume (shares), is_suspended and `INDICATORS`, prices
    adjusted as `note` says. Days on which the stock was suspended are left out.

    Errors: `InvalidInput` for bars of several stocks, and for none that traded.
    """
    codes = bars["ts_code"].unique().sort().to_list()
    if len(codes) > 1:
        raise InvalidInput(
            problem=f"a chart shows one stock, not {len(codes)} ({', '.join(codes[:3])})",
            problem_zh=f"一张图只画一只证券，不能画 {len(codes)} 只（{'、'.join(codes[:3])}）",
        )
    has_prices = pl.all_horizontal(pl.col(name).is_not_null() for name in ("open", "high", "low", "close"))
    traded = bars.filter(~pl.col("is_suspended") & has_prices).sort("trade_date")
    if traded.is_empty():
        raise InvalidInput(
            problem="there is no day to draw: no bar, or suspended on all of them",
            problem_zh="没有可画的交易日：没有行情，或全部停牌",
        )
    changes = traded.select((pl.col("close") / pl.col("pre_close") - 1) * 100).to_series()
    without_volume = StockChart(
        title=title,
        note=note,
        days=traded["trade_date"].to_list(),
        open=traded["open"].to_list(),
        high=traded["high"].to_list(),
        low=traded["low"].to_list(),
        close=traded["close"].to_list(),
        pct_chg=changes.to_list(),
        means=_lines(traded, _MEANS),
        panels=(),
    )
    return _with_panels(without_volume, traded)


def _with_panels(chart: StockChart, traded: pl.DataFrame) -> StockChart:
    colours = [UP if is_up else DOWN for is_up in chart.is_up]
    unit, lots = _lots(traded["volume"])
    bars: list[float | None] = traded["macd"].to_list()
    signs = [UP if (bar or 0.0) >= 0 else DOWN for bar in bars]
    panels = (
        Panel(f"成交量 Volume（{unit}）", Columns("VOL", lots, colours), ()),
        Panel("MACD(12,26,9)", Columns("MACD", bars, signs), _lines(traded, _MACD), (0.0,)),
        Panel("KDJ(9,3,3)", None, _lines(traded, _KDJ), (20.0, 80.0)),
    )
    return StockChart(
        chart.title, chart.note, chart.days, chart.open, chart.high, chart.low, chart.close, chart.pct_chg, chart.means,
        panels,
    )  # fmt: skip


def _lines(traded: pl.DataFrame, wanted: Sequence[tuple[str, str, str]]) -> tuple[Line, ...]:
    return tuple(Line(name, colour, traded[column].to_list()) for name, colour, column in wanted)


def _lots(volume: pl.Series) -> tuple[str, list[float | None]]:
    """Return the volume in the unit that gives readable numbers, and its name: lots of 100 shares, or 10,000 of them."""
    lots = volume.cast(pl.Float64) / _SHARES_IN_LOT
    most = lots.max()
    if isinstance(most, float) and most >= _TEN_THOUSAND:
        return "万手 1,000,000 shares", (lots / _TEN_THOUSAND).to_list()
    return "手 100 shares", lots.to_list()
