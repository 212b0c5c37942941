"""The first contact: whatever Python or uv a machine has, it works or says in one sentence what is missing."""

import ast
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
posix_only = pytest.mark.skipif(os.name == "nt", reason="the stand-ins are shell scripts")


def program(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def run(code: str, *, path: Path, home: Path, language: str = "en") -> subprocess.CompletedProcess[str]:
    environ = {"PATH": str(path), "STOCK_ASSETS_HOME": str(home), "STOCK_ASSETS_LANGUAGE": language, "PYTHONUTF8": "1"}
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import _bootstrap\n{code}"]
    return subprocess.run(command, env=environ, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.mark.parametrize("name", ["_bootstrap.py", "demo.py", "test.py"])
def test_an_old_interpreter_can_read_the_scripts(name: str) -> None:
    ast.parse((SCRIPTS / name).read_text(encoding="utf-8"), feature_version=(3, 6))


@pytest.mark.parametrize("name", ["_bootstrap.py", "demo.py", "test.py"])
def test_the_scripts_need_the_standard_library_only(name: str) -> None:
    tree = ast.parse((SCRIPTS / name).read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names | {"_bootstrap"}


@pytest.mark.parametrize(("language", "words"), [("en", "or newer is needed"), ("zh", "或更新版本")])
def test_no_new_python_anywhere_is_one_sentence(tmp_path: Path, language: str, words: str) -> None:
    code = "_bootstrap.NEEDED = (99, 0)\n_bootstrap.run_in_environment([], with_dev=False)"
    result = run(code, path=tmp_path / "empty", home=tmp_path / "home", language=language)
    assert result.returncode == 78
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


@posix_only
def test_an_old_interpreter_hands_over_to_a_newer_one_on_the_path(tmp_path: Path) -> None:
    program(tmp_path / "bin", "python3.13", "exit 1")
    program(tmp_path / "bin", "python3.12", 'test "$1" = -c || echo "newer: $2 $3"')
    code = (
        "sys.argv = ['demo.py', '--ui']\n_bootstrap.NEEDED = (99, 0)\n_bootstrap.run_in_environment([], with_dev=False)"
    )
    result = run(code, path=tmp_path / "bin", home=tmp_path / "home")
    assert (result.returncode, result.stdout) == (0, "newer: --ui \n")


@posix_only
def test_uv_on_the_path_is_used_when_new_enough_else_the_private_one(tmp_path: Path) -> None:
    code = "print(_bootstrap.find_uv())"
    program(tmp_path / "bin", "uv", "echo uv 0.1.2")
    assert run(code, path=tmp_path / "bin", home=tmp_path / "home").stdout.strip() == "None"
    private = program(tmp_path / "home" / "tools", "uv", "echo 'uv 0.13.9 (x)'")
    assert run(code, path=tmp_path / "bin", home=tmp_path / "home").stdout.strip() == str(private)
    program(tmp_path / "bin", "uv", "echo uv 0.20.0")
    assert run(code, path=tmp_path / "bin", home=tmp_path / "home").stdout.strip() == str(tmp_path / "bin" / "uv")


def test_a_python_without_venv_and_pip_is_one_sentence(tmp_path: Path) -> None:
    code = """
_bootstrap._is_ok = lambda command: False
try:
    _bootstrap.install_uv()
except _bootstrap.CannotStart as problem:
    print(problem.en)
"""
    result = run(code, path=tmp_path / "empty", home=tmp_path / "home")
    assert "neither venv nor pip" in result.stdout
    assert list((tmp_path / "home" / "tools").iterdir()) == []


def test_a_data_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    code = "_bootstrap.run_in_environment([], with_dev=False)"
    result = run(code, path=tmp_path / "empty", home=tmp_path / "home")
    assert result.returncode == 78
    assert "set STOCK_ASSETS_HOME to a folder" in result.stderr


@posix_only
def test_packages_that_cannot_be_installed_are_named_with_the_reason(tmp_path: Path) -> None:
    program(
        tmp_path / "bin", "uv", 'test "$1" = --version && echo uv 0.13.9 && exit; echo no route to host >&2; exit 2'
    )
    result = run("_bootstrap.run_in_environment([], with_dev=False)", path=tmp_path / "bin", home=tmp_path / "home")
    assert result.returncode == 69
    assert "no route to host" in result.stderr
    assert "check the network" in result.stderr


@posix_only
@pytest.mark.parametrize(("with_dev", "options"), [(True, "sync --frozen --quiet"), (False, "--no-dev --inexact")])
def test_the_environment_is_synced_frozen_and_the_exit_code_is_passed_on(
    tmp_path: Path, *, with_dev: bool, options: str
) -> None:
    program(tmp_path / "bin", "uv", f'test "$1" = --version && echo uv 0.13.9 && exit; echo "$@" > {tmp_path}/said')
    environment = tmp_path / "env"
    program(environment / "bin", "python", 'echo "ran $@ telemetry=$DAGSTER_DISABLE_TELEMETRY"; exit 7')
    code = f"import os; os.environ['UV_PROJECT_ENVIRONMENT'] = {str(environment)!r}\n"
    code += f"_bootstrap.run_in_environment(['-m', 'x', '--flag'], with_dev={with_dev})"
    result = run(code, path=tmp_path / "bin", home=tmp_path / "home")
    said = (tmp_path / "said").read_text(encoding="utf-8") if shutil.which("sh") else ""
    assert options in said
    assert (result.returncode, result.stdout) == (7, "ran -m x --flag telemetry=yes\n")
    assert [line[:5] for line in result.stderr.splitlines()] == ["[1/3]", "[2/3]", "[3/3]"]


def test_a_read_only_repository_keeps_its_environment_in_the_data_folder(tmp_path: Path) -> None:
    code = "_bootstrap.os.access = lambda path, mode: False\nprint(_bootstrap.child_environment({})['UV_PROJECT_ENVIRONMENT'])"
    result = run(code, path=tmp_path / "empty", home=tmp_path / "home")
    assert result.stdout.strip() == str(tmp_path / "home" / "env")
