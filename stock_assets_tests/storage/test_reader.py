"""What a reader gives is what is stored, whatever is asked, and a reader can change nothing."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, LiteralString

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from psycopg import sql

from stock_assets.domain.adjustment import Adjust
from stock_assets.domain.contract import Table
from stock_assets.domain.errors import ConfigurationError, InvalidInput, StoreUnavailable
from stock_assets.domain.tables import (
    ADJUST_FACTOR,
    QUALITY_FINDING,
    RAW_BAOSTOCK_DAILY,
    RAW_TUSHARE_ADJ_FACTOR,
    STOCK_DAILY,
    TRADING_DAY,
)
from stock_assets.storage.arrow_session import READER_ROLE, arrow
from stock_assets.storage.bulk_load import load
from stock_assets.storage.copy_frames import columns_of, copy_out
from stock_assets.storage.database import Database
from stock_assets.storage.raw import save_answer
from stock_assets.storage.reader import Reader, pivot
from stock_assets.storage.selection import Order
from stock_assets.storage.tables import TABLES
from stock_assets_tests.storage.conftest import Process
from stock_assets_tests.storage.made_up_rows import BAR, DAY, LATER, NOW, answer, bars, frame_of, trading_days

CODES = ["000001.SZ", "000002.SZ", "600000.SH"]
DAYS = [DAY + timedelta(offset) for offset in range(4)]
TYPES: dict[str, Any] = {
    "text": arrow.string(),
    "date": arrow.date32(),
    "float": arrow.float64(),
    "integer": arrow.int64(),
    "boolean": arrow.bool_(),
    "timestamp": arrow.timestamp("us", tz="UTC"),
}
MANY_ROWS = sa.text("""
    INSERT INTO stock_daily (ts_code, trade_date, open, high, low, close, pre_close, volume, amount, pct_chg, pe_ttm,
        pb_mrq, ps_ttm, pcf_ncf_ttm, is_suspended, is_st, source, updated_at)
    SELECT lpad(CAST(c AS text), 6, '0') || '.SZ', date '2000-01-01' + d, 10, 10, 10, 10, 10, d, d, 0, d, d, d, d,
        false, false, 'baostock', now()
    FROM generate_series(1, :stocks) AS c, generate_series(1, 2000) AS d
""")
# Prints the rows, and by how many MB the process was larger than before at its largest.
READ = """
import sys
import psutil
from stock_assets.storage.reader import Reader
reader = Reader.at(sys.argv[1])
reader.arrow("security")
before = psutil.Process().memory_info().rss
if sys.argv[2] == "whole":
    table = reader.arrow("stock_daily")
    rows, largest = table.num_rows, psutil.Process().memory_info().rss
else:
    rows = largest = 0
    with reader.batches("stock_daily") as stream:
        for batch in stream:
            rows += batch.num_rows
            largest = max(largest, psutil.Process().memory_info().rss)
print(rows, (largest - before) >> 20)
"""
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
numbers = st.floats(allow_nan=False, allow_infinity=False)
moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001  (bounds)


@pytest.fixture
def reader(database: Database) -> Iterator[Reader]:
    with Reader(database) as reader:
        yield reader


@pytest.fixture
def filled(database: Database) -> Database:
    """Three stocks on four days; the last one goes ex on the second day and on the last."""
    common = {"ts_code": "600000.SH", "source": "baostock", "updated_at": NOW}
    factors = [
        common | {"ex_date": day, "back_adjust_factor": factor}
        for day, factor in ((date(2020, 1, 2), 1.5), (DAYS[1], 3.0), (DAYS[3], 6.0))
    ]
    with database.begin() as conn:
        load(conn, STOCK_DAILY, bars(CODES, DAYS))
        load(conn, ADJUST_FACTOR, frame_of(ADJUST_FACTOR, factors))
    return database


def stored(database: Database, table: Table) -> pl.DataFrame:
    """Return all rows by the other way to read."""
    query = sql.SQL("SELECT {} FROM {}").format(columns_of(table), sql.Identifier(table.name))
    with database.read() as conn:
        return copy_out(conn, query, table.schema).sort(table.key)


def only(database: Database, table: Table, frame: pl.DataFrame) -> None:
    """Let the table hold this frame."""
    with database.begin() as conn:
        conn.execute(sa.text(f"TRUNCATE {table.name}"))
        load(conn, table, frame)


def backends(database: Database, condition: LiteralString) -> list[int]:
    """Return the server processes of the readers' sessions in a state."""
    others = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    query = sql.SQL("{} AND {}").format(sql.SQL(others), sql.SQL(condition))
    with database.dedicated() as connection:
        return [pid for (pid,) in connection.execute(query).fetchall()]


