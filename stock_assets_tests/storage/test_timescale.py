"""Compressed chunks: smaller, read as ever, corrected with right counts."""

from datetime import date, timedelta

import polars as pl
import pytest
import sqlalchemy as sa
from polars.testing import assert_frame_equal

from stock_assets.domain.errors import ConfigurationError
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.storage import bars as stored_bars
from stock_assets.storage.bulk_load import Counts, load
from stock_assets.storage.database import Database
from stock_assets.storage.layout import convert, extent_of, layout_of
from stock_assets.storage.timescale import compress
from stock_assets_tests.storage.made_up_rows import LATER, bars

CODES = [f"{number:06d}.SZ" for number in range(300)]
DAYS = [date(2022, 3, 1) + timedelta(days=offset) for offset in range(400)]
SETTLED = date(2026, 1, 1)
STATE = sa.text("SELECT is_compressed FROM timescaledb_information.chunks WHERE hypertable_name = 'stock_daily'")


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


def test_a_whole_market_day_is_corrected_beyond_the_usual_limit_of_unpacked_rows(packed: Database) -> None:
    with packed.begin() as conn:
        counts = load(conn, STOCK_DAILY, bars(CODES, [DAYS[7]], close=9.75, updated_at=LATER), run_id="late")
    assert counts == Counts(updated=300)


def test_the_server_compresses_by_itself(timescale_database: Database) -> None:
    jobs = sa.text("""
        SELECT config ->> 'compress_after' FROM timescaledb_information.jobs
        WHERE hypertable_name = 'stock_daily' AND proc_name ~ 'compression|columnstore'
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
        jobs = "SELECT count(*) FROM timescaledb_information.jobs WHERE hypertable_name = 'stock_daily'"
        assert conn.scalar(sa.text(jobs)) == 0


def test_a_store_without_timescaledb_says_so(database: Database) -> None:
    with pytest.raises(ConfigurationError, match="no TimescaleDB"):
        compress(database, settled=SETTLED)
