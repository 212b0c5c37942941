"""One answer out of what several interfaces said of the same days, and back.

Every cell stays the text that was sent; its column carries the interface's name in front: `daily.close`. A row has the
bar of a stock-day with its valuations, or valuations alone, or one line of `suspend_d`. Of the latter, `last_close` marks
the one that stands for a bar: a stock that is suspended and has none.
"""

from collections.abc import Collection
from datetime import date
from typing import Final

import polars as pl

from stock_assets.domain.contract import Table
from stock_assets.domain.tables import (
    RAW_TUSHARE_ADJ_FACTOR,
    RAW_TUSHARE_DAILY,
    RAW_TUSHARE_DAILY_BASIC,
    RAW_TUSHARE_SUSPEND,
    day_text,
)
from stock_assets.sources.base import Translated
from stock_assets.sources.tushare.interfaces import ADJ_FACTOR, DAILY, DAILY_BASIC, SUSPEND_D, Interface
from stock_assets.sources.tushare.translate import translate_adj_factor, translate_daily, translate_daily_basic

KEY: Final = ("ts_code", "trade_date")
_RAW: Final = ((DAILY, RAW_TUSHARE_DAILY), (DAILY_BASIC, RAW_TUSHARE_DAILY_BASIC), (SUSPEND_D, RAW_TUSHARE_SUSPEND))
_OURS: Final = ("name", "last_close")
_SUSPENDED: Final = "S"
_BASIC: Final = ("turnover_rate", "pe_ttm", "pb_mrq", "ps_ttm")
_FACTOR_BEFORE: Final = "factor_before"
# A factor begins at 1 on the first trading day.
_FIRST_FACTOR: Final = 1.0


def empty_bars() -> pl.DataFrame:
    """Return an answer about bars without rows."""
    names = [*KEY, *(_inside(api, field) for api, _ in _RAW for field in api.fields), *_OURS]
    return pl.DataFrame(schema=dict.fromkeys(names, pl.String()))


def join_bars(daily: pl.DataFrame, basic: pl.DataFrame, suspensions: pl.DataFrame, names: pl.DataFrame) -> pl.DataFrame:
    """Return one answer of the rows of three interfaces; `names` has ts_code and name of every stock that is known.

    `last_close` is still null.
    """
    parts = [
        frame.select(*KEY, pl.all().name.prefix(f"{api.name}."))
        for (api, _), frame in zip(_RAW, (daily, basic, suspensions), strict=True)
    ]
    traded = parts[0].join(parts[1], on=KEY, how="full", coalesce=True, maintain_order="left_right")
    rows = pl.concat([traded, parts[2]], how="diagonal").join(
        names.select("ts_code", "name"), on="ts_code", how="left", maintain_order="left"
    )
    return rows.with_columns(pl.lit(None, pl.String()).alias("last_close")).select(empty_bars().columns)


def without_bar(joined: pl.DataFrame) -> pl.DataFrame:
    """Return ts_code, trade_date and `row` of the suspensions of known stocks on days of which there is no bar.

    Also a suspension of some hours: where there is no bar, nothing traded in the others.
    """
    rows = joined.with_row_index("row")
    traded = rows.filter(pl.col(_inside(DAILY, "ts_code")).is_not_null())
    suspended = rows.filter((pl.col(_inside(SUSPEND_D, "suspend_type")) == _SUSPENDED) & pl.col("name").is_not_null())
    return suspended.join(traded, on=KEY, how="anti").unique(KEY, keep="first", maintain_order=True).select(*KEY, "row")


def with_last_closes(joined: pl.DataFrame, closes: pl.DataFrame) -> pl.DataFrame:
    """Return the answer with the last closes of what `without_bar` named: `row` and `last_close`, null where unknown."""
    numbered = joined.with_row_index("row").drop("last_close")
    return numbered.join(closes.select("row", "last_close"), on="row", how="left", maintain_order="left").select(
        joined.columns
    )


def raw_bars(joined: pl.DataFrame) -> list[tuple[Table, pl.DataFrame]]:
    """Return the raw tables with their rows as each interface sent them."""
    parts = [(table, _part(joined, api)) for api, table in _RAW]
    # A key cannot be null, and a suspension of the whole session has no hours.
    return [
        (table, frame.with_columns(pl.col("suspend_timing").fill_null("")) if table is RAW_TUSHARE_SUSPEND else frame)
        for table, frame in parts
    ]


