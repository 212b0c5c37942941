"""A store opened with a cache answers as one without, and follows the store's changes."""

import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from structlog.testing import capture_logs

from stock_assets.domain.adjustment import Adjust
from stock_assets.domain.errors import InvalidInput, StoreUnavailable
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.serve import Store, open_store
from stock_assets.serve.cached_reads import CachedReads
from stock_assets.serve.open_cache import open_cache
from stock_assets.storage import ledger
from stock_assets.storage.bulk_load import load
from stock_assets.storage.store_marks import changes, read_marks
from stock_assets.wiring import Installation
from stock_assets_tests.assets.conftest import home, new_installation
from stock_assets_tests.pipeline.snapshot_workshop import SnapshotWorkshop
from stock_assets_tests.serve.test_cache import in_threads, wait_until
from stock_assets_tests.storage.made_up_days import WEEK
from stock_assets_tests.storage.made_up_rows import DAY, NOW, bars, frame_of

__all__ = ["home", "new_installation"]

CODES = ["000001.SZ", "600000.SH"]
DAYS = [DAY + timedelta(offset) for offset in range(5)]
FRIDAY = WEEK[-1]
ADJUSTS: list[Adjust] = ["none", "hfq", "qfq"]
EX_DAYS = {"600000.SH": (DAYS[1], DAYS[3]), "000001.SZ": (DAYS[2],)}


def factor(code: str, day: date, value: float) -> dict[str, object]:
    return {"ts_code": code, "ex_date": day, "back_adjust_factor": value, "source": "baostock", "updated_at": NOW}


def line(day: date, *, digest: str = "a", dataset: str = STOCK_DAILY.name) -> ledger.LedgerEntry:
    return ledger.LedgerEntry(
        dataset=dataset,
        trade_date=day,
        status="complete",
        rows_expected=2,
        rows_present=2,
        rows_rejected=0,
        source="baostock",
        digest=digest,
        started_at=NOW,
        finished_at=NOW,
    )


@pytest.fixture
def installation(new_installation: Callable[..., Installation], tmp_path: Path) -> Installation:
    """Two stocks on five days with three ex-dates, every look at the store due at once."""
    installation = new_installation(STOCK_ASSETS_HOME=str(tmp_path), CACHE_CHECK_SECONDS="0")
    with installation.database.begin() as conn:
        load(conn, STOCK_DAILY, bars(CODES, DAYS))
        factors = [factor(code, day, 1.7 + day.day / 7) for code, days in EX_DAYS.items() for day in days]
        load(conn, ADJUST_FACTOR, frame_of(ADJUST_FACTOR, factors))
        for day in DAYS:
            ledger.write_entry(conn, line(day))
    return installation


@pytest.fixture
def cached(installation: Installation) -> Iterator[Store]:
    with open_store(cache=True) as store:
        assert installation
        yield store


@pytest.fixture
def plain(installation: Installation) -> Iterator[Store]:
    with open_store() as store:
        assert installation
        yield store


def reads_of(store: Store) -> CachedReads:
    assert store.cached is not None
    return store.cached


some_day = st.sampled_from([None, DAYS[0] - timedelta(9), *DAYS, DAYS[-1] + timedelta(9)])
some_columns = st.one_of(
    st.none(), st.lists(st.sampled_from([*STOCK_DAILY.names, "adjust_factor"]), min_size=1, unique=True)
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    codes=st.sampled_from([None, "600000", ["sh.600000"], "000001", "600001", CODES, []]),
    start=some_day,
    end=some_day,
    adjust=st.sampled_from(ADJUSTS),
    anchor=some_day,
    columns=some_columns,
    is_one_day=st.booleans(),
)
def test_every_answer_is_that_of_the_store_itself(
    cached: Store,
    plain: Store,
    codes: list[str] | str | None,
    start: date | None,
    end: date | None,
    adjust: Adjust,
    anchor: date | None,
    columns: list[str] | None,
    is_one_day: bool,  # noqa: FBT001  Hypothesis passes it by name
) -> None:
    end = start if is_one_day else end
    if adjust == "qfq" and anchor is None:
        for store in (plain, cached):
            with pytest.raises(InvalidInput, match="needs an anchor"):
                store.bars(codes, start, end, adjust=adjust)
        return
    answers = [
        store.bars(codes, start, end, adjust=adjust, anchor=anchor, columns=columns)
        for store in (plain, cached, cached)
    ]
    assert_frame_equal(answers[1], answers[0], check_exact=True)
    assert_frame_equal(answers[2], answers[0], check_exact=True)


def test_a_column_that_bars_do_not_have_is_refused_as_by_the_store(cached: Store) -> None:
    for codes, start in (("600000", None), (None, DAYS[0])):
        with pytest.raises(InvalidInput, match="no column volumen"):
            cached.bars(codes, start, start, columns=["volumen"])


