"""Every (stock, day) has one state, and the database's answer is what counting by hand gives."""

from collections import Counter
from datetime import date, timedelta

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from stock_assets.domain.completeness import SourcesInUse, State
from stock_assets.domain.tables import ADJUST_FACTOR, STOCK_DAILY
from stock_assets.indicators.table import TECHNICAL_DAILY
from stock_assets.storage import asked_gaps
from stock_assets.storage.bulk_load import load
from stock_assets.storage.completeness import no_source_has, open_gaps, state_counts, stock_states
from stock_assets.storage.database import Database
from stock_assets.storage.ledger import write_entry
from stock_assets.storage.raw import save_answer
from stock_assets.storage.reference import save_securities, save_trading_days
from stock_assets.storage.row_digests import digests
from stock_assets.storage.tables import TABLES
from stock_assets_tests.storage.made_up_rows import (
    DAY,
    LATER,
    NOW,
    bars,
    entry,
    frame_of,
    securities,
    security,
    trading_days,
)

DAYS = [DAY + timedelta(offset) for offset in range(4)]
END = DAYS[-1] + timedelta(days=5)
CODES = ["000001.SZ", "000002.SZ", "600003.SH"]
IN_USE: SourcesInUse = {"one": {"SH", "SZ"}, "two": {"SH"}}
NAME = STOCK_DAILY.name


def ask(conn: Connection, source: str, gaps: list[tuple[str, date]], days: int, dataset: str = NAME) -> None:
    """Write down that a source was asked for these gaps on so many days."""
    frame = pl.DataFrame(gaps, schema=asked_gaps.GAP_SCHEMA, orient="row")
    for number in range(days):
        asked_gaps.note(conn, dataset, source, frame, today=DAY + timedelta(days=9 + number))


def refuse(conn: Connection, code: str, day: date) -> None:
    """Let quality have refused a bar."""
    conn.execute(
        sa.text(
            "INSERT INTO rejected_row (dataset, trade_date, ts_code, rule, row_digest, row_text, source, rejected_at)"
            " VALUES ('stock_daily', :day, :code, 'close_missing', :digest, '{}', 'one', now())"
        ),
        {"code": code, "day": day, "digest": f"{code} {day}"},
    )


def listings(conn: Connection, lives: dict[str, tuple[date, date | None]], open_days: set[date]) -> None:
    """Fill calendar and securities."""
    save_trading_days(conn, trading_days(open_days))
    save_trading_days(conn, trading_days(set(DAYS) - open_days, is_open=False))
    save_securities(conn, securities([security(code, *life) for code, life in lives.items()]))


def happen(conn: Connection, code: str, day: date, fact: str) -> None:
    """Let a bar be there, or whatever else became of it."""
    if fact in {"bar", "suspended"}:
        load(conn, STOCK_DAILY, bars([code], [day], is_suspended=fact == "suspended"))
    elif fact == "refused":
        refuse(conn, code, day)
    asked_of = {"asked once": {"one": 1, "two": 2}, "asked by one": {"one": 2}, "asked by all": {"one": 2, "two": 2}}
    for source, days in asked_of.get(fact, dict[str, int]()).items():
        ask(conn, source, [(code, day)], days)


