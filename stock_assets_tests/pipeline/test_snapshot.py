from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import cast

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from stock_assets.domain.calendar import SHANGHAI, TradingCalendar
from stock_assets.domain.errors import InvalidInput, NotReady, SnapshotDamaged
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.indicators.catalog import FAMILIES, MA
from stock_assets.indicators.table import TECHNICAL_DAILY, indicators_of, price_columns
from stock_assets.pipeline import snapshot as publishing
from stock_assets.pipeline.snapshot import prune_snapshots
from stock_assets.pipeline.snapshot_columns import FIGURES, REPORT_DAYS, SNAPSHOT, layout_of
from stock_assets.pipeline.snapshot_frame import SnapshotInputs, content_of
from stock_assets.storage import ledger, snapshot_files
from stock_assets.storage.database import Database
from stock_assets.storage.reader import Reader
from stock_assets_tests.pipeline.snapshot_workshop import SnapshotWorkshop
from stock_assets_tests.storage.made_up_days import CALENDAR, CODES, SESSIONS, WEEK, technicals
from stock_assets_tests.storage.made_up_rows import bars, entry, securities, security

MONDAY, _, WEDNESDAY, THURSDAY, FRIDAY = WEEK


@pytest.fixture
def workshop(database: Database, tmp_path: Path) -> SnapshotWorkshop:
    """A filled store of this test alone."""
    return SnapshotWorkshop.filled(database, tmp_path / "snapshots")


def of_stock(frame: pl.DataFrame, code: str) -> dict[str, object]:
    return frame.row(by_predicate=pl.col("ts_code") == code, named=True)


def test_a_snapshot_has_one_row_for_each_stock_listed_on_the_day(workshop: SnapshotWorkshop) -> None:
    workshop.publish()
    frame = workshop.reader().read(FRIDAY)
    assert frame["ts_code"].to_list() == CODES
    # Delisted on the second day, and listed on the third.
    assert workshop.reader().read(MONDAY)["ts_code"].to_list() == [*CODES[:2], "600000.SH", "600001.SH", "830001.BJ"]
    assert frame.schema == pl.Schema(SNAPSHOT.schema)


def test_prices_are_as_traded_and_indicators_forward_adjusted_to_the_day(workshop: SnapshotWorkshop) -> None:
    workshop.publish()
    reader = Reader(workshop.database)
    for day in (THURSDAY, FRIDAY):
        frame = workshop.reader().read(day)
        factor = 2.0 if day == THURSDAY else 4.0
        assert frame["adjust_factor"].to_list() == [1.0, 1.0, factor, 1.0, 1.0]
        stored = pl.DataFrame(reader.arrow(TECHNICAL_DAILY.name, ts_codes=["600000.SH"], start=day, end=day))
        bar = reader.bars(["600000.SH"], day, day).row(0, named=True)
        found, expected = of_stock(frame, "600000.SH"), stored.row(0, named=True)
        for indicator in indicators_of():
            if not indicator.is_state:
                share = factor if indicator.name in price_columns() else 1.0
                is_flag = indicator.kind == "boolean"
                wanted = expected[indicator.name] if is_flag else expected[indicator.name] / share
                assert found[indicator.name] == wanted, indicator.name
        for name in ("open", "high", "low", "close", "pre_close", "volume", "amount", "pct_chg", "pe_ttm"):
            assert found[name] == bar[name]
    reader.close()


def test_what_the_next_day_is_computed_from_is_not_in_it() -> None:
    states = {indicator.name for indicator in indicators_of() if indicator.is_state}
    assert states
    assert not states & set(SNAPSHOT.names)


def test_indicators_are_what_a_reader_gets_with_the_day_as_anchor(workshop: SnapshotWorkshop) -> None:
    workshop.publish(FRIDAY)
    reader = Reader(workshop.database)
    asked = reader.technicals(None, FRIDAY, FRIDAY, adjust="qfq", anchor=FRIDAY)
    reader.close()
    # Nobody trades at a limit who does not trade: those flags are not null for the suspended.
    flags = ("is_limit_up", "is_limit_down")
    there = workshop.reader().read(FRIDAY, asked.columns).filter(pl.col("ts_code").is_in(asked["ts_code"].to_list()))
    assert_frame_equal(there.drop(flags), asked.drop(flags), check_exact=True)


