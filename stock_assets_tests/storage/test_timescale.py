"""Compressed chunks: smaller, read as ever, corrected with right counts."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from polars.testing import assert_frame_equal

from stock_assets.domain.errors import ConfigurationError, DataRefused
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.storage import bars as stored_bars
from stock_assets.storage.bulk_load import Counts, load
from stock_assets.storage.database import Database
from stock_assets.storage.layout import convert, extent_of, layout_of
from stock_assets.storage.timescale import FEW_STOCKS, compress
from stock_assets_tests.storage.made_up_rows import LATER, NOW, bars
from stock_assets_tests.storage.recorded_bars import recorded_bars

CODES = [f"{number:06d}.SZ" for number in range(300)]
# The last ones lie in a chunk of their own, which begins on 13 March 2025.
DAYS = [date(2024, 3, 1) + timedelta(days=offset) for offset in range(400)]
SETTLED = date(2030, 1, 1)
STATE = sa.text("""
    SELECT is_compressed FROM timescaledb_information.chunks WHERE hypertable_name = 'stock_daily_packed' ORDER BY range_start
""")


@pytest.fixture
def packed(timescale_database: Database) -> Database:
    """A store whose bars are compressed: more rows than TimescaleDB unpacks for one statement unless told to."""
    with timescale_database.begin() as conn:
        load(conn, STOCK_DAILY, bars(CODES, DAYS), is_new=True)
    (done,) = compress(timescale_database, settled=SETTLED)
    assert done.chunks >= 1
    assert done.bytes_after < done.bytes_before / 5
    with timescale_database.read() as conn:
        assert set(conn.scalars(STATE)) == {True}
    return timescale_database


def day(conn: sa.Connection, of: date) -> pl.DataFrame:
    """Return the bars of a day."""
    return stored_bars.rows_of_day(conn, of)


def test_compressed_bars_are_read_as_ever(packed: Database) -> None:
    with packed.read() as conn:
        assert_frame_equal(day(conn, DAYS[7]), bars(CODES, [DAYS[7]]), check_exact=True)
        assert stored_bars.read_bars(conn, CODES[5:6], DAYS[0], DAYS[-1]).height == len(DAYS)
        size, rows = extent_of(conn, "stock_daily")
        assert 0 < size < 20 * rows


def test_loading_a_compressed_day_again_counts_right_and_writes_nothing(packed: Database) -> None:
    with packed.begin() as conn:
        assert load(conn, STOCK_DAILY, bars(CODES, [DAYS[7]], updated_at=LATER)) == Counts(unchanged=300)
        assert set(conn.scalars(STATE)) == {True}


def test_a_late_correction_into_compressed_days_counts_right_and_keeps_the_old_rows(packed: Database) -> None:
    fresh = [f"{number:06d}.SZ" for number in range(290, 330)]
    frame = pl.concat(
        [bars(CODES[:200], [DAYS[7]]), bars(CODES[200:290], [DAYS[7]], close=9.75), bars(fresh, [DAYS[7]])]
    )
    with packed.begin() as conn:
        counts = load(conn, STOCK_DAILY, frame.with_columns(updated_at=pl.lit(LATER)), run_id="late")
        # Known of an older TimescaleDB: ON CONFLICT DO NOTHING stopped at the first conflict in a compressed chunk.
        assert counts == Counts(inserted=30, updated=90, unchanged=210)
    with packed.begin() as conn:
        held = day(conn, DAYS[7])
        assert (held.height, held.filter(pl.col("close") == 9.75).height) == (330, 90)
        assert conn.scalar(sa.text("SELECT count(*) FROM stock_daily_history WHERE run_id = 'late'")) == 90
        assert conn.scalar(sa.text("SELECT count(*) FROM stock_daily")) == len(CODES) * len(DAYS) + 30
        again = load(conn, STOCK_DAILY, frame, is_new=True)
        assert again == Counts(unchanged=330)
    (done,) = compress(packed, settled=SETTLED)
    assert done.chunks >= 1
    with packed.read() as conn:
        assert_frame_equal(day(conn, DAYS[7]), held, check_exact=True)


@pytest.mark.parametrize(
    ("stocks", "is_unpacked"), [(1, False), (FEW_STOCKS, False), (150, False), (160, True), (300, True)]
)
def test_a_late_correction_of_many_stocks_unpacks_their_chunk_and_one_of_few_does_not(
    packed: Database, stocks: int, *, is_unpacked: bool
) -> None:
    """All 300 are beyond the usual limit of unpacked rows."""
    changed = bars(CODES[-stocks:], [DAYS[7]], close=9.75, updated_at=LATER)
    with packed.begin() as conn:
        assert load(conn, STOCK_DAILY, changed, run_id="late") == Counts(updated=stocks)
        # The other chunk is none of its business.
        assert list(conn.scalars(STATE)) == [not is_unpacked, True]
        assert load(conn, STOCK_DAILY, changed) == Counts(unchanged=stocks)
    with packed.begin() as conn:
        assert_frame_equal(day(conn, DAYS[7]).tail(stocks), changed, check_exact=True)
        assert conn.scalar(sa.text("SELECT count(*) FROM stock_daily_history WHERE close = 10.5")) == stocks
        as_of = "SELECT count(*) FROM stock_daily_as_of(:then) WHERE trade_date = :day AND close = 10.5"
        assert conn.scalar(sa.text(as_of), {"then": NOW, "day": DAYS[7]}) == len(CODES)
    compress(packed, settled=SETTLED)
    with packed.begin() as conn:
        assert list(conn.scalars(STATE)) == [True, True]
        assert_frame_equal(day(conn, DAYS[7]).tail(stocks), changed, check_exact=True)


def test_a_correction_that_fails_leaves_the_chunk_packed(packed: Database) -> None:
    changed = bars(CODES, [DAYS[7]], close=9.75, updated_at=LATER)
    broken = changed.with_columns(high=pl.when(pl.col("ts_code") == CODES[5]).then(0.0).otherwise("high"))
    with pytest.raises(DataRefused, match="ck_stock_daily_high"), packed.begin() as conn:
        load(conn, STOCK_DAILY, broken)
    with packed.read() as conn:
        assert list(conn.scalars(STATE)) == [True, True]
        assert_frame_equal(day(conn, DAYS[7]), bars(CODES, [DAYS[7]]), check_exact=True)


def test_packed_bars_take_fewer_bytes_than_parquet(
    timescale_database: Database, recorded_data: Path, tmp_path: Path
) -> None:
    """As one load leaves them, and as nights do, each with a time of its own."""
    whole = recorded_bars(recorded_data)
    night = pl.col("trade_date").cast(pl.Datetime("us", "UTC")) + timedelta(hours=18, minutes=30)
    late = pl.duration(milliseconds=pl.col("trade_date").cast(pl.Int64) * 7_919_317 % 600_000)
    for frame in (whole, whole.with_columns(updated_at=night + late)):
        frame.write_parquet(tmp_path / "bars.parquet", compression="zstd")
        with timescale_database.begin() as conn:
            conn.execute(sa.text("TRUNCATE stock_daily_packed"))
            load(conn, STOCK_DAILY, frame, is_new=True)
        compress(timescale_database, settled=date(2100, 1, 1))
        with timescale_database.begin() as conn:
            assert extent_of(conn, "stock_daily")[0] < (tmp_path / "bars.parquet").stat().st_size
            everything = stored_bars.read_bars(conn, None, date(1990, 1, 1), SETTLED)
        assert_frame_equal(everything, frame, check_exact=True)


def test_people_correct_compressed_bars_through_the_view(packed: Database) -> None:
    with packed.begin() as conn:
        change = sa.text("UPDATE stock_daily SET close = 10.25 WHERE trade_date = :day")
        assert conn.execute(change, {"day": DAYS[7]}).rowcount == len(CODES)
        forget = sa.text("DELETE FROM stock_daily WHERE ts_code = :code")
        assert conn.execute(forget, {"code": CODES[3]}).rowcount == len(DAYS)
        assert set(day(conn, DAYS[7])["close"]) == {10.25}
        assert conn.scalar(sa.text("SELECT count(*) FROM stock_daily_history")) == len(CODES) + len(DAYS)


def test_the_server_compresses_by_itself(timescale_database: Database) -> None:
    jobs = sa.text("""
        SELECT config ->> 'compress_after' FROM timescaledb_information.jobs
        WHERE hypertable_name = 'stock_daily_packed' AND proc_name ~ 'compression|columnstore'
    """)
    with timescale_database.read() as conn:
        assert [conn.execute(jobs).scalar_one()] == ["30 days"]


def test_young_chunks_stay_open(timescale_database: Database) -> None:
    with timescale_database.begin() as conn:
        load(conn, STOCK_DAILY, bars(CODES[:5], DAYS[:3]), is_new=True)
    (done,) = compress(timescale_database, settled=DAYS[0])
    assert done.chunks == 0
    with timescale_database.read() as conn:
        assert set(conn.scalars(STATE)) == {False}


def test_the_way_back_to_a_plain_table_brings_every_row(packed: Database) -> None:
    with packed.begin() as conn:
        before = stored_bars.read_bars(conn, None, DAYS[0], DAYS[-1])
        convert(conn, "stock_daily", "plain")
        assert layout_of(conn, "stock_daily") == "plain"
        assert_frame_equal(stored_bars.read_bars(conn, None, DAYS[0], DAYS[-1]), before, check_exact=True)
        jobs = "SELECT count(*) FROM timescaledb_information.jobs WHERE hypertable_name = 'stock_daily_packed'"
        assert conn.scalar(sa.text(jobs)) == 0


def test_a_store_without_timescaledb_says_so(database: Database) -> None:
    with pytest.raises(ConfigurationError, match="no TimescaleDB"):
        compress(database, settled=SETTLED)