@pytest.mark.parametrize("table", TABLES, ids=[table.name for table in TABLES])
def test_every_table_can_be_read_and_an_empty_one_has_its_columns(reader: Reader, table: Table) -> None:
    found: Any = reader.arrow(table.name)
    assert found.num_rows == 0
    assert [(field.name, field.type, field.metadata) for field in found.schema] == [
        (column.name, TYPES[column.kind], None) for column in table.columns
    ]
    assert_frame_equal(pl.DataFrame(found), table.empty())


def bar_on(days: int, values: dict[str, object]) -> dict[str, object]:
    return BAR | {"trade_date": date(1990, 12, 19) + timedelta(days)} | values


def finding(rule: str, detail: str, run_id: str | None) -> dict[str, object]:
    row = {"dataset": "stock_daily", "trade_date": DAY, "ts_code": "600000.SH", "severity": "info", "found_at": NOW}
    return {**row, "rule": rule, "detail": detail, "run_id": run_id}


VALUES = st.fixed_dictionaries(
    {
        "pe_ttm": st.none() | numbers,
        "pct_chg": st.none() | numbers,
        "turnover_rate": st.none() | st.floats(0, 1e300),
        "volume": st.none() | st.integers(0, 2**63 - 1),
        "is_suspended": st.booleans(),
        "source": texts,
        "updated_at": moments,
    }
)
bar_rows = st.lists(st.builds(bar_on, st.integers(0, 40_000), VALUES), max_size=12)
finding_rows = st.lists(st.builds(finding, texts, texts, st.none() | texts), max_size=8)


def by_key(table: Table, rows: list[dict[str, object]]) -> pl.DataFrame:
    """Return the rows as a frame, of each key one."""
    return frame_of(table, list({tuple(row[name] for name in table.key): row for row in rows}.values()))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bar_rows, finding_rows)
def test_every_value_and_every_null_comes_back_exactly_and_as_the_other_way_gives_it(
    database: Database, reader: Reader, rows: list[dict[str, object]], findings: list[dict[str, object]]
) -> None:
    for table, frame in (
        (STOCK_DAILY, by_key(STOCK_DAILY, rows)),
        (QUALITY_FINDING, by_key(QUALITY_FINDING, findings)),
    ):
        only(database, table, frame)
        found = pl.DataFrame(reader.arrow(table.name))
        assert_frame_equal(found.sort(table.key), frame.sort(table.key), check_exact=True)
        assert_frame_equal(found.sort(table.key), stored(database, table), check_exact=True)
        with reader.batches(table.name) as stream:
            assert_frame_equal(pl.DataFrame(stream.read_all()), found, check_exact=True)


def test_rows_come_in_key_order_within_codes_and_days(filled: Database, reader: Reader) -> None:
    with filled.begin() as conn:
        # A changed row lies behind the others.
        conn.execute(sa.text("UPDATE stock_daily SET close = 9.75 WHERE ts_code = '000002.SZ'"))
    found = pl.DataFrame(reader.arrow("stock_daily", ts_codes=["600000.SH", "000002.SZ"], start=DAYS[1], end=DAYS[2]))
    assert found.select("ts_code", "trade_date").rows() == [(code, day) for code in CODES[1:] for day in DAYS[1:3]]
    orders: tuple[Order, ...] = ("key", "none")
    for order in orders:
        whole = pl.DataFrame(reader.arrow("stock_daily", order=order))
        assert_frame_equal(whole.sort("ts_code", "trade_date"), stored(filled, STOCK_DAILY))
    few: Any = reader.arrow("stock_daily", columns=["close", "ts_code"], start=DAYS[3])
    assert few.schema.names == ["close", "ts_code"]
    assert few.num_rows == 3
    assert reader.arrow("adjust_factor", start=DAYS[1], end=DAYS[2]).num_rows == 1
    assert reader.arrow("stock_daily", ts_codes=[]).num_rows == 0


