"""What the store holds of a day, asked of the rows themselves."""

from datetime import date

import polars as pl
import pytest

from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.storage.bulk_load import load
from stock_assets.storage.database import Database
from stock_assets.storage.day_state import DayState, day_states, ex_day_signs
from stock_assets.storage.reference import save_securities
from stock_assets_tests.storage.made_up_rows import DAY, LATER, bars, securities, security

BEFORE = date(2026, 11, 19)


def state(database: Database, frame: pl.DataFrame) -> DayState:
    """Return the state of the day after a load, and take the load back."""
    with database.begin() as conn:
        load(conn, STOCK_DAILY, frame)
        found = day_states(conn, [DAY])[DAY]
        conn.rollback()
    return found


def test_the_missing_are_the_listed_without_a_bar(database: Database) -> None:
    listed = [security("600000.SH", BEFORE), security("600001.SH", BEFORE), security("600002.SH", BEFORE, DAY)]
    with database.begin() as conn:
        save_securities(conn, securities(listed))
    held = state(database, bars(["600000.SH", "600009.SH"], [DAY]))
    assert (held.expected, held.present, held.rows) == (2, 1, 2)
    assert held.missing == ("600001.SH",)


def test_an_empty_day_has_no_digest_and_lacks_everything(database: Database) -> None:
    with database.begin() as conn:
        save_securities(conn, securities([security("600000.SH", BEFORE)]))
    held = state(database, STOCK_DAILY.empty())
    assert (held.rows, held.expected, held.present, held.digest) == (0, 1, 0, None)


def test_suspended_rows_are_counted_by_how_the_source_writes_them(database: Database) -> None:
    frame = pl.concat(
        [
            bars(["600000.SH"], [DAY], is_suspended=True, volume=0),
            bars(["600001.SH", "600002.SH"], [DAY], is_suspended=True, volume=None),
            bars(["600003.SH"], [DAY]),
        ]
    )
    held = state(database, frame)
    assert (held.suspended_zero, held.suspended_empty) == (1, 2)


def test_the_digest_is_of_the_rows_and_not_of_when_they_came(database: Database) -> None:
    frame = bars(["600000.SH", "600001.SH"], [DAY])
    digest = state(database, frame).digest
    assert state(database, frame.reverse()).digest == digest
    assert state(database, frame.with_columns(updated_at=pl.lit(LATER).cast(pl.Datetime("us", "UTC")))).digest == digest


@pytest.mark.parametrize(
    "change", [{"close": 10.51}, {"pe_ttm": None}, {"volume": None}, {"is_st": True}, {"source": "other"}], ids=str
)
def test_the_digest_changes_with_every_value(database: Database, change: dict[str, object]) -> None:
    assert (
        state(database, bars(["600000.SH"], [DAY])).digest
        != state(database, bars(["600000.SH"], [DAY], **change)).digest
    )


def test_a_stock_that_opens_below_its_last_close_is_a_sign_of_an_ex_day(database: Database) -> None:
    with database.begin() as conn:
        load(conn, STOCK_DAILY, bars(["600000.SH", "600001.SH", "600002.SH"], [BEFORE]))
        load(conn, STOCK_DAILY, bars(["600000.SH"], [DAY], pre_close=10.5))
        load(conn, STOCK_DAILY, bars(["600001.SH"], [DAY], pre_close=10.3))
        load(conn, STOCK_DAILY, bars(["600002.SH"], [DAY], pre_close=10.6))
        assert ex_day_signs(conn, DAY, BEFORE) == 1
