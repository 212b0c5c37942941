"""The simulated source as a process of its own, so that it does not share an interpreter with what is measured."""

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

STOP_SECONDS = 10


@contextmanager
def simulated_source(home: Path, *, stocks: int, latency_ms: float) -> Generator[dict[str, str]]:
    """Yield the settings that lead to a simulated source of `stocks` stocks."""
    environment = {**os.environ, "STOCK_ASSETS_HOME": str(home), "STOCK_ASSETS_LANGUAGE": "en"}
    command = [sys.executable, "-m", "stock_assets.cli.main", "simulate"]
    options = ["--stocks", str(stocks), "--latency", str(latency_ms)]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(2)]
        yield dict(line.split("=", 1) for line in lines)
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)