def test_raw_answers_are_sliced_by_the_day_that_the_source_wrote(database: Database, reader: Reader) -> None:
    answers = pl.concat([answer(["sh.600000"], date=f"2026-11-{day}") for day in (18, 19, 20)])
    stamped = answers.with_columns(fetched_at=pl.lit(NOW), run_id=pl.lit("run")).select(RAW_BAOSTOCK_DAILY.names)
    with database.begin() as conn:
        load(conn, RAW_BAOSTOCK_DAILY, RAW_BAOSTOCK_DAILY.conform(stamped))
    found: Any = reader.arrow("raw_baostock_daily", start=date(2026, 11, 19), end=date(2026, 11, 19))
    assert found.column("date").to_pylist() == ["2026-11-19"]
    fields = RAW_TUSHARE_ADJ_FACTOR.empty_text().columns
    rows = pl.DataFrame([("600000.SH", f"202611{day}", "1.0") for day in (18, 19, 20)], schema=fields, orient="row")
    with database.begin() as conn:
        save_answer(conn, RAW_TUSHARE_ADJ_FACTOR, rows, fetched_at=NOW, run_id=None)
    other: Any = reader.arrow("raw_tushare_adj_factor", start=date(2026, 11, 19), end=date(2026, 11, 19))
    assert other.column("trade_date").to_pylist() == ["20261119"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(CODES) | st.text(max_size=12) | st.just("'; DROP TABLE stock_daily; --"), max_size=5))
