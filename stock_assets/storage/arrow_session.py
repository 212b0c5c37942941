"""A read-only session that answers in Arrow: batch after batch as the server sends them, no Python object per value.

It has a connection of its own, by ADBC, so that it cannot take part in a writer's transaction: inside one, read with
`copy_frames.copy_out`. Foreign errors end here, and no password gets past. What is asked is decided in `selection`.
"""

from collections.abc import Generator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any, TypeAlias, cast

import adbc_driver_manager as adbc
import adbc_driver_postgresql
import pyarrow as pa
from psycopg import sql

from stock_assets.domain.contract import Kind
from stock_assets.domain.errors import ConfigurationError, StoreUnavailable
from stock_assets.storage.database import Database, is_lost

# pyarrow ships no types: these names say what a value is.
arrow: Any = cast("Any", pa)
ArrowTable: TypeAlias = Any
ArrowBatch: TypeAlias = Any
ArrowStream: TypeAlias = Any
ArrowSchema: TypeAlias = Any
_Statement: TypeAlias = Any

READER_ROLE = "stock_assets_reader"
ARROW_TYPES: dict[Kind, Any] = {
    "text": arrow.string(),
    "date": arrow.date32(),
    "float": arrow.float64(),
    "integer": arrow.int64(),
    "boolean": arrow.bool_(),
    "timestamp": arrow.timestamp("us", tz="UTC"),
}
# One transaction sees one state of the store, whatever is committed meanwhile.
_SETTINGS = (
    r"-c default_transaction_read_only=on -c default_transaction_isolation=repeatable\ read -c client_encoding=UTF8"
)
# Roles belong to the whole server: another store may have made this one, without a right on ours.
_TAKE_ROLE = """
    SELECT set_config('role', rolname, false) AS role FROM pg_roles
    WHERE rolname = {role} AND rolname <> current_user
      AND pg_has_role(oid, CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END)
      AND has_schema_privilege(oid, current_schema(), 'USAGE')
      AND has_table_privilege(oid, to_regclass('stock_daily'), 'SELECT')
"""
# About 85,000 daily bars. A quarter of it takes a sixth longer; a stream holds two of them.
_BATCH_BYTES = 16 << 20
_LOOK_SECONDS = 0.2
# Undefined table, column, function; insufficient privilege.
_OTHER_REVISION, _NOT_ALLOWED = ("42P01", "42703", "42883"), "42501"


