"""The embedded PostgreSQL of one home folder, shared by all processes of its user.

Every process that uses the server holds a share of `postgres.users.lock` until it ends; the last one stops the server.
A killed process loses its share by itself, and a server it left behind is used by the next process and stopped by the
last. Everything that changes the server happens under the exclusive `postgres.lock`. Both are locks of the operating
system: they need no cleaning up after a crash.
"""

import atexit
import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import fasteners
import psycopg
from psycopg import sql

from stock_assets.domain.errors import ConfigurationError, StoreUnavailable
from stock_assets.storage.postmaster import PORT, SUPERUSER, Postmaster
from stock_assets.storage.server_account import ServerAccount, server_account

DATABASE = "stock_assets"
# The kernel's limit for a socket's path is 104 bytes on macOS and 108 on Linux.
_SOCKET_PATH_LIMIT = 100
_STOP_SECONDS = 60.0
_REACH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What `doctor` shows of the embedded server; `pid` is None when it does not run."""

    is_running: bool
    pid: int | None
    version: str | None
    data: Path
    address: str
    log: Path


@dataclass(slots=True)
class _Home:
    """This process's part in one home: its handles, and the share they hold together.

    The two file locks are those of the process, not of a thread, hence the thread lock around them.
    """

    share: fasteners.InterProcessReaderWriterLock
    gate: fasteners.InterProcessLock
    threads: threading.RLock = field(default_factory=threading.RLock)
    stops: dict[int, Callable[[], None]] = field(default_factory=dict[int, Callable[[], None]])


class _Process:
    """The homes that this process uses. A forked child starts with none: it holds no share of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._homes: dict[Path, _Home] = {}

    def home(self, folder: Path) -> _Home:
        with self._lock:
            if folder not in self._homes:
                if not self._homes:
                    # Registered by the process that uses a server: a child of multiprocessing forgets older ones.
                    atexit.register(self.release_all)
                share = fasteners.InterProcessReaderWriterLock(folder / "postgres.users.lock")
                gate = fasteners.InterProcessLock(folder / "postgres.lock")
                self._homes[folder] = _Home(share, gate)
            return self._homes[folder]

    def release_all(self) -> None:
        with self._lock:
            releases = [stop for home in self._homes.values() for stop in home.stops.values()]
        for release in releases:
            # At the very end nobody is left to tell; the next process finds the server as it is.
            with suppress(StoreUnavailable, ConfigurationError, OSError):
                release()


_process = _Process()


def _forget_parent() -> None:
    global _process  # noqa: PLW0603  (a forked child must not inherit the parent's handles)
    _process = _Process()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_parent)


