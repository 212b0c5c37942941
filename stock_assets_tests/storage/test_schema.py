from collections.abc import Iterator, Mapping
from datetime import date

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from stock_assets.domain.contract import Table
from stock_assets.storage.database import Database
from stock_assets.storage.schema import metadata, table_of
from stock_assets.storage.tables import TABLES
from stock_assets_tests.databases import Server, own_database
from stock_assets_tests.storage.made_up_rows import BAR, DAY, NOW, entry, security


@pytest.fixture(scope="module")
def database(server: Server, migrated_template: str) -> Iterator[Database]:
    """One migrated database for this file: whatever a test inserts is rolled back."""
    with own_database(server, migrated_template) as url:
        database = Database(url)
        yield database
        database.close()


def _insert(database: Database, table: str, *rows: Mapping[str, object]) -> None:
    with database.engine.connect() as conn:
        for row in rows:
            conn.execute(table_of(table).insert().values(row))
        conn.rollback()


def _ledger(**values: object) -> dict[str, object]:
    line = entry(**values)
    return {name: getattr(line, name) for name in line.__slots__}


def test_every_contract_has_a_table_and_nothing_else_does() -> None:
    assert set(metadata.tables) == {table.name for table in TABLES}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_database_says_what_every_table_and_column_means(database: Database, table: Table) -> None:
    with database.read() as conn:
        inspector = sa.inspect(conn)
        comments = {column["name"]: column.get("comment") for column in inspector.get_columns(table.name)}
        assert inspector.get_table_comment(table.name)["text"] == table.comment
    comments.pop("id", None)
    assert comments == {column.name: column.comment for column in table.columns}
    assert all(" | " in str(comment) for comment in comments.values())


def test_text_is_compared_byte_by_byte(database: Database) -> None:
    with database.read() as conn:
        other = conn.execute(
            sa.text(
                "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
                " AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"
            )
        ).all()
    assert other == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"high": 9.0},
        {"high": 10.2},
        {"low": 10.2},
        {"close": -1.0, "low": -1.0},
        {"amount": float("nan")},
        {"pe_ttm": float("inf")},
        {"volume": -1},
        {"close": None},
        {"ts_code": "sh.600000"},
        {"ts_code": "600000.XX"},
        {"trade_date": date(1990, 12, 18)},
    ],
    ids=str,
)
def test_the_database_itself_refuses_an_impossible_bar(database: Database, wrong: dict[str, object]) -> None:
    with pytest.raises(IntegrityError):
        _insert(database, "stock_daily", BAR | wrong)


@pytest.mark.parametrize(
    "right",
    [
        {},
        {"open": None, "high": None, "low": None, "volume": None, "amount": None, "is_suspended": True},
        {"open": 10.0, "high": 10.0, "low": 10.0, "close": 10.0},
        {"pe_ttm": -1e9},
    ],
    ids=str,
)
def test_the_database_accepts_every_possible_bar(database: Database, right: dict[str, object]) -> None:
    _insert(database, "stock_daily", BAR | right)


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "done"},
        {"status": "complete", "rows_expected": 3, "rows_present": 2},
        {"status": "empty", "rows_present": 1},
        {"status": "partial", "detail": None},
        {"status": "refused", "detail": None},
        {"rows_rejected": -1},
    ],
    ids=str,
)
def test_the_ledger_cannot_contradict_itself(database: Database, wrong: dict[str, object]) -> None:
    with pytest.raises(IntegrityError):
        _insert(database, "load_ledger", _ledger(**wrong))


@pytest.mark.parametrize(
    "right",
    [
        {"status": "complete", "rows_expected": None},
        {"status": "complete", "rows_expected": 2, "rows_present": 3},
        {"status": "empty", "rows_expected": 0, "rows_present": 0},
        {"status": "partial", "rows_expected": 3, "detail": "1 missing"},
        {"status": "refused", "rows_present": 2, "detail": "banned"},
    ],
    ids=str,
)
def test_the_ledger_takes_every_honest_line(database: Database, right: dict[str, object]) -> None:
    _insert(database, "load_ledger", _ledger(**right))


@pytest.mark.parametrize(
    "wrong",
    [{"exchange": "SZ"}, {"delist_date": date(2000, 1, 1)}, {"board": "otc"}, {"ts_code": "000001"}],
    ids=str,
)
def test_a_security_must_fit_its_own_code_and_dates(database: Database, wrong: dict[str, object]) -> None:
    with pytest.raises(IntegrityError):
        _insert(database, "security", security("600000.SH", date(2001, 1, 1)) | wrong)


def test_the_calendar_cannot_claim_an_agreement_that_is_none(database: Database) -> None:
    row = {"trade_date": DAY, "is_open": True, "source": "x", "updated_at": NOW}
    _insert(database, "trading_day", row | {"source_is_open": True, "sources_agree": True})
    with pytest.raises(IntegrityError):
        _insert(database, "trading_day", row | {"trade_date": date(2026, 11, 21), "sources_agree": True})
