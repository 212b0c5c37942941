"""The recorded unadjusted bars as a frame of `stock_daily`; of a bar that several files hold, the first file's."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from stock_assets.domain.tables import RAW_BAOSTOCK_DAILY, STOCK_DAILY
from stock_assets.sources.baostock.translate import translate_daily

# The one with all columns comes first.
_FILES = ("2020-2025", "2010-2024", "sh.600000_1999-2023")
_WHEN = datetime(2026, 11, 20, 18, 30, 5, 123000, tzinfo=UTC)


def recorded_bars(recorded_data: Path) -> pl.DataFrame:
    """Return the bars in key order."""
    folder = recorded_data / "recorded" / "baostock"
    fields = RAW_BAOSTOCK_DAILY.empty_text().columns
    texts = [
        pl.read_csv(folder / f"k_daily_adjustflag3_{name}.csv.gz", infer_schema=False).fill_null("") for name in _FILES
    ]
    whole = [text.with_columns(pl.lit("").alias(name) for name in fields if name not in text.columns) for text in texts]
    rows = pl.concat([text.select(fields) for text in whole])
    bars = translate_daily(rows).frame.unique(STOCK_DAILY.key, keep="first", maintain_order=True)
    known = bars.with_columns(source=pl.lit("baostock"), updated_at=pl.lit(_WHEN).cast(pl.Datetime("us", "UTC")))
    return STOCK_DAILY.conform(known.select(STOCK_DAILY.names)).sort(STOCK_DAILY.key)
