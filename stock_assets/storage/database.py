"""Connections and transactions of one PostgreSQL database; what they mean is not known here.

This is the border for foreign errors: a lost, refused or missing connection is `StoreUnavailable`, whichever library
noticed it. Every other error of the database is a mistake of ours and passes as it is. No password leaves this file.
"""

import os
import random
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import TypeVar, cast

import psycopg
import sqlalchemy as sa
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import Connection, exc

from stock_assets.domain.errors import ConfigurationError, StoreUnavailable

# `Connection` is what `begin` and `read` give: the floors above name it without knowing where it comes from.
__all__ = ["APPLICATION", "Connection", "Database", "ensure_database"]

Result = TypeVar("Result")
APPLICATION = "stock_assets"
_CONNECT_SECONDS = 10
# Classes and codes of SQLSTATE that mean "not this statement's fault": connection lost, server going down or coming up,
# too many connections; 25P03: the server ended a session that had fallen silent in a transaction.
_LOST = ("08", "25P03", "57P01", "57P02", "57P03", "53300")
_CONNECTION_ERRORS = (
    exc.OperationalError,
    exc.InterfaceError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,  # an internal error to psycopg
)
_WORTH_ANOTHER_TRY = frozenset({"40001", "40P01"})  # serialization failure, deadlock
_ATTEMPTS = 3
# A client whose machine died holds its locks until the server notices: a minute instead of two hours.
_SESSION = "-c timezone=UTC -c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"