def test_a_suspended_stock_and_one_without_a_bar_have_their_rows_with_nulls(workshop: SnapshotWorkshop) -> None:
    workshop.change("DELETE FROM stock_daily WHERE ts_code = '300001.SZ' AND trade_date = '2026-11-20'")
    report = workshop.publish(FRIDAY)
    frame = workshop.reader().read(FRIDAY)
    assert frame["status"].to_list() == ["suspended", "missing", "traded", "traded", "traded"]
    halted, missing = of_stock(frame, "000001.SZ"), of_stock(frame, "300001.SZ")
    assert (halted["is_suspended"], halted["close"], halted["ma_5"]) == (True, 10.0, None)
    assert (halted["is_limit_up"], halted["is_limit_down"]) == (False, False)
    assert (missing["is_suspended"], missing["close"], missing["name"]) == (None, None, "特锐德")
    with workshop.database.read() as conn:
        (line,) = ledger.read_entries(conn, "cache_snapshot", FRIDAY, FRIDAY).rows(named=True)
    assert (line["status"], line["rows_expected"], line["rows_present"]) == ("partial", 5, 4)
    assert report.days[0].detail == line["detail"] == "1 listed stocks without a bar"


@pytest.mark.parametrize("runs", [[WEEK], [[day] for day in WEEK]], ids=["a range", "day by day"])
def test_a_report_is_in_the_snapshots_of_the_days_on_which_it_was_known(
    workshop: SnapshotWorkshop, runs: list[list[date]]
) -> None:
    for days in runs:
        workshop.publish(*days)
    seen = [of_stock(workshop.reader().read(day), "600000.SH") for day in WEEK]
    assert [row["eps"] for row in seen] == [1.0, 1.0, 1.5, 1.5, 1.25]
    assert [row["known_from"] for row in seen] == [date(2026, 8, 29)] * 2 + [WEDNESDAY] * 2 + [FRIDAY]
    for day, row in zip(WEEK, seen, strict=True):
        assert cast("date", row["known_from"]) <= day
    # Announced on Friday after the close.
    assert of_stock(workshop.reader().read(FRIDAY), "000001.SZ")["eps"] is None


def test_reports_are_the_newest_of_what_readers_could_know(workshop: SnapshotWorkshop) -> None:
    workshop.publish()
    reader = Reader(workshop.database)
    for day in WEEK:
        known = reader.finance(as_of=datetime.combine(day, time(9), tzinfo=SHANGHAI))
        newest = known.sort("end_date").unique("ts_code", keep="last").sort("ts_code")
        columns = ["ts_code", *REPORT_DAYS, *FIGURES]
        found = workshop.reader().read(day, columns).filter(pl.col("known_from").is_not_null())
        assert_frame_equal(found, newest.select(columns))
    reader.close()


def test_days_since_listing_are_sessions_and_the_first_sixty_are_new(workshop: SnapshotWorkshop) -> None:
    workshop.publish()
    ages = [of_stock(workshop.reader().read(day), "688001.SH")["days_since_listing"] for day in WEEK[2:]]
    assert ages == [0, 1, 2]
    frame = workshop.reader().read(FRIDAY)
    assert frame["days_since_listing"].to_list() == [104, 104, 104, 2, 104]
    assert frame["is_new_listing"].to_list() == [False, False, False, True, False]
    listing = SESSIONS[SESSIONS.index(FRIDAY) - 59]
    for listed, is_new in ((listing, True), (SESSIONS[SESSIONS.index(listing) - 1], False)):
        workshop.change("UPDATE security SET list_date = :day WHERE ts_code = '688001.SH'", day=listed)
        workshop.publish(FRIDAY)
        assert of_stock(workshop.reader().read(FRIDAY), "688001.SH")["is_new_listing"] == is_new


