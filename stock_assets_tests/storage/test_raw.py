from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
import sqlalchemy as sa

from stock_assets.domain.errors import DataRefused
from stock_assets.domain.tables import (
    RAW_BAOSTOCK_ADJUST_FACTOR,
    RAW_BAOSTOCK_DAILY,
    RAW_TUSHARE_DAILY,
    RAW_TUSHARE_SUSPEND,
)
from stock_assets.storage.bulk_load import Counts
from stock_assets.storage.database import Database
from stock_assets.storage.raw import newest_answers, save_answer
from stock_assets_tests.storage.made_up_rows import answer

FIRST = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


def _save(database: Database, frame: pl.DataFrame, *, at: datetime = FIRST, run_id: str | None = "run") -> Counts:
    with database.begin() as conn:
        return save_answer(conn, RAW_BAOSTOCK_DAILY, frame, fetched_at=at, run_id=run_id)


def _versions(database: Database, column: str = "close") -> list[tuple[str, str | None, datetime]]:
    query = sa.text(f'SELECT code, "{column}", fetched_at FROM raw_baostock_daily ORDER BY code, fetched_at')  # noqa: S608
    with database.read() as conn:
        return [tuple(row) for row in conn.execute(query)]


def test_the_same_answer_twice_writes_nothing(database: Database) -> None:
    frame = answer(["sh.600000", "sz.000001"])
    assert _save(database, frame) == Counts(inserted=2)
    before = _versions(database)
    assert _save(database, frame, at=FIRST + timedelta(hours=1), run_id="other") == Counts(unchanged=2)
    assert _versions(database) == before


def test_a_changed_answer_is_a_new_version_beside_the_old_one(database: Database) -> None:
    _save(database, answer(["sh.600000", "sz.000001"]))
    later = FIRST + timedelta(hours=1)
    changed = pl.concat([answer(["sh.600000"], close="2.0000"), answer(["sz.000001", "sz.000002"])])
    assert _save(database, changed, at=later) == Counts(inserted=1, updated=1, unchanged=1)
    assert _versions(database) == [
        ("sh.600000", "1.0000", FIRST),
        ("sh.600000", "2.0000", later),
        ("sz.000001", "1.0000", FIRST),
        ("sz.000002", "1.0000", later),
    ]


def test_an_answer_that_goes_back_to_an_older_one_is_a_version_again(database: Database) -> None:
    for hour, close in enumerate(["1.0", "2.0", "1.0", "1.0"]):
        _save(database, answer(["sh.600000"], close=close), at=FIRST + timedelta(hours=hour))
    assert [close for _, close, _ in _versions(database)] == ["1.0", "2.0", "1.0"]


def test_nothing_and_an_empty_text_are_different_answers(database: Database) -> None:
    for minute, volume in enumerate([None, "", None, None]):
        _save(database, answer(["sh.600000"], volume=volume), at=FIRST + timedelta(minutes=minute))
    assert [volume for _, volume, _ in _versions(database, "volume")] == [None, "", None]


def test_versions_keep_their_order_when_the_clock_stands_still_or_goes_back(database: Database) -> None:
    for close, at in (("1.0", FIRST), ("2.0", FIRST), ("3.0", FIRST - timedelta(hours=1))):
        assert _save(database, answer(["sh.600000"], close=close), at=at).written == 1
    assert [close for _, close, _ in _versions(database)] == ["1.0", "2.0", "3.0"]


def test_an_answer_without_the_sources_columns_is_refused(database: Database) -> None:
    with pytest.raises(DataRefused, match="columns missing"):
        _save(database, answer(["sh.600000"]).drop("peTTM"))


def test_an_empty_answer_is_no_version(database: Database) -> None:
    assert _save(database, answer([])) == Counts()


def test_factors_are_kept_by_code_and_ex_date(database: Database) -> None:
    row = {"code": "sh.600000", "foreAdjustFactor": "1.0", "backAdjustFactor": "2.0", "adjustFactor": "2.0"}
    days = [date(2025, 7, 21), date(2026, 7, 21)]
    frame = pl.DataFrame([row | {"dividOperateDate": day.isoformat()} for day in days])
    with database.begin() as conn:
        for expected in (Counts(inserted=2), Counts(unchanged=2)):
            assert save_answer(conn, RAW_BAOSTOCK_ADJUST_FACTOR, frame, fetched_at=FIRST, run_id=None) == expected


def test_of_each_row_the_newest_answer_comes_back_as_it_was_sent(database: Database) -> None:
    _save(database, answer(["sh.600000", "sz.000001"], volume="", amount=None))
    _save(database, answer(["sh.600000"], close="2.0000", volume=None, amount=""), at=FIRST + timedelta(hours=1))
    _save(database, answer(["sh.600000"], date="2026-11-19"))
    with database.read() as conn:
        found = newest_answers(conn, RAW_BAOSTOCK_DAILY, [date(2026, 11, 20)])
        assert newest_answers(conn, RAW_BAOSTOCK_DAILY, []).is_empty()
    assert found.columns == RAW_BAOSTOCK_DAILY.empty_text().columns
    assert found.select("code", "date", "close", "volume", "amount").rows() == [
        ("sh.600000", "2026-11-20", "2.0000", None, ""),
        ("sz.000001", "2026-11-20", "1.0000", "", None),
    ]


def test_tushares_rows_are_kept_and_found_by_the_day_it_writes(database: Database) -> None:
    fields = RAW_TUSHARE_DAILY.empty_text().columns
    rows = [dict.fromkeys(fields, "1.0") | {"ts_code": "600000.SH", "trade_date": f"202611{day}"} for day in (19, 20)]
    halted = [("600004.SH", "20261120", "S", hours) for hours in ("", "09:30-10:00", "13:00-14:00")]
    suspended = pl.DataFrame(halted, schema=RAW_TUSHARE_SUSPEND.empty_text().schema, orient="row")
    with database.begin() as conn:
        for expected in (Counts(inserted=2), Counts(unchanged=2)):
            assert save_answer(conn, RAW_TUSHARE_DAILY, pl.DataFrame(rows), fetched_at=FIRST, run_id=None) == expected
        for expected in (Counts(inserted=3), Counts(unchanged=3)):
            assert save_answer(conn, RAW_TUSHARE_SUSPEND, suspended, fetched_at=FIRST, run_id=None) == expected
        assert newest_answers(conn, RAW_TUSHARE_DAILY, [date(2026, 11, 19)])["trade_date"].to_list() == ["20261119"]
        assert newest_answers(conn, RAW_TUSHARE_SUSPEND, [date(2026, 11, 20)]).rows() == halted
