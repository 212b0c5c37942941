"""What is wrong on this machine, and what to do about it."""

import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

import click
from rich.markup import escape

from stock_assets.cli import exit_codes
from stock_assets.cli.session import Session, pass_session
from stock_assets.domain.answers import error_of
from stock_assets.domain.calendar import SHANGHAI
from stock_assets.domain.errors import StockAssetsError, StoreUnavailable
from stock_assets.storage import index_management, migrate
from stock_assets.storage.capacity import PROCESSES, capacity, needed_by_a_run

_ROOM_GIB = 2.0
_CONNECT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: whether it is well, what was seen, and what to do when it is not; `code` is then the exit code."""

    is_well: bool
    what: str
    advice: str = ""
    code: int = exit_codes.CONFIGURATION


@click.command()
@pass_session
def doctor(session: Session) -> None:
    """检查本机：设置、磁盘、数据库、数据源、配额 | check this machine, and what to do about it."""
    first_bad = exit_codes.DONE
    uses = session.installation
    for look, zh, en, is_due in (
        (_python, "Python", "Python", True),
        (_home, "数据目录", "data folder", True),
        (_store, "数据库", "store", True),
        (_indexes, "索引", "indexes", True),
        (_pools, "数据库连接", "database connections", True),
        (_sessions, "BaoStock 会话", "BaoStock sessions", uses.uses_baostock),
        (_calendar, "交易日历", "trading calendar", True),
        (_quota, "配额", "quota", uses.uses_baostock),
        (_source, "数据源", "source", uses.uses_baostock),
        (_tushare, "Tushare", "Tushare", uses.uses_tushare),
    ):
        if not is_due:
            continue
        finding = _looked(session, look, session.say(zh, en))
        mark = "[green]✓[/]" if finding.is_well else "[red]✗[/]"
        session.console.print(f"{mark} {escape(finding.what)}", soft_wrap=True)
        if not finding.is_well:
            session.console.print(f"  → {finding.advice}", style="yellow", markup=False, soft_wrap=True)
            first_bad = first_bad or finding.code
    click.get_current_context().exit(first_bad)


def _looked(session: Session, look: Callable[[Session], Finding], name: str) -> Finding:
    try:
        return look(session)
    except StockAssetsError as error:
        return Finding(is_well=False, what=name, advice=_advice(session, error), code=exit_codes.exit_code(error))


def _advice(session: Session, error: StockAssetsError) -> str:
    if isinstance(error, StoreUnavailable):
        # Its sentence sends people here.
        reason = error.facts.get("reason", "")
        return session.say(
            f"数据库连接失败（{reason}）。请检查 STOCK_ASSETS_DATABASE_URL，或看 {_log_of(session)}",
            f"no connection ({reason}); check STOCK_ASSETS_DATABASE_URL, or see {_log_of(session)}",
        )
    return error.sentence(session.language)


def _log_of(session: Session) -> str:
    return str(session.installation.settings.home / "logs")


def _python(session: Session) -> Finding:
    del session
    return Finding(is_well=True, what=f"Python {sys.version.split()[0]}")


def _home(session: Session) -> Finding:
    home = session.installation.settings.home
    home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(home).free / 2**30
    return Finding(
        free >= _ROOM_GIB,
        session.say(f"数据目录 {home}，剩余 {free:.1f} GiB", f"data folder {home}, {free:.1f} GiB free"),
        session.say(
            "请清理磁盘，或用 STOCK_ASSETS_HOME 换一个目录", "free some space, or move it with STOCK_ASSETS_HOME"
        ),
    )


def _store(session: Session) -> Finding:
    installation = session.installation
    kind = session.say("内嵌", "embedded") if installation.embedded is not None else session.say("外部", "external")
    database = installation.open_database()
    revision = migrate.current(database)
    is_current = not migrate.pending(database)
    return Finding(
        is_current,
        session.say(f"数据库（{kind}），版本 {revision or '空'}", f"store ({kind}), revision {revision or 'empty'}"),
        session.say("请运行 stock-assets db upgrade", "run `stock-assets db upgrade`"),
    )


def _indexes(session: Session) -> Finding:
    database = session.installation.open_database()
    lost = [] if migrate.pending(database) else index_management.dropped(database)
    names = ", ".join(index.name for index in lost)
    problem = next((index.problem for index in lost if index.problem is not None), None)
    why = (
        ""
        if problem is None
        else session.say(f"（上次重建失败：{problem}）", f" (last attempt to build it: {problem})")
    )
    return Finding(
        not lost,
        session.say(f"索引缺失：{names}", f"indexes are away: {names}")
        if lost
        else session.say("索引齐全", "indexes in place"),
        session.say(
            f"正在整体装载则属正常，否则下一次装载会先重建{why}",
            f"normal while a whole table is loaded; otherwise the next load builds them again first{why}",
        ),
    )


def _pools(session: Session) -> Finding:
    settings = session.installation.settings
    server = capacity(session.installation.open_database())
    pool, overflow = settings.db_pool_size, settings.db_max_overflow
    run = needed_by_a_run(settings.baostock_pool_size)
    together = PROCESSES * run
    what = session.say(
        f"数据库连接：每进程至多 {pool}+{overflow}，一次运行约用 {run}，{PROCESSES} 个进程合计 {together}；"
        f"服务器允许 {server.allowed}（共 {server.most}，管理员保留 {server.reserved}），现用 {server.used}",
        f"database connections: at most {pool}+{overflow} a process, a run takes about {run}, {PROCESSES} processes {together}; "
        f"the server allows {server.allowed} ({server.most}, {server.reserved} of them for administrators), {server.used} in use",
    )
    if together > server.allowed:
        return Finding(
            is_well=False,
            what=what,
            advice=session.say(
                f"合计超出服务器所允许：请把服务器的 max_connections 提高到至少 {together + server.reserved}，或减小 BAOSTOCK_POOL_SIZE",
                f"together they do not fit: raise max_connections of the server to at least {together + server.reserved}, "
                "or lower BAOSTOCK_POOL_SIZE",
            ),
        )
    return Finding(
        server.used + run <= server.allowed,
        what,
        session.say(
            "服务器的连接将用完：请关闭占用它的其他程序，或提高服务器的 max_connections",
            "the server is running out of connections: close other programs that hold them, or raise its max_connections",
        ),
        exit_codes.TRY_LATER,
    )


def _sessions(session: Session) -> Finding:
    size = session.installation.settings.baostock_pool_size
    return Finding(
        size == 1,
        session.say(f"BaoStock 会话最多 {size}", f"at most {size} BaoStock sessions"),
        session.say(
            "BaoStock 禁止并发连接，超过 1 个会话可能被封禁：请把 BAOSTOCK_POOL_SIZE 设回 1",
            "BaoStock forbids concurrent connections and bans for them: set BAOSTOCK_POOL_SIZE back to 1",
        ),
    )


def _calendar(session: Session) -> Finding:
    installation = session.installation
    end = installation.calendar.known_until
    left = (end - installation.now().astimezone(SHANGHAI).date()).days
    return Finding(
        left >= 30,  # noqa: PLR2004  a month to get next year's holidays
        session.say(f"交易日历到 {end}（还有 {left} 天）", f"trading calendar until {end} ({left} days left)"),
        session.say(
            "请升级 exchange-calendars；此后的工作日暂按交易日处理",
            "upgrade exchange-calendars; weekdays after it count as trading days",
        ),
    )


def _quota(session: Session) -> Finding:
    installation = session.installation
    now = installation.now()
    total = [use for use in installation.quota.usage("baostock", now.astimezone(SHANGHAI).date()) if use.api == "*"]
    used = sum(use.requests for use in total)
    limit = installation.settings.baostock_daily_quota
    until = max((use.banned_until for use in total if use.banned_until is not None), default=None)
    is_banned = until is not None and until > now
    what = session.say(f"BaoStock 今日请求 {used:,}/{limit:,}", f"BaoStock requests today {used:,}/{limit:,}")
    if is_banned and until is not None:
        advice = session.say(
            f"已被列入黑名单，{until.astimezone(SHANGHAI):%Y-%m-%d %H:%M} 之前不会发送请求",
            f"blacklisted; nothing is sent before {until.astimezone(SHANGHAI):%Y-%m-%d %H:%M} Shanghai time",
        )
        return Finding(is_well=False, what=what, advice=advice, code=exit_codes.NO_PERMISSION)
    advice = session.say("今日配额已用完，明天再试", "today's quota is used up; go on tomorrow")
    return Finding(used < limit, what, advice, exit_codes.TRY_LATER)


def _source(session: Session) -> Finding:
    """Connect without asking anything: a log-in would count."""
    installation = session.installation
    host, port = installation.baostock_address
    name = session.say("模拟数据源", "simulated source") if installation.settings.source == "simulated" else "BaoStock"
    try:
        socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        return Finding(
            is_well=False,
            what=f"{name} {host}:{port}",
            advice=session.say(
                f"无法连接（{error}）。请检查网络与防火墙；离线试用可设 STOCK_ASSETS_SOURCE=simulated",
                f"cannot connect ({error}); check network and firewall, or try it offline with STOCK_ASSETS_SOURCE=simulated",
            ),
            code=exit_codes.UNAVAILABLE,
        )
    return Finding(is_well=True, what=f"{name} {host}:{port}")


def _tushare(session: Session) -> Finding:
    """Ask for one day of the calendar: only an answer shows that the token is right."""
    installation = session.installation
    client = installation.tushare_client
    today = installation.now().astimezone(SHANGHAI).date()
    answer = None if client is None else client.trade_cal(today, today)
    error = None if answer is None else error_of(answer, source="tushare", api="trade_cal")
    if error is not None:
        raise error
    points = installation.settings.tushare_points
    return Finding(
        is_well=True, what=session.say(f"Tushare 可用（按 {points} 积分）", f"Tushare answers (at {points} points)")
    )