FACT = st.sampled_from(["bar", "suspended", "refused", "asked once", "asked by one", "asked by all", "none"])
LIFE = st.tuples(st.integers(-2, 4), st.none() | st.integers(0, 5))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lives=st.tuples(LIFE, LIFE, LIFE),
    open_days=st.sets(st.sampled_from(DAYS)),
    facts=st.dictionaries(st.tuples(st.sampled_from(CODES), st.sampled_from(DAYS)), FACT),
)
def test_every_state_is_what_counting_by_hand_gives(
    database: Database,
    lives: tuple[tuple[int, int | None], ...],
    open_days: set[date],
    facts: dict[tuple[str, date], str],
) -> None:
    alive = {
        code: (DAY + timedelta(start), None if length is None else DAY + timedelta(start + length))
        for code, (start, length) in zip(CODES, lives, strict=True)
    }

    def state(code: str, day: date) -> State:
        first, last = alive[code]
        if day < first or (last is not None and day >= last):
            return State.NOT_LISTED
        fact = facts.get((code, day), "none")
        # Of Shenzhen only one source has anything at all.
        if fact == "asked by one" and code.endswith("SZ"):
            return State.SOURCE_HAS_NONE
        named = {
            "bar": State.PRESENT,
            "suspended": State.SUSPENDED,
            "refused": State.REJECTED,
            "asked by all": State.SOURCE_HAS_NONE,
        }
        return named.get(fact, State.MISSING)

    expected = {(code, day): state(code, day) for code in CODES for day in sorted(open_days)}
    with database.engine.connect() as conn:
        listings(conn, alive, open_days)
        for (code, day), fact in facts.items():
            happen(conn, code, day, fact)
        counts = state_counts(conn, NAME, DAYS[0], END, sources=IN_USE)
        gaps = open_gaps(conn, NAME, DAYS[0], END, sources=IN_USE)
        none = no_source_has(conn, NAME, DAYS[0], END, sources=IN_USE)
        whole = stock_states(conn, CODES, DAYS[0], END, sources=IN_USE)
        conn.rollback()
    assert {(code, day): State(text) for code, day, text in whole.iter_rows()} == expected
    open_pairs = {pair: one for pair, one in expected.items() if not one.is_closed}
    # Of a refused row that belongs to no stock of the day, the day as a whole tells.
    named = {day for (_, day), one in open_pairs.items() if one is State.REJECTED}
    disputed = {day for (_, day), fact in facts.items() if fact == "refused" and day in open_days} - named
    assert {(code, day): State(text) for code, day, text in gaps.iter_rows()} == open_pairs | {
        (None, day): State.REJECTED for day in disputed
    }
    assert [(code, day) for code, day, _ in none.iter_rows()] == sorted(
        (pair for pair, one in expected.items() if one is State.SOURCE_HAS_NONE), key=lambda pair: pair[::-1]
    )
    assert counts["trade_date"].to_list() == sorted(open_days)
    for row in counts.iter_rows(named=True):
        found = Counter(str(one) for (_, day), one in expected.items() if day == row["trade_date"])
        assert {str(one): row[one] for one in State} == {str(one): found[one] for one in State}
        assert row["expected"] == len(CODES) - found["not_listed"]


@pytest.fixture
def market(database: Database) -> Database:
    """Three stocks listed on four sessions, all bars there."""
    with database.begin() as conn:
        listings(conn, {code: (date(2000, 1, 3), None) for code in CODES}, set(DAYS))
        load(conn, STOCK_DAILY, bars(CODES, DAYS))
        for day in DAYS:
            write_entry(conn, entry(trade_date=day, rows_expected=3, rows_present=3))
    return database


def test_indicators_are_expected_of_traded_bars_alone(market: Database) -> None:
    with market.begin() as conn:
        load(conn, STOCK_DAILY, bars([CODES[0]], [DAYS[1]], is_suspended=True, volume=None))
        pairs = [(code, day) for code in CODES for day in DAYS if (code, day) != (CODES[0], DAYS[1])]
        rows = [{"ts_code": code, "trade_date": day, "bar_number": 1, "input_digest": 1} for code, day in pairs[1:]]
        load(conn, TECHNICAL_DAILY, frame_of(TECHNICAL_DAILY, rows))
        gaps = open_gaps(conn, TECHNICAL_DAILY.name, DAYS[0], END)
        counts = state_counts(conn, TECHNICAL_DAILY.name, DAYS[0], END)
    assert gaps.rows() == [(*pairs[0], "missing")]
    assert counts.select("expected", "present", "suspended", "missing").rows() == [
        (3, 2, 0, 1),
        (3, 2, 1, 0),
        (3, 3, 0, 0),
        (3, 3, 0, 0),
    ]


def factors(codes: list[str], day: date) -> pl.DataFrame:
    """Return a factor of each stock from `day` on."""
    rows = [
        {"ts_code": code, "ex_date": day, "back_adjust_factor": 1.5, "source": "one", "updated_at": NOW}
        for code in codes
    ]
    return frame_of(ADJUST_FACTOR, rows)


@pytest.mark.parametrize("kept_by", ["the database", "the raw answer"])
def test_a_factor_that_is_gone_is_named_by_what_is_kept_of_it(market: Database, kept_by: str) -> None:
    name = ADJUST_FACTOR.name
    with market.begin() as conn:
        for day in DAYS:
            write_entry(conn, entry(dataset=name, trade_date=day, status="empty", rows_expected=0, rows_present=0))
        write_entry(conn, entry(dataset=name, trade_date=DAYS[1], rows_expected=2, rows_present=2))
        load(conn, ADJUST_FACTOR, factors(CODES[:2], DAYS[1]))
        assert open_gaps(conn, name, DAYS[0], END).is_empty()
        conn.exec_driver_sql(f"DELETE FROM adjust_factor WHERE ts_code = '{CODES[1]}'")  # noqa: S608
        if kept_by == "the raw answer":
            conn.exec_driver_sql("DELETE FROM adjust_factor_history")
            raw = next(table for table in TABLES if table.name == "raw_baostock_adjust_factor")
            said = dict.fromkeys(raw.names, "1") | {"code": "sz.000002", "dividOperateDate": str(DAYS[1])}
            save_answer(
                conn,
                raw,
                pl.DataFrame([said]).select(name for name in raw.names if name not in {"fetched_at", "run_id"}),
                fetched_at=NOW,
                run_id=None,
            )
        assert open_gaps(conn, name, DAYS[0], END).rows() == [(CODES[1], DAYS[1], "missing")]
        assert state_counts(conn, name, DAYS[1], DAYS[1]).select("expected", "present", "missing").row(0) == (2, 1, 1)
        ask(conn, "one", [(CODES[1], DAYS[1])], 2, name)
        assert open_gaps(conn, name, DAYS[0], END).is_empty()
        assert state_counts(conn, name, DAYS[1], DAYS[1])["source_has_none"].item() == 1


