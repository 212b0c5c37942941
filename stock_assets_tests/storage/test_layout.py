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
from stock_assets.storage.layout import FIRST_YEARS, Layout, convert, has_timescale, layout_of, parts_of
from stock_assets_tests.storage.made_up_rows import LATER, bars

CODES = [f"{number:06d}.SZ" for number in range(40)]
YEARS = [date(year, 6, 1) for year in (1990 + 1, 1999, 2000, 2018, 2026, 2039, 2099)]
STOCK = "SELECT * FROM stock_daily WHERE ts_code = '000007.SZ' ORDER BY trade_date"
MARKET_DAY = "SELECT * FROM stock_daily WHERE trade_date = '2026-06-01'"


@pytest.fixture(params=["plain", "partitions", "hypertable"])
def laid_out(request: pytest.FixtureRequest, database: Database) -> tuple[Database, Layout]:
    """A store in each layout that this server offers."""
    layout: Layout = request.param
    if layout == "hypertable":
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


def test_there_and_back_again_changes_nothing_anybody_can_see(database: Database) -> None:
    layouts: list[Layout] = ["plain", "partitions"]
    with database.begin() as conn:
        load(conn, STOCK_DAILY, bars(CODES, YEARS))
        conn.execute(sa.text("GRANT SELECT ON stock_daily TO pg_monitor"))
        before, catalog = everything(conn), _catalog(conn)
        for layout in layouts:
            convert(conn, "stock_daily", layout)
            assert layout_of(conn, "stock_daily") == layout
            assert _catalog(conn) == catalog
            assert_frame_equal(everything(conn), before, check_exact=True)
        load(conn, STOCK_DAILY, bars(CODES[:1], YEARS[:1], close=9.75), run_id="run")
        assert conn.scalar(sa.text("SELECT count(*) FROM stock_daily_history")) == 1
        assert conn.scalar(sa.text("SELECT count(*) FROM stock_daily_as_of(now())")) == 280


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
    with database.dedicated() as connection:
        connection.execute("VACUUM ANALYZE stock_daily")
    with database.read() as conn:
        stock, day = ("\n".join(conn.scalars(sa.text(f"EXPLAIN {query}"))) for query in (STOCK, MARKET_DAY))
    for plan, lead in ((stock, "ts_code"), (day, "trade_date")):
        assert re.search(rf"Index Cond: .*\({lead} = ", plan), plan
    # A part that holds a handful of rows is read whole; the large one never is.
    large = "stock_daily" if layout == "plain" else "from_2024|_hyper_"
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


def _catalog(conn: sa.Connection) -> set[tuple[object, ...]]:
    found: set[tuple[object, ...]] = set()
    for query in (
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'stock_daily'::regclass",
        "SELECT indexname, replace(indexdef, ' ON ONLY ', ' ON ') FROM pg_indexes WHERE tablename = 'stock_daily'",
        "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'stock_daily'::regclass",
        """SELECT attname, attnum, attnotnull, col_description(attrelid, attnum) FROM pg_attribute
           WHERE attrelid = 'stock_daily'::regclass AND attnum > 0""",
        "SELECT obj_description('stock_daily'::regclass, 'pg_class')",
        "SELECT acl::text FROM pg_class CROSS JOIN unnest(relacl) AS acl WHERE oid = 'stock_daily'::regclass",
        """SELECT pg_get_functiondef(oid), obj_description(oid, 'pg_proc') FROM pg_proc
           WHERE prorettype = 'stock_daily'::regtype""",
    ):
        rows = [tuple(row) for row in conn.execute(sa.text(query))]
        assert rows
        found |= set(rows)
    return found
