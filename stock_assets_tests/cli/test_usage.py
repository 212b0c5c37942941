"""What people type wrong, and the help they get: one sentence in their language, exit code 2."""

import socket
from importlib import import_module

import click
import pytest

from stock_assets.cli import main
from stock_assets.cli.spoken import half
from stock_assets_tests.cli.conftest import Call

WRONG = [
    (["nightly", "--date", "20261132"], "“20261132”不是日期", "'20261132' is not a date"),
    (["nightly", "--date", "2026-11-21"], "2026-11-21 不是交易日", "2026-11-21 is not a trading day"),
    (["bars", "920748.SH"], "920748.BJ", "920748.BJ"),
    (["bars", "banana"], "不是证券代码", "is not a security code"),
    (
        ["backfill-daily", "--start", "20261120", "--end", "20261110"],
        "早于起始日",
        "ends (2026-11-10) before it starts",
    ),
    (["backfill-daily", "--start", "20261001", "--end", "20261007"], "没有交易日", "there is no trading day"),
    (["backfill-daily", "--start", "20261116", "--end", "20261120", "--codes", "920748.SH"], "920748.BJ", "920748.BJ"),
    (["plan", "history", "--start", "20261120", "--end", "20261110"], "早于起始日", "before it starts"),
    (["plan", "nightly", "--date", "20261121"], "不是交易日", "is not a trading day"),
    (["coverage", "--start", "20261120", "--end", "20261110"], "早于起始日", "before it starts"),
    (["coverage", "--start", "20261201", "--end", "20261210"], "尚未发布", "is published yet"),
    (["bars", "600000", "--start", "20261120", "--end", "20261110"], "早于起始日", "before it starts"),
    (["bars", "600000", "--format", "xml"], "需要 table、json、csv、parquet 之一", "one of table, json, csv, parquet"),
    (["bars", "600000", "--format", "parquet"], "--out", "--out"),
    (["bars"], "缺少参数 CODE", "argument CODE is missing"),
    (["backfill-daily", "--end", "20261120"], "缺少选项 --start", "option --start is missing"),
    (["backfill-daily", "--start"], "--start 需要一个值", "'--start' requires an argument"),
    (["history", "daily", "--rate-limit", "0"], "不小于 1 的整数", "a whole number from 1 up"),
    (["up", "--port", "65536"], "需要 1 到 65535 的整数", "a whole number from 1 to 65535"),
    (["simulate", "--latency", "-1"], "不小于 0 的数", "a number from 0 up"),
    (["simulate", "--recorded", "nowhere"], "已有的文件夹", "an existing folder"),
    (["simulate", "--faults", "nonsense"], "故障计划无法理解", "fault 'nonsense'"),
    (["simulate", "--tushare-faults", "not_logged_in"], "故障计划无法理解", "no kind 'not_logged_in'"),
    (["statsu"], "没有命令 statsu（是否要用 status）", "no command statsu (did you mean status?)"),
    (["up", "--prot", "1"], "没有选项 --prot（是否要用 --port）", "no option --prot (did you mean --port?)"),
    (["bars", "600000", "600001"], "600001", "600001"),
]


@pytest.mark.parametrize(("arguments", "zh", "en"), WRONG, ids=[" ".join(row[0]) for row in WRONG])
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.usefixtures("no_store")
def test_a_wrong_call_is_one_sentence_and_exit_code_2(
    call: Call, monkeypatch: pytest.MonkeyPatch, arguments: list[str], zh: str, en: str, language: str
) -> None:
    monkeypatch.setenv("STOCK_ASSETS_LANGUAGE", language)
    said = call(*arguments)
    assert (said.code, said.out) == (2, "")
    assert len(said.err.splitlines()) == 1
    assert (zh if language == "zh" else en) in said.err


def commands() -> list[tuple[str, ...]]:
    """Return the path of every command."""
    paths: list[tuple[str, ...]] = [()]
    context = click.Context(main.cli, obj=main.Session())
    for name in main._COMMANDS:  # pyright: ignore[reportPrivateUsage]
        command = main.cli.get_command(context, name)
        paths.append((name,))
        if isinstance(command, click.Group):
            paths += [(name, below) for below in command.commands]
    return paths


@pytest.mark.parametrize("path", commands(), ids=lambda path: " ".join(path) or "stock-assets")
def test_help_speaks_one_language_and_explains_every_option(
    call: Call, monkeypatch: pytest.MonkeyPatch, path: tuple[str, ...]
) -> None:
    english = call(*path, "--help")
    monkeypatch.setenv("STOCK_ASSETS_LANGUAGE", "zh")
    chinese = call(*path, "-h")
    assert (english.code, chinese.code) == (0, 0)
    assert english.out.isascii()
    assert "..." not in english.out.replace("[ARGS]...", "")
    for phrase in ("Usage", "Options", "Commands", "Show", "default", "required"):
        assert phrase not in chinese.out
    for line in chinese.out.splitlines():
        if line.strip().startswith("--"):
            assert not line.isascii() or line.rstrip().endswith("]"), line


def test_the_list_of_commands_says_what_each_command_says_of_itself() -> None:
    for module, words in main._COMMANDS.values():  # pyright: ignore[reportPrivateUsage]
        file, _, name = module.partition(":")
        command = getattr(import_module(f"stock_assets.cli.{file}"), name)
        for language in ("zh", "en"):
            own = half(command.help, language).partition("\n\n")[0].removesuffix(".")
            assert half(words, language) == own


@pytest.mark.parametrize("arguments", [[], ["history"], ["plan"], ["db"]], ids=" ".join)
def test_a_group_alone_shows_its_help_as_a_wrong_call(call: Call, arguments: list[str]) -> None:
    said = call(*arguments)
    assert said.code == 2
    assert said.err.startswith("Usage: stock-assets")


def test_the_version_is_the_packages(call: Call) -> None:
    from importlib.metadata import version

    assert call("--version").out == f"stock-assets, version {version('stock-assets')}\n"


@pytest.mark.usefixtures("no_store")
def test_a_port_that_is_taken_is_said_before_anything_is_started(call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = call("up", "--port", port)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"port {port} of 127.0.0.1 cannot be used (")
    assert len(said.err.splitlines()) == 1
