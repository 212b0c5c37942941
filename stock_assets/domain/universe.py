"""Which securities exist, and which of them are listed on a day.

Code changes: the exchanges gave these companies a new number; the old one stopped trading the day before.
"""

from datetime import date

import polars as pl

# new code -> old code; from the listed companies' announcements of the change.
CODE_CHANGES: dict[str, str] = {
    "001872.SZ": "000022.SZ",
    "001914.SZ": "000043.SZ",
    "601360.SH": "601313.SH",
}


def listed_on(securities: pl.DataFrame, day: date) -> pl.DataFrame:
    """Return the securities that trade (or are suspended) on `day`: list_date <= day < delist_date."""
    return securities.filter(
        (pl.col("list_date") <= day) & (pl.col("delist_date").is_null() | (pl.col("delist_date") > day))
    )