def translate_bars(joined: pl.DataFrame) -> Translated:
    """Return bars in our names and units; rows of the answer that are no bar are left out.

    A suspended stock has its last close as every price and no volume, as BaoStock writes it today. `is_st` is read off
    the name of today: true for days since the name last changed, a guess for older ones.
    """
    position = joined.with_row_index("row").select(pl.col("row").cast(pl.Int64), *KEY, "name", "last_close")
    traded = joined[_inside(DAILY, "ts_code")].is_not_null()
    bars, unreadable = _at(translate_daily(_part(joined, DAILY)), position.filter(traded)["row"])
    has_basic = joined[_inside(DAILY_BASIC, "ts_code")].is_not_null()
    basic, of_basic = _at(translate_daily_basic(_part(joined, DAILY_BASIC)), position.filter(has_basic)["row"])
    bars = bars.drop(_BASIC).join(basic.select("raw_row", *_BASIC), on="raw_row", how="left", maintain_order="left")
    halted = _halted(position.filter(pl.col("last_close").is_not_null()), bars.schema)
    names = pl.col("name").str.to_uppercase().str.contains("ST", literal=True).fill_null(value=False)
    is_st = position.select(pl.col("row").alias("raw_row"), names.alias("is_st"))
    rows = pl.concat([bars, halted.select(bars.columns)]).drop("is_st").join(is_st, on="raw_row", how="left")
    bar_rows = set(rows["raw_row"])
    of_basic = [(row, column) for row, column in of_basic if column in _BASIC and row in bar_rows]
    return Translated(
        rows.select(translate_daily(_part(empty_bars(), DAILY)).frame.columns).sort("raw_row"),
        tuple(sorted([*unreadable, *of_basic])),
        joined["trade_date"].str.to_date("%Y%m%d", strict=False),
    )


def empty_factors() -> pl.DataFrame:
    """Return an answer about factors without rows."""
    return pl.DataFrame(schema=dict.fromkeys((*ADJ_FACTOR.fields, _FACTOR_BEFORE), pl.String()))


def join_factors(factors: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """Return one answer: factors of a day, each beside the stock's factor of the session before, null without one."""
    earlier = before.select("ts_code", pl.col("adj_factor").alias(_FACTOR_BEFORE))
    return factors.join(earlier, on="ts_code", how="left", maintain_order="left").select(empty_factors().columns)


def in_sequence(factors: pl.DataFrame) -> pl.DataFrame:
    """Return one stock's factors, oldest first, each beside the one before it, null for the first."""
    return factors.sort("trade_date").with_columns(pl.col("adj_factor").shift(1).alias(_FACTOR_BEFORE))


def raw_factors(joined: pl.DataFrame) -> list[tuple[Table, pl.DataFrame]]:
    """Return the raw table with the rows as they were sent."""
    return [(RAW_TUSHARE_ADJ_FACTOR, joined.select(ADJ_FACTOR.fields))]


def translate_ex_dates(joined: pl.DataFrame) -> Translated:
    """Return ts_code, ex_date and back_adjust_factor of the rows whose factor is not the one before; the others are left out.

    A restatement in the last decimal counts as a change: the store says what the source says.
    """
    translated = translate_adj_factor(joined)
    before = joined[_FACTOR_BEFORE].cast(pl.Float64, strict=False).fill_null(_FIRST_FACTOR)
    factor = pl.col("back_adjust_factor")
    changed = translated.frame.filter((factor != before) | factor.is_null()).rename({"trade_date": "ex_date"})
    return Translated(
        changed.select("ts_code", "ex_date", "back_adjust_factor", "raw_row"),
        tuple((row, "ex_date" if column == "trade_date" else column) for row, column in translated.unreadable),
    )


def factors_on(joined: pl.DataFrame, days: Collection[date]) -> pl.DataFrame:
    """Return the rows of these days."""
    return joined.filter(pl.col("trade_date").is_in([day_text("trade_date", day) for day in days]))


def _inside(api: Interface, field: str) -> str:
    return f"{api.name}.{field}"


def _part(joined: pl.DataFrame, api: Interface) -> pl.DataFrame:
    here = joined.filter(pl.col(_inside(api, "ts_code")).is_not_null())
    return here.select(pl.col(_inside(api, field)).alias(field) for field in api.fields)


def _at(translated: Translated, rows: pl.Series) -> tuple[pl.DataFrame, list[tuple[int, str]]]:
    """Return rows and unreadable cells of a part, pointing to the rows of the whole answer."""
    frame = translated.frame.with_columns(pl.Series("raw_row", rows.gather(translated.frame["raw_row"])))
    return frame, [(rows[row], column) for row, column in translated.unreadable]


def _halted(rows: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    close = pl.col("last_close").cast(pl.Float64, strict=False)
    said = {
        **dict.fromkeys(("open", "high", "low", "close", "pre_close"), close),
        "ts_code": pl.col("ts_code"),
        "trade_date": pl.col("trade_date").str.to_date("%Y%m%d", strict=False),
        "is_suspended": pl.lit(value=True),
        "adjust_flag": pl.lit("3"),
        "raw_row": pl.col("row"),
    }
    return rows.select(said.get(name, pl.lit(None)).cast(dtype).alias(name) for name, dtype in schema.items())
