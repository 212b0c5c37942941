"""The command `stock-assets`: its groups, and the edge where errors become sentences and exit codes."""

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

import click

from stock_assets.cli import exit_codes
from stock_assets.cli.imports import uncollected
from stock_assets.cli.session import Session
from stock_assets.cli.spoken import half, spoken, usage_sentence
from stock_assets.cli.stopping import is_work_left
from stock_assets.domain.errors import StockAssetsError

# Imported only when called: `bars` must not pay for Dagster, `--help` for nothing. The words are those of the commands.
_COMMANDS = {
    "demo": ("demo:demo", "在模拟行情上演示全过程 | show everything on a simulated market"),
    "doctor": (
        "doctor:doctor",
        "检查本机：设置、磁盘、数据库、数据源、配额 | check this machine, and what to do about it",
    ),
    "up": ("machine:up", "启动 Dagster 网页与后台 | start Dagster's web pages and daemon"),
    "nightly": ("load:nightly", "运行每晚任务 | run the nightly job"),
    "history": ("finance_load:history", "装载历史，可停可续 | load history; stop and go on at will"),
    "backfill-daily": ("load:backfill_daily", "只补一段日期内缺失的日线 | load exactly what is missing of a range"),
    "repair": ("repair:repair_command", "找出缺失并补齐 | find what is missing and repair it"),
    "backfill-technicals": (
        "technicals:backfill_technicals",
        "计算一段日期的技术指标 | compute the indicators of a range",
    ),
    "check-technicals": (
        "technicals:check_technicals",
        "重算指标，与存储逐位比对 | compute indicators again and compare them bit by bit",
    ),
    "backfill-snapshots": (
        "snapshot:backfill_snapshots",
        "生成一段日期的每日快照 | make the snapshots of a range",
    ),
    "plan": (
        "finance_load:plan",
        "先看代价：请求数、用时、配额 | requests, minutes and quota before anything is fetched",
    ),
    "status": ("status:status", "存储、台账、配额、调度的现状 | store, ledger, quota and schedules as they are"),
    "failures": ("failures:failures_command", "未解决的失败记录 | unresolved failure records"),
    "coverage": ("coverage:coverage_command", "缺什么，按（证券，交易日） | what is missing, by (stock, day)"),
    "universe": ("universe:universe_command", "某日上市的全部证券 | the stocks listed on a day"),
    "quality": ("quality:quality_command", "一个交易日的数据质量 | the quality of a day's data"),
    "bars": ("look:bars_command", "一只证券的日线 | one stock's daily bars"),
    "technicals": ("technicals:technicals_command", "一只证券的技术指标 | one stock's technical indicators"),
    "finance": (
        "finance:finance_command",
        "一只证券的财务指标 | one stock's finance indicators",
    ),
    "snapshot": (
        "snapshot:snapshot_command",
        "一个交易日的现成快照 | a day's ready-made snapshot",
    ),
    "export": ("export:export_command", "导出为 Parquet，每年一个文件 | write a table to Parquet, one file a year"),
    "db": ("db:db", "数据库迁移与备份 | migrations and backups of the store"),
    "simulate": ("simulate:simulate", "运行模拟数据源 | run the simulated sources"),
}


class _Stopped(Exception):
    """Ctrl-C or a service manager's stop, past click, which would print an empty line for it."""


class _Commands(click.Group):
    """Finds a command's file by its name, and lets it speak the language of the call."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of a newcomer's day."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, importing its file."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        with uncollected():
            command = getattr(import_module(f"stock_assets.cli.{module}"), name)
        return spoken(command, _session_of(ctx).language)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any of them."""
        language = _session_of(ctx).language
        with formatter.section("Commands"):
            formatter.write_dl([(name, half(words, language)) for name, (_, words) in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the called command; for an unknown one, likely ones are named."""
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            raise click.exceptions.NoSuchCommand(args[0], possibilities=_COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise _Stopped from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="出错时显示完整堆栈 | show tracebacks")
@click.version_option(version("stock-assets"), prog_name="stock-assets")
@click.pass_context
def cli(context: click.Context, *, debug: bool) -> None:
    """A 股数据：完整、正确、可自愈的本地存储 | A-share data: a complete, correct, self-healing local store."""
    _session_of(context).is_debug = debug


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code of what happened."""
    # So that a service manager's stop ends like Ctrl-C: sessions logged out, the server handed back.
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        code = _run(Session(), arguments)
        if is_work_left():
            # A call that is under way would be waited for.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        sys.exit(code)
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(session: Session, arguments: Sequence[str] | None) -> int:  # noqa: PLR0911  one way out per class of failure
    try:
        command = spoken(cli, session.language)
        # Without click's own ending: a code that a command chose comes back as the result.
        code = command.main(
            args=None if arguments is None else list(arguments),
            prog_name="stock-assets",
            standalone_mode=False,
            obj=session,
        )
    except StockAssetsError as error:
        session.complain(error.sentence(session.language), error)
        return exit_codes.exit_code(error)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return exit_codes.USAGE
    except click.ClickException as error:
        session.complain(usage_sentence(error, session.language))
        return exit_codes.USAGE
    except (_Stopped, click.Abort, KeyboardInterrupt):
        session.note(
            "已停止；已提交的数据完整保留，再次运行即从断点继续",
            "stopped; what was committed is kept, and the same command goes on from there",
        )
        return exit_codes.INTERRUPTED
    except BrokenPipeError:
        # Whoever read has read enough. Nothing more can be written, at the end of the process neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_codes.BROKEN_PIPE
    except OSError as error:
        session.complain(session.say(f"本机操作失败：{error}", f"this machine refused: {error}"), error)
        return exit_codes.CONFIGURATION
    except Exception as error:  # noqa: BLE001  the edge of the process: people get a sentence, developers --debug
        what = f"{type(error).__name__}: {error}"
        session.complain(
            session.say(
                f"程序内部错误（{what}）；请用 stock-assets --debug 重新运行，并反馈堆栈",
                f"internal error ({what}); run it again as `stock-assets --debug …` and report the traceback",
            ),
            error,
        )
        return exit_codes.INTERNAL
    return code if isinstance(code, int) else exit_codes.DONE


def _session_of(context: click.Context) -> Session:
    session = context.find_object(Session)
    if session is None:
        raise TypeError(context.obj)
    return session


def _stop(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
