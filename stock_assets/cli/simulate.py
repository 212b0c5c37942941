"""The command that runs the simulated sources: BaoStock's protocol and Tushare's over one and the same market."""

import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stock_assets.cli.options import DAY
from stock_assets.cli.session import Session, pass_session
from stock_assets.domain.calendar import FIRST_SESSION, SHANGHAI
from stock_assets.domain.errors import InvalidInput

if TYPE_CHECKING:
    from stock_assets.simulator.base import Market
    from stock_assets.simulator.faults import FaultPlan
    from stock_assets.simulator.tushare_base import TushareMarket


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
    help="BaoStock 的端口，默认自动 | BaoStock's port, a free one by default",
)
@click.option(
    "--tushare-port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=0,
    help="Tushare 的端口，默认自动 | Tushare's port, a free one by default",
)
@click.option(
    "--tushare-points",
    metavar="N",
    type=click.IntRange(min=0),
    default=2000,
    show_default=True,
    help="Tushare 账号的积分 | points of the Tushare account",
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
@click.option(
    "--tushare-faults",
    metavar="PLAN",
    default="",
    help="Tushare 的故障，如 http=503:daily:%7 | faults of Tushare, e.g. http=503:daily:%7",
)
@pass_session
def simulate(  # noqa: PLR0913  one parameter per option
    session: Session,
    recorded: Path | None,
    port: int,
    tushare_port: int,
    tushare_points: int,
    stocks: int | None,
    latency: float,
    session_ttl: float | None,
    quota: int | None,
    last_ready_day: date | None,
    faults: str,
    tushare_faults: str,
) -> None:
    """运行模拟数据源 | run the simulated sources.

    打印地址；设好这些环境变量的其他命令即使用它。 | Prints where they listen; other commands with these variables set
    use them.
    """
    from stock_assets.simulator.baostock_server import BaoStockServer  # noqa: PLC0415
    from stock_assets.simulator.faults import KINDS, TUSHARE_KINDS  # noqa: PLC0415
    from stock_assets.simulator.tushare_server import TushareServer  # noqa: PLC0415

    installation = session.installation
    settings = installation.settings
    sessions = installation.calendar.between(FIRST_SESSION, installation.now().astimezone(SHANGHAI).date())
    if recorded is not None:
        market, tushare_market = _recorded(recorded, sessions)
    else:
        market, tushare_market = _made_up(settings.simulated_seed, stocks or settings.simulated_stocks, sessions)
    with (
        BaoStockServer(
            market,
            port=port,
            latency_seconds=latency / 1000,
            session_ttl_seconds=session_ttl,
            daily_quota=quota,
            last_ready_day=last_ready_day or installation.last_final(),
            faults=_plan(faults, KINDS),
        ) as baostock,
        TushareServer(
            tushare_market,
            port=tushare_port,
            points=tushare_points,
            latency_seconds=latency / 1000,
            last_ready_day=last_ready_day,
            now=None if last_ready_day else lambda: installation.now().astimezone(SHANGHAI),
            faults=_plan(tushare_faults, TUSHARE_KINDS),
        ) as tushare,
    ):
        # For programs that start this command and read where it listens, in one piece.
        click.echo(
            f"BAOSTOCK_HOST={baostock.host}\nBAOSTOCK_PORT={baostock.port}\n"
            f"TUSHARE_URL={tushare.url}\nTUSHARE_TOKEN={tushare.token}"
        )
        sys.stdout.flush()
        session.note("按 Ctrl-C 停止", "stop with Ctrl-C")
        stopped = threading.Event()
        # Being stopped is how this command is meant to end.
        signal.signal(signal.SIGTERM, lambda _signal, _frame: stopped.set())
        with suppress(KeyboardInterrupt):
            while not stopped.wait(0.5):
                pass


def _made_up(seed: int, stocks: int, sessions: Sequence[date]) -> tuple["Market", "TushareMarket"]:
    from stock_assets.simulator.market import SimulatedMarket  # noqa: PLC0415
    from stock_assets.simulator.tushare_market import SimulatedTushare, beijing_market  # noqa: PLC0415

    market = SimulatedMarket(seed, stocks, sessions=sessions)
    return market, SimulatedTushare(market, beijing_market(seed, stocks, sessions), seed=seed)


def _recorded(folder: Path, sessions: Sequence[date]) -> tuple["Market", "TushareMarket"]:
    """Return what is in the folder, or in its folders `baostock` and `tushare`; what was not recorded is made up of the rest."""
    from stock_assets.simulator.recorded import RecordedMarket  # noqa: PLC0415
    from stock_assets.simulator.tushare_market import SimulatedTushare  # noqa: PLC0415
    from stock_assets.simulator.tushare_recorded import RecordedTushare  # noqa: PLC0415

    both = folder if (folder / "baostock").is_dir() else folder.parent
    baostock = folder / "baostock" if both == folder else folder
    market = RecordedMarket(baostock, sessions=sessions)
    tushare = both / "tushare"
    return market, RecordedTushare(tushare) if tushare.is_dir() else SimulatedTushare(market)


def _plan(text: str, kinds: Sequence[str]) -> "FaultPlan | None":
    from stock_assets.simulator.faults import FaultPlan  # noqa: PLC0415

    try:
        return FaultPlan.parse(text, kinds=kinds) if text else None
    except ValueError as error:
        raise InvalidInput(problem=str(error), problem_zh=f"故障计划无法理解：{error}") from error