class EmbeddedServer:
    """A handle on the server of `home`. Handles of one process count together; `release` gives one back.

    The data is in `home/postgres`, the log in `home/logs/postgres.log`. As root the server runs as a system account,
    and the folders above its data and its programs get the right to pass through: see `server_account`.
    """

    def __init__(self, home: Path, *, start_timeout_seconds: float = 60.0) -> None:
        self.home = home.expanduser().resolve()
        self._start_timeout_seconds = start_timeout_seconds

    def ensure_running(self, database: str = DATABASE) -> str:
        """Return the libpq URL of `database`, once the server runs and has it; hold the server until `release`.

        Errors: `ConfigurationError` when this machine cannot run it, `StoreUnavailable` when it does not start.
        """
        self._make_home()
        home = _process.home(self.home)
        postmaster = self._postmaster(server_account())
        with self._alone(home):
            if not home.stops and not home.share.acquire_read_lock(timeout=self._start_timeout_seconds):
                raise StoreUnavailable(reason=f"another process keeps {self.home} locked")
            home.stops[id(self)] = self.release
            try:
                self._start_and_reach(postmaster, database)
            except BaseException:
                with suppress(StoreUnavailable):
                    self._leave(home)
                raise
        return self._url(postmaster, database)

    def url(self, database: str = DATABASE) -> str:
        """Return the libpq URL of `database` without looking whether the server runs."""
        return self._url(self._postmaster(), database)

    def release(self) -> None:
        """Give the handle back; the last one of the last process stops the server."""
        if not self.home.is_dir():
            return
        home = _process.home(self.home)
        with self._alone(home):
            if id(self) in home.stops:
                self._leave(home)

    def stop(self) -> None:
        """Stop the server even while others use it; they start it again with their next `ensure_running`."""
        if not self.home.is_dir():
            return
        with self._alone(_process.home(self.home)):
            self._postmaster(server_account()).stop(timeout_seconds=_STOP_SECONDS)

    def status(self) -> ServerStatus:
        """Return how the server is, without starting it and without waiting for anybody."""
        postmaster = self._postmaster()
        running = postmaster.look()
        version = postmaster.data / "PG_VERSION"
        return ServerStatus(
            is_running=running is not None and running.is_ready,
            pid=None if running is None else running.pid,
            version=version.read_text("utf-8").strip() if version.exists() else None,
            data=postmaster.data,
            address="127.0.0.1" if sys.platform == "win32" else str(postmaster.sockets),
            log=postmaster.log,
        )

    def _postmaster(self, account: ServerAccount | None = None) -> Postmaster:
        # Looking needs no account, and must not make one.
        data, log = self.home / "postgres", self.home / "logs" / "postgres.log"
        return Postmaster(data, self._sockets(), log, account or ServerAccount())

    def _sockets(self) -> Path:
        inside = self.home / "postgres.sockets"
        if sys.platform == "win32" or len(os.fsencode(inside / f".s.PGSQL.{PORT}")) <= _SOCKET_PATH_LIMIT:
            return inside
        # Not the folder of TMPDIR: processes with different ones must find the same server.
        name = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path("/tmp", f"stock-assets-{os.geteuid()}-{name}")  # noqa: S108  (0700, and its owner is checked)

    def _make_home(self) -> None:
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.home / "logs").mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                problem=f"the folder {self.home} cannot be written ({error.strerror}); set STOCK_ASSETS_HOME to one that can",
                problem_zh=f"无法写入目录 {self.home}（{error.strerror}）；请将 STOCK_ASSETS_HOME 设为可写目录",
            ) from error

    @contextmanager
    def _alone(self, home: _Home) -> Generator[None]:
        """Let nobody else start, stop or count, in any thread or process."""
        # Whoever holds the gate may be starting after a crash or stopping: both come to an end.
        patience = self._start_timeout_seconds + _STOP_SECONDS
        with home.threads:
            if not home.gate.acquire(delay=0.005, max_delay=0.05, timeout=patience):
                raise StoreUnavailable(reason=f"another process has been starting or stopping it for {patience:g} s")
            try:
                yield
            finally:
                home.gate.release()

    def _leave(self, home: _Home) -> None:
        """Drop this handle; stop the server when it was the last one of the last process."""
        home.stops.pop(id(self), None)
        if home.stops:
            return
        home.share.release_read_lock()
        if home.share.acquire_write_lock(blocking=False):
            try:
                self._postmaster(server_account()).stop(timeout_seconds=_STOP_SECONDS)
            finally:
                home.share.release_write_lock()

    def _start_and_reach(self, postmaster: Postmaster, database: str) -> None:
        deadline = time.monotonic() + _REACH_SECONDS
        while True:
            self._start(postmaster)
            try:
                return self._ensure_database(postmaster, database)
            except psycopg.OperationalError as error:
                # A server that was killed a moment ago may still look alive: then look again.
                if error.sqlstate is not None or time.monotonic() > deadline:
                    raise StoreUnavailable(reason=str(error).strip()) from error
            time.sleep(0.05)

    def _start(self, postmaster: Postmaster) -> None:
        running = postmaster.look()
        if running is not None and running.is_ready:
            if sys.platform == "win32" or (postmaster.sockets / f".s.PGSQL.{PORT}").exists():
                return
            # Somebody cleaned up its socket: nobody can reach it any more, so a new one loses nothing.
            postmaster.stop(timeout_seconds=_STOP_SECONDS)
        postmaster.initialise()
        postmaster.start(timeout_seconds=self._start_timeout_seconds)

    def _ensure_database(self, postmaster: Postmaster, database: str) -> None:
        with psycopg.connect(self._url(postmaster, "postgres"), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))

    def _url(self, postmaster: Postmaster, database: str) -> str:
        if sys.platform == "win32":
            running = postmaster.look()
            port = PORT if running is None else running.port
            password = quote(postmaster.password_file.read_text("utf-8").strip(), safe="")
            return f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/{quote(database, safe='')}"
        where = quote(str(postmaster.sockets), safe="/")
        return f"postgresql://{SUPERUSER}@/{quote(database, safe='')}?host={where}&port={PORT}"
