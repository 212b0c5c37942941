"""Commands that keep running: Dagster's web server with its daemon, and the simulated sources."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import date
from pathlib import Path

import click

from stock_assets.cli.options import DAY
from stock_assets.cli.session import Session, pass_session
from stock_assets.domain.calendar import FIRST_SESSION, SHANGHAI
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


@click.command()
@click.option(
    "--recorded",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="改为提供录制的文件 | serve recorded files",
)
@click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=0,
    help="端口，默认自动 | port, a free one by default",
)
@click.option(
    "--stocks",
    metavar="N",
    type=click.IntRange(1, 10_000),
    help="股票数，默认按设置 | stocks, by default as settings say",
)
@click.option(
    "--latency",
    metavar="MS",
    type=click.FloatRange(min=0.0),
    default=0.0,
    help="每次应答的延迟（毫秒） | milliseconds before each answer",
)
@click.option(
    "--session-ttl", metavar="SECONDS", type=click.FloatRange(min=0.0), help="会话有效期（秒） | seconds a log-in lasts"
)
@click.option(
    "--quota", metavar="N", type=click.IntRange(min=1), help="每日请求上限，超过即封禁 | requests a day, more is a ban"
)
@click.option("--last-ready-day", type=DAY, help="最后一个已发布的交易日 | newest published day")
@click.option(
    "--faults",
    metavar="PLAN",
    default="",
    help="故障，如 stall:query_history_k_data_plus:3 | faults, e.g. stall:query_history_k_data_plus:3",
)
@pass_session
def simulate(  # noqa: PLR0913  one parameter per option
    session: Session,
    recorded: Path | None,
    port: int,
    stocks: int | None,
    latency: float,
    session_ttl: float | None,
    quota: int | None,
    last_ready_day: date | None,
    faults: str,
) -> None:
    """运行模拟数据源 | run the simulated source.

    打印地址；设好这些环境变量的其他命令即使用它。 | Prints where it listens; other commands with these variables set
    use it.
    """
    from stock_assets.simulator.baostock_server import BaoStockServer  # noqa: PLC0415
    from stock_assets.simulator.faults import FaultPlan  # noqa: PLC0415
    from stock_assets.simulator.market import SimulatedMarket  # noqa: PLC0415
    from stock_assets.simulator.recorded import RecordedMarket  # noqa: PLC0415

    installation = session.installation
    sessions = installation.calendar.between(FIRST_SESSION, installation.now().astimezone(SHANGHAI).date())
    settings = installation.settings
    market = (
        RecordedMarket(recorded, sessions=sessions)
        if recorded is not None
        else SimulatedMarket(settings.simulated_seed, stocks or settings.simulated_stocks, sessions=sessions)
    )
    try:
        plan = FaultPlan.parse(faults) if faults else None
    except ValueError as error:
        raise InvalidInput(problem=str(error), problem_zh=f"故障计划无法理解：{error}") from error
    with BaoStockServer(
        market,
        port=port,
        latency_seconds=latency / 1000,
        session_ttl_seconds=session_ttl,
        daily_quota=quota,
        last_ready_day=last_ready_day or installation.last_final(),
        faults=plan,
    ) as server:
        # For programs that start this command and read where it listens.
        click.echo(f"BAOSTOCK_HOST={server.host}")
        click.echo(f"BAOSTOCK_PORT={server.port}")
        sys.stdout.flush()
        session.note("按 Ctrl-C 停止", "stop with Ctrl-C")
        stopped = threading.Event()
        # Being stopped is how this command is meant to end.
        signal.signal(signal.SIGTERM, lambda _signal, _frame: stopped.set())
        with suppress(KeyboardInterrupt):
            while not stopped.wait(0.5):
                pass
