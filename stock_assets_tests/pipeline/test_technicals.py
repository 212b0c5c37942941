"""Laws of stored indicators: any order and any split of days gives the same bits, and only what must be is written."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from stock_assets.domain.tables import ADJUST_FACTOR
from stock_assets.indicators.catalog import FAMILIES
from stock_assets.indicators.conventions import Choices
from stock_assets.indicators.family import Family, Indicator
from stock_assets.indicators.panel import Array, Bars, Segments
from stock_assets.storage import bulk_load, ledger
from stock_assets.storage.database import Database
from stock_assets.storage.reader import Reader
from stock_assets_tests.databases import Server, own_database
from stock_assets_tests.pipeline.technical_workshop import (
    DAYS,
    DELISTED,
    LISTED,
    SUSPENDED,
    Workshop,
    factors,
)
from stock_assets_tests.storage.made_up_rows import entry


@pytest.fixture
def workshop(database: Database, tmp_path: Path) -> Workshop:
    return Workshop(database, tmp_path / "cache" / "ring")


def changed(workshop: Workshop, ts_code: str, day: date, **values: pl.Expr | float) -> None:
    """Let the truth of one bar be another one."""
    here = (pl.col("ts_code") == ts_code) & (pl.col("trade_date") == day)
    workshop.truth = workshop.truth.with_columns(
        pl.when(here).then(value).otherwise(pl.col(name)).alias(name) for name, value in values.items()
    )


@pytest.mark.slow
@settings(max_examples=3)
@given(data=st.data())
def test_days_in_any_order_and_in_any_number_of_runs_end_with_the_same_bits(
    server: Server, migrated_template: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    with own_database(server, migrated_template) as url:
        database = Database(url)
        ring_file = data.draw(st.sampled_from([None, tmp_path_factory.mktemp("cache") / "ring"]), "ring")
        workshop = Workshop(database, ring_file, write_rows=data.draw(st.sampled_from([50, 100_000]), "rows a frame"))
        pieces = sorted(data.draw(st.sets(st.sampled_from(range(1, len(DAYS))), min_size=2, max_size=6), "cuts"))
        parts = [DAYS[a:b] for a, b in zip([0, *pieces], [*pieces, len(DAYS)], strict=True)]
        for part in data.draw(st.permutations(parts), "order"):
            workshop.land(part)
            # Asked are some of the days, and they bring along what they need.
            workshop.compute(*data.draw(st.lists(st.sampled_from(part), min_size=1, max_size=2), "asked"))
        workshop.compute()
        workshop.assert_whole()
        before = workshop.versions()
        report = workshop.compute()
        assert (report.rows_written, report.outcomes, workshop.written_since(before)) == (0, [], set())
        database.close()


def test_night_after_night_across_a_long_suspension_and_the_ring_is_what_the_store_says(workshop: Workshop) -> None:
    workshop.land(DAYS[:255])
    workshop.compute()
    for day in DAYS[255:265]:
        workshop.land([day])
        report = workshop.compute(day)
        assert report.inserted == workshop.truth.filter((pl.col("trade_date") == day) & ~pl.col("is_suspended")).height
        assert report.updated == report.unchanged == 0
    workshop.assert_whole()
    assert workshop.ring is not None
    found = workshop.ring.read_bytes()
    workshop.ring.unlink()
    workshop.land([DAYS[265]])
    workshop.compute(DAYS[265])
    rebuilt = workshop.ring.read_bytes()
    assert len(found) == len(rebuilt) != 0
    assert SUSPENDED in set(workshop.stored().filter(pl.col("trade_date") == DAYS[262])["ts_code"])
    workshop.assert_whole()


def spoilt(how: str, content: bytes, old: bytes) -> bytes:
    """Return what is found in a ring's file instead of `content`; `old` was there the night before."""
    half = len(content) // 2
    return {
        "empty": b"",
        "garbage": b"garbage" * 1000,
        "cut off": content[:-1000],
        "one value": content[:-8] + bytes(8),
        "a torn page": content[:half] + bytes(4096) + content[half + 4096 :],
        "of another night": old,
    }[how]


