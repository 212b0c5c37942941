"""Rules on one row of a finance report at a time: what cannot be a report is refused.

Which of several rows of one announcement stands, and since when it was known, is in `finance_versions`.
"""

import polars as pl

from stock_assets.domain.codes import is_stock_code
from stock_assets.domain.finance_tables import VALUES
from stock_assets.quality.findings import FINDING_SCHEMA, REJECTION_SCHEMA, Judged

REPORT_SCHEMA = pl.Schema(
    {
        "raw_row": pl.Int64(),
        "ts_code": pl.String(),
        "end_date": pl.Date(),
        "ann_date": pl.Date(),
        "f_ann_date": pl.Date(),
        "update_flag": pl.String(),
        **dict.fromkeys(VALUES, pl.Float64()),
    }
)
"""Translated rows of reports: days and flag are null where the source says nothing, figures where it has none."""


def judge_reports(reports: pl.DataFrame, *, unreadable: tuple[tuple[int, str], ...] = ()) -> Judged:
    """Return the verdict on translated rows of reports (REPORT_SCHEMA).

    The first broken rule names the refusal: a value that cannot be read, a code that is no A-share stock, a period that
    ends within a quarter, an announcement before the period's end, a row without any figure. A row without an
    announcement's day is accepted. `trade_date` of a rejection is the period, else the announcement's day, else null.
    """
    rows = pl.Series("raw_row", sorted({row for row, _ in unreadable}), dtype=pl.Int64)
    stocks = pl.Series(
        [code for code in reports["ts_code"].drop_nulls().unique() if is_stock_code(code)], dtype=pl.String
    )
    end = pl.col("end_date")
    hard = (
        ("unreadable_value", pl.col("raw_row").is_in(rows.implode())),
        ("unknown_code", ~pl.col("ts_code").is_in(stocks.implode()).fill_null(value=False)),
        ("period_not_quarter_end", ((end != end.dt.month_end()) | (end.dt.month() % 3 != 0)).fill_null(value=True)),
        ("announced_before_period_end", (pl.col("ann_date") < end).fill_null(value=False)),
        ("no_figures", pl.all_horizontal(pl.col(name).is_null() for name in VALUES)),
    )
    rule = pl.coalesce(pl.when(broken).then(pl.lit(name)) for name, broken in hard)
    marked = reports.with_columns(rule.alias("rule"), pl.coalesce("end_date", "ann_date").alias("trade_date"))
    return Judged(
        accepted=marked.filter(pl.col("rule").is_null()).select(REPORT_SCHEMA.names()),
        rejected=marked.filter(pl.col("rule").is_not_null()).select(list(REJECTION_SCHEMA)),
        findings=pl.DataFrame(schema=FINDING_SCHEMA),
    )