class Database:
    """A lazily connecting pool on one database. Sessions are in UTC and find their tables in `schema`."""

    def __init__(  # noqa: PLR0913  (each has its default)
        self,
        url: str,
        *,
        pool_size: int = 10,
        max_overflow: int = 20,
        pool_timeout_seconds: float = 30.0,
        application_name: str | None = None,
        schema: str = "public",
    ) -> None:
        self._url = _read_url(url)
        self.schema = schema
        # With its process number a session can be told from another one's in the server's log and in `pg_stat_activity`.
        name = application_name or f"{APPLICATION} {os.getpid()}"
        self._arguments = _connect_arguments(self._url, name, schema)
        self._most = pool_size + max_overflow
        self._pool_timeout_seconds = pool_timeout_seconds
        self._engine = sa.create_engine(
            self._url,
            pool_size=pool_size,
            max_overflow=max_overflow,
            pool_timeout=pool_timeout_seconds,
            # The embedded server may have been restarted since a connection was last used.
            pool_pre_ping=True,
            connect_args=self._arguments,
        )
        self._pid = os.getpid()

    def __repr__(self) -> str:
        """Return the address with its password masked."""
        return f"Database({self._url.render_as_string(hide_password=True)!r})"

    @property
    def name(self) -> str:
        """Return the name of the database."""
        return self._url.database or ""

    @property
    def engine(self) -> sa.Engine:
        """Return the engine, for tools that insist on one (Alembic)."""
        if os.getpid() != self._pid:
            # After a fork the connections still belong to the parent: forget them without a word to the server.
            self._engine.dispose(close=False)
            self._pid = os.getpid()
        return self._engine

    @contextmanager
    def begin(self) -> Generator[sa.Connection]:
        """Give a connection in one transaction: committed at the end, rolled back by any error."""
        with self.border(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Generator[sa.Connection]:
        """Give a connection that cannot write and sees the database as of its first query throughout."""
        with self.border(), self.engine.connect() as connection:
            options = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with options.begin():
                yield options

    def run(self, work: Callable[[sa.Connection], Result]) -> Result:
        """Return `work(connection)` of one transaction; a deadlock or serialization failure starts it again, twice.

        `work` may therefore run more than once and must touch nothing but the database.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self.begin() as connection:
                    return work(connection)
            except (exc.DBAPIError, psycopg.Error) as error:
                if attempt == _ATTEMPTS or _sqlstate(error) not in _WORTH_ANOTHER_TRY:
                    raise
            # Two transactions that start again at the same moment meet again.
            time.sleep(random.uniform(0.01, 0.05) * attempt)  # noqa: S311  (not a secret)
        raise AssertionError

    @contextmanager
    def dedicated(self) -> Generator[psycopg.Connection]:
        """Give an autocommit connection outside the pool, closed at the end: for locks and counters that live long."""
        connection = self.connect()
        try:
            with self.border():
                yield connection
        finally:
            connection.close()

    def connect(self, settings: str = "") -> psycopg.Connection:
        """Return a new autocommit connection outside the pool, with `settings` as in `conninfo`; the caller closes it."""
        with self.border():
            return psycopg.connect(self.conninfo(settings), autocommit=True)

    def conninfo(self, settings: str = "") -> str:
        """Return the address as libpq reads it, with the session's settings and `settings` (`-c name=value`) after them.

        It holds the password: for drivers, never for people.
        """
        address = self._url.translate_connect_args(username="user", database="dbname")
        # A parameter that an address repeats, such as `host`, is a list to libpq.
        query = {name: value if isinstance(value, str) else ",".join(value) for name, value in self._url.query.items()}
        arguments = {**query, **self._arguments}
        arguments["options"] = f"{arguments['options']} {settings}".strip()
        return make_conninfo("", **address, **arguments)

    def for_program(self) -> tuple[str, dict[str, str]]:
        """Return how one of PostgreSQL's own programs connects: a connection string, and the environment it needs.

        The string shows in the list of processes and therefore holds no password; the environment does.
        """
        parameters = conninfo_to_dict(self.conninfo())
        password = parameters.pop("password", None)
        parameters.pop("sslpassword", None)
        return make_conninfo("", **parameters), {} if password is None else {"PGPASSWORD": str(password)}

    def beside(self, name: str) -> "Database":
        """Return the database `name` on the same server."""
        return Database(self._url.set(database=name).render_as_string(hide_password=False), schema=self.schema)

    def driver(self, connection: sa.Connection) -> psycopg.Connection:
        """Return the psycopg connection underneath, for COPY; it shares the transaction."""
        return cast("psycopg.Connection", connection.connection.driver_connection)

    def close(self) -> None:
        """Close every idle connection of the pool; a later use connects anew."""
        self.engine.dispose()

    @contextmanager
    def border(self) -> Generator[None]:
        """Turn a lost, refused or missing connection into `StoreUnavailable`, for users of `connect`."""
        try:
            yield
        except exc.TimeoutError as error:
            raise StoreUnavailable(
                reason=f"all {self._most} connections of this process were in use for {self._pool_timeout_seconds:g} s; "
                "raise DB_POOL_SIZE or DB_MAX_OVERFLOW"
            ) from error
        except _CONNECTION_ERRORS as error:
            if not _is_lost(error):
                raise
            raise StoreUnavailable(reason=self._reason(error)) from error

    def _reason(self, error: Exception) -> str:
        cause = error.orig if isinstance(error, exc.DBAPIError) else error
        return self.masked(" ".join(str(cause).split()))

    def masked(self, text: str) -> str:
        """Return `text` without the password."""
        password = self._url.password
        return text.replace(str(password), "***") if password else text


def ensure_database(admin_url: str, name: str) -> None:
    """Create the database `name` on the server of `admin_url` unless it is there; safe when processes race.

    Errors: `ConfigurationError` when the user may not create one.
    """
    with Database(admin_url).dedicated() as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None:
            return
        try:
            # Another process may have come first: the name is then taken, or its row in the catalog is.
            with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except psycopg.errors.InsufficientPrivilege as error:
            raise ConfigurationError(
                problem=f"the database user may not create the database {name}; create it, or grant CREATEDB",
                problem_zh=f"数据库用户无权创建数据库 {name}；请先创建它，或授予 CREATEDB 权限",
            ) from error


def _read_url(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (exc.ArgumentError, ValueError):
        parsed = None
    if parsed is None or parsed.drivername.partition("+")[0] not in {"postgresql", "postgres"}:
        # Without the URL itself, and without the chain: either may hold the password.
        raise ConfigurationError(
            problem="the database address is not of the form postgresql://user:password@host:5432/database",
            problem_zh="数据库地址的格式应为 postgresql://user:password@host:5432/database",
        ) from None
    return parsed.set(drivername="postgresql+psycopg")


def _connect_arguments(url: sa.URL, application_name: str, schema: str) -> dict[str, str]:
    path = '"' + schema.replace('"', '""') + '"' + ("" if schema == "public" else ",public")
    escaped = path.replace("\\", "\\\\").replace(" ", "\\ ")
    given = url.query.get("options", "")
    settings = f"{given if isinstance(given, str) else ' '.join(given)} {_SESSION} -c search_path={escaped}"
    arguments = {"options": settings.strip(), "application_name": application_name}
    if "connect_timeout" not in url.query:
        arguments["connect_timeout"] = str(_CONNECT_SECONDS)
    return arguments


def _sqlstate(error: Exception) -> str | None:
    cause = error.orig if isinstance(error, exc.DBAPIError) else error
    return cause.sqlstate if isinstance(cause, psycopg.Error) else None


def _is_lost(error: Exception) -> bool:
    return is_lost(_sqlstate(error))


def is_lost(sqlstate: str | None) -> bool:
    """Return whether an error of this SQLSTATE, or one that comes without, says that the connection cannot be used."""
    return sqlstate is None or sqlstate.startswith(_LOST)
