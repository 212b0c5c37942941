"""The floors hold: the package as it stands keeps every contract, and each way to break one is noticed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stock_assets_tests.house.repository import ROOT

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(LINT_IMPORTS), "--no-cache", "--config", str(folder / "pyproject.toml")]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "stock_assets", tmp_path / "stock_assets", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_contract_is_kept() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("helpers.py", "", "A room imports from floors below it only"),
        ("domain/codes.py", "import stock_assets.pipeline.context", "A room imports from floors below it only"),
        ("sources/base.py", "import stock_assets.storage.database", "A room imports from floors below it only"),
        ("pipeline/context.py", "import dagster", "Dagster is known in the top rooms only"),
        ("pipeline/context.py", "import sqlalchemy", "SQL and database drivers are known in storage only"),
        ("domain/codes.py", "import os", "Domain and quality do no input or output"),
        ("quality/findings.py", "import structlog", "Domain and quality do no input or output"),
        ("assets/market.py", "import stock_assets.simulator.market", "The made-up market is reached from"),
        ("pipeline/fetch.py", "import baostock", "BaoStock's client is known in its own room only"),
        ("sources/tushare/client.py", "import tushare", "Tushare's package is imported by nobody"),
        ("sources/tushare/client.py", "import stock_assets.sources.baostock.pool", "The two sources know nothing"),
    ],
)
def test_a_broken_contract_is_noticed(copy: Path, file: str, line: str, contract: str) -> None:
    with (copy / "stock_assets" / file).open("a", encoding="utf-8") as module:
        module.write(f"\n{line}\n")
    result = lint(copy)
    assert result.returncode == 1
    broken = result.stdout.partition("Broken contracts")[2] or result.stdout
    assert contract in " ".join(broken.split())