def test_the_same_inputs_write_nothing(workshop: SnapshotWorkshop) -> None:
    workshop.publish()
    before = workshop.state()
    report = workshop.publish()
    assert report.count("unchanged") == len(WEEK)
    assert workshop.state() == before
    # Nor does what says nothing about the day: the time at which a row was written, a bar of another day.
    workshop.change("UPDATE stock_daily SET updated_at = now()")
    workshop.change("DELETE FROM stock_daily WHERE trade_date < '2026-11-16'")
    assert workshop.publish(FRIDAY).days[0].verdict == "unchanged"


def test_a_day_is_no_more_complete_than_its_factors(workshop: SnapshotWorkshop) -> None:
    def factors_are(status: ledger.Status) -> None:
        with workshop.database.begin() as conn:
            line = entry(dataset="adjust_factor", trade_date=THURSDAY, status=status, detail="1 rejected")
            ledger.write_entry(conn, line)

    def told() -> tuple[str, str | None]:
        with workshop.database.read() as conn:
            row = ledger.read_entries(conn, "cache_snapshot", THURSDAY, THURSDAY).row(0, named=True)
        return row["status"], row["detail"]

    factors_are("partial")
    (before,) = workshop.publish(THURSDAY).days
    assert told() == ("partial", "adjustment factors of the day are not all there")
    factors_are("complete")
    (after,) = workshop.publish(THURSDAY).days
    assert (told(), after.verdict, after.row) == (("complete", None), "unchanged", before.row)


def test_a_range_makes_what_its_days_make_one_by_one_in_any_order(workshop: SnapshotWorkshop, tmp_path: Path) -> None:
    workshop.publish()
    whole = {name: (workshop.folder / name).read_bytes() for name in workshop.files()}
    workshop.change("DELETE FROM cache_snapshot")
    alone = replace(workshop, folder=tmp_path / "alone")
    for day in (WEDNESDAY, FRIDAY, MONDAY, THURSDAY, WEEK[1]):
        alone.publish(day)
    assert {name: (alone.folder / name).read_bytes() for name in alone.files()} == whole


def test_a_range_longer_than_what_is_read_together_makes_the_same(
    workshop: SnapshotWorkshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.publish()
    ids = workshop.listed()["snapshot_id"].to_list()
    workshop.change("DELETE FROM cache_snapshot")
    monkeypatch.setattr(publishing, "_DAYS_AT_A_TIME", 2)
    apart = replace(workshop, folder=tmp_path / "apart")
    apart.publish()
    assert apart.listed()["snapshot_id"].to_list() == ids


@pytest.mark.parametrize("damage", ["missing", "cut", "one bit"])
def test_a_file_that_is_not_what_was_written_is_written_again(workshop: SnapshotWorkshop, damage: str) -> None:
    workshop.publish()
    row = workshop.row(FRIDAY)
    file = workshop.folder / row.path
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        broken = bytearray(content[:-10] if damage == "cut" else content)
        broken[len(broken) // 2] ^= 1
        file.write_bytes(bytes(broken))
    assert workshop.publish(FRIDAY).days[0].verdict == "rewritten"
    assert (file.read_bytes(), workshop.row(FRIDAY)) == (content, row)


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("UPDATE stock_daily SET close = 10.25 WHERE ts_code = '600000.SH' AND trade_date = '2026-11-20'", "stock_daily"),
        ("UPDATE technical_daily SET rsi_6 = 50 WHERE ts_code = '600000.SH' AND trade_date = '2026-11-20'", "technical_daily"),
        ("UPDATE adjust_factor SET back_adjust_factor = 5 WHERE ex_date = '2026-11-20'", "adjust_factor"),
        ("UPDATE finance_indicator SET eps = 2 WHERE known_from = '2026-11-20'", "finance_indicator"),
        ("UPDATE security SET name = 'ST浦发' WHERE ts_code = '600000.SH'", "security"),
    ],
)  # fmt: skip
def test_a_changed_input_makes_a_new_snapshot_that_says_why_and_the_old_one_stays(
    workshop: SnapshotWorkshop, statement: str, names: str
) -> None:
    workshop.publish(FRIDAY)
    old, before = workshop.row(FRIDAY), workshop.reader().read(FRIDAY)
    workshop.change(statement)
    assert workshop.publish(FRIDAY).days[0].verdict == "published"
    new = workshop.row(FRIDAY)
    assert new.snapshot_id != old.snapshot_id
    assert new.reason == f"{names} 有变化 | {names} changed"
    assert_frame_equal(workshop.reader().read(old.snapshot_id), before)
    assert workshop.listed().filter(pl.col("trade_date") == FRIDAY)["is_current"].to_list() == [True, False]