def test_whatever_is_passed_as_a_code_is_a_code(filled: Database, reader: Reader, codes: list[str]) -> None:
    if "\ud800" <= max("".join(codes), default="") <= "\udfff":
        return
    found = pl.DataFrame(reader.arrow("stock_daily", ts_codes=codes))
    expected = stored(filled, STOCK_DAILY).filter(pl.col("ts_code").is_in(codes))
    assert_frame_equal(found, expected)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"table": "stock_daily; DROP TABLE security"}, "choose one of trading_day, security"),
        ({"table": "alembic_version"}, "no table 'alembic_version'"),
        ({"table": "security", "columns": ["name", "x"]}, "no column x; it has ts_code, name"),
        ({"table": "security", "columns": ['"']}, "no column"),
        ({"table": "security", "columns": []}, "at least one column"),
        ({"table": "security", "columns": ["name", "name"]}, "each once"),
        ({"table": "trading_day", "ts_codes": ["600000.SH"]}, "cannot be read by codes"),
        ({"table": "security", "start": DAY}, "no column of days"),
        ({"table": "security", "as_of": NOW}, "keeps no history"),
        ({"table": "stock_daily", "as_of": NOW.replace(tzinfo=None)}, "needs a time zone"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(reader: Reader, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        reader.arrow(**arguments)
    with pytest.raises(InvalidInput, match=said), reader.batches(**arguments):
        pass


def test_bars_that_cannot_be_given_are_refused(reader: Reader) -> None:
    with pytest.raises(InvalidInput, match="qfq needs an anchor"):
        reader.bars(adjust="qfq")
    with pytest.raises(InvalidInput, match="no column price"):
        reader.bars(columns=["price"])
    with pytest.raises(InvalidInput, match="no column close"):
        pivot(reader.bars(columns=["ts_code", "trade_date"]))


@pytest.mark.usefixtures("filled")
def test_adjusted_prices_follow_the_factors_and_the_anchor(reader: Reader) -> None:
    def closes(adjust: Adjust = "none", anchor: date | None = None) -> list[float]:
        found = reader.bars(["600000.SH"], DAYS[0], DAYS[3], columns=["close"], adjust=adjust, anchor=anchor)
        return found["close"].to_list()

    assert closes() == [10.5] * 4
    assert closes("hfq") == [15.75, 31.5, 31.5, 63.0]
    assert closes("qfq", DAYS[3]) == [2.625, 5.25, 5.25, 10.5]
    assert closes("qfq", DAYS[1]) == [5.25, 10.5, 10.5, 21.0]
    # Before the first ex-date, and after all of them.
    assert closes("qfq", date(1999, 1, 4)) == [15.75, 31.5, 31.5, 63.0]
    assert closes("qfq", date(2030, 1, 4)) == [2.625, 5.25, 5.25, 10.5]


@pytest.mark.usefixtures("filled")
def test_an_anchor_after_the_last_day_counts_with_its_own_factor(reader: Reader) -> None:
    for end in (DAYS[2], None):
        found = reader.bars(["600000.SH"], DAYS[2], end, adjust="qfq", anchor=DAYS[3])
        assert found["close"][0] == 5.25
        assert found["adjust_factor"][0] == 0.5


@pytest.mark.usefixtures("filled")
def test_bars_have_the_asked_columns_in_the_asked_order(reader: Reader) -> None:
    whole = reader.bars(adjust="hfq")
    assert whole.columns == [*STOCK_DAILY.names, "adjust_factor"]
    assert whole.height == 12
    for columns in (
        ["close"],
        ["volume", "trade_date"],
        ["adjust_factor"],
        ["volume"],
        ["high", "adjust_factor", "ts_code"],
    ):
        adjusts: tuple[Adjust, ...] = ("none", "hfq")
        for adjust in adjusts:
            found = reader.bars(adjust=adjust, columns=columns)
            assert_frame_equal(found, reader.bars(adjust=adjust).select(columns))


@pytest.mark.usefixtures("filled")
def test_no_bars_are_a_frame_with_all_columns(reader: Reader) -> None:
    whole = reader.bars(adjust="hfq")
    adjusts: tuple[Adjust, ...] = ("none", "hfq", "qfq")
    for adjust in adjusts:
        found = reader.bars(["999999.SH"], adjust=adjust, anchor=DAY)
        assert found.is_empty()
        assert found.schema == whole.schema


def test_a_pivot_has_a_row_a_day_and_a_column_a_stock(database: Database, reader: Reader) -> None:
    with database.begin() as conn:
        load(conn, STOCK_DAILY, pl.concat([bars(["600000.SH"], DAYS[1:2]), bars(["000001.SZ"], DAYS[:2], close=9.75)]))
    wide = pivot(reader.bars().reverse())
    assert wide.columns == ["trade_date", "000001.SZ", "600000.SH"]
    assert wide.rows() == [(DAYS[0], 9.75, None), (DAYS[1], 9.75, 10.5)]
    assert pivot(reader.bars(), "volume")["600000.SH"].to_list() == [None, 1000]
    assert pivot(reader.bars([])).columns == ["trade_date"]


@pytest.mark.usefixtures("filled")
def test_a_reader_cannot_write(reader: Reader) -> None:
    schema: Any = arrow.schema([("n", arrow.int64())])
    statements = (
        "WITH gone AS (DELETE FROM stock_daily RETURNING 1) SELECT count(*) AS n FROM gone",
        "SELECT setval(pg_get_serial_sequence('rejected_row', 'id'), 99) AS n",
    )
    for statement in statements:
        with reader.snapshot() as session, pytest.raises(Exception, match=r"read-only|permission denied"):
            list(session.batches(sql.SQL(statement), schema))
    assert reader.arrow("stock_daily").num_rows == 12
    # The role is not always there; the session's own setting is.
    setting = sql.SQL("SELECT current_setting('transaction_read_only') AS setting")
    with reader.snapshot() as session:
        (batch,) = list(session.batches(setting, arrow.schema([("setting", arrow.string())])))
    assert batch.column(0).to_pylist() == ["on"]


def test_a_login_that_may_not_read_is_told_so(filled: Database, database_url: str) -> None:
    login = "nobody_" + database_url.rpartition("_")[2].partition("?")[0]
    with filled.dedicated() as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'hunter2'").format(sql.Identifier(login)))
    try:
        address = (
            sa.make_url(database_url).set(username=login, password="hunter2").render_as_string(hide_password=False)
        )
        with Reader.at(address) as reader, pytest.raises(ConfigurationError, match="may not read") as caught:
            reader.arrow("stock_daily")
        assert "hunter2" not in str(caught.value) + repr(caught.value.facts)
    finally:
        with filled.dedicated() as connection:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(login)))


