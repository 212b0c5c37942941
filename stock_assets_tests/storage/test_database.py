"""Transactions, the border for foreign errors, and what is never shown."""

import os
import pickle
import threading

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import exc

from stock_assets.domain.errors import ConfigurationError, StoreUnavailable
from stock_assets.storage.database import Database, ensure_database
from stock_assets_tests.databases import Server


def count(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(sa.text("SELECT count(*) FROM t")).scalar_one()


@pytest.fixture
def table(database: Database) -> Database:
    """The database with a table `t` of two rows."""
    with database.begin() as connection:
        connection.execute(sa.text("CREATE TABLE t (id int PRIMARY KEY, n int)"))
        connection.execute(sa.text("INSERT INTO t VALUES (1, 0), (2, 0)"))
    return database


def test_a_transaction_keeps_everything_or_nothing(table: Database) -> None:
    with pytest.raises(ZeroDivisionError), table.begin() as connection:  # noqa: PT012  (the error leaves the transaction)
        connection.execute(sa.text("INSERT INTO t VALUES (3, 0)"))
        raise ZeroDivisionError
    assert count(table) == 2


def test_copy_shares_the_transaction(table: Database) -> None:
    def copy_and_fail() -> None:
        with table.begin() as connection:
            with table.driver(connection).cursor() as cursor, cursor.copy("COPY t FROM STDIN") as copy:
                copy.write_row((3, 0))
            assert connection.execute(sa.text("SELECT count(*) FROM t")).scalar_one() == 3
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        copy_and_fail()
    assert count(table) == 2


def test_a_read_cannot_write(table: Database) -> None:
    with pytest.raises(exc.InternalError, match="read-only"), table.read() as connection:
        connection.execute(sa.text("DELETE FROM t"))
    with table.begin() as connection:
        connection.execute(sa.text("DELETE FROM t"))
    assert count(table) == 0


def test_a_read_sees_one_state_throughout(table: Database) -> None:
    with table.read() as reader:
        before = reader.execute(sa.text("SELECT count(*) FROM t")).scalar_one()
        with table.begin() as writer:
            writer.execute(sa.text("DELETE FROM t"))
        assert reader.execute(sa.text("SELECT count(*) FROM t")).scalar_one() == before


def test_sessions_are_in_utc_and_find_their_schema_first(table: Database, database_url: str) -> None:
    with table.begin() as connection:
        connection.execute(sa.text('CREATE SCHEMA "Odd name"'))
    database = Database(database_url, schema="Odd name", application_name="odd application")
    with database.read() as connection:
        query = "SELECT current_setting('timezone'), current_schema(), current_setting('application_name')"
        assert connection.execute(sa.text(query)).one() == ("UTC", "Odd name", "odd application")
    with database.dedicated() as connection:
        assert connection.execute(query).fetchone() == ("UTC", "Odd name", "odd application")
    database.close()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_common_form_of_the_address_is_accepted(database_url: str, scheme: str) -> None:
    database = Database(scheme + database_url.removeprefix("postgresql"))
    with database.read() as connection:
        assert connection.execute(sa.text("SELECT 1")).scalar_one() == 1
    database.close()


@pytest.mark.parametrize("address", ["mysql://u:hunter2@h/d", "hunter2", "postgresql://u:hunter2@h:port/d"])
def test_a_wrong_address_is_refused_without_being_repeated(address: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Database(address)
    assert "hunter2" not in repr(caught.value) + str(caught.value)
    assert caught.value.__cause__ is None


def test_no_password_is_shown() -> None:
    database = Database("postgresql://user:hunter2@127.0.0.1:1/nowhere")
    assert "hunter2" not in repr(database)
    for use in (database.begin, database.read, database.dedicated):
        with pytest.raises(StoreUnavailable) as caught, use():
            pass
        assert "hunter2" not in str(caught.value) + str(caught.value.facts)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301  (our own bytes)


def test_a_connection_lost_in_a_transaction_is_store_unavailable_and_the_next_one_works(table: Database) -> None:
    with pytest.raises(StoreUnavailable), table.begin() as connection:  # noqa: PT012  (the error leaves the transaction)
        pid = table.driver(connection).info.backend_pid
        with table.dedicated() as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        connection.execute(sa.text("SELECT 1"))
    assert count(table) == 2


def test_connections_that_died_while_idle_are_replaced_unnoticed(table: Database) -> None:
    with table.dedicated() as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert count(table) == 2


def test_a_full_pool_is_store_unavailable_after_its_time(database_url: str) -> None:
    database = Database(database_url, pool_size=1, max_overflow=0, pool_timeout_seconds=0.05)
    with (
        database.begin(),
        pytest.raises(StoreUnavailable, match=r"all 1 connections .* raise DB_POOL_SIZE"),
        database.begin(),
    ):
        pass
    database.close()


def test_a_session_names_its_process(database: Database) -> None:
    with database.dedicated() as connection:
        row = connection.execute("SELECT current_setting('application_name')").fetchone()
    assert row == (f"stock_assets {os.getpid()}",)


def test_a_program_is_given_the_password_where_other_users_cannot_see_it() -> None:
    database = Database("postgresql://keeper:hunter2@127.0.0.1:6543/sha res?sslmode=disable&sslpassword=hunter2")
    address, environment = database.for_program()
    assert "hunter2" not in address
    assert environment == {"PGPASSWORD": "hunter2"}
    assert conninfo_to_dict(address)["dbname"] == "sha res"


def test_our_own_mistakes_pass_as_they_are(table: Database) -> None:
    with pytest.raises(exc.IntegrityError), table.begin() as connection:
        connection.execute(sa.text("INSERT INTO t VALUES (1, 0)"))
    with pytest.raises(exc.OperationalError), table.begin() as connection:  # noqa: PT012  (the error leaves the transaction)
        connection.execute(sa.text("SET LOCAL statement_timeout = 1"))
        connection.execute(sa.text("SELECT pg_sleep(5)"))


def test_of_two_transactions_that_block_each_other_both_are_done_in_the_end(table: Database) -> None:
    both_hold_one = threading.Barrier(2)
    calls: list[int] = []

    def add(first: int, second: int) -> None:
        waits = True

        def work(connection: sa.Connection) -> None:
            nonlocal waits
            calls.append(first)
            connection.execute(sa.text("SET LOCAL deadlock_timeout = '50ms'"))
            connection.execute(sa.text("UPDATE t SET n = n + 1 WHERE id = :id"), {"id": first})
            if waits:
                waits = False
                both_hold_one.wait(10)
            connection.execute(sa.text("UPDATE t SET n = n + 1 WHERE id = :id"), {"id": second})

        table.run(work)

    threads = [threading.Thread(target=add, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    with table.read() as connection:
        assert connection.execute(sa.text("SELECT n FROM t ORDER BY id")).scalars().all() == [2, 2]
    assert len(calls) == 3


def test_a_transaction_that_always_fails_is_tried_three_times(table: Database) -> None:
    tries: list[int] = []

    def work(connection: sa.Connection) -> None:
        tries.append(1)
        connection.execute(sa.text("DO $$ BEGIN RAISE EXCEPTION SQLSTATE '40001'; END $$"))

    with pytest.raises(exc.DBAPIError):
        table.run(work)
    assert len(tries) == 3


def test_a_forked_child_uses_connections_of_its_own(table: Database) -> None:
    assert count(table) == 2
    with table.begin() as connection:
        parents = table.driver(connection).info.backend_pid
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with table.begin() as connection:
                code = int(table.driver(connection).info.backend_pid == parents)
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert count(table) == 2


def test_a_database_is_created_once_by_processes_that_race(server: Server, database_url: str) -> None:
    name = sa.make_url(database_url).database
    other = f"{name}_dagster"
    failures: list[BaseException] = []

    def create() -> None:
        try:
            ensure_database(server.url("postgres"), other)
        except Exception as error:  # noqa: BLE001  (a thread's edge)
            failures.append(error)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    with psycopg.connect(server.url(other)) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == (other,)
    with Database(server.url("postgres")).dedicated() as connection:
        connection.execute(f'DROP DATABASE "{other}" WITH (FORCE)'.encode())
