"""Tushare's all-text answers in our names, types and units. The source's own spelling ends here.

Tushare counts volume in lots of 100 shares, turnover money in thousands of CNY, shares and market values in ten
thousands; prices, factors and percentages as we do. Units are changed by shifting the decimal point of the text, so that
nothing is rounded on the way. A null or an empty text means that there is no value. Whether values are plausible is for
quality to judge.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

import polars as pl

from stock_assets.domain.codes import is_stock_code
from stock_assets.sources.base import Translated

_HUNDREDS: Final = 2
_THOUSANDS: Final = 3
_TEN_THOUSANDS: Final = 4
_PRICES: Final = {name: name for name in ("open", "high", "low", "close", "pre_close", "pct_chg")}
_DAILY_ORDER: Final = (
    "ts_code", "trade_date", "open", "high", "low", "close", "pre_close", "volume", "amount", "turnover_rate", "pct_chg",
    "is_suspended", "is_st", "pe_ttm", "pb_mrq", "ps_ttm", "pcf_ncf_ttm", "adjust_flag", "raw_row",
)  # fmt: skip
_RATIOS: Final = {"turnover_rate": "turnover_rate", "pe_ttm": "pe_ttm", "pb_mrq": "pb", "ps_ttm": "ps_ttm"}
_MARKET_VALUES: Final = {
    "total_shares": "total_share",
    "float_shares": "float_share",
    "free_shares": "free_share",
    "total_market_value": "total_mv",
    "float_market_value": "circ_mv",
}
_RAW_PRICES: Final = "3"
_STATUS: Final = {"L": "listed", "P": "listed", "D": "delisted"}
_CODE: Final = r"^\d{6}\.(?:SH|SZ|BJ)$"
_MOST_DIGITS: Final = 18


def translate_daily(frame: pl.DataFrame) -> Translated:
    """Return bars in our names and units, with the columns that a BaoStock bar has.

    Tushare has bars of stocks that traded alone, so `is_suspended` is false. What its daily does not say is null:
    `is_st`, and what `translate_daily_basic` has. `adjust_flag` is '3', raw prices, as for every source.
    A text that is no value of its column gives null and an entry in `unreadable`; no text gives null alone.
    """
    sources = {"ts_code": "ts_code", "trade_date": "trade_date", "volume": "vol", "amount": "amount", **_PRICES}
    values = frame.with_row_index("raw_row").select(
        _ts_code(),
        _day("trade_date"),
        *(_number(source).alias(name) for name, source in _PRICES.items()),
        _shifted_whole(frame["vol"], _HUNDREDS).alias("volume"),
        _shifted(frame["amount"], _THOUSANDS).alias("amount"),
        *(pl.lit(None, pl.Float64()).alias(name) for name in (*_RATIOS, "pcf_ncf_ttm")),
        pl.lit(value=False).alias("is_suspended"),
        pl.lit(None, pl.Boolean()).alias("is_st"),
        pl.lit(_RAW_PRICES).alias("adjust_flag"),
        pl.col("raw_row").cast(pl.Int64),
    )
    return Translated(values.select(_DAILY_ORDER), _unreadable(frame, values, sources))


def translate_daily_basic(frame: pl.DataFrame) -> Translated:
    """Return what belongs to a bar and is in no bar: turnover rate (%), valuations (ratios), shares and values (CNY).

    Columns ts_code, trade_date, turnover_rate, pe_ttm, pb_mrq, ps_ttm, total_shares, float_shares, free_shares,
    total_market_value, float_market_value. A loss has no pe_ttm.
    """
    sources = {"ts_code": "ts_code", "trade_date": "trade_date", **_RATIOS, **_MARKET_VALUES}
    values = frame.with_row_index("raw_row").select(
        _ts_code(),
        _day("trade_date"),
        *(_number(source).alias(name) for name, source in _RATIOS.items()),
        *(_shifted(frame[source], _TEN_THOUSANDS).alias(name) for name, source in _MARKET_VALUES.items()),
        pl.col("raw_row").cast(pl.Int64),
    )
    return Translated(values, _unreadable(frame, values, sources))


def translate_adj_factor(frame: pl.DataFrame) -> Translated:
    """Return ts_code, trade_date and back_adjust_factor (raw price times factor is the back-adjusted price).

    One row for each session, halted ones included; the factor begins at 1 on the first trading day.
    """
    sources = {"ts_code": "ts_code", "trade_date": "trade_date", "back_adjust_factor": "adj_factor"}
    values = frame.with_row_index("raw_row").select(
        _ts_code(),
        _day("trade_date"),
        _number("adj_factor").alias("back_adjust_factor"),
        pl.col("raw_row").cast(pl.Int64),
    )
    return Translated(values, _unreadable(frame, values, sources))


def translate_suspend_d(frame: pl.DataFrame) -> Translated:
    """Return ts_code, trade_date, is_suspended (false on the day of the return) and is_whole_day.

    A suspension with hours, kept in `hours`, is of a part of the session: such a stock has a bar.
    """
    sources = {"ts_code": "ts_code", "trade_date": "trade_date", "is_suspended": "suspend_type"}
    hours = _present("suspend_timing")
    is_suspended = pl.col("suspend_type").replace_strict(
        {"S": True, "R": False}, default=None, return_dtype=pl.Boolean()
    )
    values = frame.with_row_index("raw_row").select(
        _ts_code(),
        _day("trade_date"),
        is_suspended.alias("is_suspended"),
        (is_suspended & hours.is_null()).alias("is_whole_day"),
        hours.alias("hours"),
        pl.col("raw_row").cast(pl.Int64),
    )
    return Translated(values, _unreadable(frame, values, sources))


def translate_stock_basic(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the stocks: ts_code, name, list_date, delist_date, status.

    Codes that no exchange's numbering knows are left out. From `delist_date` on a stock no longer trades; null while it
    is listed. The name is today's, with the mark of a stock that has left, `(退)`, taken off.
    """
    stocks = frame.select(
        _ts_code(),
        _present("name").str.strip_suffix("(退)").alias("name"),
        _day("list_date"),
        _day("delist_date"),
        pl.col("list_status").replace_strict(_STATUS, default=None, return_dtype=pl.String()).alias("status"),
    )
    return stocks.filter([code is not None and is_stock_code(code) for code in stocks["ts_code"]])


