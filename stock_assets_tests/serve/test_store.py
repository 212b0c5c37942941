"""The store as people ask for it in Python."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.errors import InvalidInput, StoreUnavailable
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.indicators.table import TECHNICAL_DAILY, price_columns, shown_columns
from stock_assets.pipeline.snapshot import publish_snapshots
from stock_assets.serve import Store, open_store, pivot, read_snapshot, to_pandas
from stock_assets.storage.bulk_load import load
from stock_assets.wiring import Installation
from stock_assets_tests.assets.conftest import home, new_installation
from stock_assets_tests.quality.made_up_reports import QUARTER, report
from stock_assets_tests.storage.made_up_days import WEEK, fill, technicals
from stock_assets_tests.storage.made_up_rows import DAY, NOW, bars, frame_of
from stock_assets_tests.storage.test_finance import hear

__all__ = ["home", "new_installation"]

CODES = ["000001.SZ", "600000.SH"]
DAYS = [DAY + timedelta(offset) for offset in range(3)]


@pytest.fixture
def store(new_installation: Callable[..., Installation]) -> Iterator[Store]:
    """The store that the environment names: two stocks on three days, one of them goes ex on the second."""
    factor = {"ts_code": "600000.SH", "ex_date": DAYS[1], "back_adjust_factor": 2.0, "source": "baostock"}
    with new_installation().database.begin() as conn:
        load(conn, STOCK_DAILY, bars(CODES, DAYS, volume=None))
        load(conn, ADJUST_FACTOR, frame_of(ADJUST_FACTOR, [factor | {"updated_at": NOW}]))
    with open_store() as store:
        yield store


@pytest.mark.parametrize("code", ["600000", "600000.SH", "sh.600000", "SH600000", "600000.XSHG", ["600000"]])
def test_codes_are_taken_in_every_common_form(store: Store, code: str | list[str]) -> None:
    assert store.bars(code)["ts_code"].unique().to_list() == ["600000.SH"]
    assert store.arrow("stock_daily", code).num_rows == 3


def test_days_are_taken_as_values_and_as_text(store: Store) -> None:
    expected = store.bars("600000", DAYS[1], DAYS[1])
    assert expected.height == 1
    moment: Any = pd.Timestamp(DAYS[1])
    for day in (str(DAYS[1]), f"{DAYS[1]:%Y%m%d}", datetime(2026, 11, 21, 9, 30), moment):  # noqa: DTZ001
        assert_frame_equal(store.bars("600000", day, day), expected)
        assert_frame_equal(store.table("stock_daily", "600000", day, day), expected.drop("adjust_factor"))


def test_reports_are_read_as_they_were_known(new_installation: Callable[..., Installation]) -> None:
    with new_installation().database.begin() as conn:
        rows = [report(date(2024, 3, 28), eps=1.5), report(date(2024, 10, 8), eps=1.25)]
        hear(conn, *rows, report(date(2024, 4, 26), end=QUARTER, eps=0.4), on=date(2024, 10, 8))
    with open_store() as store:
        assert store.finance("600000")["eps"].to_list() == [1.25, 0.4]
        for day in ("2024-04-29", "20241008", date(2024, 10, 8), datetime(2024, 10, 8, 9, tzinfo=SHANGHAI)):
            known = store.finance("sh.600000", as_of=day)
            assert known["eps"].to_list() == [1.5, 0.4]
            assert_frame_equal(store.table("finance_indicator", as_of=day), known)
        assert store.finance(as_of="2024-03-28").is_empty()
        quarter = store.finance(["600000"], start="2024-01-01", as_of="2024-12-31", columns=["end_date", "eps"])
        assert quarter.rows() == [(QUARTER, 0.4)]
        assert store.table("finance_indicator").height == 3


def test_bars_are_adjusted_as_asked(store: Store) -> None:
    assert store.bars("600000", adjust="hfq")["close"].to_list() == [10.5, 21.0, 21.0]
    assert store.bars("600000", adjust="qfq", anchor=str(DAYS[2]))["close"].to_list() == [5.25, 10.5, 10.5]
    with pytest.raises(InvalidInput, match="needs an anchor"):
        store.bars("600000", adjust="qfq")


def test_indicators_are_adjusted_as_asked_and_states_are_given_by_name(
    store: Store, new_installation: Callable[..., Installation]
) -> None:
    with new_installation().database.begin() as conn:
        load(conn, TECHNICAL_DAILY, technicals(CODES, DAYS))
    stored = store.table("technical_daily")
    shown = stored.select(shown_columns())
    assert stored.height == 6
    assert_frame_equal(store.technicals(), shown, check_exact=True)
    assert_frame_equal(store.technicals(adjust="hfq"), shown, check_exact=True)
    # The second stock went ex on the second day: before, an anchor divides by nothing.
    for anchor, factor in ((str(DAYS[0]), 1.0), (f"{DAYS[1]:%Y%m%d}", 2.0), (DAYS[2], 2.0)):
        divisor = pl.when(pl.col("ts_code") == "600000.SH").then(factor).otherwise(1.0)
        expected = stored.with_columns(pl.col(name) / divisor for name in price_columns())
        whole = store.technicals(adjust="qfq", anchor=anchor)
        assert_frame_equal(whole, expected.select(shown_columns()), check_exact=True)
        named = store.technicals(
            "sh.600000", str(DAYS[1]), adjust="qfq", anchor=anchor, columns=["ema_12", "rsi_gain_6"]
        )
        of_one = expected.filter(pl.col("ts_code") == "600000.SH", pl.col("trade_date") >= DAYS[1])
        assert_frame_equal(named, of_one.select("ema_12", "rsi_gain_6"), check_exact=True)
    assert {"rsi_gain_6", "input_digest"}.isdisjoint(store.technicals().columns)
    with pytest.raises(InvalidInput, match="needs an anchor"):
        store.technicals(adjust="qfq")


def test_a_moment_is_taken_in_every_form(store: Store) -> None:
    # NOW, when everything was stored, is 02:30 on the 21st in Shanghai.
    local = NOW.astimezone(SHANGHAI).replace(tzinfo=None)
    for known in (NOW, local, local.isoformat(), "2026-11-20T18:30Z", "2026-11-21", date(2026, 11, 21)):
        assert store.bars(as_of=known).height == 6
    for unknown in (NOW - timedelta(microseconds=1), "2026-11-21T02:29", "2026-11-20", date(2026, 11, 20)):
        assert store.bars(as_of=unknown).is_empty()


def test_a_stream_gives_the_same(store: Store) -> None:
    with store.batches("stock_daily", CODES[:1]) as stream:
        assert stream.read_all().equals(store.arrow("stock_daily", CODES[:1]))


def test_frames_are_turned_for_pandas_with_their_types_or_as_pandas_code_expects(store: Store) -> None:
    arrow: Any = store.arrow("stock_daily")
    for rows in (arrow, store.table("stock_daily")):
        exact: Any = to_pandas(rows)
        assert str(exact.dtypes["volume"]) == "int64[pyarrow]"
        assert str(exact.dtypes["updated_at"]) == "timestamp[us, tz=UTC][pyarrow]"
        assert exact["volume"].isna().all()
        assert exact.groupby("ts_code")["close"].mean().to_dict() == dict.fromkeys(CODES, 10.5)
        plain: Any = to_pandas(rows, dtypes="numpy")
        assert (str(plain.dtypes["volume"]), str(plain.dtypes["close"])) == ("float64", "float64")
        assert plain["trade_date"][0] == DAYS[0]
        assert plain["is_suspended"].dtype == bool


def test_a_store_shows_where_it_is_and_no_password(store: Store) -> None:
    assert repr(store) == "Store('STOCK_ASSETS_DATABASE_URL')"


def test_a_pivot_is_at_hand(store: Store) -> None:
    assert pivot(store.bars(columns=["ts_code", "trade_date", "close"])).columns == ["trade_date", *CODES]


@pytest.mark.usefixtures("store")
def test_a_store_that_cannot_be_reached_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCK_ASSETS_DATABASE_URL", "postgresql://keeper:pa55-of-keeper@127.0.0.1:1/shares")
    with pytest.raises(StoreUnavailable) as caught:
        open_store()
    assert "pa55" not in str(caught.value)


def test_the_import_alone_brings_no_library_that_takes_time() -> None:
    heavy = "{'polars', 'pandas', 'pyarrow', 'psycopg', 'sqlalchemy', 'pydantic', 'adbc_driver_manager'}"
    code = f"import sys, stock_assets.serve; print(sorted({heavy} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


def test_frames_of_polars_are_what_bars_are(store: Store) -> None:
    assert isinstance(store.bars(), pl.DataFrame)
    assert isinstance(store.table("security"), pl.DataFrame)


def test_snapshots_are_read_by_day_and_by_id(new_installation: Callable[..., Installation]) -> None:
    installation = new_installation()
    fill(installation.database)
    publish_snapshots(installation.snapshots(), WEEK, installation.snapshot_folder)
    with open_store() as store:
        listed = store.snapshots("2026-11-19")
        assert listed["trade_date"].to_list() == [WEEK[4], WEEK[3]]
        name = str(listed["snapshot_id"][0])
        frame = store.read_snapshot(WEEK[4])
        moment: Any = pd.Timestamp(WEEK[4])
        for day in ("2026-11-20", "20261120", name, moment):
            assert_frame_equal(store.read_snapshot(day), frame)
        assert store.read_snapshot(name, ["ts_code", "roe"]).columns == ["ts_code", "roe"]
        assert store.snapshot_arrow(name).schema.metadata[b"snapshot_id"] == name.encode()
    assert_frame_equal(read_snapshot("2026-11-20"), frame)