@pytest.mark.parametrize("how", ["empty", "garbage", "cut off", "one value", "a torn page", "of another night"])
def test_a_ring_that_is_stale_or_damaged_costs_time_and_nothing_else(workshop: Workshop, how: str) -> None:
    assert workshop.ring is not None
    workshop.land(DAYS[:30])
    workshop.compute()
    workshop.land([DAYS[30]])
    workshop.compute()
    old = workshop.ring.read_bytes()
    workshop.land([DAYS[31]])
    workshop.compute()
    workshop.ring.write_bytes(spoilt(how, workshop.ring.read_bytes(), old))
    workshop.land(DAYS[32:34])
    workshop.compute()
    workshop.assert_whole()


def test_a_correction_writes_its_stock_from_its_day_on_and_nothing_else(workshop: Workshop) -> None:
    workshop.land(DAYS[:300])
    workshop.compute()
    before = workshop.versions()
    changed(workshop, "000001.SZ", DAYS[280], close=pl.col("close") + 0.01, high=pl.col("high") + 1)
    workshop.land([DAYS[280]])
    report = workshop.compute(DAYS[280])
    written = workshop.written_since(before)
    assert {code for code, _ in written} == {"000001.SZ"}
    assert min(day for _, day in written) == DAYS[280]
    assert report.updated == len(written)
    assert (report.inserted, report.deleted) == (0, 0)
    assert [outcome.day for outcome in report.outcomes] == [DAYS[280]]
    workshop.assert_whole()


def test_a_change_of_what_no_indicator_looks_at_writes_no_row(workshop: Workshop) -> None:
    workshop.land(DAYS[:30])
    workshop.compute()
    before = workshop.versions()
    changed(workshop, "000001.SZ", DAYS[20], pe_ttm=9.5)
    workshop.land([DAYS[20]])
    report = workshop.compute(DAYS[29])
    assert [outcome.day for outcome in report.outcomes] == [DAYS[20]]
    assert (report.rows_written, report.unchanged) == (0, 0)
    assert workshop.written_since(before) == set()
    workshop.assert_whole()


def test_a_new_ex_date_rewrites_no_stored_row(workshop: Workshop) -> None:
    workshop.land(DAYS[:200])
    workshop.compute()
    before = workshop.versions()
    workshop.land([DAYS[200]])
    report = workshop.compute(DAYS[200])
    assert report.updated == 0
    assert {day for _, day in workshop.written_since(before)} == {DAYS[200]}
    workshop.assert_whole()


def test_a_restated_factor_is_followed_from_its_day_on_by_its_stock_alone(workshop: Workshop) -> None:
    workshop.land(DAYS[:150])
    workshop.compute()
    before = workshop.versions()
    # The stock does not trade on the new ex-date, so that no row of that day can tell.
    workshop.factors = pl.concat([workshop.factors, factors((SUSPENDED, DAYS[118], 3.0), (LISTED, DAYS[100], 1.1))])
    changed(workshop, LISTED, DAYS[100], is_suspended=True)
    workshop.land([DAYS[100], DAYS[118]])
    workshop.compute()
    written = workshop.written_since(before)
    assert {code for code, _ in written} == {SUSPENDED, LISTED}
    assert min(day for _, day in written) > DAYS[100]
    workshop.assert_whole()


def test_factors_that_come_after_the_bars_are_followed(workshop: Workshop) -> None:
    late, workshop.factors = workshop.factors, workshop.factors.clear()
    workshop.land(DAYS[:120])
    workshop.compute()
    workshop.assert_whole()
    workshop.factors = late
    with workshop.database.begin() as conn:
        bulk_load.load(conn, ADJUST_FACTOR, late.filter(pl.col("ex_date") <= DAYS[119]))
    report = workshop.compute(DAYS[119])
    assert {outcome.day for outcome in report.outcomes} == {DAYS[60], DAYS[90]}
    assert report.stocks == {"000001.SZ", "920001.BJ"}
    workshop.assert_whole()


