"""pg_dump and pg_restore: which of those on this machine fit a server, and how they are run.

A program must be at least as new as the server it talks to. The embedded server's own lie in its wheel; a server of
one's own may have others on the PATH, which are preferred where they are of its very version.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stock_assets.domain.errors import BackupFailed, ConfigurationError
from stock_assets.storage.database import Database
from stock_assets.storage.postmaster import binaries

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs in one folder; `major` is their version."""

    folder: Path
    major: int

    def start(
        self, program: str, arguments: Sequence[str], *, database: Database | None = None, output: int = subprocess.PIPE
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, whatever that is. `database` is where it connects to."""
        environment = {**os.environ, "LC_ALL": "C"}
        connection: list[str] = []
        if database is not None:
            address, secret = database.for_program()
            connection = [f"--dbname={address}", "--no-password"]
            environment |= secret
        command = [str(self.folder / program), *connection, *arguments]
        try:
            return subprocess.run(  # noqa: S603  (PostgreSQL's own programs, no shell)
                command, check=False, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE,
                encoding="utf-8", errors="replace", env=environment,
            )  # fmt: skip
        except OSError as error:
            raise BackupFailed(program=program, reason=str(error)) from error

    def run(
        self, program: str, arguments: Sequence[str], *, database: Database | None = None, output: int = subprocess.PIPE
    ) -> str:
        """Run a program and return what it wrote.

        Errors: `BackupFailed` with the last of what it complained about.
        """
        done = self.start(program, arguments, database=database, output=output)
        if done.returncode != 0:
            raise BackupFailed(program=program, reason=complaint(done, database))
        return done.stdout or ""


def complaint(done: subprocess.CompletedProcess[str], database: Database | None = None) -> str:
    """Return what a program said about its failure, in one line without a password."""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line or "ERROR:" in line] or lines
    text = " / ".join(errors[:3]) or f"ended with {done.returncode}"
    return text if database is None else database.masked(text)


def server_version(database: Database) -> int:
    """Return the major version of the server of a database."""
    with database.dedicated() as connection:
        return connection.info.server_version // 10_000


def programs_for(server_major: int) -> list[Programs]:
    """Return the programs that can talk to a server of this version, best first.

    Errors: `ConfigurationError` when there are none.
    """
    found = list(_found())
    fitting = sorted((one for one in found if one.major >= server_major), key=lambda one: one.major)
    if fitting:
        return fitting
    newest = max((one.major for one in found), default=None)
    have = "none was found" if newest is None else f"the newest one here is {newest}"
    have_zh = "本机没有" if newest is None else f"本机最新为 {newest}"
    raise ConfigurationError(
        problem=f"pg_dump and pg_restore of PostgreSQL {server_major} or newer are needed, and {have}; "
        "install the PostgreSQL client programs and have them on PATH",
        problem_zh=f"需要 PostgreSQL {server_major} 或更新版本的 pg_dump 与 pg_restore，{have_zh}；"
        "请安装 PostgreSQL 客户端程序并使其在 PATH 中",
    )


def _found() -> Iterator[Programs]:
    """Give the programs of the wheel, then those of the PATH: of two with one version the first is taken."""
    with suppress(ConfigurationError):
        ours = binaries()
        yield Programs(ours, int(ours.parent.name.removeprefix("pginstall")))
    dump, restore = shutil.which("pg_dump"), shutil.which("pg_restore")
    if dump is None or restore is None:
        return
    said = subprocess.run([dump, "--version"], check=False, capture_output=True, text=True)  # noqa: S603  (found just now)
    version = _VERSION.search(said.stdout)
    if version is not None and Path(dump).parent == Path(restore).parent:
        yield Programs(Path(dump).parent, int(version[1]))
