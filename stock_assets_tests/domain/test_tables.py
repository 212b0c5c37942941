"""The border control between floors."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from stock_assets.domain.contract import Table
from stock_assets.domain.errors import DataRefused
from stock_assets.domain.tables import ADJUST_FACTOR
from stock_assets.storage.tables import TABLES

GOOD = pl.DataFrame(
    {
        "ts_code": ["600000.SH", "600001.SH"],
        "ex_date": [date(2026, 1, 5)] * 2,
        "back_adjust_factor": [1.0, 2.5],
        "source": ["baostock"] * 2,
        "updated_at": [datetime(2026, 1, 5, tzinfo=UTC)] * 2,
    },
    schema=ADJUST_FACTOR.schema,
)


def test_a_good_frame_passes_with_its_columns_in_order() -> None:
    shuffled = GOOD.select(reversed(GOOD.columns)).with_columns(extra=pl.lit(1))
    assert ADJUST_FACTOR.conform(shuffled).equals(GOOD)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (GOOD.drop("ex_date"), "ex_date"),
        (GOOD.with_columns(pl.col("back_adjust_factor").cast(pl.Float32)), "Float32"),
        (GOOD.with_columns(ts_code=pl.lit(None, pl.String)), "nulls"),
        (GOOD.with_columns(back_adjust_factor=pl.lit(float("nan"))), "NaN"),
        (GOOD.with_columns(back_adjust_factor=pl.lit(-1.0)), "below 0"),
        (GOOD.with_columns(ts_code=pl.lit("600000.SH")), "duplicate key"),
    ],
)
def test_a_frame_that_breaks_the_contract_is_refused_with_the_reason(broken: pl.DataFrame, reason: str) -> None:
    with pytest.raises(DataRefused, match=reason):
        ADJUST_FACTOR.conform(broken)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_and_column_says_what_it_is_in_both_languages(table: Table) -> None:
    assert set(table.key) <= set(table.names)
    assert len(set(table.names)) == len(table.names)
    for comment in (table.comment, *(column.comment for column in table.columns)):
        zh, separator, en = comment.partition(" | ")
        assert zh
        assert separator
        assert en
    assert table.conform(table.empty()).is_empty()