def test_an_older_history_that_comes_late_moves_every_later_row_that_depends_on_it(workshop: Workshop) -> None:
    workshop.land(DAYS[200:260])
    workshop.compute()
    workshop.assert_whole()
    workshop.land(DAYS[:200])
    workshop.compute(DAYS[10])
    workshop.assert_whole()


def test_a_day_that_comes_among_computed_ones_is_computed_with_all_that_follows(workshop: Workshop) -> None:
    workshop.land([day for day in DAYS[:60] if day != DAYS[50]])
    workshop.compute()
    workshop.land([DAYS[50]])
    before = workshop.versions()
    report = workshop.compute(DAYS[50])
    assert {day for _, day in workshop.written_since(before)} == set(DAYS[50:60])
    assert [outcome.day for outcome in report.outcomes] == [DAYS[50]]
    workshop.assert_whole()


def test_a_stock_that_is_gone_from_the_bars_is_gone_from_the_indicators(workshop: Workshop) -> None:
    workshop.land(DAYS[:60])
    workshop.compute()
    workshop.truth = workshop.truth.filter(pl.col("ts_code") != DELISTED)
    workshop.land(DAYS[:60])
    report = workshop.compute(DAYS[0])
    assert report.deleted > 0
    workshop.assert_whole()


def test_a_suspension_that_is_found_out_later_takes_its_row_away(workshop: Workshop) -> None:
    workshop.land(DAYS[:60])
    workshop.compute()
    changed(workshop, DELISTED, DAYS[40], is_suspended=True)
    workshop.land([DAYS[40]])
    assert workshop.compute(DAYS[40]).deleted == 1
    workshop.assert_whole()


def test_a_day_is_as_whole_as_its_bars_and_without_bars_it_is_refused_with_the_command_that_loads_them(
    workshop: Workshop,
) -> None:
    workshop.land(DAYS[:10])
    workshop.land([DAYS[10]], status="partial")
    workshop.truth = workshop.truth.filter(pl.col("trade_date") != DAYS[11])
    workshop.land([DAYS[11]])
    report = workshop.compute(DAYS[9], DAYS[10], DAYS[11], DAYS[12])
    assert {outcome.day: (outcome.status, outcome.detail) for outcome in report.outcomes if outcome.day >= DAYS[9]} == {
        DAYS[9]: ("complete", None), DAYS[10]: ("partial", "1 missing"), DAYS[11]: ("empty", None),
        DAYS[12]: ("refused", str(report.failures[0].error)),
    }  # fmt: skip
    failure = report.failure()
    assert failure is not None
    assert f"backfill-daily --start {DAYS[12]} --end {DAYS[12]}" in str(failure)
    with workshop.database.read() as conn:
        assert DAYS[12] not in ledger.known_days(conn, "technical_daily")
    workshop.land([DAYS[10]])
    assert [outcome.status for outcome in workshop.compute().outcomes] == ["complete"]
    workshop.assert_whole()


def test_days_on_which_no_stock_was_listed_yet_are_no_failure(workshop: Workshop) -> None:
    workshop.land(DAYS[1:3])
    assert workshop.compute(*DAYS[:3]).failure() is not None
    with workshop.database.begin() as conn:
        conn.execute(sa.text("UPDATE security SET list_date = :day WHERE list_date < :day"), {"day": DAYS[1]})
    report = workshop.compute(*DAYS[:3], again=True)
    assert report.failure() is None
    assert {outcome.day for outcome in report.outcomes} == set(DAYS[1:3])