class ArrowSession:
    """One connection; connects at once. Not for two threads at a time, nor for a child made by `fork`.

    Errors: `StoreUnavailable` when the server cannot be reached or goes away.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        with self._border():
            self._address = adbc_driver_postgresql.connect(database.conninfo(_SETTINGS))
            try:
                self._connection = adbc.AdbcConnection(self._address)
            except adbc.Error:
                self._address.close()
                raise
        try:
            self._take_role()
        except BaseException:
            self.close()
            raise

    def batches(self, query: sql.Composable, schema: ArrowSchema) -> Generator[ArrowBatch]:
        """Yield the rows of `query`, whose columns must be those of `schema`, in batches of some megabytes.

        The first query begins a transaction, and those that follow see the same state, until `end`. A generator that is
        closed early stops the server's work.
        """
        # Its methods carry no types that pyright can use.
        statement: _Statement = adbc.AdbcStatement(self._connection)
        is_done = False
        try:
            statement.set_options(
                **{adbc_driver_postgresql.StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(_BATCH_BYTES)}
            )
            statement.set_sql_query(query.as_string(None))
            with self._border():
                stream, batch = _interruptible(statement)
            if [(field.name, field.type) for field in stream.schema] != [(field.name, field.type) for field in schema]:
                raise _other_revision(f"columns are {', '.join(stream.schema.names)}")
            while batch is not None:
                # Without the driver's own notes on each column.
                yield arrow.RecordBatch.from_arrays(batch.columns, schema=schema)
                with self._border():
                    batch = _next(stream)
            is_done = True
        finally:
            with suppress(adbc.Error):
                if not is_done:
                    statement.cancel()
                statement.close()

    def _take_role(self) -> None:
        with self._border():
            self._connection.set_autocommit(False)
            list(self.batches(sql.SQL(_TAKE_ROLE).format(role=READER_ROLE), arrow_schema({"role": "text"})))
            self._connection.commit()

    def end(self) -> None:
        """End the transaction; the next query sees what is committed then."""
        with self._border():
            self._connection.rollback()

    def close(self) -> None:
        """Close the connection."""
        with suppress(adbc.Error):
            self._connection.close()
            self._address.close()

    @contextmanager
    def _border(self) -> Generator[None]:
        """Turn what ADBC, or pyarrow while it reads from ADBC, raises into our errors; our own mistakes pass."""
        try:
            yield
        except adbc.Error as error:
            reason = self._database.masked(_said(error))
            if error.sqlstate in _OTHER_REVISION:
                raise _other_revision(reason) from error
            if error.sqlstate == _NOT_ALLOWED:
                raise ConfigurationError(
                    problem=f"the database user may not read this ({reason}); grant it, or use the store's own user",
                    problem_zh=f"数据库用户无权读取（{reason}）；请授权，或使用存储自己的用户",
                ) from error
            if isinstance(error, adbc.OperationalError) or (error.sqlstate and is_lost(error.sqlstate)):
                raise StoreUnavailable(reason=reason) from error
            raise
        except OSError as error:
            # In the middle of a stream pyarrow has no more than a text.
            raise StoreUnavailable(reason=self._database.masked(" ".join(str(error).split()))) from error


def arrow_schema(kinds: Mapping[str, Kind]) -> ArrowSchema:
    """Return the Arrow schema of columns of these kinds."""
    return arrow.schema([(name, ARROW_TYPES[kind]) for name, kind in kinds.items()])


def _interruptible(statement: _Statement) -> tuple[ArrowStream, ArrowBatch | None]:
    """Return the stream of an answer and its first batch; Ctrl-C meanwhile stops the server's work.

    A large sort keeps the first batch waiting for long, in a call that no signal interrupts; hence the thread.
    """
    answer: Future[tuple[ArrowStream, ArrowBatch | None]] = Future()

    def ask() -> None:
        try:
            handle, _ = statement.execute_query()
            stream = arrow.RecordBatchReader.from_stream(handle)
            answer.set_result((stream, _next(stream)))
        except BaseException as error:  # noqa: BLE001  raised again by whoever waits
            answer.set_exception(error)

    thread = Thread(target=ask, daemon=True)
    thread.start()
    try:
        # Short waits: on Windows a long one cannot be interrupted.
        while not answer.done():
            wait([answer], timeout=_LOOK_SECONDS)
    except BaseException:
        with suppress(adbc.Error):
            statement.cancel()
        thread.join()
        raise
    return answer.result()


def _next(stream: ArrowStream) -> ArrowBatch | None:
    try:
        return stream.read_next_batch()
    except StopIteration:
        return None


def _said(error: adbc.Error) -> str:
    """Return the server's sentence without the statement that the driver adds to it."""
    details = dict(cast("list[tuple[object, bytes]]", error.details))
    primary = details.get("PG_DIAG_MESSAGE_PRIMARY") or details.get(b"PG_DIAG_MESSAGE_PRIMARY")
    text = primary.decode(errors="replace") if primary else str(error).partition("\n\nQuery was:")[0]
    return " ".join(text.split())


def _other_revision(reason: str) -> ConfigurationError:
    return ConfigurationError(
        problem=f"the store is of another revision than this version reads ({reason}); run `stock-assets db upgrade`",
        problem_zh=f"存储的版本与本程序不符（{reason}）；请运行 stock-assets db upgrade",
    )
