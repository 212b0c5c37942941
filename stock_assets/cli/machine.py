"""The command that keeps Dagster's web server and its daemon running."""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import click

from stock_assets.cli.session import Session, pass_session
from stock_assets.domain.errors import ConfigurationError, InvalidInput

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
@pass_session
def up(session: Session, port: int, host: str) -> None:
    """启动 Dagster 网页与后台 | start Dagster's web pages and daemon."""
    from stock_assets.ops.dagster_home import prepare  # noqa: PLC0415

    _refuse_taken(host, port)
    prepare(os.environ)
    session.installation.database  # noqa: B018  server started and migrated before the children look for it
    session.tell(f"打开 http://{host}:{port} ，按 Ctrl-C 停止", f"open http://{host}:{port} , stop with Ctrl-C")
    folder = Path(sys.executable).parent
    location = ["-m", "stock_assets.definitions"]
    children = [
        subprocess.Popen([folder / "dagster-webserver", "--host", host, "--port", str(port), *location]),  # noqa: S603  our own environment's programs
        subprocess.Popen([folder / "dagster-daemon", "run", *location]),  # noqa: S603  our own environment's programs
    ]
    try:
        ended = _first_to_end(children)
    except KeyboardInterrupt:
        ended = None
    finally:
        _stop(children)
    if ended is not None:
        raise ConfigurationError(
            problem=f"{ended} ended by itself; its messages stand above",
            problem_zh=f"{ended} 意外退出，原因见上方输出",
        )


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