def test_one_load_of_a_stock_answers_every_question_about_it(cached: Store) -> None:
    for adjust in ADJUSTS:
        for start in DAYS:
            cached.bars("600000", start, adjust=adjust, anchor=DAYS[4])
    stats = reads_of(cached).stats()
    assert (stats.loads, stats.hits, stats.misses) == (1, 14, 1)


def test_a_reader_who_changes_a_frame_changes_nobody_elses(cached: Store) -> None:
    first = cached.bars("600000")
    expected = first.clone()
    first[0, "close"] = -1.0
    first.drop_in_place("open")
    first.extend(expected.drop("open").clear())
    assert_frame_equal(cached.bars("600000"), expected, check_exact=True)


def test_what_is_asked_as_of_a_moment_or_of_several_stocks_is_read_from_the_store(cached: Store) -> None:
    assert cached.bars("600000", as_of=NOW - timedelta(days=1)).is_empty()
    assert cached.bars(CODES).height == 10
    assert reads_of(cached).stats().misses == 0


def test_a_corrected_bar_is_seen_at_the_next_look_and_other_days_stay_cached(
    cached: Store, installation: Installation
) -> None:
    for day in DAYS:
        cached.bars(None, day, day)
    cached.bars("600000")
    with installation.database.begin() as conn:
        load(conn, STOCK_DAILY, bars(["600000.SH"], [DAYS[2]], close=12.25, high=12.5))
        ledger.write_entry(conn, line(DAYS[2], digest="b"))
    assert cached.bars("600000", DAYS[2], DAYS[2])["close"].to_list() == [12.25]
    misses = reads_of(cached).stats().misses
    for day in DAYS:
        closes = dict(cached.bars(None, day, day, columns=["ts_code", "close"]).iter_rows())
        assert closes["600000.SH"] == (12.25 if day == DAYS[2] else 10.5)
    assert reads_of(cached).stats().misses == misses + 1


def test_a_new_day_is_seen_at_the_next_look(cached: Store, installation: Installation) -> None:
    new = DAYS[-1] + timedelta(1)
    assert cached.bars("600000").height == 5
    assert cached.bars(None, new, new).is_empty()
    with installation.database.begin() as conn:
        load(conn, STOCK_DAILY, bars(CODES, [new]))
        ledger.write_entry(conn, line(new))
    assert cached.bars("600000").height == 6
    assert cached.bars(None, new, new).height == 2


def test_a_corrected_factor_is_seen_although_its_line_in_the_ledger_says_the_same(
    cached: Store, installation: Installation
) -> None:
    before = cached.bars(None, DAYS[4], DAYS[4], adjust="hfq"), cached.bars("600000", adjust="hfq")
    raw = cached.bars(None, DAYS[4], DAYS[4])
    misses = reads_of(cached).stats().misses
    with installation.database.begin() as conn:
        load(conn, ADJUST_FACTOR, frame_of(ADJUST_FACTOR, [factor("600000.SH", DAYS[3], 9.0)]))
    after = cached.bars(None, DAYS[4], DAYS[4], adjust="hfq"), cached.bars("600000", adjust="hfq")
    assert [frame["close"][-1] for frame in after] == [10.5 * 9.0] * 2
    assert [frame["close"][-1] for frame in before] != [10.5 * 9.0] * 2
    assert_frame_equal(cached.bars(None, DAYS[4], DAYS[4]), raw)
    assert reads_of(cached).stats().misses == misses + 2


def test_a_store_that_nobody_changed_is_not_read_again(cached: Store, installation: Installation) -> None:
    cached.bars("600000")
    with installation.database.begin() as conn:
        assert not ledger.write_entry(conn, line(DAYS[0]))
    for _ in range(3):
        cached.bars("600000")
    assert reads_of(cached).stats().loads == 1


def test_marks_name_exactly_the_days_that_were_written(installation: Installation) -> None:
    database = installation.database
    with database.read() as conn:
        before = read_marks(conn)
    with database.begin() as conn:
        ledger.write_entry(conn, line(DAYS[1], digest="b"))
        ledger.write_entry(conn, line(DAYS[3], dataset=ADJUST_FACTOR.name))
        conn.execute(sa.text("DELETE FROM load_ledger WHERE trade_date = :day"), {"day": DAYS[4]})
    with database.read() as conn:
        after = read_marks(conn, before)
    change = changes(before, after)
    assert change.days == {STOCK_DAILY.name: {DAYS[1], DAYS[4]}, ADJUST_FACTOR.name: {DAYS[3]}}
    assert not change.has_new_factors
    assert before.store == after.store
    assert not changes(after, after)