def translate_trade_cal(frame: pl.DataFrame) -> pl.DataFrame:
    """Return trade_date and is_open for every calendar day of the answer, oldest first."""
    return frame.select(
        _day("cal_date").alias("trade_date"),
        pl.col("is_open")
        .replace_strict({"1": True, "0": False}, default=None, return_dtype=pl.Boolean())
        .alias("is_open"),
    ).sort("trade_date")


def _ts_code() -> pl.Expr:
    code = pl.col("ts_code")
    return pl.when(code.str.contains(_CODE)).then(code).alias("ts_code")


def _day(column: str) -> pl.Expr:
    # The length is checked too: polars reads a month of one digit, and another day may be meant.
    text = pl.col(column)
    return pl.when(text.str.len_bytes() == len("20240102")).then(text.str.to_date("%Y%m%d", strict=False)).alias(column)


def _number(column: str) -> pl.Expr:
    value = pl.col(column).cast(pl.Float64, strict=False)
    # polars reads "NaN" and "inf" as numbers; no price or ratio is one of them.
    return pl.when(value.is_finite()).then(value)


def _present(column: str) -> pl.Expr:
    return pl.when(pl.col(column) != "").then(pl.col(column))


def _shifted(texts: pl.Series, places: int) -> pl.Series:
    """Return the numbers of the texts with the decimal point moved to the right, each the nearest that there is."""
    exact = (_decimal(text) for text in texts)
    return pl.Series([None if value is None else float(value.scaleb(places)) for value in exact], dtype=pl.Float64())


def _shifted_whole(texts: pl.Series, places: int) -> pl.Series:
    """Return the same as integers; what is not whole then, or too large, gives null."""
    whole: list[int | None] = []
    for text in texts:
        value = _decimal(text)
        moved = None if value is None else value.scaleb(places)
        fits = moved is not None and moved == moved.to_integral_value() and moved.adjusted() < _MOST_DIGITS
        whole.append(int(moved) if moved is not None and fits else None)
    return pl.Series(whole, dtype=pl.Int64())


def _decimal(text: str | None) -> Decimal | None:
    try:
        value = Decimal(text) if text else None
    except InvalidOperation:
        return None
    return value if value is not None and value.is_finite() and abs(value.adjusted()) < _MOST_DIGITS else None


def _unreadable(frame: pl.DataFrame, values: pl.DataFrame, sources: Mapping[str, str]) -> tuple[tuple[int, str], ...]:
    """Return (row, column of ours) wherever a text that is not empty gave no value."""
    cells: list[tuple[int, str]] = []
    for name, source in sources.items():
        if values[name].null_count():
            said = frame[source].is_not_null() & (frame[source] != "")
            cells += [(row, name) for row in (values[name].is_null() & said).arg_true()]
    return tuple(sorted(cells))
