"""BaoStock's all-text answers in our names, types and units. The source's own spelling ends here.

BaoStock counts volume in shares, money in CNY and `turn` and `pctChg` in percent, as we do; an empty text means that
there is no value. Whether values are plausible is for quality to judge.
"""

import polars as pl

from stock_assets.domain.codes import is_stock_code
from stock_assets.sources.base import Translated

_STOCK_TYPE = "1"
_STATUS = {"1": "listed", "0": "delisted"}
_NUMBERS = {
    "open": "open",
    "high": "high",
    "low": "low",
    "close": "close",
    "pre_close": "preclose",
    "amount": "amount",
    "turnover_rate": "turn",
    "pct_chg": "pctChg",
    "pe_ttm": "peTTM",
    "pb_mrq": "pbMRQ",
    "ps_ttm": "psTTM",
    "pcf_ncf_ttm": "pcfNcfTTM",
}
_DAILY_ORDER = (
    "ts_code", "trade_date", "open", "high", "low", "close", "pre_close", "volume", "amount", "turnover_rate", "pct_chg",
    "is_suspended", "is_st", "pe_ttm", "pb_mrq", "ps_ttm", "pcf_ncf_ttm", "adjust_flag", "raw_row",
)  # fmt: skip
_CODE = r"^(?:sh|sz|bj)\.\d{6}$"
# A negative volume is a number; that it cannot be is for quality to say.
_WHOLE_NUMBER = r"^(-?\d{1,18})(?:\.0*)?$"


def source_code(ts_code: str) -> str:
    """Return `600000.SH` as BaoStock writes it: `sh.600000`."""
    number, _, exchange = ts_code.partition(".")
    return f"{exchange.lower()}.{number}"


def translate_daily(frame: pl.DataFrame) -> Translated:
    """Return bars in our names and units; `adjust_flag` keeps the source's text for quality to judge ('3' = raw prices).

    A text that is no value of its column gives null and an entry in `unreadable`; an empty text gives null alone.
    """
    sources = {
        "ts_code": "code",
        "trade_date": "date",
        "volume": "volume",
        "is_suspended": "tradestatus",
        "is_st": "isST",
        **_NUMBERS,
    }
    values = frame.with_row_index("raw_row").select(
        _ts_code("code"),
        _day("date").alias("trade_date"),
        *(_number(source).alias(name) for name, source in _NUMBERS.items()),
        pl.col("volume").str.extract(_WHOLE_NUMBER).cast(pl.Int64).alias("volume"),
        _choice("tradestatus", {"0": True, "1": False}).alias("is_suspended"),
        _choice("isST", {"1": True, "0": False}).alias("is_st"),
        pl.col("adjustflag").alias("adjust_flag"),
        pl.col("raw_row").cast(pl.Int64),
    )
    return Translated(values.select(_DAILY_ORDER), _unreadable(frame, values, sources))


def translate_factors(frame: pl.DataFrame) -> Translated:
    """Return ts_code, ex_date and back_adjust_factor (raw price times factor is the back-adjusted price)."""
    values = frame.with_row_index("raw_row").select(
        _ts_code("code"),
        _day("dividOperateDate").alias("ex_date"),
        _number("backAdjustFactor").alias("back_adjust_factor"),
        pl.col("raw_row").cast(pl.Int64),
    )
    sources = {"ts_code": "code", "ex_date": "dividOperateDate", "back_adjust_factor": "backAdjustFactor"}
    return Translated(values, _unreadable(frame, values, sources))


def translate_securities(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the stocks among the securities: ts_code, name, list_date, delist_date, status.

    Indices, funds and bonds are left out. From `delist_date` on a stock no longer trades; null while it is listed.
    """
    stocks = frame.filter(pl.col("type") == _STOCK_TYPE).select(
        _ts_code("code"),
        _present("code_name").alias("name"),
        _day("ipoDate").alias("list_date"),
        _day("outDate").alias("delist_date"),
        _choice("status", _STATUS, pl.String()).alias("status"),
    )
    return stocks.filter([code is not None and is_stock_code(code) for code in stocks["ts_code"]])


def translate_trade_dates(frame: pl.DataFrame) -> pl.DataFrame:
    """Return trade_date and is_open for every calendar day of the answer."""
    return frame.select(
        _day("calendar_date").alias("trade_date"),
        _choice("is_trading_day", {"1": True, "0": False}).alias("is_open"),
    )


def _ts_code(column: str) -> pl.Expr:
    code = pl.col(column)
    turned = pl.concat_str([code.str.slice(3), code.str.slice(0, 2).str.to_uppercase()], separator=".")
    return pl.when(code.str.contains(_CODE)).then(turned).alias("ts_code")


def _day(column: str) -> pl.Expr:
    # The length is checked too: polars reads a month of one digit, and another day may be meant.
    text = pl.col(column)
    return pl.when(text.str.len_bytes() == len("2024-01-02")).then(text.str.to_date("%Y-%m-%d", strict=False))


def _number(column: str) -> pl.Expr:
    value = pl.col(column).cast(pl.Float64, strict=False)
    # polars reads "nan" and "inf" as numbers; no price or ratio is one of them.
    return pl.when(value.is_finite()).then(value)


def _choice(column: str, meanings: dict[str, bool] | dict[str, str], dtype: pl.DataType | None = None) -> pl.Expr:
    return pl.col(column).replace_strict(meanings, default=None, return_dtype=dtype or pl.Boolean())


def _present(column: str) -> pl.Expr:
    return pl.when(pl.col(column) != "").then(pl.col(column))


def _unreadable(frame: pl.DataFrame, values: pl.DataFrame, sources: dict[str, str]) -> tuple[tuple[int, str], ...]:
    """Return (row, column of ours) wherever a text that is not empty gave no value."""
    cells: list[tuple[int, str]] = []
    for name, source in sources.items():
        if values[name].null_count():
            cells += [(row, name) for row in (values[name].is_null() & (frame[source] != "")).arg_true()]
    return tuple(sorted(cells))
