"""Reports in the database: one transaction, nothing twice, and a stock's reading that uses an index."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from stock_assets.domain.errors import DataRefused
from stock_assets.domain.finance_tables import RAW_TUSHARE_FINA_INDICATOR
from stock_assets.sources.tushare.translate_finance import raw_rows
from stock_assets.storage.bulk_load import Counts
from stock_assets.storage.database import Connection, Database
from stock_assets.storage.finance import FinanceAnswer, FinanceCounts, land
from stock_assets_tests.quality.made_up_reports import QUARTER, SPRING, YEAR, Report, answer, at, judged, report
from stock_assets_tests.storage.made_up_rows import wait_until_blocked

ANN, FRIDAY, LATER = date(2024, 3, 28), date(2024, 4, 26), date(2024, 10, 8)
MANY = """
    INSERT INTO finance_indicator (ts_code, end_date, ann_date, version, known_from, ann_date_basis, is_chosen, eps, source,
        fetched_at)
    SELECT lpad(c::text, 6, '0') || '.SZ', e::date, e::date + 25, v, e::date + 26, 'stated', true, v, 'tushare', now()
    FROM generate_series(1, 400) AS c, generate_series(1, 2) AS v,
        (SELECT q + interval '3 months -1 day' AS e FROM generate_series(timestamp '2015-01-01', '2023-10-01', '3 months') AS q)
