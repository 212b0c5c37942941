"""How the daily bars lie on disk changes nothing that anybody can see, and serves both questions by index."""

import re
from datetime import date, timedelta

import polars as pl
import pytest
import sqlalchemy as sa
from polars.testing import assert_frame_equal

from stock_assets.domain.errors import ConfigurationError
from stock_assets.domain.tables import STOCK_DAILY
from stock_assets.storage import bars as stored_bars
from stock_assets.storage.bulk_load import Counts, load
from stock_assets.storage.database import Database
from stock_assets.storage.layout import FIRST_YEARS, Layout, convert, has_timescale, layout_of, parts_of, rows_of
from stock_assets_tests.storage.made_up_rows import LATER, bars

CODES = [f"{number:06d}.SZ" for number in range(40)]
YEARS = [date(year, 6, 1) for year in (1990 + 1, 1999, 2000, 2018, 2026, 2039, 2099)]
STOCK = "SELECT * FROM stock_daily WHERE ts_code = '000007.SZ' ORDER BY trade_date"
# What a reader meets by the table's name.
SEEN = (
    """SELECT attname, attnum, format_type(atttypid, atttypmod), attcollation, col_description(attrelid, attnum)
       FROM pg_attribute WHERE attrelid = 'stock_daily'::regclass AND attnum > 0""",
    "SELECT obj_description('stock_daily'::regclass, 'pg_class')",
    "SELECT acl::text FROM pg_class CROSS JOIN unnest(relacl) AS acl WHERE oid = 'stock_daily'::regclass",
    """SELECT pg_get_functiondef(oid), obj_description(oid, 'pg_proc') FROM pg_proc
       WHERE prorettype = 'stock_daily'::regtype""",
)
# What guards the rows of a table of that name.
OF_TABLE = (
    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'stock_daily'::regclass",
    "SELECT indexname, replace(indexdef, ' ON ONLY ', ' ON ') FROM pg_indexes WHERE tablename = 'stock_daily'",
    "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'stock_daily'::regclass",
    "SELECT attname, attnotnull FROM pg_attribute WHERE attrelid = 'stock_daily'::regclass AND attnum > 0",
)
# And what hangs on packed ones.
OF_HELD = (
    "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'stock_daily_packed'",
    """SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger
       WHERE tgrelid = 'stock_daily_packed'::regclass AND tgname NOT LIKE 'ts%blocker'""",
)
HELD = {"pk_stock_daily", "ix_stock_daily_trade_date_ts_code", "keep_stock_daily"}
MARKET_DAY = "SELECT * FROM stock_daily WHERE trade_date = '2026-06-01'"


@pytest.fixture(params=["plain", "partitions", "packed", "hypertable"])
def laid_out(request: pytest.FixtureRequest, database: Database) -> tuple[Database, Layout]:
    """A store in each layout that this server offers; a packed one is a hypertable's table without TimescaleDB."""
    layout: Layout = "hypertable" if request.param == "packed" else request.param
    if request.param == "hypertable":
        database = request.getfixturevalue("timescale_database")
    with database.begin() as conn:
        convert(conn, STOCK_DAILY.name, layout)
    return database, layout


def everything(conn: sa.Connection) -> pl.DataFrame:
    """Return all bars."""
    return stored_bars.read_bars(conn, None, date(1990, 1, 1), date(2100, 1, 1))


def test_every_year_has_its_place_and_loading_works_as_ever(laid_out: tuple[Database, Layout]) -> None:
    database, layout = laid_out
    with database.begin() as conn:
        assert layout_of(conn, "stock_daily") == layout
        assert load(conn, STOCK_DAILY, bars(CODES, YEARS[:3]), is_new=True) == Counts(inserted=120)
        assert load(conn, STOCK_DAILY, bars(CODES, YEARS)) == Counts(inserted=160, unchanged=120)
        changed = bars(CODES[:5], YEARS, close=9.75, updated_at=LATER)
        assert load(conn, STOCK_DAILY, changed, is_new=True, run_id="run") == Counts(updated=35)
        assert everything(conn).height == 280
        assert conn.scalar(sa.text("SELECT count(*) FROM stock_daily_history WHERE run_id = 'run'")) == 35