def test_a_new_version_of_the_code_makes_a_new_snapshot(
    workshop: SnapshotWorkshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.publish(FRIDAY)
    monkeypatch.setattr("stock_assets.pipeline.snapshot_frame.CODE_VERSION", "2")
    workshop.publish(FRIDAY)
    assert workshop.row(FRIDAY).reason == "code 有变化 | code changed"


def test_inputs_that_come_back_bring_their_snapshot_back(workshop: SnapshotWorkshop) -> None:
    workshop.publish(FRIDAY)
    first = workshop.row(FRIDAY)
    change = "UPDATE stock_daily SET close = :close WHERE ts_code = '600000.SH' AND trade_date = '2026-11-20'"
    workshop.change(change, close=10.25)
    workshop.publish(FRIDAY)
    workshop.change(change, close=10.2)
    workshop.publish(FRIDAY)
    again = workshop.row(FRIDAY)
    assert (again.snapshot_id, again.digest) == (first.snapshot_id, first.digest)
    assert again.reason == "stock_daily 有变化 | stock_daily changed"
    assert workshop.listed()["is_current"].to_list() == [True, False]


def test_a_day_that_the_store_has_nothing_of_gets_no_snapshot(workshop: SnapshotWorkshop) -> None:
    workshop.change("DELETE FROM stock_daily WHERE trade_date = '2026-11-19'")
    workshop.change("DELETE FROM technical_daily WHERE trade_date = '2026-11-20'")
    report = workshop.publish(WEDNESDAY, THURSDAY, FRIDAY)
    assert [day.verdict for day in report.days] == ["published", "no_bars", "no_technicals"]
    assert [day.day for day in report.without] == [THURSDAY, FRIDAY]
    assert workshop.listed().height == len(workshop.files()) == 1


def test_a_day_that_can_have_none_is_refused(workshop: SnapshotWorkshop) -> None:
    with pytest.raises(InvalidInput, match="2026-11-21 is not a trading day"):
        workshop.publish(FRIDAY + timedelta(1))
    with pytest.raises(NotReady):
        publishing.publish_snapshots(
            replace(workshop.context, calendar=TradingCalendar.of([*SESSIONS, date(2026, 11, 23)])),
            [date(2026, 11, 23)],
            workshop.folder,
        )


def test_without_reports_there_is_a_snapshot_without_figures(workshop: SnapshotWorkshop) -> None:
    workshop.change("DELETE FROM finance_indicator")
    assert workshop.publish(FRIDAY).days[0].verdict == "published"
    figures = workshop.reader().read(FRIDAY, [*REPORT_DAYS, *FIGURES])
    assert figures.null_count().row(0) == (5,) * figures.width


def test_the_file_says_what_each_column_means_and_what_it_is_made_of(workshop: SnapshotWorkshop) -> None:
    workshop.publish(FRIDAY)
    row = workshop.row(FRIDAY)
    table = workshop.reader().arrow(FRIDAY)
    for column in SNAPSHOT.columns:
        notes = table.schema.field(column.name).metadata
        assert notes == {b"comment": column.comment.encode(), b"unit": column.unit.encode()}
    told = snapshot_files.notes_of(table)
    assert (told["trade_date"], told["snapshot_id"], told["code_version"]) == ("2026-11-20", row.snapshot_id, "1")
    assert STOCK_DAILY.name in cast("dict[str, str]", told["inputs"])
    # Any reader of Arrow opens it.
    assert_frame_equal(pl.read_ipc(workshop.folder / row.path), workshop.reader().read(FRIDAY))


def test_settings_let_old_versions_and_old_days_go_row_and_file(workshop: SnapshotWorkshop) -> None:
    for close in (10.2, 10.3, 10.4):
        workshop.change("UPDATE stock_daily SET close = :close WHERE ts_code = '600000.SH'", close=close)
        workshop.publish()
    assert workshop.listed().height == 15
    assert prune_snapshots(workshop.context, workshop.folder) == []
    current = workshop.row(FRIDAY)
    assert len(prune_snapshots(workshop.context, workshop.folder, keep_versions=2)) == 5
    assert len(prune_snapshots(workshop.context, workshop.folder, keep_versions=1)) == 5
    assert workshop.row(FRIDAY) == current
    # Three days before Friday's evening.
    assert len(prune_snapshots(workshop.context, workshop.folder, keep_days=3)) == 1
    rows = workshop.listed()
    assert rows["trade_date"].to_list() == [FRIDAY, THURSDAY, WEDNESDAY, WEEK[1]]
    assert workshop.files() == set(rows["path"])
    with workshop.database.read() as conn:
        assert ledger.known_days(conn, "cache_snapshot") == set(WEEK[1:])
    assert workshop.publish(MONDAY).days[0].verdict == "published"


def test_files_that_no_row_knows_are_swept(workshop: SnapshotWorkshop) -> None:
    workshop.publish()
    year = workshop.folder / "2026"
    lost = [year / "2026-11-20-00000000000000ff.arrow", year / "2026-11-18-00000000000000ff.arrow.0a1b.partial"]
    for path in (*lost, year / "mine.arrow"):
        path.write_bytes(b"x")
    assert workshop.publish(MONDAY).swept == 2
    assert workshop.files() == {*workshop.listed()["path"], "2026/mine.arrow"}


def test_a_reader_of_a_day_or_an_id_is_told_what_is_wrong_with_it(workshop: SnapshotWorkshop) -> None:
    reader = workshop.reader()
    with pytest.raises(InvalidInput, match="no snapshot of 2026-11-20; `stock-assets backfill-snapshots --start"):
        reader.read(FRIDAY)
    with pytest.raises(InvalidInput, match="2026-11-22 is not a trading day; the last one before it is 2026-11-20"):
        reader.read(date(2026, 11, 22))
    with pytest.raises(InvalidInput, match="there is no snapshot 0123456789abcdef; `stock-assets snapshot --list`"):
        reader.read("0123456789abcdef")
    workshop.publish(FRIDAY)
    for _ in ("cold", "warm"):
        with pytest.raises(InvalidInput, match="has no column rsi6; like it are rsi_6"):
            reader.read(FRIDAY, ["ts_code", "rsi6"])
        with pytest.raises(InvalidInput, match="each once"):
            reader.read(FRIDAY, ["close", "close"])
        reader.read(FRIDAY)
    file = workshop.folder / workshop.row(FRIDAY).path
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(SnapshotDamaged, match="make its day's again"):
        workshop.reader().read(FRIDAY)
    file.unlink()
    with pytest.raises(SnapshotDamaged):
        workshop.reader().read(FRIDAY)


def test_what_a_reader_does_to_its_frame_no_other_reader_sees(workshop: SnapshotWorkshop) -> None:
    workshop.publish(FRIDAY)
    reader = workshop.reader()
    frame = reader.read(FRIDAY)
    frame.columns = [name.upper() for name in frame.columns]
    frame[0, "CLOSE"] = 0.0
    again = reader.read(FRIDAY)
    assert again.columns == SNAPSHOT.names
    assert of_stock(again, CODES[0])["close"] == 10.0


def test_columns_are_read_in_the_asked_order_cold_and_warm(workshop: SnapshotWorkshop) -> None:
    workshop.publish(FRIDAY)
    columns = ["roe", "ts_code", "close"]
    whole = workshop.reader().read(FRIDAY)
    reader = workshop.reader()
    assert_frame_equal(reader.read(FRIDAY, columns), whole.select(columns))
    reader.read(FRIDAY)
    assert_frame_equal(reader.read(FRIDAY, columns), whole.select(columns))
    assert reader.arrow(FRIDAY, columns).column_names == columns


def test_an_indicator_of_ones_own_is_a_column_adjusted_as_it_says() -> None:
    own = replace(MA, name="own", indicators=tuple(replace(one, name=f"own_{one.name}") for one in MA.indicators))
    inputs = _inputs()
    renamed = inputs.technicals.select(pl.col(MA.names).name.prefix("own_"))
    layout = layout_of((*FAMILIES, own))
    frame = content_of(replace(inputs, technicals=inputs.technicals.hstack(renamed)), layout).frame()
    assert frame.columns == layout.table.names
    for name in MA.names:
        assert frame[f"own_{name}"].to_list() == frame[name].to_list()
    with_own = content_of(replace(inputs, technicals=frame), layout).identity().inputs
    assert with_own["schema"] != content_of(inputs).identity().inputs["schema"]


CORRECTIONS = [
    ("bars", "600000.SH", "close", 10.9),
    ("bars", "000001.SZ", "is_st", True),
    ("technicals", "600000.SH", "rsi_6", 12.5),
    ("technicals", "300001.SZ", "ma_5", None),
    ("factors", "600000.SH", "back_adjust_factor", 3.5),
    ("securities", "830001.BJ", "name", "北交所股"),
]


@settings(max_examples=30)
@given(st.permutations(CORRECTIONS), st.randoms(use_true_random=False))
def test_any_order_of_corrections_and_of_rows_ends_in_the_same_bytes(
    corrections: list[tuple[str, str, str, object]], random: Random
) -> None:
    inputs = _inputs()
    for name, code, column, value in corrections:
        frame = cast("pl.DataFrame", getattr(inputs, name))
        order = list(range(frame.height))
        random.shuffle(order)
        fixed = pl.when(pl.col("ts_code") == code).then(pl.lit(value, frame.schema[column])).otherwise(column)
        inputs = replace(inputs, **{name: frame.with_columns(fixed.alias(column))[order]})
    file, snapshot_id = _file(inputs)
    expected, expected_id = _corrected()
    assert (snapshot_id, file) == (expected_id, expected)


def _corrected() -> tuple[bytes, str]:
    inputs = _inputs()
    for name, code, column, value in CORRECTIONS:
        frame = cast("pl.DataFrame", getattr(inputs, name))
        fixed = pl.when(pl.col("ts_code") == code).then(pl.lit(value, frame.schema[column])).otherwise(column)
        inputs = replace(inputs, **{name: frame.with_columns(fixed.alias(column))})
    return _file(inputs)


def _file(inputs: SnapshotInputs) -> tuple[bytes, str]:
    content = content_of(inputs)
    return snapshot_files.encode(content.frame(), SNAPSHOT, {}), content.identity().snapshot_id


def _inputs() -> SnapshotInputs:
    reports = pl.DataFrame(
        {"ts_code": ["600000.SH"]},
    ).with_columns(
        *(pl.lit(date(2026, 9, 30)).alias(name) for name in REPORT_DAYS),
        *(pl.lit(place / 8).alias(name) for place, name in enumerate(FIGURES)),
    )
    listed = securities([security(code, SESSIONS[0], board=_board(code)) for code in CODES])
    return SnapshotInputs(
        trade_date=FRIDAY,
        securities=listed,
        bars=bars(CODES, [FRIDAY]),
        technicals=technicals(CODES, [FRIDAY]),
        factors=pl.DataFrame({"ts_code": ["600000.SH"], "back_adjust_factor": [2.0]}),
        reports=reports,
        sessions=pl.Series(CALENDAR.between(SESSIONS[0], FRIDAY), dtype=pl.Date),
    )


def _board(code: str) -> str:
    return {"300": "chinext", "688": "star", "830": "bse"}.get(code[:3], "main")
