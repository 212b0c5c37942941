"""What a stock's chart shows, whoever draws it."""

from datetime import date

import polars as pl
import pytest

from stock_assets.charts.stock_chart import stock_chart
from stock_assets.charts.style import DOWN, UP
from stock_assets.domain.errors import InvalidInput
from stock_assets_tests.charts.made_up_stock import made_up_bars


def test_a_suspended_day_is_no_place_on_the_axis() -> None:
    bars = made_up_bars(10, suspended=(3, 4))
    chart = stock_chart(bars, title="")
    assert chart.days == bars.filter(~pl.col("is_suspended"))["trade_date"].to_list()
    lengths = {len(chart.open), len(chart.close), len(chart.means[0].values), len(chart.panels[2].lines[0].values)}
    assert lengths == {8}


def test_days_are_in_order_however_they_came() -> None:
    chart = stock_chart(made_up_bars(10).reverse(), title="")
    assert chart.days == sorted(chart.days)


def test_a_rise_is_red_and_a_fall_green() -> None:
    bars = made_up_bars(4).with_columns(
        open=pl.Series([10.0, 10.0, 10.0, 10.0]),
        close=pl.Series([10.1, 9.9, 10.0, 10.0]),
        pre_close=pl.Series([10.0, 10.0, 10.0, 11.0]),
    )
    chart = stock_chart(bars, title="")
    # Level with its open, a candle is red when the day itself did not fall.
    assert chart.is_up == [True, False, True, False]
    volume = chart.panels[0].columns
    assert volume is not None
    assert volume.colours == [UP, DOWN, UP, DOWN]
    macd = chart.panels[1].columns
    assert macd is not None
    assert macd.colours == [DOWN, UP, UP, DOWN]


def test_volume_is_in_lots_or_in_ten_thousands_of_them() -> None:
    many = stock_chart(made_up_bars(3), title="").panels[0]
    assert (many.label, many.columns and many.columns.values[0]) == ("成交量 Volume（万手 1,000,000 shares）", 1.5)
    few = stock_chart(made_up_bars(3).with_columns(volume=pl.Series([200, None, 400])), title="").panels[0]
    assert (few.label, few.columns and few.columns.values) == ("成交量 Volume（手 100 shares）", [2.0, None, 4.0])


def test_a_chart_of_several_stocks_or_of_no_traded_day_is_refused() -> None:
    two = pl.concat([made_up_bars(3), made_up_bars(3, code="000001.SZ")])
    with pytest.raises(InvalidInput, match="one stock, not 2"):
        stock_chart(two, title="")
    with pytest.raises(InvalidInput, match="no day to draw"):
        stock_chart(made_up_bars(2, suspended=(0, 1)), title="")
    with pytest.raises(InvalidInput, match="no day to draw"):
        stock_chart(made_up_bars(2).clear(), title="")


def test_the_first_day_of_a_stock_has_no_change_but_a_candle() -> None:
    bars = made_up_bars(2).with_columns(pre_close=pl.Series([None, 10.0], dtype=pl.Float64))
    chart = stock_chart(bars, title="")
    assert chart.pct_chg[0] is None
    assert chart.days[0] == date(2026, 1, 5)