def test_a_store_that_cannot_be_reached_is_unavailable_and_no_password_is_shown() -> None:
    reader = Reader.at("postgresql://user:hunter2@127.0.0.1:1/nowhere")
    with pytest.raises(StoreUnavailable) as caught:
        reader.arrow("stock_daily")
    assert "hunter2" not in str(caught.value) + repr(caught.value.facts) + repr(caught.value.__cause__)


def test_a_store_of_another_revision_is_told_from_one_that_is_down(filled: Database, reader: Reader) -> None:
    with filled.begin() as conn:
        conn.execute(sa.text("ALTER TABLE stock_daily RENAME COLUMN pe_ttm TO pe"))
    with pytest.raises(ConfigurationError, match="db upgrade"):
        reader.bars()
    assert reader.arrow("stock_daily", columns=["close"]).num_rows == 12
    with filled.begin() as conn:
        conn.execute(sa.text("ALTER TABLE stock_daily ALTER volume TYPE integer"))
    with pytest.raises(ConfigurationError, match="db upgrade"):
        reader.arrow("stock_daily", columns=["volume"])


def test_tables_are_found_in_the_schema_of_the_store(database: Database, database_url: str) -> None:
    with database.begin() as conn:
        conn.execute(sa.text('CREATE SCHEMA "Odd name"'))
        conn.execute(sa.text('CREATE TABLE "Odd name".trading_day (LIKE public.trading_day)'))
    named = Database(database_url, schema="Odd name")
    with named.begin() as conn:
        load(conn, TRADING_DAY, trading_days(DAYS))
    named.close()
    with Reader.at(database_url, schema="Odd name") as odd, Reader.at(database_url) as public:
        assert odd.arrow("trading_day").num_rows == 4
        assert public.arrow("trading_day").num_rows == 0


def test_a_connection_that_died_between_two_reads_is_replaced_unnoticed(filled: Database, reader: Reader) -> None:
    assert reader.arrow("stock_daily").num_rows == 12
    with filled.dedicated() as other:
        for pid in backends(filled, "query = 'ROLLBACK'"):
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    assert reader.arrow("stock_daily").num_rows == 12


def test_a_stream_whose_connection_dies_is_an_error_and_never_a_short_answer(
    database: Database, reader: Reader
) -> None:
    with database.begin() as conn:
        conn.execute(MANY_ROWS, {"stocks": 150})
    rows = 0
    with pytest.raises(StoreUnavailable), reader.batches("stock_daily") as stream:  # noqa: PT012  (it dies on the way)
        rows += stream.read_next_batch().num_rows
        with database.dedicated() as other:
            for pid in backends(database, "state = 'active'"):
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        for batch in stream:
            rows += batch.num_rows
    assert 0 < rows < 300_000
    assert reader.arrow("stock_daily", columns=["close"]).num_rows == 300_000


def test_a_stream_that_is_left_early_stops_the_server(database: Database, reader: Reader) -> None:
    with database.begin() as conn:
        conn.execute(MANY_ROWS, {"stocks": 150})
    with reader.batches("stock_daily") as stream:
        stream.read_next_batch()
        assert backends(database, "state = 'active'")
    for _ in range(100):
        if not backends(database, "state = 'active'"):
            return
        time.sleep(0.05)
    pytest.fail("the server still works")


def test_ctrl_c_stops_a_query_that_has_not_answered_yet(
    database: Database, reader: Reader, process: Callable[..., Process], database_url: str
) -> None:
    waiting = process(
        "import sys\n"
        "from psycopg import sql\n"
        "from stock_assets.storage.arrow_session import arrow_schema\n"
        "from stock_assets.storage.reader import Reader\n"
        "with Reader.at(sys.argv[1]).snapshot() as session:\n"
        "    print('asks', flush=True)\n"
        "    try:\n"
        "        list(session.batches(sql.SQL('SELECT pg_sleep(300)::text AS a'), arrow_schema({'a': 'text'})))\n"
        "    except KeyboardInterrupt:\n"
        "        print('stopped', flush=True)\n",
        database_url,
    )
    assert waiting.line() == "asks"
    while not backends(database, "query LIKE '%pg_sleep(300)%'"):
        time.sleep(0.05)
    waiting.popen.send_signal(2)
    assert waiting.line() == "stopped"
    assert waiting.finish() == 0
    assert not backends(database, "query LIKE '%pg_sleep(300)%'")
    assert reader.arrow("security").num_rows == 0


