"""What the performance log costs: the same load with and without it, in turn, in one process."""

import statistics
import tempfile
import time
from pathlib import Path

import click

from stock_assets.logs.setup import configure_logging
from stock_assets.pipeline.ingest import ingest_days
from stock_assets.settings import Settings
from stock_assets.wiring import Installation


@click.command()
@click.option("--pairs", default=8, show_default=True)
@click.option("--days", default=10, show_default=True)
def log_overhead(pairs: int, days: int) -> None:
    """Print the ratio of seconds with the log at INFO to seconds without, pair by pair."""
    configure_logging("ERROR")
    home = Path(tempfile.mkdtemp(prefix="stock-assets-bench-"))
    settings = Settings(home=home, source="simulated", simulated_stocks=300)
    with Installation(settings) as installation, (home / "terminal.txt").open("w") as terminal:
        context = installation.pipeline()
        last = installation.last_final()
        chosen = [day for day in installation.calendar.sessions if day <= last][-days:]
        ingest_days(context, chosen)
        ratios: list[float] = []
        for pair in range(pairs):
            seconds: dict[bool, float] = {}
            for is_logged in (pair % 2 == 0, pair % 2 == 1):
                file = home / "logs" / "stock-assets.log" if is_logged else None
                configure_logging("INFO" if is_logged else "ERROR", "console", stream=terminal, file=file)
                began = time.perf_counter()
                ingest_days(context, chosen, refetch=True)
                seconds[is_logged] = time.perf_counter() - began
            ratios.append(seconds[True] / seconds[False])
        print(f"with log / without, {pairs} pairs of {days} days x 300 stocks:")
        print(f"median {statistics.median(ratios):.3f}, from {min(ratios):.3f} to {max(ratios):.3f}")


if __name__ == "__main__":
    log_overhead()
