from datetime import date, timedelta

import polars as pl
import pytest
import sqlalchemy as sa
from polars.testing import assert_frame_equal

from stock_assets.domain.errors import DataRefused
from stock_assets.domain.tables import QUALITY_FINDING
from stock_assets.storage.bulk_load import Counts
from stock_assets.storage.database import Database
from stock_assets.storage.rejects import (
    RejectedCounts,
    open_counts,
    read_findings,
    read_rejected,
    save_findings,
    save_rejected,
)
from stock_assets_tests.storage.made_up_rows import DAY, LATER, NOW, frame_of, rejected

NEXT = DAY + timedelta(days=1)


def _findings(*codes: str, day: date = DAY, dataset: str = "stock_daily", **values: object) -> pl.DataFrame:
    row: dict[str, object] = {
        "dataset": dataset,
        "trade_date": day,
        "rule": "jump",
        "severity": "info",
        "detail": "+12 %",
        "run_id": "run",
        "found_at": NOW,
    }
    return frame_of(QUALITY_FINDING, [row | {"ts_code": code} | values for code in codes])


def _open(conn: sa.Connection) -> list[str]:
    return read_rejected(conn, DAY, NEXT).filter(pl.col("resolved_at").is_null())["row_digest"].to_list()


def _versions(conn: sa.Connection, table: str) -> list[tuple[object, ...]]:
    query = sa.text(f"SELECT ctid::text, xmin::text, xmax::text FROM {table} ORDER BY 1")  # noqa: S608
    return [tuple(row) for row in conn.execute(query)]


def test_a_rejected_row_is_open_until_an_answer_no_longer_holds_it_and_open_again_when_it_comes_back(
    database: Database,
) -> None:
    with database.begin() as conn:
        assert save_rejected(conn, "stock_daily", [DAY], rejected("a", "b")) == RejectedCounts(new=2)
        assert _open(conn) == ["a", "b"]
        second = save_rejected(conn, "stock_daily", [DAY], rejected("b", "c"))
        assert second == RejectedCounts(new=1, unchanged=1, resolved=1)
        assert _open(conn) == ["b", "c"]
        assert save_rejected(conn, "stock_daily", [DAY], rejected()) == RejectedCounts(resolved=2)
        assert _open(conn) == []
        third = save_rejected(conn, "stock_daily", [DAY], rejected("a", rejected_at=LATER, run_id="other"))
        assert third == RejectedCounts(reopened=1)
        assert _open(conn) == ["a"]
        row = read_rejected(conn, DAY, DAY).row(0, named=True)
        assert (row["rejected_at"], row["run_id"]) == (NOW, "run")


def test_rejected_rows_of_other_days_and_datasets_are_left_alone(database: Database) -> None:
    with database.begin() as conn:
        save_rejected(conn, "stock_daily", [DAY], rejected("a"))
        save_rejected(conn, "stock_daily", [NEXT], rejected("b", day=NEXT))
        save_rejected(conn, "adjust_factor", [DAY], rejected("c", dataset="adjust_factor"))
        assert save_rejected(conn, "stock_daily", [DAY], rejected()) == RejectedCounts(resolved=1)
        assert _open(conn) == ["c", "b"]


def test_the_same_rejected_rows_again_write_nothing(database: Database) -> None:
    with database.begin() as conn:
        save_rejected(conn, "stock_daily", [DAY, NEXT], pl.concat([rejected("a"), rejected("b", day=NEXT)]))
        save_rejected(conn, "stock_daily", [NEXT], rejected())
    with database.begin() as conn:
        before = _versions(conn, "rejected_row")
        again = save_rejected(conn, "stock_daily", [DAY, NEXT], rejected("a", rejected_at=LATER, run_id=None))
        assert again == RejectedCounts(unchanged=1)
        assert _versions(conn, "rejected_row") == before


def test_a_rejected_row_without_a_readable_code_is_kept_too(database: Database) -> None:
    with database.begin() as conn:
        frame = rejected("a", ts_code=None)
        save_rejected(conn, "stock_daily", [DAY], frame)
        assert_frame_equal(read_rejected(conn, DAY, DAY), frame)


def test_findings_of_a_day_become_exactly_the_new_ones(database: Database) -> None:
    with database.begin() as conn:
        assert save_findings(conn, "stock_daily", [DAY], _findings("000001.SZ", "000002.SZ")) == Counts(inserted=2)
        second = pl.concat([_findings("000002.SZ", severity="warning", found_at=LATER), _findings("000003.SZ")])
        assert save_findings(conn, "stock_daily", [DAY], second) == Counts(inserted=1, updated=1)
        assert_frame_equal(read_findings(conn, DAY, DAY), second)
        assert save_findings(conn, "stock_daily", [DAY], _findings()) == Counts()
        assert read_findings(conn, DAY, NEXT).is_empty()


def test_what_is_said_of_some_stocks_leaves_the_others_alone(database: Database) -> None:
    with database.begin() as conn:
        save_findings(conn, "stock_daily", [DAY], _findings("000001.SZ", "000002.SZ"))
        save_rejected(conn, "stock_daily", [DAY], pl.concat([rejected("a"), rejected("b", ts_code="000001.SZ")]))
        save_findings(conn, "stock_daily", [DAY], _findings(), ts_codes=["000001.SZ"])
        counts = save_rejected(conn, "stock_daily", [DAY], rejected(), ts_codes=["000001.SZ"])
        assert read_findings(conn, DAY, DAY)["ts_code"].to_list() == ["000002.SZ"]
        assert counts == RejectedCounts(resolved=1)
        assert open_counts(conn, "stock_daily", [DAY, NEXT]) == {DAY: 1}


def test_the_same_findings_again_write_nothing(database: Database) -> None:
    with database.begin() as conn:
        save_findings(conn, "stock_daily", [DAY], _findings("000001.SZ", "000002.SZ"))
    with database.begin() as conn:
        before = _versions(conn, "quality_finding")
        again = _findings("000001.SZ", "000002.SZ", found_at=LATER, run_id="other")
        assert save_findings(conn, "stock_daily", [DAY], again) == Counts(unchanged=2)
        assert _versions(conn, "quality_finding") == before


def test_findings_of_other_days_and_datasets_are_left_alone(database: Database) -> None:
    with database.begin() as conn:
        save_findings(
            conn, "stock_daily", [DAY, NEXT], pl.concat([_findings("000001.SZ"), _findings("000001.SZ", day=NEXT)])
        )
        save_findings(conn, "adjust_factor", [DAY], _findings("000002.SZ", dataset="adjust_factor"))
        save_findings(conn, "stock_daily", [DAY], _findings())
        left = read_findings(conn, DAY, NEXT).select("dataset", "trade_date").rows()
        assert left == [("adjust_factor", DAY), ("stock_daily", NEXT)]


def test_rows_outside_the_days_being_saved_are_refused(database: Database) -> None:
    with database.begin() as conn:
        with pytest.raises(DataRefused, match="outside"):
            save_rejected(conn, "stock_daily", [DAY], rejected("a", day=NEXT))
        with pytest.raises(DataRefused, match="outside"):
            save_findings(conn, "adjust_factor", [DAY], _findings("000001.SZ"))