def test_a_day_is_no_more_complete_than_its_factors(workshop: Workshop) -> None:
    days = DAYS[:12]
    workshop.land(days)

    def factors_are(status: ledger.Status) -> None:
        line = entry(dataset=ADJUST_FACTOR.name, trade_date=days[-1], status=status, detail="1 rejected")
        with workshop.database.begin() as conn:
            ledger.write_entry(conn, line)

    def told() -> tuple[str, str | None]:
        with workshop.database.read() as conn:
            row = ledger.read_entries(conn, "technical_daily", days[-1], days[-1]).row(0, named=True)
        return row["status"], row["detail"]

    factors_are("partial")
    workshop.compute(*days)
    assert told() == ("partial", "adjustment factors of the day are not all there")
    factors_are("complete")
    report = workshop.compute(*days)
    assert (told(), report.rows_written) == (("complete", None), 0)


def test_nothing_later_than_the_asked_day_is_begun(workshop: Workshop) -> None:
    workshop.land(DAYS[:20])
    workshop.compute(DAYS[12])
    workshop.assert_whole(through=DAYS[12])


def test_a_changed_fact_of_a_security_moves_its_limits(workshop: Workshop) -> None:
    workshop.land(DAYS[:60])
    workshop.compute()
    before = workshop.versions()
    with workshop.database.begin() as conn:
        conn.execute(sa.text(f"UPDATE security SET board = 'star' WHERE ts_code = '{LISTED}'"))  # noqa: S608  ours
    workshop.compute(DAYS[59])
    assert {code for code, _ in workshop.written_since(before)} == {LISTED}
    stored = workshop.stored().filter((pl.col("ts_code") == LISTED) & (pl.col("trade_date") > DAYS[50]))
    assert stored["limit_up_price"].null_count() == 0


def test_damage_is_repaired_when_a_person_asks_for_it(workshop: Workshop) -> None:
    workshop.land(DAYS[:60])
    workshop.compute()
    with workshop.database.begin() as conn:
        conn.execute(sa.text("UPDATE technical_daily SET ma_5 = 1 WHERE trade_date = :day"), {"day": DAYS[30]})
    assert workshop.compute().rows_written == 0
    assert workshop.compute(DAYS[30], again=True, ts_codes=["000001.SZ"]).updated == 1
    assert workshop.compute(DAYS[30], again=True).updated == 4
    workshop.assert_whole()


def twice(bars: Bars, segments: Segments, _choices: Choices, _before: Array, out: Array) -> None:
    """A kernel of one's own, in plain Python."""
    for first, end, place in zip(segments.first, segments.end, segments.place, strict=True):
        out[0, place : place + end - first] = 2 * bars.close[first:end]


OWN = Family(
    name="twice",
    zh="两倍收盘价",
    en="twice the close",
    inputs=("close",),
    indicators=(
        Indicator(
            name="twice_close",
            zh="两倍收盘价",
            en="twice the close",
            formula="2*CLOSE",
            first_row=1,
            basis="price",
            unit="CNY, back-adjusted",
        ),
    ),
    kernel=twice,
    lookback=0,
    source="自己的 | one's own",
)


def test_an_indicator_of_ones_own_gets_its_column_and_is_computed_for_every_day(workshop: Workshop) -> None:
    workshop.land(DAYS[:40])
    workshop.compute()
    workshop.families = (*FAMILIES, OWN)
    workshop.compute(DAYS[39])
    workshop.assert_whole()
    workshop.land([DAYS[40]])
    assert workshop.compute(DAYS[40]).updated == 0
    workshop.assert_whole()
    with Reader(workshop.database, families=workshop.families) as reader:
        read = reader.technicals(["000001.SZ"], DAYS[40], DAYS[40], adjust="qfq", anchor=DAYS[60])
    with workshop.database.read() as conn:
        query = "SELECT twice_close, ma_5 FROM technical_daily_qfq WHERE ts_code = '000001.SZ' AND trade_date = :day"
        assert conn.execute(sa.text(query), {"day": DAYS[40]}).one() == read.select("twice_close", "ma_5").row(0)
    # And without it everything is as it was, its column left alone.
    workshop.families = FAMILIES
    workshop.compute(DAYS[40])
    workshop.assert_whole()
