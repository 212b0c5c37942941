"""Stored indicators as people read them: back-adjusted as they are, or forward-adjusted with any anchor."""

from collections.abc import Iterator
from datetime import date, timedelta

import polars as pl
import pytest
import sqlalchemy as sa
from polars.testing import assert_frame_equal

from stock_assets.domain.errors import InvalidInput
from stock_assets.domain.tables import ADJUST_FACTOR
from stock_assets.indicators.table import FORWARD_ADJUSTED, TECHNICAL_DAILY, price_columns, shown_columns
from stock_assets.storage.arrow_session import READER_ROLE
from stock_assets.storage.bulk_load import Counts, load
from stock_assets.storage.database import Database
from stock_assets.storage.layout import PARTED, layout_of
from stock_assets.storage.reader import Reader
from stock_assets_tests.storage.made_up_rows import DAY, NOW, frame_of

DAYS = [DAY + timedelta(offset) for offset in range(4)]
CODES = ["000001.SZ", "600000.SH"]
VALUES = {"ma_5": 30.3, "rsi_6": 55.5, "rsi_gain_6": 0.3, "limit_up_price": 11.0, "up_days": 3, "is_limit_up": True}


@pytest.fixture
def rows() -> pl.DataFrame:
    """Two stocks on four days; most columns are null, as on a stock's first day."""
    return pl.DataFrame(
        [
            dict.fromkeys(TECHNICAL_DAILY.names)
            | VALUES
            | {"ts_code": code, "trade_date": day, "input_digest": number, "ma_5": 30.3 + number}
            for code in CODES
            for number, day in enumerate(DAYS)
        ],
        schema=TECHNICAL_DAILY.schema,
    )


@pytest.fixture
def filled(database: Database, rows: pl.DataFrame) -> Database:
    """The second stock goes ex on the second day and on the last."""
    common = {"ts_code": "600000.SH", "source": "baostock", "updated_at": NOW}
    factors = [
        common | {"ex_date": day, "back_adjust_factor": factor} for day, factor in ((DAYS[1], 3.0), (DAYS[3], 7.0))
    ]
    with database.begin() as conn:
        assert load(conn, TECHNICAL_DAILY, TECHNICAL_DAILY.conform(rows), is_new=True) == Counts(inserted=8)
        load(conn, ADJUST_FACTOR, frame_of(ADJUST_FACTOR, factors))
    return database


@pytest.fixture
def reader(filled: Database) -> Iterator[Reader]:
    with Reader(filled) as reader:
        yield reader


def test_what_is_stored_is_read_back_as_it_is_and_states_only_by_name(reader: Reader, rows: pl.DataFrame) -> None:
    assert_frame_equal(reader.technicals(), rows.select(shown_columns()), check_exact=True)
    named = reader.technicals(CODES[:1], DAYS[1], DAYS[2], columns=["trade_date", "rsi_gain_6", "input_digest"])
    assert named.rows() == [(DAYS[1], 0.3, 1), (DAYS[2], 0.3, 2)]


@pytest.mark.parametrize(("anchor", "factor"), [(DAYS[0], 1.0), (DAYS[1], 3.0), (DAYS[2], 3.0), (DAYS[3], 7.0)])
def test_prices_are_divided_by_the_factor_of_the_anchor_and_nothing_else_is(
    reader: Reader, rows: pl.DataFrame, anchor: date, factor: float
) -> None:
    of_both = pl.when(pl.col("ts_code") == "600000.SH").then(factor).otherwise(1.0)
    expected = rows.with_columns(pl.col(name) / of_both for name in price_columns()).select(shown_columns())
    assert_frame_equal(reader.technicals(adjust="qfq", anchor=anchor), expected, check_exact=True)
    assert reader.technicals(adjust="qfq", anchor=anchor, columns=["ma_5"]).equals(expected.select("ma_5"))
    assert reader.technicals(adjust="qfq", anchor=anchor, columns=["rsi_6"]).equals(expected.select("rsi_6"))


def test_the_view_is_the_reader_with_the_latest_factor(reader: Reader, filled: Database) -> None:
    with filled.read() as conn:
        found = conn.execute(sa.text(f"SELECT * FROM {FORWARD_ADJUSTED} ORDER BY ts_code, trade_date"))  # noqa: S608  a name of ours
        names, values = list(found.keys()), [tuple(row) for row in found]
        comments = {column["name"]: column.get("comment") for column in sa.inspect(conn).get_columns(FORWARD_ADJUSTED)}
    read = reader.technicals(adjust="qfq", anchor=DAYS[3])
    assert names == read.columns
    assert values == read.rows()
    assert comments["ma_5"] == "5 日均线 | simple moving average of 5 sessions [CNY, forward-adjusted]"
    assert all(" | " in str(comment) for comment in comments.values())


def test_a_forward_adjusted_price_needs_its_anchor_and_a_column_must_exist(reader: Reader) -> None:
    with pytest.raises(InvalidInput, match="anchor"):
        reader.technicals(adjust="qfq")
    with pytest.raises(InvalidInput, match="no column ma_7"):
        reader.technicals(columns=["ma_7"])


def test_people_who_only_read_may_read_both(filled: Database) -> None:
    with filled.begin() as conn:
        conn.execute(sa.text(f"SET LOCAL ROLE {READER_ROLE}"))
        for name in (TECHNICAL_DAILY.name, FORWARD_ADJUSTED):
            assert conn.scalar(sa.text(f"SELECT count(*) FROM {name}")) == 8  # noqa: S608  names of ours


def test_it_lies_in_native_partitions_and_loads_as_any_table(filled: Database, rows: pl.DataFrame) -> None:
    changed = rows.with_columns(pl.when(pl.col("trade_date") == DAYS[2]).then(31.0).otherwise("ma_5").alias("ma_5"))
    assert TECHNICAL_DAILY.name in PARTED
    with filled.begin() as conn:
        assert layout_of(conn, TECHNICAL_DAILY.name) == "partitions"
        assert load(conn, TECHNICAL_DAILY, changed) == Counts(updated=2, unchanged=6)