def test_a_reader_at_rest_holds_no_transaction_open(filled: Database, reader: Reader) -> None:
    reader.bars()
    assert backends(filled, "state = 'idle'")
    assert not backends(filled, "xact_start IS NOT NULL AND backend_type = 'client backend'")


def test_threads_may_share_a_reader_and_read_beside_a_stream(filled: Database, reader: Reader) -> None:
    expected = stored(filled, STOCK_DAILY)
    found: list[pl.DataFrame] = []

    def read() -> None:
        found.extend(pl.DataFrame(reader.arrow("stock_daily")) for _ in range(10))

    with reader.batches("stock_daily") as stream:
        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert stream.read_all().num_rows == 12
    assert len(found) == 40
    assert all(frame.equals(expected) for frame in found)


def test_a_snapshot_sees_one_state_throughout(filled: Database, reader: Reader) -> None:
    schema: Any = arrow.schema([("n", arrow.int64())])
    count = sql.SQL("SELECT count(*) AS n FROM stock_daily")
    with reader.snapshot() as session:
        (before,) = list(session.batches(count, schema))
        with filled.begin() as conn:
            conn.execute(sa.text("DELETE FROM stock_daily"))
        (after,) = list(session.batches(count, schema))
        assert before.equals(after)
    assert reader.arrow("stock_daily").num_rows == 0


@pytest.mark.slow
def test_a_stream_stays_small_where_the_whole_does_not(
    database: Database, database_url: str, process: Callable[..., Process]
) -> None:
    with database.begin() as conn:
        conn.execute(MANY_ROWS, {"stocks": 400})
    grown: dict[str, int] = {}
    for how in ("stream", "whole"):
        rows, megabytes = map(int, process(READ, database_url, how).line().split())
        assert rows == 800_000
        grown[how] = megabytes
    assert grown["stream"] < 80
    assert grown["whole"] > 2 * grown["stream"]


@pytest.mark.slow
def test_a_first_read_costs_no_pandas(database_url: str, process: Callable[..., Process]) -> None:
    code = "import sys\nfrom stock_assets.storage.reader import Reader\nReader.at(sys.argv[1]).bars()\nprint('pandas' in sys.modules)"
    assert process(code, database_url).line() == "False"


def test_rows_are_read_as_they_were_known(filled: Database, reader: Reader) -> None:
    with filled.begin() as conn:
        load(conn, STOCK_DAILY, bars(["600000.SH"], DAYS[:1], close=10.75, updated_at=LATER))
        factor = {"ts_code": "600000.SH", "ex_date": DAYS[1], "back_adjust_factor": 4.5, "source": "baostock"}
        load(conn, ADJUST_FACTOR, frame_of(ADJUST_FACTOR, [factor | {"updated_at": LATER}]))
    slice_ = (["600000.SH"], DAYS[0], DAYS[1])

    def closes(as_of: datetime | None) -> list[float]:
        return reader.bars(*slice_, adjust="hfq", as_of=as_of)["close"].to_list()

    assert closes(None) == closes(LATER) == [10.75 * 1.5, 10.5 * 4.5]
    assert closes(LATER - timedelta(microseconds=1)) == closes(NOW) == [10.5 * 1.5, 10.5 * 3.0]
    assert closes(NOW - timedelta(microseconds=1)) == []
    before = pl.DataFrame(reader.arrow("stock_daily", as_of=NOW))
    assert_frame_equal(before, bars(CODES, DAYS))
    with reader.batches("stock_daily", as_of=NOW) as stream:
        assert_frame_equal(pl.DataFrame(stream.read_all()), before)


def test_readers_take_the_role_that_can_only_read_where_there_is_one(filled: Database, reader: Reader) -> None:
    with filled.dedicated() as connection:
        row = connection.execute("SELECT count(*) FROM pg_roles WHERE rolname = %s", [READER_ROLE]).fetchone()
    if row != (1,):
        pytest.skip("THE LOGIN OF THE TESTS MAY NOT CREATE ROLES")
    schema: Any = arrow.schema([("role", arrow.string())])
    with reader.snapshot() as session:
        (batch,) = list(session.batches(sql.SQL("SELECT current_user::text AS role"), schema))
        assert batch.column(0).to_pylist() == [READER_ROLE]
