"""The command line in this process, on a test database and against the simulated source; real processes where it matters."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Protocol

import pytest
from dagster import RetryPolicy
from tenacity import wait_none

from stock_assets.cli.main import main
from stock_assets.pipeline.factors import ingest_factors
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.simulator.baostock_server import BaoStockServer
from stock_assets.wiring import Installation
from stock_assets_tests.assets.conftest import both, far_end, home, installation, market, new_installation, tushare

__all__ = ["both", "far_end", "home", "installation", "market", "new_installation", "tushare"]

UNREACHABLE = "postgresql://keeper:pa55-of-keeper@127.0.0.1:1/shares"
FIRST, LAST = date(2026, 11, 16), date(2026, 11, 20)


@dataclass(frozen=True, slots=True)
class Said:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def everything(self) -> str:
        """Both streams."""
        return self.out + self.err


class Call(Protocol):
    """Runs the command line in this process."""

    def __call__(self, *arguments: str) -> Said:
        """Return what was said."""
        ...


@pytest.fixture(scope="session")
def dagster_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dagster's memory in files, shared by all tests: making its tables for each would take longer than the tests."""
    folder = tmp_path_factory.mktemp("dagster")
    # Without Dagster's copy of what a step prints: it starts two processes for every step.
    config = """
telemetry: {enabled: false}
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
"""
    (folder / "dagster.yaml").write_text(config, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, dagster_home: Path, tmp_path: Path) -> None:  # pyright: ignore[reportUnusedFunction]  pytest's
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home))
    # A test that makes no installation must not find the one of whoever runs it, nor the real source.
    monkeypatch.setenv("STOCK_ASSETS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BAOSTOCK_HOST", "127.0.0.1")
    monkeypatch.setenv("BAOSTOCK_PORT", "1")
    monkeypatch.setenv("STOCK_ASSETS_LANGUAGE", "en")
    # No `.env` of whoever runs the tests.
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """The command line, in this process."""

    def run(*arguments: str) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Said(code, said.out, said.err)

    return run


@pytest.fixture
def no_store(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings whose database cannot be reached: what works here asks no store."""
    monkeypatch.setenv("STOCK_ASSETS_HOME", str(home))
    monkeypatch.setenv("STOCK_ASSETS_TODAY", "2026-11-20")
    monkeypatch.setenv("STOCK_ASSETS_DATABASE_URL", UNREACHABLE)
    monkeypatch.setenv("LOG_LEVEL", "ERROR")


@pytest.fixture
def retries_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed call is made again at once, and so is a failed step: nobody waits for the pauses."""

    def at_once(_policy: RetryPolicy, _attempt: int) -> float:
        return 0.0

    monkeypatch.setattr(RetryPolicy, "calculate_delay", at_once)
    # The pauses between the attempts of one call.
    monkeypatch.setattr("stock_assets.sources.retry.wait_exponential_jitter", lambda **_: wait_none())  # pyright: ignore[reportUnknownArgumentType, reportUnknownLambdaType]


@pytest.fixture
def loaded(new_installation: Callable[..., Installation], far_end: BaoStockServer) -> Installation:
    """An installation whose store holds the last week."""
    installation = new_installation(BAOSTOCK_HOST=far_end.host, BAOSTOCK_PORT=str(far_end.port))
    days = installation.calendar.between(FIRST, LAST)
    assert ingest_days(installation.pipeline(run_id="0123456789abcdef"), days).failure() is None
    assert ingest_factors(installation.pipeline(run_id="0123456789abcdef"), days).failure() is None
    installation.baostock_pool.release_idle()
    return installation


class Start(Protocol):
    """Starts the command line as a process of its own."""

    def __call__(
        self, arguments: Sequence[str], *, output: int | IO[bytes] = subprocess.PIPE, **environment: str
    ) -> "subprocess.Popen[bytes]":
        """Return the process, in a process group of its own; what is left of it at the test's end is killed."""
        ...


@pytest.fixture
def start() -> Iterator[Start]:
    """The command line, as a process of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def run(
        arguments: Sequence[str], *, output: int | IO[bytes] = subprocess.PIPE, **environment: str
    ) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "stock_assets.cli.main", *arguments]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **environment},
            start_new_session=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()