@pytest.mark.parametrize("server_kind", ["any", "timescale"])
def test_there_and_back_again_changes_nothing_anybody_can_see(request: pytest.FixtureRequest, server_kind: str) -> None:
    database: Database = request.getfixturevalue("database" if server_kind == "any" else "timescale_database")
    layouts: list[Layout] = ["plain", "hypertable", "partitions", "hypertable", "plain", "partitions"]
    odd = bars(["600000.SH"], YEARS, close=10.0000001, pe_ttm=1e17, pct_chg=-9.87654321)
    with database.begin() as conn:
        convert(conn, "stock_daily", "partitions")
        load(conn, STOCK_DAILY, pl.concat([bars(CODES, YEARS), odd]))
        conn.execute(sa.text("GRANT SELECT, UPDATE ON stock_daily TO pg_monitor"))
        before, seen, guarded = everything(conn), _found(conn, SEEN), _found(conn, OF_TABLE)
        for number, layout in enumerate(layouts):
            convert(conn, "stock_daily", layout)
            assert layout_of(conn, "stock_daily") == layout
            assert _found(conn, SEEN) == seen
            assert_frame_equal(everything(conn), before, check_exact=True)
            if layout == "hypertable":
                assert {str(name) for name, _ in _found(conn, OF_HELD)} == HELD
                assert conn.scalar(sa.text("SELECT has_table_privilege('pg_monitor', 'stock_daily_packed', 'UPDATE')"))
            else:
                assert _found(conn, OF_TABLE) == guarded
                assert conn.scalar(sa.text("SELECT to_regclass('stock_daily_packed')")) is None
                assert (
                    conn.scalar(sa.text("SELECT count(*) FROM pg_proc WHERE proname ~ '^(write|keep)_stock_daily'"))
                    == 1
                )
            for close in (9.75, 10.5):
                load(conn, STOCK_DAILY, bars(CODES[:1], YEARS[:1], close=close), run_id="run")
            assert conn.scalar(sa.text("SELECT count(*) FROM stock_daily_history")) == 2 * number + 2
            assert conn.scalar(sa.text("SELECT count(*) FROM stock_daily_as_of('2027-01-01')")) == 287
            before = everything(conn)


def test_a_trigger_of_the_users_own_does_not_meet_packed_rows_unawares(database: Database) -> None:
    how = "BEFORE UPDATE ON stock_daily FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    with database.begin() as conn:
        conn.execute(sa.text(f"CREATE TRIGGER mine {how}"))
    with pytest.raises(ConfigurationError, match="trigger of your own"), database.begin() as conn:
        convert(conn, "stock_daily", "hypertable")
    with database.begin() as conn:
        convert(conn, "stock_daily", "plain")


def test_a_view_of_the_users_own_is_never_dropped(database: Database) -> None:
    with database.begin() as conn:
        conn.execute(sa.text("CREATE VIEW mine AS SELECT close FROM stock_daily"))
    with pytest.raises(ConfigurationError, match="view mine"), database.begin() as conn:
        convert(conn, "stock_daily", "plain")
    with database.read() as conn:
        assert layout_of(conn, "stock_daily") == ("hypertable" if has_timescale(conn) else "partitions")
        assert conn.scalar(sa.text("SELECT count(*) FROM mine")) == 0


def test_a_stocks_history_and_a_market_day_are_both_found_by_index(laid_out: tuple[Database, Layout]) -> None:
    database, layout = laid_out
    days = [date(2026, 6, 1) + timedelta(days=offset) for offset in range(-200, 200)]
    with database.begin() as conn:
        load(conn, STOCK_DAILY, bars(CODES, [*YEARS, *(day for day in days if day not in YEARS)]), is_new=True)
        held = rows_of(conn, "stock_daily")
    with database.dedicated() as connection:
        connection.execute(f"VACUUM ANALYZE {held}".encode())
    with database.read() as conn:
        stock, day = ("\n".join(conn.scalars(sa.text(f"EXPLAIN {query}"))) for query in (STOCK, MARKET_DAY))
    for plan, lead in ((stock, "ts_code"), (day, "trade_date")):
        assert re.search(rf"Index Cond: .*\({lead} = ", plan), plan
    # A part that holds a handful of rows is read whole; the large one never is.
    large = "stock_daily" if layout == "plain" else "from_2024|_hyper_|packed"
    assert not re.search(rf"Seq Scan on \w*({large})", day), day
    if layout == "partitions":
        assert len(set(re.findall(r"on (stock_daily_from_\d+)", day))) == 1, day


def test_the_parts_have_no_hole_between_them(database: Database) -> None:
    with database.read() as conn:
        parts = parts_of(conn, "stock_daily")
        bounds = [
            conn.scalar(
                sa.text("SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = CAST(:p AS regclass)"),
                {"p": part},
            )
            for part in parts
        ]
    assert len(parts) == len(FIRST_YEARS)
    ends = [re.findall(r"\('?([^')]+)'?\)", str(bound)) for bound in bounds]
    assert [ends[0][0], ends[-1][1]] == ["MINVALUE", "MAXVALUE"]
    assert [end[1] for end in ends[:-1]] == [end[0] for end in ends[1:]]


def _found(conn: sa.Connection, queries: tuple[str, ...]) -> set[tuple[object, ...]]:
    found: set[tuple[object, ...]] = set()
    for query in queries:
        rows = [tuple(row) for row in conn.execute(sa.text(query))]
        assert rows
        found |= set(rows)
    return found