"""


def hear(conn: Connection, *rows: Report, on: date = FRIDAY, is_whole: bool = True) -> FinanceCounts:
    """Land an answer of these rows, received on a day."""
    told = answer(rows)
    heard = FinanceAnswer(
        rows=told,
        judged=judged(told),
        raw=[(RAW_TUSHARE_FINA_INDICATOR, raw_rows(told))],
        source="tushare",
        fetched_at=at(on),
        is_whole=is_whole,
    )
    return land(conn, heard, calendar=SPRING, run_id="run")


def fetched(conn: Connection, query: str, **values: object) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    return [tuple(row) for row in conn.execute(sa.text(query), values)]


def as_of(conn: Connection, day: date, columns: str = "ts_code, end_date, eps") -> list[tuple[Any, ...]]:
    """Return what was knowable on a day, in key order."""
    return fetched(conn, f"SELECT {columns} FROM finance_indicator_as_of(:day) ORDER BY 1, 2", day=day)  # noqa: S608


def counts(conn: Connection) -> list[int]:
    """Return how many rows the three tables hold."""
    tables = ("raw_tushare_fina_indicator", "finance_indicator", "rejected_row")
    return [fetched(conn, f"SELECT count(*) FROM {table}")[0][0] for table in tables]  # noqa: S608


def test_an_answer_comes_in_whole_or_not_at_all(database: Database) -> None:
    rows = [report(ANN, eps=1.0), report(ANN, end=date(2023, 9, 29), eps=1.0)]
    with database.engine.connect() as conn:
        hear(conn, *rows)
        assert counts(conn) == [2, 1, 1]
        conn.rollback()
        assert counts(conn) == [0, 0, 0]


def test_the_same_answer_again_writes_nothing(database: Database) -> None:
    rows = [
        report(ANN, eps=1.0, flag="0"),
        report(ANN, eps=2.0, flag="1"),
        report(ANN, eps=2.0, flag="0"),
        report(None, end=QUARTER, eps=3.0),
        report(ANN, end=date(2023, 9, 29), eps=1.0),
    ]
    with database.begin() as conn:
        first = hear(conn, *rows)
    assert (first.first, first.duplicates, first.rejected, first.raw) == (3, 1, 1, Counts(inserted=5))
    for day in (FRIDAY, LATER):
        with database.begin() as conn:
            before = fetched(
                conn, "SELECT xmin, * FROM finance_indicator ORDER BY ts_code, end_date, ann_date, version"
            )
            again = hear(conn, *rows, on=day)
            assert (again.written, again.unchanged, again.raw) == (0, 3, Counts(unchanged=5))
            assert counts(conn) == [5, 3, 1]
        with database.begin() as conn:
            after = fetched(conn, "SELECT xmin, * FROM finance_indicator ORDER BY ts_code, end_date, ann_date, version")
        assert after == before


def test_two_writers_of_one_report_take_turns_and_the_second_sees_the_first(database: Database) -> None:
    with ThreadPoolExecutor(1) as pool, database.begin() as conn:
        hear(conn, report(ANN, eps=1.0))

        def again() -> FinanceCounts:
            with database.begin() as other:
                return hear(other, report(ANN, eps=1.0), report(LATER, eps=2.0))

        waiting = pool.submit(again)
        wait_until_blocked(database)
        conn.commit()
        assert (waiting.result(60).first, waiting.result().unchanged) == (1, 1)


def test_what_the_source_said_is_kept_verbatim_and_a_changed_row_is_a_version(database: Database) -> None:
    with database.begin() as conn:
        hear(conn, report(ANN) | {"roe": "8.500"}, report(ANN) | {"roe": "8.6"})
        hear(conn, report(ANN) | {"roe": "8.500"}, report(ANN) | {"roe": "8.70"}, on=LATER)
        rows = fetched(conn, "SELECT roe, duplicate, fetched_at, update_flag FROM raw_tushare_fina_indicator")
    assert sorted(rows) == [("8.500", 0, at(FRIDAY), ""), ("8.6", 1, at(FRIDAY), ""), ("8.70", 1, at(LATER), "")]


def test_figures_arrive_exactly(database: Database) -> None:
    texts = {"eps": "0.1", "roe": "-8.8887", "fcff": "-966053502.67", "bps": "79.57", "ebit": "1e15", "rd_exp": "0"}
    with database.begin() as conn:
        hear(conn, report(ANN) | texts)
        (row,) = fetched(conn, f"SELECT {', '.join(texts)} FROM finance_indicator")  # noqa: S608
    assert row == tuple(map(float, texts.values()))


def test_a_day_shows_of_each_report_the_newest_version_that_was_known(database: Database) -> None:
    with database.begin() as conn:
        hear(conn, report(ANN, eps=1.0, flag="0"), report(ANN, eps=1.1, flag="1"), on=ANN)
        hear(conn, report(ANN, eps=1.2, flag="1"), on=FRIDAY)
        hear(conn, report(LATER, eps=2.0), report(FRIDAY, end=QUARTER, eps=0.5), on=LATER)
        # A correction of the old announcement does not outrank the new one.
        hear(conn, report(ANN, eps=1.3, flag="1"), report(LATER, eps=2.0), on=date(2024, 11, 1))
        shown = {day: [eps for _, _, eps in as_of(conn, day)] for day in (ANN, FRIDAY, LATER, date(2025, 1, 1))}
        assert shown == {ANN: [], FRIDAY: [1.1], LATER: [1.2, 0.5], date(2025, 1, 1): [2.0, 0.5]}
        assert as_of(conn, date(2024, 3, 29)) == [("600000.SH", YEAR, 1.1)]


def test_a_row_that_does_not_stand_is_never_read(database: Database) -> None:
    stands = report(ANN, eps=1.0, flag="1")
    with database.begin() as conn:
        hear(conn, stands)
        assert hear(conn, report(ANN, eps=2.0, flag="0"), stands, on=LATER).corrected == 1
        assert [row[2] for row in as_of(conn, date(2025, 1, 1))] == [1.0]


def test_an_announcement_outranks_a_report_that_was_merely_seen(database: Database) -> None:
    with database.begin() as conn:
        hear(conn, report(None, eps=1.0), on=FRIDAY)
        assert as_of(conn, LATER)[0][2] == 1.0
        hear(conn, report(ANN, eps=1.0), on=LATER)
        hear(conn, report(ANN, eps=2.0), on=LATER)
        assert [row[2] for row in as_of(conn, date(2024, 10, 9))] == [2.0]


def test_the_fuller_source_speaks_first(database: Database) -> None:
    with database.begin() as conn:
        told = answer([report(ANN, eps=9.0)])
        other = FinanceAnswer(rows=told, judged=judged(told), raw=[], source="baostock", fetched_at=at(LATER))
        hear(conn, report(ANN, eps=1.0), on=FRIDAY)
        assert land(conn, other, calendar=SPRING).first == 1
        assert as_of(conn, LATER, "ts_code, end_date, source, version") == [("600000.SH", YEAR, "tushare", 1)]


def test_a_refused_row_is_resolved_by_an_answer_that_speaks_of_all_its_reports(database: Database) -> None:
    wrong = report(ANN) | {"eps": "?"}
    state = "SELECT trade_date, ts_code, rule, row_text, resolved_at IS NULL FROM rejected_row"
    with database.begin() as conn:
        hear(conn, wrong)
        ((day, code, rule, text, is_open),) = fetched(conn, state)
        assert (day, code, rule, json.loads(text)["eps"], is_open) == (YEAR, "600000.SH", "unreadable_value", "?", True)
        hear(conn, report(LATER, eps=1.0), on=LATER, is_whole=False)
        assert fetched(conn, state)[0][4]
        hear(conn, report(ANN, eps=1.0), report(LATER, eps=1.0), on=LATER)
        assert not fetched(conn, state)[0][4]
        hear(conn, wrong, on=LATER, is_whole=False)
        assert [row[4] for row in fetched(conn, state)] == [True]


def test_rows_that_break_the_contract_take_the_whole_answer_with_them(database: Database) -> None:
    told = answer([report(ANN, eps=1.0)])
    verdict = judged(told)
    broken = FinanceAnswer(
        rows=told,
        judged=type(verdict)(
            verdict.accepted.with_columns(eps=pl.lit(float("inf"))), verdict.rejected, verdict.findings
        ),
        raw=[(RAW_TUSHARE_FINA_INDICATOR, raw_rows(told))],
        source="tushare",
        fetched_at=at(FRIDAY),
    )
    with pytest.raises(DataRefused, match="eps"), database.begin() as conn:
        land(conn, broken, calendar=SPRING)
    with database.begin() as conn:
        assert counts(conn) == [0, 0, 0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"end_date": date(2024, 3, 30)},
        {"end_date": date(2024, 4, 30)},
        {"ann_date": date(2023, 12, 30)},
        {"known_from": ANN},
        {"f_ann_date": date(2024, 5, 1)},
        {"version": 0},
        {"ann_date_basis": "guess"},
        {"roe": float("nan")},
        {"ts_code": "600000"},
    ],
    ids=str,
)
def test_the_database_itself_refuses_an_impossible_version(database: Database, wrong: dict[str, object]) -> None:
    row: dict[str, object] = {"ts_code": "600000.SH", "end_date": YEAR, "ann_date": ANN, "version": 1, "roe": 8.0}
    row |= {"known_from": ANN + timedelta(1), "ann_date_basis": "stated", "f_ann_date": None}
    insert = sa.text(
        "INSERT INTO finance_indicator (ts_code, end_date, ann_date, version, roe, known_from, ann_date_basis, f_ann_date,"
        " is_chosen, source, fetched_at) VALUES (:ts_code, :end_date, :ann_date, :version, :roe, :known_from,"
        " :ann_date_basis, :f_ann_date, true, 'tushare', now())"
    )
    with database.engine.connect() as conn:
        conn.execute(insert, row)
        conn.rollback()
        with pytest.raises(IntegrityError):
            conn.execute(insert, row | wrong)


@pytest.mark.parametrize(
    "condition",
    ["ts_code = '000007.SZ'", "ts_code = ANY('{000007.SZ,000009.SZ}'::text[])", "end_date >= '2023-12-31'"],
)
def test_reading_one_stock_or_one_period_as_of_a_day_uses_an_index(database: Database, condition: str) -> None:
    with database.begin() as conn:
        conn.execute(sa.text(MANY))
        conn.execute(sa.text("ANALYZE finance_indicator"))
        asked = f"SELECT * FROM finance_indicator_as_of('2024-06-30') WHERE {condition}"  # noqa: S608
        nodes = list(_nodes(fetched(conn, f"EXPLAIN (FORMAT JSON) {asked}")[0][0][0]["Plan"]))
        assert fetched(conn, f"SELECT count(*) FROM ({asked})")[0][0] in {36, 72, 400}  # noqa: S608
    by = condition.split(maxsplit=1)[0]
    assert {node["Relation Name"] for node in nodes if "Relation Name" in node} == {"finance_indicator"}
    assert "Seq Scan" not in {node["Node Type"] for node in nodes}
    assert any(by in node.get("Index Cond", "") for node in nodes)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)
