"""Who the embedded server runs as, and what that account must be able to reach.

PostgreSQL refuses to run as root. A root process therefore runs it as a system account of its own, which owns the data
and nothing else. For an ordinary user the server is simply one of the user's processes and nothing here does anything.
"""

import os
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from stock_assets.domain.errors import ConfigurationError

ACCOUNT_NAME = "stock-assets"


class RunAs(TypedDict, total=False):
    """The keyword arguments of `subprocess` that choose an account; empty means our own."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class ServerAccount:
    """The account that runs the server: `uid` is None when it is the one that runs us."""

    uid: int | None = None
    gid: int | None = None

    @property
    def run_as(self) -> RunAs:
        """Return the arguments for `subprocess`."""
        if self.uid is None or self.gid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, path: Path, *, mode: int) -> None:
        """Make the account the owner of `path`, and set its mode."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)
        path.chmod(mode)

    def open_way_to(self, path: Path) -> None:
        """Let the account walk through the folders above `path`.

        Without it the server could not enter its own data, or its binaries, below a private home such as `/root`
        (0700). Only the right to pass through (o+x) is added, only where it is missing, and never the right to list or
        read: what lies in such a folder stays unreadable unless it was open to everybody by its own mode.
        """
        if self.uid is None:
            return
        for folder in path.resolve().parents:
            mode = folder.stat().st_mode
            if not mode & stat.S_IXOTH:
                _add_mode(folder, mode | stat.S_IXOTH)

    def open_package(self, root: Path) -> None:
        """Let the account read and run the files of an installed package, whatever umask it was installed with."""
        if self.uid is None:
            return
        self.open_way_to(root)
        for folder, _, files in os.walk(root):
            for path in (Path(folder), *(Path(folder, name) for name in files)):
                if path.is_symlink():
                    continue
                mode = path.stat().st_mode
                wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
                if wanted != mode:
                    _add_mode(path, wanted)


def server_account() -> ServerAccount:
    """Return the account for the server; as root, make it when the machine does not have it yet.

    Errors: `ConfigurationError` when we are root and there is no such account and no way to add one.
    """
    if sys.platform == "win32" or os.geteuid() != 0:
        return ServerAccount()
    import pwd  # noqa: PLC0415  (does not exist on Windows)

    try:
        entry = pwd.getpwnam(ACCOUNT_NAME)
    except KeyError:
        _add_account()
        try:
            entry = pwd.getpwnam(ACCOUNT_NAME)
        except KeyError:
            raise _cannot_run_as_root() from None
    return ServerAccount(entry.pw_uid, entry.pw_gid)


def _add_account() -> None:
    tool = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if tool is None:
        raise _cannot_run_as_root()
    command = [tool, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT_NAME]
    # A failure may only mean that another process was faster: the caller looks again and judges by that.
    subprocess.run(command, check=False, capture_output=True)  # noqa: S603  (a fixed command)


def _add_mode(path: Path, mode: int) -> None:
    try:
        path.chmod(stat.S_IMODE(mode))
    except OSError as error:
        raise ConfigurationError(
            problem=f"the database account {ACCOUNT_NAME} cannot reach {path} ({error.strerror}); "
            "run as an ordinary user or set STOCK_ASSETS_DATABASE_URL",
            problem_zh=f"数据库账户 {ACCOUNT_NAME} 无法访问 {path}（{error.strerror}）；请以普通用户运行，或设置 STOCK_ASSETS_DATABASE_URL",
        ) from error


def _cannot_run_as_root() -> ConfigurationError:
    return ConfigurationError(
        problem=f"PostgreSQL refuses to run as root and the system account {ACCOUNT_NAME} could not be added; "
        "run as an ordinary user or set STOCK_ASSETS_DATABASE_URL",
        problem_zh=f"PostgreSQL 不允许以 root 运行，且无法创建系统账户 {ACCOUNT_NAME}；请以普通用户运行，或设置 STOCK_ASSETS_DATABASE_URL",
    )