def test_a_login_that_may_only_read_can_read_the_marks(installation: Installation) -> None:
    with installation.database.read() as conn:
        owner = read_marks(conn)
        conn.execute(sa.text("SET LOCAL ROLE stock_assets_reader"))
        assert read_marks(conn).name == owner.name


def test_a_store_that_went_away_does_not_break_what_is_cached(
    cached: Store, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = cached.bars("600000")

    def gone(*_: object) -> object:
        raise StoreUnavailable(reason="gone")

    monkeypatch.setattr("stock_assets.serve.open_cache.read_marks", gone)
    with capture_logs() as lines:
        for _ in range(3):
            assert_frame_equal(cached.bars("600000"), held)
    assert [found["event"] for found in lines] == ["cache.unchecked"]
    assert installation


def test_the_most_asked_stocks_are_loaded_when_the_store_is_opened_again(installation: Installation) -> None:
    with open_store(cache=True) as store:
        for _ in range(3):
            store.bars("600000")
    file = installation.settings.home / "state" / "asked_stocks.json"
    assert json.loads(file.read_text()) == {"600000.SH": 3}
    with open_store(cache=True) as store:
        wait_until(lambda: reads_of(store).stats().refreshes == 1)
        store.bars("600000", DAYS[1], adjust="hfq")
        assert (reads_of(store).stats().hits, reads_of(store).stats().misses) == (1, 0)
    assert json.loads(file.read_text()) == {"600000.SH": 4}


class MadeUpSnapshots:
    def __init__(self) -> None:
        self.reads: list[date] = []

    def latest_day(self) -> date | None:
        return DAYS[4]

    def read(self, day: date) -> pl.DataFrame:
        self.reads.append(day)
        return pl.DataFrame({"trade_date": [day]})


def test_snapshots_are_cached_the_latest_is_loaded_at_the_start_and_a_change_of_the_day_forgets_one(
    installation: Installation,
) -> None:
    snapshots = MadeUpSnapshots()
    reads = open_cache(installation, snapshots=snapshots)
    try:
        wait_until(lambda: snapshots.reads == [DAYS[4]])
        for day in (DAYS[4], DAYS[2], DAYS[2]):
            assert reads.snapshot(day)["trade_date"].to_list() == [day]
        assert snapshots.reads == [DAYS[4], DAYS[2]]
        with installation.database.begin() as conn:
            ledger.write_entry(conn, line(DAYS[2], dataset="technical_daily"))
        for day in (DAYS[4], DAYS[2]):
            reads.snapshot(day)
        assert snapshots.reads == [DAYS[4], DAYS[2], DAYS[2]]
    finally:
        reads.close()


def test_a_snapshot_of_the_store_is_cached_and_a_new_one_of_the_day_takes_its_place(
    new_installation: Callable[..., Installation], tmp_path: Path
) -> None:
    installation = new_installation(STOCK_ASSETS_HOME=str(tmp_path), CACHE_CHECK_SECONDS="0", CACHE_WARM_STOCKS="0")
    workshop = SnapshotWorkshop.filled(installation.database, installation.snapshot_folder)
    workshop.publish()
    with open_store() as plain, open_store(cache=True) as store:
        old = plain.read_snapshot(FRIDAY)
        for _ in range(3):
            assert_frame_equal(store.read_snapshot(str(FRIDAY)), old, check_exact=True)
        assert (reads_of(store).stats().hits, reads_of(store).stats().misses) == (2, 1)
        assert_frame_equal(store.read_snapshot(FRIDAY, ["ts_code"]), old.select("ts_code"))
        workshop.change("UPDATE stock_daily SET pe_ttm = 99.5 WHERE trade_date = :day", day=FRIDAY)
        workshop.publish()
        assert set(store.read_snapshot(FRIDAY)["pe_ttm"]) == {99.5}
        with pytest.raises(InvalidInput, match="no snapshot"):
            store.read_snapshot("1999-01-04")


def test_cached_reads_without_snapshots_say_so(installation: Installation) -> None:
    reads = open_cache(installation)
    with pytest.raises(InvalidInput, match="no snapshots"):
        reads.snapshot(DAYS[0])
    reads.close()


def test_many_readers_of_many_questions_get_what_the_store_says(cached: Store, plain: Store) -> None:
    expected = {code: plain.bars(code, adjust="hfq") for code in CODES}

    def work(number: int) -> object:
        code = CODES[number % 2]
        for _ in range(5):
            assert_frame_equal(cached.bars(code, adjust="hfq"), expected[code])
        return None

    assert in_threads(100, work, seconds=60) == [None] * 100
    assert reads_of(cached).stats().loads == 2