def test_a_day_with_bars_whose_factors_nobody_answered_for_is_missing_as_a_whole(market: Database) -> None:
    name = ADJUST_FACTOR.name
    with market.begin() as conn:
        for day in DAYS[:2]:
            write_entry(conn, entry(dataset=name, trade_date=day, status="empty", rows_expected=0, rows_present=0))
        write_entry(conn, entry(dataset=name, trade_date=DAYS[2], status="partial", rows_present=0, detail="why"))
        conn.exec_driver_sql(f"DELETE FROM load_ledger WHERE dataset = 'stock_daily' AND trade_date = '{DAYS[3]}'")  # noqa: S608
        assert open_gaps(conn, name, DAYS[0], END).rows() == [(None, DAYS[2], "missing")]


def test_what_is_kept_by_day_is_expected_from_the_first_such_day_on(market: Database) -> None:
    with market.begin() as conn:
        assert open_gaps(conn, "cache_snapshot", DAYS[0], END).is_empty()
        write_entry(conn, entry(dataset="cache_snapshot", trade_date=DAYS[1]))
        write_entry(conn, entry(dataset="cache_snapshot", trade_date=DAYS[3], status="partial", detail="why"))
        counts = state_counts(conn, "cache_snapshot", DAYS[0], END).select("expected", "present", "missing")
        assert counts.rows() == [(0, 0, 0), (1, 1, 0), (1, 0, 1), (1, 0, 1)]
        assert [day for _, day, _ in open_gaps(conn, "cache_snapshot", DAYS[0], END).iter_rows()] == DAYS[2:]


def test_two_stores_with_the_same_values_have_the_same_digests_whoever_said_them(market: Database) -> None:
    with market.begin() as conn:
        before = digests(conn, STOCK_DAILY, DAYS[0], END, by="day")
        assert before["first_day"].to_list() == DAYS
        assert before["rows"].to_list() == [3] * 4
        conn.exec_driver_sql("DELETE FROM stock_daily")
        moved = pl.lit(LATER).cast(pl.Datetime("us", "UTC"))
        for code in reversed(CODES):
            load(conn, STOCK_DAILY, bars([code], DAYS, source="other").with_columns(updated_at=moved))
        assert digests(conn, STOCK_DAILY, DAYS[0], END, by="day").equals(before)


@pytest.mark.parametrize("change", ["close = close + 0.01", "volume = NULL", "is_st = true", "pb_mrq = 1"])
def test_a_digest_changes_with_any_value_of_its_days_and_no_others(market: Database, change: str) -> None:
    with market.begin() as conn:
        before = digests(conn, STOCK_DAILY, DAYS[0], END, by="day")
        where = f"ts_code = '{CODES[2]}' AND trade_date = '{DAYS[2]}'"
        conn.exec_driver_sql(f"UPDATE stock_daily SET {change} WHERE {where}")  # noqa: S608
        after = digests(conn, STOCK_DAILY, DAYS[0], END, by="day")
        changed = [day for day, old, new in zip(DAYS, before["digest"], after["digest"], strict=True) if old != new]
        conn.exec_driver_sql(f"DELETE FROM stock_daily WHERE {where}")  # noqa: S608
        month = digests(conn, STOCK_DAILY, DAYS[0], END)
    assert changed == [DAYS[2]]
    assert month.select("first_day", "rows").rows() == [(DAY.replace(day=1), 11)]


def test_a_refused_row_takes_the_proof_that_there_is_none_with_it(market: Database) -> None:
    with market.begin() as conn:
        conn.exec_driver_sql(f"DELETE FROM stock_daily WHERE ts_code = '{CODES[0]}' AND trade_date = '{DAYS[0]}'")  # noqa: S608
        ask(conn, "one", [(CODES[0], DAYS[0])], 2)
        refuse(conn, CODES[0], DAYS[0])
        assert asked_gaps.forget_landed(conn, NAME, DAYS[:1]) == 1
        assert open_gaps(conn, NAME, DAYS[0], END)["state"].to_list() == ["rejected"]
