import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import ProgrammingError

from stock_assets.domain.errors import ConfigurationError
from stock_assets.storage import migrate
from stock_assets.storage.database import Database
from stock_assets.storage.layout import PARTED, parts_of
from stock_assets.storage.schema import metadata
from stock_assets_tests.databases import Server, own_database

ROOT = Path(__file__).resolve().parents[2]
# How a table lies on disk is no part of its contract: the partitions themselves are left out.
CATALOG = {
    "rules": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(pg_constraint.oid) FROM pg_constraint"
    " JOIN pg_class ON pg_class.oid = conrelid"
    " WHERE connamespace = current_schema()::regnamespace AND NOT relispartition",
    "indexes": "SELECT tablename, indexname, replace(indexdef, ' ON ONLY ', ' ON ') FROM pg_indexes"
    " WHERE schemaname = current_schema() AND NOT (SELECT relispartition FROM pg_class WHERE oid = format('%I', indexname)::regclass)",
    "columns": "SELECT attrelid::regclass::text, attnum, attname, format_type(atttypid, atttypmod), attnotnull,"
    " attidentity, attcollation::regcollation::text, col_description(attrelid, attnum)"
    " FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
    " WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"
    " AND attnum > 0",
    "comments": "SELECT relname, obj_description(oid, 'pg_class') FROM pg_class"
    " WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition",
}


@pytest.fixture
def empty(server: Server) -> Iterator[Database]:
    with own_database(server) as url:
        database = Database(url)
        yield database
        database.close()


def _catalog(database: Database) -> dict[str, set[tuple[object, ...]]]:
    with database.read() as conn:
        rows = {what: conn.execute(sa.text(query)).all() for what, query in CATALOG.items()}
    return {what: {tuple(row) for row in found if row[0] != "alembic_version"} for what, found in rows.items()}


def test_migrations_lead_to_exactly_the_tables_of_the_contracts(database: Database, empty: Database) -> None:
    with database.read() as conn:
        parts = {part for table in PARTED for part in parts_of(conn, table)}

        def is_ours(item: sa.schema.SchemaItem, name: str | None, *_: object) -> bool:
            return name not in parts and not (
                isinstance(item, sa.Index) and item.table is not None and item.table.name in parts
            )

        options = {"compare_type": True, "compare_server_default": True, "include_object": is_ours}
        context = MigrationContext.configure(conn, opts=options)
        assert compare_metadata(context, metadata) == []
    with empty.begin() as conn:
        metadata.create_all(conn)
    migrated, created = _catalog(database), _catalog(empty)
    assert all(created.values())
    assert migrated == created


def test_down_to_the_ground_and_up_again_ends_where_it_began(database: Database) -> None:
    before = _catalog(database)
    migrate.downgrade(database, "base")
    assert migrate.current(database) is None
    assert not any(_catalog(database).values())
    migrate.upgrade(database)
    assert _catalog(database) == before


def test_a_database_says_whether_it_waits_for_a_migration(empty: Database) -> None:
    assert migrate.current(empty) is None
    assert migrate.pending(empty)
    migrate.upgrade(empty)
    assert migrate.current(empty) == migrate.head()
    assert not migrate.pending(empty)


def test_the_head_read_from_file_names_is_the_one_alembic_finds() -> None:
    script = ScriptDirectory(str(ROOT / "stock_assets" / "storage" / "migrations"))
    assert script.get_heads() == [migrate.head()]


def test_two_processes_that_migrate_at_once_leave_one_migrated_database(empty: Database) -> None:
    errors: list[BaseException] = []
    start = threading.Barrier(2)

    def run() -> None:
        start.wait()
        code = (
            "import sys; from stock_assets.storage import migrate; from stock_assets.storage.database import Database"
        )
        done = subprocess.run(
            [sys.executable, "-c", f"{code}; migrate.upgrade(Database(sys.argv[1]))", url],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
        if done.returncode:
            errors.append(RuntimeError(done.stderr))

    url = empty.engine.url.render_as_string(hide_password=False)
    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert migrate.current(empty) == migrate.head()


def test_a_migration_that_fails_leaves_nothing_behind(empty: Database) -> None:
    with empty.begin() as conn:
        conn.execute(sa.text("CREATE TABLE stock_daily (in_the_way int)"))
    with pytest.raises(ProgrammingError):
        migrate.upgrade(empty)
    assert migrate.current(empty) is None
    with empty.read() as conn:
        assert sa.inspect(conn).get_table_names() == ["stock_daily"]


def test_a_store_in_a_schema_of_its_own_does_not_take_another_ones_revision_for_its_own(database: Database) -> None:
    other = Database(database.engine.url.render_as_string(hide_password=False), schema="other")
    assert migrate.current(other) is None
    migrate.upgrade(other)
    with other.read() as conn:
        parts = {part.rpartition(".")[2] for table in PARTED for part in parts_of(conn, table)}
        names = set(sa.inspect(conn).get_table_names("other"))
        assert names - parts == {*metadata.tables, "alembic_version"}
    migrate.downgrade(other, "base")
    assert migrate.current(database) == migrate.head()
    other.close()


def test_a_database_of_a_newer_program_is_left_alone_with_a_sentence(database: Database) -> None:
    with database.begin() as conn:
        conn.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    assert migrate.pending(database)
    with pytest.raises(ConfigurationError, match="newer version"):
        migrate.upgrade(database)


def test_asking_for_the_revision_does_not_load_alembic() -> None:
    code = "import sys; from stock_assets.storage import migrate; migrate.head(); assert 'alembic' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
