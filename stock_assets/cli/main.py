"""The command `stock-assets`: its groups, and the edge where errors become sentences and exit codes."""

import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

import click

from stock_assets.cli import exit_codes
from stock_assets.cli.session import Session
from stock_assets.domain.errors import StockAssetsError

# Imported only when called: `bars` must not pay for Dagster, `--help` for nothing.
_COMMANDS = {
    "up": "machine:up",
    "doctor": "doctor:doctor",
    "simulate": "machine:simulate",
    "demo": "demo:demo",
    "nightly": "load:nightly",
    "backfill-daily": "load:backfill_daily",
    "history": "load:history",
    "plan": "plan:plan",
    "status": "look:status",
    "coverage": "look:coverage_command",
    "bars": "look:bars_command",
    "db": "db:db",
}


class _Commands(click.Group):
    """Finds a command's file by its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of a newcomer's day."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, importing its file."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        return getattr(import_module(f"stock_assets.cli.{module}"), name)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="出错时显示完整堆栈 | show tracebacks")
@click.version_option(version("stock-assets"), prog_name="stock-assets")
@click.pass_context
def cli(context: click.Context, *, debug: bool) -> None:
    """A 股数据：完整、正确、可自愈的本地存储 | A-share data: a complete, correct, self-healing local store."""
    context.obj = Session(is_debug=debug)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code of what happened."""
    # So that a service manager's stop ends like Ctrl-C: sessions logged out, the server handed back.
    signal.signal(signal.SIGTERM, _stop)
    session = Session(is_debug="--debug" in (sys.argv[1:] if arguments is None else arguments))
    try:
        cli.main(args=None if arguments is None else list(arguments), standalone_mode=False, obj=session)
    except StockAssetsError as error:
        if session.is_debug:
            raise
        session.errors.print(error.sentence(session.language), style="red", markup=False)
        sys.exit(exit_codes.exit_code(error))
    except click.ClickException as error:
        error.show()
        sys.exit(exit_codes.USAGE)
    except (click.Abort, KeyboardInterrupt):
        session.errors.print(session.say("已停止；已提交的数据完整保留", "stopped; everything committed is kept"))
        sys.exit(exit_codes.INTERRUPTED)


def _stop(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
