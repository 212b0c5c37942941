"""BaoStock's six quarterly tables as the finance indicators that they also are: fractions become percent, ratios stay.

Only what means the same is taken. `recorded` fields were compared with recorded answers of Tushare, stock by stock;
`identity` fields obey the same equations in both sources' recorded data; `definition` fields are defined alike in both
sources' documents. Left out, because they mean something else or were not shown to mean the same: growth of total assets
(on the year before; Tushare's is since the year's beginning), growth of net profit with minorities, the cash ratio,
receivables (BaoStock counts notes as well), days of turnover, tangible assets, and whatever rests on EBIT. Amounts, shares
and earnings of twelve months have no column.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

import polars as pl

from stock_assets.domain.baostock_finance_tables import (
    RAW_BAOSTOCK_BALANCE,
    RAW_BAOSTOCK_CASH_FLOW,
    RAW_BAOSTOCK_DUPONT,
    RAW_BAOSTOCK_GROWTH,
    RAW_BAOSTOCK_OPERATION,
    RAW_BAOSTOCK_PROFIT,
)
from stock_assets.domain.contract import Table
from stock_assets.domain.finance_tables import VALUES
from stock_assets.quality.finance_rules import REPORT_SCHEMA
from stock_assets.sources.base import Translated

Basis = Literal["recorded", "identity", "definition"]


class Source(NamedTuple):
    """Where a column is from: BaoStock's table and field, what our unit counts of its, and why both mean the same."""

    table: str
    field: str
    scale: Literal[1, 100]
    basis: Basis


RAW: Final[Mapping[str, Table]] = {
    "query_profit_data": RAW_BAOSTOCK_PROFIT,
    "query_operation_data": RAW_BAOSTOCK_OPERATION,
    "query_growth_data": RAW_BAOSTOCK_GROWTH,
    "query_balance_data": RAW_BAOSTOCK_BALANCE,
    "query_cash_flow_data": RAW_BAOSTOCK_CASH_FLOW,
    "query_dupont_data": RAW_BAOSTOCK_DUPONT,
}
"""The tables by the names of their requests, and where each is kept."""

TABLES: Final = tuple(RAW)
SOURCES: Final[Mapping[str, Source]] = {
    "roe": Source("query_profit_data", "roeAvg", 100, "recorded"),
    "netprofit_margin": Source("query_profit_data", "npMargin", 100, "recorded"),
    "grossprofit_margin": Source("query_profit_data", "gpMargin", 100, "recorded"),
    "basic_eps_yoy": Source("query_growth_data", "YOYEPSBasic", 100, "recorded"),
    "netprofit_yoy": Source("query_growth_data", "YOYPNI", 100, "recorded"),
    "equity_yoy": Source("query_growth_data", "YOYEquity", 100, "recorded"),
    "debt_to_assets": Source("query_balance_data", "liabilityToAsset", 100, "identity"),
    "assets_to_eqt": Source("query_balance_data", "assetToEquity", 1, "identity"),
    "dp_assets_to_eqt": Source("query_dupont_data", "dupontAssetStoEquity", 1, "identity"),
    "assets_turn": Source("query_operation_data", "AssetTurnRatio", 1, "identity"),
    "profit_to_gr": Source("query_dupont_data", "dupontNitogr", 100, "definition"),
    "current_ratio": Source("query_balance_data", "currentRatio", 1, "definition"),
    "quick_ratio": Source("query_balance_data", "quickRatio", 1, "definition"),
    "ca_to_assets": Source("query_cash_flow_data", "CAToAsset", 100, "definition"),
    "nca_to_assets": Source("query_cash_flow_data", "NCAToAsset", 100, "definition"),
    "ocf_to_or": Source("query_cash_flow_data", "CFOToOR", 100, "definition"),
    "ca_turn": Source("query_operation_data", "CATurnRatio", 1, "definition"),
    "inv_turn": Source("query_operation_data", "INVTurnRatio", 1, "definition"),
}
"""Our columns and what they are in BaoStock."""

_PERIOD = ["code", "statDate"]
_CODE = r"^(?:sh|sz)\.\d{6}$"
_DAY_LENGTH: Final = len("2024-03-31")
# Fractions come with six decimals: what remains beyond these is binary noise.
_DECIMALS: Final = 8


def joined(answers: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the answers of all six tables (TABLES), all text, as one row for each stock and period.

    The announcement's day is the latest that the tables name; what each of them names stays beside it. A period that a
    table lacks has nulls there.

    Errors: `KeyError` when a table is missing: a report must not look as if it had lost figures.
    """
    whole: pl.DataFrame | None = None
    for table in TABLES:
        part = answers[table].rename({"pubDate": _own_day(table)})
        whole = part if whole is None else whole.join(part, on=_PERIOD, how="full", coalesce=True)
    assert whole is not None  # noqa: S101  there are six
    # ISO days sort as texts.
    return whole.with_columns(pubDate=pl.max_horizontal(map(_own_day, TABLES)))


def raw_rows(frame: pl.DataFrame) -> list[tuple[Table, pl.DataFrame]]:
    """Return what each table said of the reports in rows of `joined`; tables that said nothing are left out."""
    parts: list[tuple[Table, pl.DataFrame]] = []
    for name, table in RAW.items():
        told = frame.filter(pl.col(_own_day(name)).is_not_null()).with_columns(pubDate=_own_day(name))
        if not told.is_empty():
            parts.append((table, told.select(table.empty_text().columns)))
    return parts


def translate_finance(frame: pl.DataFrame) -> Translated:
    """Return reports (REPORT_SCHEMA) from rows of `joined`; columns that BaoStock does not have are null.

    BaoStock tells neither `f_ann_date` nor `update_flag`. A text that is no value of its column gives null and an entry in
    `unreadable`; an empty text gives null alone.
    """
    code = pl.col("code")
    ts_code = pl.concat_str([code.str.slice(3), code.str.slice(0, 2).str.to_uppercase()], separator=".")
    values = frame.with_row_index("raw_row").select(
        pl.col("raw_row").cast(pl.Int64),
        pl.when(code.str.contains(_CODE)).then(ts_code).alias("ts_code"),
        _day("statDate").alias("end_date"),
        _day("pubDate").alias("ann_date"),
        pl.lit(None, dtype=pl.Date).alias("f_ann_date"),
        pl.lit(None, dtype=pl.String).alias("update_flag"),
        *(_number(name).alias(name) for name in VALUES),
    )
    texts = {"ts_code": "code", "end_date": "statDate", "ann_date": "pubDate"}
    texts |= {name: source.field for name, source in SOURCES.items()}
    unreadable = [
        (row, name)
        for name, text in texts.items()
        for row in (values[name].is_null() & (frame[text] != "")).fill_null(value=False).arg_true()
    ]
    return Translated(values.select(REPORT_SCHEMA.names()), tuple(sorted(unreadable)))


def _own_day(table: str) -> str:
    return f"pubDate_{table}"


def _day(column: str) -> pl.Expr:
    # The length is checked too: polars reads a month of one digit, and another day may be meant.
    text = pl.col(column)
    return pl.when(text.str.len_bytes() == _DAY_LENGTH).then(text.str.to_date("%Y-%m-%d", strict=False))


def _number(name: str) -> pl.Expr:
    source = SOURCES.get(name)
    if source is None:
        return pl.lit(None, dtype=pl.Float64)
    value = pl.col(source.field).cast(pl.Float64, strict=False)
    # polars reads "nan" and "inf" as numbers; no figure is one of them.
    finite = pl.when(value.is_finite()).then(value)
    return finite if source.scale == 1 else (finite * source.scale).round(_DECIMALS)
