"""The command that keeps Dagster's web server and its daemon running."""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stock_assets.cli.session import Session, pass_session
from stock_assets.domain.errors import ConfigurationError, InvalidInput

if TYPE_CHECKING:
    from stock_assets.cli.start_check import StartCheck

_STOP_SECONDS = 20.0


@click.command()
@click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(1, 65535),
    default=3000,
    show_default=True,
    help="网页的端口 | port of the web pages",
)
@click.option(
    "--host",
    metavar="HOST",
    default="127.0.0.1",
    show_default=True,
    help="监听的地址，0.0.0.0 为所有网卡（无密码） | address to listen on; 0.0.0.0 is every one, without a password",
)
@click.option(
    "--skip-integrity-check",
    "is_unchecked",
    is_flag=True,
    help="不核对最近的交易日，也不自动补缺 | do not look at the last days, and repair nothing by itself",
)
@pass_session
def up(session: Session, port: int, host: str, *, is_unchecked: bool) -> None:
    """启动 Dagster 网页与后台 | start Dagster's web pages and daemon.

    启动时及其后每十分钟核对最近 INTEGRITY_CHECK_DAYS 天，缺失的在后台补齐。 | At the start, and every ten minutes from then
    on, the last INTEGRITY_CHECK_DAYS days are looked at and what is missing is repaired in the background.
    """
    from stock_assets.ops.dagster_home import prepare  # noqa: PLC0415

    _refuse_taken(host, port)
    prepare(os.environ)
    session.installation.database  # noqa: B018  server started and migrated before the children look for it
    session.tell(f"打开 http://{host}:{port} ，按 Ctrl-C 停止", f"open http://{host}:{port} , stop with Ctrl-C")
    check = None if is_unchecked else _start_check(session)
    # The daemon's sensor is what repairs: it reads the same setting.
    environment = {**os.environ, **({"INTEGRITY_CHECK_DAYS": "0"} if is_unchecked else {})}
    if is_unchecked:
        session.note(
            "已跳过启动核对，本次运行期间不自动补缺；手动补齐：stock-assets repair",
            "the integrity check is skipped, and nothing is repaired by itself until the next start; by hand: `stock-assets repair`",
        )
    folder = Path(sys.executable).parent
    location = ["-m", "stock_assets.definitions"]
    web = [folder / "dagster-webserver", "--host", host, "--port", str(port), *location]
    children = [
        subprocess.Popen(web, env=environment),  # noqa: S603  our own environment's programs
        subprocess.Popen([folder / "dagster-daemon", "run", *location], env=environment),  # noqa: S603  our own environment's programs
    ]
    try:
        if check is not None:
            check.begin()
        ended = _first_to_end(children)
    except KeyboardInterrupt:
        ended = None
    finally:
        _stop(children)
        if check is not None:
            check.end()
    if ended is not None:
        raise ConfigurationError(
            problem=f"{ended} ended by itself; its messages stand above",
            problem_zh=f"{ended} 意外退出，原因见上方输出",
        )


def _start_check(session: Session) -> "StartCheck | None":
    """Return the check of the last days; None where settings want none."""
    from stock_assets.cli.start_check import StartCheck  # noqa: PLC0415  it brings polars

    return StartCheck(session) if session.installation.settings.integrity_check_days else None


def _refuse_taken(host: str, port: int) -> None:
    try:
        # As the web server will listen: a port that only lingers after its last user counts as free.
        socket.create_server((host, port)).close()
    except OSError as error:
        # Python adds the address to the system's words.
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InvalidInput(
            problem=f"port {port} of {host} cannot be used ({reason}); choose another --port",
            problem_zh=f"{host} 的端口 {port} 无法使用（{reason}），请换一个 --port",
        ) from error


def _first_to_end(children: list[subprocess.Popen[bytes]]) -> str:
    while True:
        for child in children:
            if child.poll() is not None:
                arguments = child.args
                return Path(str(arguments[0] if isinstance(arguments, list) else arguments)).name
        time.sleep(0.5)


def _stop(children: list[subprocess.Popen[bytes]]) -> None:
    """Ask the children to stop, and end those that do not."""
    for child in children:
        with suppress(OSError):
            child.terminate()
    for child in children:
        try:
            child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
