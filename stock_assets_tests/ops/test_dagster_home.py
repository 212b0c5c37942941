"""Dagster's own commands find their home with nothing set by hand, and no other program is touched."""

import os
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path

import pytest

from stock_assets.ops import dagster_home
from stock_assets.ops.dagster_home import prepare, prepare_for_program

ROOT = Path(__file__).resolve().parents[2]
PTH = ROOT / "scripts" / "stock_assets_dagster_home.pth"


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_home_and_instance_file_are_put_into_the_data_folder(tmp_path: Path) -> None:
    environ = {"STOCK_ASSETS_HOME": str(tmp_path / "data")}
    prepare(environ)
    home = tmp_path / "data" / "dagster"
    assert environ["DAGSTER_HOME"] == str(home)
    assert environ["DAGSTER_DISABLE_TELEMETRY"] == "yes"
    assert (home / "dagster.yaml").read_bytes() == (ROOT / "dagster.yaml").read_bytes()


def test_a_home_that_is_set_is_left_alone(tmp_path: Path) -> None:
    environ = {"STOCK_ASSETS_HOME": str(tmp_path / "data"), "DAGSTER_HOME": str(tmp_path / "mine")}
    prepare(environ)
    assert environ["DAGSTER_HOME"] == str(tmp_path / "mine")
    assert list(tmp_path.iterdir()) == []


def test_the_instance_file_of_the_working_directory_wins_and_a_changed_one_is_copied_again(tmp_path: Path) -> None:
    environ = {"STOCK_ASSETS_HOME": str(tmp_path / "data")}
    copy = tmp_path / "data" / "dagster" / "dagster.yaml"
    (tmp_path / "dagster.yaml").write_text("# stock_assets.first", encoding="utf-8")
    prepare(dict(environ))
    assert copy.read_text(encoding="utf-8") == "# stock_assets.first"
    (tmp_path / "dagster.yaml").write_text("# stock_assets.second", encoding="utf-8")
    prepare(dict(environ))
    assert copy.read_text(encoding="utf-8") == "# stock_assets.second"


def test_the_instance_file_of_another_project_is_not_taken(tmp_path: Path) -> None:
    environ = {"STOCK_ASSETS_HOME": str(tmp_path / "data")}
    (tmp_path / "dagster.yaml").write_text("storage: {}", encoding="utf-8")
    prepare(environ)
    assert (tmp_path / "data" / "dagster" / "dagster.yaml").read_bytes() == (ROOT / "dagster.yaml").read_bytes()


@pytest.mark.parametrize(
    "line", ["STOCK_ASSETS_HOME=there", "export STOCK_ASSETS_HOME = 'there'", 'STOCK_ASSETS_HOME="there" # x']
)
def test_the_data_folder_of_the_settings_file_is_used(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"#STOCK_ASSETS_HOME=not-this\nLOG_LEVEL=INFO\n{line}\n", encoding="utf-8")
    assert dagster_home.data_folder({}) == tmp_path / "there"
    assert dagster_home.data_folder({"STOCK_ASSETS_HOME": str(tmp_path / "here")}) == tmp_path / "here"


def test_a_disk_that_refuses_does_not_stop_python(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").touch()
    environ = {"STOCK_ASSETS_HOME": str(tmp_path / "data")}
    prepare(environ)
    assert environ["DAGSTER_HOME"] == str(tmp_path / "data" / "dagster")
    assert capsys.readouterr().err.count("\n") == 1


def test_many_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    environ = {"STOCK_ASSETS_HOME": str(tmp_path / "data")}
    threads = [threading.Thread(target=prepare, args=(dict(environ),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.name for path in (tmp_path / "data" / "dagster").iterdir()] == ["dagster.yaml"]


@pytest.mark.parametrize(
    ("argv", "is_dagster"),
    [
        (["python", "/x/bin/dagster", "job", "list"], True),
        (["python", "/x/bin/dagster-daemon", "run"], True),
        (["python", "/x/Scripts/dagster-webserver.exe"], True),
        (["python", "/x/bin/dg", "dev"], True),
        (["python", "-m", "dagster", "job"], True),
        (["python", "-m", "dagster._daemon", "run"], True),
        (["python", "/x/dagster-notes/a.py"], False),
        (["python", "/x/bin/dgsh"], False),
        (["python", "-m", "pytest"], False),
        (["python"], False),
    ],
)
def test_only_dagsters_own_programs_are_prepared(tmp_path: Path, argv: list[str], *, is_dagster: bool) -> None:
    environ = {"STOCK_ASSETS_HOME": str(tmp_path)}
    prepare_for_program(argv, environ)
    assert ("DAGSTER_HOME" in environ) is is_dagster


@pytest.mark.parametrize(
    ("words", "is_named"),
    [
        (["--select", "securities"], True),
        (["-m", "mine", "--select", "x"], False),
        (["--select", "x", "--python-file=mine.py"], False),
    ],
)
def test_commands_that_ask_for_a_module_get_ours_in_our_folder(
    tmp_path: Path, words: list[str], *, is_named: bool
) -> None:
    name = "DAGSTER_CLI_ASSET_MATERIALIZE_MODULE_NAME"
    argv = ["python", "/x/bin/dagster", "asset", "materialize", *words]
    environ = {"STOCK_ASSETS_HOME": str(tmp_path / "data")}
    prepare_for_program(argv, environ)
    assert name not in environ
    (tmp_path / "dagster.yaml").write_text("# stock_assets.first", encoding="utf-8")
    prepare_for_program(argv, environ)
    assert (environ.get(name) == "stock_assets.definitions") is is_named


def test_the_hook_is_installed_and_works_when_python_starts(tmp_path: Path) -> None:
    installed = Path(sysconfig.get_path("purelib")) / PTH.name
    assert installed.read_text(encoding="utf-8") == PTH.read_text(encoding="utf-8")
    program = tmp_path / "dagster"
    program.write_text("import os; print(os.environ.get('DAGSTER_HOME'))", encoding="utf-8")
    environ = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    environ["STOCK_ASSETS_HOME"] = str(tmp_path / "data")
    command = [sys.executable, str(program), "job", "list"]
    result = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == str(tmp_path / "data" / "dagster")
    assert result.stderr == ""


def test_the_hook_needs_nothing_beyond_the_standard_library() -> None:
    code = """
import sys
before = set(sys.modules)
import stock_assets.ops.dagster_home
print(*{name.partition(".")[0] for name in set(sys.modules) - before})
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(result.stdout.split()) - sys.stdlib_module_names == {"stock_assets"}
