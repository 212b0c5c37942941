"""Commands that keep running: Dagster's web server with its daemon, and the simulated sources."""

import os
import signal
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
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
@pass_session
def up(session: Session, port: int, host: str) -> None:
    """启动 Dagster 网页与后台进程 | start Dagster's web server and daemon."""
    from stock_assets.ops.dagster_home import prepare  # noqa: PLC0415

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
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="改为提供录制的文件 | serve recorded files",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="端口，0 为自动 | port, 0 picks one")
@click.option(
    "--stocks", type=click.IntRange(1, 10_000), help="股票数，默认按设置 | how many stocks, as settings say by default"
)
@click.option(
    "--latency",
    type=click.FloatRange(min=0.0),
    default=0.0,
    help="每次应答的延迟（毫秒） | milliseconds before each answer",
)
@click.option("--session-ttl", type=click.FloatRange(min=0.0), help="会话有效期（秒） | seconds a log-in lasts")
@click.option("--quota", type=click.IntRange(min=1), help="每日请求上限，超过即封禁 | requests a day, more is a ban")
@click.option("--last-ready-day", type=DAY, help="最后一个已发布的交易日 | newest published day")
@click.option("--faults", default="", help="故障计划，如 stall:query_history_k_data_plus:3 | plan of faults")
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
    """运行模拟数据源并打印地址 | run the simulated sources and print their addresses."""
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
        session.errors.print(session.say("按 Ctrl-C 停止", "stop with Ctrl-C"))
        stopped = threading.Event()
        signal.signal(signal.SIGTERM, lambda _signal, _frame: stopped.set())
        with suppress(KeyboardInterrupt):
            while not stopped.wait(0.5):
                pass
